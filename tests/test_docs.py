"""The documentation: generated text is current, links resolve, lines are short, terms are explained."""

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest
from typer.main import get_command

from tomopicker.cli.app import COMMANDS, app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "benchmarks").glob("**/README.md"))]
LONGEST, README_LINES = 120, 130
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`]*`|\$[^$]*\$", re.DOTALL)
CODE_PATH = re.compile(
    r"`((?:api|benchmark|cli|cluster|config|diagnostics|evaluation|fewshot|geometry|inference|io|models|output|picking|"
    r"pipeline|preprocessing|presets|pretraining|pu|simulation|studio|training)"
    r"(?:/[\w/]+\.py|\.py|/))`"
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(page: str) -> set[str]:
    """Return the anchors of headings, as GitHub forms them."""
    headings = re.findall(r"^#+ +(.*)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def generated() -> dict[Path, str]:
    pages: dict[Path, str] = script("generate").pages()
    return pages


def test_generated_text_is_current(generated):
    stale = [named(path) for path, text in generated.items() if not path.exists() or text_of(path) != text]
    assert not stale, "run python docs/generate.py"


def test_what_is_generated(generated):
    """Shows that the test above can fail."""
    assert "### train\n" in generated[DOCS / "reference" / "api.md"]
    assert "**`training.steps`**: " in generated[DOCS / "reference" / "settings.md"]
    assert "| `relion5` | Å | " in generated[DOCS / "formats.md"]
    assert generated[DOCS / "commands" / "simulate.md"].count("- `scene.") > 15
    assert "$ tomopicker train " in generated[ROOT / "README.md"]


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_lines_are_short(path):
    long = [number for number, line in enumerate(text_of(path).splitlines(), 1) if len(line) > LONGEST]
    assert not long


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_percentages_have_no_space(path):
    assert not re.findall(r".*(?:\d|^ *) %.*", text_of(path))


def test_every_command_of_an_example_is_shown():
    """Excluding the first commands, which create the shared data."""
    shown = {int(number) for path in PAGES for number in re.findall(r"console commands:(\d+)", text_of(path))}
    commands = script("generate").example_commands(ROOT / "examples" / "commands.sh")
    made = {number for number, command in enumerate(commands, 1) if command.startswith("tomopicker simulate")}
    assert shown | made == set(range(1, len(commands) + 1))


@pytest.mark.parametrize("name", ["method_figures", "frames", "instant_picture", "pictures", "record"])
def test_scripts_of_the_documentation_can_be_imported(name):
    assert script(name).__doc__


def test_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) <= README_LINES


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_resolve(path):
    page = re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL)
    broken = []
    for link in LINK.findall(page):
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = unquote(link).partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in anchors(text_of(file))):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_source_files_that_are_named_exist(path):
    missing = [name for name in CODE_PATH.findall(text_of(path)) if not (ROOT / "src" / "tomopicker" / name).exists()]
    assert not missing


def test_source_files_are_named():
    """Shows that the test above can fail."""
    assert len(CODE_PATH.findall(text_of(DOCS / "developing.md"))) > 20


def test_every_page_is_in_an_index():
    """Every page is linked from docs/README.md, and every research note from its index."""
    linked = set()
    for index in (DOCS / "README.md", DOCS / "research" / "README.md"):
        linked |= {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(text_of(index))}
    assert not [named(path) for path in DOCS.rglob("*.md") if path not in linked and path != DOCS / "README.md"]


def test_every_command_has_its_page():
    names = {name.replace("_", "-") for name in COMMANDS}
    assert {path.stem for path in (DOCS / "commands").glob("*.md")} <= names
    everything = "\n".join(map(text_of, PAGES))
    assert not [name for name in sorted(names) if f"<!-- generated: options {name} -->" not in everything]


