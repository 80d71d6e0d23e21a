"""Starting workers: on this machine, as jobs of a queueing system, or those of a scheduler that runs already.

TLS always: over a plain connection any user of the machine could run code as the user who runs this. Nothing listens
where other machines can reach it but the scheduler and workers of jobs, which must.
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

HERE = "127.0.0.1"
CLOSE_SECONDS = 8
CONFIG = {
    "distributed.scheduler.allowed-failures": 0,  # Deaths are counted by the driver, who knows what a worker was at.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.unknown-task-duration": "1h",  # So that a worker is asked for each tomogram in hand.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.scheduler.work-stealing": False,
    "distributed.comm.timeouts.connect": "30s",
    "distributed.admin.tick.limit": "60s",
    "distributed.deploy.lost-worker-timeout": "1h",  # A worker that died here is started again by its nanny.
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    **{f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in MALLOC.items()},
}
LOST = {"distributed.deploy.lost-worker-timeout": "60s"}
"""After which another job takes the place of one whose worker is gone; within it, the worker may be started again."""


@dataclass(frozen=True)
class Workers:
    """Workers that are there, or on their way.

    Parameters
    ----------
    wanted : int
        How many there will be.
    words : str
        The same in words.
    """

    client: "Client"
    wanted: int
    words: str


@contextmanager
def started(settings: ClusterSettings, memory: int, tomograms: int, folder: Path) -> Iterator[Workers]:
    """Start workers for a block; they end with it.

    Parameters
    ----------
    memory : int
        Bytes that one worker needs.
    tomograms : int
        So many workers at most.
    folder : Path
        On a disk that all workers see.

    Raises
    ------
    UsageError
        If what this takes is not installed.
    ClusterError
        If workers cannot be started.
    """
    check_installed(settings)
    import dask  # noqa: PLC0415  (of an extra, and slow to import)
    import distributed  # noqa: F401, PLC0415  (its defaults must be known before settings are put over them)

    queued = LOST if settings.engine in QUEUES else {}
    with dask.config.set(CONFIG | queued | {"temporary-directory": settings.scratch}), ExitStack() as stack:
        if settings.engine == "scheduler":
            yield stack.enter_context(_reached(settings))
        else:
            keys = stack.enter_context(temporary_keys(folder))
            start = _local if settings.engine == "local" else _queued
            yield stack.enter_context(start(settings, memory, tomograms, folder, keys))


def check_installed(settings: ClusterSettings) -> None:
    """Refuse an engine whose packages are missing.

    Raises `UsageError`: that names what to install.
    """
    needed = ["cryptography", "distributed", *(["dask_jobqueue"] if settings.engine in QUEUES else [])]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        extra = "cluster" if settings.engine in QUEUES else "distributed"
        raise UsageError(
            f"--engine {settings.engine}: needs {missing[0]}, which is not installed; "
            f"run: pip install 'tomopicker[{extra}]'"
        )


def security_of(keys: Path) -> "Security":
    """Give Dask the keys in a folder."""
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

    variables, words = share_out(settings.workers, settings.cores, memory, tomograms)
    security = security_of(keys)
    common = {"protocol": "tls://", "security": security, "dashboard": False, "dashboard_address": f"{HERE}:0"}
    options = common | {
        "host": HERE, "nthreads": 1, "memory_limit": 0, "local_directory": settings.scratch, "death_timeout": 60,
        "preload": [worker.__name__],
    }  # fmt: skip
    workers = {i: {"cls": Nanny, "options": options | {"env": each}} for i, each in enumerate(variables)}
    scheduler = {"cls": Scheduler, "options": common | {"host": HERE, "port": 0}}
    with (
        SpecCluster(workers=workers, scheduler=scheduler, security=security, silence_logs="critical") as cluster,
        _client(cluster, security) as client,
    ):
        yield Workers(client, len(variables), words)


@contextmanager
def _queued(settings: ClusterSettings, memory: int, tomograms: int, folder: Path, keys: Path) -> Iterator[Workers]:
    from tomopicker.cluster.jobqueue import job_cluster  # noqa: PLC0415

    security = security_of(keys)
    wanted = min(settings.workers or 4, tomograms)
    with job_cluster(settings, memory, folder, security, wanted) as cluster, _client(cluster, security) as client:
        yield Workers(client, wanted, f"up to {wanted} jobs of {settings.engine}")


@contextmanager
def _reached(settings: ClusterSettings) -> Iterator[Workers]:
    from distributed import Client  # noqa: PLC0415

    assert settings.scheduler is not None and settings.tls is not None
    check_keys(settings.tls)
    security = security_of(settings.tls)
    if not settings.scheduler.is_file():
        raise UsageError(
            f"--scheduler {settings.scheduler}: no such file; start 'dask scheduler --scheduler-file' first"
        )
    try:
        client = Client(scheduler_file=str(settings.scheduler), security=security, timeout=30, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ClusterError(
            f"{settings.scheduler}: no scheduler answers there ({reason}); start it anew, with the keys of --tls"
        ) from error
    with client:
        there = len(client.scheduler_info(n_workers=-1)["workers"])
        yield Workers(client, max(settings.workers or there, 1), f"{there} workers of {settings.scheduler}")


@contextmanager
def _client(cluster: Any, security: "Security") -> Iterator["Client"]:
    from distributed import Client  # noqa: PLC0415

    client = Client(cluster, security=security, set_as_default=False)
    try:
        yield client
    finally:
        client.close(timeout=CLOSE_SECONDS)
