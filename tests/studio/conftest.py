"""Two small tomograms with dark balls, a project, and an engine that finds the balls at once."""

import json
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.cli.conftest import DIAMETER, VOXEL_SIZE, balls
from tomopicker.io import open_tomogram, write_mrc, write_picks
from tomopicker.picking.calibration import Count
from tomopicker.picking.selection import Expectation
from tomopicker.picks import Picks
from tomopicker.studio.access import Access
from tomopicker.studio.app import create_app
from tomopicker.studio.context import Studio
from tomopicker.studio.instant import Engine
from tomopicker.studio.listing import list_tomograms

NAMES = ("TS_1", "TS_2")
BASE = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class FakeFound:
    candidates: Picks
    threshold: float = 0.5
    expected: Expectation = field(default_factory=lambda: Expectation(8.0, 0.9, 0.9, 0.9))
    count: Count | None = field(default_factory=lambda: Count(8.0, 6.0, 11.0))


@dataclass(frozen=True)
class FakeAnswer:
    picked: dict
    known: np.ndarray


@dataclass(frozen=True)
class FakeSuggestion:
    position: tuple
    tomogram: str
    probability: float
    reason: str = "as likely a particle as not"
    score: float = 1.0


class FakeEngine(Engine):
    """Engine that knows the balls and returns them once one is clicked."""

    def __init__(self, truth):
        self.truth, self.calls, self.seconds = truth, [], 0.0

    def features(self, tomogram, particle_diameter, progress):
        for done in range(1, 4):
            progress(done, 3)
            time.sleep(self.seconds / 3)
        return tomogram.name

    def picks(self, features, clicks, rejected):
        self.calls.append((len(clicks), 0 if rejected is None else len(rejected)))
        found = {}
        for name in features:
            scores = np.linspace(0.95, 0.3, len(self.truth[name]))
            found[name] = FakeFound(Picks.of(name, self.truth[name], scores))
        return FakeAnswer(
            found, np.concatenate([clicks.positions, *([] if rejected is None else [rejected.positions])])
        )

    def examples(self, features, rejected, count):
        places = [(name, place) for name in features for place in self.truth[name]]
        return [FakeSuggestion(tuple(place), name, 0.5) for name, place in places[:count]]

    def suggest(self, answer, count):
        left = [
            (name, place)
            for name in answer.picked
            for place in self.truth[name]
            if np.linalg.norm(answer.known - place, axis=1).min() > DIAMETER / 2
        ]
        return [FakeSuggestion(tuple(place), name, 0.5) for name, place in left[:count]]


@dataclass
class World:
    tomograms: object
    truth: dict

    def file(self, name):
        return self.tomograms / f"{name}.mrc"


@pytest.fixture(scope="session")
def balls_world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio") / "tomograms"
    folder.mkdir()
    truth = {}
    for number, name in enumerate(NAMES, start=1):
        volume, centres = balls(number)
        write_mrc(folder / f"{name}.mrc", volume, VOXEL_SIZE)
        truth[name] = centres * VOXEL_SIZE
    return World(folder, truth)


@pytest.fixture
def engine(balls_world):
    return FakeEngine(balls_world.truth)


def open_studio(world, folder, engine=None):
    return Studio.open(list_tomograms([world.tomograms]), folder, engine)


@pytest.fixture
def studio(balls_world, tmp_path, engine):
    opened = open_studio(balls_world, tmp_path / "project", engine)
    opened.project.add_kind("ball", DIAMETER)
    return opened


@pytest.fixture
def access():
    return Access(secret="s" * 40)


@pytest.fixture
def client(studio, access):
    """A browser that has opened the link."""
    with TestClient(create_app(studio, access), base_url=BASE, headers={"origin": BASE}) as opened:
        opened.get(f"/?token={access.token}")
        yield opened


def act(client, added=(), removed=(), tomogram="TS_1", kind="ball", **more):
    """Change points; a point is (x, y, z) or (x, y, z, label)."""

    def as_points(points):
        labels = [point[3] if len(point) > 3 else "particle" for point in points]
        return [{"x": p[0], "y": p[1], "z": p[2], "label": label} for p, label in zip(points, labels, strict=True)]

    body = {"kind": kind, "tomogram": tomogram, "added": as_points(added), "removed": as_points(removed), **more}
    return client.post("/api/act", json=body)


def wait_for(condition, seconds=90.0):
    """Wait until a condition holds; return its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def write_pick_folder(world, folder):
    """Write the results of a picking job: the balls in each tomogram, with probabilities from 0.95 down to 0.3."""
    candidates = folder / "candidates"
    entries = {}
    for name, places in world.truth.items():
        scores = np.linspace(0.95, 0.3, len(places))
        tomogram = open_tomogram(world.file(name))
        write_picks(Picks.of(name, places, scores), {name: tomogram.frame}, candidates / f"{name}.csv", "csv")
        entries[name] = {
            "status": "done", "path": str(world.file(name)), "shape_zyx": list(tomogram.shape), "inverted": False,
            "voxel_size_angstrom": VOXEL_SIZE, "candidates": len(places), "picks": int((scores > 0.5).sum()),
            "threshold": 0.5, "expected": {"particles": 8.0, "precision": 0.7, "recall": 0.5, "f1": 0.6},
            "count": {"estimate": 8.0, "low": 6.0, "high": 10.0}, "absent": 0.0,
        }  # fmt: skip
    model = {
        "file": "balls.model", "sha256": "0", "voxel_size_angstrom": VOXEL_SIZE, "offset": 0.0, "threshold": None,
        "warnings": [], "settings": {"particle_diameter": DIAMETER},
    }  # fmt: skip
    record = {"model": model, "settings": {"star_format": "relion5"}, "tomograms": entries, "merged": True}
    (folder / "picks.json").write_text(json.dumps(record), encoding="utf-8")
