import numpy as np
import pytest

from tomopicker.errors import TomoPickerError
from tomopicker.simulation.tomogram import simulate_tomogram

SHAPE = (48, 96, 96)


@pytest.mark.parametrize("preset", ["vpp", "defocus", "easy", "hard"])
def test_every_preset_gives_a_volume_with_dark_targets_at_its_truth(preset):
    made = simulate_tomogram(preset, SHAPE, 13.48, seed=4, n_targets=8)
    assert made.volume.shape == SHAPE
    assert made.volume.dtype == np.float32
    assert np.isfinite(made.volume).all()
    assert made.targets.positions.shape == (len(made.targets.orientations), 3)
    assert 3 <= len(made.targets.positions) <= 8
    dark = np.mean(
        [
            made.volume[z - 4 : z + 5, y - 4 : y + 5, x - 4 : x + 5].mean()
            for x, y, z in np.rint(made.targets.positions).astype(int)
        ]
    )
    assert dark < made.volume.mean() - 0.12 * made.volume.std()


def test_the_same_seed_gives_the_same_tomogram_and_another_a_different_one():
    first, again, other = (simulate_tomogram("easy", (32, 64, 64), 13.48, seed, n_targets=3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.volume, again.volume)
    np.testing.assert_array_equal(first.targets.positions, again.targets.positions)
    assert first.settings == again.settings
    assert not np.array_equal(first.volume, other.volume)


def test_arguments_that_make_no_sense_are_one_line(tmp_path):
    with pytest.raises(TomoPickerError, match="no such preset"):
        simulate_tomogram("moon", SHAPE, 13.48, 0)
    with pytest.raises(TomoPickerError, match="no such molecule"):
        simulate_tomogram("easy", SHAPE, 13.48, 0, target="virus")
    with pytest.raises(TomoPickerError, match=r"scene\.shape\.0 4: input should be greater than or equal to 16"):
        simulate_tomogram("easy", (4, 96, 96), 13.48, 0)
    with pytest.raises(TomoPickerError, match="--maps"):
        simulate_tomogram("easy", SHAPE, 13.48, 0, maps=tmp_path)
