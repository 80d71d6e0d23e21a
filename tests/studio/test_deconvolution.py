"""Deconvolution for the eye: what a contrast transfer blurred looks like itself again, on server and page."""

import io
import json
import shutil
import subprocess
from dataclasses import astuple

import numpy as np
import pytest
from PIL import Image
from scipy import fft, ndimage

import tomopicker.studio
from tests.studio.conftest import NAMES
from tomopicker.errors import UsageError
from tomopicker.simulation.optics import contrast_transfer
from tomopicker.studio.deconvolution import Deconvolution
from tomopicker.studio.slabs import jpeg, measure
from tomopicker.tomogram import Tomogram

VOXEL = 10.0


def discs(shape=(128, 128), seed=0):
    """Dark discs on a grey ground, as protein is."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    picture = np.zeros(shape)
    for y, x in rng.uniform(12, min(shape) - 12, (12, 2)):
        picture -= ndimage.gaussian_filter(((rows - y) ** 2 + (columns - x) ** 2 < 81).astype(float), 1)
    return picture


def blurred(picture, defocus, noise=0.0):
    k = np.hypot(fft.fftfreq(picture.shape[0], VOXEL)[:, None], fft.rfftfreq(picture.shape[1], VOXEL)[None])
    transfer = contrast_transfer(
        k, defocus_um=defocus, phase_shift_degrees=0, voltage_kv=300, spherical_aberration_mm=2.7,
        amplitude_contrast=0.07,
    )  # fmt: skip
    seen = fft.irfft2(-transfer * fft.rfft2(picture), s=picture.shape)
    return (seen + np.random.default_rng(1).normal(0, noise, seen.shape)).astype(np.float32)


@pytest.mark.parametrize("defocus", [2.0, 4.0, 8.0])
def test_what_the_optics_blurred_comes_back(defocus):
    truth = discs()
    seen = blurred(truth, defocus, noise=0.05)
    restored = Deconvolution(defocus).apply(seen, VOXEL)
    before, after = (np.corrcoef(each.ravel(), truth.ravel())[0, 1] for each in (seen, restored))
    assert after > 0.85 > before + 0.1, (before, after)
    wrong = np.corrcoef(Deconvolution(0.3 * defocus).apply(seen, VOXEL).ravel(), truth.ravel())[0, 1]
    assert wrong < after, "of another defocus it does not"


def test_gains_follow_strength_and_falloff():
    k = np.linspace(0, 0.05, 400)
    plain, strong, steep = Deconvolution(4), Deconvolution(4, strength=2), Deconvolution(4, falloff=2)
    assert plain.gain(k)[0] == 0
    assert (np.abs(strong.gain(k)) >= np.abs(plain.gain(k)) - 1e-9).all()
    assert (np.abs(steep.gain(k)) <= np.abs(plain.gain(k)) + 1e-9).all()
    assert plain.gain(k)[:60].min() >= 0, "dark stays dark"


def test_phase_plates_start_at_their_contrast():
    k = np.array([1 / 500])
    assert Deconvolution(0.5, phase=90).gain(k) == pytest.approx(1, abs=0.02)
    assert Deconvolution(0.5).gain(k) > 3


@pytest.mark.parametrize("text", ["4", "4,300,0,1,9", "4,300,0,1,nan", "x,300,0,1,1", "4,300,0,1,1,1", "-1,300,0,1,1"])
def test_settings_beyond_their_bounds_are_refused(text):
    with pytest.raises(UsageError, match="deconvolution"):
        Deconvolution.parse(text)


def test_pictures_keep_their_contrast():
    """Grey values are measured after the filter, so that 1 to 99% are what is black and white."""
    data = np.stack([blurred(discs((96, 96), seed), 4, 0.1) for seed in range(9)]) + np.float32(40)
    lazy = Tomogram("TS", data, VOXEL)
    filter_ = Deconvolution(4)
    grey = measure(lazy, 30, deconvolution=filter_)
    assert (grey.low, grey.high) == (measure(lazy, 30).low, measure(lazy, 30).high), "of the bytes of a brick"
    window = grey.quantiles[1], grey.quantiles[99]
    slab = data[3:6].mean(axis=0)
    drawn = np.asarray(Image.open(io.BytesIO(jpeg(slab, grey, window, VOXEL, deconvolution=filter_)))).astype(float)
    assert 0.002 < (drawn <= 4).mean() < 0.05 and 0.002 < (drawn >= 251).mean() < 0.05
    assert np.corrcoef(drawn.ravel(), filter_.apply(slab, VOXEL).ravel())[0, 1] > 0.97


def test_the_server_filters_and_measures(client):
    asked = {"name": NAMES[0], "volume": "raw", "slab": 50}
    plain, sharp = (
        client.get("/api/tomogram", params=asked | more).json() for more in ({}, {"deconvolve": "4,300,0,1,1"})
    )
    assert plain["deconvolution"] is None and sharp["deconvolution"]["defocus"] == 4
    assert sharp["quantiles"][1] < 0 < sharp["quantiles"][99], "its mean is gone"
    assert plain["quantiles"][1] > 0
    section = asked | {"plane": "xy", "position": 100}
    low, high = sharp["quantiles"][1], sharp["quantiles"][99]
    drawn = client.get("/api/section", params=section | {"low": low, "high": high, "deconvolve": "4,300,0,1,1"})
    assert drawn.status_code == 200
    assert 20 < np.asarray(Image.open(io.BytesIO(drawn.content))).std() < 120
    refused = client.get("/api/section", params=section | {"low": low, "high": high, "deconvolve": "4"})
    assert refused.status_code == 400


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: apt-get install nodejs")
@pytest.mark.parametrize("shape", [(128, 64), (60, 100)])
def test_the_page_filters_as_the_server_does(shape, tmp_path):
    """The brick that is averaged in the page while one scrolls looks like the section that follows."""
    slab = np.random.default_rng(0).normal(100, 20, shape).astype(np.float32)
    filters = [Deconvolution(4), Deconvolution(0.5, 200, 90, 1.5, 0.7)]
    page = (tomopicker.studio.__path__[0] + "/static/deconvolution.js").replace("\\", "/")
    names = ("defocus", "voltage", "phase", "strength", "falloff")
    asked = {
        "slab": slab.ravel().tolist(), "height": shape[0], "width": shape[1],
        "filters": [dict(zip(names, astuple(each), strict=True)) for each in filters],
    }  # fmt: skip
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    (tmp_path / "run.mjs").write_text(
        f"""import {{ readFileSync }} from "node:fs";
        import {{ deconvolved }} from "{page}";
        const {{ slab, width, height, filters }} = JSON.parse(readFileSync("{tmp_path}/asked.json"));
        const made = filters.map((filter) =>
            Array.from(deconvolved({{ data: Float32Array.from(slab), width, height }}, filter, {VOXEL}).data));
        console.log(JSON.stringify(made));"""
    )
    done = subprocess.run(["node", tmp_path / "run.mjs"], capture_output=True, text=True, timeout=120, check=True)
    for made, filter_ in zip(json.loads(done.stdout), filters, strict=True):
        shown, expected = np.reshape(made, shape), filter_.apply(slab, VOXEL)
        middle = tuple(slice(n // 4, -n // 4) for n in shape)  # Their borders differ in width.
        assert np.corrcoef(shown[middle].ravel(), expected[middle].ravel())[0, 1] > 0.99
        assert shown[middle].std() == pytest.approx(expected[middle].std(), rel=0.05)
        assert abs(shown.mean()) < 0.05 * shown.std()
