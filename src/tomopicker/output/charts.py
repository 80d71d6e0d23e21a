"""Charts for a page of one file: plain SVG that prints, with text as text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

WIDTH, HEIGHT, LEFT, BOTTOM = 460, 200, 44, 34
INK, GRID, FIRST, SECOND, THIRD, GREY = "#25303a", "#dde3e8", "#168a5b", "#2f6fb3", "#c0562b", "#aab4bf"


@dataclass(frozen=True)
class Line:
    """A curve of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str


def bars(
    counts: Sequence[int], edges: Sequence[float], title: str, mark: float | None = None, grey_below: bool = True
) -> Markup:
    """Draw a histogram.

    Parameters
    ----------
    counts, edges : sequence
        Of n bins, and their n + 1 borders.
    title : str
        Of the axis below.
    mark : float, optional
        Where a line is drawn.
    grey_below : bool
        Whether bins below the line are grey.
    """
    most = max([1, *counts])
    across, up = _scale(edges[0], edges[-1]), _height(most)
    parts = [_axes(title, edges[0], edges[-1], most)]
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        colour = GREY if mark is not None and grey_below and (low + high) / 2 < mark else FIRST
        x, wide = across(low), across(high) - across(low)
        tall = HEIGHT - BOTTOM - up(count)
        parts.append(f'<rect x="{x + 0.5:.1f}" y="{up(count):.1f}" width="{max(0.5, wide - 1):.1f}" '
                     f'height="{tall:.1f}" fill="{colour}"/>')  # fmt: skip
    if mark is not None:
        parts.append(_line(across(mark), 8, across(mark), HEIGHT - BOTTOM, THIRD, 1.5))
    return _svg(parts, title)


def curves(lines: Sequence[Line], title: str, mark: float | None = None) -> Markup:
    """Draw curves from 0 to 1 over 0 to 1, with a key."""
    across, up = _scale(0, 1), _height(1)
    parts = [_axes(title, 0, 1, 1)]
    for i, line in enumerate(lines):
        points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(line.x, line.y, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="2"/>')
        parts.append(_text(LEFT + 8 + 90 * i, 12, line.name, colour=line.colour))
    if mark is not None:
        parts.append(_line(across(mark), 18, across(mark), HEIGHT - BOTTOM, GREY, 1))
    return _svg(parts, title)


@dataclass(frozen=True)
class Interval:
    """A row of a chart of counts."""

    name: str
    picks: int
    count: tuple[float, float, float] | None
    is_unusual: bool


def intervals(rows: Sequence[Interval]) -> Markup:
    """Draw for each tomogram the number of picks, and the number of particles with its interval."""
    most = max([1.0, *(row.picks for row in rows), *(row.count[2] for row in rows if row.count)])
    name_width, step = 190, 18
    width, height = 760, step * len(rows) + 40

    def across(value: float) -> float:
        return name_width + (width - name_width - 20) * value / most

    parts = []
    for tick in _ticks(most):
        parts.append(_line(across(tick), 8, across(tick), height - 26, GRID, 1))
        parts.append(_text(across(tick), height - 12, f"{tick:g}", "middle"))
    for i, row in enumerate(rows):
        y = 18 + i * step
        colour = THIRD if row.is_unusual else INK
        parts.append(_text(name_width - 8, y + 4, _shortened(row.name), "end", colour))
        if row.count is not None:
            estimate, low, high = row.count
            parts.append(_line(across(low), y, across(high), y, SECOND, 2))
            parts.append(f'<circle cx="{across(estimate):.1f}" cy="{y}" r="3.5" fill="white" stroke="{SECOND}" '
                         'stroke-width="1.5"/>')  # fmt: skip
        x = across(row.picks)
        parts.append(f'<rect x="{x - 3.5:.1f}" y="{y - 3.5}" width="7" height="7" fill="{FIRST}"/>')
    body = Markup("").join(Markup(part) for part in parts)
    return Markup('<svg viewBox="0 0 {} {}" class="wide" role="img" aria-label="counts by tomogram">{}</svg>').format(
        width, height, body
    )


def _svg(parts: Sequence[str], title: str) -> Markup:
    body = Markup("").join(Markup(part) for part in parts)
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(WIDTH, HEIGHT, title, body)


def _axes(title: str, low: float, high: float, most: float) -> str:
    across, up = _scale(low, high), _height(most)
    parts = []
    for tick in _ticks(most):
        parts += [
            _line(LEFT, up(tick), WIDTH - 10, up(tick), GRID, 1),
            _text(LEFT - 6, up(tick) + 4, f"{tick:g}", "end"),
        ]
    for tick, anchor in ((low, "start"), ((low + high) / 2, "middle"), (high, "end")):
        parts.append(_text(across(tick), HEIGHT - BOTTOM + 14, f"{tick:.4g}", anchor))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 4, title, "middle"))
    return "".join(parts)


def _scale(low: float, high: float):  # type: ignore[no-untyped-def]
    return lambda value: LEFT + (WIDTH - LEFT - 10) * (value - low) / ((high - low) or 1)


def _height(most: float):  # type: ignore[no-untyped-def]
    return lambda value: HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 18) * value / most


def _ticks(most: float) -> list[float]:
    step = 10 ** np.floor(np.log10(most))
    step = next(size for size in (step / 5, step / 2, step, 2 * step) if most / size <= 6)
    return [float(round(i * step, 10)) for i in range(int(most / step) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _shortened(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:14]}…{name[-12:]}"
