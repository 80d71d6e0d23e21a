"""Packages import only from earlier rows of `LAYERS`, and modules that must start fast do not import torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tomopicker

ROOT = Path(tomopicker.__file__).parent
VALUES = [
    "types", "geometry", "config", "presets", "tomogram", "picks", "errors", "files", "moments", "wording", "parsing",
]  # fmt: skip
LAYERS = [
    VALUES,
    ["io"],
    ["preprocessing"],
    ["pu"],
    ["models"],
    ["training"],
    ["inference"],
    ["picking"],
    ["evaluation"],
    ["diagnostics"],
    ["fewshot"],
    ["pipeline"],
    ["output"],
    ["simulation"],
    ["pretraining"],
    ["benchmark"],
    ["napari"],
    ["studio"],
    ["cluster"],
    ["api"],
    ["cli", "__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def part_of(path):
    """Return the package or module of a file."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """Return the dotted names that a file imports, at the top or inside functions."""
    package = ["tomopicker", *path.relative_to(ROOT).parent.parts]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{module}.{alias.name}" for alias in node.names]
    return found


def ours(path):
    parts = [name.split(".") for name in imports(path)]
    return {name[1] for name in parts if name[0] == "tomopicker" and len(name) > 1 and name[1] in LEVEL}


def label(path):
    return str(path.relative_to(ROOT))


def test_the_reader_of_imports(tmp_path):
    """Shows that the tests below can fail."""
    assert {"types", "errors"} <= ours(ROOT / "preprocessing" / "preprocess.py")
    assert "numpy" in imports(ROOT / "training" / "labels.py")
    assert {"preprocessing", "training", "pu"} <= set().union(*(ours(p) for p in (ROOT / "training").glob("*.py")))


def test_every_part_has_its_place():
    assert {part_of(path) for path in FILES} <= LEVEL.keys()


@pytest.mark.parametrize("path", FILES, ids=label)
def test_imports_point_up_the_list(path):
    here = part_of(path)
    assert not {name for name in ours(path) if name != here and LEVEL[name] > LEVEL[here]}


@pytest.mark.parametrize("path", FILES, ids=label)
def test_parts_that_must_not_know_each_other(path):
    here, known = part_of(path), ours(path)
    if here in {"pu", "picking", "evaluation", "diagnostics", "preprocessing", "models", "training", "inference"}:
        assert "io" not in known, "only positions and arrays come here, no files"
    if here in {"io", "picking", "evaluation", "diagnostics", "preprocessing", *VALUES}:
        assert not {name for name in imports(path) if name.split(".")[0] == "torch"}
    if here not in {"cli", "__main__"}:
        assert "cli" not in known
    if here == "benchmark" and path.stem not in {"curves", "page"}:
        assert not {name for name in imports(path) if name.split(".")[0] in {"matplotlib", "jinja2"}}
    if here == "cluster" and path.stem != "benchmark":
        assert "benchmark" not in known, "pick starts without matplotlib, which draws the report of a benchmark"
    if here in {"io", "preprocessing", "models", "pu"}:
        assert known <= {here, *VALUES}, "these stand on the values alone"


LIGHT = [
    "tomopicker",
    "tomopicker.config",
    "tomopicker.io",
    "tomopicker.evaluation.metrics",
    "tomopicker.training.samplers",
    "tomopicker.benchmark.protocol",
    "tomopicker.benchmark.dataset",
    "tomopicker.benchmark.empiar",
    "tomopicker.simulation",
    "tomopicker.studio.serve",
    "tomopicker.cluster.work",
    "tomopicker.cluster.worker",
]
IMPORT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    if "torch" in sys.modules:
        sys.exit(f"{name} imports torch")
"""


def test_light_imports_leave_torch_alone():
    """One process imports them in sequence and names the first that imports torch."""
    environment = {"PYTHONPATH": str(ROOT.parent), "PATH": ""}
    command = [sys.executable, "-c", IMPORT, *LIGHT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
