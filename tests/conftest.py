"""Array types are checked at run time in every test: a volume with swapped axes fails where it enters."""

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests import typechecker

install_import_hook("tomopicker", "tests.typechecker.checked")
settings.register_profile("fuzz", max_examples=5000, deadline=None)
"""For ``make fuzz``: budgets are fractions of the profile's."""


def pytest_runtest_setup():
    typechecker.start_again()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Give tests that share a fixture to one worker, which makes it once; the largest groups are handed out first."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None and (group := shared_by(item)):
            item.add_marker(pytest.mark.xdist_group(group))


def shared_by(item):
    """Name the package, or else the file, whose fixtures of a session or module a test uses; None if it uses none."""
    owners = {
        found.baseid
        for found_all in item._fixtureinfo.name2fixturedefs.values()
        for found in found_all[-1:]
        if found.scope in {"session", "module"} and found.baseid not in {"", "tests"}
    }
    # "tests/cli" before "tests/cli/test_kinds.py".
    return min(owners, key=len).removeprefix("tests/") if owners else None


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """Nothing here loses power; tests of what is on the disk when put the real thing back."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tomopicker.files._sync", lambda _: None)
        yield
