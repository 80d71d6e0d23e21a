"""The state that the routes share, and the reading of a request's parameters."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tomopicker.errors import UsageError
from tomopicker.studio.boxes import Boxes
from tomopicker.studio.brick import Brick
from tomopicker.studio.deconvolution import Deconvolution
from tomopicker.studio.engine import Engine
from tomopicker.studio.events import Events
from tomopicker.studio.instant import Workbench
from tomopicker.studio.jobs import Jobs
from tomopicker.studio.listing import Listing
from tomopicker.studio.project import Kind, Project
from tomopicker.studio.review import Reviews
from tomopicker.studio.slabs import Grey, measure
from tomopicker.tomogram import Tomogram

MAX_BRICKS = 2
MAX_GREYS = 1000
Value = TypeVar("Value")


@dataclass
class Studio:
    """The state of a running server."""

    listing: Listing
    project: Project
    events: Events
    work: Workbench
    jobs: Jobs
    reviews: Reviews
    boxes: Boxes = field(default_factory=Boxes)
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a job is started: one of a kind runs at a time."""
    _greys: dict[tuple[str, str, int, Deconvolution | None], Grey] = field(default_factory=dict)
    _bytes: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    _bricks: "OrderedDict[tuple[str, str], Brick]" = field(default_factory=OrderedDict)

    @classmethod
    def open(cls, listing: Listing, folder: Path, engine: Engine | None) -> "Studio":
        """Open a project on the listed tomograms."""
        project, events = Project.open(folder, listing.frame), Events()
        work = Workbench(engine, listing, project, events)
        return cls(listing, project, events, work, Jobs(folder / "jobs"), Reviews(folder / "picks"))

    def kind(self, name: str) -> Kind:
        """Return a kind of the project.

        Raises `UsageError` if there is none of that name.
        """
        if name not in self.project.kinds:
            raise UsageError("there is no such kind in this project")
        return self.project.kinds[name]

    def grey(
        self, tomogram: Tomogram, volume: str, thickness: float, deconvolution: Deconvolution | None = None
    ) -> Grey:
        """Measure the grey values of a volume for slabs of a thickness (Å), once; the latest settings are kept."""
        key = tomogram.name, volume, max(1, round(thickness / tomogram.voxel_size)), deconvolution
        grey = self._greys.get(key)
        if grey is None:
            # Bytes mean the same whatever the thickness and the filter: what the first was measured to be.
            grey = measure(tomogram, thickness, self._bytes.get(key[:2]), deconvolution)
            self._bytes.setdefault(key[:2], (grey.low, grey.high))
            self._greys[key] = grey
            if len(self._greys) > MAX_GREYS:
                self._greys.pop(next(iter(self._greys)), None)
        return grey

    def brick(self, tomogram: Tomogram, volume: str, thickness: float) -> Brick:
        """Return the brick of a volume; the latest few are kept."""
        key = tomogram.name, volume
        if key not in self._bricks:
            self._bricks[key] = Brick(tomogram, self.grey(tomogram, volume, thickness))
        self._bricks.move_to_end(key)
        while len(self._bricks) > MAX_BRICKS:
            self._bricks.popitem(last=False)
        return self._bricks[key]


Handler = Callable[[Studio, Request], Awaitable[Any]]


class Routes(list[Route]):
    """The routes of a module, each declared at its handler, whose answer is a response or a value for JSON."""

    def get(self, path: str) -> Callable[[Handler], Handler]:
        """Declare the handler of a GET request."""
        return self._declare(path, "GET")

    def post(self, path: str) -> Callable[[Handler], Handler]:
        """Declare the handler of a POST request."""
        return self._declare(path, "POST")

    def _declare(self, path: str, method: str) -> Callable[[Handler], Handler]:
        def declare(handler: Handler) -> Handler:
            async def handle(request: Request) -> Response:
                answer = await handler(request.app.state.studio, request)
                return answer if isinstance(answer, Response) else JSONResponse(answer)

            self.append(Route(path, handle, methods=[method]))
            return handler

        return declare


def number(request: Request, name: str, default: float | None = None) -> float:
    """Read a finite number from the query.

    Raises `UsageError` if it is none, or left out without a default.
    """
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    return finite(text, name)


def finite(value: Any, name: str) -> float:
    """Read a finite number.

    Raises `UsageError` if it is none.
    """
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise UsageError(f"'{name}' must be a number")
    return found


def word(request: Request, name: str, known: tuple[str, ...] | None = None) -> str:
    """Read a word from the query.

    Raises `UsageError` if it is left out, or none of those known.
    """
    text = request.query_params.get(name, "")
    if not text or (known is not None and text not in known):
        raise UsageError(f"'{name}' must be {'one of ' + ', '.join(known) if known else 'given'}")
    return text


async def body_of(request: Request) -> dict[str, Any]:
    """Read a JSON object from the body.

    Raises `UsageError` if it is none.
    """
    try:
        value = await request.json()
    except (ValueError, RecursionError) as error:
        raise UsageError("the request holds no JSON") from error
    if not isinstance(value, dict):
        raise UsageError("the request must be a JSON object")
    return value
