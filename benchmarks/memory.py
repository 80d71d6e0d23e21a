"""Peak memory of picking and training against what it should be: working volume, scores, labels, masks, a constant.

Each row picks one file in a fresh Python (``resource.getrusage``, imports included) and saves its scores, or trains on
it; the same of a file of a few voxels, which is what libraries, tiles and slabs take, is subtracted. A network that
blurs stands in for a trained one, and a narrow one is trained for a few steps: tiles and patches take the same memory
whatever the tomogram is, and ``speed.py`` measures them.
"""

# ruff: noqa: PLC0415  (the parent must stay small, for its size counts in its children's peak: work imports for itself)

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

VOXEL_SIZE = 13.48
PRESETS = {
    "paper": ("paper", 300.0), "small": ("default", 120.0), "default": ("default", 300.0),
    "train": ("default", 120.0), "train-discriminant": ("default", 120.0),
}  # fmt: skip
"""Preset and particle diameter in Å: the paper's works on the tomogram's own voxels, and so does any on a small one."""
FILES = ("int8.mrc", "float32.mrc", "float32.mrc.gz", "float32.zarr", "int8.zarr", "float16.zarr")
NARROW = {
    "patches": {"size": 32, "batch": 2}, "network": {"channels": (4, 8, 8), "pretrained": "none"},
    "training": {"steps": 4},
}  # fmt: skip
"""Settings of the row ``train``, which has no pseudo-labels."""
SLACK = 0.25
"""GiB that a row may exceed what it should take."""


def main() -> None:
    """Measure every row and print the table; fail if one takes more than it should."""
    options = parse()
    if options.child:
        print(json.dumps(work(*options.child)), flush=True)
        return
    lines, excess = [], []
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="tomopicker-memory-") as scratch:
        for name in options.files:
            tiny, full = Path(scratch) / "tiny" / name, Path(scratch) / "full" / name
            in_child("write", tiny, (48, 48, 48))
            in_child("write", full, options.shape)
            for row in options.rows:
                base, found = in_child(row, tiny, (0, 0, 0)), in_child(row, full, options.shape)
                took = (found["memory"] - base["memory"]) / 2**30
                least = found["working"] * found["bytes"] / 2**30
                if took > least + SLACK:
                    excess.append(f"{row} {name}")
                lines.append(
                    f"| {row} | {name} | {found['working'] / 1e6:.0f} M | {least:.2f} GiB | {took:.2f} GiB | "
                    f"{base['memory'] / 2**30:.2f} GiB | {found['seconds']:.0f} s |"
                )
                print(lines[-1], file=sys.stderr, flush=True)
            full.unlink() if full.is_file() else None
    size = " × ".join(map(str, options.shape[::-1]))
    print(f"Tomograms of {size} voxels.\n")
    print("| Row | File | Working voxels | Expected | Taken beside the constant | Constant | Time |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(lines))
    if excess:
        sys.exit(f"more memory than volume, scores, masks and {SLACK} GiB: {', '.join(excess)}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(500, 928, 960), metavar=("Z", "Y", "X"))
    parser.add_argument("--rows", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--files", nargs="+", choices=FILES, default=FILES)
    parser.add_argument("--scratch", type=Path, help="folder for temporary files (5 GiB at full size)")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    return parser.parse_args()


def in_child(row: str, path: Path, shape: tuple[int, ...]) -> dict[str, Any]:
    """Do one thing in a fresh Python; give what it measured."""
    command = [sys.executable, __file__, "--child", row, str(path), *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{row} {path.name} failed:\n{done.stdout}{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def work(row: str, file: str, *shape: str) -> dict[str, Any]:
    """Pick or train on a file as a preset does, or write the file; give what it took."""
    path, start = Path(file), time.perf_counter()
    if row == "write":
        write(path, [int(edge) for edge in shape])
        return {}
    found = train(row, path) if row.startswith("train") else pick(row, path)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"memory": peak, "seconds": time.perf_counter() - start} | found


def pick(row: str, path: Path) -> dict[str, Any]:
    """Pick a file as a preset does, and save its scores; give working voxels and the bytes that each may take."""
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
    # The mask, that mask without the border, and while they are made one more of them.
    masks = 3 if picked.working.mask is not None else 1
    return {"working": picked.logits.size, "bytes": 4 + 4 + masks}


def train(row: str, path: Path) -> dict[str, Any]:
    """Train as a preset does, from few clicks with pseudo-labels, or a narrow network without."""
    import numpy as np

    from tomopicker import api

    preset, diameter = PRESETS[row]
    settings = api.settings(diameter, preset, **(NARROW if row == "train" else {"training": {"steps": 2}}))
    tomogram = api.open_tomogram(path)
    z, y, x = tomogram.shape
    along = np.linspace(0.25, 0.75, 10 if row == "train" else 5)
    clicks = np.stack([along * x, along[::-1] * y, np.full(len(along), z / 2)], axis=1) * tomogram.voxel_size
    model = api.train([tomogram], api.Picks.of(tomogram.name, clicks), settings, device="cpu")
    edges = [max(1, round(edge * tomogram.voxel_size / model.voxel_size)) for edge in tomogram.shape]
    # Scores, labels, and masks as in picking. The discriminant keeps 112 channels of an eighth of the voxels, in half
    # precision.
    features = 0 if row == "train" else 112 * 2 // 8
    return {"working": int(np.prod(edges)), "bytes": 4 + 1 + 4 + 3 + features}


def stand_in(settings: Any, voxel_size: float) -> Any:
    """Make a model whose network blurs at a particle's scale: some thousand peaks exceed its threshold."""
    import torch

    from tomopicker.api import Model

    class Blur(torch.nn.Module):
        divisor = 8

        def forward(self, volume: torch.Tensor) -> torch.Tensor:
            blurred = torch.nn.functional.avg_pool3d(volume, 5, 1, 2)
            return -60 * blurred - 20  # Of noise blurred so, one voxel in thousands lies four deviations off.

    return Model(Blur(), settings, voxel_size, 0.0, 0.5, {})


def write(path: Path, shape: list[int]) -> None:
    """Write a tomogram of noise, twice as strong in the middle third of the sections, section by section."""
    import numpy as np

    from tomopicker import io

    rng = np.random.default_rng(0)
    kind = np.dtype(path.name.partition(".")[0])

    def sections() -> Any:
        for z in range(shape[0]):
            loud = 2 if shape[0] // 3 <= z < 2 * shape[0] // 3 else 1
            yield (rng.standard_normal(shape[1:], dtype=np.float32) * 15 * loud).clip(-127, 127).astype(kind)

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
