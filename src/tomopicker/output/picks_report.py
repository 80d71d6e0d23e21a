"""The report of a folder of picks: one HTML file that opens from the disk and prints."""

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from scipy.spatial import cKDTree

from tomopicker import __version__
from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.output.charts import FIRST, SECOND, THIRD, Interval, Line, bars, curves, intervals
from tomopicker.output.figures import fullest_section
from tomopicker.output.particles import as_address, cut_box, projections, stretched
from tomopicker.output.results import FolderResults, TomogramResult, read_results
from tomopicker.output.summary import Summary, summarise
from tomopicker.picking.selection import Chosen
from tomopicker.tomogram import Tomogram

REPORT = "report.html"
TEMPLATE = "picks_report.html"
SHOWN, DOUBTFUL, MEAN_OF, SLICES = 12, 18, 150, 8
"""Picks of a kind in the gallery, doubtful ones, picks in the mean, and tomograms with a slice."""
SLICE_PIXELS = 560
BINS = 40


@dataclass(frozen=True)
class Card:
    """A picture of a particle."""

    picture: str
    probability: float
    tomogram: str


@dataclass(frozen=True)
class Slice:
    """A section with circles."""

    picture: str
    name: str
    caption: str
    width: int
    height: int
    circles: list[tuple[float, float, float]]


@dataclass(frozen=True)
class Places:
    """Candidates of all tomograms as columns."""

    tomogram: np.ndarray
    positions: np.ndarray
    probability: np.ndarray
    picked: np.ndarray


def write_report(folder: Path, path: Path | None = None) -> Path:
    """Write the report of a folder that ``tomopicker pick`` wrote.

    Parameters
    ----------
    folder : Path
    path : Path, optional
        The file; ``report.html`` in the folder if left out.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TomoPickerError
        If the folder is none, or the file cannot be written. Tomograms that are gone leave their pictures out.
    """
    target = path or folder / REPORT
    results = read_results(folder)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    write_text(target, environment.get_template(TEMPLATE).render(_content(results)))
    return target


def _content(results: FolderResults) -> dict[str, Any]:
    chosen = {each.name: each.chosen for each in results.tomograms}
    summary = _summary(results, chosen)
    rows = _rows(results, chosen, summary)
    places = _places(results, chosen)
    opened, gone = _open(results)
    picks = sum(row["picks"] for row in rows)
    right = sum(cut.expected.precision * len(cut.picks) for cut in chosen.values())
    particles = sum(each.particles for each in results.tomograms)
    thresholds = [each.threshold for each in results.tomograms]
    middle = float(np.median(thresholds))
    gallery = _gallery(places, opened, results.diameter)
    mean, count = _mean(places, opened, results.diameter)
    return {
        "title": results.folder.absolute().name,
        "written": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "rows": rows,
        "summary": summary.lines if len(rows) > 1 else [],
        "failed": dict(results.failed),
        "gone": gone,
        "picks": picks,
        "particles": particles,
        "precision": right / picks if picks else None,
        "recall": min(1.0, right / particles) if particles else None,
        "diameter": results.diameter,
        "counts_chart": intervals(
            [Interval(r["name"], r["picks"], r["count"], r["unusual"] != "") for r in rows]
        ),
        "scores_chart": bars(
            np.histogram(places.probability, BINS, (0, 1))[0].tolist(), np.linspace(0, 1, BINS + 1).tolist(),
            "probability of the candidates", middle,
        ),
        "curves_chart": _expected_curves(results, middle),
        "distances_chart": _distances(places, results.diameter),
        "mean": mean,
        "mean_of": count,
        "gallery": gallery,
        "slices": _slices(results, chosen, opened),
        "settings": _settings(results),
        "warnings": list(results.record["model"].get("warnings", [])),
        "histograms": _histograms(results),
    }  # fmt: skip


def _summary(results: FolderResults, chosen: dict[str, Chosen]) -> Summary:
    """Say what the end of a run says, of the picks as they are cut now."""
    recorded = results.record["tomograms"]
    now = {
        name: {"picks": len(cut.picks), "score_median": float(np.median(cut.picks.scores)) if len(cut.picks) else None}
        for name, cut in chosen.items()
    }
    return summarise((name, entry | now.get(name, {})) for name, entry in recorded.items())


