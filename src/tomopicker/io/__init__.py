"""File formats: the only package that knows the layout of a file.

`registry` lists the formats; `volumes` opens and writes tomograms, `particles` reads and writes picks, `projects` reads
the lists and folders of RELION, Warp and copick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tomopicker.io.projects.relion import read_frames, write_optimisation_set, write_relion5_import_list
    from tomopicker.io.read import has_no_picks, read_picks, read_table
    from tomopicker.io.read_options import ReadOptions
    from tomopicker.io.registry import FORMATS
    from tomopicker.io.tomogram_names import match_name, tomogram_name
    from tomopicker.io.volumes.mrc_write import write_mrc, write_mrc_sections
    from tomopicker.io.volumes.open import open_tomogram, volume_files
    from tomopicker.io.write import binning_remark, check_names, files_in, naming_remark, write_picks

__all__ = [
    "FORMATS", "ReadOptions", "binning_remark", "check_names", "files_in", "has_no_picks", "match_name",
    "naming_remark", "open_tomogram", "read_frames", "read_picks", "read_table", "tomogram_name", "volume_files",
    "write_mrc", "write_mrc_sections", "write_optimisation_set", "write_picks", "write_relion5_import_list",
]  # fmt: skip

_MODULES = {
    "projects.relion": ("read_frames", "write_optimisation_set", "write_relion5_import_list"),
    "read": ("has_no_picks", "read_picks", "read_table"),
    "registry": ("FORMATS",),
    "tomogram_names": ("match_name", "tomogram_name"),
    "read_options": ("ReadOptions",),
    "volumes.mrc_write": ("write_mrc", "write_mrc_sections"),
    "volumes.open": ("open_tomogram", "volume_files"),
    "write": ("binning_remark", "check_names", "files_in", "naming_remark", "write_picks"),
}


def __getattr__(name: str) -> object:
    """Import a function on first use: mrcfile, pandas and starfile are slow to load."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
