"""A tomogram's peaks as particles among the rest: known mixtures, hand-worked densities, and what may not happen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import gennorm, norm

from tomopicker.picking import fit_mixture as fitting
from tomopicker.picking.expected_scores import ACROSS_TOMOGRAMS, across_clicks, beside, elsewhere, positives_of
from tomopicker.picking.fit_mixture import fit_mixture, lowest
from tomopicker.picking.mixture import Mixture, _log_particle, _log_rest, sobered
from tomopicker.picking.noise_in import NoiseIn, tells_from_noise
from tomopicker.pu.noise import Noise
from tomopicker.pu.positives import Positives

CLICKED = Positives(8.0, 1.5)


def peaks(particles, others, seed, mean=8.0, sd=1.5):
    """Scores of so many particles among so many others, whose hill ends about 6."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(mean, sd, particles), gennorm.rvs(3, -1, 5, others, random_state=rng)])


@pytest.mark.parametrize("particles", [30, 80, 200])
def test_a_known_number_is_found_and_its_interval_holds_it(particles):
    held, ratios = 0, []
    for seed in range(10):
        _, count = fit_mixture(peaks(particles, 600, seed), CLICKED)
        held += count.low <= particles <= count.high
        ratios.append(count.estimate / particles)
    assert held >= 8
    assert np.median(ratios) == pytest.approx(1, abs=0.15)


def test_a_tomogram_without_particles_has_next_to_none():
    _, count = fit_mixture(peaks(0, 600, 1), CLICKED)
    assert count.estimate < 12


def test_probabilities_say_how_many_are_right():
    rng = np.random.default_rng(4)
    truth = np.repeat([True, False], [300, 2000])
    scores = np.concatenate([rng.normal(8, 1.5, 300), gennorm.rvs(3, -1, 5, 2000, random_state=rng)])
    mixture, _ = fit_mixture(scores, CLICKED)
    chance = mixture.probability(scores)
    for low, high in [(0.05, 0.5), (0.5, 0.95), (0.95, 1.01)]:
        here = (chance >= low) & (chance < high)
        assert chance[here].mean() == pytest.approx(truth[here].mean(), abs=0.12)


def test_a_tomogram_that_scores_lower_is_followed():
    scores = peaks(100, 600, 2, mean=7.2)
    mixture, count = fit_mixture(scores, CLICKED)
    assert mixture.particles.mean < 7.8
    assert count.estimate == pytest.approx(100, rel=0.2)


def test_a_count_that_is_known_is_held():
    scores = peaks(100, 600, 3)
    mixture, count = fit_mixture(scores, CLICKED, count=60)
    inside = scores > lowest(CLICKED)
    assert mixture.share * inside.sum() == pytest.approx(60)
    assert count.low == count.estimate == count.high


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-30, 30, width=32), max_size=60), st.floats(-2, 12), st.floats(0.3, 4))
def test_any_scores_give_probabilities_that_never_fall_with_the_score(scores, mean, sd):
    mixture, count = fit_mixture(np.array(scores, dtype=float), Positives(mean, sd))
    ladder = mixture.probability(np.linspace(-40, 40, 300))
    assert (np.diff(ladder) >= 0).all()
    assert ((ladder >= 0) & (ladder <= 1)).all()
    assert 0 <= count.low <= count.estimate + 1e-9
    assert count.estimate <= count.high + 1e-9


def test_densities_integrate_to_one_above_the_window():
    low = -1.0
    for middle, scale in [(-3.0, 2.0), (1.0, 4.0)]:
        total, _ = quad(lambda s, m=middle, w=scale: np.exp(_log_rest(np.array([s]), m, w, low)[0]), low, 40)
        assert total == pytest.approx(1, abs=1e-4)
    total, _ = quad(lambda s: np.exp(_log_particle(np.array([s]), CLICKED, low)[0]), low, 40)
    assert total == pytest.approx(1, abs=1e-6)