def _rows(results: FolderResults, chosen: dict[str, Chosen], summary: Summary) -> list[dict[str, Any]]:
    why = {each.tomogram: each.why for each in summary.outliers}
    rows = []
    for result in results.tomograms:
        cut = chosen[result.name]
        rows.append(
            {
                "name": result.name,
                "picks": len(cut.picks),
                "count": result.count and (result.count.estimate, result.count.low, result.count.high),
                "threshold": result.threshold,
                "precision": cut.expected.precision,
                "recall": cut.expected.recall,
                "f1": cut.expected.f1,
                "median": float(np.median(cut.picks.scores)) if len(cut.picks) else None,
                "unusual": why.get(result.name, ""),
            }
        )
    return rows


def _places(results: FolderResults, chosen: dict[str, Chosen]) -> Places:
    parts = [each.candidates for each in results.tomograms]
    picked = [each.candidates.scores > chosen[each.name].threshold for each in results.tomograms]
    return Places(
        np.concatenate([part.tomograms for part in parts]),
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate(picked),
    )


def _open(results: FolderResults) -> tuple[dict[str, Tomogram], list[str]]:
    """Open the tomograms; say of which there can be no pictures, and why."""
    opened, gone = {}, []
    for result in results.tomograms:
        try:
            opened[result.name] = results.open(result)
        except TomoPickerError as error:
            gone.append(str(error))
    return opened, gone


def _gallery(places: Places, opened: dict[str, Tomogram], diameter: float) -> list[tuple[str, list[Card]]]:
    """Draw the best picks, the most doubtful candidates, and the most probable ones that were left out."""
    p, picked = places.probability, places.picked
    there = np.array([name in opened for name in places.tomogram], dtype=bool)
    best = [int(i) for i in np.argsort(-p, kind="stable") if picked[i] and there[i]][:SHOWN]
    doubtful = [int(i) for i in np.argsort(np.abs(p - 0.5), kind="stable") if there[i]][:DOUBTFUL]
    left_out = [int(i) for i in np.argsort(-p, kind="stable") if not picked[i] and there[i]][:SHOWN]
    groups = [
        ("The most probable", best),
        ("The most doubtful", doubtful),
        ("The most probable of those left out", left_out),
    ]
    return [(title, _cards(rows, places, opened, diameter)) for title, rows in groups if rows]


def _cards(rows: Sequence[int], places: Places, opened: dict[str, Tomogram], diameter: float) -> list[Card]:
    cards = []
    for row in rows:
        name = str(places.tomogram[row])
        box = cut_box(opened[name], places.positions[row : row + 1], diameter)
        if box is not None:
            cards.append(Card(as_address(projections(box)), float(places.probability[row]), name))
    return cards


def _mean(places: Places, opened: dict[str, Tomogram], diameter: float) -> tuple[str | None, int]:
    """Average the most probable picks."""
    order = [
        i for i in np.argsort(-places.probability, kind="stable") if places.picked[i] and places.tomogram[i] in opened
    ]
    boxes = [
        box
        for i in order[:MEAN_OF]
        if (box := cut_box(opened[str(places.tomogram[i])], places.positions[i : i + 1], diameter)) is not None
    ]
    same = [box for box in boxes if box.shape == boxes[0].shape]
    if not same:
        return None, 0
    return as_address(projections(np.stack(same).mean(axis=0, dtype=np.float32), slab=0.12)), len(same)


def _expected_curves(results: FolderResults, mark: float) -> Markup:
    """Draw expected precision, recall and F1 of all tomograms over a common threshold."""
    p = np.sort(np.concatenate([each.candidates.scores for each in results.tomograms]))[::-1]
    particles = sum(each.particles for each in results.tomograms)
    thresholds = np.linspace(0.01, 0.99, 99)
    kept = np.array([int((p > threshold).sum()) for threshold in thresholds])
    right = np.concatenate([[0.0], np.cumsum(p)])[kept]
    precision = np.divide(right, kept, out=np.ones(len(kept)), where=kept > 0)
    recall = np.clip(right / particles, 0, 1) if particles else np.zeros(len(kept))
    f1 = np.divide(2 * right, kept + particles, out=np.zeros(len(kept)), where=kept + particles > 0)
    x = thresholds.tolist()
    lines = [
        Line("precision", x, precision.tolist(), SECOND), Line("recall", x, recall.tolist(), THIRD),
        Line("F1", x, np.clip(f1, 0, 1).tolist(), FIRST),
    ]  # fmt: skip
    return curves(lines, "threshold of the probability", mark)


