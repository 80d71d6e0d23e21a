"""Routes of the project: points, undo and redo, kinds, notes, instant picks and suggestions."""

import asyncio
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import StreamingResponse

from tomopicker import __version__
from tomopicker.errors import UsageError
from tomopicker.geometry import is_outside
from tomopicker.output.summary import SCORE, unusual
from tomopicker.studio.boxes import refined
from tomopicker.studio.context import Routes, Studio, body_of, finite, number, word
from tomopicker.studio.exchange import PROGRAMS
from tomopicker.studio.history import Edit
from tomopicker.studio.instant import as_json
from tomopicker.studio.points import Point, Points, as_change, parse, positions
from tomopicker.studio.project import Done

ROUTES = Routes()


@ROUTES.get("/api/state")
async def state(studio: Studio, request: Request) -> Any:
    """Return all that a page needs to begin."""
    project = studio.project
    begin = {
        "version": __version__,
        "project": str(project.folder.absolute()),
        "kinds": [asdict(kind) for kind in project.kinds.values()],
        "tomograms": [{"name": name, "volumes": list(files)} for name, files in studio.listing.files.items()],
        "programs": [{"name": name, "title": each.title} for name, each in PROGRAMS.items()],
        "instant": studio.work.engine is not None,
    }
    return begin | _standing(studio)


@ROUTES.get("/api/events")
async def events(studio: Studio, request: Request) -> StreamingResponse:
    """Stream what happens to a page."""
    first = {"name": "state", "trouble": studio.project.trouble}
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(studio.events.stream(first), media_type="text/event-stream", headers=headers)


@ROUTES.get("/api/points")
async def points(studio: Studio, request: Request) -> Any:
    """Return the points of a kind in a tomogram."""
    kind, tomogram = word(request, "kind"), word(request, "tomogram")
    studio.listing.frame(tomogram)
    sheet = studio.project.sheet(kind, tomogram)
    return {"version": sheet.version, "points": [asdict(point) for point in sheet.points]}


@ROUTES.post("/api/act")
async def act(studio: Studio, request: Request) -> Any:
    """Add and remove points; `refine` names the axis that the person could not see."""
    body = await body_of(request)
    change = parse(as_change, body)
    frame = studio.listing.frame(change.tomogram)
    if change.kind not in studio.project.kinds:
        raise UsageError(f"there is no kind '{change.kind[:60]}' in this project; add it first")
    axis = body.get("refine")
    if axis in (0, 1, 2) and len(change.added) == 1:
        diameter = studio.project.kinds[change.kind].diameter
        point = change.added[0]
        xyz = await asyncio.to_thread(
            refined, studio.listing.tomogram(change.tomogram), (point.x, point.y, point.z), diameter, axis
        )
        change = replace(change, added=(Point(*xyz, point.label, point.origin),))
    if is_outside(positions(change.added) / frame.voxel_size, frame.shape).any():
        raise UsageError("a point lies outside the tomogram")
    return changed(studio, await studio.project.act(change))


@ROUTES.post("/api/undo")
async def undo(studio: Studio, request: Request) -> Any:
    """Take the last act back."""
    return _stepped(studio, await studio.project.undo())


@ROUTES.post("/api/redo")
async def redo(studio: Studio, request: Request) -> Any:
    """Do the act last undone again."""
    return _stepped(studio, await studio.project.redo())


def changed(studio: Studio, done: Done) -> dict[str, Any]:
    """Send every page the change, have picks computed anew, and answer with the same."""
    news = _standing(studio) | {"change": asdict(done.change), "version": done.version}
    if done.change.is_empty:
        return news
    studio.events.send("points", **news)
    for kind in studio.project.kinds:  # Clicks of one kind are negatives of the others.
        studio.work.clicked(kind)
    return news


def _stepped(studio: Studio, done: Done | Edit | None) -> dict[str, Any]:
    """Answer with what was undone or redone."""
    if isinstance(done, Done):
        return changed(studio, done)
    if isinstance(done, Edit):
        _edited(studio, done.of, done.name)
        return _standing(studio) | {"change": None, "edited": f"{done.of} {done.name}"}
    return _standing(studio) | {"change": None}


def _standing(studio: Studio) -> dict[str, Any]:
    """Return what every answer to an act has: how many can be undone and done again, and what could not be saved."""
    project = studio.project
    return {"trouble": project.trouble, "undo": len(project.history.done), "redo": len(project.history.undone)}


