"""Random changes of a patch that keep the beam along z: flips, quarter turns about z, gain, offset, noise.

A turn about x or y would turn the missing wedge out of z, and the network would see particles no microscope gives. A
quarter turn about z makes a tilt axis along y one along x, as other microscopes have it.
"""

import numpy as np

from tomopicker.types import LabelMask, Volume

GAIN_SD, OFFSET_SD, NOISE_MAX = 0.1, 0.1, 0.3


def augment(volume: Volume, labels: LabelMask, rng: np.random.Generator) -> tuple[Volume, LabelMask]:
    """Change a patch and its labels at random.

    Parameters
    ----------
    volume : Volume
        A standardised patch, (z, y, x), with y and x alike.
    labels : LabelMask
        Of the same shape.
    rng : Generator
        Its draws decide everything.
    """
    turns = int(rng.integers(4))
    flipped = tuple(axis for axis in range(3) if rng.random() < 0.5)
    volume = np.flip(np.rot90(volume, turns, axes=(1, 2)), flipped)
    labels = np.flip(np.rot90(labels, turns, axes=(1, 2)), flipped)
    noise = rng.standard_normal(volume.shape, dtype=np.float32) * np.float32(rng.uniform(0, NOISE_MAX))
    gain, offset = np.float32(rng.normal(1, GAIN_SD)), np.float32(rng.normal(0, OFFSET_SD))
    return volume * gain + offset + noise, labels
