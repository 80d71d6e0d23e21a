"""The paper's experiment (section 4) as a protocol, on EMPIAR-10988 as it is downloaded."""

import re
from pathlib import Path
from typing import Any

from tomopicker.benchmark.protocol import NAME_FIELD, Protocol, make_protocol
from tomopicker.errors import UsageError

VOXEL_SIZE = 13.48
"""Voxel size in Å, which some headers lack."""
DIAMETER = 24 * VOXEL_SIZE
"""Particle diameter in Å; the paper's radius is 12 voxels."""
CLICKS, SEEDS = 100, (0, 1, 2)
METHODS = ("paper-pn", "paper-pu", "paper-kl", "default-pn", "default-pu", "default-kl", "all-labelled", "dog", "ball")
LIST_FOLDERS = ("particle_lists", "tomograms", ".")
"""Possible folders of the particle lists, in the folder of each half."""

_HALVES: dict[str, dict[str, Any]] = {
    "VPP": {"training": "TS_0001", "validation": "TS_0002"},
    # Excluded in section 4.5, since TS_026 "has a very different organization".
    "DEF": {"training": "TS_029", "validation": "TS_030", "exclude": ["TS_026"]},
}


def empiar_10988(folder: Path) -> Protocol:
    """Return the protocol for a downloaded EMPIAR-10988: 100 clicks, three seeds, both halves.

    The folder has subfolders ``VPP`` and ``DEF``, each with ``tomograms`` and ``TS_*_cyto_ribosomes.csv``.

    Raises `UsageError` if a part of this layout is missing.
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
        raise UsageError(f"{tomograms}: no such folder; give --empiar-10988 the folder that has VPP and DEF")
    ending = "_cyto_ribosomes.csv"
    folders = [folder / half / name for name in LIST_FOLDERS]
    lists = next((candidate for candidate in folders if any(candidate.glob(f"TS_*{ending}"))), None)
    if lists is None:
        raise UsageError(f"{folders[0]}: there is no TS_*{ending}; download the particle lists too")
    files = {path.stem: path for path in sorted(tomograms.iterdir()) if _is_volume(path)}
    return {
        "tomograms": [str(path.absolute()) for path in files.values()] or [str(tomograms.absolute())],
        "truth": str((lists / f"{NAME_FIELD}{ending}").absolute()),
        "voxel_size": VOXEL_SIZE,
        **roles,
        "exclude": [name for name in roles.get("exclude", []) if name in files],
    }


def _is_volume(path: Path) -> bool:
    """Test whether a file is a tomogram, by its name, rather than labels or a mask."""
    return path.suffix.lower() in {".rec", ".mrc"} and re.fullmatch(r"TS_\d+", path.stem) is not None
