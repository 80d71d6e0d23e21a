"""Kinds of particle: a column that survives reading and writing, and what else may state them."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tomopicker.geometry import Frame
from tomopicker.io import read_picks, write_picks
from tomopicker.io.classes import with_kinds
from tomopicker.picks import Picks

FRAMES = {"TS_1": Frame((40, 64, 48), 10.0), "TS_2": Frame((40, 64, 48), 10.0)}


@pytest.fixture
def picks():
    rng = np.random.default_rng(0)
    parts = [Picks.of(name, rng.uniform(20, 380, (3, 3)), rng.uniform(0, 1, 3)) for name in FRAMES]
    return Picks.concatenate(parts).with_kind(
        np.array(["ribosome", "26S", "80", "26S", "ribosome", "ribosome"], object)
    )


def test_kinds_of_picks(picks):
    assert picks.kind_names == ["ribosome", "26S", "80"]
    assert picks.in_tomogram("TS_2").kinds.tolist() == ["26S", "ribosome", "ribosome"]
    assert len(picks.of_kind("ribosome")) == 3
    without = Picks(picks.positions, picks.tomograms, picks.scores)
    assert without.kind_names == [] and set(without.kinds) == {""}
    both = Picks.concatenate([without, picks.of_kind("80")])
    assert both.kinds.tolist() == [""] * 6 + ["80"], "a missing kind is none"
    assert without.with_kind("a").kind_names == ["a"]
    assert "kind" not in without.extra


@pytest.mark.parametrize("form", ["csv", "relion5", "relion4", "relion3", "warp"])
def test_kinds_survive_a_file(picks, tmp_path, form):
    path = tmp_path / ("a.csv" if form == "csv" else "a.star")
    write_picks(picks, FRAMES, path, form)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Kinds are no mixture of classes.
        warnings.filterwarnings("ignore", message=".*pixel")
        back = read_picks(path, FRAMES)
    assert back.kinds.tolist() == picks.kinds.tolist()
    np.testing.assert_allclose(back.positions, picks.positions, atol=0.01)


@pytest.mark.parametrize("column", ["Kind", "particle_type", "class"])
def test_columns_of_classes_are_kinds(picks, column):
    named = Picks(picks.positions, picks.tomograms, picks.scores, pd.DataFrame({column: picks.kinds}))
    assert with_kinds(named).kinds.tolist() == picks.kinds.tolist()


def test_class_numbers_are_kinds_if_asked_and_a_name_wins(picks):
    numbers = pd.DataFrame({"rlnClassNumber": [1, 2, 3, 2, 1, 1]})
    named = Picks(picks.positions, picks.tomograms, picks.scores, numbers)
    assert with_kinds(named).kind_names == []
    assert with_kinds(named, class_numbers=True).kind_names == ["1", "2", "3"]
    assert with_kinds(named.with_kind("a"), class_numbers=True).kind_names == ["a"]
