"""Two workers on this machine that all tests share, reached as a scheduler that somebody else started."""

import contextlib

import pytest

from tomopicker.cluster.engines import started
from tomopicker.cluster.settings import ClusterSettings


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Settings that reach the workers."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("cluster")
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(started(ClusterSettings(engine="local", workers=2), 1000, 2, folder))
        workers.client.write_scheduler_file(str(folder / "scheduler.json"))
        keys = next(folder.glob(".keys-*"))
        yield ClusterSettings(engine="scheduler", scheduler=folder / "scheduler.json", tls=keys, workers=2)
