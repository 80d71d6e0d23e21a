"""Training and picking in an unseen tomogram, and options of picking."""

import doctest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.conftest import DIAMETER, VOXEL, Pair, scored
from tests.recording import RecordingCallback
from tomopicker import api
from tomopicker.config import Settings, resolve
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.geometry import Frame
from tomopicker.picking.calibration import MIN_PROBABILITY
from tomopicker.picking.selection import Selection
from tomopicker.pipeline.provenance import training_density
from tomopicker.pipeline.training_data import TrainingTomogram, hold_out
from tomopicker.preprocessing.preprocess import WorkingVolume, preprocess
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model

pytestmark = pytest.mark.in_full


def test_unseen_particles_are_found_at_the_models_own_threshold(model: Model, second: Pair) -> None:
    tomogram, truth = second
    picked = api.pick(tomogram, model)
    _, mean = api.evaluate(picked.picks, truth, 10 * VOXEL)
    assert mean.f1 > 0.6
    assert mean.position_error_median is not None
    assert mean.position_error_median < 3 * VOXEL


def test_shifted_truth_is_not_found(model: Model, second: Pair) -> None:
    """The F1 above depends on positions: the truth mirrored in x is missed."""
    tomogram, truth = second
    mirrored = truth.positions.copy()
    mirrored[:, 0] = tomogram.shape[2] * VOXEL - mirrored[:, 0]
    _, mean = api.evaluate(api.pick(tomogram, model).picks, replace(truth, positions=mirrored), 10 * VOXEL)
    assert mean.f1 < 0.4


def test_coarser_copy_of_a_tomogram_gives_the_same_positions(model: Model, second: Pair) -> None:
    tomogram, _ = second
    data = tomogram.read()
    binned = data.reshape(24, 2, 64, 2, 64, 2).mean(axis=(1, 3, 5))
    coarse = api.pick(Tomogram("coarse", binned, 2 * VOXEL), model).picks.positions + VOXEL / 2
    fine = api.pick(tomogram, model).picks.positions
    nearest = np.linalg.norm(fine[:, None] - coarse[None], axis=2).min(axis=1)
    assert np.mean(nearest < 2 * VOXEL) > 0.8


def test_picks_are_moved_back_by_how_far_the_network_lies_off(model: Model, second: Pair) -> None:
    tomogram, _ = second
    assert any(model.displacement)  # Measured during training.
    assert np.linalg.norm(model.displacement) < DIAMETER / 10
    centred = api.pick(tomogram, replace(model, displacement=(0.0, 0.0, 0.0))).candidates.positions
    moved = api.pick(tomogram, replace(model, displacement=(3.0, -2.0, 1.0))).candidates.positions
    # Picks at the rim lie inside.
    free = ((centred > VOXEL) & (centred < (np.array(tomogram.shape[::-1]) - 2) * VOXEL)).all(axis=1)
    np.testing.assert_allclose((centred - moved)[free], np.tile([3.0, -2.0, 1.0], (free.sum(), 1)))


def test_there_are_no_fewer_particles_than_clicks(model: Model, first: Pair, second: Pair, monkeypatch) -> None:
    """At least the clicks are counted in the training tomogram, but not in one of another name or shape."""
    from tomopicker.picking.calibration import Count
    from tomopicker.pipeline import peak_calibration as module

    calibrate = module.calibrate
    monkeypatch.setattr(module, "calibrate", lambda *a, **k: replace(calibrate(*a, **k), count=Count(3.0, 0.0, 6.0)))
    assert api.pick(first[0], model).count == Count(10.0, 10.0, 10.0)
    assert api.pick(first[0], model).expected.particles >= 10
    assert api.pick(second[0], model).count == Count(3.0, 0.0, 6.0)
    cut = Tomogram(first[0].name, first[0].read()[:, :100], VOXEL)
    assert api.pick(cut, model).count == Count(3.0, 0.0, 6.0)


def test_least_distance_cap_and_mask_are_kept(model: Model, second: Pair) -> None:
    tomogram, _ = second
    picks = api.pick(tomogram, model, selection=Selection(threshold=0.0), min_distance=400.0).picks.positions
    gaps = np.linalg.norm(picks[:, None] - picks[None], axis=2)[~np.eye(len(picks), dtype=bool)]
    assert len(picks) > 3
    assert gaps.min() >= 400 - 1e-6

    best = api.pick(tomogram, model, selection=Selection(threshold=0.0, max_particles=5)).picks
    assert len(best) == 5
    assert (np.diff(best.scores) <= 0).all()

    mask = np.zeros(tomogram.shape, dtype=bool)
    mask[:, :, :60] = True
    inside = api.pick(tomogram, model, selection=Selection(threshold=0.0), mask=mask).picks.positions
    assert len(inside)
    assert inside[:, 0].max() < 62 * VOXEL


