"""Routes of jobs, and of the review of their picks."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.output.layout import RECORD
from tomopicker.output.record import PickSettings, difference, digest, read_record
from tomopicker.picking.selection import Selection
from tomopicker.studio.context import Routes, Studio, body_of, finite, number, word
from tomopicker.studio.jobs import Job, engine_arguments
from tomopicker.studio.points import csv_files, positions
from tomopicker.studio.review import ORDERS, Reviewed, gallery, histogram, of_instant, of_job, rows

if TYPE_CHECKING:
    from tomopicker.output.results import FolderResults

PRESETS = ("default", "best")
MAX_PAGE = 120
MAX_WORKERS = 1000

ROUTES = Routes()


@ROUTES.get("/api/jobs")
async def jobs(studio: Studio, request: Request) -> Any:
    """List the jobs, latest first."""
    return [job.to_json() for job in studio.jobs.all()]


@ROUTES.get("/api/log")
async def log(studio: Studio, request: Request) -> Any:
    """Return the end of what a job printed."""
    job = studio.jobs.get(word(request, "id"))
    return {"log": job.log, **job.to_json()}


@ROUTES.post("/api/start")
async def start(studio: Studio, request: Request) -> Any:
    """Start training on the clicks of a kind, or picking with its model in all tomograms."""
    body = await body_of(request)
    named, what = str(body.get("kind", "")), str(body.get("what", ""))
    studio.kind(named)
    async with studio.starting:  # Two presses at once must not both find that nothing runs.
        job = await _start(studio, named, what, body)
    studio.events.send("jobs")
    return job.to_json()


async def _start(studio: Studio, named: str, what: str, body: dict[str, Any]) -> Job:
    running = [job for job in studio.jobs.all() if job.state == "running" and job.asked["kind"] == named]
    if running:
        raise UsageError(f"'{running[0].asked['title']}' is running for this kind; stop it or wait")
    if what == "train":
        preset = str(body.get("preset", "default"))
        if preset not in PRESETS:
            raise UsageError(f"the preset is one of {', '.join(PRESETS)}")
        title, arguments = f"Train {named} ({preset})", _training(studio, named, preset)
    elif what == "pick":
        title, arguments = f"Pick {named} in all tomograms", await asyncio.to_thread(_picking, studio, named)
        stated = body.get("workers")
        workers = None if stated is None else int(finite(stated, "workers"))
        if workers is not None and not 1 <= workers <= MAX_WORKERS:
            raise UsageError(f"workers are 1 to {MAX_WORKERS}")
        arguments += await asyncio.to_thread(engine_arguments, studio.project.folder, workers)
    else:
        raise UsageError("a job is one of train, pick")
    return studio.jobs.start(title, named, arguments)


@ROUTES.post("/api/stop")
async def stop(studio: Studio, request: Request) -> Any:
    """Stop a job, as Ctrl-C does."""
    job = studio.jobs.get(str((await body_of(request)).get("id", "")))
    await asyncio.to_thread(job.stop)
    studio.events.send("jobs")
    return job.to_json()


def _training(studio: Studio, named: str, preset: str) -> list[str]:
    project, kind = studio.project, studio.project.kinds[named]
    clicked = {name for name, each in project.all_points(named).items() if len(positions(each, "particle"))}
    listed = [name for name in studio.listing.names if name in clicked]
    if not listed:
        raise UsageError(f"no {named} is clicked yet; click some, 5 or more")
    files = [csv_files(project.folder.absolute(), named, name) for name in listed]
    rejected = [each["negative"] for each in files if each["negative"].exists()]
    for other in project.kinds:  # What was clicked as another kind is known not to be this one.
        every = project.all_points(other) if other != named else {}
        rejected += [
            csv_files(project.folder.absolute(), other, name)["particle"]
            for name in listed
            if len(positions(every.get(name, ()), "particle"))
        ]
    arguments = ["train", *_volumes(studio, listed)]
    for each in files:
        arguments += ["--picks", str(each["particle"])]
    for path in rejected:
        if path.stat().st_size and len(path.read_text(encoding="utf-8").splitlines()) > 1:
            arguments += ["--negatives", str(path)]
    model = _model(studio, named)
    model.parent.mkdir(parents=True, exist_ok=True)
    arguments += ["--particle-diameter", f"{kind.diameter:g}", "--preset", preset, "--output", str(model)]
    return [*arguments, "--overwrite", *_reading(studio), *(["--invert"] if studio.listing.reading.invert else [])]


def _picking(studio: Studio, named: str) -> list[str]:
    model = _model(studio, named)
    if not model.exists():
        raise UsageError(f"{named} is not trained yet; train it first")
    output = studio.reviews.path(named).absolute()
    arguments = ["pick", *_volumes(studio, studio.listing.names), "--model", str(model), "--output", str(output)]
    # What a job that was stopped has finished is not picked again.
    anew = "--retry-failed" if _is_begun(studio, output, model) else "--overwrite"
    return [*arguments, anew, *_reading(studio)]


def _is_begun(studio: Studio, folder: Path, model: Path) -> bool:
    """Whether a folder holds picks of this model file as it is now, with the settings of the studio's jobs."""
    reading = studio.listing.reading
    settings = PickSettings(Selection(), None, "relion5", save_scores=False, reading=reading, device=None)
    job = {"model": {"sha256": digest(model)}, "settings": settings.deciding}
    try:
        return difference(read_record(folder / RECORD), job) is None
    except TomoPickerError:  # Nothing there, or damaged.
        return False


