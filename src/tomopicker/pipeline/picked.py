"""The picks of one tomogram: candidates from peaks, their selection, and several kinds in one value."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32

from tomopicker.fewshot.features import Features
from tomopicker.picking.calibration import MIN_PROBABILITY, Calibration, Count
from tomopicker.picking.peaks import Peaks, suppress_across_kinds
from tomopicker.picking.selection import Expectation, Selected, Selection, best_first, join
from tomopicker.picks import Picks
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.tomogram import Tomogram
from tomopicker.types import Volume


@dataclass(frozen=True)
class Picked:
    """The picks of one tomogram.

    Parameters
    ----------
    selected : Selected
        The picks, the threshold, and expected precision and recall; each is a property too.
    candidates : Picks
        Picks and less probable candidates, down to `MIN_PROBABILITY`, so that picks can be selected again.
    logits : Volume
        Score at every voxel of the working grid, (z, y, x).
    probability : callable
        Maps logits to probabilities, by this tomogram's calibration or the model's offset.
    working : WorkingVolume
        The volume that was scored, and its position in the tomogram.
    count : Count or None
        Number of particles in the tomogram, with an interval; None without calibration.
    absent : float or None
        Probability that the tomogram holds no particle; None without calibration.
    kinds : mapping of str to Picked
        Results of each kind, if there are several; picks and candidates are then those of all kinds, best first.
    """

    selected: Selected
    candidates: Picks
    logits: Volume
    probability: Callable[[np.ndarray], np.ndarray]
    working: WorkingVolume
    count: Count | None
    absent: float | None
    kinds: Mapping[str, "Picked"] = field(default_factory=dict)

    @property
    def picks(self) -> Picks:
        """Best first; their scores are probabilities."""
        return self.selected.picks

    @property
    def threshold(self) -> float:
        """Exclusive lower bound of the picks' probabilities."""
        return self.selected.threshold

    @property
    def expected(self) -> Expectation:
        """Expected precision, recall and F1 of the picks, from the candidates' probabilities."""
        return self.selected.expected

    @property
    def scores(self) -> Volume:
        """Probability at every voxel of the working grid, (z, y, x); computed on access."""
        return np.stack(list(self.score_sections()))

    def score_sections(self) -> Iterator[Float32[np.ndarray, "y x"]]:
        """Compute the probabilities section by section, since they are computed in float64."""
        for section in self.logits:
            yield self.probability(section).astype(np.float32)


def picks_of_peaks(
    tomogram: Tomogram | Features,
    working: WorkingVolume,
    logits: Volume,
    peaks: Peaks,
    probability: Callable[[np.ndarray], np.ndarray],
    calibration: Calibration | None,
    *,
    clicks: int = 0,
    known: Mapping[int, float] | None = None,
    selection: Selection | None = None,
    default_threshold: float | None = None,
    displacement: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Picked:
    """Turn the peaks of a tomogram's scores into candidates, and select the picks.

    Parameters
    ----------
    tomogram : Tomogram or Features
        Supplies the name and the frame.
    logits : Volume
        Scores of the working volume, (z, y, x).
    peaks : Peaks
        Of the scores.
    probability : callable
        Maps logits to probabilities.
    calibration : Calibration or None
        Calibration of the tomogram, which supplies the count.
    clicks : int
        Number of clicks in the tomogram, a lower bound of the count.
    known : mapping of int to float, optional
        Probabilities known regardless of the score, by peak index.
    selection, default_threshold
        As for `Selection.select`; the best expected F1 if left out.
    displacement : tuple of float
        Displacement of peaks from particle centres, (x, y, z) in Å.
    """
    count = None if calibration is None else calibration.count.at_least(clicks)
    chances = np.asarray(probability(peaks.scores.astype(np.float64)))
    order = np.arange(len(chances))
    if known:
        chances[list(known)] = list(known.values())
        order = np.argsort(-chances, kind="stable")
    order = order[chances[order] >= MIN_PROBABILITY]
    positions = working.to_angstrom(peaks.positions_voxels) - np.asarray(displacement)
    # A working voxel at the rim may extend half a voxel beyond the tomogram, but a pick must not.
    positions = np.clip(positions, 0, tomogram.frame.last_voxel)
    candidates = Picks.of(tomogram.name, positions[order], chances[order])
    selected = _select(candidates, count, selection, default_threshold)
    absent = None if calibration is None else calibration.absent
    return Picked(selected, candidates, logits, probability, working, count, absent)


def join_kinds(
    found: Mapping[str, Picked],
    diameters: Mapping[str, float],
    selection: Selection | None = None,
    default_thresholds: Mapping[str, float | None] | None = None,
) -> Picked:
    """Join the picks of several kinds in one tomogram: a particle claimed by two kinds goes to the more probable one.

    A kind that loses candidates has its count reduced by their probabilities, and its picks selected again.

    Parameters
    ----------
    found : mapping of str to Picked
        Results of each kind.
    diameters : mapping of str to float
        Å.
    selection, default_thresholds
        As for `Selection.select`; the threshold is given by kind.

    Returns
    -------
    Picked
        Picks and candidates of all kinds, with a column ``kind``; values that cannot be joined, such as the score
        volume, are those of the first kind. `kinds` holds the results of each kind.
    """
    names = list(found)
    kinds = np.repeat(np.arange(len(names)), [len(found[name].candidates) for name in names])
    every = Picks.concatenate(found[name].candidates for name in names)
    kept = suppress_across_kinds(every.positions, every.scores, kinds, np.array([diameters[name] for name in names]))
    own = {
        name: _keep(found[name], name, kept[kinds == index], selection, (default_thresholds or {}).get(name))
        for index, name in enumerate(names)
    }
    parts = list(own.values())
    counts = [part.count for part in parts if part.count is not None]
    absents = [part.absent for part in parts if part.absent is not None]
    return replace(
        parts[0],
        selected=join([part.selected for part in parts]),
        candidates=best_first([part.candidates for part in parts]),
        count=Count.total(counts) if counts else None,
        absent=float(np.prod(absents)) if absents else None,
        kinds=own,
    )


def _keep(
    picked: Picked,
    kind: str,
    kept: Bool[np.ndarray, " candidates"],
    selection: Selection | None,
    default_threshold: float | None,
) -> Picked:
    """Keep the candidates that one kind has won, and select its picks again."""
    candidates = picked.candidates.select(kept).with_kind(kind)
    count = picked.count
    if count is not None:
        lost, certain = float(picked.candidates.scores[~kept].sum()), float((candidates.scores == 1.0).sum())
        count = count.without(lost, certain)
    selected = _select(candidates, count, selection, default_threshold)
    return replace(picked, candidates=candidates, count=count, selected=selected)


def _select(
    candidates: Picks, count: Count | None, selection: Selection | None, default_threshold: float | None
) -> Selected:
    particles = float(candidates.scores.sum()) if count is None else count.estimate
    return (selection or Selection()).select(candidates, particles, default_threshold)
