import inspect
import itertools
import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from tomopicker.errors import TomoPickerError
from tomopicker.evaluation.matching import match, precision_recall_f1
from tomopicker.evaluation.metrics import average_precision, evaluate, mean_evaluation

NOTHING = np.empty((0, 3))


def on_a_line(*x):
    return np.array([[value, 0.0, 0.0] for value in x]).reshape(-1, 3)


# Whole numbers in a small box: many ties, many pairs at exactly the tolerance.
POINTS = st.lists(st.tuples(*[st.integers(0, 6)] * 3), max_size=9).map(
    lambda rows: np.array(rows, float).reshape(-1, 3)
)
SCORED = st.lists(st.tuples(*[st.integers(0, 6)] * 3, st.integers(0, 5)), max_size=9).map(
    lambda rows: np.array(rows, float).reshape(-1, 4)
)
TOLERANCES = st.sampled_from([0, 1, 1.5, 2, 3])
METHODS = st.sampled_from(["one-to-one", "paper"])


def distance_table(picks, truth):
    return np.linalg.norm(picks[:, None] - truth[None], axis=-1)


def counts(matched):
    return matched.tp, matched.fp, matched.fn


def test_matching_is_maximum_where_the_nearest_first_is_not():
    # The nearest pair, 4 and 5, would leave 0 and 9 without a partner.
    picks, truth = on_a_line(4, 9.5), on_a_line(0, 5)
    matched = match(picks, truth, 4.5)
    assert counts(matched) == (2, 0, 0)
    assert matched.truth_indices.tolist() == [0, 1]
    np.testing.assert_allclose(matched.distances, [4, 4.5])


def test_paper_matching_counts_picks():
    # Three picks on one particle, one pick nowhere, one pick between two particles, one particle missed.
    picks, truth = on_a_line(0, 1, -1, 30, 54), on_a_line(0, 50, 58, 90)
    matched = match(picks, truth, 5, method="paper")
    assert counts(matched) == (4, 1, 1)
    assert matched.pick_indices.tolist() == [0, 1, 2, 4]
    assert matched.truth_indices.tolist() == [0, 0, 0, 1]
    assert matched.distances.tolist() == [0, 1, 1, 4]
    assert counts(match(picks, truth, 5)) == (2, 3, 2)
    judged = evaluate(picks, None, truth, 5, "paper")
    assert (judged.precision, judged.recall) == (4 / 5, 4 / 5)
    assert judged.f1 == pytest.approx(4 / 5)


def test_the_tolerance_is_included_and_three_dimensional():
    truth = np.array([[2.0, 3.0, 6.0]])
    origin = np.zeros((1, 3))
    assert match(origin, truth, 7).tp == 1
    assert match(origin, truth, np.nextafter(7, 0)).tp == 0
    assert match(truth, truth, 0).tp == 1


@settings(deadline=None)
@given(POINTS, POINTS, TOLERANCES)
def test_one_to_one_is_maximum_and_shortest(picks, truth, tolerance):
    matched = match(picks, truth, tolerance)
    table = distance_table(picks, truth)
    allowed = table <= tolerance
    if allowed.size:
        assert matched.tp == (maximum_bipartite_matching(csr_array(allowed), perm_type="column") >= 0).sum()
    assert len(set(matched.pick_indices.tolist())) == len(set(matched.truth_indices.tolist())) == matched.tp
    np.testing.assert_allclose(matched.distances, table[matched.pick_indices, matched.truth_indices])
    assert (matched.distances <= tolerance).all()
    assert matched.tp + matched.fp == len(picks)
    assert matched.tp + matched.fn == len(truth)


@settings(deadline=None, max_examples=60)
@given(POINTS.filter(lambda p: len(p) <= 5), POINTS.filter(lambda p: len(p) <= 5), TOLERANCES)
def test_no_other_maximum_matching_is_shorter(picks, truth, tolerance):
    matched = match(picks, truth, tolerance)
    table = distance_table(picks, truth)
    best = min(
        table[list(chosen), list(partners)].sum()
        for chosen in itertools.combinations(range(len(picks)), matched.tp)
        for partners in itertools.permutations(range(len(truth)), matched.tp)
        if (table[list(chosen), list(partners)] <= tolerance).all()
    )
    assert matched.distances.sum() == pytest.approx(best)


@settings(deadline=None)
@given(POINTS, POINTS, TOLERANCES)
def test_swapping_picks_and_truth_swaps_the_errors(picks, truth, tolerance):
    there, back = match(picks, truth, tolerance), match(truth, picks, tolerance)
    assert counts(there) == (back.tp, back.fn, back.fp)
    assert there.distances.sum() == pytest.approx(back.distances.sum())


@settings(deadline=None)
@given(POINTS, POINTS, METHODS)
def test_a_wider_tolerance_never_matches_less(picks, truth, method):
    found = [match(picks, truth, tolerance, method=method) for tolerance in (0, 1, 1.5, 2, 4, 20)]
    assert all(a.tp <= b.tp and a.fn >= b.fn for a, b in itertools.pairwise(found))


