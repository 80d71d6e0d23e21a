"""Settings of a run of pick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tomopicker.picking.selection import Selection


@dataclass(frozen=True)
class PickSettings:
    """Settings of a run; `project` is the tomograms.star of RELION 5 that lists the tomograms, if one does."""

    selection: Selection
    min_distance: float | None
    star_format: str
    save_scores: bool
    voxel_size: float | None
    invert: bool
    device: str | None
    dataset: str | None = None
    axes: str | None = None
    mask: Literal["auto", "none"] | None = None
    pictures: bool = True
    project: Path | None = None

    @property
    def deciding(self) -> dict[str, Any]:
        """The settings that decide the picks, as the record states them."""
        given = (("dataset", self.dataset), ("axes", self.axes), ("mask", self.mask))
        return selection_facts(self.selection) | {
            "min_distance_angstrom": self.min_distance,
            "star_format": self.star_format,
            **{name: value for name, value in given if value},
        }


def selection_facts(selection: Selection) -> dict[str, Any]:
    """Give the selection, as the record states it."""
    return {
        "threshold": selection.threshold,
        "target_precision": selection.precision,
        "max_particles": selection.max_particles,
    }
