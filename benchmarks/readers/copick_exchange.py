"""Exchange a project with copick in both directions, and print the differences.

    python benchmarks/readers/copick_exchange.py --copick-python /tmp/copick/bin/python

copick requires zarr below 3 and this program zarr 3, so they need separate environments:
``python -m venv /tmp/copick && /tmp/copick/bin/pip install copick``.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import zarr

from tomopicker import io
from tomopicker.geometry import Frame
from tomopicker.io.angles import orientations
from tomopicker.io.projects.copick import read_project
from tomopicker.io.read_options import ReadOptions


def with_copick(python: str, action: str, folder: Path) -> str:
    script = Path(__file__).with_name("with_copick.py")
    return subprocess.run([python, script, action, folder], check=True, capture_output=True, text=True).stdout.strip()


def max_difference(some: np.ndarray, others: np.ndarray) -> str:
    return f"{np.abs(np.asarray(some) - np.asarray(others)).max():.2g}"


def read_copick_project(folder: Path) -> None:
    """Read copick's project, and add the same picks under this program's name."""
    written = np.load(folder / "written.npz")
    project = read_project(folder / "config.json")
    (tomogram,) = project.tomograms()
    opened = io.open_tomogram(tomogram)
    print(f"  tomogram: {opened.name}, {opened.shape} voxels of {opened.voxel_size:g} Å;", end=" ")
    print(f"voxels differ by {max_difference(opened.read(), written['volume'])}")
    for voxel_size in (20, 40):
        coarse = io.open_tomogram(tomogram, options=ReadOptions(target_voxel_size=voxel_size))
        print(f"  scale of {coarse.voxel_size:g} Å: {coarse.shape}, first voxel at {coarse.origin[0]:g} Å")
    source = project.picks_file("TS_1", "copick", "1", "ribosome")
    picks = io.read_picks(source, [opened])
    expected = written["positions"] + written["matrices"][:, :3, 3]
    print(f"  positions differ by {max_difference(picks.positions, expected)} Å;", end=" ")
    rotations = orientations(picks.extra)
    assert rotations is not None
    print(f"rotations by {max_difference(rotations.as_matrix(), written['matrices'][:, :3, :3])};", end=" ")
    print(f"scores by {max_difference(picks.scores, written['scores'])}")
    io.write_picks(picks, {"TS_1": opened.frame}, project.picks_file("TS_1", "tomopicker", "1", "ribosome"), "copick")


def compare_read(folder: Path) -> None:
    """Compare what copick read with what was written."""
    written, read = np.load(folder / "written.npz"), np.load(folder / "read.npz")
    positions = written["positions"] + written["matrices"][:, :3, 3]
    read_positions = read["positions"] + read["matrices"][:, :3, 3]
    print(f"  voxels differ by {max_difference(read['volume'], written['volume'])};", end=" ")
    print(f"positions by {max_difference(read_positions, positions)} Å;", end=" ")
    print(f"rotations by {max_difference(read['matrices'][:, :3, :3], written['matrices'][:, :3, :3])};", end=" ")
    print(f"scores by {max_difference(read['scores'], written['scores'])}")


def write_own_project(folder: Path, source: Path) -> None:
    """Write a project by hand, as the tests of ``pick --copick`` do, with the same volume and picks."""
    written = np.load(source / "written.npz")
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config["overlay_root"] = f"local://{folder / 'project'}"
    run = folder / "project" / "ExperimentRuns" / "TS_1"
    group = zarr.open_group(str(run / "VoxelSpacing10.000" / "wbp.zarr"), mode="w", zarr_format=2)
    # copick expects chunks in nested folders, whatever the metadata declare.
    group.create_array("0", data=written["volume"], chunk_key_encoding={"name": "v2", "separator": "/"})
    scale = [{"type": "scale", "scale": [10.0] * 3}]
    axes = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    ]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    picks = io.read_picks(
        source / "project" / "ExperimentRuns" / "TS_1" / "Picks" / "copick_1_ribosome.json",
        {"TS_1": Frame(written["volume"].shape, 10.0)},
    )
    file = read_project(folder / "config.json").picks_file("TS_1", "tomopicker", "1", "ribosome")
    io.write_picks(picks, {"TS_1": Frame(written["volume"].shape, 10.0)}, file, "copick")
    (folder / "written.npz").write_bytes((source / "written.npz").read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--copick-python", required=True, metavar="FILE", help="the Python of an environment with copick"
    )
    python = parser.parse_args().copick_python
    with tempfile.TemporaryDirectory() as name:
        theirs, ours = Path(name) / "theirs", Path(name) / "ours"
        print(with_copick(python, "write", theirs))
        print("this program reads copick's project:")
        read_copick_project(theirs)
        with_copick(python, "read", theirs)
        print("copick reads its own tomogram and the picks that this program added:")
        compare_read(theirs)
        ours.mkdir()
        write_own_project(ours, theirs)
        with_copick(python, "read", ours)
        print("copick reads a project that this program's libraries wrote:")
        compare_read(ours)


if __name__ == "__main__":
    main()