def test_the_probability_by_hand():
    mixture = Mixture(0.2, Positives(8.0, 1.5), -1.0, 5.0, lowest(CLICKED))
    score = np.array([6.5])
    particle = 0.2 * norm.pdf(6.5, 8, 1.5) / norm.sf(mixture.low, 8, 1.5)
    rest = 0.8 * gennorm.pdf(6.5, 3, -1, 5) / gennorm.sf(mixture.low, 3, -1, 5)
    assert mixture.probability(score)[0] == pytest.approx(particle / (particle + rest), abs=2e-3)


def test_the_best_scores_are_nearly_sure_however_broad_the_rest():
    mixture = Mixture(0.2, Positives(8.0, 1.5), 0.0, 9.0, lowest(CLICKED))
    best = mixture.probability(np.array([8.0, 11.0, 14.0]))
    plain = 0.2 * norm.pdf(11, 8, 1.5) / (0.2 * norm.pdf(11, 8, 1.5) + 0.8 * gennorm.pdf(11, 3, 0, 9))
    assert best[1] > plain + 0.1
    assert (np.diff(best) > 0).all()
    assert best[2] > 0.97


def test_clicks_that_are_over_fitted_are_not_believed():
    expected = positives_of(np.array([10.5, 11.0, 10.0, 10.2, 11.5]))
    counts = [fit_mixture(peaks(100, 600, seed, mean=7.5), expected, None, across_clicks(5))[1] for seed in range(4)]
    assert np.median([count.estimate for count in counts]) == pytest.approx(100, rel=0.25)
    assert all(count.low <= 100 <= count.high for count in counts)


def test_clicks_tell_where_particles_score():
    clicks = np.array([7.0, 8.0, 9.0, float("-inf")])
    found = positives_of(clicks)
    assert found.mean == pytest.approx(8.0 - 8 / 3)
    assert found.sd == pytest.approx(np.sqrt((2 + 5 * 1.5**2) / 8))
    assert positives_of(np.array([float("-inf")])).sd == 1.5


def test_where_particles_of_other_tomograms_score():
    """The geometric mean of 1.3 deviations that were seen and 0.17 of the mean; two tomograms count alike."""
    found = elsewhere([Positives(7.0, 1.0), Positives(9.0, 2.0)], 5)
    assert found.mean == pytest.approx(8.0)
    assert found.sd == pytest.approx((1.3 * 1.5 * 0.17 * 8) ** 0.5)
    assert found.surest == pytest.approx(0.98)
    assert elsewhere([Positives(-1.0, 1.0)], 5).sd > 0.9  # of scores near 0 the mean says nothing


@pytest.mark.parametrize(("seen", "true"), [(3.0, 2.4), (1.2, 2.4)])
def test_a_deviation_that_training_shows_wrongly_is_put_right(seen, true):
    """A network trained for long, whose scores are large: its own tomogram shows them too spread, or too much alike."""
    ratios = [
        fit_mixture(peaks(80, 600, seed, 14.0, true), elsewhere([Positives(14.0, seen)], 20))[1].estimate / 80
        for seed in range(5)
    ]
    assert np.median(ratios) == pytest.approx(1, abs=0.15)


def test_probabilities_are_sobered_by_hand():
    """Odds of 27 to 1 become 9 to 1, even and lower ones stay; then all are taken times the surest."""
    assert sobered(np.array([27 / 28, 0.5, 0.2, 0.0]), 1.0) == pytest.approx([0.9, 0.5, 0.2, 0.0])
    assert sobered(np.array([[1.0, 27 / 28], [0.5, 0.2]]), 0.98).ravel() == pytest.approx([0.98, 0.882, 0.49, 0.196])


@given(st.lists(st.floats(0, 1), min_size=2), st.floats(0.9, 1))
def test_the_order_stays(probability, surest):
    ordered = np.sort(np.array(probability))
    found = sobered(ordered, surest)
    assert (np.diff(found) >= 0).all()
    assert (found <= np.minimum(ordered, surest) + 1e-12).all()


