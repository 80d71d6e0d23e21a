"""Write the table of settings in docs/commands/simulate.md anew from the simulator; a test holds them together.

Run it after a change of a setting: ``python docs/simulation.py``.
"""

from pathlib import Path

from pydantic_core import PydanticUndefined

from tomopicker.report.tables import markdown_table
from tomopicker.simulate.settings import setting_fields

PAGE = Path(__file__).parent / "commands" / "simulate.md"
START, END = "<!-- settings: written by docs/simulation.py -->\n", "<!-- /settings -->"


def table() -> str:
    """Lay out every setting that --set takes, with its default and description."""
    rows = [[f"`{name}`", _said(field.default), field.description or ""] for name, field in setting_fields().items()]
    return markdown_table(["Setting", "default", ""], rows, left=3)


def _said(value: object) -> str:
    if value is PydanticUndefined:
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
