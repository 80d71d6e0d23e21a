"""Text, XML and JSON from files of any origin.

Text is UTF-8 with or without a byte order mark, UTF-16, or Latin-1; binary files are refused.
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
_CONTROL_CHARACTER = re.compile(r"[^\t\n\r\f\v\x1a\x20-\U0010ffff]")


def read_bytes(path: Path, size: int = -1) -> bytes:
    """Read a file, or its first `size` bytes; raises `TomoPickerError` if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except FileNotFoundError as error:
        raise TomoPickerError(f"{path}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise TomoPickerError(f"{path}: it is a folder; give the file in it") from error
    except (OSError, ValueError) as error:
        raise TomoPickerError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def read_text(path: Path) -> str:
    """Read a text file; raises `TomoPickerError` if it cannot be read, or is binary."""
    raw = read_bytes(path)
    try:
        text = raw.decode("utf-16" if raw[:2] in UTF16_MARKS else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if _CONTROL_CHARACTER.search(text, 0, 100_000):
        raise TomoPickerError(f"{path}: it is not a text file; give a STAR file or text columns (x,y,z)")
    return text


def read_xml(path: Path) -> ElementTree.Element:
    """Read the root element of an XML file. Entities are refused: a small file with them can fill the memory.

    Raises `TomoPickerError` if it is not XML, or declares a document type.
    """
    text = _XML_DECLARATION.sub("", read_text(path))
    if _DOCUMENT_TYPE.search(text):
        raise TomoPickerError(f"{path}: it declares a document type or entities, which are not read; remove them")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise TomoPickerError(f"{path}: cannot be read as XML ({str(error)[:80]}); correct it") from error


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises `TomoPickerError` if it is not JSON, or, with the message `expected`, not an object.
    """
    try:
        content = parse_json(read_text(path))
    except (ValueError, RecursionError) as error:
        raise TomoPickerError(f"{path}: cannot be read as JSON ({str(error)[:80]}); correct it") from error
    if not isinstance(content, dict):
        raise TomoPickerError(f"{path}: {expected}")
    return content


def parse_json(text: str) -> Any:
    """Parse JSON; integers of 18 digits or more become floats, because Python parses very long ones slowly."""
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 18 else float(digits))
