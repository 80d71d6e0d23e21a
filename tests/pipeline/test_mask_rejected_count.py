"""Masks, negatives and a contradicted count, through training and picking."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.pipeline.conftest import DIAMETER, VOXEL, Pair
from tests.recording import RecordingCallback
from tomopicker import api
from tomopicker.config import Settings
from tomopicker.errors import UsageError
from tomopicker.picking.calibration import Calibration, Count
from tomopicker.picking.selection import Selection
from tomopicker.pipeline import first_count
from tomopicker.pipeline import trainer as job
from tomopicker.pipeline.peak_calibration import PeakSummary
from tomopicker.pipeline.training_data import load_training_tomograms
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.training.labels import IGNORED, ball_offsets


@pytest.fixture(scope="module")
def hasty(quick: Settings) -> Settings:
    return quick.model_copy(update={"training": quick.training.model_copy(update={"steps": 3})})


@pytest.fixture(scope="module")
def thick(second: Pair) -> Pair:
    """The second tomogram between two slabs of noise of the same thickness (48 sections)."""
    tomogram, truth = second
    data = tomogram.read()
    # The simulated lamella is thinner than the volume; its rims are indistinguishable from noise here.
    rim = data[[0, 1, -2, -1]]
    noise = np.random.default_rng(0).normal(rim.mean(), rim.std(), (2, *data.shape)).astype(np.float32)
    whole = Tomogram("thick", np.concatenate([noise[0], data, noise[1]]), VOXEL)
    return whole, api.Picks.of("thick", truth.positions + np.array([0, 0, 48 * VOXEL]))


def test_what_lies_outside_the_lamella_is_neither_scored_nor_picked(model: Model, thick: Pair) -> None:
    tomogram, truth = thick
    tiles: dict[str, int] = {}

    class Counting(RecordingCallback):
        def on_score(self, tomogram: str, done: int, total: int) -> None:
            tiles[self.way] = total

        way = ""

    found: dict[str, Any] = {}
    small = model.settings.inference.model_copy(update={"tile": 16})
    model = type(model)(**{**vars(model), "settings": model.settings.model_copy(update={"inference": small})})
    for way in ("auto", "none"):
        recorder = Counting()
        recorder.way = way
        found[way] = api.pick(tomogram, model, mask=way, callback=recorder, selection=Selection(threshold=0.02))  # type: ignore[arg-type]
    assert found["none"].working.mask is None
    assert 0.15 < found["auto"].working.mask_fraction < 0.5
    assert tiles["auto"] < 0.6 * tiles["none"]
    z = found["auto"].picks.positions[:, 2] / VOXEL
    assert len(z) > 5
    assert ((z > 44) & (z < 100)).all()
    by_way = {way: api.evaluate(found[way].picks, truth, 10 * VOXEL)[1] for way in found}
    assert by_way["auto"].recall >= by_way["none"].recall - 0.06
    assert found["auto"].working.data[found["auto"].working.mask].std() == pytest.approx(1, abs=0.01)


def test_training_leaves_out_what_lies_outside(thick: Pair, hasty: Settings) -> None:
    """The prior counts only voxels of the lamella: in a third of the volume it is three times as high."""
    tomogram, truth = thick
    settings = hasty.model_copy(update={"expected_particles": 20.0})
    recorder, priors = RecordingCallback(), {}
    for way in ("auto", "none"):
        chosen = settings.model_copy(update={"preprocess": settings.preprocess.model_copy(update={"mask": way})})
        made = api.train([tomogram], truth.select(np.arange(6)), chosen, device="cpu", callback=recorder)
        priors[way] = made.provenance["priors"]["pi1"]
        share = made.provenance["training"][0]["specimen_fraction"]
        assert (share < 0.5) == (way == "auto")
    assert priors["auto"] > 2 * priors["none"]
    assert any("lamella found" in line and "% of the volume" in line for line in recorder.messages)


def test_a_lamella_that_clicks_contradict_is_not_used(thick: Pair, hasty: Settings) -> None:
    tomogram, truth = thick
    moved = api.Picks.of("thick", truth.positions[:8] - np.array([0, 0, 45 * VOXEL]))
    recorder = RecordingCallback()
    made = api.train([tomogram], moved, hasty, device="cpu", callback=recorder)
    assert any("outside the detected lamella" in text and "--mask" in text for text in recorder.warnings)
    assert made.settings.preprocess.mask == "none"
    assert made.provenance["training"][0]["specimen_fraction"] == 1


def test_given_masks_are_used(first: Pair, hasty: Settings) -> None:
    tomogram, truth = first
    mask = np.zeros(tomogram.shape, dtype=bool)
    mask[:, :, :64] = True
    made = api.train([tomogram], truth.select(np.arange(8)), hasty, masks={tomogram.name: mask}, device="cpu")
    assert made.provenance["training"][0]["specimen_fraction"] == 0.5
    with pytest.raises(UsageError, match="--mask has shape"):
        api.train([tomogram], truth, hasty, masks={tomogram.name: mask[1:]}, device="cpu")
    with pytest.raises(UsageError, match="0 everywhere"):
        api.train([tomogram], truth, hasty, masks={tomogram.name: np.zeros_like(mask)}, device="cpu")


def test_rejected_picks_reach_the_training(first: Pair, hasty: Settings) -> None:
    tomogram, truth = first
    clicks, others = truth.select(np.arange(8)), truth.select(np.arange(12, 15))
    recorder = RecordingCallback()
    with_them = api.train([tomogram], clicks, hasty, negatives=others, device="cpu", callback=recorder)
    without = api.train([tomogram], clicks, hasty, device="cpu")
    assert any("8 clicks, 3 negatives" in line for line in recorder.messages)
    assert with_them.provenance["training"][0]["rejected"] == 3
    assert any(
        bool((a != b).any())
        for a, b in zip(with_them.network.state_dict().values(), without.network.state_dict().values(), strict=True)
    )


def test_rejected_picks_score_lower(first: Pair, second: Pair, quick: Settings) -> None:
    """Half of the particles are declared negatives: the network lowers their scores."""
    tomogram, truth = first
    order = np.random.default_rng(0).permutation(len(truth))
    clicks, others = truth.select(order[:8]), truth.select(order[8:])
    logits = []
    for rejected in (None, others):
        settings = quick.model_copy(update={"expected_particles": 24.0})
        short = quick.training.model_copy(update={"steps": 30})
        settings = settings.model_copy(update={"training": short})
        settings = settings.model_copy(
            update={
                "objective": quick.objective.model_copy(update={"negative_weight": 0.5}),
                "patches": quick.patches.model_copy(update={"negative_fraction": 0.25}),
            }
        )
        made = api.train([tomogram], clicks, settings, negatives=rejected, device="cpu")
        found = api.pick(tomogram, made, selection=Selection(threshold=0.0))
        z, y, x = np.round(found.working.from_angstrom(others.positions)[:, ::-1]).astype(int).T
        logits.append(float(np.mean(found.logits[z, y, x])))
    assert logits[1] < logits[0] - 1


@pytest.mark.parametrize(("distance", "clash"), [(DIAMETER / 2 - 1, True), (DIAMETER / 2 + 1, False)])
def test_a_rejected_pick_on_a_click_is_refused(first: Pair, hasty: Settings, distance: float, *, clash: bool) -> None:
    tomogram, truth = first
    clicks = truth.select(np.arange(6))
    near = api.Picks.of(tomogram.name, clicks.positions[2:3] + np.array([0, distance, 0]))
    if not clash:
        api.train([tomogram], clicks, hasty, negatives=near, device="cpu")
        return
    with pytest.raises(UsageError, match="--negatives") as refused:
        api.train([tomogram], clicks, hasty, negatives=near, device="cpu")
    assert "\n" not in str(refused.value)
    assert f"{distance:.0f} Å" in str(refused.value)


def with_loss(settings: Settings, loss: str, *, adabn: bool = True) -> Settings:
    return settings.model_copy(
        update={
            "objective": settings.objective.model_copy(update={"loss": loss}),
            "inference": settings.inference.model_copy(update={"adabn": adabn}),
        }
    )


@pytest.mark.parametrize(("loss", "adabn"), [("kl", True), ("pu", False)])
def test_a_loss_with_a_class_prior_gets_the_count_of_a_first_network(
    first: Pair, hasty: Settings, monkeypatch: pytest.MonkeyPatch, loss: str, *, adabn: bool
) -> None:
    """It uses balanced PN regardless of the loss; its count becomes the class prior, and is logged."""
    tomogram, truth = first
    losses: dict[str, tuple[str, bool, float]] = {}
    fit = job.Run.fit

    def noting(run: job.Run, name: str, train: Any, watch: Any, priors: Any, clicks: int) -> Any:
        settings = run.settings
        ball = len(ball_offsets(run.radius * settings.labels.radius_fraction))
        voxels = sum(int((item.labels != IGNORED).sum()) for item in train)
        losses[name] = settings.objective.loss, settings.objective.balanced, priors.expected * voxels / ball
        return fit(run, name, train, watch, priors, clicks)

    monkeypatch.setattr(job.Run, "fit", noting)
    known, calibrate = Count(70.0, 55.0, 92.0), first_count.calibrations
    monkeypatch.setattr(
        first_count, "calibrations", lambda found: [replace(each, count=known) for each in calibrate(found)]
    )
    recorder = RecordingCallback()
    settings = with_loss(hasty, loss, adabn=adabn)
    made = api.train([tomogram], truth.select(np.arange(10)), settings, device="cpu", callback=recorder)
    assert recorder.jobs == {"count", "train"}
    assert losses["count"][:2] == ("pn", True)
    assert (losses["train"][0], losses["train"][2]) == (loss, pytest.approx(70))
    [line] = [text for text in recorder.messages if "first network" in text]
    assert "70 particles (90% interval 55 to 92)" in line and "--expected-particles" in line
    assert made.provenance["particles_estimated"]
    if not adabn:  # Otherwise, the trained network would count again.
        assert made.provenance["particles_counted"] == {"estimate": 70.0, "low": 55.0, "high": 92.0}


@pytest.mark.parametrize(("loss", "given"), [("kl", 24.0), ("pn", None), ("pn", 24.0)])
def test_no_network_counts_where_no_count_is_needed_or_one_is_stated(
    first: Pair, hasty: Settings, loss: str, given: float | None
) -> None:
    tomogram, truth = first
    recorder = RecordingCallback()
    settings = with_loss(hasty, loss).model_copy(update={"expected_particles": given})
    api.train([tomogram], truth.select(np.arange(6)), settings, device="cpu", callback=recorder)
    assert recorder.jobs == {"train"}
    assert not any("first network" in text for text in recorder.messages)


@pytest.mark.in_full
def test_the_first_network_counts_particles(first: Pair, quick: Settings) -> None:
    tomogram, truth = first
    recorder, settings = RecordingCallback(), with_loss(quick, "kl")
    clicks = truth.select(np.random.default_rng(0).permutation(len(truth))[:10])
    clicked = load_training_tomograms([tomogram], clicks, settings, 2 * VOXEL, recorder)
    run = job.Run(settings, DIAMETER / 2 / (2 * VOXEL), torch.device("cpu"), None, False, recorder)
    counted = first_count.count_by_first_network(run, clicked, [])
    assert 12 < counted.estimate < 48  # of 24
    assert counted.low <= 24 <= counted.high


@pytest.mark.parametrize(("given", "believed"), [(60.0, True), (500.0, False)])
def test_a_contradicted_count_is_not_forced_on_the_calibration(
    first: Pair, hasty: Settings, monkeypatch: pytest.MonkeyPatch, given: float, *, believed: bool
) -> None:
    tomogram, truth = first
    forced, usual = [], job.calibrations

    def calibrations(found: Sequence[PeakSummary], count: float | None = None, prior: None = None) -> list[Calibration]:
        forced.append(count)
        return [replace(each, count=Count(70.0, 55.0, 92.0)) for each in usual(found)]

    monkeypatch.setattr(job, "calibrations", calibrations)
    recorder = RecordingCallback()
    settings = hasty.model_copy(update={"expected_particles": given})
    made = api.train([tomogram], truth.select(np.arange(10)), settings, device="cpu", callback=recorder)
    assert forced == ([None, given] if believed else [None])
    assert made.provenance["particles"] == (given if believed else 70)
    assert made.provenance["particles_estimated"] != believed
    assert any("the count from the clicks is used" in text for text in recorder.warnings) != believed


def test_the_interval_is_reported_and_kept(first: Pair, hasty: Settings) -> None:
    tomogram, truth = first
    recorder = RecordingCallback()
    made = api.train([tomogram], truth.select(np.arange(10)), hasty, device="cpu", callback=recorder)
    counted = made.provenance["particles_counted"]
    assert (
        counted["low"] <= made.provenance["particles"] + 0.05 and made.provenance["particles"] - 0.05 <= counted["high"]
    )
    assert any("90% interval" in line for line in recorder.messages)
