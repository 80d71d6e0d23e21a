"""Values of the charts in a report, and their mapping to pixels; ``charts.html`` draws them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Axes:
    """A chart in pixels: values from `low` to `high` from left to right, from 0 to `most` upwards."""

    low: float
    high: float
    most: float
    width: int = 460
    height: int = 200
    left: int = 44
    right: int = 10

    @property
    def bottom(self) -> int:
        """Position of the horizontal axis."""
        return self.height - 34

    @property
    def ticks(self) -> list[float]:
        """At most seven round values from 0 to `most`."""
        step = 10 ** np.floor(np.log10(self.most))
        step = next(size for size in (step / 5, step / 2, step, 2 * step) if self.most / size <= 6)
        return [float(round(i * step, 10)) for i in range(int(self.most / step) + 1)]

    def across(self, value: float) -> float:
        """Return the horizontal position of a value."""
        return self.left + (self.width - self.left - self.right) * (value - self.low) / ((self.high - self.low) or 1)

    def up(self, value: float) -> float:
        """Return the vertical position of a value, from the top."""
        return self.bottom - (self.bottom - 18) * value / self.most


@dataclass(frozen=True)
class Histogram:
    """A histogram: the edges and the count of each bin."""

    axes: Axes
    bins: list[tuple[float, float, int]]

    @classmethod
    def of(cls, values: ArrayLike, high: float, bins: int) -> "Histogram":
        """Count values from 0 to `high` in bins of equal width."""
        edges = np.linspace(0, high, bins + 1)
        counts = np.histogram(values, edges)[0].tolist()
        axes = Axes(0, high, max([1, *counts]))
        return cls(axes, list(zip(edges[:-1].tolist(), edges[1:].tolist(), counts, strict=True)))
