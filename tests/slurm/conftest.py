"""A SLURM of two nodes on this machine, for root on Debian with slurm-wlm; elsewhere the tests are skipped."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import world  # noqa: F401  A model and tomograms.

SCRIPT = Path(__file__).with_name("one_machine.sh")
ASKED = "TOMOPICKER_TEST_SLURM"
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scancel", "squeue")


def reason_to_skip():
    """Reason why SLURM cannot run here; None if it can."""
    if not os.environ.get(ASKED):
        return "run by 'make test-slurm'"
    if os.geteuid() != 0:
        return "SLURM's daemons need root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"{missing[0]} is not installed (apt-get install slurm-wlm munge)" if missing else None


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """Environment in which SLURM's commands reach the two nodes."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    try:
        conf = subprocess.run([SCRIPT, "start", folder], check=True, text=True, stdout=subprocess.PIPE, timeout=60)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", conf.stdout.strip())
            yield
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=False, timeout=60)


def jobs(state="pending,running,completing"):
    """IDs of unfinished jobs."""
    command = ["squeue", "-h", "-o", "%i", "-t", state]
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout.split()


def until(condition, seconds=60):
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
