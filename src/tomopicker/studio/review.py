"""Review of picks: the effect of another threshold, and single picks in an order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.output.layout import RECORD
from tomopicker.output.summary import SCORE, unusual
from tomopicker.picks import Picks
from tomopicker.studio.points import Points, nearest, positions
from tomopicker.types import Positions

if TYPE_CHECKING:  # torch, behind these, would double the time that the server takes to start.
    from tomopicker.output.results import FolderResults, TomogramResult
    from tomopicker.pipeline.picked import Picked

Order = Literal["doubt", "best", "worst", "tomogram"]
MATCH_FRACTION = 0.3
"""A point labels a pick within this fraction of the particle diameter."""
N_BINS = 40


@dataclass
class Reviews:
    """Folders of picks of the project's kinds, read again when a job has written them."""

    folder: Path
    _read: "dict[str, tuple[int, FolderResults]]" = field(default_factory=dict)

    def path(self, kind: str) -> Path:
        """Return the folder of a kind's picks."""
        return self.folder / kind

    def results(self, kind: str) -> "FolderResults | None":
        """Return the picks of a kind; None if nothing was picked yet."""
        try:
            modified = (self.path(kind) / RECORD).stat().st_mtime_ns
        except OSError:
            return None
        from tomopicker.output.results import read_results  # noqa: PLC0415

        if kind not in self._read or self._read[kind][0] != modified:
            try:
                self._read[kind] = modified, read_results(self.path(kind))
            except TomoPickerError:  # A job has just begun: earlier results, if any.
                return self._read[kind][1] if kind in self._read else None
        return self._read[kind][1]


def instant_results(picked: "Mapping[str, Picked]", frames: Mapping[str, Frame]) -> "tuple[TomogramResult, ...]":
    """Return the instant picks of tomograms, in the order of the frames, as results of a job."""
    from tomopicker.output.results import KindResult, TomogramResult  # noqa: PLC0415

    results = []
    for name, frame in frames.items():
        own = picked[name]
        whole = KindResult(own.threshold, own.expected.particles, own.count)
        results.append(TomogramResult(name, frame, own.candidates, whole, {"": whole}))
    return tuple(results)


def rows(results: "Sequence[TomogramResult]", threshold: float | None) -> list[dict[str, Any]]:
    """Describe each tomogram's picks at a threshold; without one, at its own."""
    from tomopicker.output.results import describe_picks  # noqa: PLC0415

    chosen = [result.selected if threshold is None else result.at(threshold) for result in results]
    described = [
        describe_picks(own, result.whole.count)
        | {"tomogram": result.name, "was": len(result.selected.picks), "candidates": len(result.candidates)}
        for result, own in zip(results, chosen, strict=True)
    ]
    flags = unusual([row["picks"] for row in described]) | unusual([row["median"] for row in described], SCORE)
    return [row | {"unusual": flag} for row, flag in zip(described, flags.tolist(), strict=True)]


def histogram(results: "Sequence[TomogramResult]") -> list[int]:
    """Count the candidates of all tomograms by their probability, in `N_BINS` bins from 0 to 1."""
    scores = np.concatenate([result.candidates.scores for result in results])
    counts: list[int] = np.histogram(scores, N_BINS, (0, 1))[0].tolist()
    return counts


def gallery(
    results: "Sequence[TomogramResult]", points: Mapping[str, Points], diameter: float, order: Order
) -> pd.DataFrame:
    """Tabulate candidates: most doubtful first, best first, the picks alone with the worst first, or by tomogram.

    Columns are those of `tabulate_candidates`, and ``answer``: the label of a point at the candidate, or empty.
    """
    from tomopicker.output.results import tabulate_candidates  # noqa: PLC0415

    table = tabulate_candidates(results)
    labels = [
        label
        for name, rows in table.groupby("tomogram", sort=False)
        for label in _labels_at(rows[["x", "y", "z"]].to_numpy(), points.get(str(name), ()), diameter)
    ]
    table = table.assign(answer=labels)
    if order == "doubt":
        return table.sort_values("probability", key=lambda p: (p - 0.5).abs(), kind="stable")
    if order == "best":
        return table.sort_values("probability", ascending=False, kind="stable")
    return table[table["picked"]].sort_values("probability", kind="stable") if order == "worst" else table


def final_picks(name: str, picks: Picks, points: Points, diameter: float) -> Picks:
    """Return the picks of a tomogram after review: without those rejected, with those accepted and clicked."""
    kept = picks.select(
        np.array([label != "negative" for label in _labels_at(picks.positions, points, diameter)], dtype=bool)
    )
    clicks = positions(points, "particle")
    new = clicks[nearest(clicks, kept.positions, MATCH_FRACTION * diameter) < 0]
    return Picks.concatenate([kept, Picks.of(name, new, np.ones(len(new)))])


def _labels_at(places: Positions, points: Points, diameter: float) -> list[str]:
    """Return the label of the nearest point to each place (Å), empty where none is near."""
    indices = nearest(places, positions(points), MATCH_FRACTION * diameter)
    return [points[index].label if index >= 0 else "" for index in indices.tolist()]
