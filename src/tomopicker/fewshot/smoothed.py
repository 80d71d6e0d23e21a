"""What the score of a peak looks at: features weighed as interpolation and smoothing weigh them."""

import numpy as np

from tomopicker.fewshot.feature_map import FeatureMap, FeaturesAt
from tomopicker.types import Positions

REACH = 2.5
"""Standard deviations of the weights that are summed."""


def smoothed_at(features: FeatureMap, positions_voxels: Positions, smoothing: float) -> FeaturesAt:
    """Give Gaussian means of features, which score about as a smoothed score volume does there.

    Parameters
    ----------
    features : FeatureMap
    positions_voxels : Positions
        (x, y, z) in voxels of the volume.
    smoothing : float
        Standard deviation of the Gaussian over the score volume, voxels; linear interpolation adds its own.

    Returns
    -------
    array, shape (n, channels)
    """
    interpolation = 1 / 6 if features.stride > 1 else 0.0  # Mean variance of linear interpolation, in voxels of a grid.
    sd = float(np.sqrt((smoothing / features.stride) ** 2 + interpolation))
    if not sd:
        return features.at(positions_voxels)
    centres = (positions_voxels[:, ::-1] + 0.5) / features.stride - 0.5
    found = np.empty((len(centres), features.rows.shape[1]))
    for index, near in enumerate(features.near(centres, REACH * sd)):
        if not near:
            found[index] = features.at(positions_voxels[index : index + 1])[0]
            continue
        squares = ((features.voxels(near) - centres[index]) ** 2).sum(axis=1)
        weights = np.exp(-squares / (2 * sd**2))
        found[index] = weights @ features.rows[near].double().numpy() / weights.sum()
    return found
