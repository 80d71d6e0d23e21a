"""Claims: which of several processes, perhaps on several machines that share a disk, has a piece of work.

A claim is a file that names its holder, who touches it every minute. It is written under a name of its own and then
linked to its place: only one process can do that, on network file systems too, and nobody ever sees it half-written.
(``O_EXCL`` alone shows an empty file for a moment, on NFS 3 with a time of any year; ``flock`` works on few cluster
disks.) A holder that died on this machine is noticed at once, one on another machine when its claim has not been
touched for a quarter of an hour, by the clock of the disk: those of machines differ.

What is read under a lock is what the last holder wrote if both lie in one folder: making the link tells an NFS client
that the folder has changed, so that it asks for the files in it anew.
"""

import errno
import hashlib
import os
import random
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from tomopicker.errors import TomoPickerError

BEAT_SECONDS = 60.0
STALE_SECONDS = 900.0
PATIENCE_SECONDS = 1800.0


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold a claim during a block, unless another process holds it.

    Parameters
    ----------
    path : Path
        The claim's file; its folder is made if it is missing, the file is gone after the block.

    Yields
    ------
    bool
        Whether this process holds it; if not, the block should leave the work alone.

    Raises
    ------
    TomoPickerError
        If the file cannot be created.
    """
    try:
        mine = _take(path)
    except OSError as error:
        raise TomoPickerError(f"{path}: cannot be written ({error.strerror}); choose another --output") from error
    if mine is None:
        yield False
        return
    ended = threading.Event()
    beat = threading.Thread(target=_touch_until, args=(ended, path), daemon=True)
    beat.start()
    try:
        yield True
    finally:
        ended.set()
        beat.join()
        with suppress(OSError):  # Of a disk that does not answer: the claim grows old by itself.
            if _text(path) == mine:  # Not if another process thought this one dead.
                path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a claim during a block; wait while another process does.

    Raises
    ------
    TomoPickerError
        If it is not to be had within half an hour.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with claimed(path) as ours:
            if ours:
                yield
                return
        if time.monotonic() > deadline:
            raise TomoPickerError(
                f"{path}: held for long by {holder(path)}; remove this file if that process is no more"
            )
        time.sleep(random.uniform(0.02, 0.2))


def holder(path: Path) -> str | None:
    """Say which process holds a claim, in words; None if none does."""
    text = _text(path)
    if text is None or _is_stale(path, text):
        return None
    host, pid, *_ = [*text.split(), "?", "?"]
    return f"process {pid} on {host}"


def _take(path: Path) -> str | None:
    """Create the file if it is not there, or its holder is dead; give what is in it."""
    mine = f"{socket.gethostname()} {os.getpid()} {_machine()} {uuid.uuid4().hex}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(3):  # Each time round, a claim was given back or taken from the dead.
        text = _text(path)
        if text is None and _create(path, mine):
            return mine
        if text is not None and not _is_stale(path, text):
            return None
        if text is not None:
            _set_aside(path, text)
    return None


def _create(path: Path, text: str) -> bool:
    """Create a file with this text in it; say False if there is one of that name."""
    whole = _beside(path)
    try:
        whole.write_text(text, encoding="utf-8")
        os.link(whole, path)
    except FileExistsError:
        return _text(path) == text  # A server whose answer was lost is asked again, and finds the link made.
    except OSError:
        return _create_in_place(path, text)  # A disk without hard links; of a full one it says so.
    finally:
        whole.unlink(missing_ok=True)
    return True


def _create_in_place(path: Path, text: str) -> bool:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}")


def _text(path: Path) -> str | None:
    """Read a claim; None if it is not there, or went away while it was read, which NFS calls a stale file handle."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ESTALE:
            return None
        raise


def _is_stale(path: Path, text: str) -> bool:
    """Tell whether a holder is dead: no such process on this machine, or no sign of life for long."""
    host, pid, machine, *_ = [*text.split(), "", "", ""]
    here = (host, machine) == (socket.gethostname(), _machine())
    if here and pid.isdigit() and not _is_alive(int(pid)):
        return True
    try:
        touched = path.stat().st_mtime
        return time.time() + _ahead(path.parent) - touched > STALE_SECONDS
    except OSError:  # Given back meanwhile, or nothing can be written here: then it cannot be taken either.
        return False


@cache
def _ahead(folder: Path) -> float:
    """Tell how many seconds the clock of the disk, another machine's on a network, is ahead of this machine's."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".tmp-") as fresh:
        os.utime(fresh.name)
        return Path(fresh.name).stat().st_mtime - time.time()


@cache
def _machine() -> str:
    """Name this machine since it was started, and this container: host names and process numbers repeat elsewhere."""
    known = []
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
        return True  # Another user's, or no process number of this system: only its age tells.
    return True


def _set_aside(path: Path, text: str) -> None:
    """Remove a dead holder's claim. Of several processes that try, one gets the file; a live claim is put back."""
    aside = _beside(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _text(aside) != text:
        # It fails if the claim was taken again meanwhile: the work is done twice, which costs time and nothing else.
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)


def _touch_until(ended: threading.Event, path: Path) -> None:
    """Touch a claim now and then. A server that does not answer for a while has not taken it away."""
    while not ended.wait(BEAT_SECONDS):
        with suppress(OSError):
            os.utime(path)
