"""Random changes of a patch that keep the missing wedge where it is: flips, gain, offset, noise.

Any turn but a half one would turn the missing wedge with it, and the network would see particles no microscope gives;
half turns are two flips.
"""

import numpy as np

from tomopicker.types import LabelMask, Volume

GAIN_SD, OFFSET_SD, NOISE_MAX = 0.1, 0.1, 0.3


def augment(volume: Volume, labels: LabelMask, rng: np.random.Generator) -> tuple[Volume, LabelMask]:
    """Change a patch and its labels at random.

    Parameters
    ----------
    volume : Volume
        A standardised patch, (z, y, x).
    labels : LabelMask
        Of the same shape.
    rng : Generator
        Its draws decide everything.
    """
    flipped = tuple(axis for axis in range(3) if rng.random() < 0.5)
    volume = np.flip(volume, flipped)
    labels = np.flip(labels, flipped)
    noise = rng.standard_normal(volume.shape, dtype=np.float32) * np.float32(rng.uniform(0, NOISE_MAX))
    gain, offset = np.float32(rng.normal(1, GAIN_SD)), np.float32(rng.normal(0, OFFSET_SD))
    return volume * gain + offset + noise, labels
