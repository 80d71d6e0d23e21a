"""The discriminant as the first teacher: instant picks are the pseudo-labels of the first trained round."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.pipeline.conftest import DIAMETER, VOXEL, Pair
from tests.pipeline.test_rounds import weights
from tests.pipeline.test_train_pick import Heard
from tomopicker import api
from tomopicker.config import Settings, resolve
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.picks import Picks
from tomopicker.pipeline import instant_model, self_training
from tomopicker.pipeline.callbacks import NullCallback
from tomopicker.pipeline.instant_peaks import find_and_calibrate
from tomopicker.pipeline.self_training import first_labels, self_train
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram, common_voxel_size, load_training_tomograms
from tomopicker.training.labels import IGNORED, NEGATIVE, POSITIVE, LabelledVolume
from tomopicker.training.loop import Report

CPU = torch.device("cpu")


def with_teacher(teacher: str, rounds: int = 1, **changes: Any) -> Settings:
    return resolve(
        {
            "particle_diameter": DIAMETER,
            "patches": {"batch": 4},
            "training": {"steps": 6},
            "self_training": {"first_teacher": teacher, "rounds": rounds, "ensemble_size": 1, "first_labels": 0}
            | changes,
        }
    )


@pytest.fixture(scope="module")
def clicks(first: Pair) -> Picks:
    _, truth = first
    return truth.select(np.arange(8, 16))


@pytest.fixture(scope="module")
def features(first: Pair, tmp_path_factory: pytest.TempPathFactory) -> api.Features:
    return api.features(
        first[0], DIAMETER, cache=tmp_path_factory.mktemp("cache"), settings=with_teacher("discriminant"), device="cpu"
    )


@pytest.fixture
def quick_features(features: api.Features, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features that do not depend on what a test changes are computed once."""
    monkeypatch.setattr(instant_model, "features_of", lambda *_: features)


class Enough(Exception):
    """What was to be seen has been seen."""


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[LabelledVolume]:
    """What the first network is trained on."""
    seen: list[LabelledVolume] = []

    def noting(run: Run, job: str, training: list[LabelledVolume], *others: object) -> None:
        seen.extend(training)
        raise Enough

    monkeypatch.setattr(Run, "fit", noting)
    return seen


def loaded(first: Pair, clicks: Picks, settings: Settings) -> list[TrainingTomogram]:
    return load_training_tomograms(
        [first[0]], clicks, settings, common_voxel_size([first[0]], settings), NullCallback()
    )


def labelled(
    first: Pair, clicks: Picks, checkpoint: Path | None = None, *, resume: bool = False, **changes: Any
) -> TrainingTomogram:
    settings = with_teacher("discriminant", **changes)
    clicked = loaded(first, clicks, settings)
    run = Run(settings, DIAMETER / 2 / clicked[0].working.voxel_size, CPU, checkpoint, resume, NullCallback())
    (item,) = first_labels(run, clicked)
    return item


@pytest.mark.usefixtures("quick_features")
def test_pseudo_labels_are_the_instant_picks(first: Pair, clicks: Picks, features: api.Features) -> None:
    """All peaks that instant picking gives p >= 0.9 are positive, those down to 0.2 ambiguous; clicks are neither."""
    item = labelled(first, clicks, max_label_growth=100.0)
    (found,), (fit,), _ = find_and_calibrate([features], clicks, None, NullCallback())
    chances = fit.probability(found.summary.scores)
    places = found.summary.peaks.positions_voxels
    new = np.linalg.norm(places[:, None] - item.clicks[None], axis=2).min(axis=1) > features.radius
    assert len(item.pseudo_positives) >= 4
    assert rows(item.pseudo_positives) <= rows(places[new & (chances >= 0.9)])
    assert rows(item.pseudo_positives) | rows(item.ambiguous) == rows(places[new & (chances >= 0.2)])
    assert np.array_equal(item.clicks, loaded(first, clicks, with_teacher("discriminant"))[0].clicks)


