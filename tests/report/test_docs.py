"""Documentation that states what the code states is written from the code."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_formats_is_up_to_date() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert text == script("formats").renewed(text), "run 'python docs/formats.py'"


def test_the_reference_of_settings_is_up_to_date() -> None:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert text == script("settings").page(), "run 'python docs/settings.py'"
    assert max(map(len, text.splitlines())) <= 120


def test_the_picture_of_the_frames_can_be_drawn(tmp_path: Path) -> None:
    script("formats").draw(tmp_path / "frames.svg")
    assert (tmp_path / "frames.svg").read_text(encoding="utf-8").count("<path") > 50
