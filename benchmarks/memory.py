"""Compare the peak memory of picking and training with its expected parts: working volume, scores, labels, masks.

Each row picks one file in a new Python (``resource.getrusage``, imports included) and saves its scores, or trains on
it. The peak for a file of a few voxels, due to libraries, tiles and slabs, is subtracted. A network that blurs replaces
a trained one, and a narrow one is trained for a few steps: tiles and patches take the same memory for any tomogram, and
``speed.py`` measures them.
"""

# ruff: noqa: PLC0415  (the parent must stay small, since its size counts in its children's peak: work imports lazily)

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from processes import peak_memory, run_script

VOXEL_SIZE = 13.48
PRESETS = {
    "paper": ("paper", 300.0), "small": ("default", 120.0), "default": ("default", 300.0),
    "train": ("default", 120.0), "train-discriminant": ("default", 120.0),
}  # fmt: skip
"""Preset and particle diameter in Å; with the paper's preset, and with small particles, voxels are not binned."""
FILES = ("int8.mrc", "float32.mrc", "float32.mrc.gz", "float32.zarr", "int8.zarr", "float16.zarr")
NARROW = {
    "patches": {"size": 32, "batch": 2}, "network": {"channels": (4, 8, 8), "pretrained": "none"},
    "training": {"steps": 4},
}  # fmt: skip
"""Settings of the row ``train``, which has no pseudo-labels."""
MAX_EXCESS_GIB = 0.25
"""Maximum excess over the expected memory."""


