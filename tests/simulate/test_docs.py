"""The page of `tomopicker simulate` says what the program does."""

import importlib.util
import re
from pathlib import Path

from typer.main import get_command

from tomopicker.cli.app import app

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_settings_is_that_of_the_program():
    spec = importlib.util.spec_from_file_location("docs_simulation", DOCS / "simulation.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.renewed(page) == page, "run python docs/simulation.py"
    rows = re.findall(r"\| `((?:scene|imaging)\.\w+)` +\| ([^|]+)\|([^|]+)\|", page)
    assert len(rows) > 40
    assert all(meaning.strip() and "see `" not in meaning for _, _, meaning in rows)


def test_every_option_is_on_the_page():
    page = (DOCS / "commands" / "simulate.md").read_text(encoding="utf-8")
    options = [
        flag for option in get_command(app).commands["simulate"].params for flag in option.opts if flag[:2] == "--"
    ]
    assert len(options) > 15
    missing = [flag for flag in options if flag not in {"--help"} and f"`{flag}" not in page]
    assert not missing
