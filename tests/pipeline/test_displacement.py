"""Peaks lie at particle centres: with resampling, tiles, half resolution and asymmetric networks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.pipeline.conftest import scored
from tomopicker.config import resolve
from tomopicker.pipeline.callbacks import NullCallback
from tomopicker.pipeline.displacement import displacement, network_displacement
from tomopicker.pipeline.scoring import find_peaks
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram
from tomopicker.preprocessing.preprocess import preprocess
from tomopicker.tomogram import Tomogram

VOXEL, CPU = 10.0, torch.device("cpu")


def dark_blobs(shape, centres, sd):
    """Dark Gaussians around places (x, y, z)."""
    grid = np.indices(shape)[::-1]
    volume = np.zeros(shape, dtype=np.float32)
    for centre in centres:
        volume -= np.exp(-sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) / (2 * sd**2))
    return volume


class AtHalfResolution(nn.Module):
    """A symmetric network of stride 2 that scores dark as positive."""

    divisor = 8

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv3d(1, 1, 4, 2, 1, bias=False), nn.ConvTranspose3d(1, 1, 4, 2, 1, bias=False)
        tent = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.down.weight.data.fill_(-1 / 64)
        self.up.weight.data[0, 0] = tent[:, None, None] * tent[:, None] * tent

    def forward(self, patches):
        return self.up(self.down(patches))


class Lopsided(nn.Module):
    """A network that scores dark as positive, displaced by (x, y, z) voxels."""

    divisor = 2

    def __init__(self, off):
        super().__init__()
        self.convolution = nn.Conv3d(1, 1, 7, padding=3, bias=False)
        grid = np.indices((7, 7, 7))[::-1] - 3
        weights = np.exp(-sum((axis + c) ** 2 for axis, c in zip(grid, off, strict=True)) / 2)
        self.convolution.weight.data[0, 0] = torch.from_numpy(-weights).float()

    def forward(self, patches):
        return self.convolution(patches)


def settings_of(diameter, **inference):
    return resolve({"particle_diameter": diameter, "inference": {"tile": 16, **inference}, "precision": "float32"})


@settings(max_examples=12, deadline=None)
@given(
    ratio=st.sampled_from([0.7, 1.0, 1.5, 2.0, 3.0]),
    odd=st.integers(0, 3),
    off=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    turned=st.booleans(),
)
def test_a_blob_comes_back_from_any_grid_and_place(ratio, odd, off, turned):
    edge = round(30 * ratio) + odd
    centre = np.full(3, edge // 2) + np.asarray(off)
    tomogram = Tomogram("t", dark_blobs((edge, edge + 1, edge + 2), [centre], 3 * ratio), VOXEL)
    working = preprocess(tomogram, VOXEL * ratio, 10.0)
    cfg = settings_of(12 * VOXEL * ratio, tta=turned)
    peaks = find_peaks(scored(AtHalfResolution(), working, cfg), cfg, 6.0, 0.0, max_particles=1)
    assert working.to_angstrom(peaks.positions_voxels)[0] / VOXEL == pytest.approx(centre, abs=0.04 * max(ratio, 1))


@pytest.mark.parametrize("off", [(0.0, 0.0, 0.0), (0.4, -0.2, 0.0), (-0.1, 0.6, 0.5)])
def test_how_far_off_a_network_is_is_measured_without_truth(off):
    places = np.array([[x, y, z] for x in (12, 31, 50) for y in (13, 33) for z in (12, 32)], dtype=np.float64)
    places += np.random.default_rng(0).uniform(-0.5, 0.5, places.shape)
    rng = np.random.default_rng(1)
    volume = dark_blobs((44, 48, 64), places, 2.5) + rng.normal(0, 0.02, (44, 48, 64)).astype(np.float32)
    working = preprocess(Tomogram("t", volume, VOXEL), VOXEL, 10.0)
    cfg, network = settings_of(12 * VOXEL), Lopsided(off)
    peaks = find_peaks(scored(network, working, cfg), cfg, 6.0, 0.0, max_particles=len(places))
    found = peaks.positions_voxels
    beside = np.mean([spot - places[np.linalg.norm(places - spot, axis=1).argmin()] for spot in found], axis=0)
    assert beside == pytest.approx(off, abs=0.06)  # The displacement of this test's network.
    assert displacement(network, working, found, 6.0, cfg, CPU) == pytest.approx(beside, abs=0.06)


def test_a_few_peaks_do_not_say_how_far_off():
    working = preprocess(Tomogram("t", dark_blobs((32, 32, 32), [(16, 16, 16)], 2.5), VOXEL), VOXEL, 10.0)
    found = displacement(Lopsided((0.5, 0, 0)), working, np.full((1, 3), 16.0), 6.0, settings_of(12 * VOXEL), CPU)
    assert not found.any()


@pytest.mark.parametrize(("diameter", "corrected"), [(120.0, True), (60.0, False)])
def test_what_is_far_for_the_particle_is_not_corrected_but_said(diameter, corrected):
    """A network displaced by 7 Å: little for 120 Å particles, more than a tenth for 60 Å."""
    places = np.array([[x, y, z] for x in (12, 31, 50) for y in (13, 33) for z in (12, 32)], dtype=np.float64)
    tomogram = Tomogram("t", dark_blobs((44, 48, 64), places, 2.5), VOXEL)
    working = preprocess(tomogram, VOXEL, 10.0)
    run = Run(settings_of(diameter), 6.0, CPU, None, False, NullCallback())
    found = network_displacement(
        run, Lopsided((0.5, -0.5, 0.0)), TrainingTomogram("t", tomogram.frame, working, places)
    )
    assert bool(run.warnings) != corrected
    assert found == pytest.approx((5.0, -5.0, 0.0), abs=0.8) if corrected else found == (0.0, 0.0, 0.0)
