"""XML of any origin, read without entities: those can grow a small file to fill the memory."""

import re
from pathlib import Path
from xml.etree import ElementTree

from tomopicker.errors import TomoPickerError
from tomopicker.formats.textfile import read_text

_DECLARES = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def read_root(path: Path) -> ElementTree.Element:
    """Read a file's root element.

    Raises
    ------
    TomoPickerError
        If it is no XML, or declares a document type.
    """
    text = _DECLARATION.sub("", read_text(path))
    if _DECLARES.search(text):
        raise TomoPickerError(f"{path}: it declares a document type or entities, which are not read; remove them")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise TomoPickerError(f"{path}: cannot be read as XML ({str(error)[:80]}); mend it") from error


def starts_with(head: bytes, *tags: bytes) -> bool:
    """Say whether the first element is one of these."""
    found = re.search(rb"<\s*([A-Za-z_][\w.-]*)", re.sub(rb"<!--.*?-->", b"", head, flags=re.DOTALL))
    return found is not None and found.group(1) in tags
