"""Decoys: volumes without particles, with the power spectrum of a tomogram's specimen and random phases."""

import numpy as np

from tomopicker.preprocessing.crops import bounding_box
from tomopicker.types import Piece, Volume, VoxelMask

MAX_SHAPE = (64, 160, 160)
"""Maximum shape of a decoy, (z, y, x): enough peaks to estimate their score density, in a second or two."""


def decoy_volume(
    volume: Volume, mask: VoxelMask | None = None, seed: int = 0, particles: VoxelMask | None = None
) -> Piece:
    """Randomise the phases of the central part of a specimen.

    Its Fourier amplitudes are those of the specimen, including missing wedge and contrast transfer; its phases, which
    determine all shapes, are random (Theiler et al., Physica D 58, 1992). No peak in it is a particle.

    Parameters
    ----------
    volume : Volume
        (z, y, x).
    mask : VoxelMask, optional
        The specimen; the whole volume if left out or empty.
    seed : int
        Seed of the phases.
    particles : VoxelMask, optional
        Voxels of known and likely particles, whose power is excluded: they are set to the mean of the others, and
        the amplitudes are scaled to compensate.

    Returns
    -------
    array, shape (z, y, x)
        That of the box around the mask, or of its centre if that exceeds `MAX_SHAPE`.
    """
    box = bounding_box(mask) if mask is not None and mask.any() else tuple(slice(0, edge) for edge in volume.shape)
    centre = tuple(_centre(part, limit) for part, limit in zip(box, MAX_SHAPE, strict=True))
    piece = volume[centre]
    kept = np.ones(piece.shape, dtype=bool) if particles is None else ~particles[centre]
    if not kept.any():
        kept[:] = True
    mean = float(piece.mean(where=kept))
    amplitudes = np.abs(np.fft.rfftn(np.where(kept, piece - mean, 0))) / np.sqrt(kept.mean())
    white = np.fft.rfftn(np.random.default_rng(seed).standard_normal(piece.shape))
    phases = white / np.maximum(np.abs(white), 1e-30)
    noise: Piece = (np.fft.irfftn(amplitudes * phases, s=piece.shape, axes=(0, 1, 2)) + mean).astype(np.float32)
    return noise


def _centre(part: slice, limit: int) -> slice:
    edge = part.stop - part.start
    start = part.start + max(0, edge - limit) // 2
    return slice(start, start + min(edge, limit))
