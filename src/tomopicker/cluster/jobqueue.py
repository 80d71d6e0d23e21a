"""Workers as jobs of SLURM, PBS, LSF or SGE; the only module that uses dask-jobqueue."""

import importlib
import logging
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING, Any

from tomopicker.cluster.resources import CUDA_BYTES, GIGABYTE
from tomopicker.cluster.settings import QUEUES, ClusterError, ClusterSettings
from tomopicker.cluster.worker import MALLOC, THREADS
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from distributed import Security

CLOSE_SECONDS = 10
DEFAULT_JOBS = 4
LOGS = "jobs"
NAME = "tomopicker"
_CLASSES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
_PLACEHOLDER = "tls://ADDRESS-OF-THIS-MACHINE:PORT"


@contextmanager
def job_cluster(settings: ClusterSettings, memory: int, folder: Path, security: "Security", jobs: int) -> Iterator[Any]:
    """Start a scheduler here for a block; it submits up to a number of jobs, as many as there are tasks.

    Raises `ClusterError` if this machine has no address that jobs could reach.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        cluster = getattr(_dask_jobqueue(), _CLASSES[settings.engine])(
            **_options(settings, memory, folder),
            protocol="tls://",
            security=security,
            scheduler_options=_listening(settings),
            silence_logs="critical",
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"--engine {settings.engine}: the scheduler does not start ({' '.join(str(error).split())}); "
            "state how jobs reach this machine: interface or host, in the file of --cluster"
        ) from error
    adaptive = cluster.adapt(minimum_jobs=0, maximum_jobs=jobs, interval="1s", target_duration="1s", wait_count=10)
    try:
        yield cluster
    finally:
        adaptive.stop()
        remaining = [str(job.job_id) for job in cluster.workers.values() if getattr(job, "job_id", None)]
        with suppress(TimeoutError):
            cluster.close(timeout=CLOSE_SECONDS)
        _cancel(remaining, cluster.job_cls.cancel_command)


def _cancel(jobs: list[str], command: str) -> None:
    """Cancel jobs once more: one that started while the cluster was closed would wait for its driver in vain."""
    if jobs:
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([*shlex.split(command), *jobs], check=False, capture_output=True, timeout=CLOSE_SECONDS)


def job_script(settings: ClusterSettings, memory: int, folder: Path) -> str:
    """Return the script of a job as it would be submitted, except for the address of the driver and the keys."""
    job_class = getattr(_dask_jobqueue(), _CLASSES[settings.engine]).job_cls
    options = _options(settings, memory, folder)
    options.pop("log_directory")  # It would be created.
    return str(job_class(_PLACEHOLDER, name=f"{NAME}-0", **options).job_script())


def describe_jobs(cluster: ClusterSettings | None, memory: int, count: int, folder: Path) -> Iterator[str]:
    """Yield the lines of a dry run on jobs, if workers are jobs: `memory` bytes each, for `count` tomograms."""
    if cluster is None or cluster.engine not in QUEUES:
        return
    jobs = number_of(n_jobs(cluster, count), "job")
    yield f"Up to {jobs} of {cluster.engine} like this one, with keys of the run besides:\n"
    yield job_script(cluster, memory, folder).rstrip()


def n_jobs(settings: ClusterSettings, tomograms: int) -> int:
    """Return the maximum number of jobs for a number of tomograms."""
    return min(settings.workers or DEFAULT_JOBS, tomograms)


def _dask_jobqueue() -> Any:
    """Import dask-jobqueue, without the file that it writes to the user's home and its handlers of signals."""
    import dask.config  # noqa: PLC0415  (of an extra)

    path, handlers = dask.config.PATH, {number: signal.getsignal(number) for number in (SIGINT, SIGTERM)}
    with tempfile.TemporaryDirectory() as temporary:
        dask.config.PATH = temporary
        try:
            return importlib.import_module("dask_jobqueue")
        finally:
            dask.config.PATH = path
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers.items():  # None: not set from Python.
                    signal.signal(number, handler or signal.SIG_DFL)


def _options(settings: ClusterSettings, memory: int, folder: Path) -> dict[str, Any]:
    threads = settings.cores or 1
    on_gpu = "gpu" in " ".join(settings.job).lower()
    memory = settings.memory_bytes or memory + (CUDA_BYTES if on_gpu else 0)
    gigabytes = max(1, -(-memory // GIGABYTE))
    options: dict[str, Any] = {
        "job_name": NAME,
        "cores": 1,
        "processes": 1,
        "memory": f"{gigabytes}GiB",
        "walltime": settings.walltime_for(settings.engine),
        "job_extra_directives": list(settings.job),
        "job_directives_skip": _skipped(settings),
        "job_script_prologue": [
            f"export {THREADS}={threads}",
            *(f"export {name}={value}" for name, value in MALLOC.items()),
            "export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'",
            *settings.prologue,
        ],
        "log_directory": str(folder / LOGS),
        "local_directory": settings.scratch,
        "python": settings.python or sys.executable,
        "interface": settings.interface,
        "death_timeout": 60,
        "worker_extra_args": ["--memory-limit", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
    }
    by_engine: dict[str, dict[str, Any]] = {
        "slurm": {"job_cpu": threads},
        "pbs": {"resource_spec": f"select=1:ncpus={threads}:mem={gigabytes}gb"},
        "lsf": {"ncpus": threads, "mem": memory, "lsf_units": "mb"},
        "sge": {"resource_spec": f"mem_free={gigabytes}G"},  # h_vmem limits address space; torch maps a lot.
    }
    return options | by_engine[settings.engine]


def _skipped(settings: ClusterSettings) -> list[str]:
    """List the directives left out of a job script: those of the settings, and those that the user's lines replace."""
    given = " ".join(settings.job)
    replaced = {
        "slurm": ("--mem", "--cpus-per-task"),
        "pbs": ("-l select",),
        "lsf": ("-M ", "-n "),
        "sge": ("mem_free",),
    }[settings.engine]
    without_walltime = {"slurm": "#SBATCH -t ", "pbs": "walltime=", "lsf": "#BSUB -W ", "sge": "h_rt="}
    walltime = [] if settings.walltime else [without_walltime[settings.engine]]
    return [*settings.skip, *(option for option in replaced if option in given), *walltime]


def _listening(settings: ClusterSettings) -> dict[str, Any]:
    """Return the options that make the scheduler listen at one address of this machine instead of all."""
    from distributed.utils import get_ip  # noqa: PLC0415

    address = {"interface": settings.interface} if settings.interface else {"host": settings.host or get_ip()}
    return address | {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
