"""Array types are checked at run time in every test: a volume with swapped axes fails where it enters."""

from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401  The hook looks for it by name.

install_import_hook("tomopicker", "tests.typechecker.checked")
