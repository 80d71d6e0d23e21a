"""Claims: which of several processes, perhaps on several machines that share a disk, has a piece of work.

A claim is a file that only one process can create (``O_EXCL``, which network file systems keep too, while few cluster
disks have working ``flock``). It names its holder, who touches it every minute. A holder that died on this machine is
noticed at once, one on another machine when its claim has not been touched for a quarter of an hour.
"""

import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    mine = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(3):  # Each time round, a claim was given back or taken from the dead.
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            text = _text(path)
            if text is not None and not _is_stale(path, text):
                return None
            if text is not None:
                _set_aside(path, text)
            continue
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(mine)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return mine
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _is_stale(path: Path, text: str) -> bool:
    """Tell whether a holder is dead: no such process on this machine, or no sign of life for long."""
    host, pid, *_ = [*text.split(), "", ""]
    if host == socket.gethostname() and pid.isdigit() and not _is_alive(int(pid)):
        return True
    try:
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return False


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
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
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
    while not ended.wait(BEAT_SECONDS):
        try:
            os.utime(path)
        except OSError:
            return
