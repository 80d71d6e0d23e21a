"""What happens to one tilt image: dose and damage by hand-worked numbers, defocus across it, camera faults."""

from dataclasses import replace

import numpy as np
import pytest

from tests.simulation.reconstructed import image_tomogram
from tests.simulation.test_imaging import _flat_optics, _white
from tomopicker.simulation.imaging import simulate_tilt_series
from tomopicker.simulation.optics import (
    contrast_transfer,
    critical_dose,
    dose_before,
    dose_filter,
    electron_wavelength_angstrom,
    image_contrast,
    tilt_angles,
)
from tomopicker.simulation.settings import ImagingSettings

TILTS_OF_FIVE = {
    # -20, -10, 0, 10, 20 degrees: which exposure each of them is.
    "continuous": [0, 1, 2, 3, 4],
    "bidirectional": [4, 3, 0, 1, 2],  # out on the plus side, then out on the minus side
    "dose-symmetric": [3, 2, 0, 1, 4],
}


@pytest.mark.parametrize("scheme", TILTS_OF_FIVE)
def test_the_scheme_says_how_much_dose_each_tilt_has_had(scheme):
    settings = ImagingSettings(
        13.48, tilt_range_degrees=20.0, tilt_step_degrees=10.0, tilt_scheme=scheme, dose_per_square_angstrom=100.0
    )
    order = np.array(TILTS_OF_FIVE[scheme])
    np.testing.assert_allclose(dose_before(settings), (order + 0.5) * 20.0)
    assert dose_before(replace(settings, dose_per_square_angstrom=None)).max() == 0.0


def test_detail_fades_as_published():
    # Grant and Grigorieff 2015: 0.24499 * 0.1^-1.6649 + 2.8141 = 0.24499 * 46.23 + 2.8141
    assert critical_dose(np.array([0.1]), 300.0)[0] == pytest.approx(14.14, abs=0.01)
    assert critical_dose(np.array([0.1]), 200.0)[0] == pytest.approx(0.8 * 14.14, abs=0.01)
    assert dose_filter(np.array([0.1]), 14.14, 300.0)[0] == pytest.approx(np.exp(-0.5), abs=1e-3)
    assert dose_filter(np.array([0.0, 0.01]), 50.0, 300.0).min() > 0.9


def test_damage_dims_detail_in_late_tilts_and_weighting_dims_their_noise():
    wave = 0.01 * np.sin(2 * np.pi * np.arange(96) / 4)[None, :] * np.ones((24, 1))
    settings = replace(
        _flat_optics(8.0, dose_per_square_angstrom=120.0, tilt_range_degrees=1.0, tilt_step_degrees=1.0),
        tilt_scheme="continuous",
    )

    def seen(dose, **changes):
        phase = wave.astype(np.float32)
        return image_contrast(phase, replace(settings, **changes), 0.0, float(dose), np.random.default_rng(0)).std()

    first, _, last = dose_before(settings)
    assert (first, last) == (20.0, 100.0)
    expected = dose_filter(np.array([1 / 32.0]), 80.0, 300.0)[0]  # a period of 4 voxels of 8 Å
    assert seen(last) / seen(first) == pytest.approx(expected, rel=0.03)
    assert seen(last, radiation_damage=False) == pytest.approx(seen(first, radiation_damage=False))
    nothing = np.zeros((8, 24, 96), np.float32)
    noise = image_tomogram(nothing, settings, 0)
    assert image_tomogram(nothing, replace(settings, dose_weighting=True), 0).std() < 0.9 * noise.std()
    steep = replace(settings, tilt_range_degrees=60.0, tilt_step_degrees=60.0)
    ratio = (
        image_tomogram(nothing, replace(steep, tilt_weighting=10.0), 0).std() / image_tomogram(nothing, steep, 0).std()
    )
    assert ratio < 0.8  # two of three images are all but gone


