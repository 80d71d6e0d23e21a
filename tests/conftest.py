"""Array types are checked at run time in every test: a volume with swapped axes fails where it enters."""

import signal
from collections import Counter

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests import typechecker
from tests.shared import SHARED

install_import_hook("tomopicker", "tests.typechecker.checked")
settings.register_profile("fuzz", max_examples=5000, deadline=None)
"""For ``make fuzz``: budgets are fractions of the profile's."""


def pytest_configure(config):
    """Heed SIGINT: a shell lets its background jobs ignore it, and the commands that tests interrupt inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup():
    typechecker.start_again()


def pytest_collection_modifyitems(items):
    """Skip the group ``shared`` where its files are not; begin with what takes longest.

    So all workers end at about once: pytest-xdist itself begins with the scopes of most tests, not of the longest.
    """
    if not SHARED.is_dir():
        for item in items:
            if item.get_closest_marker("shared"):
                item.add_marker(pytest.mark.skip(reason=f"{SHARED} is not there"))
    tests = Counter(scope_of(item.nodeid) for item in items)
    first = {scope: rank for rank, scope in enumerate(LONGEST)}
    items.sort(key=lambda item: (first.get(scope := scope_of(item.nodeid), len(first)), -tests[scope], scope))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give files, and packages that share costly fixtures, to one worker, which makes them once, in the order above."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return scope_of(nodeid)

    config.option.loadscopereorder = False
    return Together(config, log)


TOGETHER = {"benchmark", "cli", "cluster", "diagnostics", "fewshot", "pipeline", "slurm"}
"""Packages whose session fixtures (a trained model, features, a cluster) take seconds."""
LONGEST = ("cli", "pipeline", "fewshot", "cluster", "tests/picking/test_calibration.py", "benchmark", "diagnostics")
"""Of all scopes, by the time they took."""


def scope_of(nodeid):
    """Name the package of a test where it is one of `TOGETHER`, or else its file.

    pytest-xdist's own groups (``xdist_group``) do nothing with pytest 9: xdist 3.8 renames what pytest no longer reads.
    """
    path = nodeid.partition("::")[0].split("/")
    return path[1] if path[1] in TOGETHER else "/".join(path)


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """Nothing here loses power; tests of what is on the disk when put the real thing back."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tomopicker.files._sync", lambda _: None)
        yield
