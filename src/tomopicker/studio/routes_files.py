"""Routes of files: those of other programs are opened and written; and the check of what was clicked."""

import asyncio
from typing import Any

from starlette.requests import Request

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.picks import Picks
from tomopicker.studio.context import Routes, Studio, body_of, finite, word
from tomopicker.studio.exchange import read_upload, save_for
from tomopicker.studio.points import Change, positions
from tomopicker.studio.review import final_picks
from tomopicker.studio.routes_points import changed

ROUTES = Routes()


@ROUTES.post("/api/open")
async def open_file(studio: Studio, request: Request) -> Any:
    """Read a file of another program, sent in the body, into points of a kind."""
    named, file = word(request, "kind"), word(request, "file")
    studio.kind(named)
    content = await request.body()
    frames = await asyncio.to_thread(lambda: {name: studio.listing.frame(name) for name in studio.listing.names})
    found, remarks = await asyncio.to_thread(read_upload, content, file, frames)
    counts = {}
    for tomogram, new in found.items():
        done = await studio.project.act(Change(named, tomogram, new))
        counts[tomogram] = len(done.change.added)
        changed(studio, done)
    return {"added": counts, "warnings": remarks}


@ROUTES.post("/api/save")
async def save(studio: Studio, request: Request) -> Any:
    """Write points or picks for another program, into the project folder."""
    body = await body_of(request)
    named, program, source = (str(body.get(name, "")) for name in ("kind", "program", "source"))
    studio.kind(named)
    stated = body.get("threshold")
    threshold = None if stated is None else finite(stated, "threshold")
    chosen = await asyncio.to_thread(_chosen, studio, named, source, threshold)
    frames = {name: studio.listing.frame(name) for name in chosen.tomogram_names}
    folder = studio.project.folder / "saved" / named / program
    files, advice = await asyncio.to_thread(save_for, program, chosen, frames, folder)
    return {"files": [str(file.absolute()) for file in files], "picks": len(chosen), "advice": advice}


def _chosen(studio: Studio, named: str, source: str, threshold: float | None) -> Picks:
    """Gather what is saved: clicks, instant picks with the clicks, or a finished job's picks after review.

    A threshold is that of instant picks, in place of each tomogram's own.
    """
    every = studio.project.all_points(named)
    if source == "clicks":
        return Picks.concatenate(
            Picks.of(name, rows) for name, each in every.items() if len(rows := positions(each, "particle"))
        )
    diameter = studio.project.kinds[named].diameter
    if source == "picked":
        finished = studio.reviews.results(named)
        if finished is None:
            raise UsageError("no job has picked this kind yet; start one, or save the clicks")
        listed = [each for each in finished.tomograms if each.name in studio.listing.files]
        return Picks.concatenate(
            final_picks(each.name, each.chosen.picks, every.get(each.name, ()), diameter) for each in listed
        )
    if source == "instant":
        parts = []
        for name, found in studio.work.picked(named).items():
            shown = found.candidates.scores > (found.threshold if threshold is None else threshold)
            parts.append(final_picks(name, found.candidates.select(shown), every.get(name, ()), diameter))
        return Picks.concatenate(parts)
    raise UsageError("what to save is one of clicks, instant, picked")


@ROUTES.get("/api/check")
async def check(studio: Studio, request: Request) -> Any:
    """Test in words whether the clicks of a kind lie on particles."""
    named = word(request, "kind")
    studio.kind(named)
    every = studio.project.all_points(named)
    parts = {name: rows for name, each in every.items() if len(rows := positions(each, "particle"))}
    if not parts:
        return []

    def run() -> list[dict[str, str]]:
        from tomopicker.diagnostics.check import check as tested  # noqa: PLC0415  (slow to import)

        opened = [studio.listing.tomogram(name) for name in parts]
        picked = Picks.concatenate(Picks.of(name, rows) for name, rows in parts.items())
        try:
            found = tested(opened, picked, studio.project.kinds[named].diameter).findings
        except TomoPickerError as error:
            return [{"status": "WARN", "test": "check", "message": str(error), "fix": ""}]
        return [
            {"status": each.status.value, "test": each.test, "message": each.message, "fix": each.fix} for each in found
        ]

    return await asyncio.to_thread(run)
