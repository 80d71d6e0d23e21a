"""Workers as jobs of SLURM, PBS, LSF or SGE. The only module that knows dask-jobqueue."""

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
from tomopicker.cluster.settings import ClusterError, ClusterSettings
from tomopicker.cluster.worker import MALLOC, THREADS

if TYPE_CHECKING:
    from distributed import Security

CLOSE_SECONDS = 10
LOGS = "jobs"
NAME = "tomopicker"
_CLASSES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
_PLACEHOLDER = "tls://ADDRESS-OF-THIS-MACHINE:PORT"


@contextmanager
def job_cluster(settings: ClusterSettings, memory: int, folder: Path, security: "Security", jobs: int) -> Iterator[Any]:
    """Start a scheduler here for a block; it asks for jobs, so many at most, as tomograms are in hand.

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
        left = [str(job.job_id) for job in cluster.workers.values() if getattr(job, "job_id", None)]
        with suppress(TimeoutError):
            cluster.close(timeout=CLOSE_SECONDS)
        _cancel(left, cluster.job_cls.cancel_command)


def _cancel(jobs: list[str], command: str) -> None:
    """Cancel jobs once more: one that began while the cluster was closed would wait in vain for its driver."""
    if jobs:
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([*shlex.split(command), *jobs], check=False, capture_output=True, timeout=CLOSE_SECONDS)


def job_script(settings: ClusterSettings, memory: int, folder: Path) -> str:
    """Write the script of a job as it would be submitted, but for the address of the driver and the keys."""
    kind = getattr(_dask_jobqueue(), _CLASSES[settings.engine]).job_cls
    options = _options(settings, memory, folder)
    options.pop("log_directory")  # It would be made.
    return str(kind(_PLACEHOLDER, name=f"{NAME}-0", **options).job_script())


def _dask_jobqueue() -> Any:
    """Import it without the file that it would write to the user's home, and without its way of ending on a Ctrl-C."""
    import dask.config  # noqa: PLC0415  (of an extra)

    usual, handlers = dask.config.PATH, {number: signal.getsignal(number) for number in (SIGINT, SIGTERM)}
    with tempfile.TemporaryDirectory() as elsewhere:
        dask.config.PATH = elsewhere
        try:
            return importlib.import_module("dask_jobqueue")
        finally:
            dask.config.PATH = usual
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers.items():  # None: not set from Python.
                    signal.signal(number, handler or signal.SIG_DFL)


def _options(settings: ClusterSettings, memory: int, folder: Path) -> dict[str, Any]:
    threads = settings.cores or 1
    on_gpu = "gpu" in " ".join(settings.job).lower()
    asked = settings.memory_bytes or memory + (CUDA_BYTES if on_gpu else 0)
    gigabytes = max(1, -(-asked // GIGABYTE))
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
    own: dict[str, dict[str, Any]] = {
        "slurm": {"job_cpu": threads},
        "pbs": {"resource_spec": f"select=1:ncpus={threads}:mem={gigabytes}gb"},
        "lsf": {"ncpus": threads, "mem": asked, "lsf_units": "mb"},
        "sge": {"resource_spec": f"mem_free={gigabytes}G"},  # h_vmem would bound addresses, of which torch maps many.
    }
    return options | own[settings.engine]


def _skipped(settings: ClusterSettings) -> list[str]:
    """List what is left out of a job's head: as the user asks, and where the user's own lines replace it."""
    stated = " ".join(settings.job)
    replaced = {
        "slurm": ("--mem", "--cpus-per-task"),
        "pbs": ("-l select",),
        "lsf": ("-M ", "-n "),
        "sge": ("mem_free",),
    }[settings.engine]
    without_walltime = {"slurm": "#SBATCH -t ", "pbs": "walltime=", "lsf": "#BSUB -W ", "sge": "h_rt="}
    own = [] if settings.walltime else [without_walltime[settings.engine]]
    return [*settings.skip, *(option for option in replaced if option in stated), *own]


def _listening(settings: ClusterSettings) -> dict[str, Any]:
    """Choose where the scheduler listens: at one address, not at all of this machine."""
    from distributed.utils import get_ip  # noqa: PLC0415

    where = {"interface": settings.interface} if settings.interface else {"host": settings.host or get_ip()}
    return where | {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
