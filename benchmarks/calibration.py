"""Compare a simulated defocus tomogram with slices of a real one: pictures, power spectra, streaks.

Run it from the repository root after changing the simulator or its presets:

    python benchmarks/calibration.py --real ../shared/data/ts034

The real slices are of TS_034 of EMPIAR-10988 (`TS034_xy_slice_960x928_uint8.npy`, `TS034_xz_slice_960x500_uint8.npy`:
13.48 Å voxels, protein bright). Writes docs/images/simulator.png and prints the measurements.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

from tomopicker.simulation.tomogram import simulate_tomogram

mpl.use("Agg")
import matplotlib.pyplot as plt

VOXEL = 13.48
SIDE = 440
"""Edge of the square xy slices and width of the xz slices, in voxels."""
DEPTH = 400
REAL_XY, REAL_XZ = "TS034_xy_slice_960x928_uint8.npy", "TS034_xz_slice_960x500_uint8.npy"
REAL_MIDDLE, THICKNESS = 260, 200
"""z of the real lamella's mid-plane and its thickness in voxels, from the roughness of its xz slice."""
LAMELLA, VACUUM = slice(DEPTH // 2 - 70, DEPTH // 2 + 70), slice(4, 84)
N_BINS = 48


@dataclass(frozen=True)
class Slices:
    """One xy and one xz slice, protein bright, grey values clipped at the 1st and 99th percentile to 0..1."""

    title: str
    xy: np.ndarray
    xz: np.ndarray


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=Path("../shared/data/ts034"), help="folder of the real slices")
    parser.add_argument("--output", type=Path, default=Path("docs/images/simulator.png"))
    parser.add_argument("--preset", default="defocus")
    parser.add_argument("--seed", type=int, default=34)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings that override the preset")
    arguments = parser.parse_args()
    missing = [name for name in (REAL_XY, REAL_XZ) if not (arguments.real / name).exists()]
    if missing:
        print(f"{arguments.real}: has no {' and no '.join(missing)}; give their folder with --real", file=sys.stderr)
        return 1
    real = real_slices(arguments.real)
    simulated = simulated_slices(arguments.preset, arguments.seed, dict(text.split("=", 1) for text in arguments.set))
    report(real, simulated)
    draw(real, simulated, arguments.output)
    return 0


def real_slices(folder: Path) -> Slices:
    """Crop the cytoplasm from the real slices."""
    xy, xz = (np.load(folder / name).astype(np.float32) for name in (REAL_XY, REAL_XZ))
    first = REAL_MIDDLE - DEPTH // 2
    return Slices("EMPIAR-10988, TS_034", clip_grey_levels(xy[130 : 130 + SIDE, 15 : 15 + SIDE]),
                  clip_grey_levels(xz[first : first + DEPTH, 15 : 15 + SIDE]))  # fmt: skip


