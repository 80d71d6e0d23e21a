"""Molecules as densities at a given voxel size: built in or read from maps, resampled, and added to a volume.

A density of 1 is compact protein in excess of the surrounding solvent. Arrays and points are (z, y, x) in this module.
"""

from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.simulation import shapes
from tomopicker.types import Volume

ZYX = Float64[np.ndarray, "3"]
"""A point or an offset, (z, y, x) in voxels."""

Cube = Float32[np.ndarray, "side side side"]
"""A molecule's density, an odd number of voxels along each axis."""

_ANTI_ALIAS_SIGMA = 0.5
"""Gaussian blur before sampling, in output voxels; it leaves 29% of the amplitude at the new Nyquist frequency."""


def array_centre(shape: tuple[int, ...]) -> ZYX:
    """Return the centre of an array in voxels: (n - 1) / 2 along each axis."""
    return (np.asarray(shape, dtype=np.float64) - 1.0) / 2.0


def centre_of_mass(density: Volume) -> ZYX:
    """Return the centre of mass of a density's positive part, (z, y, x) in voxels from the first voxel's centre."""
    weights = np.clip(density, 0.0, None).astype(np.float64)
    return np.asarray(ndimage.center_of_mass(weights), dtype=np.float64)


def _resample_centred(density: Volume, ratio: float) -> Cube:
    """Resample a density to voxels `ratio` times as wide, with its centre of mass at the centre of the array.

    Protein is positive, the background zero. Above a ratio of 1 the density is blurred first to prevent aliasing. The
    sum times the voxel volume is conserved.
    """
    source = np.clip(density, 0.0, None).astype(np.float32)
    if ratio > 1.0:
        sigma = _ANTI_ALIAS_SIGMA * ratio
        source = np.pad(source, int(np.ceil(3.0 * sigma)))
        source = ndimage.gaussian_filter(source, sigma)
    centre = centre_of_mass(source)
    half = int(np.ceil(_radius_voxels(source, centre, 0.02) / ratio)) + 2
    size = 2 * half + 1
    # Sampling itself moves the centre of mass a little, which two more iterations correct.
    result = np.zeros((size, size, size), dtype=np.float32)
    for _ in range(3):
        offset = centre - ratio * half
        ndimage.affine_transform(source, np.full(3, ratio), offset, output=result, order=3)
        np.clip(result, 0.0, None, out=result)
        centre = centre + ratio * (centre_of_mass(result) - half)
    total = float(result.sum(dtype=np.float64)) * ratio**3
    return (result * np.float32(float(source.sum(dtype=np.float64)) / total)).astype(np.float32)


def _radius_voxels(density: Volume, centre: ZYX, fraction: float) -> float:
    """Return the largest distance from a centre, in voxels, of a density above `fraction` of the maximum."""
    voxels = np.argwhere(density > fraction * density.max())
    return float(np.sqrt(((voxels - centre) ** 2).sum(axis=1).max()))


def paste_rotated(canvas: Volume, coefficients: Cube, centre: ZYX, rotation: Float64[np.ndarray, "3 3"]) -> None:
    """Rotate a molecule and add it to a canvas in place, at a sub-voxel position; parts outside are cut off.

    Parameters
    ----------
    canvas : Volume, (z, y, x)
    coefficients : Cube, (n, n, n)
        Cubic spline coefficients of the molecule (`scipy.ndimage.spline_filter`), centred in the array.
    centre : ZYX
        (z, y, x) in voxels of the canvas.
    rotation : (3, 3)
        Rotates a vector (z, y, x) of the molecule into one of the canvas.
    """
    half = coefficients.shape[0] // 2
    start = np.floor(centre).astype(int) - half
    low, high = (np.clip(bound, 0, canvas.shape) for bound in (start, start + 2 * half + 2))
    # Only the ball that contains the molecule: the corners, half of its cube, are empty.
    z, y, x = (np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True))
    inside = np.nonzero(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= (half + 0.5) ** 2)
    offsets = np.stack([z[inside[0]], y[inside[1]], x[inside[2]]])
    points = rotation.T @ offsets + array_centre(coefficients.shape)[:, None]
    values = ndimage.map_coordinates(coefficients, points, order=3, prefilter=False)
    voxels = tuple(first + index for first, index in zip(low, inside, strict=True))
    canvas[voxels] += np.clip(values, 0.0, None)


