"""Storage of features: in memory or, if large, in a memory-mapped file."""

import os
import tempfile

import numpy as np
import torch
from jaxtyping import Float16
from torch import Tensor

MAX_IN_MEMORY = 2**30
"""Maximum size of features kept in memory; small particles in a large tomogram need up to 12 GiB."""


def empty_rows(count: int, channels: int) -> Float16[Tensor, "count channels"]:
    """Allocate features in half precision, one row each.

    Above `MAX_IN_MEMORY` they are mapped from an unnamed file in the temporary folder (`TMPDIR`), which disappears with
    the process. If that disk is full, they are kept in memory.
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
