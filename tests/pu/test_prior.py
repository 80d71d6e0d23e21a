"""The class priors of equations 2, 4 and 8, worked by hand: |P| = 100, |P ∪ U| = 10,000, Rn = 25."""

import pytest

from tomopicker.errors import UsageError
from tomopicker.pu.prior import Priors, class_priors


def test_equations_2_4_and_8():
    priors = class_priors(100, 10_000, 25, 8.0)
    assert priors.labelled == pytest.approx(0.01)
    assert priors.expected == pytest.approx(0.02)
    assert priors.unlabelled == pytest.approx(0.01)


def test_over_the_unlabelled_alone():
    priors = class_priors(100, 10_000, 25, 8.0, denominator="unlabelled")
    # 200 expected voxels, of which 100 are labelled: 100 of the 9,900 unlabelled ones.
    assert priors.unlabelled == pytest.approx(100 / 9_900)
    assert (priors.labelled, priors.expected) == (pytest.approx(0.01), pytest.approx(0.02))


def test_nothing_labelled_leaves_the_expected():
    priors = class_priors(0, 10_000, 25, 8.0)
    assert (priors.labelled, priors.unlabelled) == (0, pytest.approx(0.02))


def test_text_names_all_three():
    assert str(class_priors(100, 10_000, 25, 8.0)) == (
        "1% of the voxels are labelled as particle (π), 2% would be with all particles (π'), "
        "1% of the others are particle (π'')"
    )


@pytest.mark.parametrize("expected", [1.0, 3.5, 4.0])
def test_fewer_than_the_clicks_is_refused(expected):
    with pytest.raises(UsageError) as refused:
        class_priors(100, 10_000, 25, expected)
    text = str(refused.value)
    assert "--expected-particles" in text
    assert f"{expected:g} expected" in text
    assert "4 labelled" in text
    assert "\n" not in text


def test_one_more_than_the_clicks_is_accepted():
    assert class_priors(100, 10_000, 25, 5.0).unlabelled == pytest.approx(0.0025)


@pytest.mark.parametrize("expected", [400.0, 1e6])
def test_more_than_there_is_room_for_is_refused(expected):
    with pytest.raises(UsageError, match="--expected-particles") as refused:
        class_priors(100, 10_000, 25, expected)
    assert "\n" not in str(refused.value)
    assert f"{expected:g}" in str(refused.value)


@pytest.mark.parametrize("denominator", ["all", "unlabelled"])
def test_as_many_as_fit_are_accepted(denominator):
    priors = class_priors(100, 10_000, 25, 399.0, denominator)
    assert priors.expected == pytest.approx(0.9975)
    assert 0 < priors.unlabelled < 1


def test_priors_that_are_not_known_are_not_printed():
    assert str(Priors(0.01, float("nan"), float("nan"))) == "1% of the voxels are labelled as particle (π)"
