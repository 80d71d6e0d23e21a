"""The state of a running server, shared by its routes."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from tomopicker.studio.boxes import Boxes
from tomopicker.studio.deconvolution import Deconvolution
from tomopicker.studio.events import Events
from tomopicker.studio.instant import Engine, InstantPicks
from tomopicker.studio.jobs import Jobs
from tomopicker.studio.listing import Listing
from tomopicker.studio.project import Project
from tomopicker.studio.review import Reviews
from tomopicker.studio.slabs import Brick, Grey, measure
from tomopicker.tomogram import Tomogram

MAX_BRICKS = 2
MAX_GREYS = 1000


@dataclass
class Studio:
    """The state of a running server."""

    listing: Listing
    project: Project
    events: Events
    instant: InstantPicks
    jobs: Jobs
    reviews: Reviews
    boxes: Boxes
    job_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a job is started: one of a kind runs at a time."""
    _greys: dict[tuple[str, str, int, Deconvolution | None], Grey] = field(default_factory=dict)
    _ranges: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    _bricks: "OrderedDict[tuple[str, str], Brick]" = field(default_factory=OrderedDict)

    @classmethod
    def open(cls, listing: Listing, folder: Path, engine: Engine | None) -> "Studio":
        """Open a project on the listed tomograms."""
        project, events = Project.open(folder, listing.frame), Events()
        instant = InstantPicks(engine, listing, project, events)
        return cls(listing, project, events, instant, Jobs(folder / "jobs"), Reviews(folder / "picks"), Boxes(listing))

    def grey(
        self, tomogram: Tomogram, volume: str, thickness: float, deconvolution: Deconvolution | None = None
    ) -> Grey:
        """Return the grey values of a volume for slabs of a thickness (Å); measured once for each of the last uses."""
        key = tomogram.name, volume, max(1, round(thickness / tomogram.voxel_size)), deconvolution
        grey = self._greys.get(key)
        if grey is None:
            # Whatever the thickness and the filter, bytes mean what they were first measured to mean.
            grey = measure(tomogram, thickness, self._ranges.get(key[:2]), deconvolution)
            self._ranges.setdefault(key[:2], (grey.low, grey.high))
            self._greys[key] = grey
            if len(self._greys) > MAX_GREYS:
                self._greys.pop(next(iter(self._greys)), None)
        return grey

    def brick(self, tomogram: Tomogram, volume: str, thickness: float) -> Brick:
        """Return the brick of a volume; the most recently used are kept."""
        key = tomogram.name, volume
        if key not in self._bricks:
            self._bricks[key] = Brick(tomogram, self.grey(tomogram, volume, thickness))
        self._bricks.move_to_end(key)
        while len(self._bricks) > MAX_BRICKS:
            self._bricks.popitem(last=False)
        return self._bricks[key]
