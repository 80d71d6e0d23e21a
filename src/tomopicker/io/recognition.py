"""Rules that recognise the format of a file by its path and first bytes.

The registry has the order in which they are tried. Rules read nothing else, so that choosing a reader imports none.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path

Rule = Callable[[Path, bytes], bool]
VOLUME_SUFFIXES = (".mrc", ".rec", ".map", ".st", ".mrcs")
"""Of MRC files, including image stacks and tilt series."""
COMPRESSION_SUFFIXES = (".gz", ".bz2")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ZARR_FILES = (".zgroup", ".zarray", ".zattrs", "zarr.json")


def has_suffix(*suffixes: str) -> Rule:
    """Match the suffix, in any case of letters."""
    return lambda path, head: path.suffix.lower() in suffixes


def has_content(pattern: bytes) -> Rule:
    """Match a pattern at the beginning of the file."""
    compiled = re.compile(pattern, re.DOTALL)
    return lambda path, head: compiled.match(head) is not None


def has_root(*tags: bytes) -> Rule:
    """Match the first element of XML."""

    def rule(path: Path, head: bytes) -> bool:
        element = re.search(rb"<\s*([A-Za-z_][\w.-]*)", re.sub(rb"<!--.*?-->", b"", head, flags=re.DOTALL))
        return element is not None and element.group(1) in tags

    return rule


def any_of(*rules: Rule) -> Rule:
    """Match if any rule does; without rules never, for formats that have to be named."""
    return lambda path, head: any(rule(path, head) for rule in rules)


def all_of(*rules: Rule) -> Rule:
    """Match if all rules do."""
    return lambda path, head: all(rule(path, head) for rule in rules)


def is_text(path: Path, head: bytes) -> bool:
    """Match any text, in any encoding."""
    return b"\0" not in head or head.startswith(UTF16_MARKS)


def is_mrc(path: Path, head: bytes) -> bool:
    """Match the letters MAP of an MRC header, or the suffix before those of compression."""
    return head[208:211] == b"MAP" or volume_suffix(path) in VOLUME_SUFFIXES


def volume_suffix(path: Path) -> str:
    """Return the last suffix that is not of compression, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSION_SUFFIXES]
    return suffixes[-1] if suffixes else ""


def is_zarr(path: Path, head: bytes = b"") -> bool:
    """Match a folder with the metadata of Zarr."""
    return path.is_dir() and any((path / name).is_file() for name in _ZARR_FILES)


def is_motl_csv(path: Path, head: bytes) -> bool:
    """Match a first line of 20 numbers."""
    fields = head.partition(b"\n")[0].split(b",")
    try:
        return len(fields) == 20 and all(math.isfinite(float(field)) for field in fields)
    except ValueError:
        return False


is_star = any_of(has_suffix(".star"), has_content(rb"(?:\xef\xbb\xbf)?\s*(?:#[^\n]*\n\s*)*data_\S*\s"))
"""By its suffix, or by a data block after nothing but comments."""
is_stopgap = all_of(has_content(rb".*_orig_x"), is_star)
is_cbox = any_of(has_suffix(".cbox"), all_of(has_content(rb".*_cbox_format_version"), is_star))
is_eman2 = all_of(
    has_suffix(".json"), any_of(lambda path, head: path.name.endswith("_info.json"), has_content(rb".*boxes_3d"))
)
is_copick = all_of(has_suffix(".json"), has_content(rb'.*"pickable_object_name"'))
is_portal = any_of(has_suffix(".ndjson"), has_content(rb"[ \t\r]*\{[^\n]*\"location\""))
is_amira = has_content(rb"\s*#\s*(?:AmiraMesh|Avizo)\b")
is_pickle = any_of(has_suffix(".tloc", ".pkl", ".pickle"), has_content(rb"\x80[\x02-\x05]"))
is_pytom_text = has_content(rb"\s*#.{0,4096}TOMONAME")
is_shrec = all_of(
    has_suffix(".txt"),
    has_content(rb"\s*[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*(?:[ \t]+-?\d+(?:\.\d*)?){6}[ \t\r]*(?:\n|$)"),
)
is_coords = all_of(has_suffix(".coords"), is_text)
"""A label before x looks like x, so lists of coordinates are known by their suffix."""
