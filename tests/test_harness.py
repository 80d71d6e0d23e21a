"""The test set-up: types are checked, and tests that share fixtures run in one worker."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from tests.conftest import LONGEST, TOGETHER, scope_of
from tests.typechecker import CALLS
from tomopicker.picking.local_maxima import local_peaks
from tomopicker.picking.peaks import Peaks


def test_an_array_with_other_axes_fails_where_it_enters():
    flat, volume = np.zeros((3, 3), np.float32), np.zeros((3, 3, 3), np.float32)
    for _ in range(CALLS - 1):
        local_peaks(volume, min_distance=1, threshold=0)
    with pytest.raises(TypeCheckError):
        local_peaks(flat, min_distance=1, threshold=0)
    with pytest.raises(TypeCheckError):
        Peaks(np.zeros((4, 2)), np.zeros(4, np.float32))


def test_each_test_checks_again():
    """The test above has used all checked calls but one."""
    with pytest.raises(TypeCheckError):
        for _ in range(3):
            local_peaks(np.zeros((3, 3), np.float32), min_distance=1, threshold=0)


def test_packages_with_costly_fixtures_stay_together_and_other_files_do():
    for package in TOGETHER:
        assert scope_of(f"tests/{package}/test_a.py::test_b[tests/x.py::y]") == package
    assert scope_of("tests/io/test_a.py::test_b[1]") == scope_of("tests/io/test_a.py::test_c") == "tests/io/test_a.py"
    assert scope_of("tests/test_a.py::test_b") == "tests/test_a.py"


def test_the_longest_are_there():
    """A renamed scope would no longer run early."""
    folder = Path(__file__).parent
    for scope in LONGEST:
        assert (folder / scope).is_dir() if scope in TOGETHER else (folder.parent / scope).is_file()
