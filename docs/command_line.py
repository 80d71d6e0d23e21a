"""Write docs/reference/command-line.md from the declarations of the commands; a test holds the two together.

Run it after a change of an option: ``python docs/command_line.py``.
"""

import inspect
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from rich.text import Text
from typer.models import ArgumentInfo

from tomopicker.cli.app import COMMANDS
from tomopicker.cli.options import with_groups

PAGE = Path(__file__).parent / "reference" / "command-line.md"
WIDTH = 120
HEAD = """# Command line

Written by `python docs/command_line.py` from the declarations of the options. `tomopicker COMMAND --help` shows the
same, with examples; the [pages of the commands](../commands) say more. Options of `train` that are settings are
described in [settings.md](settings.md) too."""


def page() -> str:
    """Lay out the arguments and options of every command."""
    parts = [HEAD]
    for module in COMMANDS:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        parameters = inspect.signature(with_groups(module.command)).parameters.values()
        parts += [f"## tomopicker {name}", Text.from_markup(module.HELP.splitlines()[0]).plain]
        parts.append("\n".join(_entry(each) for each in parameters))
    return "\n\n".join(parts) + "\n"


def _entry(parameter: inspect.Parameter) -> str:
    kind, declared = get_args(parameter.annotation)[:2]
    is_argument = isinstance(declared, ArgumentInfo)
    first = declared.default if isinstance(declared.default, str) else None  # Typer takes the first flag for it.
    flags = [*([first] if first else []), *(declared.param_decls or ())] or ["--" + parameter.name.replace("_", "-")]
    names = [declared.metavar] if is_argument else [flag for each in flags for flag in each.split("/")]
    value = "" if is_argument or kind is bool else declared.metavar or "|".join(_choices(kind))
    named = ", ".join(f"`{name}`" for name in names) + (f" `{value}`" if value else "")
    required = " (required)" if parameter.default is inspect.Parameter.empty else ""
    shown = declared.show_default and not required and parameter.default not in (None, False, True)
    default = f"  [default: {parameter.default}]" if shown else ""
    text = f"- {named}{required}: {Text.from_markup(declared.help).plain}{default}"
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _choices(kind: Any) -> list[str]:
    """List the words that a Literal, or one that may be None, allows."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    return [word for each in get_args(kind) for word in _choices(each)]


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
