"""Summary of a folder of picks: counts, medians, and tomograms unlike the others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from tomopicker.output.layout import DONE, FAILED
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
    rows: dict[str, list[Any]] = {}
    failed = 0
    for name, entry in records:
        if entry.get("status") == DONE:
            rows[name] = [entry.get(column) for column in ("picks", "score_median", "specimen_fraction", "seconds")]
        failed += entry.get("status") == FAILED
    table = pd.DataFrame.from_dict(rows, "index", float, ["picks", "score", "specimen", "seconds"])
    medians = {str(name): round(value, 4) for name, value in table.median().dropna().items()}
    return Summary(len(table), failed, int(table["picks"].sum()), medians, _outliers(list(rows), table.to_numpy()))


def _outliers(names: Sequence[str], table: Float[np.ndarray, "n 4"]) -> list[Outlier]:
    """Name the tomograms that are unlike the rest by picks, score or specimen fraction, the most unlike first."""
    measures = (COUNT, SCORE, SPECIMEN)
    far = np.stack([_distance(table[:, i], measure) for i, measure in enumerate(measures)], axis=1)

    def why(row: int) -> str:
        unlike = [(table[row, i], table[:, i], each) for i, each in enumerate(measures) if far[row, i] > LIMIT]
        return "; ".join(measure.words.format(value, np.nanmedian(column)) for value, column, measure in unlike)

    order = np.argsort(-far.max(axis=1), kind="stable").tolist()
    return [Outlier(names[row], why(row)) for row in order if far[row].max() > LIMIT]


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


def _distance(given: Float[np.ndarray, " n"], measure: Measure) -> Float[np.ndarray, " n"]:
    """Return the distance of each value from the median in robust standard deviations; 0 for NaN."""
    values = np.sqrt(given) if measure.is_count else given
    known = values[np.isfinite(values)]
    if len(known) < FEWEST:
        return np.zeros(len(values))
    middle = float(np.median(known))
    low, high = np.quantile(known, [0.25, 0.75])
    # Both: where tomograms are of two sorts, neither sort is unlike the rest.
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), float(high - low) / 1.349, measure.floor)
    return np.abs(np.where(np.isfinite(values), values, middle) - middle) / spread