def test_a_narrow_rest_well_below_particles_makes_no_particle_of_what_is_lower_still():
    """Two hills far apart: below the lower one the normal's tail is the heavier, and is not believed."""
    mixture = Mixture(0.4, Positives(14.0, 1.4), 7.0, 0.5, 5.6)
    particle, rest = mixture.log_densities(np.array([5.6, 7.0]))
    assert particle[0] > rest[0] and particle[1] < rest[1]
    assert (mixture.probability(np.array([5.6, 6.0, 6.5, 7.0])) < 1e-3).all()
    assert mixture.probability(np.array([13.0]))[0] > 0.999


def test_the_count_of_hills_far_apart():
    rng = np.random.default_rng(2)
    scores = np.concatenate([rng.normal(14, 1.0, 90), rng.normal(6.6, 0.35, 130), rng.normal(-8, 3, 400)])
    mixture, count = fit_mixture(scores, Positives(14.0, 1.3))
    assert count.estimate == pytest.approx(90, abs=3)
    assert (mixture.probability(scores[90:220]) < 0.1).mean() > 0.95


# Peaks of a simulated tomogram with 88 particles, in bins of half a logit from -5 on, by a network of three rounds.
PEAKS = [
    10, 13, 19, 5, 10, 6, 1, 3, 5, 5, 4, 1, 3, 3, 8, 0, 2, 6, 4, 8, 2, 0, 3, 2, 1, 0, 0, 2, 1, 1, 0, 2,
    2, 1, 1, 1, 2, 1, 3, 7, 8, 4, 3, 7, 5, 4, 3, 1, 4, 5, 2, 0, 5, 4, 2, 2, 2, 2, 0, 2, 1, 0, 1,
]  # fmt: skip


@pytest.mark.parametrize(("mean", "sd"), [(16.09, 3.6), (16.46, 3.8), (16.25, 3.9), (15.8, 3.95), (17.03, 3.15)])
def test_one_broad_hill_of_particles_is_not_where_the_fit_ends(mean, sd):
    """From starts that did not look at the peaks, 215 particles were found in it, all with a probability of 1."""
    scores = np.repeat(-4.75 + 0.5 * np.arange(len(PEAKS)), PEAKS)
    _, count = fit_mixture(scores, Positives(mean, sd))
    assert count.estimate == pytest.approx(88, abs=6)


def test_particles_with_next_to_nothing_else_in_sight_are_all_counted():
    """A network that parts particles (mean 18) from all else (below 4): 32 of them and one other are in sight."""
    expected = Positives(19.3, 2.66)
    scores = np.append(np.random.default_rng(0).normal(18.0, 2.7, 32).clip(12.0), 13.0)
    mixture, count = fit_mixture(scores, expected)
    assert 28 <= count.estimate <= 33
    assert count.low <= 32 <= count.high
    assert (mixture.probability(np.sort(scores))[-28:] > 0.5).all()
    many = np.append(scores, np.random.default_rng(1).normal(0, 4, 400))
    assert abs(fit_mixture(many, expected)[1].estimate - 32) < 4


def none_of(scores):
    return np.zeros(len(scores), dtype=bool)


def one_hill(particles, seed, voxels=1.0, higher=0.0):
    """Scores of particles on the slope of a hill of noise, where no valley parts them, and of noise alone."""
    rng = np.random.default_rng(seed)
    mixed = np.concatenate([rng.normal(8, 2.5, particles), rng.normal(1, 2, 1000)])
    return mixed, NoiseIn(Noise(rng.normal(1 + higher, 2, round(1000 * voxels)), voxels), 1.0)


SLOPE = Positives(7.0, 2.5)


@pytest.mark.parametrize(("voxels", "higher"), [(1.0, 0.0), (0.2, 0.0), (1.0, 1.5)])
def test_noise_tells_which_part_of_one_hill_is_particles(voxels, higher):
    """Also where it scores higher than what it stands for, as with a network that was trained for long."""
    with_noise, without, held = [], [], 0
    for seed in range(3):
        scores, noise = one_hill(80, seed, voxels, higher)
        count = fit_mixture(scores, SLOPE, None, across_clicks(5), noise)[1]
        held += count.low <= 80 <= count.high
        with_noise.append(count.estimate)
        without.append(fit_mixture(scores, SLOPE, None, across_clicks(5))[1].estimate)
    assert np.median(with_noise) == pytest.approx(80, rel=0.25)
    assert held >= 2
    assert np.abs(np.log(np.median(without) / 80)) > np.abs(np.log(np.median(with_noise) / 80)) + 0.2


