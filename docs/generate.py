"""Write what the documentation takes from the code: ``python docs/generate.py``. A test fails until this was run.

A page holds generated text between ``<!-- generated: KIND [NAME] -->`` and ``<!-- /generated -->``:

``formats``           the formats of picks
``simulation``        the settings of the simulator
``options COMMAND``   arguments and options of a command
``file PATH``         a file of the repository as a block of code
``console NAME``      the commands of examples/NAME.sh, each with its output (examples/NAME.txt, by docs/record.py);
                      ``console NAME:4`` shows the fourth alone

``docs/reference/api.md`` and ``docs/reference/settings.md`` are generated whole.
"""

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined
from typer.main import get_command

from tomopicker import api
from tomopicker.cli.app import app
from tomopicker.io.registry import FORMATS
from tomopicker.output.terminal import access
from tomopicker.simulation.settings import setting_fields

sys.path.insert(0, str(Path(__file__).parent))
import settings_page

ROOT = Path(__file__).parents[1]
API_PAGE = ROOT / "docs" / "reference" / "api.md"
WIDTH = 120
BLOCK = re.compile(r"(<!-- generated: (\w+) ?(\S*) -->\n).*?(<!-- /generated -->)", re.DOTALL)
API_HEAD = """# Python API

Generated from the docstrings of `tomopicker.api` by `python docs/generate.py`. [From Python](../python.md) shows how
these go together; [conventions](../conventions.md) has axes and units.
"""


def pages() -> dict[Path, str]:
    """Give every page that holds generated text, as it should be now."""
    found = {}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        if BLOCK.search(text):
            found[path] = BLOCK.sub(lambda match: f"{match[1]}{_block(match[2], match[3])}\n{match[4]}", text)
    return found | {API_PAGE: api_page(), settings_page.PAGE: settings_page.page()}


def _block(kind: str, name: str) -> str:
    blocks: dict[str, Callable[..., str]] = {
        "formats": formats, "simulation": simulation, "options": options, "file": code,
        "console": console,
    }  # fmt: skip
    return blocks[kind](*([name] if name else []))


