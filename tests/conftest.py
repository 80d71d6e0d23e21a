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
"""Profile of ``make fuzz``: the budgets of tests are fractions of its budget."""


def pytest_configure(config):
    """Enable SIGINT: shells disable it for background jobs, and commands run by tests would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup():
    typechecker.start_again()


def pytest_collection_modifyitems(items):
    """Skip the group ``shared`` if its files are missing; run the longest scopes first.

    All workers then finish at about the same time: pytest-xdist starts with the scopes of most tests.
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
    """Assign each file, or package with costly shared fixtures, to one worker, in the order above."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return scope_of(nodeid)

    config.option.loadscopereorder = False
    return Together(config, log)


TOGETHER = {"benchmark", "cli", "cluster", "diagnostics", "fewshot", "pipeline", "slurm"}
"""Packages with costly session fixtures (a trained model, features, a cluster)."""
LONGEST = ("cli", "pipeline", "fewshot", "cluster", "tests/picking/test_calibration.py", "benchmark", "diagnostics")
"""Scopes, longest first."""


def scope_of(nodeid):
    """Return the package of a test if it is in `TOGETHER`, otherwise its file.

    The groups of pytest-xdist (``xdist_group``) have no effect with pytest 9: xdist 3.8 sets a name it no longer reads.
    """
    path = nodeid.partition("::")[0].split("/")
    return path[1] if path[1] in TOGETHER else "/".join(path)


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """Disable fsync: power is never lost here; tests of durability enable it again."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tomopicker.files._sync", lambda _: None)
        yield