@settings(deadline=None)
@given(SCORED, POINTS, TOLERANCES, METHODS, st.randoms(use_true_random=False))
def test_the_order_of_picks_and_truth_does_not_matter(scored, truth, tolerance, method, random):
    once = evaluate(scored[:, :3].copy(), scored[:, 3], truth, tolerance, method)
    shuffled = scored[random.sample(range(len(scored)), len(scored))].reshape(-1, 4)
    other_truth = truth[random.sample(range(len(truth)), len(truth))].reshape(-1, 3)
    again = evaluate(shuffled[:, :3].copy(), shuffled[:, 3], other_truth, tolerance, method)
    # Equal distances leave a choice of partners: the sum is fixed, the median and greedy pairs are not.
    free = {"position_error_median", "average_precision"}
    for name, value in once.to_dict().items():
        if name not in free:
            assert again.to_dict()[name] == pytest.approx(value), name


def test_equal_scores_do_not_depend_on_the_order_of_picks():
    rng = np.random.default_rng(4)
    truth = rng.uniform(0, 30, (40, 3))
    picks = rng.uniform(0, 30, (60, 3))
    scores = rng.integers(0, 4, 60).astype(float)
    shuffle, other = rng.permutation(60), rng.permutation(40)
    once = evaluate(picks, scores, truth, 6)
    assert evaluate(picks[shuffle], scores[shuffle], truth[other], 6) == once
    assert 0 < once.average_precision < 1


@settings(deadline=None)
@given(SCORED, POINTS, TOLERANCES, METHODS)
def test_oracles_are_those_of_matching_again_at_every_cut_off(scored, truth, tolerance, method):
    picks, scores = scored[:, :3].copy(), scored[:, 3].copy()
    judged = evaluate(picks, scores, truth, tolerance, method)

    def f1_of(keep):
        return precision_recall_f1(*counts(match(picks[keep], truth, tolerance, method=method)))[2]

    if len(picks):
        assert judged.best_f1 == pytest.approx(max(f1_of(scores >= cut) for cut in scores))
    if judged.best_f1_threshold is not None:
        assert f1_of(scores > judged.best_f1_threshold) == pytest.approx(judged.best_f1)
    else:
        assert len(picks) == 0 or judged.best_f1 == 0
    best_first = np.lexsort((picks[:, 2], picks[:, 1], picks[:, 0], -scores))[: len(truth)]
    assert judged.f1_at_truth_count == pytest.approx(f1_of(best_first))


def test_oracles_by_hand():
    # Down the ranking: right, wrong, right, a second pick on a particle that is taken, wrong. One particle is missed.
    picks = on_a_line(0, 30, 50, 51, 70)
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5], dtype=np.float32)
    truth = on_a_line(1, 50, 100)
    judged = evaluate(picks, scores, truth, 2)
    assert (judged.tp, judged.fp, judged.fn) == (2, 3, 1)
    assert (judged.precision, judged.recall) == (pytest.approx(2 / 5), pytest.approx(2 / 3))
    assert judged.f1 == pytest.approx(4 / 8)
    assert judged.f1_at_truth_count == pytest.approx(2 * 2 / (3 + 3))
    assert judged.best_f1 == pytest.approx(2 / 3)
    assert judged.best_f1_threshold == pytest.approx(0.6)
    assert judged.average_precision == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert judged.position_error_mean == pytest.approx(0.5)
    assert judged.position_error_median == pytest.approx(0.5)
    assert (judged.picks, judged.truth) == (5, 3)
    json.dumps(judged.to_dict(), allow_nan=False)


def test_a_pick_that_finds_nothing_does_not_bar_others_from_trading():
    # The third pick fails for good; the fourth fits in only if the first then moves on from the particle at 1 to 5.
    judged = evaluate(on_a_line(2, 50, 51, -1), np.array([4.0, 3.0, 2.0, 1.0]), on_a_line(1, 5, 50), 3)
    assert judged.best_f1 == pytest.approx(2 * 3 / (4 + 3))


def test_average_precision_takes_the_nearest_free_particle_and_counts_ties_together():
    truth = on_a_line(0, 3)
    # The best pick takes 3 (nearer), the second is then too far from 0.
    assert average_precision(on_a_line(2, 4), np.array([2.0, 1.0]), truth, 2) == pytest.approx(0.5)
    # Right and wrong at one score: precision 1/2 when recall goes to 1/2; then 2/3 at recall 1.
    picks = on_a_line(0, 50, 3)
    assert average_precision(picks, np.array([1.0, 1.0, 0.5]), truth, 1) == pytest.approx(1 / 2 * 1 / 2 + 1 / 2 * 2 / 3)
    assert average_precision(picks, np.array([1.0, 0.2, 0.5]), truth, 1) == pytest.approx(1)