def _distances(places: Places, diameter: float) -> Markup:
    """Draw how far each pick's nearest neighbour is, up to six diameters."""
    found: list[float] = []
    for name in dict.fromkeys(places.tomogram.tolist()):
        rows = places.positions[(places.tomogram == name) & places.picked]
        if len(rows) > 1:
            found += np.asarray(cKDTree(rows).query(rows, k=2)[0])[:, 1].tolist()
    edges = np.linspace(0, 6 * diameter, BINS + 1)
    counts = np.histogram(np.clip(found, 0, edges[-1] - 1e-6), edges)[0]
    return bars(
        counts.tolist(), edges.tolist(), "distance of the nearest pick, Å (line: the diameter)", diameter, False
    )


def _histograms(results: FolderResults) -> list[tuple[str, Markup]]:
    """Draw the scores of single tomograms, of at most as many as there are slices."""
    return [
        (
            each.name,
            bars(
                np.histogram(each.candidates.scores, BINS // 2, (0, 1))[0].tolist(),
                np.linspace(0, 1, BINS // 2 + 1).tolist(), "probability", each.threshold,
            ),
        )
        for each in _evenly(results.tomograms, SLICES)
    ]  # fmt: skip


def _slices(results: FolderResults, chosen: dict[str, Chosen], opened: dict[str, Tomogram]) -> list[Slice]:
    there = [each for each in results.tomograms if each.name in opened]
    return [_slice(opened[each.name], chosen[each.name], results.diameter) for each in _evenly(there, SLICES)]


def _slice(tomogram: Tomogram, cut: Chosen, diameter: float) -> Slice:
    """Draw the slab that most picks lie in, y upwards."""
    positions = cut.picks.positions
    z = fullest_section(tomogram, positions, diameter)
    half = max(0, round(diameter / 4 / tomogram.voxel_size))
    slab = tomogram.slab(max(0, z - half), min(tomogram.shape[0], z + half + 1)).mean(axis=0, dtype=np.float32)
    factor = max(1, -(-max(slab.shape) // SLICE_PIXELS))
    height, width = (edge // factor for edge in slab.shape)
    small = slab[: height * factor, : width * factor].reshape(height, factor, width, factor).mean(axis=(1, 3))
    circles = []
    for x, y, depth in tomogram.to_voxels(positions).tolist():
        square = (diameter / 2 / tomogram.voxel_size) ** 2 - (depth - z) ** 2
        if square > 0:
            circles.append(((x + 0.5) / factor, height - (y + 0.5) / factor, math.sqrt(square) / factor))
    shown = stretched(np.ascontiguousarray(small[::-1]))
    caption = f"section {z + 1} of {tomogram.shape[0]}, {len(circles)} of {len(positions)} picks cut by it"
    return Slice(as_address(shown), tomogram.name, caption, width, height, circles)


def _evenly(items: Sequence[TomogramResult], count: int) -> list[TomogramResult]:
    """Take so many of a list, spread over it."""
    if len(items) <= count:
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, count).round()]


def _settings(results: FolderResults) -> list[tuple[str, str]]:
    model, asked = results.record["model"], results.record["settings"]
    rows = [
        ("model", str(model.get("file"))), ("model, SHA-256", str(model.get("sha256"))),
        ("picked with", f"TomoPicker {results.record.get('tomopicker', '?')}"),
        ("particle diameter", f"{results.diameter:g} Å"),
        ("working voxel size", f"{model['voxel_size_angstrom']:.4g} Å"),
        ("preset", str(model["settings"].get("preset", "–"))),
    ]  # fmt: skip
    return rows + [(name.replace("_", " "), str(value)) for name, value in asked.items() if value is not None]
