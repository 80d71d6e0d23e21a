"""Tomograms as labs look at them, low-passed, deconvolved, denoised: F1 trained and picked on the same, and across.

    python benchmarks/filtered.py --data FOLDER --make VERSIONS --defocus 3.5 --phase-shift 0
    python benchmarks/filtered.py --data FOLDER --versions VERSIONS --trained-on raw wiener --picked-on raw wiener \\
        --runs instant:1 instant:5 default:20 --seeds 0 1 2

FOLDER holds tomograms with their truth beside them, TS_0001.csv, or in truth/. The first command writes
VERSIONS/wiener/TS_0001.mrc and so on. The second clicks in the first tomogram, each click off by 20 Å, and judges the
others, one-to-one within --tolerance. A row is of one preset and number of clicks, one version that it is trained on
and one that it picks; raw is FOLDER itself, raw+wiener both versions of the clicked tomogram. Means over draws and
tomograms, and the standard deviation of the draws' means; held is how often the true number lies in the interval of the
count. ``--set preprocess.working_diameter=24`` changes a setting.
"""

import argparse
import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import yaml
from scipy import fft, ndimage
from torch import nn
from torch.nn import functional

from tomopicker import api
from tomopicker.benchmark.dataset import draw_clicks
from tomopicker.evaluation.metrics import evaluate
from tomopicker.picks import Picks
from tomopicker.pretraining.acquisition import non_local_means
from tomopicker.simulation.optics import contrast_transfer

JITTER_ANGSTROM, TOLERANCE_ANGSTROM = 20.2, 134.8
"""1.5 and 10 voxels of 13.48 Å."""
GAUSSIAN_SD = 1.0
"""Voxels."""
STRENGTH, FALLOFF, HIGHPASS = 1.0, 1.0, 0.02
"""Of the deconvolution: Warp's and IsoNet's usual ones; the high-pass is a fraction of the Nyquist frequency."""
NOISE_OF_ALL = 0.75
"""Standard deviation of the noise, in that of the volume, that non-local means removes."""
DENOISING_STEPS, SLAB = 300, 32
"""Of the blind-spot network: steps of 4 patches of 32³; sections denoised at once."""
RAW, BOTH = "raw", "+"
HEADINGS = "best F1  own F1     sd  expected  count/truth  held"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--make", type=Path, metavar="VERSIONS")
    parser.add_argument("--defocus", type=float, default=3.5, help="µm")
    parser.add_argument("--phase-shift", type=float, default=0.0, help="degrees")
    parser.add_argument("--voltage", type=float, default=300.0, help="kV")
    parser.add_argument("--versions", type=Path)
    parser.add_argument("--trained-on", nargs="+", default=[RAW])
    parser.add_argument("--picked-on", nargs="+", default=["same"], help="'same': what each is trained on")
    parser.add_argument("--runs", nargs="+", default=["instant:1", "instant:5", "instant:20"], metavar="PRESET:CLICKS")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--diameter", type=float, default=300.0)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE_ANGSTROM, help="Å")
    parser.add_argument("--cache", type=Path, default=Path("features"))
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE")
    asked = parser.parse_args()
    if asked.make:
        return make(asked)
    print(f"{'preset':8s} clicks  {'trained on':14s} {'picked on':14s} {HEADINGS}", flush=True)
    for run in asked.runs:
        preset, clicks = run.split(":")
        for version in asked.trained_on:
            on = [version.split(BOTH)[0] if each == "same" else each for each in asked.picked_on]
            found: dict[str, list[list[list[float]]]] = {each: [] for each in on}
            for seed in asked.seeds:
                for each, rows in judged(asked, preset, int(clicks), seed, version, on).items():
                    found[each].append(rows)
                gc.collect()
            for each, rows in found.items():
                best, own, expected, ratio, held = np.mean(rows, axis=(0, 1))
                spread = f"{np.std(np.mean(rows, axis=1)[:, 1], ddof=1):.3f}" if len(rows) > 1 else ""
                start = f"{preset:8s} {clicks:>6s}  {version:14s} {each:14s}"
                line = f"{start} {best:7.3f}  {own:6.3f} {spread:>6s}  {expected:8.3f}  {ratio:11.2f}  {held:4.2f}"
                print(line, flush=True)


