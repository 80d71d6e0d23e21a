"""Review of the picks of a finished job: the effect of another threshold, and single picks in an order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int64

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.output.layout import RECORD
from tomopicker.output.summary import SCORE, unusual
from tomopicker.picks import Picks
from tomopicker.studio.engine import Found
from tomopicker.studio.points import Points, positions

if TYPE_CHECKING:  # torch, behind it, would double the time that the server takes to start.
    from tomopicker.output.results import FolderResults, TomogramResult

Order = Literal["doubt", "best", "worst", "tomogram"]
ORDERS: tuple[Order, ...] = get_args(Order)
NEAR = 0.3
"""Particle diameters within which a pick and a point are one."""
BINS = 40


@dataclass(frozen=True)
class Reviewed:
    """Picks that are reviewed: those of a finished job, or instant picks.

    Parameters
    ----------
    tomograms : tuple of TomogramResult
    diameter : float
        Of the particle, Å.
    failed : mapping of str to str
        Tomograms that could not be picked, and why.
    folder : Path or None
        Where they are; None: instant picks, which are in no folder.
    """

    tomograms: "tuple[TomogramResult, ...]"
    diameter: float
    failed: Mapping[str, str]
    folder: Path | None


def of_job(results: "FolderResults") -> Reviewed:
    """Return what is reviewed of a folder of picks."""
    return Reviewed(results.tomograms, results.diameter, results.failed, results.folder)


def of_instant(found: Mapping[str, Found], frames: Mapping[str, Frame], diameter: float) -> Reviewed:
    """Return what is reviewed of instant picks of some tomograms, in the order of the frames."""
    from tomopicker.output.results import KindResult, TomogramResult  # noqa: PLC0415

    tomograms = []
    for name, frame in frames.items():
        each = found[name]
        whole = KindResult(each.threshold, each.expected.particles, each.count)
        tomograms.append(TomogramResult(name, frame, each.candidates, whole, {"": whole}))
    return Reviewed(tuple(tomograms), diameter, {}, None)


@dataclass
class Reviews:
    """Folders of picks of the project's kinds; read again when a job has written them."""

    folder: Path
    _read: "dict[str, tuple[int, FolderResults]]" = field(default_factory=dict)

    def path(self, kind: str) -> Path:
        """Return the folder of a kind's picks."""
        return self.folder / kind

    def results(self, kind: str) -> "FolderResults | None":
        """Return the picks of a kind; None if nothing was picked yet."""
        record = self.path(kind) / RECORD
        try:
            written = record.stat().st_mtime_ns
        except OSError:
            return None
        from tomopicker.output.results import read_results  # noqa: PLC0415

        known = self._read.get(kind)
        if known is None or known[0] != written:
            try:
                self._read[kind] = written, read_results(self.path(kind))
            except TomoPickerError:
                if known is None:
                    return None  # Of a job that has just begun.
                return known[1]
        return self._read[kind][1]


def rows(results: Reviewed, threshold: float | None) -> list[dict[str, Any]]:
    """Describe each tomogram's picks at a threshold; at its own where none is stated."""
    chosen = [each.chosen if threshold is None else each.at(threshold) for each in results.tomograms]
    medians = [float(np.median(each.picks.scores)) if len(each.picks) else float("nan") for each in chosen]
    far = unusual([len(each.picks) for each in chosen]) | unusual(medians, SCORE)
    return [
        {
            "tomogram": result.name,
            "picks": len(cut.picks),
            "was": len(result.chosen.picks),
            "candidates": len(result.candidates),
            "threshold": cut.threshold,
            "count": (count := result.whole.count) and [count.estimate, count.low, count.high],
            "precision": cut.expected.precision,
            "recall": cut.expected.recall,
            "f1": cut.expected.f1,
            "median": None if np.isnan(median) else median,
            "unusual": bool(strange),
        }
        for result, cut, median, strange in zip(results.tomograms, chosen, medians, far.tolist(), strict=True)
    ]


def histogram(results: Reviewed) -> list[int]:
    """Count the candidates of all tomograms by their probability, in `BINS` bins from 0 to 1."""
    scores = np.concatenate([each.candidates.scores for each in results.tomograms])
    counted: list[int] = np.histogram(scores, BINS, (0, 1))[0].tolist()
    return counted


@dataclass(frozen=True)
class Item:
    """A candidate in the gallery.

    Parameters
    ----------
    tomogram : str
    position : tuple of float
        (x, y, z) in Å.
    probability : float
    answer : str
        ``particle`` or ``negative``: the label of a point near it; else empty.
    picked : bool
        Whether it is above its tomogram's threshold.
    """

    tomogram: str
    position: tuple[float, float, float]
    probability: float
    answer: str
    picked: bool


def gallery(results: Reviewed, points: Mapping[str, Points], order: Order) -> list[Item]:
    """List every candidate in an order: most doubtful first, best first, worst pick first, or by tomogram."""
    items = [item for result in results.tomograms for item in _items(result, points, results.diameter)]
    if order == "doubt":
        items.sort(key=lambda item: abs(item.probability - 0.5))
    elif order == "best":
        items.sort(key=lambda item: -item.probability)
    elif order == "worst":
        items = sorted((item for item in items if item.picked), key=lambda item: item.probability)
    return items


def final_picks(name: str, chosen: Picks, points: Points, diameter: float) -> Picks:
    """Return the picks of a tomogram after review: without those rejected, with those accepted and clicked."""
    answers = answers_near(chosen.positions, points, NEAR * diameter)
    kept = chosen.select(np.array([answer != "negative" for answer in answers], dtype=bool))
    particles = positions(points, "particle")
    new = particles[_nearest(particles, kept.positions)[0] > NEAR * diameter]
    return Picks.concatenate([kept, Picks.of(name, new, np.ones(len(new)))])


def answers_near(places: Float[np.ndarray, "n 3"], points: Points, within: float) -> list[str]:
    """Give each place the label of the point nearest to it, or nothing where none is within so many Å."""
    distances, nearest = (each.tolist() for each in _nearest(places, positions(points)))
    return [points[i].label if d <= within else "" for d, i in zip(distances, nearest, strict=True)]


def _items(result: "TomogramResult", points: Mapping[str, Points], diameter: float) -> list[Item]:
    candidates = result.candidates
    answers = answers_near(candidates.positions, points.get(result.name, ()), NEAR * diameter)
    return [
        Item(result.name, (x, y, z), probability, answer, probability > result.whole.threshold)
        for (x, y, z), probability, answer in zip(
            candidates.positions.round(3).tolist(), candidates.scores.tolist(), answers, strict=True
        )
    ]


def _nearest(
    places: Float[np.ndarray, "n 3"], others: Float[np.ndarray, "m 3"]
) -> tuple[Float[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Give each place the distance to the nearest of others, infinite where there is none, and its index."""
    if not len(places) or not len(others):
        return np.full(len(places), np.inf), np.zeros(len(places), dtype=np.int64)
    from scipy.spatial import cKDTree  # noqa: PLC0415  (slow to import)

    distances, nearest = cKDTree(others).query(places)
    return np.asarray(distances), np.asarray(nearest, dtype=np.int64)
