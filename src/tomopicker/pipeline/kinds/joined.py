"""Picks of several kinds in one tomogram as one value: what two kinds claim belongs to the more probable."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tomopicker.picking.calibration import Count
from tomopicker.picking.kinds import belongs
from tomopicker.picking.selection import Chosen, Cut, Expectation
from tomopicker.picks import Picks
from tomopicker.pipeline.pick import Picked
from tomopicker.types import Scores

ENDS = ("estimate", "low", "high")


def joined(
    found: Mapping[str, Picked],
    diameters: Mapping[str, float],
    cut: Cut | None = None,
    default_threshold: Mapping[str, float | None] | None = None,
) -> Picked:
    """Solve the conflicts of kinds and cut each kind's candidates anew.

    A candidate that is taken out counts no longer: each kind's number of particles falls by the probabilities of those
    that it loses.

    Parameters
    ----------
    found : mapping of str to Picked
        Of each kind by itself.
    diameters : mapping of str to float
        Å.
    cut, default_threshold
        As in `Cut.choose`; the latter by kind.

    Returns
    -------
    Picked
        Picks and candidates of all kinds, with the column ``kind``; what does not add up, such as the score volume, is
        that of the first kind. Each kind by itself is in `kinds`.
    """
    names = list(found)
    kinds = np.repeat(np.arange(len(names)), [len(found[name].candidates) for name in names])
    every = Picks.concatenate(found[name].candidates for name in names)
    keeps = belongs(every.positions, every.scores, kinds, np.array([diameters[name] for name in names]))
    own = {
        name: _without(found[name], name, keeps[kinds == index], cut, (default_threshold or {}).get(name))
        for index, name in enumerate(names)
    }
    return of_kinds(own)


def of_kinds(own: Mapping[str, Picked]) -> Picked:
    """Put the picks of kinds that do not conflict into one value."""
    parts = list(own.values())
    chosen = together([part.chosen for part in parts])
    counts = [part.count for part in parts if part.count is not None]
    absents = [part.absent for part in parts if part.absent is not None]
    return replace(
        parts[0],
        chosen=chosen,
        candidates=best_first([part.candidates for part in parts]),
        count=Count(*(sum(getattr(count, end) for count in counts) for end in ENDS)) if counts else None,
        absent=float(np.prod(absents)) if absents else None,
        kinds=dict(own),
    )


def together(parts: list[Chosen]) -> Chosen:
    """Put what was chosen of each kind into one: the threshold is the lowest, expectations are those of all picks."""
    picks = best_first([part.picks for part in parts])
    particles = sum(part.expected.particles for part in parts)
    right = sum(part.expected.precision * len(part.picks) for part in parts)
    precision, recall = right / len(picks) if len(picks) else 0.0, right / particles if particles else 0.0
    f1 = 2 * right / (len(picks) + particles) if len(picks) + particles else 0.0
    return Chosen(picks, min(part.threshold for part in parts), Expectation(particles, precision, recall, f1))


def best_first(parts: list[Picks]) -> Picks:
    """Join picks of several kinds by falling score."""
    every = Picks.concatenate(parts)
    return every.select(np.argsort(-every.scores, kind="stable"))


def _without(picked: Picked, kind: str, keeps: np.ndarray, cut: Cut | None, default_threshold: float | None) -> Picked:
    """Take candidates of another kind out of one kind's, and cut the list again."""
    candidates = picked.candidates.select(keeps).with_kind(kind)
    lost = float(picked.candidates.scores[~keeps].sum())
    count = None if picked.count is None else _less(picked.count, lost, candidates.scores)
    particles = float(candidates.scores.sum()) if count is None else count.estimate
    return replace(
        picked,
        candidates=candidates,
        count=count,
        chosen=(cut or Cut()).choose(candidates, particles, default_threshold),
    )


def _less(count: Count, lost: float, left: Scores) -> Count:
    """Take lost candidates from a count; those that are certain to be particles stay."""
    certain = float((left == 1.0).sum())
    return Count(*(max(getattr(count, end) - lost, min(certain, getattr(count, end))) for end in ENDS))
