"""Confusion of particle kinds: picks of each kind against particles of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from tomopicker.evaluation.matching import match
from tomopicker.types import Positions

OfKind = Float64[np.ndarray, "_ 3"]
"""Positions of one of several kinds, whose numbers differ."""

MISSED, NOTHING = "(not picked)", "(no particle)"
"""Labels of the last column and the last row."""


@dataclass(frozen=True)
class Confusion:
    """Numbers of particles by true kind and by kind of the pick.

    Parameters
    ----------
    truth : tuple of str
        Kinds of the rows; the last row counts picks without a particle.
    picked : tuple of str
        Kinds of the columns; the last column counts particles without a pick.
    counts : array of int, shape (truth, picked)
    """

    truth: tuple[str, ...]
    picked: tuple[str, ...]
    counts: Int64[np.ndarray, "truth picked"]

    def __add__(self, other: "Confusion") -> "Confusion":
        """Add the counts of another tomogram with the same kinds."""
        assert (self.truth, self.picked) == (other.truth, other.picked)
        return Confusion(self.truth, self.picked, self.counts + other.counts)

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts by true kind, then by kind of the pick."""
        return {
            row: dict(zip(self.picked, map(int, line), strict=True))
            for row, line in zip(self.truth, self.counts, strict=True)
        }


def confusion(picks: Mapping[str, OfKind], truth: Mapping[str, OfKind], tolerance: float) -> Confusion:
    """Match picks and particles of all kinds, one-to-one, and count the pairs by kind.

    Picks are first matched with particles of their own kind, as in the evaluation of a single kind, so that the
    diagonal has the true positives of each kind; then the remaining picks with the remaining particles.

    Parameters
    ----------
    picks, truth : mapping of str to Positions
        By kind, in one unit.
    tolerance : float
        Maximum distance of a pair.
    """
    picked_xyz, picked_as = _join(picks)
    true_xyz, true_kind = _join(truth)
    is_free_pick, is_free_particle = np.ones(len(picked_xyz), bool), np.ones(len(true_xyz), bool)
    rows, columns = list(truth), list(picks)
    counts = np.zeros((len(rows) + 1, len(columns) + 1), dtype=np.int64)
    shared = [(columns.index(kind), rows.index(kind)) for kind in columns if kind in rows]
    masks = [(picked_as == column, true_kind == row) for column, row in shared]
    for of_picks, of_particles in [*masks, (is_free_pick, is_free_particle)]:
        candidates, particles = np.flatnonzero(of_picks & is_free_pick), np.flatnonzero(of_particles & is_free_particle)
        pairs = match(picked_xyz[candidates], true_xyz[particles], tolerance)
        matched, found = candidates[pairs.pick_indices], particles[pairs.truth_indices]
        np.add.at(counts, (true_kind[found], picked_as[matched]), 1)
        is_free_pick[matched], is_free_particle[found] = False, False
    np.add.at(counts[-1], picked_as[is_free_pick], 1)
    np.add.at(counts[:, -1], true_kind[is_free_particle], 1)
    return Confusion((*rows, NOTHING), (*columns, MISSED), counts)


def _join(positions: Mapping[str, OfKind]) -> tuple[Positions, Int64[np.ndarray, " n"]]:
    """Concatenate positions of all kinds, and return the index of each one's kind."""
    kinds = np.repeat(np.arange(len(positions)), [len(part) for part in positions.values()])
    return np.concatenate([np.empty((0, 3)), *positions.values()]), kinds
