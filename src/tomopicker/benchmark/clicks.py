"""Clicks as a person makes them: some of the true positions of a tomogram, each a little off the centre."""

import numpy as np

from tomopicker.geometry import Frame
from tomopicker.picks import Picks


def draw_clicks(truth: Picks, frame: Frame, count: int, seed: int, jitter_voxels: float) -> Picks:
    """Draw clicks from the truth of one tomogram.

    The clicks of one seed are nested: the first five of twenty are those that are drawn when five are asked for, so
    that a learning curve compares numbers of clicks and not places.

    Parameters
    ----------
    truth : Picks
        Of one tomogram, at least `count`.
    frame : Frame
        Its geometry; a click stays inside.
    count : int
        How many.
    seed : int
        Which ones, and how far off.
    jitter_voxels : float
        Root mean square of the distance from the centre.

    Returns
    -------
    Picks
    """
    rng = np.random.default_rng([seed, 20])
    chosen = truth.select(rng.permutation(len(truth))[:count])
    sd = jitter_voxels * frame.voxel_size / 3**0.5
    last = (np.array(frame.shape[::-1]) - 1) * frame.voxel_size
    moved = np.clip(chosen.positions + rng.normal(0, sd, chosen.positions.shape), 0, last)
    return Picks(moved, chosen.tomograms, np.full(count, np.nan))
