"""Text of any origin: UTF-8 with or without a byte order mark, UTF-16, or Latin-1; never binary."""

from pathlib import Path

from tomopicker.errors import TomoPickerError

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: Path) -> str:
    """Read a text file.

    Raises
    ------
    TomoPickerError
        If it cannot be read, or is binary.
    """
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise TomoPickerError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    encoding = "utf-16" if raw[:2] in UTF16_MARKS else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if not looks_like_text(text):
        raise TomoPickerError(f"{path}: it is not a text file; give a STAR file or text columns (x,y,z)")
    return text


def looks_like_text(text: str) -> bool:
    """Say whether there are no control characters other than white space."""
    return not any(ord(character) < 32 and character not in "\t\n\r\f\v\x1a" for character in text[:100_000])