def test_how_much_higher_noise_scores_is_found_and_carried_to_the_next_tomogram():
    scores, noise = one_hill(80, 5, higher=1.5)
    mixture, _ = fit_mixture(scores, SLOPE, None, across_clicks(20), noise)
    assert mixture.noise_shift == pytest.approx(-1.5, abs=0.4)
    moved = mixture.noise_found
    assert moved.middle == pytest.approx(noise.noise.middle + mixture.noise_shift)
    other, _ = one_hill(60, 6)
    there = elsewhere([mixture.particles], 20)
    again, count = fit_mixture(other, there, noise=NoiseIn(moved, 1.0))
    assert abs(again.noise_shift) < 0.4
    assert count.estimate == pytest.approx(60, rel=0.35)


def test_particles_never_score_below_noise():
    """All of the tomogram's peaks lie below noise, as for particles that nobody could find."""
    rng = np.random.default_rng(0)
    noise = NoiseIn(Noise(rng.normal(2, 0.7, 900), 1.0), 1.0)
    scores = np.concatenate([rng.normal(2, 0.7, 700), rng.normal(0, 1, 300)])
    mixture, count = fit_mixture(scores, Positives(0.6, 1.2), None, across_clicks(5), noise)
    assert mixture.particles.mean > noise.noise.middle + mixture.noise_shift - 0.3
    assert count.estimate < 150


def test_clicked_peaks_are_counted_and_the_mixture_is_that_of_the_others():
    scores = peaks(100, 600, 3)
    clicked = np.arange(len(scores)) < 40
    mixture, count = fit_mixture(scores, CLICKED, None, across_clicks(40), None, clicked)
    other, left = fit_mixture(scores[40:], CLICKED, None, across_clicks(40))
    assert mixture == other
    assert (count.estimate, count.low, count.high) == pytest.approx((40 + left.estimate, 40 + left.low, 40 + left.high))
    assert count.low >= 40
    assert count.estimate == pytest.approx(100, rel=0.15)
    held = fit_mixture(scores, CLICKED, 90.0, across_clicks(40), None, clicked)[1]
    assert held.estimate == pytest.approx(90, rel=0.1)


def test_clicks_that_score_as_noise_does_are_not_argued_away():
    rng = np.random.default_rng(2)
    scores = np.concatenate([rng.normal(3, 1, 50), rng.normal(1, 2, 1000)])
    noise = NoiseIn(Noise(rng.normal(1, 2, 1050), 1.0), 1.0)
    clicked = np.arange(len(scores)) < 50
    expected = positives_of(scores[:50])
    _, without = fit_mixture(scores, expected, None, across_clicks(50), noise)
    _, count = fit_mixture(scores, expected, None, across_clicks(50), noise, clicked, beside(50))
    assert without.estimate < 50 <= count.low
    assert count.estimate < 120


@pytest.mark.parametrize("true", [0, 5, 100, 400])
def test_the_usual_number_is_a_hint_that_clear_scores_overrule(true):
    scores = peaks(true, 600, 1, mean=12.0)
    expected = Positives(12.0, 1.5)
    estimates = [fit_mixture(scores, expected, usual=usual)[1].estimate for usual in (None, 20.0, 100.0)]
    assert estimates == pytest.approx([estimates[0]] * 3, abs=2)
    assert estimates[0] == pytest.approx(true, abs=2 + 0.1 * true)


