"""The list of commands and the handling of errors: one line and an exit code, or a traceback for bugs."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperCommand, TyperGroup

from tomopicker import __version__
from tomopicker.cli.options import with_groups
from tomopicker.errors import TomoPickerError, machine_failure
from tomopicker.wording import wrong_value

INTERRUPTED = 130

HELP = """Find the particles of one or several kinds in cryo-electron tomograms, from 1 to 100 clicks in one of them.

[bold]Example[/bold]: you clicked some ribosomes, 300 Å wide, in TS_0001; find the rest in all tomograms

  [cyan]tomopicker train TS_0001.mrc --picks clicks.star --particle-diameter 300 --output ribosome.model[/cyan]
  [cyan]tomopicker pick tomograms/ --model ribosome.model --output picks[/cyan]

RELION 5 imports picks/relion5_import.star; see [cyan]tomopicker pick --help[/cyan] for RELION 3 and 4, Warp and M.

No data at hand? [cyan]tomopicker demo[/cyan] simulates tomograms and runs every step in a few minutes."""


def help_text(text: str) -> str:
    """Join the lines of each paragraph, so that the terminal wraps them; indented lines are kept."""
    return "\n\n".join(
        paragraph if paragraph.startswith("  ") else paragraph.replace("\n", " ") for paragraph in text.split("\n\n")
    )


class WithoutTypes:
    """Help with units and choices, but without Python types such as ``<bool>``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments and options."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for each in parameters:
            if each.param_type_name == "argument":
                each.display_type_rich = lambda ctx: ""
            elif each.metavar is None:
                each.metavar = "" if each.is_flag else each.display_type_rich(ctx).strip("<>")
        return parameters


class Command(WithoutTypes, TyperCommand):
    """A command."""


class CommandList(WithoutTypes, TyperGroup):
    """The list of commands."""


app = typer.Typer(
    cls=CommandList,
    name="tomopicker",
    help=help_text(HELP),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    "studio", "train", "pick", "status", "suggest", "threshold", "report", "check", "evaluate", "export_subtomograms",
    "info", "sections", "convert", "formats", "simulate", "benchmark", "pretrain", "demo",
)  # fmt: skip
"""Modules of this package, each with a `command`; their docstrings are its help. In the order of the help."""
for name in COMMANDS:
    module = import_module(f"tomopicker.cli.{name}")
    app.command(
        name.replace("_", "-"), cls=Command, help=help_text(str(module.__doc__)),
        no_args_is_help=name not in {"demo", "formats"},
    )(with_groups(module.command))  # fmt: skip


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"tomopicker {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    try:
        code = app(args=list(arguments), prog_name="tomopicker", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        line, code = _explain(error)
        if line is None:
            raise
        if line:
            print(f"tomopicker: {line}", file=sys.stderr)
        return code
    if code == INTERRUPTED:
        print("tomopicker: stopped", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> tuple[str | None, int]:
    """Return the line and the exit code for an error; None in place of the line for bugs."""
    if isinstance(error, TomoPickerError):
        text = " ".join(str(error).split())
        return text if error.exit_code == INTERRUPTED else f"error: {text}", error.exit_code
    if isinstance(error, BrokenPipeError):
        # The reader of the output has exited; Python must not flush it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "", 1
    if failure := machine_failure(error):
        return f"error: {failure}", 1
    if callable(message := getattr(error, "format_message", None)):  # typer's own: a wrong option or value
        context, text = getattr(error, "ctx", None), " ".join(str(message()).split())
        hint = f" (see '{context.command_path} --help')" if context is not None else ""
        if isinstance(cause := error.__cause__, ValidationError):
            first = cause.errors()[0]
            text = text.replace(first["msg"], wrong_value(first["type"], first["input"], first["msg"]))
            text = text.replace("Input should", f"{first['input']} should")
        return f"error: {text}{hint}" if text else "", 2  # No line where help was shown.
    return None, 1
