"""Routes of jobs, and of the review of their picks."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.output.layout import RECORD
from tomopicker.output.record import PickSettings, difference, digest, read_record
from tomopicker.picking.selection import Selection
from tomopicker.studio.context import Studio
from tomopicker.studio.jobs import worker_arguments
from tomopicker.studio.points import csv_files, positions
from tomopicker.studio.project import Kind
from tomopicker.studio.review import Order, gallery, histogram, instant_results, rows
from tomopicker.studio.routing import KindOfProject, Name, Number, Routes

if TYPE_CHECKING:
    from tomopicker.output.results import FolderResults, TomogramResult

MAX_PAGE = 120
Threshold = Annotated[Number, AfterValidator(lambda value: min(1.0, max(0.0, value)))]

ROUTES = Routes()


@ROUTES.get("/api/jobs")
async def jobs(studio: Studio) -> Any:
    """List the jobs, latest first."""
    return [job.to_json() for job in studio.jobs.all()]


@ROUTES.get("/api/log")
async def log(studio: Studio, id: Name) -> Any:
    """Return the end of a job's output."""
    job = studio.jobs.get(id)
    return {"log": job.log, **job.to_json()}


@ROUTES.post("/api/start")
async def start(
    studio: Studio,
    kind: KindOfProject,
    what: Literal["train", "pick"],
    preset: Literal["default", "best"] = "default",
    workers: Annotated[int, Field(ge=1, le=1000)] | None = None,
) -> Any:
    """Start training on the clicks of a kind, or picking with its model in all tomograms."""
    async with studio.job_lock:
        running = [job for job in studio.jobs.all() if job.state == "running" and job.request["kind"] == kind.name]
        if running:
            raise UsageError(f"'{running[0].request['title']}' is running for this kind; stop it or wait")
        if what == "train":
            title, arguments = f"Train {kind.name} ({preset})", _train_arguments(studio, kind, preset)
        else:
            title = f"Pick {kind.name} in all tomograms"
            arguments = await asyncio.to_thread(_pick_arguments, studio, kind)
            arguments += await asyncio.to_thread(worker_arguments, studio.project.folder, workers)
        job = studio.jobs.start(title, kind.name, arguments)
    studio.events.send("jobs")
    return job.to_json()


@ROUTES.post("/api/stop")
async def stop(studio: Studio, id: str) -> Any:
    """Stop a job, as Ctrl-C does."""
    job = studio.jobs.get(id)
    await asyncio.to_thread(job.stop)
    studio.events.send("jobs")
    return job.to_json()


def _train_arguments(studio: Studio, kind: Kind, preset: str) -> list[str]:
    project = studio.project
    clicked = {
        other: {name for name, own in project.all_points(other).items() if len(positions(own, "particle"))}
        for other in project.kinds
    }
    tomograms = [name for name in studio.listing.names if name in clicked[kind.name]]
    if not tomograms:
        raise UsageError(f"no {kind.name} is clicked yet; click some, 5 or more")
    files = {other: [csv_files(project.folder.absolute(), other, name) for name in tomograms] for other in clicked}
    negatives = [own["negative"] for own in files[kind.name] if _has_rows(own["negative"])]
    negatives += [  # Particles of another kind are negatives of this one.
        own["particle"]
        for other in project.kinds
        for name, own in zip(tomograms, files[other], strict=True)
        if other != kind.name and name in clicked[other] and _has_rows(own["particle"])
    ]
    model = _model(studio, kind)
    model.parent.mkdir(parents=True, exist_ok=True)
    return [
        "train",
        *_volumes(studio, tomograms),
        *(part for own in files[kind.name] for part in ("--picks", str(own["particle"]))),
        *(part for path in negatives for part in ("--negatives", str(path))),
        *("--particle-diameter", f"{kind.diameter:g}", "--preset", preset, "--output", str(model), "--overwrite"),
        *_read_arguments(studio),
        *(["--invert"] if studio.listing.reading.invert else []),
    ]


def _has_rows(csv: Path) -> bool:
    return csv.exists() and len(csv.read_text(encoding="utf-8").splitlines()) > 1


