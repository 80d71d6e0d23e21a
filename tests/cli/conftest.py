"""Small tomograms with dark balls, clicks, and a model trained on them in seconds; the commands run in this process."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.shortcuts import shortcuts
from tomopicker.cli.app import run
from tomopicker.io import read_table, write_mrc

VOXEL_SIZE, SHAPE, DIAMETER = 10.0, (32, 56, 48), 100.0

TINY = {
    "patches": {"size": 16, "batch": 4, "augment": False, "rotation_prob": 0.0},
    "network": {"channels": [8, 12], "pretrained": "none"},
    "training": {"steps": 40},
    "inference": {"tile": 32, "halo": 4},
    "precision": "float32",
}


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def errors(self):
        return [line for line in self.err.splitlines() if line.startswith("tomopicker: error: ")]


@dataclass(frozen=True)
class World:
    """Files shared by tests, which must not change them."""

    folder: Path

    def tomogram(self, name):
        return self.folder / "tomograms" / f"{name}.mrc"

    @property
    def tomograms(self):
        return self.folder / "tomograms"

    @property
    def truth(self):
        return self.folder / "truth"

    @property
    def clicks(self):
        return self.folder / "clicks_TS_1.csv"

    @property
    def config(self):
        return self.folder / "tiny.yaml"

    @property
    def model(self):
        return self.folder / "balls.model"

    def train_arguments(self, output, *more):
        return [
            "train", self.tomogram("TS_1"), "--picks", self.clicks, "--particle-diameter", DIAMETER,
            "--config", self.config, "--output", output, "--device", "cpu", *more,
        ]  # fmt: skip


def call(arguments, capsys=None):
    """Run a command as a shell would, by default without pictures, which are slow."""
    given = [str(argument) for argument in arguments]
    if given[:1] == ["pick"] and len(given) > 1 and not {"--pictures", "--help"} & set(given):
        given.append("--no-pictures")
    code = run(given)
    if capsys is None:
        return code
    said = capsys.readouterr()
    return Result(code, said.out, said.err)


@pytest.fixture
def cli(capsys):
    return lambda *arguments: call(arguments, capsys)


def balls(seed, count=8):
    """A tomogram of dark balls in noise, and their centres (x, y, z) in voxels."""
    rng = np.random.default_rng(seed)
    centres = []
    while len(centres) < count:
        new = rng.uniform((7, 7, 7), np.array(SHAPE[::-1]) - 8)
        if all(np.linalg.norm(new - other) > 11 for other in centres):
            centres.append(new)
    z, y, x = np.indices(SHAPE)
    volume = rng.normal(0, 0.4, SHAPE)
    for cx, cy, cz in centres:
        volume -= 2 * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) / (2 * 3.0**2)))
    return volume.astype(np.float32), np.array(centres)


def write_csv(path, positions, header="x,y,z"):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [",".join(f"{value:.3f}" for value in row) for row in positions]
    path.write_text("\n".join(([header] if header else []) + rows) + "\n", encoding="utf-8")
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    with shortcuts(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    with shortcuts(item):
        return (yield)


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"))
    for number in (1, 2, 3):
        name = f"TS_{number}"
        volume, centres = balls(number)
        world.tomograms.mkdir(exist_ok=True)
        write_mrc(world.tomogram(name), volume, VOXEL_SIZE)
        write_csv(world.truth / f"{name}.csv", centres)
        if number == 1:
            write_csv(world.clicks, centres[:6])
    world.config.write_text(yaml.safe_dump(TINY), encoding="utf-8")
    assert call(world.train_arguments(world.model)) == 0
    return world


@pytest.fixture(scope="session")
def picked(world):
    """A shared folder of picks in two tomograms; tests must not change it."""
    folder = world.folder / "picked"
    assert call(["pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model, "-o", folder]) == 0
    return folder


@pytest.fixture(scope="session")
def halves(world):
    """Files of clicks by kind: half of the balls each."""
    rows = read_table(world.clicks).coordinates
    clicks = {"ball": rows[:3], "small": rows[3:6]}
    return {kind: write_csv(world.folder / "halves" / f"{kind}.csv", half) for kind, half in clicks.items()}


@pytest.fixture(scope="session")
def instant_kinds(world, halves):
    """A shared instant model of two kinds; tests must not change it."""
    path = world.folder / "instant_kinds.model"
    given = [part for kind, file in halves.items() for part in ("--picks", f"{kind}={file}")]
    more = ["-d", DIAMETER, "--preset", "instant", "--mask", "none", "--device", "cpu", "--no-check"]
    assert call(["train", world.tomogram("TS_1"), *given, *more, "-o", path]) == 0
    return path
