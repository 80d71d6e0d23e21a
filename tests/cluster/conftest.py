"""Two workers on this machine that all tests share, reached as a scheduler that somebody else started."""

import contextlib
from importlib.util import find_spec

import pytest

from tomopicker.cluster.engines import started
from tomopicker.cluster.settings import ClusterSettings

needs_jobqueue = pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed")
"""Without importing it, which writes to the user's home and changes what a Ctrl-C does; the product undoes both."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Settings that reach the workers."""
    pytest.importorskip("distributed")
    import dask

    folder = tmp_path_factory.mktemp("cluster")
    with contextlib.ExitStack() as stack:
        # A worker that is killed is back in a fraction of a second, for dask is imported already where it is forked.
        stack.enter_context(dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}))
        workers = stack.enter_context(started(ClusterSettings(engine="local", workers=2), 1000, 2, folder))
        workers.client.write_scheduler_file(str(folder / "scheduler.json"))
        keys = next(folder.glob(".keys-*"))
        yield ClusterSettings(engine="scheduler", scheduler=folder / "scheduler.json", tls=keys, workers=2)
