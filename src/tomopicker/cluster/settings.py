"""Settings of workers, from flags or a YAML file."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tomopicker.config import Flag, read_yaml, setting
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.wording import number_of, wrong_value

Engine = Literal["local", "slurm", "pbs", "lsf", "sge", "scheduler"]
PANEL = "Many machines"
QUEUES = ("slurm", "pbs", "lsf", "sge")
_WALLTIME = re.compile(r"^(?:(\d+)-)?(\d{1,3}):([0-5]\d):([0-5]\d)$")
_MEMORY = re.compile(r"^(\d+(?:\.\d+)?)\s*(MB|GB|TB|M|G|T)$", re.IGNORECASE)
_FACTORS = {"M": 2**20, "G": 2**30, "T": 2**40}


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Lines = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class ClusterSettings(BaseModel):
    """Workers, and how they are started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Engine = setting(
        "local",
        "Where the work is done: by workers on this machine, one for each GPU or as its cores allow, by jobs of a "
        "queueing system, or by the workers of a running Dask scheduler (--scheduler).",
        flag=Flag(Literal["local", "slurm", "pbs", "lsf", "sge"], PANEL, "this process alone"),
    )
    workers: Annotated[int, Field(ge=1)] | None = setting(
        None, "Maximum number of workers or jobs.",
        flag=Flag(int, PANEL, "one for each GPU, else as cores and memory allow; 4 jobs"),
    )  # fmt: skip
    job: Lines = setting(
        (), "Options of the queueing system for each job, such as '--gpus=1 -p gpu'; may be repeated.", unit="OPTIONS",
        flag=Flag(list[str], PANEL),
    )  # fmt: skip
    walltime: str | None = setting(
        None, "Wall time of each job.", unit="[D-]HH:MM:SS", flag=Flag(str, PANEL, "the queue's own")
    )
    cores: Annotated[int, Field(ge=1)] | None = setting(None, "Threads of each worker, and cores that a job requests.")
    memory: str | None = setting(None, "Memory of each job, such as 24GB; null: as the largest tomogram needs.")
    interface: str | None = setting(None, "Network interface that jobs reach this machine by, such as ib0.")
    host: str | None = setting(None, "Address that jobs reach this machine by, in place of an interface.")
    prologue: Lines = setting((), "Lines of shell before the worker starts, such as 'module load cuda'.")
    skip: Lines = setting((), "Directives of the job script with one of these texts are left out, such as --mem.")
    python: str | None = setting(None, "Interpreter that jobs start; null: the one that runs this.")
    scratch: str = setting("/tmp", "Folder on each machine's own disk, for the workers' small files.")
    scheduler: Path | None = setting(
        None, "Scheduler file of a running Dask scheduler.", unit="FILE", flag=Flag(Path, PANEL)
    )
    tls: Path | None = setting(
        None, "Folder with ca.pem, cert.pem and key.pem of the scheduler.", unit="DIR", flag=Flag(Path, PANEL)
    )
    wait_minutes: Annotated[float, Field(gt=0)] = setting(
        24 * 60, "Longest wait for a first worker, after which the run gives up; a queue may be long."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "ClusterSettings":
        if self.walltime is not None and not _WALLTIME.match(self.walltime):
            raise ValueError(f"walltime {self.walltime}: give HH:MM:SS or D-HH:MM:SS, such as 04:00:00")
        if self.memory is not None and not _MEMORY.match(self.memory):
            raise ValueError(f"memory {self.memory}: give a number and a unit, such as 24GB")
        if (self.engine == "scheduler") != (self.scheduler is not None):
            raise ValueError(
                "a scheduler's file goes with engine scheduler, and with no other; give --scheduler FILE alone"
            )
        if self.scheduler is not None and self.tls is None:
            raise ValueError("a scheduler is reached by TLS alone; give --tls DIR with ca.pem, cert.pem and key.pem")
        queued = {"job": self.job, "walltime": self.walltime, "prologue": self.prologue, "skip": self.skip}
        given = [name for name, value in queued.items() if value]
        if given and self.engine not in QUEUES:
            raise ValueError(f"{given[0]} is for jobs of a queueing system; give --engine {', '.join(QUEUES)} too")
        return self

    @property
    def description(self) -> str:
        """Describe the workers."""
        if self.engine == "scheduler":
            return f"on the workers of {self.scheduler}"
        kind = "on this machine" if self.engine == "local" else f"in jobs of {self.engine}"
        return kind if self.workers is None else f"on {number_of(self.workers, 'worker')} {kind.replace('on ', 'of ')}"

    @property
    def memory_bytes(self) -> int | None:
        """Memory of each job in bytes, if given."""
        match = None if self.memory is None else _MEMORY.match(self.memory)
        return round(float(match[1]) * _FACTORS[match[2][0].upper()]) if match else None

    def walltime_for(self, engine: Engine) -> str | None:
        """Return the wall time in the notation of a queueing system: LSF has hours and minutes, only SLURM has days."""
        match = None if self.walltime is None else _WALLTIME.match(self.walltime)
        if match is None or engine == "slurm":
            return self.walltime
        hours, minutes, seconds = 24 * int(match[1] or 0) + int(match[2]), int(match[3]), int(match[4])
        if engine == "lsf":
            minutes += seconds > 0
            return f"{hours + minutes // 60:02d}:{minutes % 60:02d}"
        return f"{hours:02d}:{minutes:02d}:{seconds:02d}"


def read_cluster_settings(path: Path | None, flags: dict[str, Any]) -> ClusterSettings:
    """Resolve the settings of a file and flags; flags take precedence.

    Parameters
    ----------
    path : Path or None
        A YAML file with the fields of `ClusterSettings`.
    flags : dict
        Values by name of the field; None for flags not given.

    Raises
    ------
    UsageError
        One line that names the file and the field.
    """
    from_file = {} if path is None else read_yaml(path, "give another --cluster", "correct it")
    if not isinstance(from_file, dict):
        raise UsageError(f"{path}: give one setting a line, such as 'engine: slurm'")
    given = {name: value for name, value in flags.items() if value is not None}
    if given.get("scheduler") is not None and "engine" not in given:
        given["engine"] = "scheduler"
    try:
        return ClusterSettings(**(from_file | given))
    except (ValidationError, TypeError) as error:
        raise UsageError(f"{path or 'cluster settings'}: {_reason(error)}") from error


def _reason(error: ValidationError | TypeError) -> str:
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][:1])
    if first["type"] == "extra_forbidden":
        return f"no setting is called '{where}'; there are {', '.join(ClusterSettings.model_fields)}"
    message = wrong_value(first["type"], first["input"], first["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


class ClusterError(TomoPickerError):
    """Workers cannot be started or used."""
