"""The three readings of γ = 10·|P|/bs for a batch of eight 24³ blocks that holds one whole ball of 8,900 voxels."""

import pytest

from tomopicker.pu.losses import gamma


@pytest.mark.parametrize(("reading", "value"), [("none", 1), ("fraction", 89_000 / 110_592), ("literal", 11_125)])
def test_readings(reading, value):
    assert gamma(reading, 8_900, 8 * 24**3, 8) == pytest.approx(value)


@pytest.mark.parametrize("reading", ["none", "fraction", "literal"])
def test_no_positive_voxel_leaves_no_zero_or_nan(reading):
    assert gamma(reading, 0, 8 * 24**3, 8) == 1