def main() -> None:
    """Measure every row and print the table; fail if one takes more than expected."""
    options = parse()
    if options.child:
        print(json.dumps(work(*options.child)), flush=True)
        return
    lines, failed = [], []
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="tomopicker-memory-") as scratch:
        for name in options.files:
            tiny, full = Path(scratch) / "tiny" / name, Path(scratch) / "full" / name
            run_script(__file__, "--child", "write", tiny, 48, 48, 48)
            run_script(__file__, "--child", "write", full, *options.shape)
            for row in options.rows:
                base, result = (run_script(__file__, "--child", row, path, 0, 0, 0) for path in (tiny, full))
                measured = (result["memory"] - base["memory"]) / 2**30
                expected = result["working"] * result["bytes"] / 2**30
                if measured > expected + MAX_EXCESS_GIB:
                    failed.append(f"{row} {name}")
                lines.append(
                    f"| {row} | {name} | {result['working'] / 1e6:.0f} M | {expected:.2f} GiB | {measured:.2f} GiB | "
                    f"{base['memory'] / 2**30:.2f} GiB | {result['seconds']:.0f} s |"
                )
                print(lines[-1], file=sys.stderr, flush=True)
            full.unlink() if full.is_file() else None
    size = " × ".join(map(str, options.shape[::-1]))
    print(f"Tomograms of {size} voxels.\n")
    print("| Row | File | Working voxels | Expected | Measured, without the constant | Constant | Time |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(lines))
    if failed:
        sys.exit(f"more memory than volume, scores, masks and {MAX_EXCESS_GIB} GiB: {', '.join(failed)}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(500, 928, 960), metavar=("Z", "Y", "X"))
    parser.add_argument("--rows", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--files", nargs="+", choices=FILES, default=FILES)
    parser.add_argument("--scratch", type=Path, help="folder for temporary files (5 GiB at full size)")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    return parser.parse_args()


def work(row: str, file: str, *shape: str) -> dict[str, Any]:
    """Pick or train on a file with a preset, or write the file; return memory, seconds and expected parts."""
    path, start = Path(file), time.perf_counter()
    if row == "write":
        write(path, [int(edge) for edge in shape])
        return {}
    result = train(row, path) if row.startswith("train") else pick(row, path)
    return {"memory": peak_memory(), "seconds": time.perf_counter() - start} | result


def pick(row: str, path: Path) -> dict[str, Any]:
    """Pick a file with a preset and save its scores; return the working voxels and the expected bytes per voxel."""
    import numpy as np

    from tomopicker import api, io

    preset, diameter = PRESETS[row]
    settings = api.settings(diameter, preset)
    tomogram = api.open_tomogram(path)
    voxel_size = VOXEL_SIZE
    if settings.preprocess.working_diameter is not None:
        voxel_size *= max(1, round(diameter / settings.preprocess.working_diameter / VOXEL_SIZE))
    picked = api.pick(tomogram, stand_in(settings, voxel_size))
    scores = path.with_suffix(".scores.mrc")
    io.write_mrc_sections(
        scores, picked.logits.shape, np.dtype(np.float32), picked.score_sections(), picked.working.voxel_size
    )
    scores.unlink()
    # The mask, the mask without the border, and a temporary one.
    masks = 3 if picked.working.mask is not None else 1
    return {"working": picked.logits.size, "bytes": 4 + 4 + masks}


def train(row: str, path: Path) -> dict[str, Any]:
    """Train with a preset, from few clicks with pseudo-labels, or a narrow network without."""
    import numpy as np

    from tomopicker import api

    preset, diameter = PRESETS[row]
    settings = api.settings(diameter, preset, **(NARROW if row == "train" else {"training": {"steps": 2}}))
    tomogram = api.open_tomogram(path)
    z, y, x = tomogram.shape
    fraction = np.linspace(0.25, 0.75, 10 if row == "train" else 5)
    clicks = np.stack([fraction * x, fraction[::-1] * y, np.full(len(fraction), z / 2)], axis=1) * tomogram.voxel_size
    model = api.train([tomogram], api.Picks.of(tomogram.name, clicks), settings, device="cpu")
    edges = [max(1, round(edge * tomogram.voxel_size / model.voxel_size)) for edge in tomogram.shape]
    # Scores, labels, and masks as in picking; the discriminant has 112 channels at an eighth of the voxels, in half
    # precision.
    features = 0 if row == "train" else 112 * 2 // 8
    return {"working": int(np.prod(edges)), "bytes": 4 + 1 + 4 + 3 + features}


def stand_in(settings: Any, voxel_size: float) -> Any:
    """Return a model whose network blurs at the particle's scale; a few thousand peaks exceed its threshold."""
    import torch

    from tomopicker.api import Model

    class Blur(torch.nn.Module):
        divisor = 8

        def forward(self, volume: torch.Tensor) -> torch.Tensor:
            blurred = torch.nn.functional.avg_pool3d(volume, 5, 1, 2)
            return -60 * blurred - 20  # One voxel in thousands of blurred noise is four standard deviations off.

    return Model(Blur(), settings, voxel_size, 0.0, 0.5, {})


def write(path: Path, shape: list[int]) -> None:
    """Write a tomogram of noise, section by section, twice as strong in the middle third of the sections."""
    import numpy as np

    from tomopicker import io

    rng = np.random.default_rng(0)
    kind = np.dtype(path.name.partition(".")[0])

    def sections() -> Any:
        for z in range(shape[0]):
            strength = 30 if shape[0] // 3 <= z < 2 * shape[0] // 3 else 15
            yield (rng.standard_normal(shape[1:], dtype=np.float32) * strength).clip(-127, 127).astype(kind)

    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".zarr":
        import zarr

        group = zarr.open_group(str(path), mode="w")
        array = group.create_array("0", shape=shape, chunks=[min(128, edge) for edge in shape], dtype=kind)
        scale = [{"type": "scale", "scale": [VOXEL_SIZE] * 3}]
        axes = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
        levels = [{"path": "0", "coordinateTransformations": scale}]
        group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
        held = []
        for z, section in enumerate(sections(), start=1):
            held.append(section)
            if len(held) == 128 or z == shape[0]:
                array[z - len(held) : z] = np.stack(held)
                held.clear()
        return
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    io.write_mrc_sections(plain, shape, kind, sections(), VOXEL_SIZE)
    if plain != path:
        import gzip
        import shutil

        with plain.open("rb") as stream, gzip.open(path, "wb", compresslevel=1) as packed:
            shutil.copyfileobj(stream, packed)
        plain.unlink()


if __name__ == "__main__":
    main()
