"""Training and picking as jobs: the real commands in processes of their own, which outlive the page and the server.

A job is a folder: ``job.json`` holds the request, ``log.txt`` holds what the command printed, ``pid`` is its
process, and ``exit_code`` is written when it ends. The state of a job is read from these, also by a later server.
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
LOG_BYTES = 64 * 1024
"""Of a log that a page is shown: its end."""
CLUSTER = "cluster.yaml"
"""In a project: who does its jobs."""
COMMAND = (sys.executable, "-m", "tomopicker.cli")
_RUN = (
    'trap "" HUP; trap : INT TERM; "$@" >log.txt 2>&1 </dev/null; echo $? >exit_code.part; mv exit_code.part exit_code'
)


@dataclass(frozen=True)
class Job:
    """A job as its folder states it.

    Parameters
    ----------
    folder : Path
    asked : dict
        ``title``, ``kind``, ``arguments`` and ``started``, seconds since 1970.
    """

    folder: Path
    asked: dict[str, Any]

    @property
    def state(self) -> str:
        """One of running, done, failed, stopped, lost (its process is gone without a word)."""
        with suppress(OSError, ValueError):
            code = int((self.folder / "exit_code").read_text(encoding="ascii"))
            return {0: "done", 130: "stopped"}.get(code, "stopped" if self._was_stopped else "failed")
        if self._process() is not None:
            return "running"
        return "stopped" if self._was_stopped else "lost"

    @property
    def log(self) -> str:
        """The end of what the command printed."""
        try:
            with (self.folder / "log.txt").open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - LOG_BYTES))
                return stream.read().decode("utf-8", "replace")
        except OSError:
            return ""

    @property
    def log_size(self) -> int:
        """Bytes of what the command printed."""
        with suppress(OSError):
            return (self.folder / "log.txt").stat().st_size
        return 0

    def to_json(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        log = self.log
        lines = log.splitlines()
        matched = next((found for line in reversed(lines) if (found := _PROGRESS.match(line))), None)
        progress = None
        if matched:
            title, done, total, words = matched.groups()
            progress = {"title": title, "done": int(done), "total": int(total), "words": words or ""}
        return {
            "id": self.folder.name,
            "title": self.asked["title"],
            "kind": self.asked["kind"],
            "command": shlex.join(["tomopicker", *self.asked["arguments"]]),
            "started": self.asked["started"],
            "state": self.state,
            "stopping": self._was_stopped,
            "progress": progress,
            "last": lines[-1][:400] if lines else "",
        }

    def stop(self) -> None:
        """Ask the command to stop, as Ctrl-C does; what it has finished stays."""
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
        """Return the process (and group) of a running job, told from reused numbers by its start time."""
        with suppress(OSError, ValueError):
            number, begun = (self.folder / "pid").read_text(encoding="ascii").split()
            if _started(int(number)) == begun:
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
        asked = {"title": title, "kind": kind, "arguments": list(arguments), "started": time.time()}
        write_text(path / "job.json", json.dumps(asked, indent=1, ensure_ascii=False) + "\n")
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _RUN, "sh", *COMMAND, *arguments],
                cwd=path, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise TomoPickerError(f"{path}: the job cannot be started ({error.strerror}); see 'ulimit -u'") from error
        write_text(path / "pid", f"{process.pid} {_started(process.pid)}\n")
        return Job(path, asked)

    def get(self, name: str) -> Job:
        """Return a job by its name.

        Raises `UsageError` if there is none of that name.
        """
        if _ID.match(name):
            with suppress(OSError, ValueError):
                asked = json.loads((self.folder / name / "job.json").read_text(encoding="utf-8"))
                return Job(self.folder / name, asked)
        raise UsageError("there is no such job in this project; reload the page")

    def all(self) -> list[Job]:
        """List the jobs, latest first."""
        found = []
        for path in sorted(self.folder.glob("*/job.json"), reverse=True):
            with suppress(UsageError):
                found.append(self.get(path.parent.name))
        return found


def engine_arguments(project: Path, workers: int | None = None) -> list[str]:
    """Return the arguments that choose the workers: as in the project's file, else one for each of several GPUs.

    The project's folder may hold a ``cluster.yaml``, as ``tomopicker pick --cluster`` takes it. `workers` is their
    maximum number, if the person asks for one; 1 is this machine's one process.

    Raises `UsageError` if several are asked for, and what they take is not installed.
    """
    asked = [] if workers is None else ["--workers", str(workers)]
    stated = project.absolute() / CLUSTER
    if stated.exists():
        return ["--cluster", str(stated), *asked]
    missing = [name for name in ("distributed", "cryptography") if find_spec(name) is None]
    if workers is not None and workers > 1:
        if missing:
            raise UsageError(
                f"several workers need {missing[0]}, which is not installed; run: pip install 'tomopicker[distributed]'"
            )
        return ["--engine", "local", *asked]
    if missing or workers == 1:
        return []
    import torch  # noqa: PLC0415  (slow to import)

    return ["--engine", "local"] if torch.cuda.device_count() > 1 else []


def _started(process: int) -> str:
    """Return what distinguishes a process from a later one of its number: its start, in ticks since the machine's."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _started_without_proc(process)
    fields = stat.rpartition(")")[2].split()
    return "ended" if fields[0] == "Z" else fields[19]


def _started_without_proc(process: int) -> str:
    """The same where there is no /proc, as on macOS."""
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, text=True, check=False
    ).stdout
    return shown.strip().replace(" ", "-") or "gone"
