"""The page's own functions, by node's test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "js"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: apt-get install nodejs")
def test_functions_of_the_page():
    files = sorted(map(str, FOLDER.glob("*.test.mjs")))
    assert len(files) == 3
    done = subprocess.run(["node", "--test", *files], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "# fail 0" in done.stdout or "ℹ fail 0" in done.stdout
