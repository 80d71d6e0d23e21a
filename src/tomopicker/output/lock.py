"""The lock file of a running job: a second run on a folder is refused.

It names the process and is touched every 20 s. It is stale if the process has ended (on this machine) or if it was not
touched for 3 minutes (elsewhere). Correctness does not depend on it: files are written whole, so that two runs at once
would merely do everything twice.
"""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.output.layout import RUNNING

TOUCH_SECONDS, STALE_SECONDS = 20.0, 180.0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock file of a folder during a block.

    Raises `TomoPickerError` if another process holds it, or the folder cannot be written.
    """
    lock = folder / RUNNING
    _acquire(lock)
    ended = threading.Event()
    touching = threading.Thread(target=_touch_until, args=(ended, lock), daemon=True)
    touching.start()
    try:
        yield
    finally:
        ended.set()
        touching.join()
        with suppress(OSError):
            lock.unlink(missing_ok=True)


def holder(folder: Path) -> str | None:
    """Describe the process that holds the lock file of a folder; None if there is none, or it has ended."""
    lock = folder / RUNNING
    try:
        host, pid, machine, *_ = [*lock.read_text(encoding="utf-8", errors="replace").split(), "?", "?", "?"]
        age = time.time() - lock.stat().st_mtime
    except OSError:
        return None
    is_alive = pid.isdigit() and _is_alive(int(pid)) if machine == _machine() else age < STALE_SECONDS
    return f"process {pid} on {host}" if is_alive else None


def _acquire(lock: Path) -> None:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(3):
            with suppress(FileExistsError), lock.open("x", encoding="utf-8") as stream:
                stream.write(f"{socket.gethostname()} {os.getpid()} {_machine()}\n")
                return
            if who := holder(lock.parent):
                raise TomoPickerError(
                    f"{lock.parent}: {who} is writing to it; 'tomopicker status {lock.parent}' shows how far it is "
                    f"(if that process is no more, remove {lock})"
                )
            lock.unlink(missing_ok=True)
    except OSError as error:
        raise TomoPickerError(f"{lock}: cannot be written ({error.strerror}); choose another --output") from error


def _touch_until(ended: threading.Event, lock: Path) -> None:
    """Touch the lock file every `TOUCH_SECONDS`; an unreachable file server is no error."""
    while not ended.wait(TOUCH_SECONDS):
        with suppress(OSError):
            os.utime(lock)


def _machine() -> str:
    """Identify this boot of this machine, and this container: process numbers repeat elsewhere."""
    facts = [socket.gethostname()]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256(" ".join(facts).encode()).hexdigest()[:16]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # Another user's, or no process number of this system.
    return True
