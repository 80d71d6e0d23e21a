"""Two local workers shared by all tests, reached through a running scheduler."""

import contextlib
from importlib.util import find_spec

import pytest

from tomopicker.cluster.engines import started
from tomopicker.cluster.settings import ClusterSettings

needs_jobqueue = pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed")
"""Checked without importing dask, which writes to the home folder and changes signal handling."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Settings for reaching the workers."""
    pytest.importorskip("distributed")
    import dask

    folder = tmp_path_factory.mktemp("cluster")
    with contextlib.ExitStack() as stack:
        # Killed workers restart quickly, since they are forked from a process that has imported dask.
        stack.enter_context(dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}))
        workers = stack.enter_context(started(ClusterSettings(engine="local", workers=2), 1000, 2, folder))
        workers.client.write_scheduler_file(str(folder / "scheduler.json"))
        keys = next(folder.glob(".keys-*"))
        yield ClusterSettings(engine="scheduler", scheduler=folder / "scheduler.json", tls=keys, workers=2)
