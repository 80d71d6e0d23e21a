"""A stack of volumes in one MRC file (space group 401), written box by box."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mrcfile
import numpy as np
from jaxtyping import Float32

from tomopicker.files import atomic_path


@contextmanager
def mrc_stack(path: Path, count: int, edge: int, voxel_size: float) -> Iterator[Float32[np.ndarray, "n z y x"]]:
    """Open a file of `count` cubes for writing; it appears whole when the block ends, or not at all.

    Parameters
    ----------
    path : Path
        The file.
    count, edge : int
        How many cubes, and their edge in voxels.
    voxel_size : float
        Å.

    Yields
    ------
    array, shape (count, edge, edge, edge), float32
        A memory map, zero where nothing is written.
    """
    with atomic_path(path) as temporary:
        shape = (count, edge, edge, edge)
        with mrcfile.new_mmap(temporary, shape, mrc_mode=2, fill=0.0, overwrite=True) as file:
            file.voxel_size = voxel_size
            yield file.data
