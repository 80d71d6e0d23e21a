"""Documentation that states what the code states is written from the code."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "page"), [("presets", "method.md"), ("formats", "formats.md")])
def test_the_table_in_the_documentation_is_the_one_of_now(name: str, page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert text == script(name).renewed(text), f"it has changed: run 'python docs/{name}.py'"


def test_the_picture_of_the_frames_can_be_drawn(tmp_path: Path) -> None:
    script("formats").draw(tmp_path / "frames.svg")
    assert (tmp_path / "frames.svg").read_text(encoding="utf-8").count("<path") > 50
