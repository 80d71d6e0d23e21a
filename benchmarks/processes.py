"""Measurements in separate processes, so that each has its own imports, threads and peak memory."""

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def run_script(*command: object, environment: Mapping[str, str] | None = None) -> Any:
    """Run a script in a new Python and return the JSON value on its last line; exit if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_memory(who: int = resource.RUSAGE_SELF) -> int:
    """Return the peak resident memory in bytes of this process, or of its children."""
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