def make(asked) -> None:
    """Write all versions of all tomograms."""
    for path in sorted(asked.data.glob("*.mrc")):
        tomogram = api.open_tomogram(path)
        raw = tomogram.slab(0, tomogram.shape[0]).astype(np.float32)
        raw = (raw - raw.mean()) / raw.std()
        optics = {"defocus_um": asked.defocus, "phase_shift_degrees": asked.phase_shift, "voltage_kv": asked.voltage}
        for name, filtered in FILTERS.items():
            target = asked.make / name / path.name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                api.write_mrc(target, filtered(raw, tomogram.voxel_size, optics), tomogram.voxel_size)
                print(target, flush=True)


def deconvolved(volume, voxel_size, optics):
    """Divide by the contrast transfer c as Warp does: c / (c² + 1 / SNR).

    SNR(k) = 10^(3·strength)·exp(-100·falloff·q / voxel size)·(1 - cos(π·min(1, q / highpass))), q the frequency over
    the Nyquist frequency (Tegunov and Cramer, Nature Methods 16, 2019; IsoNet uses the same). Dense stays dark.
    """
    padded = np.pad(volume, [(16, 16)] * 3, mode="reflect")
    axes = [fft.fftfreq(edge) for edge in padded.shape[:2]] + [fft.rfftfreq(padded.shape[2])]
    k = np.sqrt(sum(each**2 for each in np.meshgrid(*axes, indexing="ij", sparse=True))).astype(np.float32)
    lows = 1 - np.cos(np.pi * np.minimum(1, k / (HIGHPASS * 0.5)))
    ratio = 10 ** (3 * STRENGTH) * np.exp(-100 * FALLOFF / voxel_size * np.minimum(k / 0.5, 1)) * lows
    contrast = -contrast_transfer(k / voxel_size, **optics, spherical_aberration_mm=2.7, amplitude_contrast=0.07)
    transfer = contrast / (contrast**2 + 1 / np.maximum(ratio, 1e-12))
    filtered = fft.irfftn(fft.rfftn(padded) * transfer.astype(np.float32), s=padded.shape)
    return filtered[16:-16, 16:-16, 16:-16].astype(np.float32)


