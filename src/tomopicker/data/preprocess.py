"""From tomogram to working volume: resample to the particle's scale, standardise, clip, standardise (section 3.1)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool
from scipy.sparse import csr_array

from tomopicker.data.lamella import find_specimen
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Shape, Volume, VoxelMask

SLAB_BYTES = 64 * 2**20
STATISTICS_SHARE = 0.05
"""A mask that holds less of a volume than this does not say what its grey values are."""


@dataclass(frozen=True)
class WorkingVolume:
    """A preprocessed volume and how its voxels lie in the tomogram.

    Parameters
    ----------
    data : Volume
        (z, y, x), mean 0, standard deviation 1, both in the mask.
    voxel_size : float
        Å, of the working voxels.
    ratio : float
        Working voxel size over the tomogram's. Their first voxels share an edge, not a centre.
    mask : VoxelMask, optional
        Where the specimen is; everywhere if left out.
    """

    data: Volume
    voxel_size: float
    ratio: float
    mask: VoxelMask | None = None

    @property
    def share(self) -> float:
        """Share of the volume that the mask holds."""
        return 1.0 if self.mask is None else float(self.mask.mean())

    @property
    def typical(self) -> VoxelMask | None:
        """Where the volume's statistics are measured: the mask, unless it is too small to say."""
        return self.mask if self.share >= STATISTICS_SHARE else None

    def from_angstrom(self, positions: Positions) -> Positions:
        """Turn (x, y, z) in Å from the centre of the tomogram's first voxel into working voxels."""
        native = self.voxel_size / self.ratio
        return (np.asarray(positions, dtype=np.float64) / native + 0.5) / self.ratio - 0.5

    def to_angstrom(self, voxels: Positions) -> Positions:
        """Turn (x, y, z) in working voxels into Å from the centre of the tomogram's first voxel."""
        native = self.voxel_size / self.ratio
        return ((np.asarray(voxels, dtype=np.float64) + 0.5) * self.ratio - 0.5) * native


def working_voxel_size(voxel_size: float, particle_diameter: float, working_diameter: float | None) -> float:
    """Choose the working voxel size for a training tomogram, in Å.

    A whole multiple of the tomogram's voxel, so that a particle is nearly `working_diameter` voxels wide; never finer
    than the tomogram.
    """
    if working_diameter is None:
        return voxel_size
    return voxel_size * max(1, round(particle_diameter / working_diameter / voxel_size))


def check_mask(mask: Bool[np.ndarray, "Z Y X"], tomogram: Tomogram) -> None:
    """Refuse a mask, (z, y, x), that is not of the tomogram's shape.

    Raises
    ------
    UsageError
        With both shapes.
    """
    if mask.shape != tomogram.shape:
        raise UsageError(
            f"--mask has shape {mask.shape} (z, y, x) but {tomogram.path or tomogram.name} {tomogram.shape}; "
            "give a mask made for this tomogram"
        )


def preprocess(
    tomogram: Tomogram, voxel_size: float, clip_sd: float, mask: VoxelMask | Literal["auto"] | None = None
) -> WorkingVolume:
    """Make the working volume of a tomogram, reading it slab by slab.

    Parameters
    ----------
    tomogram : Tomogram
        Of any voxel size.
    voxel_size : float
        Å, of the working volume.
    clip_sd : float
        Values further than this many standard deviations from the mean are clipped.
    mask : VoxelMask or "auto", optional
        Where the specimen is, of the tomogram's shape; ``auto`` finds it. Mean and standard deviation are those inside.

    Returns
    -------
    WorkingVolume

    Raises
    ------
    TomoPickerError
        If the tomogram holds NaN or infinity, or is constant, or if the mask is of another shape or empty.
    """
    if isinstance(mask, np.ndarray):
        check_mask(mask, tomogram)
    ratio = voxel_size / tomogram.voxel_size
    if abs(ratio - 1) < 1e-3:
        ratio = 1.0
    data = _resample(tomogram, ratio)
    name = str(tomogram.path or tomogram.name)
    # Not `voxel_size`: where a rounding error of the header is let pass, positions still count the tomogram's voxels.
    working = WorkingVolume(data, tomogram.voxel_size * ratio, ratio, _specimen(data, voxel_size, ratio, mask, name))
    inside = working.typical
    _standardise(data, name, inside)
    np.clip(data, -clip_sd, clip_sd, out=data)
    _standardise(data, name, inside)
    return working


def _specimen(
    data: Volume,
    voxel_size: float,
    ratio: float,
    mask: Bool[np.ndarray, "Z Y X"] | Literal["auto"] | None,
    name: str,
) -> VoxelMask | None:
    if mask is None:
        return None
    if isinstance(mask, str):
        return find_specimen(data, voxel_size).mask
    given = resampled_mask(mask, data.shape, ratio)
    if not given.any():
        raise UsageError(f"--mask for {name} is 0 everywhere; give one that is 1 where the specimen is")
    return given


def _standardise(data: Volume, name: str, inside: VoxelMask | None) -> None:
    values = data if inside is None else data[inside]
    mean, sd = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if not sd > 1e-6 * max(abs(mean), 1e-30):
        raise TomoPickerError(f"{name}: all voxels are the same; give a reconstruction, not an empty volume")
    data -= np.float32(mean)
    data /= np.float32(sd)


def _sections(shape: Shape) -> int:
    return max(1, SLAB_BYTES // (4 * shape[1] * shape[2]))


def _resample(tomogram: Tomogram, ratio: float) -> Volume:
    shape = tomogram.shape
    along_z, dense_y, along_x = (resampling_matrix(edge, ratio) for edge in shape)
    along_y = csr_array(dense_y)  # A few weights a row are not 0.
    resampled = np.zeros((len(along_z), len(dense_y), len(along_x)), dtype=np.float32)
    step = _sections(shape)
    for start in range(0, shape[0], step):
        slab = tomogram.slab(start, min(start + step, shape[0]))
        if not np.isfinite(slab.min()) or not np.isfinite(slab.max()):
            raise TomoPickerError(
                f"{tomogram.path or tomogram.name}: holds NaN or infinity near section {start}; "
                "reconstruct it again or replace these voxels by the mean"
            )
        if ratio == 1:
            resampled[start : start + len(slab)] = slab
            continue
        weights = along_z[:, start : start + len(slab)]
        rows = np.flatnonzero(weights.any(axis=1))
        # Along z first: a slab is thin, so that this costs next to nothing, and leaves fewer sections for the others.
        sections = np.tensordot(weights[rows], slab, axes=1)
        resampled[rows] += np.stack([along_y @ section for section in sections]) @ along_x.T
    return resampled


def resampling_matrix(edge: int, ratio: float) -> np.ndarray:
    """Weights of anti-aliased linear resampling along one axis.

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


def resampled_mask(mask: VoxelMask, shape: Shape, ratio: float) -> Bool[np.ndarray, "Z Y X"]:
    """Give a mask of a tomogram on the grid of its working volume: the value at each working voxel's centre.

    Parameters
    ----------
    mask : VoxelMask
        (z, y, x) of the tomogram.
    shape : Shape
        Of the working volume.
    ratio : float
        Working voxel size over the tomogram's.
    """
    nearest = [
        np.clip(np.floor((np.arange(new) + 0.5) * ratio).astype(int), 0, old - 1)
        for new, old in zip(shape, mask.shape, strict=True)
    ]
    return mask[np.ix_(*nearest)]
