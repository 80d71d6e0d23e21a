"""Array types with named axes: volumes are ``z y x``, positions are rows of ``x y z``.

They are checked at run time in the tests (jaxtyping with beartype) and cost nothing otherwise.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int8, Num

Volume: TypeAlias = Float32[np.ndarray, "z y x"]
"""A tomogram, a working volume or a score volume in memory."""

Piece: TypeAlias = Float32[np.ndarray, "_ _ _"]
"""A part of a volume, (z, y, x)."""

RawVolume: TypeAlias = Num[np.ndarray, "z y x"]
"""A volume as its file stores it: any real type."""

LabelMask: TypeAlias = Int8[np.ndarray, "z y x"]
"""Labels of voxels: 1 positive, 0 unlabelled, -1 ignored, 2 negative."""

VoxelMask: TypeAlias = Bool[np.ndarray, "z y x"]
"""True inside a region, such as the lamella or a ball."""

Positions: TypeAlias = Float64[np.ndarray, "n 3"]
"""Rows of (x, y, z). The unit is in the name of the argument."""

Negatives: TypeAlias = Float64[np.ndarray, "m 3"]
"""Like `Positions`, with another number of rows: picks that are known to be no particles."""
PseudoPositives: TypeAlias = Float64[np.ndarray, "j 3"]
"""Likewise: picks that are very probably particles."""
Ambiguous: TypeAlias = Float64[np.ndarray, "k 3"]
"""Likewise: picks that may or may not be particles."""

Indices: TypeAlias = Int[np.ndarray, "n 3"]
"""Rows of (z, y, x) array indices."""

Scores: TypeAlias = Float[np.ndarray, " n"]
"""One score per position."""

Shape: TypeAlias = tuple[int, int, int]
"""The shape of a volume as (z, y, x)."""

Number: TypeAlias = float | int | np.floating | np.integer
"""A real number, of Python or of numpy."""
