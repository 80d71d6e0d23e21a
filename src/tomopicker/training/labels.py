"""Label masks (section 3.1): which voxels are positive, unlabelled, known background, or ignored."""

from dataclasses import dataclass, field

import numpy as np

from tomopicker.types import Ambiguous, Indices, LabelMask, Negatives, Positions, Shape, Volume, VoxelMask

POSITIVE, UNLABELLED, IGNORED, NEGATIVE = 1, 0, -1, 2
NO_POSITIONS: Negatives = np.empty((0, 3))


@dataclass(frozen=True)
class LabelledVolume:
    """One tomogram to train on.

    Parameters
    ----------
    volume : Volume
        Working volume, (z, y, x).
    labels : LabelMask
        Of the same shape.
    positions : Positions
        (x, y, z) in working voxels of the clicks and pseudo-positives.
    rejected : Negatives
        Likewise of picks that are known to be something else.
    mask : VoxelMask, optional
        Where the specimen is; everywhere if left out.
    name : str
        Of the tomogram, for messages.
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
        (x, y, z) of the clicks in working voxels; a ball may reach over the border, where it is cut.
    radius : float
        The particle's, in working voxels.
    target_fraction : float
        Voxels nearer than this fraction of the radius are positive; those between it and the radius are ignored.
    rejected : Negatives
        (x, y, z) of what is known to be something else: balls as large as the positive ones are negative. Where the two
        overlap, the click counts.
    ambiguous : Ambiguous
        (x, y, z) of what may or may not be a particle: balls of its radius around them are ignored, unless labelled
        otherwise.
    inside : VoxelMask, optional
        Of the working volume. Unlabelled voxels where it is False are ignored.

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
    """Number of positive voxels around one position; the parameters are those of `label_mask`."""
    return len(ball_offsets(_target_radius(radius, target_fraction)))


def _target_radius(radius: float, target_fraction: float) -> float:
    return max(1.0, radius * target_fraction)


def ball_offsets(radius: float) -> Indices:
    """Return the (z, y, x) offsets of all voxels no further than `radius` voxels from the origin."""
    reach = int(np.floor(radius))
    grid = np.mgrid[-reach : reach + 1, -reach : reach + 1, -reach : reach + 1].reshape(3, -1).T
    near: Indices = grid[(grid**2).sum(axis=1) <= radius**2]
    return near
