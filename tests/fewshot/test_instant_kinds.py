"""Several kinds from a few clicks: each as it would be by itself with the others' clicks rejected, no place twice."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.fewshot.conftest import DIAMETER, VOXEL
from tests.fewshot.test_instant import f1
from tomopicker import api
from tomopicker.errors import UsageError
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import NullCallback
from tomopicker.pipeline.pick import group_by_features
from tomopicker.simulation.tomogram import simulate_tomogram
from tomopicker.tomogram import Tomogram

DIAMETERS = {"ribosome": DIAMETER, "fas": 270.0}


@pytest.fixture(scope="module")
def halves():
    """A tomogram of ribosomes and one of fatty-acid synthase, with their truth."""
    found = {}
    for number, (kind, target) in enumerate({"ribosome": "ribosome", "fas": "fatty_acid_synthase"}.items()):
        made = simulate_tomogram("easy", (56, 144, 120), VOXEL, 40 + number, n_targets=18, target=target)
        name = f"half_{number}"
        truth = Picks.of(name, made.targets.positions * VOXEL).with_kind(kind)
        found[kind] = Tomogram(name, made.volume, VOXEL), truth
    return found


@pytest.fixture(scope="module")
def both(halves):
    """One beside the other in one tomogram, along x."""
    (one, ribosomes), (other, synthases) = halves.values()
    along = np.array([one.shape[2] * VOXEL, 0, 0])
    parts = [("ribosome", ribosomes.positions), ("fas", synthases.positions + along)]
    truth = Picks.concatenate(Picks.of("TS_1", places).with_kind(kind) for kind, places in parts)
    return Tomogram("TS_1", np.concatenate([one.data, other.data], axis=2), VOXEL), truth


@pytest.fixture(scope="module")
def features(both, tmp_path_factory):
    return api.features(both[0], DIAMETER, cache=tmp_path_factory.mktemp("cache"), device="cpu")


@pytest.fixture(scope="module")
def clicks(both):
    return Picks.concatenate(both[1].of_kind(kind).select(np.arange(6)) for kind in DIAMETERS)


@pytest.fixture(scope="module")
def found(features, clicks):
    return api.instant(features, clicks, particle_diameters=DIAMETERS)


def test_both_kinds_are_found(found, both):
    for kind in DIAMETERS:
        assert f1(found.kinds[kind].picked["TS_1"].picks, both[1].of_kind(kind)) > 0.7
    together = found.picked["TS_1"]
    assert together.picks.kind_names and set(together.picks.kind_names) == set(DIAMETERS)
    assert (np.diff(together.picks.scores) <= 0).all()
    assert len(together.picks) == sum(len(each.picks) for each in together.kinds.values())
    assert together.count.estimate == pytest.approx(sum(each.count.estimate for each in together.kinds.values()))
    assert together.threshold == min(each.threshold for each in together.kinds.values())


def test_no_place_is_of_two_kinds_and_clicks_are_of_their_own(found, clicks):
    candidates = found.picked["TS_1"].candidates
    away = np.linalg.norm(candidates.positions[:, None] - candidates.positions[None], axis=2)
    assert away[candidates.kinds[:, None] != candidates.kinds[None]].min() >= 135
    for kind, place in zip(clicks.kinds, clicks.positions, strict=True):
        nearest = np.linalg.norm(candidates.positions - place, axis=1).argmin()
        assert candidates.kinds[nearest] == kind
        assert candidates.scores[nearest] == 1


def test_each_is_what_it_is_alone_with_the_others_rejected(found, features, clicks):
    """But for the places that it loses to the other kind."""
    for kind, diameter in DIAMETERS.items():
        others = clicks.select(clicks.kinds != kind)
        alone = api.instant(features.of_diameter(diameter), clicks.of_kind(kind), others)
        np.testing.assert_array_equal(found.kinds[kind].score_volume("TS_1"), alone.score_volume("TS_1"))
        mine, before = found.kinds[kind].picked["TS_1"], alone.picked["TS_1"]
        rows = [
            np.flatnonzero((before.candidates.positions == place).all(axis=1)) for place in mine.candidates.positions
        ]
        assert all(len(row) == 1 for row in rows)
        np.testing.assert_array_equal(mine.candidates.scores, before.candidates.scores[np.concatenate(rows)])
        lost = before.candidates.scores.sum() - mine.candidates.scores.sum()
        assert mine.count.estimate == pytest.approx(max(before.count.estimate - lost, 6.0))


def test_a_single_kind_gives_what_it_gave_before(features, clicks):
    one = clicks.of_kind("ribosome")
    plain = Picks(one.positions, one.tomograms, one.scores)
    before, named = api.instant(features, plain), api.instant(features, one, particle_diameters={"ribosome": DIAMETER})
    assert not named.kinds
    for part in ("picks", "candidates"):
        first, second = (getattr(each.picked["TS_1"], part) for each in (before, named))
        np.testing.assert_array_equal(first.positions, second.positions)
        np.testing.assert_array_equal(first.scores, second.scores)
    assert before.picked["TS_1"].count == named.picked["TS_1"].count


def test_a_rejected_pick_that_names_a_kind_warns_of_nothing_of_the_other(features, clicks, found, both):
    place = Picks.of("TS_1", both[1].of_kind("fas").positions[10:11])
    named = api.instant(features, clicks, place.with_kind("ribosome"), particle_diameters=DIAMETERS)
    volumes = [each.kinds["fas"].score_volume("TS_1") for each in (named, found)]
    np.testing.assert_array_equal(*volumes)
    assert not np.array_equal(*[each.kinds["ribosome"].score_volume("TS_1") for each in (named, found)])
    unnamed = api.instant(features, clicks, place, particle_diameters=DIAMETERS)
    assert not np.array_equal(unnamed.kinds["fas"].score_volume("TS_1"), volumes[0])


def test_what_cannot_be_is_refused(features, clicks, both, found):
    with pytest.raises(UsageError, match="one particle is of one kind"):
        again = clicks.of_kind("ribosome").select(np.array([0])).with_kind("fas")
        api.instant(features, Picks.concatenate([clicks, again]))
    with pytest.raises(UsageError, match="1 click of 13 state no kind"):
        api.instant(features, Picks.concatenate([clicks, Picks.of("TS_1", both[1].positions[10:11])]))
    with pytest.raises(UsageError, match="p97=90: is of no kind clicked"):
        api.instant(features, clicks, particle_diameters={"p97": 90.0})
    with pytest.raises(UsageError, match="cannot name a kind"):
        api.instant(features, Picks.concatenate([clicks, clicks.of_kind("fas").with_kind("a/b")]))
    with pytest.raises(UsageError, match="take those of ribosome or fas"):
        found.score_volume("TS_1")


@pytest.fixture(scope="module")
def model(both, clicks):
    settings = api.settings(DIAMETER, "instant")
    return api.train([both[0]], clicks, settings, particle_diameters={"fas": 270.0}, device="cpu")


def test_a_model_of_both_picks_as_the_features_do(model, both, found):
    assert list(model.kinds) == ["ribosome", "fas"]
    assert [each.settings.particle_diameter for each in model.kinds.values()] == [DIAMETER, 270.0]
    picked = api.pick(both[0], model, device="cpu")
    assert list(picked.kinds) == ["ribosome", "fas"]
    for kind in DIAMETERS:
        assert f1(picked.kinds[kind].picks, both[1].of_kind(kind)) > 0.7
        there, here = found.kinds[kind].score_volume("TS_1"), picked.kinds[kind].logits
        inside = picked.working.mask
        assert np.corrcoef(there[inside], here[inside])[0, 1] > 0.99


def test_its_file_holds_all_kinds_and_shared_weights_once(model, tmp_path):
    api.save_model(tmp_path / "both.model", model)
    api.save_model(tmp_path / "one.model", replace(model, others=()))
    assert (tmp_path / "both.model").stat().st_size < 1.1 * (tmp_path / "one.model").stat().st_size
    back = api.load_model(tmp_path / "both.model")
    assert not api.load_model(tmp_path / "one.model").others
    for kind, each in model.kinds.items():
        again = back.kinds[kind]
        for name, tensor in each.network.state_dict().items():
            torch.testing.assert_close(again.network.state_dict()[name], tensor, rtol=0, atol=0)
        assert again.settings == each.settings
        assert again.particle_scores.mean == each.particle_scores.mean
        np.testing.assert_array_equal(again.particle_scores.rejected, each.particle_scores.rejected)
    assert not torch.equal(back.network.clicks, back.others[0].network.clicks)


def test_suggestions_take_turns(features, clicks):
    found = api.suggest(features, clicks, count=6, particle_diameters=DIAMETERS)
    assert len(found) == 6
    assert [each.reason.partition(":")[0] for each in found[:2]] == ["ribosome", "fas"]
    places = np.array([each.position for each in found])
    away = np.linalg.norm(places[:, None] - np.concatenate([places, clicks.positions])[None], axis=2)
    assert away[away > 0].min() >= 135


def test_clicks_of_another_kind_count_in_a_tomogram_of_their_own(halves):
    """A model knows the other kind from a tomogram in which nothing else was clicked."""
    tomograms, truth = zip(*halves.values(), strict=True)
    given = Picks.concatenate(each.select(np.arange(6)) for each in truth)
    settings = api.settings(DIAMETER, "instant")
    model = api.train(list(tomograms), given, settings, particle_diameters={"fas": 270.0}, device="cpu")
    ribosome, fas = (each.network for each in model.kinds.values())
    np.testing.assert_array_equal(ribosome.rejected[:6], fas.clicks[:6])
    np.testing.assert_array_equal(fas.rejected[:6], ribosome.clicks[:6])


def test_a_model_of_both_scores_the_features_once(model, both):
    """As many tiles as one kind has, and the picks of each are those of its own model, less what the other claims."""
    tiles: dict[str, set[int]] = {}

    class Counting(NullCallback):
        def on_score(self, tomogram, done, total):
            tiles.setdefault(tomogram, set()).add(done)

    together = api.pick(both[0], model, device="cpu", callback=Counting())
    done = tiles.pop("TS_1")
    assert not tiles
    for kind, own in model.kinds.items():
        alone = api.pick(both[0], own, device="cpu", callback=Counting())
        assert tiles.pop("TS_1") == done
        np.testing.assert_allclose(together.kinds[kind].logits, alone.logits, atol=1e-4)
        places = {tuple(place) for place in alone.candidates.positions.round(1)}
        mine = {tuple(place) for place in together.kinds[kind].candidates.positions.round(1)}
        assert mine and len(mine - places) <= 0.02 * len(mine)


def test_only_discriminants_of_one_network_share_a_pass(model):
    first, second = model.kinds.values()
    coarser = replace(second, voxel_size=2 * second.voxel_size)
    other = replace(second, network=deepcopy(second.network))
    next(other.network.body.parameters()).data.add_(1.0)
    trained = replace(second, network=second.network.body)
    for unlike in (coarser, other, trained):
        assert [list(group) for group in group_by_features({"a": first, "b": unlike, "c": second})] == [
            ["a", "c"],
            ["b"],
        ]
