"""Later rounds learn from the confident picks of earlier ones, in the tomograms clicked in and nowhere else."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.workflow.conftest import DIAMETER, VOXEL, Pair
from tests.workflow.test_train_pick import Heard
from tomopicker import api
from tomopicker.config import Settings, resolve
from tomopicker.engine.checkpoint import Model
from tomopicker.engine.train import Report
from tomopicker.errors import UsageError
from tomopicker.picking.peaks import Peaks
from tomopicker.picks import Picks
from tomopicker.workflow.rounds import APART, steps_of_rounds, sure_and_doubtful


@pytest.fixture(scope="module")
def clicks(first: Pair) -> Picks:
    _, truth = first
    return truth.select(np.random.default_rng(0).permutation(len(truth))[:10])


def in_rounds(settings: Settings, rounds: int, **training: float) -> Settings:
    changed = settings.training.model_copy(update={"rounds": rounds, **training})
    return settings.model_copy(update={"training": changed})


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


def test_what_is_sure_and_what_is_doubted() -> None:
    """Probabilities 0.99 to 0.1 in a row, 10 voxels apart; a click 1 voxel from the second, a radius of 3."""
    settings = resolve({"particle_diameter": DIAMETER})
    peaks = Peaks(np.array([[10.0 * i, 0, 0] for i in range(6)]), np.arange(6, 0, -1, dtype=np.float32))
    chances = np.array([0.99, 0.97, 0.95, 0.91, 0.5, 0.1])
    known = np.array([[11.0, 0, 0]])
    sure, doubtful = sure_and_doubtful(peaks, chances, known, 3.0, settings, most=10)
    assert sure[:, 0].tolist() == [0, 20, 30]
    assert doubtful[:, 0].tolist() == [40]
    sure, doubtful = sure_and_doubtful(peaks, chances, known, 3.0, settings, most=2)
    assert sure[:, 0].tolist() == [0, 20]
    assert doubtful[:, 0].tolist() == [30, 40]
    sure, doubtful = sure_and_doubtful(peaks, chances, np.empty((0, 3)), 3.0, settings, most=0)
    assert not len(sure)
    assert doubtful[:, 0].tolist() == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(
    ("preset", "clicks", "changes", "steps"),
    [
        ("default", 20, {"last_round": 1.5, "rounds": 3}, [114, 114, 171]),
        ("default", 9, {}, [76]),
        ("default", 9, {"rounds_from": 9, "rounds": 2, "last_round": 1.0}, [76, 76]),
        ("fast", 20, {}, [114]),
        ("default", 20, {"rounds": 2, "steps": 10, "last_round": 2.0}, [10, 20]),
        ("paper", 20, {}, [0]),
    ],
)
def test_steps_of_rounds(preset: str, clicks: int, changes: dict[str, float], steps: list[int]) -> None:
    settings = resolve({"preset": preset, "particle_diameter": DIAMETER, "training": changes})
    assert steps_of_rounds(settings, clicks) == steps


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def taught(first: Pair, clicks: Picks, quick: Settings, heard: Heard) -> Model:
    return api.train([first[0]], clicks, in_rounds(quick, 2, growth=100.0), device="cpu", listener=heard)


def test_the_second_round_learns_from_more_than_the_clicks(taught: Model, heard: Heard) -> None:
    said = next(line for line in heard.said if line.startswith("Round 2"))
    sure = int(re.search(r"(\d+) confident", said)[1])  # type: ignore[index]
    assert 4 <= sure <= 20  # 14 of the 24 particles were not clicked
    assert [line["round"] for line in taught.provenance["history"]] == sorted(
        line["round"] for line in taught.provenance["history"]
    )
    assert {line["round"] for line in taught.provenance["history"]} == {1, 2}
    assert heard.jobs == {"train"}


def test_particles_nobody_clicked_score_higher_for_it(taught: Model, model: Model, first: Pair, clicks: Picks) -> None:
    """In the training tomogram one round takes them for background; two do not."""
    tomogram, truth = first
    distance = np.linalg.norm(truth.positions[:, None] - clicks.positions[None], axis=2).min(axis=1)
    others = truth.select(np.flatnonzero(distance > DIAMETER / 2))
    found = {
        name: api.evaluate(api.pick(tomogram, each).picks, others, 10 * VOXEL)[1].recall
        for name, each in {"one": model, "two": taught}.items()
    }
    assert found["two"] >= found["one"]
    assert found["two"] > 0.8


def test_growth_caps_what_is_learnt_from(first: Pair, clicks: Picks, quick: Settings) -> None:
    """Ten clicks that may become eleven: one confident pick is learnt from, the others are only doubted."""
    heard = Heard()
    api.train([first[0]], clicks, in_rounds(quick, 2, growth=1.1, steps=40), device="cpu", listener=heard)
    said = next(line for line in heard.said if line.startswith("Round 2"))
    sure, doubtful = map(int, re.findall(r"(\d+) (?:confident|doubtful)", said))
    assert sure == 1
    assert doubtful >= 4


def test_nothing_is_learnt_from_a_validation_tomogram(
    taught: Model, first: Pair, second: Pair, clicks: Picks, quick: Settings
) -> None:
    """Followed on a tomogram full of particles, the weights end where they end without it."""
    watched = api.train(
        [first[0]], clicks, in_rounds(quick, 2, growth=100.0), device="cpu",
        validation_tomograms=[second[0]], validation_picks=second[1],
    )  # fmt: skip
    assert any("validation_risk" in line for line in watched.provenance["history"])
    torch.testing.assert_close(weights(watched.network), weights(taught.network), rtol=0, atol=0)


def test_rejected_picks_are_never_learnt_from(first: Pair, clicks: Picks, quick: Settings) -> None:
    """The particles that were not clicked are rejected: none of them comes back as a confident pick."""
    tomogram, truth = first
    distance = np.linalg.norm(truth.positions[:, None] - clicks.positions[None], axis=2).min(axis=1)
    rejected = truth.select(np.flatnonzero(distance > DIAMETER))
    heard = Heard()
    settings = in_rounds(quick, 2, growth=100.0, confident=0.5)
    plain, told = Heard(), heard
    api.train([tomogram], clicks, settings, device="cpu", listener=plain)
    api.train([tomogram], clicks, settings, rejected=rejected, device="cpu", listener=told)
    counts = [
        int(re.search(r"(\d+) confident", next(line for line in each.said if line.startswith("Round 2")))[1])  # type: ignore[index]
        for each in (plain, told)
    ]
    assert counts[1] <= counts[0] - len(rejected) // 2


def test_an_interrupted_second_round_ends_where_it_would_have(
    first: Pair, clicks: Picks, quick: Settings, taught: Model, tmp_path: Path
) -> None:
    class Impatient(Heard):
        def trained(self, job: str, report: Report) -> None:
            if report.step > 75:
                raise KeyboardInterrupt

    settings, checkpoint = in_rounds(quick, 2, growth=100.0), tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        api.train([first[0]], clicks, settings, device="cpu", checkpoint=checkpoint, listener=Impatient())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.train.ckpt", "model.train2.ckpt"]
    resumed = api.train([first[0]], clicks, settings, device="cpu", checkpoint=checkpoint, resume=True)
    torch.testing.assert_close(weights(resumed.network), weights(taught.network), rtol=0, atol=0)


def test_rounds_differ_by_their_seeds(first: Pair, clicks: Picks, quick: Settings) -> None:
    assert APART > 100
    made = api.train([first[0]], clicks, in_rounds(quick, 2, steps=4, growth=100.0), device="cpu")
    risks = {line["round"]: line["risk"] for line in made.provenance["history"]}
    assert risks[1] != risks[2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"rounds": 2}, "inference": {"adapt": False}}, "training.rounds must be 1 without"),
        ({"training": {"confident": 0.1}}, "training.doubtful must be no more than training.confident"),
        ({"training": {"growth": 1.0}}, "training.growth"),
    ],
)
def test_rounds_that_cannot_be_are_refused(changes: dict[str, dict[str, float]], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        resolve({"particle_diameter": DIAMETER, **changes})
