"""Pictures in the report of a folder of picks: single particles, means, sections with circles, and charts."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tomopicker.output.figures import fullest_section
from tomopicker.output.particles import as_data_url, cut_box, mean_box, projections, stretch_contrast
from tomopicker.output.results import FolderResults, TomogramResult
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions

N_BEST, N_UNCERTAIN, N_AVERAGED, N_SLICES = 12, 18, 150, 8
"""Maximum numbers of best and of uncertain candidates in the gallery, of picks in a mean, of tomograms with a slice."""
MAX_SLICE_PIXELS = 560
KIND_COLOURS = ("#39d98a", "#ffb020", "#5aa9ff", "#ff6b9a", "#c58bff", "#4fd8e0")
"""Colours of the kinds' circles."""


Picture = dict[str, Any]
"""A picture and its caption, for ``picks_report.html``."""


def gallery_of(
    candidates: pd.DataFrame, opened: dict[str, Tomogram], diameters: Mapping[str, float]
) -> list[tuple[str, list[Picture]]]:
    """Draw the most probable picks, the candidates nearest to p = 0.5, and the most probable ones left out."""
    shown = candidates[candidates["tomogram"].isin(opened)]
    best_first = shown.sort_values("probability", ascending=False, kind="stable")
    uncertain_first = shown.sort_values("probability", key=lambda p: (p - 0.5).abs(), kind="stable")
    groups = {
        "The most probable": best_first[best_first["picked"]].head(N_BEST),
        "The most uncertain": uncertain_first.head(N_UNCERTAIN),
        "The most probable of those left out": best_first[~best_first["picked"]].head(N_BEST),
    }
    return [(title, _cards(rows, opened, diameters)) for title, rows in groups.items() if len(rows)]


def rejected_gallery(
    rejected: Picks, opened: dict[str, Tomogram], diameters: Mapping[str, float]
) -> list[tuple[str, list[Picture]]]:
    """Draw positions that a person rejected, with the diameter of the first kind."""
    rows = pd.DataFrame(rejected.positions, columns=list("xyz")).assign(
        tomogram=rejected.tomograms, kind=next(iter(diameters)), probability=None
    )
    cards = _cards(rows.head(N_UNCERTAIN), opened, diameters)
    return [("Rejected by a person", cards)] if cards else []


def _cards(rows: pd.DataFrame, opened: dict[str, Tomogram], diameters: Mapping[str, float]) -> list[Picture]:
    cards = []
    columns = (rows[column].tolist() for column in ("tomogram", "kind", "probability"))
    for position, tomogram, kind, probability in zip(_positions(rows), *columns, strict=True):
        box = cut_box(opened[tomogram], position, diameters[kind])
        if box is not None:
            caption = f"{tomogram}, {kind}" if kind else tomogram
            cards.append({"picture": as_data_url(projections(box)), "probability": probability, "tomogram": caption})
    return cards


def _positions(rows: pd.DataFrame) -> Iterator[Positions]:
    """Yield the position of each candidate, one row (x, y, z) in Å, as for `cut_box`."""
    yield from rows[["x", "y", "z"]].to_numpy()[:, None]


def mean_of(candidates: pd.DataFrame, opened: dict[str, Tomogram], kind: str, diameter: float) -> Picture | None:
    """Average the most probable picks of a kind; None without any."""
    picks = candidates[candidates["picked"] & (candidates["kind"] == kind) & candidates["tomogram"].isin(opened)]
    best = picks.sort_values("probability", ascending=False, kind="stable").head(N_AVERAGED)
    places = zip(_positions(best), best["tomogram"].tolist(), strict=True)
    boxes = (cut_box(opened[tomogram], position, diameter) for position, tomogram in places)
    mean, count = mean_box([box for box in boxes if box is not None])
    if mean is None:
        return None
    return {"kind": kind, "picture": as_data_url(projections(mean, slab=0.12)), "count": count}


def slices_of(results: FolderResults, opened: dict[str, Tomogram]) -> list[Picture]:
    """Draw a section of some of the tomograms, with the picks that it cuts."""
    available = [result for result in results.tomograms if result.name in opened]
    return [_slice(opened[result.name], result, results.diameters) for result in evenly_spaced(available, N_SLICES)]


