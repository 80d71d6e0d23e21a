"""Recognising the format of a file from its name and its first bytes.

Rules of the registry, which has the order in which they are tried. A rule takes the path and the head of the file and
reads nothing else, so that choosing a reader imports none.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path

Rule = Callable[[Path, bytes], bool]
VOLUME_SUFFIXES = (".mrc", ".rec", ".map", ".st", ".mrcs")
"""Of MRC files; those of image stacks and tilt series are among them."""
COMPRESSION_SUFFIXES = (".gz", ".bz2")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ZARR_MARKS = (".zgroup", ".zarray", ".zattrs", "zarr.json")
_STAR_START = re.compile(rb"\s*(#[^\n]*\n\s*)*data_\S*\s")


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


def holds(mark: bytes) -> Rule:
    """Recognise a format by what stands in its head."""
    return lambda path, head: mark in head


def begins_like(pattern: bytes) -> Rule:
    """Recognise a format by a pattern of its first line."""
    return lambda path, head: re.match(pattern, head) is not None


def any_of(*rules: Rule) -> Rule:
    """Recognise a format by any of several rules."""
    return lambda path, head: any(rule(path, head) for rule in rules)


def all_of(*rules: Rule) -> Rule:
    """Recognise a format by several rules together."""
    return lambda path, head: all(rule(path, head) for rule in rules)


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
    """Return the last suffix that does not name a compression, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSION_SUFFIXES]
    return suffixes[-1] if suffixes else ""


def is_zarr(path: Path, head: bytes = b"") -> bool:
    """Recognise a Zarr folder by what is in it."""
    return path.is_dir() and any((path / mark).is_file() for mark in _ZARR_MARKS)


def is_star(path: Path, head: bytes) -> bool:
    """Recognise STAR by its suffix, or by a data block after nothing but comments."""
    return path.suffix.lower() == ".star" or _STAR_START.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def is_motl_csv(path: Path, head: bytes) -> bool:
    """Recognise a motive list by a first line of 20 numbers."""
    fields = head.partition(b"\n")[0].split(b",")
    try:
        return len(fields) == 20 and all(math.isfinite(float(field)) for field in fields)
    except ValueError:
        return False


_SHREC_ROW = rb"\s*[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*(?:[ \t]+-?\d+(?:\.\d*)?){6}[ \t\r]*(?:\n|$)"

is_stopgap = all_of(holds(b"_orig_x"), is_star)
is_cbox = any_of(has_suffix(".cbox"), all_of(holds(b"_cbox_format_version"), is_star))
is_eman2 = all_of(has_suffix(".json"), any_of(lambda path, head: path.name.endswith("_info.json"), holds(b"boxes_3d")))
is_copick = all_of(has_suffix(".json"), holds(b'"pickable_object_name"'))
is_portal = any_of(has_suffix(".ndjson"), begins_like(rb"[ \t\r]*\{[^\n]*\"location\""))
is_amira = begins_like(rb"\s*#\s*(?:AmiraMesh|Avizo)\b")
is_pickle = any_of(
    has_suffix(".tloc", ".pkl", ".pickle"), starts_with(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
)
is_pytom_text = all_of(begins_like(rb"\s*#"), lambda path, head: b"TOMONAME" in head[:4096])
is_shrec = all_of(has_suffix(".txt"), begins_like(_SHREC_ROW))
is_coords = all_of(has_suffix(".coords"), is_text)
"""A list of coordinates is known by its suffix: a label before x looks like x by its value."""
