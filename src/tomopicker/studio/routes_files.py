"""Routes of files of other programs, opened and saved, and of the check of clicks."""

import asyncio
from typing import Any, Literal

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.picks import Picks
from tomopicker.studio.context import Studio
from tomopicker.studio.exchange import read_upload, save_for
from tomopicker.studio.points import Change, positions
from tomopicker.studio.review import final_picks
from tomopicker.studio.routes_points import publish
from tomopicker.studio.routing import KindOfProject, Name, Number, Routes

ROUTES = Routes()


@ROUTES.post("/api/open")
async def open_file(studio: Studio, kind: KindOfProject, file: Name, content: bytes) -> Any:
    """Add the points in a file of another program to a kind."""
    frames = await asyncio.to_thread(lambda: {name: studio.listing.frame(name) for name in studio.listing.names})
    points, warnings = await asyncio.to_thread(read_upload, content, file, frames)
    counts = {}
    for tomogram, new in points.items():
        done = await studio.project.act(Change(kind.name, tomogram, new))
        counts[tomogram] = len(done.change.added)
        publish(studio, done)
    return {"added": counts, "warnings": warnings}


@ROUTES.post("/api/save")
async def save(
    studio: Studio,
    kind: KindOfProject,
    program: str,
    source: Literal["clicks", "instant", "picked"],
    threshold: Number | None = None,
) -> Any:
    """Write points or picks for another program, into the project folder."""
    picks = await asyncio.to_thread(_picks_to_save, studio, kind.name, source, threshold)
    frames = {name: studio.listing.frame(name) for name in picks.tomogram_names}
    folder = studio.project.folder / "saved" / kind.name / program
    files, advice = await asyncio.to_thread(save_for, program, picks, frames, folder)
    return {"files": [str(file.absolute()) for file in files], "picks": len(picks), "advice": advice}


def _picks_to_save(studio: Studio, kind: str, source: str, threshold: float | None) -> Picks:
    """Return the clicks, or instant picks or those of the last job after review.

    The threshold replaces each tomogram's own for instant picks.
    """
    points, diameter = studio.project.all_points(kind), studio.project.kinds[kind].diameter
    if source == "clicks":
        return Picks.concatenate(
            Picks.of(name, xyz) for name, own in points.items() if len(xyz := positions(own, "particle"))
        )
    if source == "picked":
        finished = studio.reviews.results(kind)
        if finished is None:
            raise UsageError("no job has picked this kind yet; start one, or save the clicks")
        picked = {own.name: own.selected.picks for own in finished.tomograms if own.name in studio.listing.files}
    else:
        picked = {
            name: own.candidates.select(own.candidates.scores > (own.threshold if threshold is None else threshold))
            for name, own in studio.instant.picked(kind).items()
        }
    return Picks.concatenate(final_picks(name, own, points.get(name, ()), diameter) for name, own in picked.items())


@ROUTES.get("/api/check")
async def check(studio: Studio, kind: KindOfProject) -> Any:
    """Check whether the clicks of a kind are on particles."""
    points = studio.project.all_points(kind.name)
    clicks = [Picks.of(name, xyz) for name, own in points.items() if len(xyz := positions(own, "particle"))]
    if not clicks:
        return []

    def run() -> list[dict[str, str]]:
        from tomopicker.diagnostics.check import check as check_picks  # noqa: PLC0415  (slow to import)

        picks = Picks.concatenate(clicks)
        tomograms = [studio.listing.tomogram(name) for name in picks.tomogram_names]
        try:
            findings = check_picks(tomograms, picks, kind.diameter).findings
        except TomoPickerError as error:
            return [{"status": "WARN", "test": "check", "message": str(error), "fix": ""}]
        return [
            {"status": own.status.value, "test": own.test, "message": own.message, "fix": own.fix} for own in findings
        ]

    return await asyncio.to_thread(run)