def test_no_picks_on_the_border_where_particles_are_cut(model: Model, second: Pair) -> None:
    """A particle cut by the border gives no pick, and padding does not complete it."""
    tomogram, truth = second
    x = float(truth.positions[np.argmin(np.abs(truth.positions[:, 0] - 64 * VOXEL)), 0])
    half = Tomogram("half", tomogram.read()[:, :, : round(x / VOXEL)], VOXEL)
    picks = api.pick(half, model, selection=Selection(threshold=0.0)).picks.positions
    assert len(picks) > 3
    margin = 0.4 * DIAMETER / 2
    assert picks[:, 0].max() < (half.shape[2] - 1) * VOXEL - margin + model.voxel_size


def test_mask_of_another_shape_is_refused(model: Model, second: Pair) -> None:
    with pytest.raises(UsageError, match="--mask"):
        api.pick(second[0], model, mask=np.ones((4, 4, 4), dtype=bool))


def test_model_records_its_provenance(model: Model) -> None:
    assert model.provenance["training"][0]["name"] == "TS_1"
    assert model.provenance["training"][0]["clicks"] == 10
    assert model.provenance["particles_estimated"]
    assert 10 <= model.provenance["particles"] < 80
    assert model.voxel_size == pytest.approx(2 * VOXEL)


def test_same_seed_gives_the_same_model(first: Pair, quick: Settings) -> None:
    short = quick.model_copy(update={"training": quick.training.model_copy(update={"steps": 3})})
    tomogram, truth = first
    models = [api.train([tomogram], truth.select(np.arange(6)), short, device="cpu") for _ in range(2)]
    assert models[0].offset == models[1].offset
    assert all(
        bool((a == b).all())
        for a, b in zip(models[0].network.state_dict().values(), models[1].network.state_dict().values(), strict=True)
    )


def test_bright_particles_are_warned_of(first: Pair, quick: Settings) -> None:
    tomogram, truth = first
    short = quick.training.model_copy(update={"steps": 1})
    settings = quick.model_copy(update={"training": short, "expected_particles": 24.0})
    dark, bright = RecordingCallback(), RecordingCallback()
    api.train([tomogram], truth, settings, device="cpu", callback=dark)
    inverted = Tomogram(tomogram.name, -tomogram.read(), VOXEL)
    api.train([inverted], truth, settings, device="cpu", callback=bright)
    assert not [text for text in dark.warnings if "noise" not in text]  # One step teaches nothing.
    assert any("--invert" in text for text in bright.warnings)


