"""Where the features of a tomogram lie: in memory, or, where they are many, in a file that the system pages in."""

import os
import tempfile

import numpy as np
import torch
from jaxtyping import Float16
from torch import Tensor

MAX_IN_MEMORY = 2**30
"""Bytes of features that are kept in memory; of small particles in a large tomogram they are up to 12 GiB."""


def empty_rows(count: int, channels: int) -> Float16[Tensor, "count channels"]:
    """Make room for features in half precision, a row each.

    More than `MAX_IN_MEMORY` are mapped from a file in the folder of temporary files (`TMPDIR`) that has no name, so
    that it goes with the process. Without room on that disk they are in memory after all.
    """
    size = 2 * count * channels
    if size > MAX_IN_MEMORY and hasattr(os, "posix_fallocate"):
        try:
            with tempfile.TemporaryFile() as file:
                os.posix_fallocate(file.fileno(), 0, size)  # A full disk is noticed here, not when a page is written.
                return torch.from_numpy(np.memmap(file, np.float16, "r+", shape=(count, channels)))
        except OSError:
            pass
    return torch.empty((count, channels), dtype=torch.float16)
