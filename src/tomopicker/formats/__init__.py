"""Files in and out: the only place that knows a layout. See `catalogue` for the list of formats."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tomopicker.formats.catalogue import FORMATS
    from tomopicker.formats.mrc import write_mrc, write_mrc_sections
    from tomopicker.formats.names import match_name, tomogram_name
    from tomopicker.formats.read import has_no_picks, read_picks, read_table
    from tomopicker.formats.relion_project import read_frames, write_optimisation_set, write_relion5_import_list
    from tomopicker.formats.volumes import open_tomogram, volume_files
    from tomopicker.formats.write import binning_remark, check_names, files_in, naming_remark, write_picks

__all__ = [
    "FORMATS",
    "binning_remark",
    "check_names",
    "files_in",
    "has_no_picks",
    "match_name",
    "naming_remark",
    "open_tomogram",
    "read_frames",
    "read_picks",
    "read_table",
    "tomogram_name",
    "volume_files",
    "write_mrc",
    "write_mrc_sections",
    "write_optimisation_set",
    "write_picks",
    "write_relion5_import_list",
]

_HOMES = {
    "FORMATS": "catalogue",
    "binning_remark": "write",
    "check_names": "write",
    "files_in": "write",
    "has_no_picks": "read",
    "match_name": "names",
    "naming_remark": "write",
    "open_tomogram": "volumes",
    "read_frames": "relion_project",
    "read_picks": "read",
    "read_table": "read",
    "tomogram_name": "names",
    "volume_files": "volumes",
    "write_mrc": "mrc",
    "write_mrc_sections": "mrc",
    "write_optimisation_set": "relion_project",
    "write_picks": "write",
    "write_relion5_import_list": "relion_project",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: mrcfile, pandas and starfile are slow to load."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
