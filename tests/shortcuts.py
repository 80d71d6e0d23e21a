"""Shortcuts that halve the time of most tests that train or pick.

The interval of a count is tested with all resamples in tests/picking, the displacement of a network in tests/pipeline.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

RESAMPLES = 8


@contextmanager
def shortcuts(item: pytest.Item) -> Iterator[None]:
    """Use fewer resamples and skip measuring the displacement, except in tests marked ``in_full``."""
    if item.get_closest_marker("in_full"):
        yield
        return
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tomopicker.picking.calibration.RESAMPLES", RESAMPLES)
        patched.setattr("tomopicker.pipeline.train.network_displacement", lambda *_: (0.0, 0.0, 0.0))
        yield
