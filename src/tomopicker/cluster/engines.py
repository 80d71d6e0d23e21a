"""Starting workers: on this machine, as jobs of a queueing system, or those of a running scheduler.

Connections use TLS: over a plain one any user of the machine could run code as the user who runs this. Only the
scheduler and workers of jobs listen at addresses that other machines can reach.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomopicker.cluster import worker
from tomopicker.cluster.keys import check_keys, key_files, temporary_keys
from tomopicker.cluster.settings import QUEUES, ClusterError, ClusterSettings
from tomopicker.cluster.worker import MALLOC
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client, Security

LOCALHOST = "127.0.0.1"
CLOSE_SECONDS = 8
CONFIG = {
    "distributed.scheduler.allowed-failures": 0,  # The driver counts deaths, as it knows what a worker was processing.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.unknown-task-duration": "1h",  # A worker is requested for each submitted tomogram.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.scheduler.work-stealing": False,
    "distributed.comm.timeouts.connect": "30s",
    "distributed.admin.tick.limit": "60s",
    "distributed.deploy.lost-worker-timeout": "1h",  # Its nanny restarts a worker that died on this machine.
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    **{f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in MALLOC.items()},
}
QUEUE_CONFIG = {"distributed.deploy.lost-worker-timeout": "60s"}
"""Time for a worker to be restarted before another job replaces its job."""


@dataclass(frozen=True)
class Workers:
    """Workers that are running or starting.

    Parameters
    ----------
    max_workers : int
        Maximum number of workers.
    description : str
        Description.
    """

    client: "Client"
    max_workers: int
    description: str


@contextmanager
def started(settings: ClusterSettings, memory: int, tomograms: int, folder: Path) -> Iterator[Workers]:
    """Start workers for the duration of a block.

    Parameters
    ----------
    memory : int
        Bytes that one worker needs.
    tomograms : int
        Maximum number of workers.
    folder : Path
        Folder on a disk that all workers see.

    Raises
    ------
    UsageError
        If a package is not installed.
    ClusterError
        If workers cannot be started.
    """
    check_installed(settings)
    import dask  # noqa: PLC0415  (of an extra, and slow to import)
    import distributed  # noqa: F401, PLC0415  (its defaults must be loaded before they are overridden)

    queue_config = QUEUE_CONFIG if settings.engine in QUEUES else {}
    with dask.config.set(CONFIG | queue_config | {"temporary-directory": settings.scratch}), ExitStack() as stack:
        if settings.engine == "scheduler":
            yield stack.enter_context(_existing(settings))
        else:
            keys = stack.enter_context(temporary_keys(folder))
            start = _local if settings.engine == "local" else _queued
            yield stack.enter_context(start(settings, memory, tomograms, folder, keys))


def check_installed(settings: ClusterSettings) -> None:
    """Raise `UsageError` that names what to install if packages of the engine are missing."""
    needed = ["cryptography", "distributed", *(["dask_jobqueue"] if settings.engine in QUEUES else [])]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        extra = "cluster" if settings.engine in QUEUES else "distributed"
        raise UsageError(
            f"--engine {settings.engine}: needs {missing[0]}, which is not installed; "
            f"run: pip install 'tomopicker[{extra}]'"
        )


def _security(keys: Path) -> "Security":
    """Return the keys in a folder for Dask."""
    from distributed import Security  # noqa: PLC0415

    ca, certificate, key = map(str, key_files(keys))
    roles = {
        f"tls_{role}_{what}": file
        for role in ("client", "scheduler", "worker")
        for what, file in (("cert", certificate), ("key", key))
    }
    return Security(require_encryption=True, tls_ca_file=ca, **roles)


@contextmanager
def _local(settings: ClusterSettings, memory: int, tomograms: int, folder: Path, keys: Path) -> Iterator[Workers]:
    from distributed import Nanny, Scheduler, SpecCluster  # noqa: PLC0415

    from tomopicker.cluster.resources import share_out  # noqa: PLC0415

    variables, description = share_out(settings.workers, settings.cores, memory, tomograms)
    security = _security(keys)
    common = {"protocol": "tls://", "security": security, "dashboard": False, "dashboard_address": f"{LOCALHOST}:0"}
    options = common | {
        "host": LOCALHOST, "nthreads": 1, "memory_limit": 0, "local_directory": settings.scratch, "death_timeout": 60,
        "preload": [worker.__name__],
    }  # fmt: skip
    workers = {i: {"cls": Nanny, "options": options | {"env": own}} for i, own in enumerate(variables)}
    scheduler = {"cls": Scheduler, "options": common | {"host": LOCALHOST, "port": 0}}
    with (
        SpecCluster(workers=workers, scheduler=scheduler, security=security, silence_logs="critical") as cluster,
        _client(cluster, security) as client,
    ):
        yield Workers(client, len(variables), description)


@contextmanager
def _queued(settings: ClusterSettings, memory: int, tomograms: int, folder: Path, keys: Path) -> Iterator[Workers]:
    from tomopicker.cluster.jobqueue import job_cluster, n_jobs  # noqa: PLC0415

    security = _security(keys)
    jobs = n_jobs(settings, tomograms)
    with job_cluster(settings, memory, folder, security, jobs) as cluster, _client(cluster, security) as client:
        yield Workers(client, jobs, f"up to {jobs} jobs of {settings.engine}")


@contextmanager
def _existing(settings: ClusterSettings) -> Iterator[Workers]:
    from distributed import Client  # noqa: PLC0415

    assert settings.scheduler is not None and settings.tls is not None
    check_keys(settings.tls)
    security = _security(settings.tls)
    if not settings.scheduler.is_file():
        raise UsageError(
            f"--scheduler {settings.scheduler}: no such file; start 'dask scheduler --scheduler-file' first"
        )
    try:
        client = Client(scheduler_file=str(settings.scheduler), security=security, timeout=30, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ClusterError(
            f"{settings.scheduler}: no scheduler answers there ({reason}); start it again, with the keys of --tls"
        ) from error
    with client:
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        yield Workers(client, max(settings.workers or count, 1), f"{count} workers of {settings.scheduler}")


@contextmanager
def _client(cluster: Any, security: "Security") -> Iterator["Client"]:
    from distributed import Client  # noqa: PLC0415

    client = Client(cluster, security=security, set_as_default=False)
    try:
        yield client
    finally:
        client.close(timeout=CLOSE_SECONDS)
