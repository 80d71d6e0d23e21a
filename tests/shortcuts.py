"""What most trainings and picks of tests do without: half of their time, where a network is trained for seconds.

How sure a count is, is tested in tests/picking with all resamples, and how far off a network lies, in tests/pipeline.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

RESAMPLES = 8


@contextmanager
def shortcuts(item: pytest.Item) -> Iterator[None]:
    """Resample less for the interval of a count, and take no network to lie off; not in tests marked ``in_full``."""
    if item.get_closest_marker("in_full"):
        yield
        return
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tomopicker.picking.calibration.RESAMPLES", RESAMPLES)
        patched.setattr("tomopicker.pipeline.train.network_displacement", lambda *_: (0.0, 0.0, 0.0))
        yield