def item(head: str, text: str) -> str:
    """Lay out one entry of a list, wrapped."""
    return textwrap.fill(
        f"- {head}: {text}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def formats() -> str:
    """Lay out the formats of picks in two tables: what a file is, and how it counts."""
    picks = [entry for entry in sorted(FORMATS, key=lambda entry: entry.name) if entry.kind == "picks"]
    first, second = ["Name", "Files", "Content", "", "Tomograms", "Score"], ["Name", "Unit", "Zero", "Angles"]
    files = [
        [f"`{entry.name}`", " ".join(f"`{suffix}`" for suffix in entry.suffixes), entry.title.replace("<", "&lt;"),
         access(entry), "one" if entry.single else "any", entry.score]
        for entry in picks
    ]  # fmt: skip
    counts = [[f"`{entry.name}`", entry.unit, entry.origin, entry.angles] for entry in picks]
    return f"{_table(first, files)}\n\n{_table(second, counts)}"


def simulation() -> str:
    """List every setting that ``simulate --set`` takes, with its default and description."""
    lines = []
    for name, field in setting_fields().items():
        default = "the preset's" if field.default is PydanticUndefined else _value(field.default)
        if get_origin(field.annotation) is Literal:
            default += f"; {_values(field.annotation)}"
        lines.append(item(f"`{name}` ({default})", field.description or ""))
    return "\n".join(lines)


def options(command: str) -> str:
    """List the arguments and options of a command, as its --help has them."""
    lines = []
    for parameter in get_command(app).commands[command].params:  # type: ignore[attr-defined]
        if parameter.name == "help":
            continue
        metavar = parameter.metavar or ""
        if parameter.param_type_name == "argument":
            head = f"`{metavar or parameter.name.upper()}`"
            meaning = parameter.help or ""
        else:
            value = "" if parameter.is_flag else f" {metavar or _values(parameter.type_descriptor.annotation)}"
            flags = sorted(parameter.opts, key=len, reverse=True)
            head = ", ".join(f"`{flag}{value}`" for flag in flags[:1]) + "".join(f", `{flag}`" for flag in flags[1:])
            head += "".join(f", `{flag}`" for flag in parameter.secondary_opts)
            meaning = parameter.help or ""
            if parameter.required:
                meaning += " Required."
            elif _shows_default(parameter.default, meaning):
                meaning += f" [default: {_value(parameter.default)}]"
        lines.append(item(head, _plain(meaning)))
    return "\n".join(lines)


def _values(annotation: Any) -> str:
    """Write what an option without a metavar takes: one of several words, or a number."""
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    return {int: "N", float: "X"}.get(annotation, "TEXT")


def _shows_default(default: object, meaning: str) -> bool:
    return default is not None and not isinstance(default, bool) and not callable(default) and "default:" not in meaning


def _plain(text: str) -> str:
    """Take rich's markup out."""
    text = re.sub(r"(?<!\\)\[/?(?:dim|bold|cyan)\]", "", text).replace("\\[", "[")
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*")


def code(path: str) -> str:
    """Show a file of the repository."""
    language = {".py": "python", ".sh": "bash", ".csv": "", ".txt": ""}[Path(path).suffix]
    return f"```{language}\n{(ROOT / path).read_text(encoding='utf-8').strip()}\n```"


def console(example: str) -> str:
    """Show the commands of an example and what each printed, long lines folded; one of them if a number is given."""
    name, _, number = example.partition(":")
    outputs = (ROOT / "examples" / f"{name}.txt").read_text(encoding="utf-8").split("$\n")[1:]
    commands = example_commands(ROOT / "examples" / f"{name}.sh")
    shown = list(zip(commands, outputs, strict=True))
    lines = []
    for command, output in shown if not number else [shown[int(number) - 1]]:
        lines.append("$ " + command.removesuffix(" || true").replace("\n    ", "\n  "))
        for line in output.rstrip().splitlines():
            lines += textwrap.wrap(
                line.rstrip(), WIDTH, subsequent_indent="    ", drop_whitespace=True, replace_whitespace=False
            ) or [""]
    return "\n".join(["```console", *lines, "```"])


def example_commands(script: Path) -> list[str]:
    """Give the commands of a shell script, continued lines together."""
    text = "\n".join(
        line for line in script.read_text(encoding="utf-8").splitlines() if line and not line.startswith(("#", "set "))
    )
    return re.split(r"(?<!\\)\n", text)


def api_page() -> str:
    """Lay out everything that `tomopicker.api` offers: functions, then values, then errors."""
    objects = {name: getattr(api, name) for name in api.__all__}
    functions = {name: thing for name, thing in objects.items() if not isinstance(thing, type)}
    errors = {name: thing for name, thing in objects.items() if _is_error(thing)}
    values = {name: thing for name, thing in objects.items() if name not in functions and name not in errors}
    parts = [API_HEAD]
    for title, group in (("Functions", functions), ("Values", values), ("Errors", errors)):
        parts.append(f"## {title}\n")
        for name, thing in sorted(group.items(), key=lambda pair: pair[0].lower()):
            parts.append(f"### {name}\n")
            parts += _entry(name, thing)
    return "\n".join(parts).rstrip() + "\n"


def _is_error(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Exception)


def _entry(name: str, thing: Any) -> Iterator[str]:
    if not isinstance(thing, type):
        yield f"```\n{_signature(f'api.{name}', thing)}\n```\n"
    yield from _markdown(inspect.getdoc(thing) or "")
    if isinstance(thing, type) and issubclass(thing, Enum):
        yield ", ".join(f"`{member.name}`" for member in thing) + "\n"
    elif thing is api.Settings:
        yield "The sections and their values are in [settings](settings.md).\n"
    elif isinstance(thing, type) and not _is_error(thing):
        yield from _declared(thing)
        for attribute, value in vars(thing).items():
            if not attribute.startswith("_") and (text := _member(attribute, value)):
                yield text
        yield ""


def _declared(kind: type) -> Iterator[str]:
    """List the fields of a class that are declared as settings."""
    fields = getattr(kind, "__pydantic_fields__", {})
    if fields:
        yield "**Parameters**\n"
    for name, field in fields.items():
        unit = field.json_schema_extra["unit"]
        yield item(
            f"`{name}` ({f'`{unit}`, ' if unit else ''}default {_value(field.default) or 'none'})", field.description
        )
    if fields:
        yield ""


def _member(name: str, value: Any) -> str:
    """Give one line of a class's method or property, or nothing where it has no docstring."""
    inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    if not inspect.isfunction(inner) or not inner.__doc__:
        return ""
    head = name if isinstance(value, property) else _signature(name, inner, bound=True)
    return item(f"`{' '.join(head.split())}`", _rst(_first_paragraph(inner.__doc__)))


def _signature(name: str, function: Callable[..., Any], *, bound: bool = False) -> str:
    """Write a call with names and defaults; types stand in the list of parameters."""
    parts, keyword_only = [], False
    for parameter in list(inspect.signature(function).parameters.values())[1 if bound else 0 :]:
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            parts.append("*")
            keyword_only = True
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is parameter.empty else f"={_default(parameter.default)}"
        parts.append(f"{star}{parameter.name}{default}")
    return textwrap.fill(f"{name}({', '.join(parts)})", WIDTH - 4, subsequent_indent="    ", break_on_hyphens=False)


def _default(value: object) -> str:
    text = repr(value)
    return text if "<" not in text and "object at" not in text else f"{type(value).__name__}()"


def _markdown(docstring: str) -> Iterator[str]:
    """Turn a numpydoc docstring into Markdown, paragraph by paragraph and entry by entry."""
    chunks = re.split(r"^(\w[\w ]*)\n-{3,}\n", docstring, flags=re.MULTILINE)
    yield from _paragraphs(chunks[0])
    for title, body in zip(chunks[1::2], chunks[2::2], strict=True):
        yield f"**{title}**\n"
        head, text = "", []
        for line in [*body.strip("\n").splitlines(), "."]:
            if line.startswith(" ") or not line.strip():
                text.append(line.strip())
                continue
            if head:
                name, _, kind = head.partition(" : ")
                typed = f" ({kind})" if kind else ""
                described = " ".join(text).strip()
                yield item(f"`{name}`{_rst(typed)}", _rst(described)) if described else f"- `{name}`{_rst(typed)}"
            head, text = line, []
        yield ""


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield textwrap.fill(_rst(" ".join(paragraph.split())), WIDTH, break_on_hyphens=False) + "\n"


def _rst(text: str) -> str:
    """Write reStructuredText's code and references as Markdown does."""
    return text.replace("``", "`").replace("|", "\\|").replace("<", "&lt;")


def _first_paragraph(docstring: str) -> str:
    return " ".join(inspect.cleandoc(docstring).split("\n\n", maxsplit=1)[0].split())


def _first_sentence(docstring: str | None) -> str:
    return _first_paragraph(docstring or "")


def _attributes(kind: type) -> Mapping[str, str]:
    """Read the Attributes of a docstring: what is written of several names stands at the first."""
    lines = inspect.cleandoc(kind.__doc__ or "").split("----------\n")[-1].splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith(" "):
            found[name] = f"{found[name]} {line.strip()}".strip()
        else:
            names = line.partition(" : ")[0].split(", ")
            name = names[0]
            found[name] = ""
            found |= {other: f"see `{name}`" for other in names[1:]}
    return found


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    """Lay out a Markdown table without padding, so that its lines stay short."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [columns, ["---"] * len(columns), *rows])


if __name__ == "__main__":
    for page, text in pages().items():
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            print(page.relative_to(ROOT))
