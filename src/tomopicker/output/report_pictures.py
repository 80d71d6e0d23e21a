"""The pictures in the report of a folder of picks: single particles, means, and sections with circles."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd

from tomopicker.output.figures import fullest_section
from tomopicker.output.particles import as_address, cut_box, mean_box, projections, stretched
from tomopicker.output.results import FolderResults, TomogramResult
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions

SHOWN, UNCERTAIN, MEAN_OF, SLICES = 12, 18, 150, 8
"""Candidates in a row of the gallery, in that of uncertain ones, picks in the mean, and tomograms with a slice."""
SLICE_PIXELS = 560
KIND_COLOURS = ("#39d98a", "#ffb020", "#5aa9ff", "#ff6b9a", "#c58bff", "#4fd8e0")
"""Of the circles."""


Picture = dict[str, Any]
"""A picture and what stands with it, for ``picks_report.html``."""


def gallery_of(
    candidates: pd.DataFrame, opened: dict[str, Tomogram], diameters: Mapping[str, float]
) -> list[tuple[str, list[Picture]]]:
    """Draw the most probable picks, the candidates nearest to p = 0.5, and the most probable ones left out."""
    shown = candidates[candidates["tomogram"].isin(opened)]
    best_first = shown.sort_values("probability", ascending=False, kind="stable")
    groups = [
        ("The most probable", best_first[best_first["picked"]].head(SHOWN)),
        ("The most uncertain", shown.sort_values("probability", key=lambda p: (p - 0.5).abs(), kind="stable")),
        ("The most probable of those left out", best_first[~best_first["picked"]].head(SHOWN)),
    ]
    return [(title, _cards(rows.head(UNCERTAIN), opened, diameters)) for title, rows in groups if len(rows)]


def rejected_gallery(
    rejected: Picks, opened: dict[str, Tomogram], diameters: Mapping[str, float]
) -> list[tuple[str, list[Picture]]]:
    """Draw places that a person rejected; of no kind in particular, the first one's diameter is taken."""
    rows = pd.DataFrame(rejected.positions, columns=list("xyz")).assign(
        tomogram=rejected.tomograms, kind=next(iter(diameters)), probability=None
    )
    cards = _cards(rows.head(UNCERTAIN), opened, diameters)
    return [("Rejected by a person", cards)] if cards else []


def _cards(rows: pd.DataFrame, opened: dict[str, Tomogram], diameters: Mapping[str, float]) -> list[Picture]:
    cards = []
    stated = (rows[column].tolist() for column in ("tomogram", "kind", "probability"))
    for place, tomogram, kind, probability in zip(_places(rows), *stated, strict=True):
        box = cut_box(opened[tomogram], place, diameters[kind])
        if box is not None:
            called = f"{tomogram}, {kind}" if kind else tomogram
            cards.append({"picture": as_address(projections(box)), "probability": probability, "tomogram": called})
    return cards


def _places(rows: pd.DataFrame) -> Iterator[Positions]:
    """Return the position of each candidate, a row (x, y, z) in Å, as `cut_box` takes it."""
    yield from rows[["x", "y", "z"]].to_numpy()[:, None]


def mean_of(candidates: pd.DataFrame, opened: dict[str, Tomogram], kind: str, diameter: float) -> Picture | None:
    """Average the most probable picks of a kind; None without any."""
    mine = candidates[candidates["picked"] & (candidates["kind"] == kind) & candidates["tomogram"].isin(opened)]
    best = mine.sort_values("probability", ascending=False, kind="stable").head(MEAN_OF)
    given = zip(_places(best), best["tomogram"].tolist(), strict=True)
    cut = (cut_box(opened[tomogram], place, diameter) for place, tomogram in given)
    mean, count = mean_box([box for box in cut if box is not None])
    if mean is None:
        return None
    return {"kind": kind, "picture": as_address(projections(mean, slab=0.12)), "count": count}


def slices_of(results: FolderResults, opened: dict[str, Tomogram]) -> list[Picture]:
    """Draw a section of each of some tomograms, with the picks that it cuts."""
    there = [each for each in results.tomograms if each.name in opened]
    return [_slice(opened[each.name], each, results.diameters) for each in evenly(there, SLICES)]


def _slice(tomogram: Tomogram, result: TomogramResult, diameters: Mapping[str, float]) -> Picture:
    """Draw the slab that most picks lie in, y upwards; each kind's circles are its own size and colour."""
    kinds = {kind: cut.picks.positions for kind, cut in result.chosen_kinds.items()}
    positions, smallest = np.concatenate(list(kinds.values())), min(diameters.values())
    z = fullest_section(tomogram, positions, smallest)
    half = max(0, round(smallest / 4 / tomogram.voxel_size))
    slab = tomogram.slab(max(0, z - half), min(tomogram.shape[0], z + half + 1)).mean(axis=0, dtype=np.float32)
    factor = max(1, -(-max(slab.shape) // SLICE_PIXELS))
    height, width = (edge // factor for edge in slab.shape)
    small = slab[: height * factor, : width * factor].reshape(height, factor, width, factor).mean(axis=(1, 3))
    circles, colours = [], colours_of(diameters)
    for kind, own in kinds.items():
        for x, y, depth in tomogram.to_voxels(own).tolist():
            square = (diameters[kind] / 2 / tomogram.voxel_size) ** 2 - (depth - z) ** 2
            if square > 0:
                radius = math.sqrt(square) / factor
                across, down = (x + 0.5) / factor, height - (y + 0.5) / factor
                circles.append({"x": across, "y": down, "radius": radius, "colour": colours[kind]})
    shown = stretched(np.ascontiguousarray(small[::-1]))
    caption = f"section {z + 1} of {tomogram.shape[0]}, {len(circles)} of {len(positions)} picks cut by it"
    return {
        "picture": as_address(shown), "name": tomogram.name, "caption": caption, "width": width, "height": height,
        "circles": circles,
    }  # fmt: skip


def colours_of(kinds: Iterable[str]) -> dict[str, str]:
    """Return a colour for each kind, from the first on again after the last."""
    return dict(zip(kinds, cycle(KIND_COLOURS), strict=False))


def evenly(items: Sequence[TomogramResult], count: int) -> list[TomogramResult]:
    """Take so many of a list, spread over it."""
    if len(items) <= count:
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, count).round()]
