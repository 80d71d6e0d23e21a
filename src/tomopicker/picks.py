"""The `Picks` value: positions of particles, the tomogram each lies in, scores, and whatever else came with them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tomopicker.types import Positions, Scores


@dataclass(frozen=True)
class Picks:
    """Positions of particles in one or more tomograms.

    Parameters
    ----------
    positions : Positions
        (x, y, z) in Å from the centre of the first voxel, n rows.
    tomograms : array of str, shape (n,)
        The name of each one's tomogram.
    scores : array of float, shape (n,)
        NaN for a click.
    extra : DataFrame
        n rows of other columns, kept as they came; may have no columns.
    """

    positions: Positions
    tomograms: np.ndarray
    scores: Scores
    extra: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        lengths = {len(self.positions), len(self.tomograms), len(self.scores)}
        if self.extra.shape[1]:
            lengths.add(len(self.extra))
        if len(lengths) != 1:
            raise ValueError(f"positions, tomograms, scores and extra differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.positions)

    @classmethod
    def of(cls, tomogram: str, positions: Positions, scores: Scores | None = None) -> "Picks":
        """Make picks of one tomogram from positions in Å."""
        n = len(positions)
        return cls(
            np.asarray(positions, dtype=np.float64).reshape(n, 3),
            np.full(n, tomogram, dtype=object),
            np.full(n, np.nan) if scores is None else np.asarray(scores, dtype=np.float64),
        )

    @classmethod
    def concatenate(cls, parts: Iterable["Picks"]) -> "Picks":
        """Join picks, tomogram after tomogram."""
        listed = list(parts)
        if not listed:
            return cls.of("", np.empty((0, 3)))
        extras = [part.extra if part.extra.shape[1] else pd.DataFrame(index=range(len(part))) for part in listed]
        return cls(
            np.concatenate([part.positions for part in listed]),
            np.concatenate([part.tomograms for part in listed]),
            np.concatenate([part.scores for part in listed]),
            pd.concat(extras, ignore_index=True),
        )

    @property
    def tomogram_names(self) -> list[str]:
        """Names of the tomograms, in the order of their first pick."""
        return list(dict.fromkeys(self.tomograms.tolist()))

    def select(self, rows: np.ndarray) -> "Picks":
        """Keep the rows where the mask is True, or those indexed."""
        index = np.arange(len(self))[rows]
        extra = self.extra.iloc[index].reset_index(drop=True) if self.extra.shape[1] else pd.DataFrame()
        return Picks(self.positions[index], self.tomograms[index], self.scores[index], extra)

    def in_tomogram(self, name: str) -> "Picks":
        """Keep the picks of one tomogram."""
        return self.select(self.tomograms == name)