_MIN_MDA = 0.15
"""Lighter molecules are part of the unresolved background."""
PROTEIN_DALTON_PER_CUBIC_ANGSTROM = 0.81
"""1.35 g/cm³."""

_KNOWN_MAPS: dict[str, tuple[str, float | None, float]] = {
    "4v7r": ("ribosome", 2.65, 1.25),
    "4v4r_50s": ("large_subunit", 1.4, 1.25),
    "2uv8": ("fatty_acid_synthase", 2.6, 1.0),
    "4cr2": ("proteasome_26s", 1.25, 1.0),
    "3j9i": ("proteasome_20s", 0.7, 1.0),
    "3cf3": ("p97", 0.27, 1.0),
    "1qvr": ("clpb", 0.28, 1.0),
    "1bxn": ("rubisco", 0.28, 1.0),
    "1u6g": ("cand1", 0.24, 1.0),
    "3d2f": ("hsp110", 0.23, 1.0),
    "2cg9": ("hsp90", 0.18, 1.0),
    "3gl1": ("hsp70_domain", 0.085, 1.0),
    "3h84": ("get3", 0.08, 1.0),
    "1s3x": ("hsp70_atpase", 0.04, 1.0),
    "3qm1": ("esterase", 0.03, 1.0),
}
"""PDB code in lower case, as in a map's file name, to class name, mass in MDa of the modelled part, and contrast per
mass."""


@dataclass(frozen=True, eq=False)
class Molecule:
    """A class of molecules at one voxel size; the centre of mass of the density is the centre of the array."""

    name: str
    density: Cube
    voxel_size_angstrom: float

    @property
    def radius_angstrom(self) -> float:
        """Distance from the centre to the farthest voxel above a tenth of the maximum."""
        return _radius_voxels(self.density, array_centre(self.density.shape), 0.1) * self.voxel_size_angstrom


def builtin_names() -> tuple[str, ...]:
    """Return the names of the built-in molecules."""
    return tuple(shapes.BUILTIN_SHAPES)


def builtin_molecule(name: str, voxel_size_angstrom: float) -> Molecule:
    """Render a built-in molecule at a voxel size.

    Raises `UsageError` if the name is not in `builtin_names`, or the voxel size is not between 1 and 60 Å.
    """
    _check_voxel_size(voxel_size_angstrom)
    if name not in shapes.BUILTIN_SHAPES:
        raise UsageError(f"{name}: no such built-in molecule; choose one of {', '.join(builtin_names())}")
    draw, mass_mda, contrast = shapes.BUILTIN_SHAPES[name]
    coarse = _resample_centred(draw(), voxel_size_angstrom / shapes.FINE_VOXEL_ANGSTROM)
    return Molecule(name, _scale_to_mass(coarse, voxel_size_angstrom, mass_mda, contrast), voxel_size_angstrom)


