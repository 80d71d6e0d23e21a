"""Write the table in docs/formats.md from the registry, and draw docs/images/frames.svg; a test holds the table.

Run it after a change of the registry: ``python docs/formats.py``.
"""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tomopicker.formats.catalogue import FORMATS
from tomopicker.report.tables import markdown_table
from tomopicker.report.terminal import access

PAGE = Path(__file__).with_name("formats.md")
PICTURE = Path(__file__).with_name("images") / "frames.svg"
START, END = "<!-- formats: written by docs/formats.py -->\n", "<!-- /formats -->"
SIZE, LEFT, STEP = 5, -0.75, 0.62
BLUE, ORANGE, GREY = "#1f5fa8", "#c8591a", "#8a8a8a"


def table() -> str:
    """Lay out every format of picks."""
    rows = []
    for entry in sorted(FORMATS, key=lambda entry: entry.name):
        if entry.kind == "picks":
            files = " ".join(f"`{suffix}`" for suffix in entry.suffixes)
            one = "one" if entry.single else "any"
            holds = entry.title.replace("<", "&lt;")
            rows.append([f"`{entry.name}`", files, holds, access(entry), one, entry.unit, entry.origin, entry.score,
                         entry.angles])  # fmt: skip
    columns = ["Name", "Files", "Holds", "", "Tomograms", "Unit", "Zero", "Score", "Angles"]
    return markdown_table(columns, rows, left=len(columns))


def renewed(page: str) -> str:
    """Give the page with the table of now."""
    before, _, rest = page.partition(START)
    return f"{before}{START}{table()}\n{END}{rest.partition(END)[2]}"


def draw(path: Path) -> None:
    """Draw one row of five voxels along x, and below it what each convention calls their centres."""
    figure = Figure(figsize=(9.2, 5.2))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    _voxels(axes)
    scales = [
        ("TomoPicker, Warp, RELION 3 and 4, crYOLO (z),\nPyTom, DeepETPicker, napari, ChimeraX (Å)", "0 1 2 3 4", 0.0),
        ("Dynamo, EM motive list, STOPGAP", "1 2 3 4 5", None),
        ("IMOD model: x and y", "0.5 1.5 2.5 3.5 4.5", -0.5),
        ("IMOD model: z", "0 1 2 3 4", 0.0),
        ("RELION 5, centred: × voxel size, in Å", "−2.5 −1.5 −0.5 0.5 1.5", 2.5),
        ("EMAN2: × binning, in unbinned pixels", "−2 −1 0 1 2", 2.0),
    ]
    for row, (name, words, zero) in enumerate(scales):
        y = -0.25 - STEP * row
        axes.text(LEFT, y, name, ha="right", va="center", fontsize=10)
        axes.plot([-0.5, SIZE - 0.5], [y - 0.16] * 2, color=GREY, lw=0.8)
        for x, word in enumerate(words.split()):
            axes.plot([x, x], [y - 0.16, y - 0.08], color=GREY, lw=0.8)
            axes.text(x, y + 0.02, word, ha="center", va="center", fontsize=11)
        if zero is not None:
            axes.plot([zero], [y - 0.16], marker="^", color=ORANGE, ms=8, clip_on=False)
    _box(axes, -0.25 - STEP * len(scales))
    axes.set(xlim=(-5.05, SIZE - 0.2), ylim=(-0.75 - STEP * (len(scales) + 0.35), 1.75))
    axes.set_axis_off()
    with mpl.rc_context({"svg.hashsalt": "frames", "svg.fonttype": "path"}):
        figure.savefig(path, metadata={"Date": None})


def _voxels(axes: Axes) -> None:
    for x in range(SIZE):
        axes.fill([x - 0.5, x + 0.5, x + 0.5, x - 0.5], [0.3, 0.3, 1.0, 1.0], fc="#e8eef6", ec=BLUE, lw=1.2)
        axes.plot([x], [0.65], marker="o", color=BLUE, ms=5)
    for pixel in range(2 * SIZE + 1):
        axes.plot([pixel / 2 - 0.5] * 2, [1.0, 1.18], color=GREY, lw=0.8)
    axes.text(LEFT, 0.65, "voxels of the tomogram, size 5", ha="right", va="center", fontsize=10, color=BLUE)
    axes.text(LEFT, 1.1, "pixels of the tilt series, binning 2", ha="right", va="center", fontsize=10, color=GREY)
    for voxel in range(SIZE):
        axes.text(voxel - 0.25, 1.3, str(2 * voxel), ha="center", va="center", fontsize=9, color=GREY)
    axes.text(LEFT, 1.5, "▲  zero", ha="right", va="center", fontsize=10, color=ORANGE)


def _box(axes: Axes, y: float) -> None:
    """A box of crYOLO, two voxels wide around voxel 2: what is stated is where it begins."""
    name = "crYOLO: x and y are the corner\nof the box, the particle is its middle"
    axes.text(LEFT, y, name, ha="right", va="center", fontsize=10)
    axes.fill([1, 3, 3, 1], [y - 0.2, y - 0.2, y + 0.2, y + 0.2], fc="#fdf1e8", ec=ORANGE, lw=1.2)
    axes.plot([2], [y], marker="o", color=BLUE, ms=5)
    axes.plot([1], [y - 0.2], marker="o", color=ORANGE, ms=5)
    axes.text(0.9, y - 0.18, "CoordinateX = 1", ha="right", va="center", fontsize=10, color=ORANGE)
    axes.text(3.1, y, "Width = 2", ha="left", va="center", fontsize=10, color=ORANGE)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw(PICTURE)
