"""Run an example and keep what it prints, for the pages to show: ``python docs/record.py quick_start FOLDER``

Runs the commands of examples/NAME.sh one after another in FOLDER, which is made, and writes their output to
examples/NAME.txt, a line ``$`` before that of each. FOLDER keeps what docs/method_figures.py and docs/pictures.py draw.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def record(name: str, folder: Path) -> None:
    """Run the commands, and write what they printed; the first that fails ends it."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    script = (ROOT / "examples" / f"{name}.sh").read_text(encoding="utf-8")
    output = []
    for line in re.sub(r"\\\n", " ", script).splitlines():
        if line.startswith("tomopicker "):
            command = [sys.executable, "-m", "tomopicker.cli", *shlex.split(line)[1:]]
            done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8")
            lines = [printed.rstrip() for printed in done.stdout.strip("\n").splitlines()]
            output += ["$", *lines]
    (ROOT / "examples" / f"{name}.txt").write_text("\n".join(output) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]))
