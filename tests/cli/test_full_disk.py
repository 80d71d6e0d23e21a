"""A disk that fills up during picking: one line, nothing half-written, and a complete result after space is freed.

``TOMOPICKER_FULL_DISK_MOMENTS=20`` tries more moments.
"""

import os
import shutil
import subprocess

import numpy as np
import pytest

from tomopicker.output.record import read_record

MOMENTS = int(os.environ.get("TOMOPICKER_FULL_DISK_MOMENTS", "5"))
PLACE = 1 << 20


def _mount(place, size):
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here (not root)")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of `PLACE` bytes."""
    if shutil.which("mount") is None:
        pytest.skip("mount is not there")
    place = tmp_path / "disk"
    _mount(place, PLACE)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def _contents(folder):
    """Return the finished files of a folder of picks, without dates."""
    return {path.name: path.read_text() for path in sorted(folder.rglob("*.csv"))}


def test_a_disk_that_is_full_at_any_moment_of_picking(world, cli, picked, small_disk):
    tomograms = [world.tomogram("TS_1"), world.tomogram("TS_2")]
    whole = sum(path.stat().st_blocks * 512 for path in picked.rglob("*") if path.is_file())
    expected = _contents(picked)
    refused = 0
    for free in np.linspace(0, 1.2 * whole, MOMENTS).astype(int):
        ballast, out = small_disk / "ballast", small_disk / "out"
        ballast.write_bytes(bytes(max(0, PLACE - int(free) // 4096 * 4096 - 8192)))
        result = cli("pick", *tomograms, "-m", world.model, "-o", out, "--device", "cpu")
        if result.code:
            refused += 1
            assert result.errors and "No space left" in result.err, result
            assert "Traceback" not in result.err and "please report" not in result.err
        for name, text in (_contents(out) if out.exists() else {}).items():
            merged = name == "picks.csv"  # It lists the finished tomograms.
            is_whole = expected[name].startswith(text) and text.endswith("\n") if merged else text == expected[name]
            assert is_whole, f"{name} is half-written with {free} bytes free"
        ballast.unlink()
        again = cli("pick", *tomograms, "-m", world.model, "-o", out, "--device", "cpu")
        assert again.code == 0, (free, again)
        assert _contents(out) == expected
        assert len(read_record(out / "picks.json")["tomograms"]) == 2
        assert not [path for path in out.rglob("*") if ".tmp" in path.name or path.name.startswith(".tmp")]
        shutil.rmtree(out)
    assert refused >= MOMENTS // 3
