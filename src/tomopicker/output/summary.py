"""Summary of a folder of picks: counts, medians, and outlying tomograms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from tomopicker.output.tomogram_record import DONE, FAILED
from tomopicker.output.unusual import COUNT, SCORE, SPECIMEN, reasons
from tomopicker.wording import number_of

SHOWN = 10


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
        return lines_of(self.record)


def lines_of(record: Mapping[str, Any]) -> list[str]:
    """Give the lines of a recorded `Summary`."""
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
