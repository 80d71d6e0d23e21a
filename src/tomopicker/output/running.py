"""The lock file of a running job: a second run on the folder is refused instead of doing the work twice.

It holds the process and is touched every 20 s. It is stale if the process is gone (on this machine) or if it was not
touched for 3 minutes (elsewhere). Correctness does not depend on it: files are written whole, so that two runs at once
would only pick everything twice.
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
def marked(folder: Path) -> Iterator[None]:
    """Mark a folder as being written to during a block.

    Raises `TomoPickerError` if another process holds it, or the folder cannot be written.
    """
    mark = folder / RUNNING
    _take(mark)
    ended = threading.Event()
    touching = threading.Thread(target=_touch_until, args=(ended, mark), daemon=True)
    touching.start()
    try:
        yield
    finally:
        ended.set()
        touching.join()
        with suppress(OSError):
            mark.unlink(missing_ok=True)


def holder(folder: Path) -> str | None:
    """Describe the process that is writing to a folder; None if there is none, or it has died."""
    mark = folder / RUNNING
    try:
        host, pid, machine, *_ = [*mark.read_text(encoding="utf-8", errors="replace").split(), "?", "?", "?"]
        silent = time.time() - mark.stat().st_mtime
    except OSError:
        return None
    here = machine == _machine()
    alive = pid.isdigit() and _is_alive(int(pid)) if here else silent < STALE_SECONDS
    return f"process {pid} on {host}" if alive else None


def _take(mark: Path) -> None:
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(3):
            with suppress(FileExistsError):
                handle = os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(f"{socket.gethostname()} {os.getpid()} {_machine()}\n")
                return
            if who := holder(mark.parent):
                raise TomoPickerError(
                    f"{mark.parent}: {who} is writing to it; 'tomopicker status {mark.parent}' shows how far it is "
                    f"(if that process is no more, remove {mark})"
                )
            mark.unlink(missing_ok=True)
    except OSError as error:
        raise TomoPickerError(f"{mark}: cannot be written ({error.strerror}); choose another --output") from error


def _touch_until(ended: threading.Event, mark: Path) -> None:
    """Touch the lock file every 20 s; an unreachable file server is no error."""
    while not ended.wait(TOUCH_SECONDS):
        with suppress(OSError):
            os.utime(mark)


def _machine() -> str:
    """Name this machine since it was started, and this container: process numbers repeat on other machines."""
    known = [socket.gethostname()]
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256(" ".join(known).encode()).hexdigest()[:16]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # Another user's, or no process number of this system.
    return True