def load_molecule(
    path: Path,
    voxel_size_angstrom: float,
    *,
    name: str | None = None,
    mass_mda: float | None = None,
    contrast: float = 1.0,
) -> Molecule:
    """Load a molecule from a density map (MRC, protein positive) of any voxel size and scale.

    The median of the box's faces is subtracted as background; negative values are set to zero. The sum is scaled to
    `mass_mda` times `contrast`, the contrast per mass relative to protein; without a mass, the mean over the voxels
    above a third of the maximum (after resampling) is scaled to `contrast`. The name defaults to the file's stem; the
    map's voxel size is that of its header.

    Raises `TomoPickerError` if the file is not a usable three-dimensional map.
    """
    _check_voxel_size(voxel_size_angstrom)
    raw, map_voxel = _read_map(Path(path))
    faces = np.concatenate([np.take(raw, side, axis=axis).ravel() for axis in range(3) for side in (0, -1)])
    density = np.clip(raw - np.median(faces), 0.0, None).astype(np.float32)
    # Remove filter ripples, which would enlarge the radius and shift the centre of mass.
    density[density < 0.01 * density.max()] = 0.0
    if not density.any():
        raise TomoPickerError(f"{path}: no density above its background; is it a map with protein positive?")
    coarse = _resample_centred(density, voxel_size_angstrom / map_voxel)
    if mass_mda is None:
        scaled = (coarse * np.float32(contrast / coarse[coarse > coarse.max() / 3.0].mean())).astype(np.float32)
    else:
        scaled = _scale_to_mass(coarse, voxel_size_angstrom, mass_mda, contrast)
    return Molecule(name or Path(path).stem, scaled, voxel_size_angstrom)


def class_name(name: str) -> str:
    """Return the class name for a known PDB code; any other name is returned unchanged."""
    return _known_map(name)[0]


def _known_map(stem: str) -> tuple[str, float | None, float]:
    """Return class name, mass and contrast for a map's file name; a PDB code may be in any case."""
    return _KNOWN_MAPS.get(stem.lower(), (stem, None, 1.0))


def load_library(folder: Path, voxel_size_angstrom: float, target: str | None = None) -> dict[str, Molecule]:
    """Load a folder of density maps (``*.mrc``, ``*.map``), by class name.

    Maps named by a known PDB code get its mass and class name; others keep their file's stem, with unit contrast.
    Molecules lighter than 0.15 MDa belong to the unresolved background and are left out, unless one is the `target`.

    Raises `TomoPickerError` if the folder has no maps.
    """
    paths = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in {".mrc", ".map"})
    if not paths:
        raise TomoPickerError(f"{folder}: no density maps (*.mrc, *.map) in this folder; give another --maps")
    library: dict[str, Molecule] = {}
    for path in paths:
        name, mass_mda, contrast = _known_map(path.stem)
        molecule = load_molecule(path, voxel_size_angstrom, name=name, mass_mda=mass_mda, contrast=contrast)
        if name == target or excess_mass_mda(molecule) >= _MIN_MDA:
            library[name] = molecule
    return library


def excess_mass_mda(molecule: Molecule) -> float:
    """Return the mass in MDa of the protein that would give the molecule's contrast."""
    volume = float(molecule.density.sum(dtype=np.float64)) * molecule.voxel_size_angstrom**3
    return volume * PROTEIN_DALTON_PER_CUBIC_ANGSTROM / 1e6


def _scale_to_mass(density: Cube, voxel_size_angstrom: float, mass_mda: float, contrast: float) -> Cube:
    if mass_mda <= 0.0 or contrast <= 0.0:
        raise UsageError(f"mass {mass_mda} MDa, contrast {contrast}: both must be positive")
    volume = float(density.sum(dtype=np.float64)) * voxel_size_angstrom**3
    target_volume = mass_mda * 1e6 * contrast / PROTEIN_DALTON_PER_CUBIC_ANGSTROM
    return (density * np.float32(target_volume / volume)).astype(np.float32)


def _read_map(path: Path) -> tuple[Volume, float]:
    try:
        with mrcfile.open(path, permissive=True) as file:
            data = None if file.data is None else np.array(file.data, dtype=np.float32)
            voxel = float(file.voxel_size.x)
    except (OSError, ValueError) as error:
        raise TomoPickerError(f"{path}: not a readable density map ({error})") from error
    if data is None or data.ndim != 3 or min(data.shape) < 4:
        raise TomoPickerError(f"{path}: not a three-dimensional density map")
    if not voxel > 0.0:
        raise TomoPickerError(f"{path}: its header has no voxel size")
    return data, voxel


def _check_voxel_size(voxel_size_angstrom: float) -> None:
    if not 1.0 <= voxel_size_angstrom <= 60.0:
        raise UsageError(f"voxel size {voxel_size_angstrom} Å: must be between 1 and 60 Å")