def simulated_slices(preset: str, seed: int, changes: dict[str, object]) -> Slices:
    """Simulate a lamella of the same thickness and crop it in the same way."""

    def progress(step: str, done: int, total: int) -> None:
        if sys.stdout.isatty():
            print(f"\r{step}: {done} of {total}          ", end="", flush=True)

    simulated = simulate_tomogram(
        preset, (DEPTH, SIDE, SIDE), VOXEL, seed,
        changes={"scene.thickness_angstrom": THICKNESS * VOXEL} | changes, progress=progress,
    )  # fmt: skip
    volume = -simulated.volume
    return Slices("Simulated", clip_grey_levels(volume[DEPTH // 2]), clip_grey_levels(volume[:, SIDE // 2]))


def clip_grey_levels(image: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image, [1, 99])
    return np.asarray(np.clip((image - low) / (high - low), 0, 1), dtype=np.float64)


def power(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return power per pixel, frequency in cycles per voxel, and its angle in degrees from the slice's x."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    spectrum = np.fft.fft2((image - image.mean()) * window)
    rows, columns = np.meshgrid(np.fft.fftfreq(image.shape[0]), np.fft.fftfreq(image.shape[1]), indexing="ij")
    angle = np.rad2deg(np.arctan2(rows, columns))
    return np.abs(spectrum) ** 2 / (window**2).sum(), np.hypot(rows, columns), (angle + 90.0) % 180.0 - 90.0


def mean_by(values: np.ndarray, coordinate: np.ndarray, kept: np.ndarray, bins: int) -> np.ndarray:
    index = np.clip((coordinate * bins).astype(int), 0, bins - 1)[kept]
    return np.bincount(index, values[kept], bins) / np.maximum(np.bincount(index, minlength=bins), 1)


def radial(image: np.ndarray, low: float = 0.0, high: float = 90.0) -> np.ndarray:
    """Return power against frequency, averaged over directions between two angles from x."""
    values, frequency, angle = power(image)
    kept = (frequency < 0.5) & (np.abs(angle) >= low) & (np.abs(angle) <= high)
    return mean_by(values, frequency / 0.5, kept, N_BINS)


def angular(image: np.ndarray) -> np.ndarray:
    """Return power against direction at intermediate frequencies, in steps of 3° from -90° to 90°; its mean is 1."""
    values, frequency, angle = power(image)
    curve = mean_by(values, (angle + 90.0) / 180.0, (frequency > 0.05) & (frequency < 0.4), 60)
    return curve / curve.mean()


def streaks(image: np.ndarray) -> float:
    """Return the ratio of the grain size of an xz slice along z to that along x."""
    values, frequency, angle = power(image)
    kept = (frequency > 0.02) & (frequency < 0.45)
    along_x = (values * (frequency * np.cos(np.deg2rad(angle))) ** 2)[kept].sum()
    along_z = (values * (frequency * np.sin(np.deg2rad(angle))) ** 2)[kept].sum()
    return float(np.sqrt(along_x / along_z))


def report(real: Slices, simulated: Slices) -> None:
    for name, measure in (
        ("streaks, lamella", lambda s: streaks(s.xz[LAMELLA])),
        ("streaks, vacuum", lambda s: streaks(s.xz[VACUUM])),
        ("grey levels' deviation, lamella over vacuum", lambda s: s.xz[LAMELLA].std() / s.xz[VACUUM].std()),
    ):
        print(f"{name}: real {measure(real):.2f}, simulated {measure(simulated):.2f}")
    for name, curve in CURVES.items():
        one, two = curve(real), curve(simulated)
        print(f"{name}: mean |log2 ratio| {np.abs(np.log2(two[1:-1] / one[1:-1])).mean():.2f}")


CURVES = {
    "xy": lambda s: radial(s.xy),
    "xz lamella": lambda s: radial(s.xz[LAMELLA], high=30.0),
    "xz vacuum": lambda s: radial(s.xz[VACUUM], high=30.0),
}


def draw(real: Slices, simulated: Slices, path: Path) -> None:
    figure, axes = plt.subplots(2, 3, figsize=(15, 9.6), width_ratios=[1, 1, 0.95], layout="constrained")
    for column, slices in enumerate((real, simulated)):
        for row, (name, image) in enumerate((("xy", slices.xy), ("xz", slices.xz))):
            axes[row, column].imshow(image, cmap="gray", interpolation="nearest")
            axes[row, column].set_title(f"{slices.title}, {name}", fontsize=12)
            axes[row, column].set(xticks=[], yticks=[])
    bar = 1000.0 / VOXEL
    axes[0, 0].plot([14, 14 + bar], [SIDE - 14] * 2, color="white", linewidth=4)
    axes[0, 0].text(14 + bar / 2, SIDE - 28, "100 nm", color="white", ha="center", fontsize=11,
                    bbox={"facecolor": "black", "alpha": 0.6, "pad": 2, "edgecolor": "none"})  # fmt: skip
    frequency = (np.arange(N_BINS) + 0.5) / N_BINS * 0.5 / VOXEL * 10
    for colour, (name, curve) in zip(("#1b6ca8", "#c8553d", "#8a8a8a"), CURVES.items(), strict=True):
        for slices, style in ((real, "-"), (simulated, "--")):
            axes[0, 2].semilogy(frequency[1:], curve(slices)[1:], style, color=colour, label=f"{name}, {slices.title}")
    axes[0, 2].set(xlabel="spatial frequency (1/nm)", ylabel="power of clipped grey levels", title="Radial power")
    axes[0, 2].legend(frameon=False, fontsize=8)
    direction = np.arange(-88.5, 90, 3)
    for slices, style in ((real, "-"), (simulated, "--")):
        label = f"{slices.title}; grain {streaks(slices.xz[LAMELLA]):.1f}× as long along z"
        axes[1, 2].plot(direction, angular(slices.xz), style, color="#c8553d", label=label)
    axes[1, 2].set(
        xlabel="direction in the xz slice (degrees from x)", ylabel="power", title="Streaks and missing wedge"
    )
    axes[1, 2].legend(frameon=False, fontsize=9, loc="upper left")
    axes[1, 2].set_ylim(0, 4.2)
    for plot in axes[:, 2]:
        plot.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    sys.exit(main())
