import numpy as np
import pytest

from tests.simulation.reconstructed import image_tomogram
from tomopicker.errors import TomoPickerError
from tomopicker.simulation.optics import contrast_transfer, electron_wavelength_angstrom
from tomopicker.simulation.settings import ImagingSettings, one_line_errors


def _white(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _flat_optics(voxel, **changes):
    settings = {
        "defocus_um": 0.0,
        "defocus_jitter_um": 0.0,
        "phase_shift_degrees": 90.0,
        "spherical_aberration_mm": 0.0,
        "amplitude_contrast": 0.0,
        "b_factor_square_angstrom": 0.0,
        "dose_per_square_angstrom": None,
        "alignment_error_voxels": 0.0,
    }
    return ImagingSettings(voxel, **(settings | changes))


def test_the_missing_wedge_is_empty_and_the_tilt_axis_is_y():
    volume = image_tomogram(_white((64, 64, 64)), ImagingSettings(13.48, tilt_range_degrees=50.0), seed=0)
    window = np.hanning(64)
    tapered = volume * window[:, None, None] * window[None, :, None] * window[None, None, :]
    power = np.abs(np.fft.fftn(tapered)) ** 2
    k = np.fft.fftfreq(64)
    kz, ky, kx = np.meshgrid(k, k, k, indexing="ij")
    radius = np.sqrt(kz**2 + ky**2 + kx**2)
    band = (radius > 0.12) & (radius < 0.4)
    angle = np.rad2deg(np.arctan2(np.abs(kz), np.abs(kx)))
    inside, outside = band & (angle > 58.0), band & (angle < 42.0)
    assert power[inside].mean() < 0.02 * power[outside].mean()
    # The same wedge about the wrong axis is not empty: the check can fail.
    wrong = band & (np.rad2deg(np.arctan2(np.abs(kz), np.abs(ky))) > 58.0)
    assert power[wrong].mean() > 0.1 * power[outside].mean()


def test_the_zeros_of_the_contrast_transfer_are_where_optics_puts_them():
    wavelength = electron_wavelength_angstrom(300.0)
    assert wavelength == pytest.approx(0.01969, abs=1e-5)
    optics = {"voltage_kv": 300.0, "spherical_aberration_mm": 0.0, "amplitude_contrast": 0.0}
    zeros = np.sqrt(np.arange(1, 4) / (wavelength * 3e4))
    at_zeros = contrast_transfer(zeros, defocus_um=3.0, phase_shift_degrees=0.0, **optics)
    np.testing.assert_allclose(at_zeros, 0.0, atol=1e-9)
    plate = contrast_transfer(np.zeros(1), defocus_um=3.0, phase_shift_degrees=90.0, **optics)
    assert plate == pytest.approx(-1.0)
    # Underfocus makes protein dark from the lowest frequencies up to the first zero.
    low = contrast_transfer(np.linspace(0.001, 0.98 * zeros[0], 50), defocus_um=3.0, phase_shift_degrees=0.0, **optics)
    assert np.all(low < 0.0)


def test_an_imaged_tomogram_shows_the_zeros_of_its_defocus():
    voxel, defocus_um = 5.0, 3.0
    settings = _flat_optics(voxel, defocus_um=defocus_um, phase_shift_degrees=0.0)
    volume = image_tomogram(_white((16, 256, 256)), settings, seed=0)
    window = np.hanning(256)
    power = np.abs(np.fft.fft2(volume.sum(axis=0) * window[:, None] * window[None, :])) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256, voxel), np.fft.fftfreq(256, voxel), indexing="ij"))
    for order in (1, 2):
        zero = np.sqrt(order / (electron_wavelength_angstrom(300.0) * defocus_um * 1e4))
        peak = np.sqrt((order - 0.5) / (electron_wavelength_angstrom(300.0) * defocus_um * 1e4))
        at_zero = power[np.abs(frequency - zero) < 4e-4].mean()
        at_peak = power[np.abs(frequency - peak) < 4e-4].mean()
        assert at_zero < 0.03 * at_peak


def test_protein_is_dark_and_noise_falls_with_dose():
    z, y, x = np.indices((32, 64, 64))
    density = (((z - 16) ** 2 + (y - 32) ** 2 + (x - 32) ** 2) < 64).astype(np.float32)
    noise = []
    for dose in (20.0, 320.0):
        settings = _flat_optics(13.48, dose_per_square_angstrom=dose)
        volume = image_tomogram(density, settings, seed=1)
        noise.append(volume[:, :12].std())
        assert volume[14:19, 30:35, 30:35].mean() < -3.0 * noise[-1] / np.sqrt(125)
    assert noise[0] == pytest.approx(4.0 * noise[1], rel=0.1)
    defocus = image_tomogram(density, _flat_optics(13.48, defocus_um=3.5, phase_shift_degrees=0.0), seed=1)
    assert defocus[14:19, 30:35, 30:35].mean() < 0.0


def test_the_seed_decides_the_noise_alone():
    density, settings = _white((16, 32, 32)), ImagingSettings(13.48)
    first, again, other = (image_tomogram(density, settings, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"voxel_size_angstrom": 0.0}, "voxel_size_angstrom"),
        ({"tilt_range_degrees": 90.0}, "tilt_range_degrees 90.0"),
        ({"tilt_step_degrees": 0.0}, "tilt_step_degrees"),
        ({"tilt_step_degrees": 70.0}, "tilt_step_degrees 70: must be at most the tilt range"),
        ({"dose_per_square_angstrom": -1.0}, "dose_per_square_angstrom"),
        ({"ramp_fall_off": 1.0}, "ramp_fall_off"),
        ({"defocus_um": float("nan")}, "defocus_um nan"),
        ({"tilt_scheme": "random"}, "tilt_scheme random: input should be 'dose-symmetric'"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(change, word):
    with pytest.raises(TomoPickerError, match=f"imaging.{word}") as caught, one_line_errors("imaging"):
        ImagingSettings(**({"voxel_size_angstrom": 13.48} | change))
    assert "\n" not in str(caught.value)


def test_a_density_must_be_a_volume():
    with pytest.raises(TomoPickerError, match="shape"):
        image_tomogram(np.zeros((4, 32, 32), np.float32), ImagingSettings(13.48), seed=0)