@pytest.mark.usefixtures("quick_features")
def test_pseudo_labels_are_particles(first: Pair, clicks: Picks) -> None:
    item = labelled(first, clicks, max_label_growth=100.0)
    positions = item.working.to_angstrom(item.pseudo_positives)
    distance = np.linalg.norm(positions[:, None] - first[1].positions[None], axis=2).min(axis=1)
    assert (distance < DIAMETER / 2).mean() >= 0.9


@pytest.mark.usefixtures("quick_features")
def test_growth_caps_the_first_labels(first: Pair, clicks: Picks) -> None:
    """Eight clicks may become ten; what more the discriminant is sure of is ambiguous, not background."""
    few, many = (labelled(first, clicks, max_label_growth=growth) for growth in (1.25, 100.0))
    assert len(few.pseudo_positives) == 2
    assert rows(few.pseudo_positives) <= rows(many.pseudo_positives)
    assert rows(few.pseudo_positives) | rows(few.ambiguous) == rows(many.pseudo_positives) | rows(many.ambiguous)


@pytest.mark.usefixtures("quick_features")
def test_few_clicks_gain_more_than_growth_allows(first: Pair, clicks: Picks) -> None:
    few = labelled(first, clicks, max_label_growth=1.25, first_labels=5)
    assert len(few.pseudo_positives) == 5
    more = labelled(first, clicks, max_label_growth=1.75, first_labels=1)
    assert len(more.pseudo_positives) == 6


def rows(positions: np.ndarray) -> set[tuple[float, ...]]:
    return set(map(tuple, np.round(positions, 6).tolist()))


@pytest.mark.usefixtures("quick_features")
def test_the_first_network_is_trained_on_them(first: Pair, clicks: Picks, trained_on: list[LabelledVolume]) -> None:
    heard = Heard()
    with pytest.raises(Enough):
        api.train([first[0]], clicks, with_teacher("discriminant", max_label_growth=1.5), device="cpu", callback=heard)
    item = labelled(first, clicks, max_label_growth=1.5)
    assert len(item.pseudo_positives) == 4
    (volume,) = trained_on
    assert rows(volume.positions) == rows(np.concatenate([item.clicks, item.pseudo_positives]))
    centres = [tuple(np.round(place[::-1]).astype(int)) for place in (*item.pseudo_positives, *item.ambiguous)]
    kinds = [int(volume.labels[place]) for place in centres]
    assert kinds == [POSITIVE] * len(item.pseudo_positives) + [IGNORED] * len(item.ambiguous)
    assert f"Round 1: {len(item.pseudo_positives)} pseudo-labels" in " ".join(heard.said)


def test_networks_as_first_teacher_see_clicks_alone(
    first: Pair, clicks: Picks, trained_on: list[LabelledVolume]
) -> None:
    with pytest.raises(Enough):
        api.train([first[0]], clicks, with_teacher("networks"), device="cpu")
    (volume,) = trained_on
    assert len(volume.positions) == len(clicks)


@pytest.mark.usefixtures("quick_features")
def test_rejected_picks_are_not_labelled(first: Pair, clicks: Picks) -> None:
    """Where the discriminant is sure of a place that a person rejected, the place stays negative."""
    pseudo_positives = labelled(first, clicks, max_label_growth=100.0)
    wrong = Picks.of(first[0].name, pseudo_positives.working.to_angstrom(pseudo_positives.pseudo_positives[:1]))
    settings = with_teacher("discriminant", max_label_growth=100.0)
    clicked = load_training_tomograms(
        [first[0]], clicks, settings, common_voxel_size([first[0]], settings), NullCallback(), rejected=wrong
    )
    run = Run(settings, DIAMETER / 2 / clicked[0].working.voxel_size, CPU, None, False, NullCallback())
    (item,) = first_labels(run, clicked)
    assert not rows(item.pseudo_positives) & rows(pseudo_positives.pseudo_positives[:1])
    assert run.labelled(item).labels[tuple(np.round(item.rejected[0, ::-1]).astype(int))] == NEGATIVE


