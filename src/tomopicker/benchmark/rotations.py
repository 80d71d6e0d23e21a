"""A nearly uniform set of orientations for template matching, as many as wanted."""

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

Rotations = Float64[np.ndarray, "n 3 3"]

_PHI = 2**0.5
_PSI = 1.533751168755204288118041
"""The positive root of ψ⁴ = ψ + 4."""


def spread_rotations(n: int) -> Rotations:
    """Spread rotations over all orientations along a super-Fibonacci spiral on the sphere of unit quaternions.

    Deterministic, for any number, and without clusters: for 400, every orientation is within about 30° of one of them
    (half are within 17°). After Alexa, "Super-Fibonacci spirals", CVPR 2022.

    Parameters
    ----------
    n : int
        How many, at least 1.

    Returns
    -------
    array, shape (n, 3, 3)
        Proper rotation matrices.
    """
    step = np.arange(n) + 0.5
    near, far = np.sqrt(step / n), np.sqrt(1 - step / n)
    alpha, beta = 2 * np.pi * step / _PHI, 2 * np.pi * step / _PSI
    quaternions = np.stack([near * np.sin(alpha), near * np.cos(alpha), far * np.sin(beta), far * np.cos(beta)], axis=1)
    return np.asarray(Rotation.from_quat(quaternions).as_matrix(), dtype=np.float64)
