"""The registry of file formats: what each holds, how it is recognised, its reader and writer, and its units.

A new format is one row here and its functions, which are named by module and imported on first use:

- a reader of picks, ``read(path) -> PickTable``; it raises `TomoPickerError`, one line that names the file and the row,
  for other content, missing columns, a value that is not a number, and a file without picks;
- a writer of picks, ``write(picks, frames, path)``;
- a reader of volumes, ``open_…(path, options) -> Tomogram``.

Formats are tried in the order of the rows; plain text, which accepts anything, is last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.io import recognition as rules
from tomopicker.io.recognition import Rule, any_of, has_content, has_root, has_suffix
from tomopicker.io.text import read_bytes

HEAD_BYTES = 65536
FIRST_VOXEL = "centre of the first voxel"
FROM_ONE = "centre of the first voxel is 1, 1, 1"
RELION_ANGLES = "rlnAngleRot, Tilt, Psi"
FOM = "rlnAutopickFigureOfMerit"
STAR, TEXT, LISTS = "particles.relion_read.read", "particles.delimited.read", "particles.text_lists"


@dataclass(frozen=True)
class Format:
    """One row of the registry.

    Parameters
    ----------
    name : str
        Its name on the command line (``--to relion5``).
    kind : "volume" or "picks"
    suffixes : tuple of str
        Lower case, with the dot; files are written with the first.
    title : str
        Its description in the list of formats.
    recognise : callable
        Returns True if a file, of this path and these first bytes, may be of this format.
    reader, writer : str, optional
        Functions of this package, as ``module.function``; None if it cannot be read or written.
    unit, origin, score, angles : str
        The unit and origin of its coordinates, and the fields of score and angles, in words.
    needs : tuple of "voxel size" or "shape"
        Geometry of the tomogram that is needed to write it.
    single : bool
        A file holds the picks of one tomogram, which it may not even name.
    refused : bool
        The reader only raises an error that names an alternative.
    ending : str
        The end of a file's name after the tomogram's, if the tool expects more than a suffix.
    """

    name: str
    kind: Literal["volume", "picks"]
    suffixes: tuple[str, ...]
    title: str
    recognise: Rule
    reader: str | None
    writer: str | None
    unit: str
    origin: str = FIRST_VOXEL
    score: str = "none"
    angles: str = "none"
    needs: tuple[Literal["voxel size", "shape"], ...] = ()
    single: bool = False
    refused: bool = False
    ending: str = ""

    def read(self, path: Path, *options: Any) -> Any:
        """Read picks, or open a tomogram with options, by the reader."""
        return import_function(self.reader)(path, *options)

    def write(self, picks: Any, frames: Any, path: Path) -> None:
        """Write picks by the writer."""
        import_function(self.writer)(picks, frames, path)


# fmt: off
FORMATS: tuple[Format, ...] = (
    Format("mrc", "volume", (".mrc", ".rec", ".map", ".st", ".mrcs"), "MRC 2014, IMOD and older; gzip or bzip2",
        rules.is_mrc, "volumes.mrc.open_mrc", "volumes.mrc_write.write_mrc", "Å in the header"),
    Format("zarr", "volume", (".zarr",), "OME-Zarr 0.4 and 0.5, Zarr arrays; local folders",
        rules.is_zarr, "volumes.zarr.open_zarr", None, "as its axes state; else Å"),
    Format("hdf5", "volume", (".hdf", ".h5", ".hdf5"), "HDF5: EMAN2's, and others with --dataset",
        has_content(rb"\x89HDF\r\n\x1a\n"), "volumes.stacks.open_hdf5", None,
        "Å in EMAN.apix_x, µm in element_size_um"),
    Format("tiff", "volume", (".tif", ".tiff"), "TIFF stacks, one page per section",
        has_content(rb"II[*+]\0|MM\0[*+]"), "volumes.stacks.open_tiff", None,
        "in ImageJ or OME metadata"),
    Format("em", "volume", (".em",), "EM volume",
        has_suffix(".em"), "volumes.em.open_em", None, "not in the file: give --voxel-size"),
    Format("stopgap", "picks", (".star",), "STOPGAP motive list",
        rules.is_stopgap, "particles.motive_lists.read_stopgap", "particles.motive_lists.write_stopgap",
        "voxels", FROM_ONE, "score", "phi, psi, the"),
    Format("cbox", "picks", (".cbox",), "crYOLO boxes, 3D",
        rules.is_cbox, "particles.boxes.read_cbox", "particles.boxes.write_cbox",
        "voxels", "x, y: corner of the box; z: its centre", "Confidence", single=True),
    Format("relion5", "picks", (".star",), "RELION 5 particles, optimisation set, import list",
        rules.is_star, STAR, "particles.relion_write.write_relion5",
        "Å", "centre of the tomogram, size / 2", FOM, RELION_ANGLES, ("voxel size", "shape")),
    Format("relion4", "picks", (".star",), "RELION 4 particles",
        rules.is_star, STAR, "particles.relion_write.write_relion4",
        "pixels of the tilt series", FIRST_VOXEL, FOM, RELION_ANGLES, ("voxel size",)),
    Format("relion3", "picks", (".star",), "RELION 3 particles, one block",
        rules.is_star, STAR, "particles.relion_write.write_relion3",
        "pixels of rlnPixelSize", FIRST_VOXEL, FOM, RELION_ANGLES, ("voxel size",)),
    Format("warp", "picks", (".star",), "Warp and M particles, <series>.tomostar",
        rules.is_star, STAR, "particles.relion_write.write_warp",
        "pixels of rlnPixelSize", FIRST_VOXEL, FOM, RELION_ANGLES, ("voxel size",)),
    Format("imod", "picks", (".mod",), "IMOD model",
        has_content(rb"IMOD"), "particles.imod.read", "particles.imod.write",
        "voxels", "x, y: corner of the first voxel; z: its centre", single=True),
    Format("dynamo", "picks", (".tbl",), "Dynamo table, and <stem>.doc with its tomograms",
        has_suffix(".tbl"), "particles.motive_lists.read_dynamo", "particles.motive_lists.write_dynamo",
        "voxels", FROM_ONE, "column 10", "columns 7-9, tdrot, tilt, narot"),
    Format("motl", "picks", (".em",), "EM motive list, and <stem>.doc with its tomograms",
        has_suffix(".em"), "particles.motive_lists.read_motl_em", "particles.motive_lists.write_motl_em",
        "voxels", FROM_ONE, "row 1", "rows 17-19, phi, psi, theta"),
    Format("motl-csv", "picks", (".csv",), "motive list as 20 columns of text",
        rules.is_motl_csv, "particles.motive_lists.read_motl_csv", "particles.motive_lists.write_motl_csv",
        "voxels", FROM_ONE, "column 1", "columns 17-19, phi, psi, theta"),
    Format("eman2", "picks", (".json",), "EMAN2 info/<tomogram>_info.json",
        rules.is_eman2, "particles.boxes.read_eman2", "particles.boxes.write_eman2",
        "unbinned pixels", "middle voxel of the tomogram, size // 2", "fifth of a box",
        needs=("voxel size", "shape"), single=True, ending="_info.json"),
    Format("copick", "picks", (".json",), "copick picks of one run",
        rules.is_copick, "particles.copick.read", "particles.copick.write",
        "Å", FIRST_VOXEL, "score", "transformation_, 4 x 4", single=True),
    Format("portal", "picks", (".ndjson",), "CryoET Data Portal, points and oriented points",
        rules.is_portal, "particles.copick.read_portal", None,
        "voxels", FIRST_VOXEL, angles="xyz_rotation_matrix", single=True),
    Format("pytom", "picks", (".xml",), "PyTom particle list",
        has_root(b"ParticleList"), "particles.xml_lists.read_pytom", "particles.xml_lists.write_pytom",
        "voxels", FIRST_VOXEL, "Score", "Rotation Z1, Z2, X"),
    Format("deepfinder", "picks", (".xml",), "DeepFinder object list",
        has_root(b"objlist"), "particles.xml_lists.read_deepfinder", "particles.xml_lists.write_deepfinder",
        "voxels", FIRST_VOXEL, angles="kept as they are"),
    Format("amira", "picks", (".am", ".landmarkascii"), "Amira landmarks; points of its spatial graphs",
        rules.is_amira, "particles.amira.read", "particles.amira.write",
        "Å", FIRST_VOXEL, needs=("voxel size",), single=True),
    Format("cmm", "picks", (".cmm",), "Chimera and ChimeraX markers",
        any_of(has_suffix(".cmm"), has_root(b"marker_set", b"marker_sets")),
        "particles.xml_lists.read_markers", "particles.xml_lists.write_markers",
        "Å", FIRST_VOXEL, needs=("voxel size",), single=True),
    Format("tloc", "picks", (".tloc",), "TomoTwin pickle: refused, with what to give instead",
        rules.is_pickle, f"{LISTS}.refuse_pickle", None, "voxels", refused=True),
    Format("box", "picks", (".box",), "crYOLO EMAN_3D boxes, x y z",
        has_suffix(".box"), f"{LISTS}.read_box", f"{LISTS}.write_coords", "voxels", FIRST_VOXEL, single=True),
    Format("pytom-txt", "picks", (".txt",), "PyTom picker, text",
        rules.is_pytom_text, f"{LISTS}.read_pytom", None, "voxels", single=True),
    Format("shrec", "picks", (".txt",), "SHREC particle locations",
        rules.is_shrec, f"{LISTS}.read_shrec", None, "voxels", angles="kept as they are", single=True),
    Format("coords", "picks", (".coords",), "x y z without a header: TomoTwin, RELION import",
        rules.is_coords, f"{LISTS}.read_coords", f"{LISTS}.write_coords", "voxels", FIRST_VOXEL, single=True),
    Format("deepetpicker", "picks", (".coords",), "DeepETPicker, class x y z",
        rules.is_coords, f"{LISTS}.read_coords", f"{LISTS}.write_deepetpicker", "voxels", FIRST_VOXEL, single=True),
    Format("imod-text", "picks", (".txt",), "IMOD model2point, point2model; never guessed",
        any_of(), f"{LISTS}.read_imod", f"{LISTS}.write_imod",
        "voxels", "x, y: corner of the first voxel; z: its centre", single=True),
    Format("napari", "picks", (".csv",), "napari points, axis-0 axis-1 axis-2 = z y x",
        rules.is_text, TEXT, f"{LISTS}.write_napari", "voxels", FIRST_VOXEL, "column score", single=True),
    Format("topaz", "picks", (".txt",), "Topaz in 3D, MiLoPYP: image_name, x_coord, y_coord, z_coord",
        rules.is_text, TEXT, f"{LISTS}.write_topaz", "voxels", FIRST_VOXEL, "column score"),
    Format("csv", "picks", (".csv", ".txt", ".tsv"), "text columns, with or without a header",
        rules.is_text, TEXT, "particles.delimited.write",
        "voxels, or Å if the header states it", FIRST_VOXEL, "column score", RELION_ANGLES),
)
# fmt: on

DEFAULT_FORMATS = {".star": "relion5", ".csv": "csv", ".txt": "csv", ".coords": "coords", ".xml": "pytom"}
"""The format written under a suffix that several share, unless one is named."""


def format_named(name: str) -> Format:
    """Return the format of a name, in any case of letters.

    Raises `UsageError` if there is none; the message lists those that can be written.
    """
    for entry in FORMATS:
        if entry.name == name.lower():
            return entry
    known = ", ".join(entry.name for entry in FORMATS if entry.writer and entry.kind == "picks")
    raise UsageError(f"no format is named '{name}'; choose from {known}")


def for_output(path: Path, name: str | None = None) -> Format:
    """Return the format to write picks in: the one named, else that of the suffix (RELION 5 for .star).

    Raises `UsageError` if the format is unknown, holds no picks or cannot be written.
    """
    suffix = path.suffix.lower()
    name = DEFAULT_FORMATS.get(suffix) if name is None else name
    if name is None:
        for entry in FORMATS:
            if entry.kind == "picks" and entry.writer and suffix in entry.suffixes:
                return entry
        raise UsageError(f"{path}: '{path.suffix}' is not a suffix of picks; name a format with --to")
    entry = format_named(name)
    if entry.kind != "picks" or entry.writer is None:
        raise UsageError(f"{path}: picks cannot be written as '{name}'; choose another --to")
    return entry


def for_input(name: str) -> Format:
    """Return the format of picks that a user named.

    Raises `UsageError` if there is none, or it is not read as picks.
    """
    entry = format_named(name)
    if entry.kind != "picks" or entry.reader is None:
        raise UsageError(f"picks cannot be read as '{name}'; choose another --from, or leave it out")
    return entry


def recognise_format(kind: Literal["volume", "picks"], path: Path) -> Format | None:
    """Return the first format that a file may be of, by its name and first bytes; None if there is none.

    Raises `TomoPickerError` as `read_head`.
    """
    head = b"" if rules.is_zarr(path) else read_head(path)
    fits = (entry for entry in FORMATS if entry.kind == kind and entry.reader and entry.recognise(path, head))
    return next(fits, None)


@cache
def import_function(name: str | None) -> Callable[..., Any]:
    """Import a reader or a writer, ``module.function`` of this package."""
    module, _, attribute = str(name).rpartition(".")
    imported: Callable[..., Any] = getattr(import_module(f"tomopicker.io.{module}"), attribute)
    return imported


def read_head(path: Path) -> bytes:
    """Read a file's first bytes.

    Raises `TomoPickerError` if it is missing, a folder, empty or unreadable.
    """
    head = read_bytes(path, HEAD_BYTES)
    if not head:
        raise TomoPickerError(f"{path}: the file is empty; give another")
    return head
