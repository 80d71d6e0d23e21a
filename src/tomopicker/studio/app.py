"""The application: routes behind the guard, errors as one line of JSON, and background work."""

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
from starlette.types import ASGIApp

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.studio import routes_files, routes_points, routes_view, routes_work
from tomopicker.studio.access import Access, Guard
from tomopicker.studio.context import Studio

STATIC = Path(__file__).parent / "static"
CHECK_SECONDS = 1.0
"""Interval between two checks of the project's files and jobs."""


def create_app(studio: Studio, access: Access) -> ASGIApp:
    """Create the application that serves a project to those with access."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(_watch(studio))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            studio.instant.close()
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
    handlers = {TomoPickerError: _error, ClientDisconnect: _disconnected, HTTPException: _http_error}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    app.state.studio = studio
    return Guard(app, access)


async def _page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8")


async def _error(request: Request, error: Exception) -> JSONResponse:
    status = 400 if isinstance(error, UsageError) else 422
    return JSONResponse({"error": " ".join(str(error).split())}, status)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


async def _disconnected(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "the request is too long, or was interrupted"}, 413)


async def _watch(studio: Studio) -> None:
    """Write unsaved points, read files that other programs wrote, and send pages errors and the states of jobs."""
    project = studio.project
    error = project.error
    states: dict[str, tuple[str, int]] = {}
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        with suppress(OSError):
            await project.save_rest()
        if project.error != error:
            error = project.error
            studio.events.send("trouble", trouble=error)
        try:
            for kind, tomogram in project.changed_elsewhere():
                studio.events.send("reread", kind=kind, tomogram=tomogram)
                studio.instant.update(kind)
        except TomoPickerError as damage:  # Perhaps half-written by an editor; read again next time.
            studio.events.send("warning", text=str(damage))
        now = {job.folder.name: (job.state, job.log_size) for job in studio.jobs.all()[:20]}
        if now != states:
            ended = [name for name, (state, _) in now.items() if states.get(name, ("",))[0] == "running" != state]
            studio.events.send("jobs", ended=ended)
            states = now