def written_commands(page: str) -> list[str]:
    """Return the arguments of `tomopicker` in a page's code blocks and sentences."""
    blocks = "\n".join(re.findall(r"^ *```\w*\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL))
    lines = re.sub(r"\\\n\s*", " ", blocks).splitlines()
    inline = [" ".join(text.split()) for text in re.findall(r"`(tomopicker [^`]*)`", page)]
    return [
        line.strip().removeprefix("$ ")[11:] for line in [*lines, *inline] if re.match(r"\s*(\$ )?tomopicker ", line)
    ]


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_commands_and_options_that_are_written_exist(path):
    known = get_command(app).commands  # type: ignore[attr-defined]
    wrong = []
    for line in written_commands(text_of(path)):
        name, *words = line.partition("#")[0].split()
        if name in ("COMMAND", "--help"):
            continue
        flags = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help"}
        options = [*known[name].params] if name in known else []
        if name not in known or flags - {flag for option in options for flag in [*option.opts, *option.secondary_opts]}:
            wrong.append(line)
    assert not wrong


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_commands_in_blocks_can_be_parsed(path):
    """Commands are complete and valid, except those shortened by …."""
    known = get_command(app).commands  # type: ignore[attr-defined]
    blocks = "\n".join(re.findall(r"^ *```\w*\n(.*?)^ *```", text_of(path), re.MULTILINE | re.DOTALL))
    lines = [line.strip().removeprefix("$ ") for line in re.sub(r"\\\n\s*", " ", blocks).splitlines()]
    for line in lines:
        if line.startswith("tomopicker ") and "…" not in line:
            name, *words = shlex.split(line, comments=True)[1:]
            known[name].make_context(name, words)  # Raises the error that the command would print.


def test_commands_are_written():
    """Shows that the test above can fail."""
    found = written_commands(text_of(DOCS / "clicking.md")) + written_commands(text_of(ROOT / "README.md"))
    assert len(found) > 10 and any(line.startswith("train data/TS_0001.mrc --picks ") for line in found)


def test_every_picture_is_shown():
    shown = {Path(link).name for path in PAGES for link in LINK.findall(text_of(path))}
    assert {path.name for path in (DOCS / "images").iterdir()} <= shown


def terms() -> list[str]:
    return re.findall(r"^\| ([^|]+?) \| ", text_of(DOCS / "glossary.md"), re.MULTILINE)[1:]


def test_glossary_is_sorted_and_each_term_occurs():
    listed = terms()
    words = [re.sub(r"\W", "", term.lower().replace("å", "a")) for term in listed]
    assert len(listed) > 60 and words == sorted(words) and len(set(words)) == len(words)
    sources = [*PAGES, *(ROOT / "src").rglob("*.py")]  # Docstrings use terms too.
    elsewhere = "\n".join(text_of(path) for path in sources if path.name != "glossary.md").lower()
    forms = {term: [part.strip().rstrip(")") for part in re.split(r",|\(", term.lower())] for term in listed}
    unused = [term for term, parts in forms.items() if not all(part in elsewhere for part in parts)]
    assert not unused


KNOWN = """
AMD API AV3 BSD F4 CPU CSV CUDA CVPR DEF DIR E EM EPYC FILE FN FORMAT FP FTP GB GPFS GPU HDF HDF5 HTML ICLR ICML ID IN
JSON LICENSE LP-FT MATLAB MB MIT MPS MRC MRC2014 N NFS NO NVIDIA OME OUT P PATH PDF PICKS PNG R README SIGTERM SLURM
SVG TIFF TOM TOMOGRAM TP TS U URL UTF VNC VS X XML Y YAML Z Z1 Z2
"""
"""Abbreviations that need no explanation, names of files, and symbols that their page explains."""


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_abbreviations_are_in_the_glossary(path):
    prose = CODE.sub("", text_of(path))
    prose = re.sub(r"\]\([^)]*\)|<!--.*?-->", "]", prose)
    used = set(re.findall(r"(?<![\w-])[A-Z][A-Z0-9]+(?:-[A-Z0-9]+)*(?![\w])", prose)) - set(KNOWN.split())
    explained = text_of(DOCS / "glossary.md")
    assert not sorted(word for word in used if word not in explained)


def test_the_picture_of_the_frames_can_be_drawn(tmp_path):
    script("frames").draw(tmp_path / "frames.svg")
    assert text_of(tmp_path / "frames.svg").count("<path") > 50