def _pick_arguments(studio: Studio, kind: Kind) -> list[str]:
    model, folder = _model(studio, kind), studio.reviews.path(kind.name).absolute()
    if not model.exists():
        raise UsageError(f"{kind.name} is not trained yet; train it first")
    files = ["--model", str(model), "--output", str(folder)]
    resume = "--retry-failed" if _can_resume(studio, folder, model) else "--overwrite"
    return ["pick", *_volumes(studio, studio.listing.names), *files, resume, *_read_arguments(studio)]


def _can_resume(studio: Studio, folder: Path, model: Path) -> bool:
    """Return True if a folder holds picks of this version of the model, with the settings of the studio's jobs."""
    settings = PickSettings(
        Selection(), None, "relion5", save_scores=False, reading=studio.listing.reading, device=None
    )
    try:
        record = read_record(folder / RECORD)
    except TomoPickerError:  # Missing or damaged.
        return False
    return difference(record, {"model": {"sha256": digest(model)}, "settings": settings.recorded}) is None


def _model(studio: Studio, kind: Kind) -> Path:
    return (studio.project.folder / "models" / f"{kind.name}.model").absolute()


def _volumes(studio: Studio, names: list[str]) -> list[str]:
    """Return the first volume of each tomogram: the one that is clicked in."""
    return [str(next(iter(studio.listing.files[name].values())).absolute()) for name in names]


def _read_arguments(studio: Studio) -> list[str]:
    reading = studio.listing.reading
    values = {"--voxel-size": reading.voxel_size, "--dataset": reading.dataset, "--axes": reading.axes}
    return [part for flag, value in values.items() if value is not None for part in (flag, str(value))]


@ROUTES.get("/api/review")
async def review(studio: Studio, kind: KindOfProject, threshold: Threshold | None = None) -> Any:
    """Describe every tomogram's picks, of the last job or instant ones, at another threshold if one is given."""
    results, finished = await _results(studio, kind)
    if not results:
        return None
    return {
        "tomograms": await asyncio.to_thread(rows, results, threshold),
        "histogram": histogram(results),
        "failed": finished.failed if finished else {},
        "folder": str(finished.folder.absolute()) if finished else None,
    }


@ROUTES.post("/api/cut")
async def cut(studio: Studio, kind: KindOfProject, threshold: Threshold | None = None) -> Any:
    """Select the picks of a kind again at a threshold and write them; without one, at each tomogram's best."""
    if await asyncio.to_thread(studio.reviews.results, kind.name) is None:
        raise UsageError("no job has picked this kind yet")

    def write() -> None:
        from tomopicker.output.results import reselect  # noqa: PLC0415  (torch is slow to import)

        reselect(studio.reviews.path(kind.name), Selection(threshold))

    await asyncio.to_thread(write)
    studio.events.send("review", kind=kind.name)
    return {"threshold": threshold}


@ROUTES.get("/api/gallery")
async def gallery_page(studio: Studio, kind: KindOfProject, order: Order, start: int = 0, count: int = 60) -> Any:
    """Return a page of the gallery."""
    results, finished = await _results(studio, kind)
    if not results:
        return {"total": 0, "items": [], "diameter": 0}
    diameter = finished.diameter if finished else kind.diameter
    points = studio.project.all_points(kind.name)
    table = await asyncio.to_thread(gallery, results, points, diameter, order)
    page = table.iloc[max(0, start) :].head(min(max(1, count), MAX_PAGE))
    columns = ["tomogram", "probability", "answer", "picked", "listed"]
    page = page.assign(probability=page["probability"].round(4), listed=page["tomogram"].isin(studio.listing.files))
    places = page[["x", "y", "z"]].round(3).to_numpy().tolist()
    return {
        "total": len(table),
        "answered": int((table["answer"] != "").sum()),
        "items": [row | {"position": xyz} for row, xyz in zip(page[columns].to_dict("records"), places, strict=True)],
        "diameter": diameter,
    }


async def _results(studio: Studio, kind: Kind) -> "tuple[tuple[TomogramResult, ...], FolderResults | None]":
    """Return the picks of a kind's last job and their folder; else its instant picks, in no folder."""
    if finished := await asyncio.to_thread(studio.reviews.results, kind.name):
        return finished.tomograms, finished
    picked = studio.instant.picked(kind.name)
    frames = {name: studio.listing.frame(name) for name in studio.listing.names if name in picked}
    return (await asyncio.to_thread(instant_results, picked, frames) if frames else ()), None
