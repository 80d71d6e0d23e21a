"""Documentation that states what the code states is written from the code."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_presets_in_the_documentation_is_the_one_of_now() -> None:
    spec = importlib.util.spec_from_file_location("docs_presets", ROOT / "docs" / "presets.py")
    assert spec is not None and spec.loader is not None
    presets = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(presets)
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    assert page == presets.renewed(page), "a preset has changed: run 'python docs/presets.py'"
