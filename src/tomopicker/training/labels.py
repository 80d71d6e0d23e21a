"""Label masks (section 3.1): which voxels are positive, unlabelled, known background, or ignored."""

from dataclasses import dataclass, field

import numpy as np

from tomopicker.types import Ambiguous, Indices, LabelMask, Negatives, Positions, Shape, Volume, VoxelMask

POSITIVE, UNLABELLED, IGNORED, NEGATIVE = 1, 0, -1, 2
NO_POSITIONS: Negatives = np.empty((0, 3))


@dataclass(frozen=True)
class LabelledVolume:
    """A training tomogram with its labels.

    Parameters
    ----------
    volume : Volume
        Working volume, (z, y, x).
    labels : LabelMask
        Labels of the same shape.
    positions : Positions
        Clicks and pseudo-positives, (x, y, z) in working voxels.
    rejected : Negatives
        Known background, (x, y, z) in working voxels.
    mask : VoxelMask, optional
        Specimen mask; the whole volume if left out.
    name : str
        Name of the tomogram, for messages.
    """

    volume: Volume
    labels: LabelMask
    positions: Positions
    rejected: Negatives = field(default_factory=lambda: NO_POSITIONS)
    mask: VoxelMask | None = None
    name: str = ""


def label_mask(
    shape: Shape,
    positions: Positions,
    radius: float,
    target_fraction: float = 1.0,
    *,
    rejected: Negatives = NO_POSITIONS,
    ambiguous: Ambiguous = NO_POSITIONS,
    inside: VoxelMask | None = None,
) -> LabelMask:
    """Label the voxels around clicks.

    Parameters
    ----------
    shape : Shape
        (z, y, x) of the working volume.
    positions : Positions
        Clicks, (x, y, z) in working voxels; balls are cut at the border of the volume.
    radius : float
        Particle radius, in working voxels.
    target_fraction : float
        Voxels within this fraction of the radius are positive; those between it and the radius are ignored.
    rejected : Negatives
        Known background, (x, y, z): balls of the size of positive ones are negative. Positive balls take precedence.
    ambiguous : Ambiguous
        Positions that may or may not be particles, (x, y, z): balls of the particle radius are ignored unless labelled
        otherwise.
    inside : VoxelMask, optional
        Specimen mask; unlabelled voxels outside are ignored.

    Returns
    -------
    LabelMask
        1 positive, 0 unlabelled, -1 ignored, 2 negative.
    """
    target_radius = _target_radius(radius, target_fraction)
    mask = np.zeros(shape, dtype=np.int8)
    if inside is not None:
        mask[~inside] = IGNORED
    draw_spheres(mask, ambiguous, radius, IGNORED)
    draw_spheres(mask, rejected, target_radius, NEGATIVE)
    if target_fraction < 1:
        draw_spheres(mask, positions, radius, IGNORED)
    draw_spheres(mask, positions, target_radius, POSITIVE)
    return mask


def draw_spheres(mask: LabelMask, positions: Positions, radius: float, value: int) -> None:
    """Set the voxels of balls around positions, (x, y, z) in voxels, in place."""
    offsets = ball_offsets(radius)
    for centre in np.round(positions[:, ::-1]).astype(int):
        voxels = offsets + centre
        inside = np.all((voxels >= 0) & (voxels < mask.shape), axis=1)
        mask[tuple(voxels[inside].T)] = value


def positive_voxels(radius: float, target_fraction: float) -> int:
    """Return the number of positive voxels around one position; parameters as for `label_mask`."""
    return len(ball_offsets(_target_radius(radius, target_fraction)))


def _target_radius(radius: float, target_fraction: float) -> float:
    return max(1.0, radius * target_fraction)


def ball_offsets(radius: float) -> Indices:
    """Return the offsets, (z, y, x), of all voxels within `radius` voxels of the origin."""
    reach = int(np.floor(radius))
    grid = np.mgrid[-reach : reach + 1, -reach : reach + 1, -reach : reach + 1].reshape(3, -1).T
    near: Indices = grid[(grid**2).sum(axis=1) <= radius**2]
    return near
