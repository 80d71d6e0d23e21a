"""Help is complete and fast."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tomopicker
from tomopicker import __version__, api
from tomopicker.config import Objective, Settings, Training
from tomopicker.io.registry import FORMATS

COMMANDS = [
    "studio", "train", "pick", "threshold", "report", "check", "evaluate", "export-subtomograms", "info", "convert",
    "formats", "simulate",
    "benchmark", "demo",
]  # fmt: skip
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(tomopicker.__file__).parent.parent), "COLUMNS": "100"}


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True
    )


def test_help_takes_less_than_half_a_second():
    times = []
    for _ in range(3):
        before = os.times()
        python("-m", "tomopicker.cli", "--help")
        after = os.times()
        # Processor time, since the machine may be busy with other tests.
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(times) < 0.5


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from tomopicker.cli.app import run; run(['train', '--help']);"
        "print(sorted({'torch', 'pandas', 'matplotlib', 'numpy', 'scipy'} & set(sys.modules)))"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_starts_with_an_example(cli, command):
    result = cli(command, "--help")
    assert result.code == 0
    text = result.out
    assert 0 < text.index("Example") < text.index(f"  tomopicker {command} ") < text.index("Options")
    assert "[bold]" not in text
    assert "\\[" not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_fit_a_terminal_of_100_columns(cli, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    lines = [line for line in cli(command, "--help").out.splitlines() if line.startswith("   tomopicker ")]
    assert lines and max(len(line.rstrip()) for line in lines) <= 99


def test_every_option_of_a_setting_is_offered_with_its_help(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    lines = [line for line in cli("train", "--help").out.splitlines() if line.startswith("│")]
    for name, model in {"": Settings, "objective": Objective, "training": Training}.items():
        for key, field in model.model_fields.items():
            if (flag := field.json_schema_extra and field.json_schema_extra["flag"]) is not None and flag:
                (line,) = [line for line in lines if line.lstrip("│* ").startswith(f"--{key.replace('_', '-')} ")]
                assert field.description in line, (name, key)


def test_any_setting_on_the_command_line(cli, world, tmp_path):
    """It takes precedence over the file, conflicts with a flag are refused, and errors name the setting."""
    arguments = world.train_arguments(tmp_path / "m", "--dry-run", "--no-check")
    plan = cli(*arguments, "--set", "training.steps=7", "--set", "patches.size=32")
    assert plan.code == 0, plan.err
    assert "7 steps" in plan.out and "32³" in plan.out
    for more, words in (
        (["--set", "training.stepz=7"], "training.stepz"),
        (["--set", "training.steps"], "NAME=VALUE"),
        (["--set", "training.steps=7", "--steps", "8"], "given twice"),
        (["--set", "training.steps=[1"], "not a value"),
    ):
        result = cli(*arguments, *more)
        assert (result.code, len(result.errors)) == (2, 1) and words in result.err


def test_flags_with_a_length_say_its_unit(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    lines = cli("train", "--help").out.splitlines()
    for flag in ("--particle-diameter", "--voxel-size", "--picks-pixel-size"):
        assert any(flag in line and "Å " in line for line in lines)


def test_known_background_has_one_name(cli):
    assert all("--negatives" in cli(command, "--help").out for command in ("train", "suggest"))
    assert all(
        "negatives" in inspect.signature(function).parameters for function in (api.train, api.instant, api.suggest)
    )


@pytest.mark.parametrize("command", [*COMMANDS, None])
def test_help_shows_units_and_choices_but_no_types_of_python(cli, command):
    text = cli(*([command] if command else []), "--help").out
    assert not re.findall(r"<\w+(?:\[\w+\])?>", text)
    if command == "pick":
        assert "local|slurm|pbs|lsf|sge" in text and "Å" in text


def test_version(cli):
    assert cli("--version").out.strip() == f"tomopicker {__version__}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["train", "--fly"],
        ["pick", "a.mrc"],
        ["train", "a.mrc", "--seed", "x"],
        ["pick", "--star-format", "emc"],
    ],
)
def test_wrong_usage_is_one_line_and_2(cli, arguments):
    result = cli(*arguments)
    assert result.code == 2
    assert len(result.err.splitlines()) == len(result.errors) == 1


@pytest.mark.parametrize("command", [*COMMANDS, None])
def test_a_bare_command_shows_its_help_and_no_empty_error(cli, command):
    if command in {"demo", "formats"}:  # They need no arguments.
        return
    result = cli(*([command] if command else []))
    assert result.code == 2
    assert "Usage" in result.out and not result.err


NUMBERS = [
    ("30nm", "'30nm' is not a number; give the number alone"),
    ("300 Å", "'300 Å' is not a number; give the number alone"),
    ("13,48", "'13,48' is not a number; write 13.48"),
    ("wide", "'wide' is not a number"),
]


@pytest.mark.parametrize(("text", "words"), NUMBERS)
def test_what_is_no_number_is_reported_plainly(cli, tmp_path, text, words):
    """For options, settings files and --set."""
    config = tmp_path / "c.yaml"
    config.write_text(f"particle_diameter: '{text}'\n", encoding="utf-8")
    files = ["train", "a.mrc", "--picks", "a.csv", "--output", "m"]
    for arguments in (
        [*files, "--particle-diameter", text],
        [*files, "--config", config],
        ["simulate", "--output", tmp_path / "out", "--voxel-size", text],
        ["simulate", "--output", tmp_path / "out", "--set", f"imaging.defocus_um={text}"],
    ):
        result = cli(*arguments)
        assert (result.code, len(result.errors)) == (2, 1)
        assert words in result.err
    whole = cli(*files, "--particle-diameter", "300", "--seed", "1.5")
    assert "'1.5' is not a whole number" in whole.err


def test_a_bug_keeps_its_traceback(cli, monkeypatch, tmp_path):
    monkeypatch.setattr("tomopicker.io.volumes.open.volume_files", lambda paths: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli("info", tmp_path)


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_formats_break_no_word(cli, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    out = cli("formats").out
    assert max(map(len, out.splitlines())) <= int(width)
    said = set(out.split())
    for entry in FORMATS:
        facts = (entry.name, entry.title, entry.unit, "" if entry.kind == "volume" else entry.origin)
        missing = {word.rstrip(";") for fact in facts for word in fact.split()} - {word.rstrip(";") for word in said}
        assert not missing, entry.name


def test_a_part_of_the_formats(cli):
    assert cli("formats", "volume").out.split()[:2] == ["em", "r-"]
    assert "mrc" not in cli("formats", "picks").out.split()
