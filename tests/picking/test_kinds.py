"""One place, one kind: against a literal search; and the confusion table against counts by hand."""

import numpy as np
import pytest

from tomopicker.evaluation.confusion import MISSED, NOTHING, confusion
from tomopicker.evaluation.matching import match
from tomopicker.picking.peaks import suppress_across_kinds


def literal(positions, probability, kinds, diameters):
    keeps = [True] * len(positions)
    for first in sorted(range(len(positions)), key=lambda row: -probability[row]):
        for second in range(len(positions)):
            near = np.linalg.norm(positions[first] - positions[second])
            if (
                keeps[first]
                and kinds[first] != kinds[second]
                and near < min(diameters[kinds[first]], diameters[kinds[second]]) / 2
            ):
                keeps[second] = False
    return np.array(keeps, dtype=bool)


@pytest.mark.parametrize("seed", range(6))
def test_against_a_literal_search(seed):
    rng = np.random.default_rng(seed)
    positions, probability = rng.uniform(0, 900, (120, 3)), rng.permutation(120) / 120
    kinds, diameters = rng.integers(0, 3, 120), np.array([300.0, 200.0, 420.0])
    keeps = suppress_across_kinds(positions, probability, kinds, diameters)
    np.testing.assert_array_equal(keeps, literal(positions, probability, kinds, diameters))
    assert 0 < keeps.sum() < 120


@pytest.mark.parametrize(("apart", "kept"), [(49, [True, False]), (50, [True, True])])
def test_half_the_smaller_diameter_decides(apart, kept):
    positions = np.array([[0.0, 0, 0], [apart, 0, 0]])
    for order in ([0, 1], [1, 0]):
        found = suppress_across_kinds(positions, np.array([0.9, 0.8]), np.array(order), np.array([300.0, 100.0]))
        np.testing.assert_array_equal(found, kept)


def test_one_kind_does_not_compete_with_itself_and_a_loser_takes_nothing_out():
    line = np.array([[0.0, 0, 0], [40.0, 0, 0], [80.0, 0, 0], [81.0, 0, 0]])
    chances, kinds = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 1, 0, 0])
    np.testing.assert_array_equal(
        suppress_across_kinds(line, chances, kinds, np.array([100.0, 100.0])), [True, False, True, True]
    )
    assert suppress_across_kinds(
        np.empty((0, 3)), np.empty(0), np.empty(0, dtype=np.int64), np.array([1.0, 1.0])
    ).shape == (0,)


def test_a_confusion_table_by_hand():
    at = {name: np.array([[100.0 * number, 0, 0]]) for number, name in enumerate("abcdef")}
    truth = {
        "ribosome": np.concatenate([at["a"], at["b"], at["c"]]),
        "fas": np.concatenate([at["d"], at["e"]]),
        "26S": at["f"],
    }
    picks = {
        "ribosome": np.concatenate([at["a"] + 3, at["d"], at["f"]]),
        "fas": np.concatenate([at["b"], at["e"] + 60]),
    }
    table = confusion(picks, truth, 10.0)
    assert table.truth == ("ribosome", "fas", "26S", NOTHING)
    assert table.picked == ("ribosome", "fas", MISSED)
    np.testing.assert_array_equal(table.counts, [[1, 1, 1], [1, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert table.to_dict()["26S"] == {"ribosome": 1, "fas": 0, MISSED: 0}
    np.testing.assert_array_equal((table + table).counts, 2 * table.counts)


def test_its_diagonal_holds_the_true_positives_of_each_kind():
    rng = np.random.default_rng(4)
    truth = {kind: rng.uniform(0, 500, (40, 3)) for kind in ("a", "b")}
    picks = {kind: np.concatenate([at[:30] + rng.normal(0, 20, (30, 3)), truth["a"][:5]]) for kind, at in truth.items()}
    table = confusion(picks, truth, 60.0)
    assert [table.counts[row, row] for row in (0, 1)] == [
        match(picks[kind], truth[kind], 60.0).tp for kind in ("a", "b")
    ]
    np.testing.assert_array_equal(table.counts[:2].sum(axis=1), [40, 40])
    np.testing.assert_array_equal(table.counts[:, :2].sum(axis=0), [35, 35])