def test_the_usual_number_helps_where_scores_say_little():
    expected = Positives(5.5, 1.5)
    errors = {usual: [] for usual in (None, 60.0)}
    for seed in range(6):
        scores = peaks(60, 600, seed, mean=5.5)
        for usual, apart in errors.items():
            apart.append(abs(np.log(fit_mixture(scores, expected, usual=usual)[1].estimate / 60)))
    assert np.mean(errors[60.0]) < 0.8 * np.mean(errors[None])


@pytest.mark.parametrize("mean", [6.5, 9.0])
def test_quantiles_of_the_number_are_those_of_the_profile_worked_out_densely(mean):
    """Against each share on a fine grid, fitted from all starts."""
    expected = Positives(mean, 1.5)
    scores = peaks(70, 500, 3, mean=mean)
    scores = scores[scores > lowest(expected)]
    task = fitting._task(scores, expected, ACROSS_TOMOGRAMS)
    best, parameters = fitting._fit(task, None)
    found, middle = fitting._shares(task, best, parameters)
    shares = np.exp(np.linspace(np.log(0.5 / len(scores)), np.log(0.6), 80))
    falls = np.array([fitting._fit(task, float(share))[0] for share in shares])
    weights = np.exp(falls.min() - falls)  # The grid is even in the logarithm, as the prior is.
    dense = np.interp([0.05, 0.5, 0.95], np.cumsum(weights) / weights.sum(), shares)
    shares = 1 / (1 + np.exp(-found))
    assert shares[1:] == pytest.approx(dense[1:], rel=0.1)
    assert shares[0] == pytest.approx(dense[0], rel=0.2)  # A few particles: the grid is coarse there.
    of_middle, _ = fitting._fit(task, float(shares[1]))
    assert fitting._cost(middle, task) == pytest.approx(of_middle, abs=0.02)


def test_the_interval_of_next_to_nothing_is_no_point():
    _, count = fit_mixture(peaks(3, 600, 1), CLICKED)
    assert count.low < 1
    assert 3 < count.high < 60


def test_the_density_goes_with_where_particles_score():
    assert elsewhere([Positives(8.0, 1.0)], 20, 2e-5).density == 2e-5
    assert elsewhere([Positives(8.0, 1.0)], 20).density is None


def test_noise_alone_holds_next_to_no_particles():
    scores, noise = one_hill(0, 3)
    assert fit_mixture(scores, SLOPE, None, across_clicks(5), noise)[1].estimate < 20
    assert fit_mixture(scores, SLOPE, None, across_clicks(5))[1].estimate > 100


def test_a_network_that_tells_particles_from_noise_and_one_that_does_not():
    rng = np.random.default_rng(0)
    clear = peaks(80, 600, 0)
    low = NoiseIn(Noise(rng.normal(-1, 2, 600), 1.0), 1.0)
    assert tells_from_noise([clear], [fit_mixture(clear, CLICKED)], [low], [none_of(clear)])
    scores, noise = one_hill(80, 0)
    for clicks in (0, 20, 60):  # However many of the particles are known.
        clicked = np.arange(len(scores)) < clicks
        fit = fit_mixture(scores, SLOPE, None, across_clicks(5), None, clicked)
        assert not tells_from_noise([scores], [fit], [noise], [clicked])


def test_noise_that_is_not_there_claims_nothing():
    """Thirty particles with next to nothing between them: noise of their spectrum would score as they do."""
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(8, 1, 30), [4.0, 1.0]])
    strong = NoiseIn(Noise(rng.normal(6, 1, 60), 1.0), 1.0)
    assert strong.present(scores) < 0.2
    assert tells_from_noise([scores], [fit_mixture(scores, CLICKED)], [strong], [none_of(scores)])
    assert strong.present(rng.normal(6, 1, 60)) == pytest.approx(1, abs=0.35)


def test_noise_that_scores_lower_than_anything_looked_at_changes_nothing():
    scores = peaks(80, 600, 0)
    nothing = NoiseIn(Noise(np.full(500, -50.0), 1.0), 1.0)
    plain, with_noise = fit_mixture(scores, CLICKED), fit_mixture(scores, CLICKED, noise=nothing)
    assert plain == with_noise
