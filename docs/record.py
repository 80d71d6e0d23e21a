"""Run an example and keep what it prints, for the pages to show: ``python docs/record.py NAME FOLDER``

Runs the commands of examples/NAME.sh one after another in FOLDER, which is made, and writes their output to
examples/NAME.txt, a line ``$`` before that of each; ``python docs/generate.py`` then puts it into the pages.

``quick_start``   README.md; FOLDER keeps what docs/method_figures.py and docs/pictures.py draw; a minute
``commands``      docs/commands/check.md, train.md, pick.md and threshold.md; two minutes with bfloat16, else five
"""

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import generate

ROOT = Path(__file__).parents[1]


def record(name: str, folder: Path) -> None:
    """Run the commands, and write what they printed; the first that fails ends it."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    program = f'tomopicker() {{ {sys.executable} -m tomopicker.cli "$@"; }}\n'
    output = []
    for command in generate.example_commands(ROOT / "examples" / f"{name}.sh"):
        done = subprocess.run(
            ["bash", "-c", program + command], cwd=folder, check=True, stdout=subprocess.PIPE, encoding="utf-8"
        )  # fmt: skip
        output += ["$", *(line.rstrip() for line in done.stdout.strip("\n").splitlines())]
    (ROOT / "examples" / f"{name}.txt").write_text("\n".join(output) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]))
