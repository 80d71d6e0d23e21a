"""Summary of a folder of picks: counts, medians, and outlying tomograms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from tomopicker.output.layout import DONE, FAILED
from tomopicker.wording import number_of

MAX_LISTED = 10
"""Maximum number of outliers listed."""
MAX_DEVIATION = 4.0
"""Robust standard deviations from the median beyond which a tomogram is an outlier."""
MIN_TOMOGRAMS = 5
"""Minimum number of tomograms for outliers."""


@dataclass(frozen=True)
class Measure:
    """A number that each tomogram has.

    Parameters
    ----------
    text : str
        Format string of its value, ``{0}``, and the median, ``{1}``.
    min_deviation : float
        Lower limit of the standard deviation, for tomograms that are all alike.
    is_count : bool
        Compare square roots, whose deviation does not depend on the count.
    """

    text: str
    min_deviation: float
    is_count: bool = False

    def deviations(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Return the distance of each value from the median in robust standard deviations; 0 for NaN."""
        compared = np.sqrt(values) if self.is_count else values
        known = compared[np.isfinite(compared)]
        if len(known) < MIN_TOMOGRAMS:
            return np.zeros(len(compared))
        median = float(np.median(known))
        low, high = np.quantile(known, [0.25, 0.75])
        # The larger of two estimates: where there are two groups of tomograms, neither is an outlier.
        from_median, from_quartiles = 1.4826 * float(np.median(np.abs(known - median))), float(high - low) / 1.349
        deviation = max(from_median, from_quartiles, self.min_deviation)
        return np.nan_to_num(np.abs(compared - median) / deviation, nan=0.0, posinf=0.0)


COUNT = Measure("{0:.0f} picks where the median is {1:.0f}", 0.5, is_count=True)
SCORE = Measure("a median score of {0:.2f} where the median is {1:.2f}", 0.03)
SPECIMEN = Measure("specimen in {0:.0%} of the volume where the median is {1:.0%}", 0.03)


@dataclass(frozen=True)
class Outlier:
    """An outlying tomogram."""

    tomogram: str
    why: str


@dataclass(frozen=True)
class Summary:
    """Summary of the records of a folder.

    Parameters
    ----------
    done, failed : int
        Numbers of tomograms.
    picks : int
    medians : dict
        Median picks, score, specimen fraction and seconds of a tomogram, if recorded.
    outliers : list of Outlier
        Largest deviation first.
    """

    done: int
    failed: int
    picks: int
    medians: dict[str, float]
    outliers: list[Outlier]

    @property
    def lines(self) -> list[str]:
        """The summary as text."""
        if not self.done:
            return []
        formats = {
            "picks": "{:g} picks", "score": "score {:.2f}", "specimen": "{:.0%} of the volume", "seconds": "{:.1f} s",
        }  # fmt: skip
        medians = [text.format(self.medians[key]) for key, text in formats.items() if key in self.medians]
        lines = [f"Median tomogram: {', '.join(medians)}."]
        if self.outliers:
            lines.append(f"{number_of(len(self.outliers), 'tomogram')} unlike the rest; look at them:")
            lines += [f"  {outlier.tomogram}: {outlier.why}" for outlier in self.outliers[:MAX_LISTED]]
        if len(self.outliers) > MAX_LISTED:
            lines.append(f"  and {len(self.outliers) - MAX_LISTED} more, in run.json")
        return lines


def summarise(records: Iterable[tuple[str, Mapping[str, Any]]]) -> Summary:
    """Summarise the records of tomograms, each read once."""
    rows: dict[str, list[Any]] = {}
    n_failed = 0
    for name, entry in records:
        if entry.get("status") == DONE:
            rows[name] = [entry.get(column) for column in ("picks", "score_median", "specimen_fraction", "seconds")]
        n_failed += entry.get("status") == FAILED
    table = pd.DataFrame.from_dict(rows, "index", float, ["picks", "score", "specimen", "seconds"])
    medians = {str(name): round(value, 4) for name, value in table.median().dropna().items()}
    return Summary(len(table), n_failed, int(table["picks"].sum()), medians, _outliers(table))


def _outliers(table: pd.DataFrame) -> list[Outlier]:
    """List the tomograms with outlying picks, score or specimen fraction, largest deviation first."""
    measures = {"picks": COUNT, "score": SCORE, "specimen": SPECIMEN}
    deviations = pd.DataFrame(
        {column: measure.deviations(table[column].to_numpy()) for column, measure in measures.items()}, table.index
    )
    largest = deviations.max(axis=1).sort_values(ascending=False, kind="stable")
    outliers = []
    for name in largest.index[largest > MAX_DEVIATION]:
        reasons = [
            measure.text.format(table.loc[name, column], table[column].median())
            for column, measure in measures.items()
            if deviations.loc[name, column] > MAX_DEVIATION
        ]
        outliers.append(Outlier(str(name), "; ".join(reasons)))
    return outliers


def unusual(values: Sequence[float | None], measure: Measure = COUNT) -> Bool[np.ndarray, " n"]:
    """Flag outlying values of a measure; None and NaN never are, nor any of fewer than `MIN_TOMOGRAMS`."""
    flags: Bool[np.ndarray, " n"] = measure.deviations(np.asarray(values, dtype=np.float64)) > MAX_DEVIATION
    return flags
