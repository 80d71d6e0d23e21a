"""A small simulated data set, in the layout of EMPIAR-10988 and as plain files; read-only for tests."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.recording import RecordingCallback
from tomopicker.benchmark.protocol import read_protocol
from tomopicker.cli.app import run
from tomopicker.io import write_mrc
from tomopicker.simulation.tomogram import simulate_tomogram

VOXEL, SHAPE, PARTICLES = 13.48, (40, 96, 96), 12

TINY = {
    "name": "tiny",
    "settings": {
        "patches": {"batch": 4, "rotation_prob": 0.0},
        "network": {"channels": [4, 8], "pretrained": "none"},
        "training": {"steps": 6},
        "precision": "float32",
    },
}


@dataclass(frozen=True)
class Mini:
    """Three tomograms, each with its truth next to it."""

    folder: Path

    def write(self, path, **changes):
        """Write a protocol for them, with changes to it or, by ``dataset=``, to its data set."""
        dataset = {
            "tomograms": [str(self.folder / "data")],
            "truth": str(self.folder / "data" / "{tomogram}.csv"),
            "training": "TS_1",
            **changes.pop("dataset", {}),
        }
        content = {
            "particle_diameter": 300, "clicks": [5], "seeds": [0], "methods": ["dog"], "datasets": {"easy": dataset},
            **changes,
        }  # fmt: skip
        path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
        return path

    def protocol(self, path, **changes):
        return read_protocol(self.write(path, **changes))


def simulated(folder, name, seed):
    made = simulate_tomogram("easy", SHAPE, VOXEL, seed, n_targets=PARTICLES)
    folder.mkdir(parents=True, exist_ok=True)
    write_mrc(folder / f"{name}.mrc", made.volume, VOXEL)
    np.savetxt(folder / f"{name}.csv", made.targets.positions, fmt="%.3f", delimiter=",")


@pytest.fixture(scope="session")
def mini(tmp_path_factory):
    made = Mini(tmp_path_factory.mktemp("mini"))
    for number in (1, 2, 3):
        simulated(made.folder / "data", f"TS_{number}", number)
    return made


@pytest.fixture(scope="session")
def empiar(mini, tmp_path_factory):
    """Both halves in the archive's layout, with three tomograms each and TS_026."""
    folder = tmp_path_factory.mktemp("10988")
    halves = {"VPP": ("TS_0001", "TS_0002", "TS_0003"), "DEF": ("TS_026", "TS_029", "TS_030", "TS_034")}
    for half, names in halves.items():
        for place in ("tomograms", "particle_lists"):
            (folder / half / place).mkdir(parents=True)
        for number, name in enumerate(names):
            source = mini.folder / "data" / f"TS_{number % 3 + 1}"
            shutil.copy(source.with_suffix(".mrc"), folder / half / "tomograms" / f"{name}.rec")
            shutil.copy(source.with_suffix(".csv"), folder / half / "particle_lists" / f"{name}_cyto_ribosomes.csv")
    (folder / "VPP" / "particle_lists" / "TS_0001_fas.csv").write_text("1,2,3\n")
    return folder


@pytest.fixture
def command(capsys):
    """Run ``tomopicker benchmark``; return the exit code, stdout and stderr."""

    def call(*arguments):
        code = run(["benchmark", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def recorder():
    return RecordingCallback()