def test_a_tilted_image_has_its_defocus_from_side_to_side():
    """The first zero of the transfer, measured left and right of the axis, is where each side's own defocus puts it."""
    voxel, tilt, defocus_um = 8.0, 60.0, 3.0
    settings = _flat_optics(voxel, defocus_um=defocus_um, phase_shift_degrees=0.0)
    phase = _white((512, 1024), seed=3)
    wavelength = electron_wavelength_angstrom(300.0)

    def zero_at(image, start):
        window = np.hanning(512)[:, None] * np.hanning(256)[None, :]
        power = np.abs(np.fft.fft2(image[:, start : start + 256] * window)) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(512, voxel), np.fft.fftfreq(256, voxel), indexing="ij"))
        at = np.arange(0.03, 0.05, 0.0004)
        return at[np.argmin([power[np.abs(frequency - k) < 4e-4].mean() for k in at])]

    for on in (True, False):
        image = image_contrast(phase, replace(settings, defocus_gradient=on), tilt, 0.0, np.random.default_rng(0))
        for start in (32, 736):
            middle = (start + 127.5 - 511.5) * voxel * 1e-4
            there = defocus_um + (middle * np.tan(np.deg2rad(tilt)) if on else 0.0)
            assert zero_at(image, start) == pytest.approx(np.sqrt(1 / (wavelength * there * 1e4)), abs=8e-4)


def test_hot_lines_and_gain_are_the_same_in_every_tilt():
    clean = _flat_optics(13.48, dose_per_square_angstrom=None)
    nothing = np.zeros((16, 40, 48), np.float32)
    assert np.abs(simulate_tilt_series(nothing, clean, 0)).max() < 1e-6
    lines = simulate_tilt_series(nothing, replace(clean, hot_lines=3), 0)
    np.testing.assert_array_equal(lines[0], lines[-1])
    rows = np.flatnonzero(np.abs(np.median(lines[0], axis=1)) > 0.1)
    columns = np.flatnonzero(np.abs(np.median(lines[0], axis=0)) > 0.1)
    assert 1 <= len(rows) + len(columns) <= 3
    gain = simulate_tilt_series(nothing, replace(clean, gain_error=0.02), 0)
    assert gain[0].std() == pytest.approx(0.02, rel=0.05)


def test_camera_blur_is_alike_in_all_directions_and_tilt_weights_are_cosines():
    noise = _flat_optics(13.48, dose_per_square_angstrom=50.0, tilt_range_degrees=60.0, tilt_step_degrees=60.0)
    nothing = np.zeros((16, 96, 96), np.float32)
    sharp, blurred = (
        simulate_tilt_series(nothing, replace(noise, binning_fall_off=at), 0)[1, :96, 8:104] for at in (1.0, 0.5)
    )
    ratio = np.abs(np.fft.fft2(blurred)) ** 2, np.abs(np.fft.fft2(sharp)) ** 2
    along_y = ratio[0][40:56, :8].mean() / ratio[1][40:56, :8].mean()
    along_x = ratio[0][:8, 40:56].mean() / ratio[1][:8, 40:56].mean()
    assert along_y < 0.2
    assert along_x == pytest.approx(along_y, rel=0.4)
    assert blurred.std() < sharp.std()
    tilts = tilt_angles(noise)
    assert tilts.tolist() == [-60.0, 0.0, 60.0]


def test_the_transfer_is_that_of_torch_ctf():
    torch_ctf = pytest.importorskip("torch_ctf", reason="torch-ctf is not installed")
    for voxel, defocus, shift, amplitude in ((13.48, 3.5, 0.0, 0.07), (5.0, 2.0, 0.0, 0.1), (13.48, 0.4, 90.0, 0.07)):
        theirs = torch_ctf.calculate_ctf_1d(
            defocus=defocus, voltage=300.0, spherical_aberration=2.7, amplitude_contrast=amplitude,
            phase_shift=shift, pixel_size=voxel, n_samples=200, oversampling_factor=1,
        ).numpy()  # fmt: skip
        ours = contrast_transfer(
            np.linspace(0, 0.5, 200) / voxel, defocus_um=defocus, phase_shift_degrees=shift, voltage_kv=300.0,
            spherical_aberration_mm=2.7, amplitude_contrast=amplitude,
        )  # fmt: skip
        np.testing.assert_allclose(ours, -theirs, atol=2e-4)  # theirs is bright for phase that is dark in an image
