"""Each planted fault is found and named, and clean picks pass, on simulated tomograms."""

import numpy as np
import pytest

from tests.diagnostics.conftest import DIAMETER, SHAPE, VOXEL_SIZE
from tomopicker.diagnostics.centring import Offset
from tomopicker.diagnostics.check import check
from tomopicker.diagnostics.findings import Status, centre
from tomopicker.errors import TomoPickerError
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram

SIZE = np.array(SHAPE[::-1])


def mirrored(axis):
    def plant(voxels):
        flipped = voxels.copy()
        flipped[:, axis] = SIZE[axis] - 1 - flipped[:, axis]
        return flipped

    return plant


# What was done to the positions, the test that must fail, and words that its line must hold.
PLANTED = {
    "x and y swapped": (lambda v: v[:, [1, 0, 2]], "reading", "x and y are swapped"),
    "x and z swapped": (lambda v: v[:, [2, 1, 0]], "reading", "x and z are swapped"),
    "x, y, z rolled": (lambda v: v[:, [1, 2, 0]], "reading", "x, y, z are z, x, y"),
    "x flipped": (mirrored(0), "reading", "x counts from the far end"),
    "y flipped": (mirrored(1), "reading", "y counts from the far end"),
    "z flipped": (mirrored(2), "reading", "z counts from the far end"),
    "factor 2": (lambda v: v * 2, "reading", "2 times too large"),
    "factor 1/2": (lambda v: v / 2, "reading", "2 times too small"),
    "Å for voxels": (lambda v: v * VOXEL_SIZE, "reading", "are Å"),
    "a voxel": (lambda v: v - 1, "centre", "convert --shift"),
    "four voxels in x": (lambda v: v + np.array([4, 0, 0]), "centre", "-4.0"),
    "nine voxels": (lambda v: v + np.array([9, 0, -6]), "centre", "-9.0"),
    "centred for corner": (lambda v: v - SIZE / 2, "reading", "from the tomogram's centre"),
    "corner for centred": (lambda v: v + SIZE / 2, "reading", "half the tomogram's size was added"),
    "duplicates": (lambda v: np.concatenate([v, v[:4] + 0.5]), "duplicates", "8 picks"),
}


def found(case, voxels):
    checked = check([case.tomogram], case.picks(voxels), DIAMETER)
    return checked, {finding.test: finding for finding in checked.findings}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_and_named(case, name):
    plant, test, words = PLANTED[name]
    checked, findings = found(case, plant(case.voxels))
    assert findings[test].status is Status.FAIL
    assert words in f"{findings[test].message} {findings[test].fix}"
    assert findings[test].fix
    # Nothing is blamed besides that would still be wrong after mending.
    assert not {"reading", "centre", "duplicates", "tomogram"} - {test} & {
        other for other, finding in findings.items() if finding.status is Status.FAIL
    }
    assert checked.faults >= 1


@pytest.mark.parametrize("noise", [0.0, 0.8])
def test_clean_picks_pass(cases, noise):
    rng = np.random.default_rng(1)
    for case in cases:
        checked, findings = found(case, case.voxels + rng.normal(0, noise, case.voxels.shape))
        assert {finding.status for finding in checked.findings} == {Status.PASS}
        assert checked.faults == 0
        assert set(findings) == {"inside", "contrast", "reading", "diameter", "centre", "duplicates"}


def test_clicks_pass_however_few(case):
    checked, findings = found(case, case.voxels[:5])
    assert checked.faults == 0
    assert findings["contrast"].status is Status.PASS


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_a_few_picks_that_lie_on_nothing_do_not_pass(case, n):
    for axis, letter in enumerate("xy"):
        checked, findings = found(case, mirrored(axis)(case.voxels[n : 2 * n]))
        assert checked.faults or checked.undecided
        assert Status.PASS is not findings["contrast"].status or findings["reading"].status is Status.FAIL
        if n >= 5:
            assert f"{letter} count" in findings["reading"].message
            assert findings["reading"].status is not Status.PASS


def test_one_click_is_too_few_to_tell_wherever_it_lies(case):
    for voxels in (case.voxels[:1], case.voxels[:2], np.array([[20.0, 20.0, 40.0]])):
        checked, findings = found(case, voxels)
        assert checked.undecided and not checked.faults
        assert "look at the picture" in findings["contrast"].fix


