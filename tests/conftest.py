"""Array types are checked at run time in every test: a volume with swapped axes fails where it enters."""

from jaxtyping import install_import_hook

install_import_hook("tomopicker", "beartype.beartype")
