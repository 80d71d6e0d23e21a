"""Which kind picks were taken for, and which kind they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from tomopicker.evaluation.matching import match
from tomopicker.types import Positions

OfKind = Float64[np.ndarray, "_ 3"]
"""Positions of one of several kinds, each of which has another number."""

MISSED, NOTHING = "(not picked)", "(no particle)"
"""The last column, and the last row."""


@dataclass(frozen=True)
class Confusion:
    """How many particles of each kind were picked as which.

    Parameters
    ----------
    truth : tuple of str
        Kinds of the rows; the last row is of picks where there is no particle.
    picked : tuple of str
        Kinds of the columns; the last column is of particles that were not picked.
    counts : array of int, shape (truth, picked)
    """

    truth: tuple[str, ...]
    picked: tuple[str, ...]
    counts: Int64[np.ndarray, "truth picked"]

    def __add__(self, other: "Confusion") -> "Confusion":
        """Add the counts of another tomogram, of the same kinds."""
        assert (self.truth, self.picked) == (other.truth, other.picked)
        return Confusion(self.truth, self.picked, self.counts + other.counts)

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts by the kind of the truth, then that of the picks."""
        return {
            row: dict(zip(self.picked, map(int, line), strict=True))
            for row, line in zip(self.truth, self.counts, strict=True)
        }


def confusion(picks: Mapping[str, OfKind], truth: Mapping[str, OfKind], tolerance: float) -> Confusion:
    """Match picks and particles of any kinds, one-to-one, and count the pairs by kind.

    Picks are matched with particles of their own kind first, as they are judged by themselves, so that the diagonal
    holds the true positives of each kind; then what is left with what is left.

    Parameters
    ----------
    picks, truth : mapping of str to Positions
        By kind, in one unit.
    tolerance : float
        Largest distance of a pair.
    """
    rows, columns = list(truth), list(picks)
    counts = np.zeros((len(rows) + 1, len(columns) + 1), dtype=np.int64)
    free_picks = {kind: np.ones(len(positions), dtype=bool) for kind, positions in picks.items()}
    free_truth = {kind: np.ones(len(positions), dtype=bool) for kind, positions in truth.items()}
    for kind in set(picks) & set(truth):
        pairs = match(picks[kind], truth[kind], tolerance)
        free_picks[kind][pairs.pick_indices] = False
        free_truth[kind][pairs.truth_indices] = False
        counts[rows.index(kind), columns.index(kind)] = pairs.tp
    pick_kinds, left_picks = _left(picks, free_picks, columns)
    truth_kinds, left_truth = _left(truth, free_truth, rows)
    pairs = match(left_picks, left_truth, tolerance)
    np.add.at(counts, (truth_kinds[pairs.truth_indices], pick_kinds[pairs.pick_indices]), 1)
    unmatched = np.ones(len(left_picks), dtype=bool)
    unmatched[pairs.pick_indices] = False
    np.add.at(counts[-1], pick_kinds[unmatched], 1)
    unmatched = np.ones(len(left_truth), dtype=bool)
    unmatched[pairs.truth_indices] = False
    np.add.at(counts[:, -1], truth_kinds[unmatched], 1)
    return Confusion((*rows, NOTHING), (*columns, MISSED), counts)


def _left(
    positions: Mapping[str, OfKind], free: Mapping[str, np.ndarray], order: Sequence[str]
) -> tuple[Int64[np.ndarray, " left"], Positions]:
    """Join what is not matched yet; give the index of each one's kind, too."""
    parts = [positions[kind][free[kind]] for kind in positions]
    kinds = np.repeat(
        np.array([order.index(kind) for kind in positions], dtype=np.int64), [len(part) for part in parts]
    )
    return kinds, np.concatenate([np.empty((0, 3)), *parts])