@pytest.mark.parametrize("n", [8, 40])
@pytest.mark.parametrize(("factor", "words"), [(0.5, "twice as wide"), (2.0, "half as wide")])
def test_a_radius_for_the_diameter_deserves_a_look(case, n, factor, words):
    checked = check([case.tomogram], case.picks(case.voxels[:n]), factor * DIAMETER)
    finding = next(each for each in checked.findings if each.test == "diameter")
    assert finding.status is Status.WARN
    assert words in finding.message and f"{DIAMETER:g}" in finding.fix
    assert not {each.test for each in checked.findings if each.status is Status.FAIL} - {"duplicates"}


def test_the_shift_that_is_named_is_the_one_planted(case):
    _, findings = found(case, case.voxels + np.array([0.0, -1.5, 0.0]))
    x, y, z = (float(part) for part in findings["centre"].fix.split("--shift=")[1].split()[0].split(","))
    assert (x, z) == (0, 0)
    assert abs(y - 1.5) < 0.3


def test_an_offset_is_judged_by_the_diameter():
    def status(voxels, diameter, error=0.05):
        offset = Offset(10.0 * np.asarray(voxels, dtype=np.float64), np.full(3, 10.0 * error))
        return centre(offset, 10.0, 100, diameter=diameter, visible=True, corrected=False).status

    assert status((0.4, 0.3, 0.1), 300.0) is Status.PASS  # 5 Å of 300: as good as picks get.
    assert status((0.4, 0.3, 0.1), 100.0) is Status.FAIL
    assert status((0.5, 0.5, 0.5), 300.0) is Status.WARN  # Half a voxel, as two programs may differ.
    assert status((1.0, -1.0, 1.0), 300.0) is Status.FAIL
    assert status((1.0, -1.0, 1.0), 300.0, error=1.0) is Status.PASS  # Not significant.


def test_half_a_voxel_deserves_a_look(case):
    checked, findings = found(case, case.voxels + 0.5)
    assert findings["centre"].status is Status.WARN
    assert "convert --shift=-0." in findings["centre"].fix
    assert not checked.faults


def test_the_wrong_tomogram_is_found(cases):
    first, second = cases
    _, findings = found(first, second.voxels)
    assert findings["contrast"].status is Status.FAIL
    assert "right tomogram" in findings["contrast"].fix
    assert findings["reading"].status is Status.PASS
    assert findings["centre"].status is Status.WARN


def test_exchanged_names_are_found_where_both_tomograms_are_given(cases):
    first, second = cases
    exchanged = Picks.concatenate([first.picks(second.voxels), second.picks(first.voxels)])
    checked = check([first.tomogram, second.tomogram], exchanged, DIAMETER)
    finding = next(each for each in checked.findings if each.test == "tomogram")
    assert finding.status is Status.FAIL
    assert first.tomogram.name in finding.message and second.tomogram.name in finding.message
    right = Picks.concatenate([second.picks(second.voxels), first.picks(first.voxels)])
    assert check([first.tomogram, second.tomogram], right, DIAMETER).faults == 0


def test_bright_protein_is_reported(case):
    bright = Tomogram("TS_3", -case.tomogram.data, VOXEL_SIZE)
    checked = check([bright], case.picks(case.voxels), DIAMETER)
    finding = next(each for each in checked.findings if each.test == "contrast")
    assert finding.status is Status.FAIL and "--invert" in finding.fix
    inverted = Tomogram("TS_3", -case.tomogram.data, VOXEL_SIZE, inverted=True)
    assert check([inverted], case.picks(case.voxels), DIAMETER).faults == 0


def test_picks_half_of_which_lie_anywhere_are_doubtful(case):
    rng = np.random.default_rng(0)
    anywhere = rng.uniform(10, SIZE - 10, (2 * len(case.voxels), 3))
    _, findings = found(case, np.concatenate([case.voxels, anywhere]))
    assert findings["contrast"].status is not Status.PASS


def test_tomograms_of_unlike_voxels_are_refused(cases):
    first, second = cases
    coarse = Tomogram(second.tomogram.name, second.tomogram.data, 2 * VOXEL_SIZE)
    both = Picks.concatenate([first.picks(first.voxels), second.picks(second.voxels)])
    with pytest.raises(TomoPickerError, match="one size at a time"):
        check([first.tomogram, coarse], both, DIAMETER)
