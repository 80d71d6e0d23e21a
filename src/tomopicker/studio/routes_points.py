"""Routes of the project: points, undo and redo, kinds, notes, instant picks and suggestions."""

import asyncio
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator
from starlette.responses import StreamingResponse

from tomopicker import __version__
from tomopicker.errors import UsageError
from tomopicker.geometry import is_outside
from tomopicker.output.summary import COUNT, SCORE, unusual
from tomopicker.studio.boxes import refine_click
from tomopicker.studio.context import Studio
from tomopicker.studio.exchange import PROGRAMS
from tomopicker.studio.history import Edit
from tomopicker.studio.points import Change, ChangedPoints, positions
from tomopicker.studio.project import Done
from tomopicker.studio.routing import KindOfProject, Name, Number, Routes

MAX_CANDIDATES = 50_000
MAX_SUGGESTIONS = 50

ROUTES = Routes()


@ROUTES.get("/api/state")
async def state(studio: Studio) -> Any:
    """Return all that a page needs to begin."""
    project = studio.project
    return {
        "version": __version__,
        "project": str(project.folder.absolute()),
        "kinds": [asdict(kind) for kind in project.kinds.values()],
        "tomograms": [{"name": name, "volumes": list(files)} for name, files in studio.listing.files.items()],
        "programs": [{"name": name, "title": program.title} for name, program in PROGRAMS.items()],
        "instant": studio.instant.engine is not None,
    } | _history(studio)


@ROUTES.get("/api/events")
async def events(studio: Studio) -> StreamingResponse:
    """Stream events to a page."""
    first = {"name": "state", "trouble": studio.project.error}
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(studio.events.stream(first), media_type="text/event-stream", headers=headers)


@ROUTES.get("/api/points")
async def points(studio: Studio, kind: Name, tomogram: Name) -> Any:
    """Return the points of a kind in a tomogram."""
    studio.listing.frame(tomogram)
    sheet = studio.project.sheet(kind, tomogram)
    return {"version": sheet.version, "points": [asdict(point) for point in sheet.points]}


@ROUTES.post("/api/act")
async def act(
    studio: Studio,
    kind: KindOfProject,
    tomogram: str,
    added: ChangedPoints = (),
    removed: ChangedPoints = (),
    refine: Literal[0, 1, 2] | None = None,
) -> Any:
    """Add and remove points; a single new one is centred along the axis `refine`, which the person could not see."""
    frame = studio.listing.frame(tomogram)
    if refine is not None and len(added) == 1:
        xyz = added[0].x, added[0].y, added[0].z
        opened = studio.listing.tomogram(tomogram)
        x, y, z = await asyncio.to_thread(refine_click, opened, xyz, kind.diameter, refine)
        added = (replace(added[0], x=x, y=y, z=z),)
    if is_outside(positions(added) / frame.voxel_size, frame.shape).any():
        raise UsageError("a point lies outside the tomogram")
    return publish(studio, await studio.project.act(Change(kind.name, tomogram, added, removed)))


@ROUTES.post("/api/undo")
async def undo(studio: Studio) -> Any:
    """Undo the last act."""
    return publish(studio, await studio.project.undo())


@ROUTES.post("/api/redo")
async def redo(studio: Studio) -> Any:
    """Redo the act last undone."""
    return publish(studio, await studio.project.redo())


def publish(studio: Studio, done: Done | Edit | None) -> dict[str, Any]:
    """Send pages what an act changed, start picking again where it matters, and return the answer to the request."""
    project, answer = studio.project, _history(studio)
    if done is None:
        return answer | {"change": None}
    if isinstance(done, Edit):
        if done.of == "note":
            studio.events.send("notes", tomogram=done.name, **project.note_of(done.name), **answer)
            return answer | {"change": None, "edited": f"note {done.name}"}
        studio.events.send("kinds", kinds=[asdict(kind) for kind in project.kinds.values()], **answer)
        answer |= {"change": None, "edited": f"kind {done.name}"}
    else:
        answer |= {"change": asdict(done.change), "version": done.version}
        if done.change.is_empty:
            return answer
        studio.events.send("points", **answer)
    for kind in project.kinds:  # Clicks of one kind are negatives of the others.
        studio.instant.update(kind)
    return answer


