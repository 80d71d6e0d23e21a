"""Array types are checked at run time in every test: a volume with swapped axes fails where it enters."""

from hypothesis import settings
from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401  The hook looks for it by name.

install_import_hook("tomopicker", "tests.typechecker.checked")
settings.register_profile("fuzz", max_examples=5000, deadline=None)
"""For ``make fuzz``: budgets are fractions of the profile's."""
