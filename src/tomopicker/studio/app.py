"""The application: routes behind the guard, errors as one line of JSON, and the background work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.studio import routes_files, routes_points, routes_view, routes_work
from tomopicker.studio.access import Access, Guard
from tomopicker.studio.context import Studio

STATIC = Path(__file__).parent / "static"
LOOK_SECONDS = 1.0
"""Between two looks at the files of the project."""


def create_app(studio: Studio, access: Access) -> ASGIApp:
    """Make the application.

    Parameters
    ----------
    studio : Studio
        What it serves.
    access : Access
        Whom it serves.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(_look_after(studio))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            studio.work.close()
            studio.events.close()
            await studio.project.save_rest()

    routes = [
        Route("/", _page),
        *routes_view.ROUTES,
        *routes_points.ROUTES,
        *routes_files.ROUTES,
        *routes_work.ROUTES,
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers = {
        TomoPickerError: _refused,
        ClientDisconnect: _gone,
        HTTPException: _http_error,
    }
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    app.state.studio = studio
    return Guard(BasePath(app, access.base_path), access)


class BasePath:
    """Takes the path that a proxy puts before every address off, whether the proxy has taken it off already or not."""

    def __init__(self, app: ASGIApp, base_path: str) -> None:
        self.app, self.base_path = app, base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        base = self.base_path
        if base and scope["type"] == "http" and (scope["path"] == base or scope["path"].startswith(f"{base}/")):
            scope = {**scope, "path": scope["path"].removeprefix(base) or "/", "raw_path": None}
        await self.app(scope, receive, send)


async def _page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8")


async def _refused(request: Request, error: Exception) -> JSONResponse:
    status = 400 if isinstance(error, UsageError) else 422
    return JSONResponse({"error": " ".join(str(error).split())}, status)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


async def _gone(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "the request is too long, or was broken off"}, 413)


async def _look_after(studio: Studio) -> None:
    """Write what waits, notice what other programs wrote, and send pages the state of jobs."""
    trouble = studio.project.trouble
    states: dict[str, tuple[str, int]] = {}
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        project = studio.project
        with suppress(OSError):
            await project.save_rest()
        if project.trouble != trouble:
            trouble = project.trouble
            studio.events.send("trouble", trouble=trouble)
        try:
            for kind, tomogram in project.changed_elsewhere():
                studio.events.send("reread", kind=kind, tomogram=tomogram)
                studio.work.clicked(kind)
        except TomoPickerError as error:  # Half-written by an editor, perhaps: it is looked at again.
            studio.events.send("warning", text=str(error))
        now = {job.folder.name: (job.state, job.log_size) for job in studio.jobs.all()[:20]}
        if now != states:
            ended = [name for name, (state, _) in now.items() if states.get(name, ("",))[0] == "running" != state]
            studio.events.send("jobs", ended=ended)
            states = now
