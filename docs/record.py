"""Run an example and keep what it prints, for the pages to show: ``python docs/record.py NAME FOLDER [NUMBER ...]``

Runs the commands of examples/NAME.sh one after another in FOLDER, which is made, and writes their output to
examples/NAME.txt, a line ``$`` before that of each; ``python docs/generate.py`` then puts it into the pages. With
numbers, from 1, only those commands are run again, in a FOLDER that holds what the others left.

``quick_start``   README.md; FOLDER keeps what docs/method_figures.py and docs/pictures.py draw; a minute
``commands``      docs/commands/check.md, train.md, pick.md and threshold.md; a minute
"""

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import generate

ROOT = Path(__file__).parents[1]


def record(name: str, folder: Path, chosen: set[int]) -> None:
    """Run the commands, or those of some numbers, and write what they printed; the first that fails ends it."""
    file = ROOT / "examples" / f"{name}.txt"
    commands = generate.example_commands(file.with_suffix(".sh"))
    outputs = file.read_text(encoding="utf-8").split("$\n")[1:] if chosen else [""] * len(commands)
    shutil.copytree(ROOT / "examples", folder / "examples", dirs_exist_ok=True)
    program = f'tomopicker() {{ {sys.executable} -m tomopicker.cli "$@"; }}\n'
    for i, command in enumerate(commands):
        if chosen and i + 1 not in chosen:
            continue
        done = subprocess.run(
            ["bash", "-c", program + command], cwd=folder, check=True, stdout=subprocess.PIPE, encoding="utf-8"
        )
        outputs[i] = "".join(f"{line.rstrip()}\n" for line in done.stdout.strip("\n").splitlines())
    file.write_text("".join(f"$\n{output}" for output in outputs), encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]), set(map(int, sys.argv[3:])))
