"""From tomogram to working volume: resample to the particle's scale, standardise, clip, standardise (section 3.1)."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy.sparse import csr_array

from tomopicker.config import Preprocess
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.moments import moments_of
from tomopicker.preprocessing.lamella import find_lamella
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Shape, Volume, VoxelMask

SLAB_BYTES = 64 * 2**20
Edges = Float64[np.ndarray, " 3"]
MIN_STATISTICS_FRACTION = 0.05
"""Minimum fraction of the volume in a mask whose mean and standard deviation are used."""


@dataclass(frozen=True)
class WorkingVolume:
    """A preprocessed volume and the position of its voxels in the tomogram.

    Parameters
    ----------
    data : Volume
        (z, y, x), mean 0, standard deviation 1, both in the mask.
    voxel_size : float
        Å, of the working voxels.
    ratio : float
        Working voxel size over the tomogram's. Their first voxels share an edge, not a centre.
    mask : VoxelMask, optional
        The specimen; the whole volume if left out.
    origin : tuple of float
        (x, y, z) in Å of the tomogram's first voxel: 0 unless a coarser scale replaces the finest.
    """

    data: Volume
    voxel_size: float
    ratio: float
    mask: VoxelMask | None = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def mask_fraction(self) -> float:
        """Fraction of the volume inside the mask."""
        return 1.0 if self.mask is None else float(self.mask.mean())

    @property
    def statistics_mask(self) -> VoxelMask | None:
        """Mask in which mean and standard deviation are measured: `mask`, unless it is too small."""
        return self.mask if self.mask_fraction >= MIN_STATISTICS_FRACTION else None

    def from_angstrom(self, positions: Positions) -> Positions:
        """Convert positions, (x, y, z) in Å, to working voxels."""
        native = self.voxel_size / self.ratio
        relative: Positions = np.asarray(positions, dtype=np.float64) - np.asarray(self.origin)
        return (relative / native + 0.5) / self.ratio - 0.5

    def to_angstrom(self, voxels: Positions) -> Positions:
        """Convert (x, y, z) in working voxels to positions in Å."""
        native = self.voxel_size / self.ratio
        relative = ((np.asarray(voxels, dtype=np.float64) + 0.5) * self.ratio - 0.5) * native
        positions: Positions = relative + np.asarray(self.origin)
        return positions


def working_voxel_size(voxel_size: float, particle_diameter: float, working_diameter: float | None) -> float:
    """Return the working voxel size for a training tomogram, in Å.

    It is the whole multiple of the tomogram's voxel closest to the diameter over `working_diameter`, at least 1.
    """
    if working_diameter is None:
        return voxel_size
    return voxel_size * max(1, round(particle_diameter / working_diameter / voxel_size))


def working_volume(
    tomogram: Tomogram,
    voxel_size: float,
    settings: Preprocess,
    mask: VoxelMask | Literal["auto", "none"] | None = None,
) -> WorkingVolume:
    """Compute the working volume of a tomogram by settings, whose mask is used if none is given; see `preprocess`."""
    mask = settings.mask if mask is None else mask
    if isinstance(mask, str):
        mask = "auto" if mask == "auto" else None
    return preprocess(tomogram, voxel_size, settings.clip_sd, mask)


def preprocess(
    tomogram: Tomogram, voxel_size: float, clip_sd: float, mask: VoxelMask | Literal["auto"] | None = None
) -> WorkingVolume:
    """Compute the working volume of a tomogram, reading it slab by slab.

    Parameters
    ----------
    tomogram : Tomogram
        The tomogram, of any voxel size.
    voxel_size : float
        Voxel size of the working volume, Å.
    clip_sd : float
        Values further than this many standard deviations from the mean are clipped.
    mask : VoxelMask or "auto", optional
        The specimen, in the shape of the tomogram or its finest scale; ``auto`` detects it. Mean and standard deviation
        are measured in it.

    Returns
    -------
    WorkingVolume

    Raises
    ------
    TomoPickerError
        If the tomogram holds NaN or infinity, or is constant, or the mask has another shape or is empty.
    """
    if isinstance(mask, np.ndarray):
        check_mask(mask, tomogram)
    ratio = voxel_size / tomogram.voxel_size
    if abs(ratio - 1) < 1e-3:
        ratio = 1.0
    data = _resample(tomogram, ratio)
    name = str(tomogram.path or tomogram.name)
    # Not `voxel_size`: if a rounding error of the header is ignored, positions still count the tomogram's voxels.
    working = WorkingVolume(data, tomogram.voxel_size * ratio, ratio, origin=tomogram.origin)
    working = replace(working, mask=_working_mask(working, tomogram, voxel_size, mask, name))
    inside = working.statistics_mask
    _standardise(data, name, inside)
    np.clip(data, -clip_sd, clip_sd, out=data)
    _standardise(data, name, inside)
    return working


def check_mask(mask: VoxelMask, tomogram: Tomogram) -> None:
    """Check that a mask has the shape of its tomogram or its finest scale, and a True voxel.

    Raises
    ------
    UsageError
        If it has not; one line that names the tomogram.
    """
    name = tomogram.path or tomogram.name
    if mask.shape not in {tomogram.frame.shape, tomogram.shape}:
        raise UsageError(
            f"--mask has shape {mask.shape} (z, y, x) but {name} {tomogram.frame.shape}; "
            "give a mask made for this tomogram"
        )
    if not mask.any():
        raise UsageError(f"--mask for {name} is 0 everywhere; give one that is 1 where the specimen is")


def _working_mask(
    working: WorkingVolume,
    tomogram: Tomogram,
    voxel_size: float,
    mask: Bool[np.ndarray, "Z Y X"] | Literal["auto"] | None,
    name: str,
) -> VoxelMask | None:
    if mask is None:
        return None
    if isinstance(mask, str):
        return find_lamella(working.data, voxel_size).mask
    finest = tomogram.frame
    of_finest = mask.shape == finest.shape
    size, first = (finest.voxel_size, 0.0) if of_finest else (tomogram.voxel_size, np.asarray(tomogram.origin))
    corners = np.array([[0.0] * 3, working.data.shape[::-1]]) - 0.5
    low, high = (working.to_angstrom(corners) - first)[:, ::-1] / size + 0.5
    resampled = resampled_mask(mask, working.data.shape, low, high)
    if not resampled.any():
        raise UsageError(f"--mask for {name} is 0 everywhere; give one that is 1 where the specimen is")
    return resampled


def _standardise(data: Volume, name: str, inside: VoxelMask | None) -> None:
    moments = moments_of(data, inside)
    if not moments.sd > 1e-6 * max(abs(moments.mean), 1e-30):
        raise TomoPickerError(f"{name}: all voxels are the same; give a reconstruction, not an empty volume")
    data -= np.float32(moments.mean)
    data /= np.float32(moments.sd)


def _resample(tomogram: Tomogram, ratio: float) -> Volume:
    along = [resampling_matrix(edge, ratio) for edge in tomogram.shape]
    resampled = np.zeros([len(weights) for weights in along], dtype=np.float32)
    # A block of a coarser tomogram grows when it is resampled.
    for block in tomogram.blocks(int(SLAB_BYTES * min(1.0, ratio) ** 3)):
        voxels = tomogram.part(*block)
        if not np.isfinite(voxels.min()) or not np.isfinite(voxels.max()):
            raise TomoPickerError(
                f"{tomogram.path or tomogram.name}: holds NaN or infinity near section {block[0].start}; "
                "reconstruct it again or replace these voxels by the mean"
            )
        if ratio == 1:
            resampled[block] = voxels
            continue
        to = tuple(_nonzero_rows(weights[:, part]) for weights, part in zip(along, block, strict=True))
        along_z, along_y, along_x = (weights[rows, part] for weights, rows, part in zip(along, to, block, strict=True))
        sparse_y = csr_array(along_y)  # A few weights per row are not 0.
        # Along z first: blocks are thin, so that this is cheap, and leaves fewer sections for the other axes.
        sections = np.tensordot(along_z, voxels, axes=1)
        resampled[to] += np.stack([sparse_y @ section for section in sections]) @ along_x.T
    return resampled


def _nonzero_rows(weights: Float32[np.ndarray, "new old"]) -> slice:
    """Return the contiguous rows that are not all 0; an empty slice if a block lies between two new voxels."""
    rows = np.flatnonzero(weights.any(axis=1))
    return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)


def resampling_matrix(edge: int, ratio: float) -> np.ndarray:
    """Return the weights of anti-aliased linear resampling along one axis.

    Parameters
    ----------
    edge : int
        Voxels along the axis.
    ratio : float
        New voxel size over old. The outer edges of the first voxels coincide.

    Returns
    -------
    array, shape (new edge, edge), float32
        Rows sum to 1.
    """
    new_edge = max(1, round(edge / ratio))
    centres = (np.arange(new_edge) + 0.5) * ratio - 0.5
    width = max(1.0, ratio)
    weights = np.maximum(0, 1 - np.abs(np.arange(edge)[None, :] - centres[:, None]) / width)
    empty = ~weights.any(axis=1)
    weights[empty, np.clip(np.round(centres[empty]).astype(int), 0, edge - 1)] = 1
    normalised: np.ndarray = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def resampled_mask(mask: VoxelMask, shape: Shape, low: Edges, high: Edges) -> Bool[np.ndarray, "Z Y X"]:
    """Resample a mask of a tomogram to its working volume: the value at each working voxel's centre.

    Parameters
    ----------
    mask : VoxelMask
        (z, y, x).
    shape : Shape
        Of the working volume.
    low, high : array, shape (3,)
        Outer edges of the working volume, (z, y, x) in voxels of the mask from its own outer edge.
    """
    nearest = []
    for new, old, first, last in zip(shape, mask.shape, low, high, strict=True):
        centres = first + (np.arange(new) + 0.5) * (last - first) / new
        # A centre between two voxels belongs to the farther one, regardless of rounding.
        nearest.append(np.clip(np.floor(centres + 1e-6).astype(int), 0, old - 1))
    return mask[np.ix_(*nearest)]
