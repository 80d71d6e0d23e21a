"""Write and read projects with copick; run by `copick_exchange.py` with the Python of copick's environment.

with_copick.py write FOLDER     write a project: a tomogram in three scales, oriented picks
with_copick.py read FOLDER      read the picks that were added, or a project written by another program
"""

import json
import sys
from pathlib import Path

import copick
import numpy as np
from scipy.spatial.transform import Rotation

SIZE, SHAPE, COUNT = 10.0, (24, 40, 32), 7


def config_of(folder: Path) -> dict:
    return {
        "config_type": "filesystem",
        "name": "exchange",
        "description": "a test",
        "version": "1.0.0",
        "pickable_objects": [
            {"name": "ribosome", "is_particle": True, "label": 1, "radius": 150.0, "color": [0, 117, 220, 255]}
        ],
        "overlay_root": f"local://{folder / 'project'}",
        "overlay_fs_args": {"auto_mkdir": True},
    }


def write(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "project").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_of(folder)), encoding="utf-8")
    run = copick.from_file(str(folder / "config.json")).new_run("TS_1")
    volume = rng.normal(size=SHAPE).astype(np.float32)
    run.new_voxel_spacing(SIZE).new_tomogram("wbp").from_numpy(volume)
    positions = rng.uniform(0, 1, (COUNT, 3)) * (np.array(SHAPE[::-1]) - 1) * SIZE
    matrices = np.tile(np.eye(4), (COUNT, 1, 1))
    matrices[:, :3, :3] = Rotation.random(COUNT, random_state=1).as_matrix()
    matrices[:, :3, 3] = rng.normal(0, 3, (COUNT, 3))
    scores = rng.uniform(size=COUNT)
    picks = run.new_picks("ribosome", "1", "copick")
    picks.from_numpy(positions, matrices, np.arange(1, COUNT + 1), scores)
    picks.store()
    np.savez(folder / "written.npz", volume=volume, positions=positions, matrices=matrices, scores=scores)


def read(folder: Path) -> None:
    run = copick.from_file(str(folder / "config.json")).get_run("TS_1")
    (picks,) = run.get_picks("ribosome", user_id="tomopicker")
    positions, matrices = picks.numpy()
    scores = np.array([point.score for point in picks.points], dtype=float)
    tomogram = run.get_voxel_spacing(SIZE).get_tomogram("wbp")
    np.savez(folder / "read.npz", volume=tomogram.numpy(), positions=positions, matrices=matrices, scores=scores)


if __name__ == "__main__":
    print("copick", copick.__version__)
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]).absolute())
