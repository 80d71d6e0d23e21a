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


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """Nothing here loses power; tests of what is on the disk when put the real thing back."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tomopicker.files._sync", lambda _: None)
        yield
