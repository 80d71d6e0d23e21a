"""The `Picks` value: positions of particles, their tomograms, scores, and other columns of their files."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from tomopicker.types import Positions, Scores
from tomopicker.wording import picks_of_tomograms

KIND = "kind"
"""Column of `Picks.extra` that names the kind of particle of each pick."""


@dataclass(frozen=True)
class Picks:
    """Positions of particles in one or more tomograms.

    Parameters
    ----------
    positions : Positions
        (x, y, z) in Å from the centre of the first voxel, n rows.
    tomograms : array of str, shape (n,)
        The name of each pick's tomogram.
    scores : array of float, shape (n,)
        NaN for a click.
    extra : DataFrame
        n rows of other columns, unchanged from the file; may have no columns. The column ``kind`` names kinds of
        particle.
    """

    positions: Positions
    tomograms: np.ndarray
    scores: Scores
    extra: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        if not self.extra.shape[1]:
            object.__setattr__(self, "extra", pd.DataFrame(index=range(len(self))))
        lengths = {len(self.positions), len(self.tomograms), len(self.scores), len(self.extra)}
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
        """Concatenate picks."""
        listed = list(parts)
        if not listed:
            return cls.of("", np.empty((0, 3)))
        return cls(
            np.concatenate([part.positions for part in listed]),
            np.concatenate([part.tomograms for part in listed]),
            np.concatenate([part.scores for part in listed]),
            pd.concat([part.extra for part in listed], ignore_index=True),
        )

    @property
    def tomogram_names(self) -> list[str]:
        """Names of the tomograms, in the order of their first pick."""
        return list(dict.fromkeys(self.tomograms.tolist()))

    @property
    def summary(self) -> str:
        """Number of picks and of their tomograms, in words."""
        return picks_of_tomograms(len(self), len(self.tomogram_names))

    @property
    def kinds(self) -> np.ndarray:
        """The kind of particle of each pick, str; empty for none."""
        if KIND not in self.extra:
            return np.full(len(self), "", dtype=object)
        return np.array([class_name(value) for value in self.extra[KIND]], dtype=object)

    @property
    def kind_names(self) -> list[str]:
        """Names of the kinds, in the order of their first pick."""
        return [name for name in dict.fromkeys(self.kinds.tolist()) if name]

    def of_kind(self, name: str) -> "Picks":
        """Select the picks of one kind."""
        return self.select(self.kinds == name)

    def with_kind(self, names: str | np.ndarray) -> "Picks":
        """Set the kind of every pick: one name for all, or one each; empty for none."""
        column = np.full(len(self), names, dtype=object) if isinstance(names, str) else names
        return replace(self, extra=self.extra.assign(**{KIND: column}))

    def select(self, rows: np.ndarray) -> "Picks":
        """Select rows by a mask or by indices."""
        extra = self.extra.iloc[np.arange(len(self))[rows]].reset_index(drop=True)
        return Picks(self.positions[rows], self.tomograms[rows], self.scores[rows], extra)

    def in_tomogram(self, name: str) -> "Picks":
        """Select the picks of one tomogram."""
        return self.select(self.tomograms == name)


def class_name(value: object) -> str:
    """Format the value of a column of classes as a name: 3 for 3.0, empty for a missing one."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value).strip()
