"""What computes features, picks and suggestions: the `Engine`, and the one of the shipped network.

torch is imported when the first features are asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tomopicker.picking.calibration import Count
from tomopicker.picking.selection import Expectation
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram


@runtime_checkable
class Found(Protocol):
    """What is read of the picks of one tomogram; `tomopicker.pipeline.pick.Picked` has it all."""

    @property
    def candidates(self) -> Picks: ...
    @property
    def threshold(self) -> float: ...
    @property
    def expected(self) -> Expectation: ...
    @property
    def count(self) -> Count | None: ...


@runtime_checkable
class Suggested(Protocol):
    """A place to be answered with yes or no."""

    @property
    def position(self) -> Any: ...
    @property
    def tomogram(self) -> str: ...
    @property
    def probability(self) -> float: ...
    @property
    def reason(self) -> str: ...


@runtime_checkable
class Answer(Protocol):
    """Picks of all tomograms from one state of the clicks; `tomopicker.pipeline.instant.Instant` has it all."""

    @property
    def picked(self) -> Mapping[str, Found]: ...


@runtime_checkable
class Engine(Protocol):
    """What computes features, picks and suggestions."""

    def features(self, tomogram: Tomogram, particle_diameter: float, progress: Callable[[int, int], None]) -> object:
        """Compute the features of a tomogram, which takes as long as a pass of the network."""

    def picks(self, features: Sequence[Any], clicks: Picks, rejected: Picks | None) -> Answer:
        """Return the picks of each tomogram."""

    def examples(self, features: Sequence[Any], rejected: Picks | None, count: int) -> Sequence[Suggested]:
        """Return places to ask about before the first click: examples of what there is."""

    def suggest(self, answer: Any, count: int) -> Sequence[Suggested]:
        """Return the next places to ask about, most useful first, after an answer of `picks`."""


@dataclass(frozen=True)
class InstantEngine:
    """Features of the shipped network, and the closed-form discriminant.

    Parameters
    ----------
    device : str, optional
        ``cpu``, ``cuda``, ``mps``; the best there is if left out.
    """

    device: str | None = None

    def features(self, tomogram: Tomogram, particle_diameter: float, progress: Callable[[int, int], None]) -> object:
        from tomopicker.pipeline.features import features  # noqa: PLC0415

        return features(tomogram, particle_diameter, device=self.device or "auto", progress=progress)

    def picks(self, features: Sequence[Any], clicks: Picks, rejected: Picks | None) -> Answer:
        from tomopicker.pipeline.instant import instant  # noqa: PLC0415

        return instant(features, clicks, rejected)

    def examples(self, features: Sequence[Any], rejected: Picks | None, count: int) -> Sequence[Suggested]:
        from tomopicker.pipeline.suggest import suggest  # noqa: PLC0415

        return suggest(features, None, rejected, count)

    def suggest(self, answer: Any, count: int) -> Sequence[Suggested]:
        from tomopicker.pipeline.suggest import suggest_from  # noqa: PLC0415

        return suggest_from(answer, count)