def _model(studio: Studio, named: str) -> Path:
    return (studio.project.folder / "models" / f"{named}.model").absolute()


def _volumes(studio: Studio, names: list[str]) -> list[str]:
    """Return the files that were clicked in: the first volume of each tomogram."""
    return [str(next(iter(studio.listing.files[name].values())).absolute()) for name in names]


def _reading(studio: Studio) -> list[str]:
    reading = studio.listing.reading
    given = {
        "--voxel-size": reading.voxel_size, "--dataset": reading.dataset, "--axes": reading.axes,
    }  # fmt: skip
    return [part for flag, value in given.items() if value is not None for part in (flag, str(value))]


@ROUTES.get("/api/review")
async def review(studio: Studio, request: Request) -> Any:
    """Describe every tomogram's picks, of the last job or instant ones, at another threshold if one is given."""
    results = await _reviewed(studio, word(request, "kind"))
    if results is None:
        return None
    threshold = _threshold(request.query_params.get("threshold") or None)
    return {
        "tomograms": await asyncio.to_thread(rows, results, threshold),
        "histogram": histogram(results),
        "failed": results.failed,
        "folder": None if results.folder is None else str(results.folder.absolute()),
    }


@ROUTES.post("/api/cut")
async def cut(studio: Studio, request: Request) -> Any:
    """Write the picks of a kind anew, cut at a threshold; without one, at each tomogram's best."""
    body = await body_of(request)
    named = str(body.get("kind", ""))
    if await _finished(studio, named) is None:
        raise UsageError("no job has picked this kind yet")
    threshold = _threshold(body.get("threshold"))

    def write() -> None:
        from tomopicker.output.results import reselect  # noqa: PLC0415  (torch is slow to import)

        reselect(studio.reviews.path(named), Selection(threshold))

    await asyncio.to_thread(write)
    studio.events.send("review", kind=named)
    return {"threshold": threshold}


@ROUTES.get("/api/gallery")
async def gallery_page(studio: Studio, request: Request) -> Any:
    """Return a page of the gallery."""
    named, order = word(request, "kind"), word(request, "order", ORDERS)
    start, count = int(number(request, "start", 0)), int(number(request, "count", 60))
    results = await _reviewed(studio, named)
    if results is None:
        return {"total": 0, "items": [], "diameter": 0}
    points = studio.project.all_points(named)
    items = await asyncio.to_thread(gallery, results, points, order)  # type: ignore[arg-type]
    page = items[max(0, start) : max(0, start) + min(max(1, count), MAX_PAGE)]
    listed = studio.listing.files
    shown = [
        {
            "tomogram": item.tomogram, "position": list(item.position), "probability": round(item.probability, 4),
            "answer": item.answer, "picked": item.picked, "listed": item.tomogram in listed,
        }
        for item in page
    ]  # fmt: skip
    answered = sum(bool(item.answer) for item in items)
    return {"total": len(items), "answered": answered, "items": shown, "diameter": results.diameter}


def _threshold(stated: Any) -> float | None:
    """Read a threshold, clipped to probabilities; None if it is left out."""
    return None if stated is None else min(1.0, max(0.0, finite(stated, "threshold")))


async def _reviewed(studio: Studio, named: str) -> Reviewed | None:
    """Return the picks of a kind's last job, else its instant picks; None if there are none."""
    if finished := await _finished(studio, named):
        return of_job(finished)
    found = studio.work.picked(named)
    frames = {name: studio.listing.frame(name) for name in studio.listing.names if name in found}
    return await asyncio.to_thread(of_instant, found, frames, studio.kind(named).diameter) if frames else None


async def _finished(studio: Studio, named: str) -> "FolderResults | None":
    studio.kind(named)
    return await asyncio.to_thread(studio.reviews.results, named)
