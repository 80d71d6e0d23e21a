"""Pseudo-labels from instant picks, in clicked tomograms only."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.pipeline.conftest import DIAMETER, VOXEL, Pair
from tests.recording import RecordingCallback
from tomopicker import api
from tomopicker.config import Settings, resolve
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.picking.peaks import Peaks
from tomopicker.picks import Picks
from tomopicker.pipeline import instant_model, pseudo_labels
from tomopicker.pipeline.callbacks import NullCallback
from tomopicker.pipeline.instant_peaks import find_and_calibrate
from tomopicker.pipeline.pseudo_labels import select_pseudo_labels, with_pseudo_labels
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram, common_voxel_size, load_training_tomograms
from tomopicker.training.checkpoint import Model
from tomopicker.training.labels import IGNORED, NEGATIVE, POSITIVE, LabelledVolume, label_mask
from tomopicker.training.loop import Report

CPU = torch.device("cpu")
pytestmark = pytest.mark.in_full


def settings_with(source: str, **changes: Any) -> Settings:
    return resolve(
        {
            "particle_diameter": DIAMETER,
            "patches": {"batch": 4},
            "training": {"steps": 6},
            "pseudo_labels": {"source": source, "limit": 0} | changes,
        }
    )


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


NOBODY = np.empty((0, 3))


def test_what_is_sure_and_what_is_doubted() -> None:
    """Peaks 10 voxels apart with probabilities 0.99 to 0.1; a click 1 voxel from the second; radius 3."""
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
    """A confident peak never changes the labels of clicks and negatives, however near."""
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


@pytest.fixture(scope="module")
def clicks(first: Pair) -> Picks:
    _, truth = first
    return truth.select(np.arange(8, 16))


@pytest.fixture(scope="module")
def features(first: Pair, tmp_path_factory: pytest.TempPathFactory) -> api.Features:
    return api.features(
        first[0], DIAMETER, cache=tmp_path_factory.mktemp("cache"), settings=settings_with("discriminant"), device="cpu"
    )


@pytest.fixture
def quick_features(features: api.Features, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute features once that do not depend on what tests change."""
    monkeypatch.setattr(instant_model, "features_of", lambda *_: features)


class Enough(Exception):
    """Raised when the test has seen enough."""


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[LabelledVolume]:
    """Return the training data of the first network."""
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
    settings = settings_with("discriminant", **changes)
    clicked = loaded(first, clicks, settings)
    run = Run(settings, DIAMETER / 2 / clicked[0].working.voxel_size, CPU, checkpoint, resume, NullCallback())
    (item,) = with_pseudo_labels(run, clicked)
    return item


@pytest.mark.usefixtures("quick_features")
def test_pseudo_labels_are_the_instant_picks(first: Pair, clicks: Picks, features: api.Features) -> None:
    """Instant peaks with p >= 0.9 are positive, those down to 0.2 ambiguous; clicks are neither."""
    item = labelled(first, clicks, limit=1000)
    (found,), (fit,), _ = find_and_calibrate([features], clicks, None, NullCallback())
    chances = fit.probability(found.summary.scores)
    places = found.summary.peaks.positions_voxels
    new = np.linalg.norm(places[:, None] - item.clicks[None], axis=2).min(axis=1) > features.radius
    assert len(item.pseudo_positives) >= 4
    assert rows(item.pseudo_positives) <= rows(places[new & (chances >= 0.9)])
    assert rows(item.pseudo_positives) | rows(item.ambiguous) == rows(places[new & (chances >= 0.2)])
    assert np.array_equal(item.clicks, loaded(first, clicks, settings_with("discriminant"))[0].clicks)


@pytest.mark.usefixtures("quick_features")
def test_pseudo_labels_are_particles(first: Pair, clicks: Picks) -> None:
    item = labelled(first, clicks, limit=1000)
    positions = item.working.to_angstrom(item.pseudo_positives)
    distance = np.linalg.norm(positions[:, None] - first[1].positions[None], axis=2).min(axis=1)
    assert (distance < DIAMETER / 2).mean() >= 0.9


@pytest.mark.usefixtures("quick_features")
def test_the_limit_is_the_clicks_or_what_is_set(first: Pair, clicks: Picks) -> None:
    """Further confident peaks are ambiguous, not background."""
    as_clicks, few, many = (labelled(first, clicks, limit=limit, positive_threshold=0.5) for limit in (0, 10, 1000))
    assert (len(as_clicks.pseudo_positives), len(few.pseudo_positives)) == (8, 10)
    assert len(many.pseudo_positives) > 10
    assert rows(few.pseudo_positives) <= rows(many.pseudo_positives)
    assert rows(few.pseudo_positives) | rows(few.ambiguous) == rows(many.pseudo_positives) | rows(many.ambiguous)


