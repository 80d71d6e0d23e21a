"""What a folder of picks holds, in a few lines: counts, medians, and the tomograms that are unlike the rest."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tomopicker.output.tomogram_record import DONE, FAILED
from tomopicker.wording import number_of

FEWEST = 6
"""Tomograms from which one can be unlike the rest."""
LIMIT = 4.0
"""Robust standard deviations from the median."""
SHOWN = 10


@dataclass(frozen=True)
class Outlier:
    """A tomogram that is unlike the rest."""

    tomogram: str
    why: str


@dataclass(frozen=True)
class Summary:
    """What the records of a folder say together.

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
        return lines_of(self.record)


def lines_of(record: Mapping[str, Any]) -> list[str]:
    """Say what the record of a `Summary` says."""
    if not record or not record["done"]:
        return []
    stated = {"picks": "{:g} picks", "score": "score {:.2f}", "specimen": "{:.0%} of the volume", "seconds": "{:.1f} s"}
    medians = [text.format(record["medians"][key]) for key, text in stated.items() if key in record["medians"]]
    lines = [f"Median tomogram: {', '.join(medians)}."]
    outliers = record["outliers"]
    if outliers:
        lines.append(f"{number_of(len(outliers), 'tomogram')} unlike the rest; look at them:")
        lines += [f"  {each['tomogram']}: {each['why']}" for each in outliers[:SHOWN]]
    if len(outliers) > SHOWN:
        lines.append(f"  and {len(outliers) - SHOWN} more, in run.json")
    return lines


def summarise(records: Iterable[tuple[str, Mapping[str, Any]]]) -> Summary:
    """Read the records of a folder once, and say what they say together."""
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
    return Summary(len(names), failed, int(table[:, 0].sum()), medians, _outliers(names, table))


def _outliers(names: list[str], table: np.ndarray) -> list[Outlier]:
    if len(names) < FEWEST:
        return []
    # Counts scatter as their square root does; a share of the volume and a score have a floor below which no one looks.
    looked_at = (
        (np.sqrt(table[:, 0]), 0.5, "{0:.0f} picks where the median is {1:.0f}", table[:, 0]),
        (table[:, 1], 0.03, "a median score of {0:.2f} where the median is {1:.2f}", table[:, 1]),
        (table[:, 2], 0.03, "specimen in {0:.0%} of the volume where the median is {1:.0%}", table[:, 2]),
    )
    why: dict[int, list[str]] = {}
    far: dict[int, float] = {}
    for values, floor, words, shown in looked_at:
        known = np.isfinite(values)
        if known.sum() < FEWEST:
            continue
        middle = float(np.median(values[known]))
        low, high = np.quantile(values[known], [0.25, 0.75])
        # Both: where tomograms are of two sorts, neither sort is unlike the rest.
        spread = max(1.4826 * float(np.median(np.abs(values[known] - middle))), float(high - low) / 1.349, floor)
        distance = np.abs(np.where(known, values, middle) - middle) / spread
        usual = float(np.median(shown[known]))
        for i in np.flatnonzero(distance > LIMIT).tolist():
            why.setdefault(i, []).append(words.format(float(shown[i]), usual))
            far[i] = max(far.get(i, 0.0), float(distance[i]))
    return [Outlier(names[i], "; ".join(why[i])) for i in sorted(why, key=lambda i: -far[i])]