def _edited(studio: Studio, of: str, name: str) -> None:
    """Send every page an edited kind or note."""
    project, standing = studio.project, _standing(studio)
    if of == "note":
        described = {"note": project.notes.get(name, ""), "reviewed": name in project.reviewed}
        studio.events.send("notes", tomogram=name, **described, **standing)
        return
    studio.events.send("kinds", kinds=[asdict(each) for each in project.kinds.values()], **standing)
    for kind in project.kinds:
        studio.work.clicked(kind)


@ROUTES.post("/api/kind")
async def kind(studio: Studio, request: Request) -> Any:
    """Add a kind of particle, or change its diameter or colour."""
    body = await body_of(request)
    name, colour = str(body.get("name", "")).strip(), body.get("colour")
    made = studio.project.edit_kind(name, finite(body.get("diameter"), "diameter"), str(colour) if colour else None)
    _edited(studio, "kind", made.name)
    return asdict(made)


@ROUTES.post("/api/note")
async def note(studio: Studio, request: Request) -> Any:
    """Set the note of a tomogram, or whether it was reviewed."""
    body = await body_of(request)
    name = str(body.get("tomogram", ""))
    if name not in studio.listing.files:
        raise UsageError("there is no such tomogram in the list")
    text, reviewed = body.get("note"), body.get("reviewed")
    studio.project.describe(name, None if text is None else str(text), None if reviewed is None else bool(reviewed))
    _edited(studio, "note", name)
    return {"tomogram": name}


@ROUTES.get("/api/picks")
async def picks(studio: Studio, request: Request) -> Any:
    """Return the instant picks of a kind in a tomogram, with less probable candidates."""
    named, tomogram = word(request, "kind"), word(request, "tomogram")
    diameter = studio.kind(named).diameter
    studio.listing.frame(tomogram)
    studio.work.want(tomogram, named)
    found = studio.work.picked(named).get(tomogram)
    trouble = studio.work.trouble.get(named) or studio.work.failed.get((tomogram, diameter))
    elsewhere = studio.work.elsewhere(tomogram, named)
    state = {"features": studio.work.state(tomogram, named), "trouble": trouble, "elsewhere": elsewhere}
    return as_json(found) | state


@ROUTES.get("/api/suggest")
async def suggest(studio: Studio, request: Request) -> Any:
    """Return the next places to ask about."""
    named = word(request, "kind")
    studio.kind(named)
    count = int(min(50, max(1, number(request, "count", 10))))
    found = await studio.work.suggest(named, count)
    return [
        {
            "tomogram": each.tomogram,
            "position": [round(float(value), 3) for value in np.ravel(each.position)],
            "probability": None if each.probability != each.probability else round(float(each.probability), 4),
            "reason": str(each.reason),
        }
        for each in found
    ]


@ROUTES.get("/api/list")
async def listed(studio: Studio, request: Request) -> Any:
    """Return a row for each tomogram: counts, medians, what is unusual, notes."""
    named = word(request, "kind")
    studio.kind(named)
    every = studio.project.all_points(named)
    finished = await asyncio.to_thread(studio.reviews.results, named)
    picked = {each.name: each.chosen for each in finished.tomograms} if finished else {}
    instant = studio.work.picked(named)
    rows = [
        _row(studio, name, every.get(name, ()), picked.get(name), instant.get(name)) for name in studio.listing.names
    ]
    nan = float("nan")
    counts = unusual([nan if row["picks"] is None else row["picks"] for row in rows])
    medians = unusual([nan if row["median"] is None else row["median"] for row in rows], SCORE)
    for row, by_count, by_median in zip(rows, counts.tolist(), medians.tolist(), strict=True):
        row["unusual"] = [word for word, far in (("count", by_count), ("score", by_median)) if far]
    return rows


def _row(studio: Studio, name: str, mine: Points, picked: Any, instant: Any) -> dict[str, Any]:
    source, scores = "", np.empty(0)
    if picked is not None:
        source, scores = "picked", picked.picks.scores
    elif instant is not None:
        source, scores = "instant", instant.candidates.scores[instant.candidates.scores > instant.threshold]
    return {
        "tomogram": name,
        "clicks": len(positions(mine, "particle")),
        "negatives": len(positions(mine, "negative")),
        "picks": len(scores) if source else None,
        "source": source,
        "median": round(float(np.median(scores)), 4) if len(scores) else None,
        "note": studio.project.notes.get(name, ""),
        "reviewed": name in studio.project.reviewed,
    }
