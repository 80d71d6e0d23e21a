"""Write the table of settings in docs/commands/simulate.md anew from the simulator; a test holds them together.

Run it after a change of a setting: ``python docs/simulation.py``.
"""

import inspect
from dataclasses import MISSING, fields
from pathlib import Path

from tomopicker.report.tables import markdown_table
from tomopicker.simulate import ImagingSettings, SceneSettings
from tomopicker.simulate.changes import ARGUMENTS

PAGE = Path(__file__).parent / "commands" / "simulate.md"
START, END = "<!-- settings: written by docs/simulation.py -->\n", "<!-- /settings -->"


def table() -> str:
    """Lay out every setting that --set takes, in the words of the docstrings."""
    rows = []
    for group, kind in (("scene", SceneSettings), ("imaging", ImagingSettings)):
        meanings = _meanings(kind)
        for field in fields(kind):
            name = f"{group}.{field.name}"
            if name not in ARGUMENTS:
                rows.append([f"`{name}`", _said(field.default), meanings.get(field.name, "")])
    return markdown_table(["Setting", "default", ""], rows, left=3)


def _meanings(kind: type) -> dict[str, str]:
    """Read the Attributes of a docstring: what is said of several names stands at the first."""
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


def _said(value: object) -> str:
    if value is MISSING:
        return "the preset's"
    if value is None:
        return "none"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def renewed(page: str) -> str:
    """Give the page with the table of now."""
    before, _, rest = page.partition(START)
    return f"{before}{START}{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
