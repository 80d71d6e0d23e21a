"""The list of file formats: what each holds, who reads and writes it, in which unit and from which origin.

A new format is one module and one row here. The order is the one in which files are tried: what is told by its content
stands before what is told by its suffix, and plain text, which takes anything, last. `registry` says what a module has.
"""

from dataclasses import dataclass
from typing import Literal

FIRST = "centre of the first voxel"
ONE = "centre of the first voxel is 1, 1, 1"
RELION_ANGLES = "rlnAngleRot, Tilt, Psi"
FOM = "rlnAutopickFigureOfMerit"


@dataclass(frozen=True)
class Format:
    """One row of the registry.

    Parameters
    ----------
    name : str
        The word a user gives (``--to relion5``).
    kind : "volume" or "picks"
        What it holds.
    suffixes : tuple of str
        Lower case, with the dot; the first is the one written.
    title : str
        What it is, for the list of formats.
    reader, writer : str, optional
        Modules of this package; None where it is not read or not written.
    unit, origin, score, angles : str
        The unit of its coordinates, where they start, and where score and angles stand, in words.
    needs : tuple of "voxel size" or "shape"
        What of a tomogram must be known to write it.
    single : bool
        Whether a file holds the picks of one tomogram, which it may not even name.
    refused : bool
        Whether the reader is there only to say what to give instead.
    ending : str
        What follows the tomogram's name where the tool expects more than a suffix.
    """

    name: str
    kind: Literal["volume", "picks"]
    suffixes: tuple[str, ...]
    title: str
    reader: str | None
    writer: str | None
    unit: str
    origin: str = FIRST
    score: str = "none"
    angles: str = "none"
    needs: tuple[Literal["voxel size", "shape"], ...] = ()
    single: bool = False
    refused: bool = False
    ending: str = ""


