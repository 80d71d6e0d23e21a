"""Peak memory of picking against what it should be: working volume, score volume, masks, and a constant.

Each row picks one file in a fresh Python (``resource.getrusage``, imports included) and saves its scores; the same of a
file of a few voxels, which is what libraries, tiles and slabs take, is subtracted. A network that blurs stands in for
a trained one: its tiles take the same memory whatever the tomogram is, and ``speed.py`` measures them.
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
PRESETS = {"paper": ("paper", 300.0), "small": ("default", 120.0), "default": ("default", 300.0)}
"""Preset and particle diameter in Å: the paper's works on the tomogram's own voxels, and so does any on a small one."""
FILES = ("int8.mrc", "float32.mrc", "float32.mrc.gz", "float32.zarr")
SLACK = 0.25
"""GiB that a row may exceed what it should take."""


def main() -> None:
    """Measure every row and print the table; fail if one takes more than it should."""
    options = parse()
    if options.child:
        print(json.dumps(pick(*options.child)), flush=True)
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
                least = found["working"] * (4 + 4 + found["masks"]) / 2**30
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
    print("| Row | File | Working voxels | Volume, scores, masks | Taken beside the constant | Constant | Time |")
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


def pick(row: str, file: str, *shape: str) -> dict[str, Any]:
    """Pick a file as a preset does, and save its scores; or write the file."""
    import numpy as np

    from tomopicker import api, io

    path, start = Path(file), time.perf_counter()
    if row == "write":
        write(path, [int(edge) for edge in shape])
        return {}
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
    unit = 1 if sys.platform == "darwin" else 1024
    # The mask, that mask without the border, and while they are made one more of them.
    masks = 3 if picked.working.mask is not None else 1
    return {
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "working": picked.logits.size,
        "masks": masks,
        "seconds": time.perf_counter() - start,
    }


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
    kind = np.dtype(np.int8 if path.name.startswith("int8") else np.float32)

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