@pytest.mark.parametrize("method", ["one-to-one", "paper"])
@pytest.mark.filterwarnings("error")
def test_without_picks_or_truth(method):
    some = on_a_line(1, 2)
    one = np.array([0.5, 0.4])
    none = evaluate(NOTHING, np.empty(0), some, 10, method)
    assert (none.tp, none.fp, none.fn, none.precision, none.recall, none.f1) == (0, 0, 2, 0, 0, 0)
    assert (none.f1_at_truth_count, none.best_f1, none.best_f1_threshold, none.average_precision) == (0, 0, None, 0)
    wrong = evaluate(some, one, NOTHING, 10, method)
    assert (wrong.tp, wrong.fp, wrong.fn, wrong.precision, wrong.recall, wrong.f1) == (0, 2, 0, 0, 0, 0)
    # The best 0 picks are right about nothing being there; a cut-off keeps at least one.
    assert (wrong.f1_at_truth_count, wrong.best_f1, wrong.best_f1_threshold, wrong.average_precision) == (1, 0, None, 0)
    right = evaluate(NOTHING, np.empty(0), NOTHING, 10, method)
    assert (right.tp, right.fp, right.fn, right.precision, right.recall, right.f1) == (0, 0, 0, 1, 1, 1)
    assert (right.f1_at_truth_count, right.best_f1, right.best_f1_threshold, right.average_precision) == (1, 1, None, 1)
    far = evaluate(some, one, on_a_line(90), 10, method)
    assert (far.best_f1, far.best_f1_threshold, far.average_precision) == (0, None, 0)
    for judged in (none, wrong, right, far):
        assert judged.position_error_mean is None
        assert judged.position_error_median is None
        json.dumps(judged.to_dict(), allow_nan=False)


@pytest.mark.parametrize("scores", [None, np.array([0.3, np.nan])])
def test_without_scores_there_is_no_ranking(scores):
    judged = evaluate(on_a_line(0, 9), scores, on_a_line(0), 2)
    assert (judged.tp, judged.fp, judged.fn) == (1, 1, 0)
    assert judged.f1_at_truth_count is judged.best_f1 is judged.best_f1_threshold is judged.average_precision is None


def test_best_threshold_keeps_all_picks_when_all_are_right():
    scores = np.array([0.25, 0.5], dtype=np.float32)
    judged = evaluate(on_a_line(0, 50), scores, on_a_line(0, 50), 2)
    assert judged.best_f1 == 1
    assert (scores > np.float32(judged.best_f1_threshold)).all()


def test_thousands_of_picks_take_no_time():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 400, (6000, 3))
    near = truth[:4000] + rng.normal(0, 4, (4000, 3))
    picks = np.concatenate([near, rng.uniform(0, 400, (4000, 3))])
    start = time.process_time()
    judged = evaluate(picks, rng.random(len(picks)), truth, 10)
    # A second or so under the tests' type checks; minutes if each cut-off were matched anew.
    assert time.process_time() - start < 6
    assert judged.tp >= 3900


def test_the_mean_is_plain_over_tomograms():
    first = evaluate(on_a_line(0, 50), np.array([0.9, 0.1]), on_a_line(1), 2)
    second = evaluate(on_a_line(0), np.array([0.9]), on_a_line(0, 50, 60, 70), 2)
    missed = evaluate(NOTHING, np.empty(0), on_a_line(0), 2)
    mean = mean_evaluation({"a": first, "b": second, "c": missed})
    assert (mean.tp, mean.fp, mean.fn, mean.picks, mean.truth, mean.tomograms) == (2, 1, 4, 3, 6, 3)
    assert mean.precision == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert mean.recall == pytest.approx((1 + 1 / 4 + 0) / 3)
    assert mean.f1 == pytest.approx((2 / 3 + 2 / 5 + 0) / 3)
    assert mean.best_f1 == pytest.approx((1 + 2 / 5 + 0) / 3)
    assert mean.average_precision == pytest.approx((1 + 1 / 4 + 0) / 3)
    assert mean.position_error_mean == pytest.approx((1 + 0) / 2)
    assert mean.best_f1_threshold is None
    unscored = evaluate(on_a_line(0), None, on_a_line(0), 2)
    assert mean_evaluation({"a": first, "d": unscored}).average_precision is None
    assert mean_evaluation({"c": missed}).position_error_median is None
    json.dumps(mean.to_dict(), allow_nan=False)


def test_what_cannot_be_averaged():
    with pytest.raises(TomoPickerError, match="no evaluation"):
        mean_evaluation({})
    one = evaluate(on_a_line(0), None, on_a_line(0), 2)
    for other in (
        evaluate(on_a_line(0), None, on_a_line(0), 3),
        evaluate(on_a_line(0), None, on_a_line(0), 2, "paper"),
    ):
        with pytest.raises(TomoPickerError, match="TS_2"):
            mean_evaluation({"TS_1": one, "TS_2": other})


def test_bad_input_is_one_clear_line():
    good, broken = on_a_line(0, 1), on_a_line(0, float("nan"))
    with pytest.raises(TomoPickerError, match="row 1 of the picks"):
        match(broken, good, 2)
    with pytest.raises(TomoPickerError, match="row 1 of the truth"):
        match(good, broken, 2)
    with pytest.raises(TomoPickerError, match="tolerance"):
        match(good, good, -1)
    # Without the tests' type checks, as a user meets them.
    with pytest.raises(TomoPickerError, match="3 scores"):
        inspect.unwrap(evaluate)(good, np.zeros(3), good, 2)