# fmt: off
FORMATS: tuple[Format, ...] = (
    Format("mrc", "volume", (".mrc", ".rec", ".map", ".st", ".mrcs"),
        "MRC 2014, IMOD and older; gzip or bzip2", "mrc", "mrc", "Å in the header"),
    Format("zarr", "volume", (".zarr",), "OME-Zarr 0.4 and 0.5, Zarr arrays; local folders", "zarr_volume", None,
        "as the axes say; Å if they do not"),
    Format("hdf5", "volume", (".hdf", ".h5", ".hdf5"), "HDF5: EMAN2's, and others with --dataset", "hdf_volume",
        None, "Å in EMAN.apix_x, µm in element_size_um"),
    Format("tiff", "volume", (".tif", ".tiff"), "TIFF stacks, a page a section", "tiff_volume", None,
        "as ImageJ or OME say"),
    Format("em", "volume", (".em",), "EM volume", "em_volume", None, "not in the file: give --voxel-size"),
    Format("stopgap", "picks", (".star",), "STOPGAP motive list", "stopgap", "stopgap", "voxels", ONE, "score",
        "phi, psi, the"),
    Format("cbox", "picks", (".cbox",), "crYOLO boxes, 3D", "cbox", "cbox", "voxels",
        "x, y: corner of the box; z: its centre", "Confidence", single=True),
    Format("relion5", "picks", (".star",), "RELION 5 particles, optimisation set, import list", "star_picks",
        "relion5", "Å", "centre of the tomogram, size / 2", FOM, RELION_ANGLES, ("voxel size", "shape")),
    Format("relion4", "picks", (".star",), "RELION 4 particles", "star_picks", "relion4",
        "pixels of the tilt series", FIRST, FOM, RELION_ANGLES, ("voxel size",)),
    Format("relion3", "picks", (".star",), "RELION 3 particles, one block", "star_picks", "relion3",
        "pixels of rlnPixelSize", FIRST, FOM, RELION_ANGLES, ("voxel size",)),
    Format("warp", "picks", (".star",), "Warp and M particles, <series>.tomostar", "star_picks", "warp",
        "pixels of rlnPixelSize", FIRST, FOM, RELION_ANGLES, ("voxel size",)),
    Format("imod", "picks", (".mod",), "IMOD model", "imod", "imod", "voxels",
        "x, y: corner of the first voxel; z: its centre", single=True),
    Format("dynamo", "picks", (".tbl",), "Dynamo table, and <stem>.doc with its tomograms", "dynamo", "dynamo",
        "voxels", ONE, "column 10", "columns 7-9, tdrot, tilt, narot"),
    Format("motl", "picks", (".em",), "EM motive list, and <stem>.doc with its tomograms", "motl_em",
        "motl_em", "voxels", ONE, "row 1", "rows 17-19, phi, psi, theta"),
    Format("motl-csv", "picks", (".csv",), "motive list as 20 columns of text", "motl_csv", "motl_csv",
        "voxels", ONE, "column 1", "columns 17-19, phi, psi, theta"),
    Format("eman2", "picks", (".json",), "EMAN2 info/<tomogram>_info.json", "eman2", "eman2",
        "unbinned pixels", "middle voxel of the tomogram, size // 2", "fifth of a box",
        needs=("voxel size", "shape"), single=True, ending="_info.json"),
    Format("copick", "picks", (".json",), "copick picks of one run", "copick", "copick", "Å", FIRST, "score",
        "transformation_, 4 x 4", single=True),
    Format("portal", "picks", (".ndjson",), "CryoET Data Portal, points and oriented points", "portal", None, "voxels",
        FIRST, angles="xyz_rotation_matrix", single=True),
    Format("pytom", "picks", (".xml",), "PyTom particle list", "pytom_xml", "pytom_xml", "voxels", FIRST,
        "Score", "Rotation Z1, Z2, X"),
    Format("deepfinder", "picks", (".xml",), "DeepFinder object list", "deepfinder", "deepfinder", "voxels",
        FIRST, angles="kept as they are"),
    Format("amira", "picks", (".am", ".landmarkascii"), "Amira landmarks; points of its spatial graphs", "amira",
        "amira", "Å", FIRST, needs=("voxel size",), single=True),
    Format("cmm", "picks", (".cmm",), "Chimera and ChimeraX markers", "cmm", "cmm", "Å", FIRST,
        needs=("voxel size",), single=True),
    Format("tloc", "picks", (".tloc",), "TomoTwin pickle: refused, with what to give instead", "tomotwin", None,
        "voxels", refused=True),
    Format("box", "picks", (".box",), "crYOLO EMAN_3D boxes, x y z", "cryolo_box", "cryolo_box", "voxels",
        FIRST, single=True),
    Format("pytom-txt", "picks", (".txt",), "PyTom picker, text", "pytom_txt", None, "voxels", single=True),
    Format("shrec", "picks", (".txt",), "SHREC particle locations", "shrec", None, "voxels",
        angles="kept as they are", single=True),
    Format("coords", "picks", (".coords",), "x y z without a header: TomoTwin, RELION import", "coords",
        "coords", "voxels", FIRST, single=True),
    Format("deepetpicker", "picks", (".coords",), "DeepETPicker, class x y z", "coords", "deepetpicker",
        "voxels", FIRST, single=True),
    Format("imod-text", "picks", (".txt",), "IMOD model2point, point2model; never guessed", "imod_text",
        "imod_text", "voxels", "x, y: corner of the first voxel; z: its centre", single=True),
    Format("napari", "picks", (".csv",), "napari points, axis-0 axis-1 axis-2 = z y x", "delimited", "napari",
        "voxels", FIRST, "column score", single=True),
    Format("topaz", "picks", (".txt",), "Topaz in 3D, MiLoPYP: image_name, x_coord, y_coord, z_coord", "delimited",
        "topaz", "voxels", FIRST, "column score"),
    Format("csv", "picks", (".csv", ".txt", ".tsv"), "text columns, with or without a header", "delimited",
        "delimited", "voxels, or Å where the header says so", FIRST, "column score", RELION_ANGLES),
)
# fmt: on

BY_SUFFIX = {".star": "relion5", ".csv": "csv", ".txt": "csv", ".coords": "coords", ".xml": "pytom"}
"""What is written under a suffix that several formats share, unless one is named."""
