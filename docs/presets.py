"""Write the table of presets in docs/method.md anew from `tomopicker.presets.PRESETS`; a test holds the two together.

Run it after a change of a preset: ``python docs/presets.py``.
"""

from pathlib import Path

from tomopicker.presets import PRESETS
from tomopicker.report.tables import markdown_table

PAGE = Path(__file__).with_name("method.md")
START, END = "<!-- presets: written by docs/presets.py -->\n", "<!-- /presets -->"


def table() -> str:
    """Lay out every setting of the default and the paper's preset; the others are the default but for a few."""
    rows = []
    for section, knobs in PRESETS["default"].items():
        for knob, value in knobs.items():
            rows.append([f"`{section}.{knob}`", _said(value), _said(PRESETS["paper"][section][knob])])
    return markdown_table(["Setting", "default", "paper"], rows, left=3)


def _said(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def renewed(page: str) -> str:
    """Give the page with the table of now."""
    before, _, rest = page.partition(START)
    return f"{before}{START}{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
