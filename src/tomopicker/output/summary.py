"""Summary of a folder of picks: counts, medians, and tomograms unlike the others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from tomopicker.output.one_tomogram import DONE, FAILED
from tomopicker.wording import number_of

SHOWN = 10
LIMIT = 4.0
"""Robust standard deviations from the median beyond which a tomogram is called unusual."""
FEWEST = 5
"""Tomograms from which one can be unlike the rest."""


@dataclass(frozen=True)
class Measure:
    """A number that each tomogram has.

    Parameters
    ----------
    words : str
        Format string for its value and the median: ``{0}`` and ``{1}``.
    floor : float
        Standard deviation that is usual even where every tomogram is alike.
    is_count : bool
        Whether its root is compared: counts scatter as their root does.
    """

    words: str
    floor: float
    is_count: bool = False


COUNT = Measure("{0:.0f} picks where the median is {1:.0f}", 0.5, is_count=True)
SCORE = Measure("a median score of {0:.2f} where the median is {1:.2f}", 0.03)
SPECIMEN = Measure("specimen in {0:.0%} of the volume where the median is {1:.0%}", 0.03)


@dataclass(frozen=True)
class Outlier:
    """A tomogram that is unlike the rest."""

    tomogram: str
    why: str


@dataclass(frozen=True)
class Summary:
    """Summary of the records of a folder.

    Parameters
    ----------
    done, failed, picks : int
    medians : dict
        Of picks, score, specimen fraction and seconds of a tomogram; without those that no tomogram states.
    outliers : list of Outlier
        The most unlike first.
    """

    done: int
    failed: int
    picks: int
    medians: dict[str, float]
    outliers: list[Outlier]

    @property
    def record(self) -> dict[str, Any]:
        """As the record of a run states it."""
        return asdict(self)

    @property
    def lines(self) -> list[str]:
        """For a person."""
        if not self.done:
            return []
        stated = {
            "picks": "{:g} picks", "score": "score {:.2f}", "specimen": "{:.0%} of the volume", "seconds": "{:.1f} s",
        }  # fmt: skip
        medians = [text.format(self.medians[key]) for key, text in stated.items() if key in self.medians]
        lines = [f"Median tomogram: {', '.join(medians)}."]
        if self.outliers:
            lines.append(f"{number_of(len(self.outliers), 'tomogram')} unlike the rest; look at them:")
            lines += [f"  {each.tomogram}: {each.why}" for each in self.outliers[:SHOWN]]
        if len(self.outliers) > SHOWN:
            lines.append(f"  and {len(self.outliers) - SHOWN} more, in run.json")
        return lines


def summarise(records: Iterable[tuple[str, Mapping[str, Any]]]) -> Summary:
    """Read the records of a folder once, and summarise them."""
    names, rows, failed = [], [], 0
    for name, entry in records:
        if entry.get("status") == DONE:
            names.append(name)
            score = entry.get("score_median")
            rows.append(
                (
                    float(entry["picks"]),
                    np.nan if score is None else float(score),
                    float(entry.get("specimen_fraction", np.nan)),
                    float(entry.get("seconds", np.nan)),
                )
            )
        failed += entry.get("status") == FAILED
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 4)
    medians = {
        key: round(float(np.nanmedian(column)), 4)
        for key, column in zip(("picks", "score", "specimen", "seconds"), table.T, strict=True)
        if np.isfinite(column).any()
    }
    return Summary(len(names), failed, int(table[:, 0].sum()), medians, outliers(names, table[:, :3]))


def outliers(names: Sequence[str], table: Float[np.ndarray, "n 3"]) -> list[Outlier]:
    """Name the tomograms that are unlike the rest by picks, score or specimen fraction, the most unlike first."""
    found = reasons(zip((COUNT, SCORE, SPECIMEN), table.T, strict=True))
    return [Outlier(names[i], "; ".join(why)) for i, why in found.items()]


def unusual(values: Sequence[float], measure: Measure = COUNT) -> Bool[np.ndarray, " n"]:
    """Flag the values far from their median; none where there are fewer than `FEWEST`.

    Parameters
    ----------
    values : sequence of float
        NaN is never unusual.
    measure : Measure
        What they are.
    """
    far: Bool[np.ndarray, " n"] = _distance(np.asarray(values, dtype=np.float64), measure) > LIMIT
    return far


def reasons(columns: Iterable[tuple[Measure, Float[np.ndarray, " n"]]]) -> dict[int, list[str]]:
    """Give the reasons why tomograms are unusual, by their row, the most unusual first."""
    why: dict[int, list[str]] = {}
    furthest: dict[int, float] = {}
    for measure, values in columns:
        distance = _distance(values, measure)
        for i in np.flatnonzero(distance > LIMIT).tolist():
            why.setdefault(i, []).append(measure.words.format(float(values[i]), float(np.nanmedian(values))))
            furthest[i] = max(furthest.get(i, 0.0), float(distance[i]))
    return {i: why[i] for i in sorted(why, key=lambda i: -furthest[i])}


def _distance(given: Float[np.ndarray, " n"], measure: Measure) -> Float[np.ndarray, " n"]:
    """Give the distance of each value from the median in robust standard deviations; 0 for NaN."""
    values = np.sqrt(given) if measure.is_count else given
    known = values[np.isfinite(values)]
    if len(known) < FEWEST:
        return np.zeros(len(values))
    middle = float(np.median(known))
    low, high = np.quantile(known, [0.25, 0.75])
    # Both: where tomograms are of two sorts, neither sort is unlike the rest.
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), float(high - low) / 1.349, measure.floor)
    return np.abs(np.where(np.isfinite(values), values, middle) - middle) / spread