def _slice(tomogram: Tomogram, result: TomogramResult, diameters: Mapping[str, float]) -> Picture:
    """Draw the slab with most picks, y upwards; circles have the diameter and colour of their kind."""
    kinds = {kind: selected.picks.positions for kind, selected in result.selected_kinds.items()}
    positions, smallest = np.concatenate(list(kinds.values())), min(diameters.values())
    z = fullest_section(tomogram, positions, smallest)
    half = max(0, round(smallest / 4 / tomogram.voxel_size))
    slab = tomogram.slab(max(0, z - half), min(tomogram.shape[0], z + half + 1)).mean(axis=0, dtype=np.float32)
    factor = max(1, -(-max(slab.shape) // MAX_SLICE_PIXELS))
    height, width = (edge // factor for edge in slab.shape)
    picture = slab[: height * factor, : width * factor].reshape(height, factor, width, factor).mean(axis=(1, 3))
    circles, colours = [], colours_of(diameters)
    for kind, own in kinds.items():
        for x, y, depth in tomogram.to_voxels(own).tolist():
            square = (diameters[kind] / 2 / tomogram.voxel_size) ** 2 - (depth - z) ** 2
            if square > 0:
                across, down = (x + 0.5) / factor, height - (y + 0.5) / factor
                circles.append({"x": across, "y": down, "radius": math.sqrt(square) / factor, "colour": colours[kind]})
    caption = f"section {z + 1} of {tomogram.shape[0]}, {len(circles)} of {len(positions)} picks cut by it"
    return {
        "picture": as_data_url(stretch_contrast(np.ascontiguousarray(picture[::-1]))), "name": tomogram.name,
        "caption": caption, "width": width, "height": height, "circles": circles,
    }  # fmt: skip


def colours_of(kinds: Iterable[str]) -> dict[str, str]:
    """Return a colour for each kind, repeating them if there are more kinds."""
    return dict(zip(kinds, cycle(KIND_COLOURS), strict=False))


def evenly_spaced(results: Sequence[TomogramResult], count: int) -> list[TomogramResult]:
    """Return at most `count` results, spread over all of them."""
    if len(results) <= count:
        return list(results)
    return [results[i] for i in np.linspace(0, len(results) - 1, count).round().astype(int)]


@dataclass(frozen=True)
class Axes:
    """A chart in pixels: values from `low` to `high` from left to right, from 0 to `most` upwards."""

    low: float
    high: float
    most: float
    width: int = 460
    height: int = 200
    left: int = 44
    right: int = 10

    @property
    def bottom(self) -> int:
        """Position of the horizontal axis."""
        return self.height - 34

    @property
    def ticks(self) -> list[float]:
        """At most seven round values from 0 to `most`."""
        step = 10 ** np.floor(np.log10(self.most))
        step = next(size for size in (step / 5, step / 2, step, 2 * step) if self.most / size <= 6)
        return [float(round(i * step, 10)) for i in range(int(self.most / step) + 1)]

    def across(self, value: float) -> float:
        """Return the horizontal position of a value."""
        return self.left + (self.width - self.left - self.right) * (value - self.low) / ((self.high - self.low) or 1)

    def up(self, value: float) -> float:
        """Return the vertical position of a value, from the top."""
        return self.bottom - (self.bottom - 18) * value / self.most


@dataclass(frozen=True)
class Histogram:
    """A histogram: the edges and the count of each bin."""

    axes: Axes
    bins: list[tuple[float, float, int]]

    @classmethod
    def of(cls, values: ArrayLike, high: float, bins: int) -> "Histogram":
        """Count values from 0 to `high` in bins of equal width."""
        edges = np.linspace(0, high, bins + 1)
        counts = np.histogram(values, edges)[0].tolist()
        axes = Axes(0, high, max([1, *counts]))
        return cls(axes, list(zip(edges[:-1].tolist(), edges[1:].tolist(), counts, strict=True)))
