"""The report of a folder of picks: one HTML file that opens from the disk and prints."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from scipy.spatial import cKDTree

from tomopicker import __version__
from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.io.read_options import CoordinateUnits
from tomopicker.output.report_pictures import (
    N_SLICES,
    Axes,
    Histogram,
    colours_of,
    evenly_spaced,
    gallery_of,
    mean_of,
    rejected_gallery,
    slices_of,
)
from tomopicker.output.results import FolderResults, describe_picks, open_picked, read_results, tabulate_candidates
from tomopicker.output.summary import Summary, summarise
from tomopicker.picking.selection import Selected
from tomopicker.pipeline.callbacks import Callback
from tomopicker.tomogram import Tomogram

REPORT = "report.html"
TEMPLATE = "picks_report.html"
N_BINS = 40


def write_report(
    folder: Path,
    path: Path | None = None,
    negatives: Sequence[Path] = (),
    units: CoordinateUnits = CoordinateUnits(),  # noqa: B008  (a frozen value)
) -> Path:
    """Write the report of a folder of picks; tomograms whose file is missing get no pictures.

    Parameters
    ----------
    folder : Path
    path : Path, optional
        Output file; ``report.html`` in the folder if left out.
    negatives : sequence of Path
        Files of positions that a person rejected.
    units : CoordinateUnits
        Units of the negatives.

    Returns
    -------
    Path

    Raises
    ------
    TomoPickerError
        If it is not a folder of picks, a file cannot be read, or the report cannot be written.
    """
    target = path or folder / REPORT
    results = read_results(folder)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    opened, errors = _open(results)
    content = _content(results, opened, errors)
    if negatives and opened:
        rejected = units.read(list(negatives), list(opened.values()), ignore_unknown=True)
        content["gallery"] += rejected_gallery(rejected, opened, results.diameters)
    write_text(target, environment.get_template(TEMPLATE).render(content))
    return target


def try_report(folder: Path, callback: Callback) -> None:
    """Write the report, and log its file; a failure is a warning."""
    try:
        callback.log(f"Report: {write_report(folder)}")
    except Exception as error:
        callback.warn(f"{folder / REPORT}: not written ({' '.join(str(error).split())})")


def _content(results: FolderResults, opened: dict[str, Tomogram], errors: list[str]) -> dict[str, Any]:
    selected = {result.name: result.selected for result in results.tomograms}
    summary = _summary(results, selected)
    rows = _rows(results, summary)
    candidates = tabulate_candidates(results.tomograms)
    picks = sum(row["picks"] for row in rows)
    true_picks = sum(own.expected.precision * len(own.picks) for own in selected.values())
    particles = sum(result.whole.particles for result in results.tomograms)
    diameters = results.diameters
    largest = max([1.0, *(row["picks"] for row in rows), *(row["count"][2] for row in rows if row["count"])])
    return {
        "title": results.folder.absolute().name,
        "written": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "rows": rows,
        "tomograms": len(results.tomograms),
        "summary": summary.lines if len(results.tomograms) > 1 else [],
        "failed": dict(results.failed),
        "gone": errors,
        "picks": picks,
        "particles": particles,
        "precision": true_picks / picks if picks else None,
        "recall": min(1.0, true_picks / particles) if particles else None,
        "kinds": [(kind, f"{diameters[kind]:g}", colour) for kind, colour in colours_of(diameters).items()],
        "counts_axes": Axes(0, largest, largest, width=760, height=18 * len(rows) + 40, left=190, right=20),
        "scores": Histogram.of(candidates["probability"], 1, N_BINS),
        "middle": float(np.median([result.whole.threshold for result in results.tomograms])),
        "unit_axes": Axes(0, 1, 1),
        "expected": _expected_curves(results),
        "distances": [(kind, size, _distances(candidates, kind, size)) for kind, size in diameters.items()],
        "means": [mean for kind, size in diameters.items() if (mean := mean_of(candidates, opened, kind, size))],
        "gallery": gallery_of(candidates, opened, diameters),
        "slices": slices_of(results, opened),
        "settings": _settings(results),
        "warnings": list(results.record["model"].get("warnings", [])),
        "histograms": [
            (result.name, Histogram.of(result.candidates.scores, 1, N_BINS // 2), result.whole.threshold)
            for result in evenly_spaced(results.tomograms, N_SLICES)
        ],
    }


def _summary(results: FolderResults, selected: dict[str, Selected]) -> Summary:
    """Summarise the picks as now selected, as at the end of a run."""
    described = {name: describe_picks(own, None) for name, own in selected.items()}
    now = {name: {"picks": own["picks"], "score_median": own["median"]} for name, own in described.items()}
    return summarise((name, entry | now.get(name, {})) for name, entry in results.record["tomograms"].items())


def _rows(results: FolderResults, summary: Summary) -> list[dict[str, Any]]:
    why = {outlier.tomogram: outlier.why for outlier in summary.outliers}
    return [
        describe_picks(selected, own.count) | {"name": result.name, "kind": kind, "unusual": why.get(result.name, "")}
        for result in results.tomograms
        for (kind, own), selected in zip(result.kinds.items(), result.selected_kinds.values(), strict=True)
    ]


def _open(results: FolderResults) -> tuple[dict[str, Tomogram], list[str]]:
    """Open the tomograms; return them, and the errors of those that cannot be opened."""
    opened, errors = {}, []
    for result in results.tomograms:
        try:
            opened[result.name] = open_picked(results.folder, results.record, result.name)
        except TomoPickerError as error:
            errors.append(str(error))
    return opened, errors


def _expected_curves(results: FolderResults) -> list[tuple[str, list[tuple[float, float]]]]:
    """Return expected precision, recall and F1 of all tomograms over a common threshold."""
    p = np.sort(np.concatenate([result.candidates.scores for result in results.tomograms]))[::-1]
    particles = sum(result.whole.particles for result in results.tomograms)
    thresholds = np.linspace(0.01, 0.99, 99)
    picks = np.array([int((p > threshold).sum()) for threshold in thresholds])
    true_picks = np.concatenate([[0.0], np.cumsum(p)])[picks]
    precision = np.divide(true_picks, picks, out=np.ones(len(picks)), where=picks > 0)
    recall = np.clip(true_picks / particles, 0, 1) if particles else np.zeros(len(picks))
    f1 = np.divide(2 * true_picks, picks + particles, out=np.zeros(len(picks)), where=picks + particles > 0)
    curves = {"precision": precision, "recall": recall, "F1": np.clip(f1, 0, 1)}
    return [(name, list(zip(thresholds.tolist(), y.tolist(), strict=True))) for name, y in curves.items()]


def _distances(candidates: pd.DataFrame, kind: str, diameter: float) -> Histogram:
    """Count the distances of picks to the nearest of their kind; those above six diameters are in the last bin."""
    distances: list[float] = []
    for _, rows in candidates[candidates["picked"] & (candidates["kind"] == kind)].groupby("tomogram"):
        if len(rows) > 1:
            xyz = rows[["x", "y", "z"]].to_numpy()
            distances += np.asarray(cKDTree(xyz).query(xyz, k=2)[0])[:, 1].tolist()
    return Histogram.of(np.clip(distances, 0, 6 * diameter - 1e-6), 6 * diameter, N_BINS)


def _settings(results: FolderResults) -> list[tuple[str, str]]:
    model, settings = results.record["model"], results.record["settings"]
    rows = [
        ("model", str(model.get("file"))), ("model, SHA-256", str(model.get("sha256"))),
        ("picked with", f"TomoPicker {results.record.get('tomopicker', '?')}"),
        ("particle diameter", ", ".join(f"{kind} {size:g} Å".strip() for kind, size in results.diameters.items())),
        ("working voxel size", f"{model['voxel_size_angstrom']:.4g} Å"),
        ("preset", str(model["settings"].get("preset", "–"))),
    ]  # fmt: skip
    return rows + [(name.replace("_", " "), str(value)) for name, value in settings.items() if value is not None]
