"""Compare filtered versions of tomograms (low-passed, deconvolved, denoised): F1 trained and picked on each.

    python benchmarks/filtered.py --data FOLDER --make VERSIONS --defocus 3.5 --phase-shift 0
    python benchmarks/filtered.py --data FOLDER --versions VERSIONS --trained-on raw wiener --picked-on raw wiener \\
        --runs instant:1 instant:5 default:20 --seeds 0 1 2

FOLDER has tomograms and their truth, TS_0001.csv, there or in truth/. The first command writes
VERSIONS/wiener/TS_0001.mrc and so on. The second draws clicks in the first tomogram, displaced by 20 Å, and evaluates
the others, one-to-one within --tolerance. A row is a preset with a number of clicks, the version it is trained on and
the version it picks; raw is FOLDER itself, raw+wiener both versions of the clicked tomogram. Printed are means over
draws of clicks and tomograms, and the standard deviation over draws; held is how often the interval of the count
contains the truth. ``--set preprocess.working_diameter=24`` changes a setting.
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
from tomopicker.benchmark.results import evaluate_picks
from tomopicker.picks import Picks
from tomopicker.pretraining.acquisition import non_local_means
from tomopicker.simulation.optics import contrast_transfer

JITTER_ANGSTROM, TOLERANCE_ANGSTROM = 20.2, 134.8
"""1.5 and 10 voxels of 13.48 Å."""
GAUSSIAN_SD_VOXELS = 1.0
STRENGTH, FALLOFF, HIGHPASS = 1.0, 1.0, 0.02
"""Deconvolution as in Warp and IsoNet; the high-pass is a fraction of the Nyquist frequency."""
NOISE_FRACTION = 0.75
"""Standard deviation of the noise that non-local means removes, relative to that of the volume."""
DENOISING_STEPS, SLAB = 300, 32
"""Blind-spot network: training steps of 4 patches of 32³, and sections denoised at once."""
RAW, SEPARATOR = "raw", "+"
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
    parser.add_argument("--picked-on", nargs="+", default=["same"], help="'same': the version it is trained on")
    parser.add_argument("--runs", nargs="+", default=["instant:1", "instant:5", "instant:20"], metavar="PRESET:CLICKS")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--diameter", type=float, default=300.0)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE_ANGSTROM, help="Å")
    parser.add_argument("--cache", type=Path, default=Path("features"))
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    if arguments.make:
        return make(arguments)
    print(f"{'preset':8s} clicks  {'trained on':14s} {'picked on':14s} {HEADINGS}", flush=True)
    for run in arguments.runs:
        preset, clicks = run.split(":")
        for version in arguments.trained_on:
            targets = [version.split(SEPARATOR)[0] if target == "same" else target for target in arguments.picked_on]
            rows: dict[str, list[list[list[float]]]] = {target: [] for target in targets}
            for seed in arguments.seeds:
                for target, metrics in measure(arguments, preset, int(clicks), seed, version, targets).items():
                    rows[target].append(metrics)
                gc.collect()
            for target, metrics in rows.items():
                best, own, expected, ratio, held = np.mean(metrics, axis=(0, 1))
                spread = f"{np.std(np.mean(metrics, axis=1)[:, 1], ddof=1):.3f}" if len(metrics) > 1 else ""
                start = f"{preset:8s} {clicks:>6s}  {version:14s} {target:14s}"
                line = f"{start} {best:7.3f}  {own:6.3f} {spread:>6s}  {expected:8.3f}  {ratio:11.2f}  {held:4.2f}"
                print(line, flush=True)


def make(arguments) -> None:
    """Write all versions of all tomograms."""
    for path in sorted(arguments.data.glob("*.mrc")):
        tomogram = api.open_tomogram(path)
        raw = tomogram.slab(0, tomogram.shape[0]).astype(np.float32)
        raw = (raw - raw.mean()) / raw.std()
        optics = {
            "defocus_um": arguments.defocus,
            "phase_shift_degrees": arguments.phase_shift,
            "voltage_kv": arguments.voltage,
        }
        for name, apply in FILTERS.items():
            target = arguments.make / name / path.name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                api.write_mrc(target, apply(raw, tomogram.voxel_size, optics), tomogram.voxel_size)
                print(target, flush=True)


def deconvolve(volume, voxel_size, optics):
    """Deconvolve the contrast transfer c as Warp does: c / (c² + 1 / SNR).

    SNR(k) = 10^(3·strength)·exp(-100·falloff·q / voxel size)·(1 - cos(π·min(1, q / highpass))), with q the frequency
    over the Nyquist frequency (Tegunov and Cramer, Nature Methods 16, 2019; IsoNet does the same). Protein stays dark.
    """
    padded = np.pad(volume, [(16, 16)] * 3, mode="reflect")
    axes = [fft.fftfreq(edge) for edge in padded.shape[:2]] + [fft.rfftfreq(padded.shape[2])]
    k = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True))).astype(np.float32)
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


def denoise_blind_spot(volume, *_):
    """Denoise with a network trained on this volume alone to predict hidden voxels.

    Noise2Void (Krull et al., CVPR 2019); the 3³ voxels around a predicted one are replaced by others, since the noise
    of neighbours is correlated (Broaddus et al., Removing structured noise, ISBI 2020).
    """
    rng, size = np.random.default_rng(0), 32
    torch.manual_seed(0)
    network = BlindSpot()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _step in range(DENOISING_STEPS):
        corners = rng.integers(0, np.array(volume.shape) - size, (4, 3))
        cut = [volume[tuple(slice(start, start + size) for start in corner)] for corner in corners]
        patches = torch.from_numpy(np.stack(cut))[:, None]
        predicted = torch.rand(patches.shape) < 0.01
        hidden = functional.max_pool3d(predicted.float(), 3, 1, 1) > 0
        others = patches.flatten()[torch.randint(patches.numel(), patches.shape)]
        loss = (network(torch.where(hidden, others, patches)) - patches)[predicted].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    padded, slabs = torch.from_numpy(np.pad(volume, [(8, 8 + SLAB), (0, 0), (0, 0)], mode="reflect"))[None, None], []
    with torch.inference_mode():
        for start in range(0, volume.shape[0], SLAB):
            slabs.append(network(padded[:, :, start : start + SLAB + 16])[0, 0, 8:-8].numpy())
    return np.concatenate(slabs)[: volume.shape[0]]


FILTERS: dict[str, Callable[..., np.ndarray]] = {
    "gaussian": lambda volume, *_: ndimage.gaussian_filter(volume, GAUSSIAN_SD_VOXELS),
    "wiener": deconvolve,
    "nlm": lambda volume, *_: non_local_means(volume, NOISE_FRACTION),
    "blindspot": denoise_blind_spot,
}


def measure(
    arguments, preset: str, n_clicks: int, seed: int, version: str, targets: Sequence[str]
) -> dict[str, list[list[float]]]:
    """Draw clicks in the first tomogram of a version, or of several, and evaluate picks in the others."""
    names = [path.stem for path in sorted(arguments.data.glob("*.mrc"))]
    clicked = [open_version(arguments, part, names[0]) for part in version.split(SEPARATOR)]
    if len(clicked) > 1:
        clicked = [replace(tomogram, name=f"{tomogram.name}_{index}") for index, tomogram in enumerate(clicked)]
    frame = clicked[0].frame
    drawn = draw_clicks(
        read_truth(arguments, names[0], frame), frame, n_clicks, seed, JITTER_ANGSTROM / frame.voxel_size
    )
    clicks = Picks.concatenate(Picks.of(tomogram.name, drawn.positions) for tomogram in clicked)
    unseen = {target: [open_version(arguments, target, name) for name in names[1:]] for target in targets}
    if preset == "instant":
        first = [features(arguments, tomogram) for tomogram in clicked]

        def pick(tomograms):
            return api.instant([*first, *(features(arguments, tomogram) for tomogram in tomograms)], clicks).picked
    else:
        model = api.train(clicked, clicks, settings_of(arguments, preset, seed=seed))

        def pick(tomograms):
            return {tomogram.name: api.pick(tomogram, model) for tomogram in tomograms}

    rows: dict[str, list[list[float]]] = {}
    for target, tomograms in unseen.items():
        picked = pick(tomograms)
        rows[target] = [row(arguments, picked[tomogram.name], tomogram) for tomogram in tomograms]
    return rows


def open_version(arguments, version: str, name: str):
    return api.open_tomogram((arguments.data if version == RAW else arguments.versions / version) / f"{name}.mrc")


def features(arguments, tomogram):
    return api.features(tomogram, arguments.diameter, cache=arguments.cache, settings=settings_of(arguments, "instant"))


def settings_of(arguments, preset: str, **changes):
    given = {name: yaml.safe_load(value) for name, value in (text.split("=", 1) for text in arguments.set)}
    return api.settings(arguments.diameter, preset, **changes, **given)


def read_truth(arguments, name: str, frame) -> Picks:
    path = arguments.data / f"{name}.csv"
    return api.read_picks([path if path.exists() else arguments.data / "truth" / f"{name}.csv"], {name: frame})


def row(arguments, picked, tomogram) -> list[float]:
    truth, tolerance = read_truth(arguments, tomogram.name, tomogram.frame), arguments.tolerance / tomogram.voxel_size
    metrics, *_ = evaluate_picks(picked.picks, picked.candidates, truth, tomogram.voxel_size, [tolerance])
    count, n = picked.count, len(truth)
    return [
        metrics.best_f1, metrics.f1, picked.expected.f1, count.estimate / n, float(count.low <= n <= count.high),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