@pytest.mark.usefixtures("quick_features")
def test_resumed_labels_are_read_not_computed(
    first: Pair, clicks: Picks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = labelled(first, clicks, tmp_path / "m.model")
    assert [path.name for path in tmp_path.iterdir()] == ["m.model.round1.ckpt"]

    def never(*_: object) -> Any:
        raise AssertionError("computed again")

    monkeypatch.setattr(self_training, "peaks_in_training", never)
    after = labelled(first, clicks, tmp_path / "m.model", resume=True)
    assert np.array_equal(after.pseudo_positives, before.pseudo_positives)
    assert np.array_equal(after.ambiguous, before.ambiguous)
    with pytest.raises(TomoPickerError, match=r"round1\.ckpt: belongs to a run with other clicks in TS_1;"):
        labelled(first, clicks.select(np.arange(7)), tmp_path / "m.model", resume=True)


@pytest.mark.usefixtures("quick_features")
def test_an_interrupted_training_ends_where_it_would_have(first: Pair, clicks: Picks, tmp_path: Path) -> None:
    class Impatient(Heard):
        def on_train(self, job: str, report: Report) -> None:
            raise KeyboardInterrupt

    settings = with_teacher("discriminant")
    clicked = loaded(first, clicks, settings)
    whole = Run(settings, DIAMETER / 2 / clicked[0].working.voxel_size, CPU, None, False, NullCallback())
    unbroken = self_train(whole, clicked, first_labels(whole, clicked), [], None).network
    broken = replace(whole, checkpoint=tmp_path / "model", callback=Impatient())
    with pytest.raises(KeyboardInterrupt):
        self_train(broken, clicked, first_labels(broken, clicked), [], None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.round1.ckpt", "model.train.ckpt"]
    again = replace(broken, resume=True, callback=NullCallback())
    resumed = self_train(again, clicked, first_labels(again, clicked), [], None).network
    torch.testing.assert_close(weights(resumed), weights(unbroken), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": {"pretrained": "none"}}, "self_training.first_teacher discriminant needs weights"),
        (
            {"inference": {"adabn": False}, "self_training": {"rounds": 1}},
            "self_training.first_teacher discriminant is solved in each tomogram",
        ),
        ({"training": {"validation_fraction": 0.2}, "self_training": {"rounds": 1}}, "pseudo-labels"),
    ],
)
def test_a_first_teacher_that_cannot_be_is_refused(changes: dict[str, dict[str, Any]], words: str) -> None:
    asked = changes | {"self_training": changes.get("self_training", {}) | {"first_teacher": "discriminant"}}
    with pytest.raises(UsageError, match=words):
        resolve({"particle_diameter": DIAMETER, **asked})


def test_clicks_outside_the_specimen_are_trained_on_alone(first: Pair, trained_on: list[LabelledVolume]) -> None:
    """There is nothing to make a discriminant from, as far as a mask that the user gives is right."""
    tomogram = first[0]
    mask = np.zeros(tomogram.shape, dtype=bool)
    mask[: tomogram.shape[0] // 2] = True
    corner = Picks.of(tomogram.name, np.array([[60 * VOXEL, 60 * VOXEL, 44 * VOXEL]]))
    with pytest.raises(Enough):
        api.train([tomogram], corner, with_teacher("discriminant"), masks={tomogram.name: mask}, device="cpu")
    (volume,) = trained_on
    assert len(volume.positions) == 1
    assert (volume.labels[:8] != IGNORED).all()


@pytest.mark.parametrize(
    ("changes", "self_trained"),
    [
        ({}, True),
        ({"self_training": {"first_teacher": "networks"}}, False),
        ({"network": {"pretrained": "none"}}, False),
        ({"preset": "paper"}, False),
        ({"preset": "fast"}, True),
    ],
)
def test_when_the_discriminant_teaches(changes: dict[str, Any], *, self_trained: bool) -> None:
    assert resolve({"particle_diameter": DIAMETER, **changes}).starts_from_discriminant is self_trained