def _history(studio: Studio) -> dict[str, Any]:
    """Return how many acts can be undone and redone, and why they could not be saved, if so."""
    project = studio.project
    return {"trouble": project.error, "undo": len(project.history.done), "redo": len(project.history.undone)}


@ROUTES.post("/api/kind")
async def kind(
    studio: Studio,
    name: Annotated[str, AfterValidator(str.strip)],
    diameter: Number,
    colour: str | None = None,
) -> Any:
    """Add a kind of particle, or change its diameter or colour."""
    edit = studio.project.edit_kind(name, diameter, colour or None)
    publish(studio, edit)
    return edit.after


@ROUTES.post("/api/note")
async def note(studio: Studio, tomogram: str, note: str | None = None, reviewed: bool | None = None) -> Any:
    """Set the note of a tomogram, or whether it was reviewed."""
    if tomogram not in studio.listing.files:
        raise UsageError("there is no such tomogram in the list")
    publish(studio, studio.project.edit_note(tomogram, note, reviewed))
    return {"tomogram": tomogram}


@ROUTES.get("/api/picks")
async def picks(studio: Studio, kind: KindOfProject, tomogram: Name) -> Any:
    """Return the instant picks of a kind in a tomogram, with less probable candidates; and totals of the others."""
    studio.listing.frame(tomogram)
    studio.instant.request_features(tomogram, kind.name)
    others = dict(studio.instant.picked(kind.name))
    own = others.pop(tomogram, None)
    answer = {
        "features": studio.instant.state(tomogram, kind.name),
        "trouble": studio.instant.error(tomogram, kind.name),
        "elsewhere": {
            "tomograms": len(studio.listing.names) - 1,
            "done": len(others),
            "picks": sum(int((other.candidates.scores > other.threshold).sum()) for other in others.values()),
        },
    }
    if own is None:
        return answer | {"candidates": [], "threshold": 1.0, "count": None, "expected": None, "particles": 0.0}
    candidates = np.column_stack([own.candidates.positions, own.candidates.scores])[:MAX_CANDIDATES]
    count, expected = own.count, own.expected
    return answer | {
        "candidates": np.round(candidates, 3).tolist(),
        "threshold": own.threshold,
        "count": None if count is None else [count.estimate, count.low, count.high],
        "particles": expected.particles,
        "expected": [expected.precision, expected.recall, expected.f1],
    }


@ROUTES.get("/api/suggest")
async def suggest(studio: Studio, kind: KindOfProject, count: Number = 10) -> Any:
    """Suggest where to click next."""
    suggestions = await studio.instant.suggest(kind.name, int(min(MAX_SUGGESTIONS, max(1, count))))
    return [
        {
            "tomogram": suggestion.tomogram,
            "position": np.round(suggestion.position, 3).tolist(),
            "probability": None if np.isnan(suggestion.probability) else round(suggestion.probability, 4),
            "reason": suggestion.reason,
        }
        for suggestion in suggestions
    ]


@ROUTES.get("/api/list")
async def tomogram_list(studio: Studio, kind: KindOfProject) -> Any:
    """Return a row for each tomogram: counts, median scores, what is unusual, notes."""
    finished = await asyncio.to_thread(studio.reviews.results, kind.name)
    points = studio.project.all_points(kind.name)
    picked = {own.name: own.selected.picks.scores for own in finished.tomograms} if finished else {}
    instant = {
        name: own.candidates.scores[own.candidates.scores > own.threshold]
        for name, own in studio.instant.picked(kind.name).items()
    }
    rows: list[dict[str, Any]] = []
    for name in studio.listing.names:
        scores = picked.get(name, instant.get(name))
        rows.append(
            {
                "tomogram": name,
                "clicks": len(positions(points.get(name, ()), "particle")),
                "negatives": len(positions(points.get(name, ()), "negative")),
                "picks": None if scores is None else len(scores),
                "source": "picked" if name in picked else "instant" if name in instant else "",
                "median": None if scores is None or not len(scores) else round(float(np.median(scores)), 4),
                "unusual": [],
            }
            | studio.project.note_of(name)
        )
    for name, key, measure in (("count", "picks", COUNT), ("score", "median", SCORE)):
        for row, flag in zip(rows, unusual([row[key] for row in rows], measure).tolist(), strict=True):
            row["unusual"] += [name] if flag else []
    return rows