@pytest.mark.parametrize(("diameter", "words"), [(20.0, "less than 2 voxels"), (5000.0, "larger than")])
def test_impossible_diameters_are_refused(first: Pair, diameter: float, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        api.train([first[0]], first[1], resolve({"particle_diameter": diameter}), device="cpu")


def test_tomogram_without_clicks_is_refused(first: Pair, second: Pair, quick: Settings) -> None:
    with pytest.raises(UsageError, match="TS_2"):
        api.train([first[0], second[0]], first[1], quick, device="cpu")


def test_nan_in_a_tomogram_is_reported(model: Model, second: Pair) -> None:
    data = second[0].read()
    data[3, 4, 5] = np.nan
    with pytest.raises(TomoPickerError, match="bad: holds NaN"):
        api.pick(Tomogram("bad", data, VOXEL), model)


def test_scores_are_probabilities_and_candidates_hold_the_picks(model: Model, second: Pair) -> None:
    """The candidates' probabilities predict the number of particles and the quality of the picks."""
    tomogram, truth = second
    picked = api.pick(tomogram, model)
    probability = picked.candidates.scores
    assert ((probability >= MIN_PROBABILITY - 1e-9) & (probability <= 1)).all()
    assert (picked.picks.scores > picked.threshold).all()
    assert len(picked.candidates) >= len(picked.picks)
    assert picked.count is not None and picked.expected.particles == picked.count.estimate
    assert probability.sum() <= picked.expected.particles
    assert picked.expected.precision == pytest.approx(picked.picks.scores.mean())
    assert 0.5 < picked.expected.particles / len(truth) < 2
    assert (picked.scores >= 0).all() and (picked.scores <= 1).all()


def test_surer_picks_are_fewer(model: Model, second: Pair) -> None:
    tomogram, _ = second
    usual, pseudo_positives = (api.pick(tomogram, model, selection=each) for each in (None, Selection(precision=0.85)))
    assert pseudo_positives.expected.precision >= 0.85
    assert len(pseudo_positives.picks) <= len(api.pick(tomogram, model, selection=Selection(precision=0.5)).picks)
    assert usual.expected.f1 >= pseudo_positives.expected.f1


def test_the_density_of_the_training_tomograms_by_hand():
    origin = {
        "particles": 60.0,
        "training": [
            {"shape_zyx": [10, 20, 30], "voxel_size_angstrom": 2.0, "specimen_fraction": 0.5},
            {"shape_zyx": [10, 10, 10], "voxel_size_angstrom": 1.0},
        ],
    }
    assert training_density(origin) == pytest.approx(60 / (6000 * 8 * 0.5 + 1000))
    assert training_density({"particles": None, "training": origin["training"]}) is None


def test_half_turns_make_scores_that_turn_with_the_tomogram(model: Model, second: Pair) -> None:
    """A network's scores change slightly when the volume is rotated; the mean over half-turns does not."""
    working = preprocess(second[0], model.voxel_size, model.settings.preprocess.clip_sd)
    turned = replace(working, data=np.ascontiguousarray(working.data[:, ::-1, ::-1]))
    unlike = []
    for half_turns in (False, True):
        cfg = model.settings.inference.model_copy(update={"tta": half_turns, "adabn": False})
        settings = model.settings.model_copy(update={"inference": cfg})
        one, other = (scored(model.network, each, settings) for each in (working, turned))
        unlike.append(float(np.abs(one - other[:, ::-1, ::-1]).mean()))
    assert unlike[1] < 0.2 * unlike[0]


def test_the_example_of_the_api_writes_each_tomogram_in_its_own_frame(
    first: Pair, second: Pair, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run as printed, with tomograms of two sizes and an existing model."""
    monkeypatch.chdir(tmp_path)
    api.write_mrc(tmp_path / "TS_0001.mrc", first[0].read(), VOXEL)
    api.write_mrc(tmp_path / "TS_0002.mrc", second[0].read()[2:, 30:, 46:].copy(), VOXEL)
    clicks = replace(first[1], tomograms=np.full(len(first[1]), "TS_0001", dtype=object))
    api.write_picks(clicks, {"TS_0001": api.open_tomogram("TS_0001.mrc").frame}, tmp_path / "clicks.csv")
    monkeypatch.setattr(api, "train", lambda *_: model)
    names: dict[str, object] = {}
    for example in doctest.DocTestParser().get_examples(str(api.__doc__)):
        exec(example.source, names)
    picked = names["picked"]
    assert isinstance(picked, api.Picked) and len(picked.picks)
    back = api.read_picks("TS_0002.star", [api.open_tomogram("TS_0002.mrc")])
    np.testing.assert_allclose(back.positions, picked.picks.positions, atol=1e-3)


@pytest.mark.parametrize(
    ("share", "clicks"), [(0.95, [10]), (0.999, [1, 11, 3]), (0.95, [9, 1]), (0.5, [7, 8]), (0.01, [10])]
)
def test_clicks_held_out_leave_one_to_train_on(quick: Settings, share: float, clicks: list[int]) -> None:
    places = np.random.default_rng(1).uniform(0, 9, (sum(clicks), 3))
    parts = np.split(places, np.cumsum(clicks)[:-1])
    working = WorkingVolume(np.zeros((10, 10, 10), dtype=np.float32), 10.0, 1.0)
    frame = Frame((10, 10, 10), 10.0)
    items = [TrainingTomogram(f"TS_{number}", frame, working, part) for number, part in enumerate(parts)]
    settings = quick.model_copy(update={"training": quick.training.model_copy(update={"validation_fraction": share})})
    recorder = RecordingCallback()
    kept, held = hold_out(items, settings, recorder)
    assert [item.name for item in kept] == [item.name for item in items]
    assert min(len(item.clicks) for item in kept) >= 1
    both = np.concatenate([item.clicks for item in [*kept, *held]])
    assert sorted(map(tuple, both)) == sorted(map(tuple, places))
    assert sum(len(item.clicks) for item in held) == pytest.approx(share * len(places), abs=len(clicks))
    assert len(recorder.messages) == bool(held)
