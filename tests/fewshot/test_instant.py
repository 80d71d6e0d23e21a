"""Picks from a few clicks: found again elsewhere, few where there is nothing, and suggestions that teach."""

import numpy as np
import pytest

from tests.fewshot.conftest import DIAMETER, simulated
from tomopicker import api
from tomopicker.errors import UsageError
from tomopicker.picks import Picks
from tomopicker.pipeline.suggest import suggest_from

TOLERANCE = 100.0


def f1(picks, truth):
    _, mean = api.evaluate(picks, truth, TOLERANCE)
    return mean.f1


def some(truth, *rows):
    return truth.select(np.array(rows))


@pytest.mark.parametrize(("clicks", "least"), [(1, 0.55), (5, 0.75)])
def test_a_few_clicks_find_the_others_there_and_elsewhere(features, others, first, second, clicks, least):
    found = api.instant([features, others], some(first[1], *range(clicks)))
    assert list(found.picked) == ["TS_1", "TS_2"]
    for name, truth in (("TS_1", first[1]), ("TS_2", second[1])):
        picked = found.picked[name]
        assert f1(picked.picks, truth) > least
        assert picked.count.low <= len(truth) * 1.15
        assert picked.count.high >= len(truth) * 0.85
        assert found.score_volume(name).shape == picked.working.data.shape


def test_positions_are_sub_voxel_and_centred(features, first):
    picks = api.instant(features, some(first[1], *range(8))).picked["TS_1"].picks
    nearest = np.linalg.norm(picks.positions[:, None] - first[1].positions[None], axis=2)
    hit = nearest.min(axis=1) < TOLERANCE
    away = picks.positions[hit] - first[1].positions[nearest.argmin(axis=1)[hit]]
    assert hit.sum() >= 14
    assert np.sqrt((away**2).sum(axis=1).mean()) < 35
    assert np.abs(away.mean(axis=0)).max() < 15


def test_a_click_is_picked_and_a_rejected_pick_is_not(features, first):
    before = api.instant(features, some(first[1], 0, 1)).picked["TS_1"].picks
    last = before.select(np.array([len(before) - 1]))
    after = api.instant(features, some(first[1], 0, 1), Picks.of("TS_1", last.positions)).picked["TS_1"]
    distances = np.linalg.norm(after.candidates.positions[:, None] - first[1].positions[None, :2], axis=2)
    assert (distances.min(axis=0) < TOLERANCE).all()
    assert (after.candidates.scores[distances.argmin(axis=0)] == 1).all()
    assert np.linalg.norm(after.candidates.positions - last.positions, axis=1).min() > 30
    assert (np.diff(after.candidates.scores) <= 0).all()


def test_a_tomogram_without_particles_gets_next_to_no_picks(features, first, cache):
    """Another microscope image of the same ice, with one particle in it."""
    empty, _ = simulated("empty", 9, 1)
    bare = api.features(empty, DIAMETER, cache=cache, device="cpu")
    picked = api.instant([features, bare], some(first[1], *range(10))).picked["empty"]
    assert len(picked.picks) <= 3
    assert picked.count.low <= 1


def test_clicks_of_two_tomograms_count_together(features, others, first, second):
    both = Picks.concatenate([some(first[1], 0), some(second[1], 0)])
    found = api.instant([features, others], both)
    for name in ("TS_1", "TS_2"):
        alone = api.instant([features, others], some(first[1], 0)).score_volume(name)
        assert not np.allclose(found.score_volume(name), alone)
        assert found.picked[name].count.low >= 1


def test_what_does_not_fit_together_is_refused(features, others, first):
    with pytest.raises(UsageError, match="there are no features of TS_1"):
        api.instant(others, some(first[1], 0))
    with pytest.raises(UsageError, match="Å from the click"):
        api.instant(features, some(first[1], 0), some(first[1], 0))
    with pytest.raises(UsageError, match="no click lies"):
        api.instant(features, Picks.of("TS_1", np.empty((0, 3))))
    with pytest.raises(UsageError, match="there are no features of TS_7"):
        api.instant(features, some(first[1], 0)).score_volume("TS_7")


@pytest.mark.parametrize("clicks", [1, 8])
def test_suggestions_are_uncertain_apart_and_new(features, first, clicks):
    given = some(first[1], *range(clicks))
    found = api.suggest(features, given, count=6)
    assert len(found) == 6
    places = np.array([each.position for each in found])
    distances = np.linalg.norm(places[:, None] - np.concatenate([places, given.positions])[None], axis=2)
    assert distances[distances > 0].min() > DIAMETER / 2
    assert all(each.tomogram == "TS_1" and each.reason and 0 < each.probability < 1 for each in found)
    doubt = [each.probability * (1 - each.probability) for each in found]
    everything = api.instant(features, given).picked["TS_1"].candidates.scores
    assert max(doubt) > 0.8 * np.max(everything * (1 - everything))
    again = suggest_from(api.instant(features, given), count=6)
    assert again == found, "the same from picks that are there already"


def test_answers_to_suggestions_help(features, others, first, second):
    """Five yes/no answers make more of one click, in the tomogram that was not clicked in."""
    clicks, rejected = some(first[1], 3), Picks.of("TS_1", np.empty((0, 3)))
    before = api.instant([features, others], clicks).picked["TS_2"]
    for each in api.suggest(features, clicks, count=5):
        place = Picks.of("TS_1", np.array([each.position]))
        is_particle = np.linalg.norm(first[1].positions - place.positions, axis=1).min() < TOLERANCE
        if is_particle:
            clicks = Picks.concatenate([clicks, place])
        else:
            rejected = Picks.concatenate([rejected, place])
    after = api.instant([features, others], clicks, rejected).picked["TS_2"]
    assert f1(after.picks, second[1]) >= f1(before.picks, second[1])


def test_without_a_click_kinds_of_object_are_shown(features, first):
    found = api.suggest(features, None, count=5)
    assert len(found) == 5
    assert all(np.isnan(each.probability) and "kind of object" in each.reason for each in found)
    nearest = [np.linalg.norm(first[1].positions - np.array(each.position), axis=1).min() for each in found]
    assert min(nearest) < TOLERANCE, "one of them is the particle that abounds"
