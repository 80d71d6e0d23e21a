"""The paper's experiment (section 4) as a protocol, on EMPIAR-10988 as it is downloaded."""

from pathlib import Path
from typing import Any

from tomopicker.benchmark.protocol import NAME_FIELD, Protocol, make_protocol
from tomopicker.errors import UsageError

VOXEL_SIZE = 13.48
"""Å; not all headers have it."""
DIAMETER = 24 * VOXEL_SIZE
"""Å: the paper's radius of 12 voxels."""
CLICKS, SEEDS = 100, (0, 1, 2)
METHODS = ("paper-pn", "paper-pu", "paper-kl", "default-pn", "default-pu", "default-kl", "all-labelled", "dog", "ball")
LISTS = ("particle_lists", "tomograms", ".")
"""Folders of the particle lists, below each half."""

_HALVES: dict[str, dict[str, Any]] = {
    "VPP": {"training": "TS_0001", "validation": "TS_0002"},
    # Section 4.5: TS_026 "has a very different organization"; it is left out.
    "DEF": {"training": "TS_029", "validation": "TS_030", "exclude": ["TS_026"]},
}


def empiar_10988(folder: Path) -> Protocol:
    """Make the protocol for a downloaded EMPIAR-10988: 100 clicks, three seeds, both halves.

    The folder holds ``VPP`` and ``DEF``, each with ``tomograms`` and its ``TS_*_cyto_ribosomes.csv``; `UsageError`
    names what is missing from this layout.
    """
    datasets = {half: _dataset(folder, half, roles) for half, roles in _HALVES.items()}
    content = {
        "name": "EMPIAR-10988, the experiment of the TomoPicker paper",
        "particle_diameter": DIAMETER,
        "clicks": [CLICKS],
        "seeds": list(SEEDS),
        "methods": list(METHODS),
        "datasets": datasets,
    }
    return make_protocol(content, str(folder), folder.absolute())


def _dataset(folder: Path, half: str, roles: dict[str, Any]) -> dict[str, Any]:
    tomograms = folder / half / "tomograms"
    if not tomograms.is_dir():
        raise UsageError(f"{tomograms}: there is no such folder; give --empiar-10988 the folder that holds VPP and DEF")
    ending = "_cyto_ribosomes.csv"
    lists = [folder / half / place for place in LISTS if any((folder / half / place).glob(f"TS_*{ending}"))]
    if not lists:
        raise UsageError(f"{folder / half / LISTS[0]}: there is no TS_*{ending}; download the particle lists too")
    files = {path.stem: path for path in sorted(tomograms.iterdir()) if _is_volume(path)}
    return {
        "tomograms": [str(path.absolute()) for path in files.values()] or [str(tomograms.absolute())],
        "truth": str((lists[0] / f"{NAME_FIELD}{ending}").absolute()),
        "voxel_size": VOXEL_SIZE,
        **roles,
        "exclude": [name for name in roles.get("exclude", []) if name in files],
    }


def _is_volume(path: Path) -> bool:
    """Test whether a file is a tomogram by its name; labels and masks have others."""
    name, prefix = path.stem, "TS_"
    return path.suffix.lower() in {".rec", ".mrc"} and name.startswith(prefix) and name.removeprefix(prefix).isdigit()
