"""Later rounds learn from the confident picks of earlier ones, in the tomograms clicked in and nowhere else."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.pipeline.conftest import DIAMETER, VOXEL, Pair
from tests.pipeline.test_train_pick import Heard
from tomopicker import api
from tomopicker.config import Settings, resolve
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.geometry import Frame
from tomopicker.picking.peaks import Peaks
from tomopicker.picks import Picks
from tomopicker.pipeline import pseudo_labels as teaching
from tomopicker.pipeline import scoring
from tomopicker.pipeline import self_training as rounds
from tomopicker.pipeline import trainer as running
from tomopicker.pipeline.callbacks import NullCallback
from tomopicker.pipeline.pseudo_labels import select_pseudo_labels
from tomopicker.pipeline.self_training import MEMBER_SEED_STEP, ROUND_SEED_STEP, steps_of_rounds
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.training.checkpoint import Model
from tomopicker.training.labels import NEGATIVE, POSITIVE, label_mask
from tomopicker.training.loop import Report


@pytest.fixture(scope="module")
def clicks(first: Pair) -> Picks:
    _, truth = first
    return truth.select(np.random.default_rng(0).permutation(len(truth))[:10])


def in_rounds(settings: Settings, rounds: int, steps: int | None = None, **changes: float) -> Settings:
    training = settings.training if steps is None else settings.training.model_copy(update={"steps": steps})
    changed = settings.self_training.model_copy(update={"rounds": rounds, **changes})
    return settings.model_copy(update={"training": training, "self_training": changed})


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


NOBODY = np.empty((0, 3))


def test_what_is_sure_and_what_is_doubted() -> None:
    """Probabilities 0.99 to 0.1 in a row, 10 voxels apart; a click 1 voxel from the second, a radius of 3."""
    settings = resolve({"particle_diameter": DIAMETER})
    peaks = Peaks(np.array([[10.0 * i, 0, 0] for i in range(6)]), np.arange(6, 0, -1, dtype=np.float32))
    chances = np.array([0.99, 0.97, 0.95, 0.91, 0.5, 0.1])
    clicks = np.array([[11.0, 0, 0]])
    pseudo_positives, ambiguous = select_pseudo_labels(peaks, chances, clicks, NOBODY, 3.0, settings, limit=10)
    assert pseudo_positives[:, 0].tolist() == [0, 20, 30]
    assert ambiguous[:, 0].tolist() == [40]
    pseudo_positives, ambiguous = select_pseudo_labels(peaks, chances, clicks, NOBODY, 3.0, settings, limit=2)
    assert pseudo_positives[:, 0].tolist() == [0, 20]
    assert ambiguous[:, 0].tolist() == [30, 40]
    pseudo_positives, ambiguous = select_pseudo_labels(peaks, chances, NOBODY, NOBODY, 3.0, settings, limit=0)
    assert not len(pseudo_positives)
    assert ambiguous[:, 0].tolist() == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("fraction", [0.5, 1.0])
@pytest.mark.parametrize("away", [1.0, 3.5, 5.4, 5.6, 6.9, 7.1])
def test_what_a_person_said_stays(fraction: float, away: float) -> None:
    """However near a confident peak lies to a click and to a negative, their labels are as without it."""
    settings = resolve({"particle_diameter": DIAMETER, "labels": {"radius_fraction": fraction}})
    click, rejected = np.array([[20.0, 20, 20]]), np.array([[40.0, 20, 20]])
    peaks = Peaks(np.array([[20 + away, 20, 20], [40 - away, 20, 20]]), np.array([9.0, 8.0], dtype=np.float32))
    pseudo_positives, ambiguous = select_pseudo_labels(
        peaks, np.array([0.99, 0.98]), click, rejected, 3.0, settings, limit=9
    )
    before, after = (
        label_mask((41, 41, 61), places, 3.0, fraction, rejected=rejected, ambiguous=unsure)
        for places, unsure in ((click, NOBODY), (np.concatenate([click, pseudo_positives]), ambiguous))
    )
    for kind in (POSITIVE, NEGATIVE):
        assert (after[before == kind] == kind).all()
    assert len(pseudo_positives) == (2 if away > 3 * (1 + fraction) + 1 else 0)


@pytest.mark.parametrize(
    ("preset", "clicks", "changes", "steps"),
    [
        ("default", 20, {"final_steps_factor": 1.5, "rounds": 3}, [[76, 76], [76, 76], [114]]),
        ("default", 9, {}, [[76]]),
        ("default", 1, {}, [[57]]),
        ("default", 1, {"first_teacher": "networks"}, [[40]]),
        ("default", 20, {"first_teacher": "discriminant", "rounds": 2, "ensemble_size": 1}, [[71], [114]]),
        (
            "default", 9, {"min_clicks": 9, "rounds": 2, "final_steps_factor": 1.0, "ensemble_size": 3},
            [[76, 76, 76], [76]],
        ),
        ("fast", 20, {}, [[114]]),
        (
            "default", 20, {"first_teacher": "networks", "rounds": 2, "final_steps_factor": 1.5},
            [[114, 114], [171]],
        ),
        ("default", 20, {"rounds": 2, "steps": 10, "final_steps_factor": 2.0, "ensemble_size": 1}, [[5], [10]]),
        ("default", 20, {"rounds": 2, "steps": 10, "final_steps_factor": 0.5}, [[20, 20], [10]]),
        ("default", 20, {"rounds": 3, "epochs": 2}, [[None, None], [None, None], [None]]),
        ("paper", 20, {}, [[None]]),
    ],
)  # fmt: skip
def test_steps_of_rounds(preset: str, clicks: int, changes: dict[str, float], steps: list[list[int | None]]) -> None:
    training = {name: value for name, value in changes.items() if name in {"steps", "epochs"}}
    again = {name: value for name, value in changes.items() if name not in training}
    settings = resolve({"preset": preset, "particle_diameter": DIAMETER, "training": training, "self_training": again})
    assert steps_of_rounds(settings, clicks) == steps


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def self_trained(first: Pair, clicks: Picks, quick: Settings, heard: Heard) -> Model:
    return api.train([first[0]], clicks, in_rounds(quick, 2, max_label_growth=100.0), device="cpu", callback=heard)


def test_the_second_round_learns_from_more_than_the_clicks(self_trained: Model, heard: Heard) -> None:
    said = next(line for line in heard.said if line.startswith("Round 2"))
    pseudo_positives = int(re.search(r"(\d+) pseudo-labels", said)[1])  # type: ignore[index]
    assert 4 <= pseudo_positives <= 20  # 14 of the 24 particles were not clicked
    assert [line["round"] for line in self_trained.provenance["history"]] == sorted(
        line["round"] for line in self_trained.provenance["history"]
    )
    assert {line["round"] for line in self_trained.provenance["history"]} == {1, 2}
    assert heard.jobs == {"train"}


def test_particles_nobody_clicked_score_higher_for_it(
    self_trained: Model, model: Model, first: Pair, clicks: Picks
) -> None:
    """In the training tomogram one round takes them for background; two do not."""
    tomogram, truth = first
    distance = np.linalg.norm(truth.positions[:, None] - clicks.positions[None], axis=2).min(axis=1)
    others = truth.select(np.flatnonzero(distance > DIAMETER / 2))
    found = {
        name: api.evaluate(api.pick(tomogram, each).picks, others, 10 * VOXEL)[1].recall
        for name, each in {"one": model, "two": self_trained}.items()
    }
    assert found["two"] >= found["one"]
    assert found["two"] > 0.8


def test_growth_caps_what_is_learnt_from(first: Pair, clicks: Picks, quick: Settings) -> None:
    """Ten clicks that may become eleven: one confident pick is learnt from, the others are only doubted."""
    heard = Heard()
    api.train([first[0]], clicks, in_rounds(quick, 2, max_label_growth=1.1, steps=40), device="cpu", callback=heard)
    said = next(line for line in heard.said if line.startswith("Round 2"))
    pseudo_positives, ambiguous = map(int, re.findall(r"(\d+) (?:pseudo-labels|ambiguous)", said))
    assert pseudo_positives == 1
    assert ambiguous >= 4


def test_nothing_is_learnt_from_a_validation_tomogram(
    self_trained: Model, first: Pair, second: Pair, clicks: Picks, quick: Settings
) -> None:
    """Followed on a tomogram full of particles, the weights end where they end without it."""
    validation_items = api.train(
        [first[0]], clicks, in_rounds(quick, 2, max_label_growth=100.0), device="cpu",
        validation_tomograms=[second[0]], validation_picks=second[1],
    )  # fmt: skip
    assert any("validation_risk" in line for line in validation_items.provenance["history"])
    torch.testing.assert_close(weights(validation_items.network), weights(self_trained.network), rtol=0, atol=0)


class Numbered(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Scored:
    """A stand-in for scoring: a ball of logits around places, for each network in turn; in noise there is nothing."""

    def __init__(self, places: np.ndarray, logits: list[np.ndarray], tomogram: np.ndarray) -> None:
        self.places, self.logits, self.tomogram = places, logits, tomogram

    def __call__(
        self, network: Numbered, volume: np.ndarray, settings: Settings, device: torch.device, mask: object
    ) -> np.ndarray:
        scores = np.random.default_rng(3).normal(-8, 1.5, volume.shape).astype(np.float32)
        if volume is not self.tomogram:
            return scores[None]
        z, y, x = np.indices(scores.shape)
        for place, logit in zip(self.places, self.logits[network.number], strict=True):
            near = (x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2 <= 9
            scores[near] = logit
        return scores[None]


GRID = np.array([[x, y, z] for z in (8, 22) for y in (8.0, 24, 40, 56) for x in (8, 24, 40, 56)])


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[TrainingTomogram]]:
    """What two networks teach of a tomogram with 32 particles on a grid, of which five are clicked."""

    def teach(
        logits: list[np.ndarray], *, mask: np.ndarray | None = None, checkpoint: Path | None = None,
        resume: bool = False, clicks: np.ndarray = GRID[:5], rejected: np.ndarray = NOBODY, growth: float = 10.0,
        rounds: int | None = None,
    ) -> list[TrainingTomogram]:  # fmt: skip
        again = {"max_label_growth": growth, "first_teacher": "networks"}
        settings = resolve({"particle_diameter": 300.0, "self_training": again})
        data = np.zeros((32, 64, 64), dtype=np.float32)
        monkeypatch.setattr(scoring, "score_working_volume", Scored(GRID, logits, data))
        monkeypatch.setattr(running, "prepare_network", lambda network, *_: network)
        working = WorkingVolume(data, 27.0, 1.0, mask)
        run = Run(settings, 5.6, torch.device("cpu"), checkpoint, resume, NullCallback())
        return teaching.pseudo_label(
            run,
            [TrainingTomogram("TS_1", Frame((32, 64, 64), 27.0), working, clicks, rejected)],
            [Numbered(i) for i in range(len(logits))],
            len(logits) if rounds is None else rounds,
        )

    return teach


ALIKE = np.random.default_rng(4).normal(8, 0.5, len(GRID))


def among(positions: np.ndarray, places: np.ndarray) -> bool:
    return bool((np.linalg.norm(positions[:, None] - places[None], axis=2).min(axis=1) < 2).all())


def test_confident_picks_are_what_was_not_clicked(lesson: Callable[..., list[TrainingTomogram]]) -> None:
    (item,) = lesson([ALIKE])
    assert 20 <= len(item.pseudo_positives) <= 27
    assert among(item.pseudo_positives, GRID[5:])
    assert np.array_equal(item.clicks, GRID[:5])


def test_labels_come_from_the_mean_of_all_networks(lesson: Callable[..., list[TrainingTomogram]]) -> None:
    """Half of the particles are background to the second network: what its mean with the first says counts."""
    alone, doubted = ALIKE.copy(), ALIKE.copy()
    doubted[16:] = -30
    (first,), (both,) = lesson([alone]), lesson([alone, doubted])
    assert (first.pseudo_positives[:, 2] > 15).sum() >= 12
    assert not (both.pseudo_positives[:, 2] > 15).any()
    assert (both.pseudo_positives[:, 2] < 15).sum() >= 9


def test_nothing_outside_the_mask_is_learnt_from(lesson: Callable[..., list[TrainingTomogram]]) -> None:
    mask = np.zeros((32, 64, 64), dtype=bool)
    mask[:15] = True
    (item,) = lesson([ALIKE], mask=mask)
    assert len(item.pseudo_positives)
    assert (item.pseudo_positives[:, 2] < 15).all()
    assert (item.ambiguous[:, 2] < 15).all()


def test_rejected_picks_are_never_learnt_from(lesson: Callable[..., list[TrainingTomogram]]) -> None:
    """The network is as sure of them as of all others; many make the others doubtful, for they score alike."""
    (item,) = lesson([ALIKE], rejected=GRID[5:6])
    assert len(item.pseudo_positives)
    assert among(item.pseudo_positives, GRID[6:])
    (many,) = lesson([ALIKE], rejected=GRID[5:16])
    assert len(many.pseudo_positives) < len(item.pseudo_positives)
    assert not len(many.pseudo_positives) or among(many.pseudo_positives, GRID[16:])


def test_growth_counts_from_the_clicks(lesson: Callable[..., list[TrainingTomogram]]) -> None:
    (once,), (twice,) = lesson([ALIKE], growth=2.0), lesson([ALIKE, ALIKE], growth=2.0)
    assert (len(once.pseudo_positives), len(twice.pseudo_positives)) == (5, 15)
    (side_by_side,) = lesson([ALIKE, ALIKE], growth=2.0, rounds=1)
    assert len(side_by_side.pseudo_positives) == 5
    assert len(once.pseudo_positives) + len(once.ambiguous) == len(twice.pseudo_positives) + len(twice.ambiguous)


def test_a_resumed_round_learns_from_what_it_learnt_from(
    lesson: Callable[..., list[TrainingTomogram]], tmp_path: Path
) -> None:
    """Scored again, on another machine, peaks would differ."""
    (before,) = lesson([ALIKE], checkpoint=tmp_path / "m.model")
    assert [path.name for path in tmp_path.iterdir()] == ["m.model.round2.ckpt"]
    (after,) = lesson([np.full(len(GRID), -9.0)], checkpoint=tmp_path / "m.model", resume=True)
    assert np.array_equal(after.pseudo_positives, before.pseudo_positives)
    assert np.array_equal(after.ambiguous, before.ambiguous)
    with pytest.raises(TomoPickerError, match=r"round2\.ckpt: belongs to a run with other clicks in TS_1;"):
        lesson([ALIKE], checkpoint=tmp_path / "m.model", resume=True, clicks=GRID[:6])
    (anew,) = lesson([np.full(len(GRID), -9.0)], checkpoint=tmp_path / "m.model")
    assert not np.array_equal(anew.pseudo_positives, before.pseudo_positives)


def test_an_interrupted_second_round_ends_where_it_would_have(
    first: Pair, clicks: Picks, quick: Settings, self_trained: Model, tmp_path: Path
) -> None:
    class Impatient(Heard):
        def on_train(self, job: str, report: Report) -> None:
            if report.step > 135:  # Two teachers have had 60 steps each.
                raise KeyboardInterrupt

    settings, checkpoint = in_rounds(quick, 2, max_label_growth=100.0), tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        api.train([first[0]], clicks, settings, device="cpu", checkpoint=checkpoint, callback=Impatient())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "model.round2.ckpt", "model.train.ckpt", "model.train2.ckpt", "model.train_b.ckpt",
    ]  # fmt: skip
    resumed = api.train([first[0]], clicks, settings, device="cpu", checkpoint=checkpoint, resume=True)
    torch.testing.assert_close(weights(resumed.network), weights(self_trained.network), rtol=0, atol=0)


def test_rounds_differ_by_their_seeds(
    first: Pair, clicks: Picks, quick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []
    fit = rounds.Run.fit

    def noting(run: Run, job: str, training: Any, validation: Any, priors: Any, settings: Settings, report: Any) -> Any:
        seeds.append((job, settings.seed))
        return fit(run, job, training, validation, priors, settings, report)

    monkeypatch.setattr(rounds.Run, "fit", noting)
    api.train([first[0]], clicks, in_rounds(quick, 2, steps=4, max_label_growth=100.0), device="cpu")
    assert seeds == [
        ("train", quick.seed),
        ("train_b", quick.seed + MEMBER_SEED_STEP),
        ("train2", quick.seed + ROUND_SEED_STEP),
    ]


@pytest.mark.parametrize("kind", ["kl", "pu", "distpu"])
def test_a_class_prior_does_not_stop_a_later_round(kind: str, first: Pair, clicks: Picks, quick: Settings) -> None:
    """The count given is that of the clicks and a few: more are labelled by the second round."""
    changed = in_rounds(quick, 2, max_label_growth=100.0, steps=40, positive_threshold=0.3)
    objective = changed.objective.model_copy(update={"loss": kind})
    settings = changed.model_copy(update={"objective": objective, "expected_particles": 11.0})
    model = api.train([first[0]], clicks, settings, device="cpu")
    assert {line["round"] for line in model.provenance["history"]} == {1, 2}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"self_training": {"rounds": 2}, "inference": {"adabn": False}}, "self_training.rounds must be 1 without"),
        (
            {"training": {"validation_fraction": 0.2}},
            "self_training.rounds must be 1 with training.validation_fraction",
        ),
        (
            {"self_training": {"positive_threshold": 0.1}},
            "self_training.ignore_threshold must be no more than self_training.positive_threshold",
        ),
        ({"self_training": {"max_label_growth": 1.0}}, "self_training.max_label_growth"),
    ],
)
def test_rounds_that_cannot_be_are_refused(changes: dict[str, dict[str, float]], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        resolve({"particle_diameter": DIAMETER, **changes})