class BlindSpot(nn.Module):
    """A small U-Net of two levels."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.fine = nn.Sequential(_convolution(1, width), _convolution(width, width))
        self.coarse = nn.Sequential(
            _convolution(width, 2 * width, 2), _convolution(2 * width, 2 * width), nn.Upsample(scale_factor=2)
        )
        self.last = nn.Sequential(_convolution(3 * width, width), nn.Conv3d(width, 1, 1))

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        fine = self.fine(volume)
        return self.last(torch.cat([fine, self.coarse(fine)], 1))


def _convolution(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(channels, out, 3, stride, 1), nn.LeakyReLU(0.1))


def blind_spot_denoised(volume, *_):
    """Denoise with a network trained on this volume alone to predict voxels that are hidden with their neighbours.

    Krull et al., Noise2Void, CVPR 2019; of each hidden voxel 3³ are replaced by others of the patch, since noise of
    neighbours is correlated (Broaddus et al., Removing structured noise, ISBI 2020).
    """
    rng, size = np.random.default_rng(0), 32
    torch.manual_seed(0)
    network = BlindSpot()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _step in range(DENOISING_STEPS):
        corners = rng.integers(0, np.array(volume.shape) - size, (4, 3))
        cut = [volume[tuple(slice(start, start + size) for start in corner)] for corner in corners]
        patches = torch.from_numpy(np.stack(cut))[:, None]
        asked = torch.rand(patches.shape) < 0.01
        hidden = functional.max_pool3d(asked.float(), 3, 1, 1) > 0
        others = patches.flatten()[torch.randint(patches.numel(), patches.shape)]
        loss = (network(torch.where(hidden, others, patches)) - patches)[asked].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    padded, slabs = torch.from_numpy(np.pad(volume, [(8, 8 + SLAB), (0, 0), (0, 0)], mode="reflect"))[None, None], []
    with torch.inference_mode():
        for start in range(0, volume.shape[0], SLAB):
            slabs.append(network(padded[:, :, start : start + SLAB + 16])[0, 0, 8:-8].numpy())
    return np.concatenate(slabs)[: volume.shape[0]]


FILTERS: dict[str, Callable[..., np.ndarray]] = {
    "gaussian": lambda volume, *_: ndimage.gaussian_filter(volume, GAUSSIAN_SD),
    "wiener": deconvolved,
    "nlm": lambda volume, *_: non_local_means(volume, NOISE_OF_ALL),
    "blindspot": blind_spot_denoised,
}


def judged(asked, preset: str, clicks: int, seed: int, version: str, on: Sequence[str]) -> dict[str, list[list[float]]]:
    """Click in the first tomogram of a version, or of several, and judge picks in the others."""
    names = [path.stem for path in sorted(asked.data.glob("*.mrc"))]
    learnt = [opened(asked, each, names[0]) for each in version.split(BOTH)]
    if len(learnt) > 1:
        learnt = [replace(each, name=f"{each.name}_{number}") for number, each in enumerate(learnt)]
    truth = truth_of(asked, names[0], learnt[0].frame)
    drawn = draw_clicks(truth, learnt[0].frame, clicks, seed, JITTER_ANGSTROM / learnt[0].voxel_size)
    given = Picks.concatenate(Picks.of(each.name, drawn.positions) for each in learnt)
    judge = {each: [opened(asked, each, name) for name in names[1:]] for each in on}
    if preset == "instant":
        first = [features(asked, each) for each in learnt]

        def picked(tomograms):
            return api.instant([*first, *(features(asked, each) for each in tomograms)], given).picked
    else:
        model = api.train(learnt, given, settings_of(asked, preset, seed=seed))

        def picked(tomograms):
            return {each.name: api.pick(each, model) for each in tomograms}

    rows: dict[str, list[list[float]]] = {}
    for each, tomograms in judge.items():
        found = picked(tomograms)
        rows[each] = [
            row(found[item.name], truth_of(asked, item.name, item.frame), asked.tolerance) for item in tomograms
        ]
    return rows


def opened(asked, version: str, name: str):
    return api.open_tomogram((asked.data if version == RAW else asked.versions / version) / f"{name}.mrc")


def features(asked, tomogram):
    return api.features(tomogram, asked.diameter, cache=asked.cache, settings=settings_of(asked, "instant"))


def settings_of(asked, preset: str, **changes):
    stated = {name: yaml.safe_load(value) for name, value in (text.split("=", 1) for text in asked.set)}
    return api.settings(asked.diameter, preset, **changes, **stated)


def truth_of(asked, name: str, frame) -> Picks:
    beside = asked.data / f"{name}.csv"
    return api.read_picks([beside if beside.exists() else asked.data / "truth" / f"{name}.csv"], {name: frame})


def row(picked, truth, tolerance: float) -> list[float]:
    one = evaluate(picked.picks.positions, picked.picks.scores, truth.positions, tolerance)
    every = evaluate(picked.candidates.positions, picked.candidates.scores, truth.positions, tolerance)
    count = picked.count
    return [
        every.best_f1,
        one.f1,
        picked.expected.f1,
        count.estimate / len(truth),
        float(count.low <= len(truth) <= count.high),
    ]


if __name__ == "__main__":
    main()
