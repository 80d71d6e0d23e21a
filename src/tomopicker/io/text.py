"""Text of any origin, read as plain text, XML or JSON.

Text is UTF-8 with or without a byte order mark, UTF-16, or Latin-1; never binary.
"""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tomopicker.errors import TomoPickerError
from tomopicker.io.recognition import UTF16_MARKS

_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_DOCUMENT_TYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def read_bytes(path: Path) -> bytes:
    """Read a file; raises `TomoPickerError` if it cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise TomoPickerError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def read_text(path: Path) -> str:
    """Read a text file; raises `TomoPickerError` if it cannot be read, or is binary."""
    raw = read_bytes(path)
    try:
        text = raw.decode("utf-16" if raw[:2] in UTF16_MARKS else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    # Control characters other than white space.
    if any(ord(character) < 32 and character not in "\t\n\r\f\v\x1a" for character in text[:100_000]):
        raise TomoPickerError(f"{path}: it is not a text file; give a STAR file or text columns (x,y,z)")
    return text


def content_lines(path: Path) -> list[tuple[str, str]]:
    """Return the lines of a text file that are not blank, each with what to call it in a message (``line 7``)."""
    return [(f"line {i}", line) for i, line in enumerate(read_text(path).splitlines(), start=1) if line.strip()]


def read_xml(path: Path) -> ElementTree.Element:
    """Read a file's root element, without entities: those can grow a small file to fill the memory.

    Raises `TomoPickerError` if it is no XML, or declares a document type.
    """
    text = _XML_DECLARATION.sub("", read_text(path))
    if _DOCUMENT_TYPE.search(text):
        raise TomoPickerError(f"{path}: it declares a document type or entities, which are not read; remove them")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise TomoPickerError(f"{path}: cannot be read as XML ({str(error)[:80]}); correct it") from error


def read_json(path: Path, otherwise: str) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    otherwise : str
        The message for JSON that is no object.

    Raises
    ------
    TomoPickerError
        If it is no JSON object.
    """
    try:
        content = parse_json(read_text(path))
    except (ValueError, RecursionError) as error:
        raise TomoPickerError(f"{path}: cannot be read as JSON ({str(error)[:80]}); correct it") from error
    if not isinstance(content, dict):
        raise TomoPickerError(f"{path}: {otherwise}")
    return content


def parse_json(text: str) -> Any:
    """Parse JSON; whole numbers of 18 digits and more become floats, as Python is slow to parse very long ones."""
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 18 else float(digits))
