"""Instant picks as the studio's `Engine`; torch is imported when the first features are asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tomopicker.picks import Picks
from tomopicker.studio.instant import Found, Suggested
from tomopicker.tomogram import Tomogram


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
        """Compute the features of a tomogram."""
        from tomopicker.pipeline.features import features  # noqa: PLC0415

        return features(tomogram, particle_diameter, device=self.device or "auto", progress=progress)

    def picks(self, features: Sequence[Any], clicks: Picks, rejected: Picks | None) -> Mapping[str, Found]:
        """Give the picks of each tomogram."""
        from tomopicker.pipeline.instant import instant  # noqa: PLC0415

        return instant(features, clicks, rejected).picked

    def suggest(
        self, features: Sequence[Any], clicks: Picks, rejected: Picks | None, count: int
    ) -> Sequence[Suggested]:
        """Give the next places to ask about."""
        from tomopicker.pipeline.suggest import suggest  # noqa: PLC0415

        return suggest(features, clicks, rejected, count)