@pytest.mark.usefixtures("quick_features")
def test_none_where_instant_picks_hardly_separate_the_particles(
    first: Pair, clicks: Picks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If pseudo-labels would often be wrong, only clicks are used, and this is logged."""
    assert len(labelled(first, clicks).pseudo_positives)
    recorder = RecordingCallback()
    monkeypatch.setattr(pseudo_labels, "separation", lambda *_: 0.6)
    settings = settings_with("discriminant")
    clicked = loaded(first, clicks, settings)
    run = Run(settings, DIAMETER / 2 / clicked[0].working.voxel_size, CPU, None, False, recorder)
    (item,) = with_pseudo_labels(run, clicked)
    assert not len(item.pseudo_positives) and not len(item.ambiguous)
    assert "Pseudo-labels: none" in " ".join(recorder.messages)


def rows(positions: np.ndarray) -> set[tuple[float, ...]]:
    return set(map(tuple, np.round(positions, 6).tolist()))


@pytest.mark.usefixtures("quick_features")
def test_the_network_is_trained_on_them(first: Pair, clicks: Picks, trained_on: list[LabelledVolume]) -> None:
    recorder = RecordingCallback()
    with pytest.raises(Enough):
        api.train([first[0]], clicks, settings_with("discriminant"), device="cpu", callback=recorder)
    item = labelled(first, clicks)
    assert 4 <= len(item.pseudo_positives) <= 8
    (volume,) = trained_on
    assert rows(volume.positions) == rows(np.concatenate([item.clicks, item.pseudo_positives]))
    centres = [tuple(np.round(place[::-1]).astype(int)) for place in (*item.pseudo_positives, *item.ambiguous)]
    kinds = [int(volume.labels[place]) for place in centres]
    assert kinds == [POSITIVE] * len(item.pseudo_positives) + [IGNORED] * len(item.ambiguous)
    assert f"Pseudo-labels: {len(item.pseudo_positives)} confident" in " ".join(recorder.messages)


def test_without_them_the_network_sees_clicks_alone(
    first: Pair, clicks: Picks, trained_on: list[LabelledVolume]
) -> None:
    with pytest.raises(Enough):
        api.train([first[0]], clicks, settings_with("none"), device="cpu")
    (volume,) = trained_on
    assert len(volume.positions) == len(clicks)


@pytest.mark.usefixtures("quick_features")
def test_rejected_picks_are_not_labelled(first: Pair, clicks: Picks) -> None:
    """A rejected position stays negative even if the discriminant is confident."""
    pseudo_positives = labelled(first, clicks, limit=1000)
    wrong = Picks.of(first[0].name, pseudo_positives.working.to_angstrom(pseudo_positives.pseudo_positives[:1]))
    settings = settings_with("discriminant", limit=1000)
    clicked = load_training_tomograms(
        [first[0]], clicks, settings, common_voxel_size([first[0]], settings), NullCallback(), rejected=wrong
    )
    run = Run(settings, DIAMETER / 2 / clicked[0].working.voxel_size, CPU, None, False, NullCallback())
    (item,) = with_pseudo_labels(run, clicked)
    assert not rows(item.pseudo_positives) & rows(pseudo_positives.pseudo_positives[:1])
    assert run.labelled(item).labels[tuple(np.round(item.rejected[0, ::-1]).astype(int))] == NEGATIVE


@pytest.mark.usefixtures("quick_features")
def test_resumed_labels_are_read_not_computed(
    first: Pair, clicks: Picks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = labelled(first, clicks, tmp_path / "m.model")
    assert [path.name for path in tmp_path.iterdir()] == ["m.model.labels.ckpt"]

    def never(*_: object) -> Any:
        raise AssertionError("computed again")

    monkeypatch.setattr(pseudo_labels, "peaks_in_training", never)
    after = labelled(first, clicks, tmp_path / "m.model", resume=True)
    assert np.array_equal(after.pseudo_positives, before.pseudo_positives)
    assert np.array_equal(after.ambiguous, before.ambiguous)
    with pytest.raises(TomoPickerError, match=r"labels\.ckpt: belongs to a run with other clicks in TS_1;"):
        labelled(first, clicks.select(np.arange(7)), tmp_path / "m.model", resume=True)


@pytest.mark.usefixtures("quick_features")
def test_an_interrupted_training_ends_where_it_would_have(first: Pair, clicks: Picks, tmp_path: Path) -> None:
    class Impatient(RecordingCallback):
        def on_train(self, job: str, report: Report) -> None:
            raise KeyboardInterrupt

    asked = partial(api.train, [first[0]], clicks, settings_with("discriminant"), device="cpu")
    unbroken = asked().network
    with pytest.raises(KeyboardInterrupt):
        asked(checkpoint=tmp_path / "model", callback=Impatient())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.labels.ckpt", "model.train.ckpt"]
    resumed = asked(checkpoint=tmp_path / "model", resume=True).network
    torch.testing.assert_close(weights(resumed), weights(unbroken), rtol=0, atol=0)


@pytest.mark.usefixtures("quick_features")
def test_nothing_is_learned_from_a_validation_tomogram(first: Pair, second: Pair, clicks: Picks) -> None:
    """Weights are the same with and without it in a tomogram full of particles."""
    asked = partial(api.train, [first[0]], clicks, settings_with("discriminant"), device="cpu")
    validated: Model = asked(validation_tomograms=[second[0]], validation_picks=second[1])
    assert any("validation_risk" in line for line in validated.provenance["history"])
    torch.testing.assert_close(weights(validated.network), weights(asked().network), rtol=0, atol=0)


@pytest.mark.usefixtures("quick_features")
@pytest.mark.parametrize("kind", ["kl", "pu", "distpu"])
def test_a_class_prior_is_raised_to_the_labels(kind: str, first: Pair, clicks: Picks) -> None:
    """The given count is just above the clicks, but below clicks plus pseudo-labels."""
    settings = settings_with("discriminant")
    objective = settings.objective.model_copy(update={"loss": kind})
    stated = settings.model_copy(update={"objective": objective, "expected_particles": 9.0})
    model = api.train([first[0]], clicks, stated, device="cpu")
    assert model.provenance["history"][-1]["step"] == 6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": {"pretrained": "none"}}, "pseudo_labels.source discriminant needs weights"),
        ({"inference": {"adabn": False}}, "pseudo_labels.source discriminant is solved in each tomogram"),
        ({"training": {"validation_fraction": 0.2}}, "validation clicks would return as pseudo-labels"),
        ({"pseudo_labels": {"positive_threshold": 0.1}}, "pseudo_labels.ignore_threshold must be no more than"),
    ],
)
def test_settings_without_pseudo_labels_that_ask_for_them_are_refused(
    changes: dict[str, dict[str, Any]], words: str
) -> None:
    asked = changes | {"pseudo_labels": {"source": "discriminant", **changes.get("pseudo_labels", {})}}
    with pytest.raises(UsageError, match=words):
        resolve({"particle_diameter": DIAMETER, **asked})


def test_clicks_outside_the_specimen_are_trained_on_alone(first: Pair, trained_on: list[LabelledVolume]) -> None:
    """All clicks lie outside the given mask, so no discriminant can be made."""
    tomogram = first[0]
    mask = np.zeros(tomogram.shape, dtype=bool)
    mask[: tomogram.shape[0] // 2] = True
    corner = Picks.of(tomogram.name, np.array([[60 * VOXEL, 60 * VOXEL, 44 * VOXEL]]))
    with pytest.raises(Enough):
        api.train([tomogram], corner, settings_with("discriminant"), masks={tomogram.name: mask}, device="cpu")
    (volume,) = trained_on
    assert len(volume.positions) == 1
    assert (volume.labels[:8] != IGNORED).all()


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, True),
        ({"pseudo_labels": {"source": "none"}}, False),
        ({"network": {"pretrained": "none"}}, False),
        ({"preset": "paper"}, False),
        ({"preset": "best"}, True),
    ],
)
def test_when_there_are_pseudo_labels(changes: dict[str, Any], *, there: bool) -> None:
    assert resolve({"particle_diameter": DIAMETER, **changes}).has_pseudo_labels is there


@pytest.mark.parametrize(
    ("clicks", "pseudo_labels", "changes", "steps"),
    [
        (20, 0, {}, 114),
        (20, 20, {}, 114),
        (5, 0, {}, 57),
        (5, 4, {}, 76),
        (1, 20, {}, 114),
        (100, 20, {}, 255),
        (20, 20, {"training": {"steps": 10}}, 10),
        (20, 20, {"training": {"epochs": 2}}, None),
        (20, 0, {"preset": "paper"}, None),
    ],
)
def test_steps_follow_the_number_of_labels(
    clicks: int, pseudo_labels: int, changes: dict[str, Any], steps: int | None
) -> None:
    """Pseudo-labels lengthen training up to 20 labels."""
    assert resolve({"particle_diameter": DIAMETER, **changes}).steps_for(clicks, pseudo_labels) == steps
