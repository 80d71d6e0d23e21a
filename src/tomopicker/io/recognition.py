"""Recognising the format of a file from its name and its first bytes.

Rules of the registry, which has the order in which they are tried. A rule takes the path and the head of the file and
reads nothing else, so that choosing a reader imports none.
"""

import math
import re
import struct
from collections.abc import Callable
from pathlib import Path

Rule = Callable[[Path, bytes], bool]
VOLUME_SUFFIXES = (".mrc", ".rec", ".map", ".st", ".mrcs")
"""Of MRC files; those of image stacks and tilt series are among them."""
COMPRESSION_SUFFIXES = (".gz", ".bz2")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
EM_HEADER_BYTES = 512
EM_TYPES = {1: "i1", 2: "i2", 4: "i4", 5: "f4", 9: "f8"}
"""Types of real numbers by byte 3 of an EM file's header (tom_emread's documentation)."""
_ZARR_MARKS = (".zgroup", ".zarray", ".zattrs", "zarr.json")
_PICKLE = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_STAR_START = re.compile(rb"\s*(#[^\n]*\n\s*)*data_\S*\s")
_AMIRA_START = re.compile(rb"#\s*(?:AmiraMesh|Avizo)\b")
_SHREC_ROW = re.compile(rb"\s*[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*(?:[ \t]+-?\d+(?:\.\d*)?){6}[ \t\r]*(?:\n|$)")


def has_suffix(*suffixes: str) -> Rule:
    """Recognise a format whose content is mere numbers, by its suffix in any case of letters."""
    return lambda path, head: path.suffix.lower() in suffixes


def starts_with(*marks: bytes) -> Rule:
    """Recognise a format by its first bytes."""
    return lambda path, head: head.startswith(marks)


def has_root(*tags: bytes) -> Rule:
    """Recognise XML by its first element."""

    def rule(path: Path, head: bytes) -> bool:
        found = re.search(rb"<\s*([A-Za-z_][\w.-]*)", re.sub(rb"<!--.*?-->", b"", head, flags=re.DOTALL))
        return found is not None and found.group(1) in tags

    return rule


def any_of(*rules: Rule) -> Rule:
    """Recognise a format by any of several rules."""
    return lambda path, head: any(rule(path, head) for rule in rules)


def never(path: Path, head: bytes) -> bool:
    """For formats that have to be named."""
    return False


def is_text(path: Path, head: bytes) -> bool:
    """Take any text, in any encoding."""
    return b"\0" not in head or head.startswith(UTF16_MARKS)


def is_mrc(path: Path, head: bytes) -> bool:
    """Recognise MRC by its mark, or by its suffix before those of compression."""
    return head[208:211] == b"MAP" or volume_suffix(path) in VOLUME_SUFFIXES


def volume_suffix(path: Path) -> str:
    """Give the last suffix that does not name a compression, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSION_SUFFIXES]
    return suffixes[-1] if suffixes else ""


def is_zarr(path: Path, head: bytes = b"") -> bool:
    """Recognise a Zarr folder by what is in it."""
    return path.is_dir() and any((path / mark).is_file() for mark in _ZARR_MARKS)


def is_em_volume(path: Path) -> bool:
    """Recognise an EM file that holds a volume from a motive list or a list of angles."""
    try:
        with path.open("rb") as stream:
            head = stream.read(EM_HEADER_BYTES)
    except OSError:
        return False
    return len(head) == EM_HEADER_BYTES and min(em_size(head)) > 1


def em_size(head: bytes) -> tuple[int, int, int]:
    """Read (x, y, z) from the header of an EM file."""
    x, y, z = struct.unpack(f"{em_byte_order(head)}3i", head[4:16])
    return x, y, z


def em_byte_order(head: bytes) -> str:
    """Give the byte order of an EM file: byte 0 is the machine, 6 a PC."""
    return "<" if head[0] == 6 else ">"


def is_star(path: Path, head: bytes) -> bool:
    """Recognise STAR by its suffix, or by a data block after nothing but comments."""
    return path.suffix.lower() == ".star" or _STAR_START.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def is_stopgap(path: Path, head: bytes) -> bool:
    """Recognise STOPGAP's lists by their columns."""
    return b"_orig_x" in head and is_star(path, head)


def is_cbox(path: Path, head: bytes) -> bool:
    """Recognise CBOX by its suffix, or by the line that states its version."""
    return path.suffix.lower() == ".cbox" or (b"_cbox_format_version" in head and is_star(path, head))


def is_motl_csv(path: Path, head: bytes) -> bool:
    """Recognise a motive list by a first line of 20 numbers."""
    fields = head.partition(b"\n")[0].split(b",")
    try:
        return len(fields) == 20 and all(math.isfinite(float(field)) for field in fields)
    except ValueError:
        return False


def is_eman2(path: Path, head: bytes) -> bool:
    """Recognise EMAN2's info files by their name or their key."""
    return path.suffix.lower() == ".json" and (path.name.endswith("_info.json") or b"boxes_3d" in head)


def is_copick(path: Path, head: bytes) -> bool:
    """Recognise copick's picks by their key."""
    return path.suffix.lower() == ".json" and b'"pickable_object_name"' in head


def is_portal(path: Path, head: bytes) -> bool:
    """Recognise annotations of the portal by their suffix, or by an object with a location in the first line."""
    return path.suffix.lower() == ".ndjson" or (head.lstrip()[:1] == b"{" and b'"location"' in head.split(b"\n")[0])


def is_amira(path: Path, head: bytes) -> bool:
    """Recognise Amira's files by their first line."""
    return _AMIRA_START.match(head.lstrip()) is not None


def is_pickle(path: Path, head: bytes) -> bool:
    """Recognise a Python pickle by its suffix or its first bytes."""
    return path.suffix.lower() in {".tloc", ".pkl", ".pickle"} or head.startswith(_PICKLE)


def is_pytom_text(path: Path, head: bytes) -> bool:
    """Recognise coordinates of PyTom's picker by their comment."""
    return head.lstrip().startswith(b"#") and b"TOMONAME" in head[:4096]


def is_shrec(path: Path, head: bytes) -> bool:
    """Recognise SHREC's lists by their first line: a word and six numbers."""
    return path.suffix.lower() == ".txt" and _SHREC_ROW.match(head) is not None


def is_coords(path: Path, head: bytes) -> bool:
    """Recognise lists of coordinates by their suffix: a label before x looks like x by its value."""
    return path.suffix.lower() == ".coords" and is_text(path, head)
