"""Decoys: volumes without particles, with the power spectrum of a tomogram's specimen and random phases."""

import numpy as np

from tomopicker.preprocessing.crops import bounding_box
from tomopicker.types import Piece, Volume, VoxelMask

LARGEST = (64, 160, 160)
"""Largest decoy, (z, y, x): enough peaks to estimate the density of their scores, in a second or two."""


def decoy_volume(
    volume: Volume, mask: VoxelMask | None = None, seed: int = 0, particles: VoxelMask | None = None
) -> Piece:
    """Randomise the phases of the middle of a specimen.

    Its Fourier amplitudes are those of the specimen, missing wedge and contrast transfer included; its phases, which
    determine all shapes, are random (Theiler et al., Physica D 58, 1992). No peak in it is a particle.

    Parameters
    ----------
    volume : Volume
        (z, y, x).
    mask : VoxelMask, optional
        Where the specimen is; everywhere if left out, or if it is empty.
    seed : int
        Of the phases.
    particles : VoxelMask, optional
        Voxels of known and likely particles, whose power is left out: they become the mean of the others, which are
        scaled for what is missing.

    Returns
    -------
    array, shape (z, y, x)
        Of the box around the mask, or of its middle where that is larger than `LARGEST`.
    """
    box = bounding_box(mask) if mask is not None and mask.any() else tuple(slice(0, edge) for edge in volume.shape)
    middle = tuple(_middle(part, most) for part, most in zip(box, LARGEST, strict=True))
    piece = volume[middle]
    kept = np.ones(piece.shape, dtype=bool) if particles is None else ~particles[middle]
    if not kept.any():
        kept[:] = True
    mean = float(piece.mean(where=kept))
    amplitudes = np.abs(np.fft.rfftn(np.where(kept, piece - mean, 0))) / np.sqrt(kept.mean())
    white = np.fft.rfftn(np.random.default_rng(seed).standard_normal(piece.shape))
    phases = white / np.maximum(np.abs(white), 1e-30)
    noise: Piece = (np.fft.irfftn(amplitudes * phases, s=piece.shape, axes=(0, 1, 2)) + mean).astype(np.float32)
    return noise


def _middle(part: slice, most: int) -> slice:
    edge = part.stop - part.start
    first = part.start + max(0, edge - most) // 2
    return slice(first, first + min(edge, most))
