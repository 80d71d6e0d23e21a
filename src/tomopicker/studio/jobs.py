"""Training and picking as jobs: commands in processes of their own, which outlive the page and the server.

A job is a folder: ``job.json`` holds the request, ``log.txt`` the output of the command, ``pid`` its process, and
``exit_code`` is written when it ends. The state of a job is read from these, also by a later server.
"""

import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.files import write_text

_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}$")
_PROGRESS = re.compile(r"^(.{1,200}): (\d+) of (\d+)(?:, (.*))?$")
MAX_LOG_BYTES = 64 * 1024
"""Bytes at the end of a log that a page shows."""
CLUSTER = "cluster.yaml"
"""File of a project with the workers that pick."""
COMMAND = (sys.executable, "-m", "tomopicker.cli")
_RUN = (
    'trap "" HUP; trap : INT TERM; "$@" >log.txt 2>&1 </dev/null; echo $? >exit_code.part; mv exit_code.part exit_code'
)


@dataclass(frozen=True)
class Job:
    """A job.

    Parameters
    ----------
    folder : Path
    request : dict
        ``title``, ``kind``, ``arguments`` and ``started``, seconds since 1970.
    """

    folder: Path
    request: dict[str, Any]

    @property
    def state(self) -> str:
        """One of running, done, failed, stopped, and lost (its process ended without an exit code)."""
        with suppress(OSError, ValueError):
            code = int((self.folder / "exit_code").read_text(encoding="ascii"))
            return {0: "done", 130: "stopped"}.get(code, "stopped" if self._was_stopped else "failed")
        if self._process() is not None:
            return "running"
        return "stopped" if self._was_stopped else "lost"

    @property
    def log(self) -> str:
        """The end of the command's output."""
        try:
            with (self.folder / "log.txt").open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - MAX_LOG_BYTES))
                return stream.read().decode("utf-8", "replace")
        except OSError:
            return ""

    @property
    def log_size(self) -> int:
        """Size of the command's output in bytes."""
        with suppress(OSError):
            return (self.folder / "log.txt").stat().st_size
        return 0

    def to_json(self) -> dict[str, Any]:
        """Return the job as pages show it."""
        lines = self.log.splitlines()
        match = next((match for line in reversed(lines) if (match := _PROGRESS.match(line))), None)
        progress = None
        if match:
            title, done, total, words = match.groups("")
            progress = {"title": title, "done": int(done), "total": int(total), "words": words}
        return {
            "id": self.folder.name,
            "title": self.request["title"],
            "kind": self.request["kind"],
            "command": shlex.join(["tomopicker", *self.request["arguments"]]),
            "started": self.request["started"],
            "state": self.state,
            "stopping": self._was_stopped,
            "progress": progress,
            "last": lines[-1][:400] if lines else "",
        }

    def stop(self) -> None:
        """Interrupt the command, as Ctrl-C does; finished tomograms are kept."""
        process = self._process()
        if process is None:
            return
        write_text(self.folder / "stopped", "")
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGINT)

    @property
    def _was_stopped(self) -> bool:
        return (self.folder / "stopped").exists()

    def _process(self) -> int | None:
        """Return the process (and group) of a running job; its start time distinguishes it from a reused number."""
        with suppress(OSError, ValueError):
            number, start = (self.folder / "pid").read_text(encoding="ascii").split()
            if _start_of(int(number)) == start:
                return int(number)
        return None


@dataclass(frozen=True)
class Jobs:
    """The jobs of a project, in a folder."""

    folder: Path

    def start(self, title: str, kind: str, arguments: Sequence[str]) -> Job:
        """Start a command of this program.

        Raises `TomoPickerError` if it cannot be started, or its folder cannot be written.
        """
        path = self.folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        request = {"title": title, "kind": kind, "arguments": list(arguments), "started": time.time()}
        write_text(path / "job.json", json.dumps(request, indent=1, ensure_ascii=False) + "\n")
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _RUN, "sh", *COMMAND, *arguments],
                cwd=path, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise TomoPickerError(f"{path}: the job cannot be started ({error.strerror}); see 'ulimit -u'") from error
        write_text(path / "pid", f"{process.pid} {_start_of(process.pid)}\n")
        return Job(path, request)

    def get(self, name: str) -> Job:
        """Return a job by its name.

        Raises `UsageError` if there is none of that name.
        """
        if _ID.match(name):
            with suppress(OSError, ValueError):
                request = json.loads((self.folder / name / "job.json").read_text(encoding="utf-8"))
                return Job(self.folder / name, request)
        raise UsageError("there is no such job in this project; reload the page")

    def all(self) -> list[Job]:
        """List the jobs, latest first."""
        jobs = []
        for path in sorted(self.folder.glob("*/job.json"), reverse=True):
            with suppress(UsageError):
                jobs.append(self.get(path.parent.name))
        return jobs


def worker_arguments(project: Path, workers: int | None = None) -> list[str]:
    """Return the arguments that choose the workers of ``tomopicker pick``.

    Parameters
    ----------
    project : Path
        Folder of the project; a ``cluster.yaml`` in it is passed on as ``--cluster``.
    workers : int, optional
        Maximum number of workers, 1 for a single process; if left out, one for each of several GPUs.

    Raises
    ------
    UsageError
        If several workers need a package that is not installed.
    """
    number = [] if workers is None else ["--workers", str(workers)]
    cluster = project.absolute() / CLUSTER
    if cluster.exists():
        return ["--cluster", str(cluster), *number]
    missing = [name for name in ("distributed", "cryptography") if find_spec(name) is None]
    if workers is not None and workers > 1:
        if missing:
            raise UsageError(
                f"several workers need {missing[0]}, which is not installed; run: pip install 'tomopicker[distributed]'"
            )
        return ["--engine", "local", *number]
    if missing or workers == 1:
        return []
    import torch  # noqa: PLC0415  (slow to import)

    return ["--engine", "local"] if torch.cuda.device_count() > 1 else []


def _start_of(process: int) -> str:
    """Return the start time of a process: in clock ticks since boot, or as a date without /proc, as on macOS."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        command = ["ps", "-o", "lstart=", "-p", str(process)]
        date = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return date.strip().replace(" ", "-") or "ended"
    fields = stat.rpartition(")")[2].split()
    return "ended" if fields[0] == "Z" else fields[19]
