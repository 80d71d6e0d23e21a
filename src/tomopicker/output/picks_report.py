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
from tomopicker.output.charts import Axes, Histogram
from tomopicker.output.report_pictures import (
    SLICES,
    colours_of,
    evenly,
    gallery_of,
    mean_of,
    rejected_gallery,
    slices_of,
)
from tomopicker.output.results import FolderResults, open_picked, read_results
from tomopicker.output.summary import Summary, summarise
from tomopicker.picking.selection import Selected
from tomopicker.pipeline.callbacks import Callback
from tomopicker.tomogram import Tomogram

REPORT = "report.html"
TEMPLATE = "picks_report.html"
BINS = 40


def write_report(
    folder: Path,
    path: Path | None = None,
    negatives: Sequence[Path] = (),
    units: CoordinateUnits = CoordinateUnits(),  # noqa: B008  (a frozen value)
) -> Path:
    """Write the report of a folder of picks to ``report.html`` in it, or to `path`; give the file.

    `negatives` are files of positions that a person rejected, with coordinates in `units`.

    Raises `TomoPickerError` if it is not such a folder, a file cannot be read, or the page cannot be written. Without
    its file, a tomogram gets no pictures.
    """
    target = path or folder / REPORT
    results = read_results(folder)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    opened, gone = _open(results)
    content = _content(results, opened, gone)
    if negatives and opened:
        rejected = units.read(list(negatives), list(opened.values()), ignore_unknown=True)
        content["gallery"] += rejected_gallery(rejected, opened, results.diameters)
    write_text(target, environment.get_template(TEMPLATE).render(content))
    return target


def try_report(folder: Path, callback: Callback) -> None:
    """Write the report, and log its file; a failure is a warning, as the picks do not depend on it."""
    try:
        callback.log(f"Report: {write_report(folder)}")
    except Exception as error:
        callback.warn(f"{folder / REPORT}: not written ({' '.join(str(error).split())})")


def _content(results: FolderResults, opened: dict[str, Tomogram], gone: list[str]) -> dict[str, Any]:
    chosen = {each.name: each.chosen for each in results.tomograms}
    summary = _summary(results, chosen)
    rows = _rows(results, summary)
    candidates = _candidates(results)
    picks = sum(row["picks"] for row in rows)
    right = sum(cut.expected.precision * len(cut.picks) for cut in chosen.values())
    particles = sum(each.whole.particles for each in results.tomograms)
    thresholds = [each.whole.threshold for each in results.tomograms]
    middle = float(np.median(thresholds))
    diameters = results.diameters
    most = max([1.0, *(row["picks"] for row in rows), *(row["count"][2] for row in rows if row["count"])])
    return {
        "title": results.folder.absolute().name,
        "written": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "rows": rows,
        "tomograms": len(results.tomograms),
        "summary": summary.lines if len(results.tomograms) > 1 else [],
        "failed": dict(results.failed),
        "gone": gone,
        "picks": picks,
        "particles": particles,
        "precision": right / picks if picks else None,
        "recall": min(1.0, right / particles) if particles else None,
        "kinds": [(kind, f"{diameters[kind]:g}", colour) for kind, colour in colours_of(diameters).items()],
        "counts_axes": Axes(0, most, most, width=760, height=18 * len(rows) + 40, left=190, right=20),
        "scores": Histogram.of(candidates["probability"], 1, BINS),
        "middle": middle,
        "unit_axes": Axes(0, 1, 1),
        "expected": _expected_curves(results),
        "distances": [(kind, size, _distances(candidates, kind, size)) for kind, size in diameters.items()],
        "means": [mean for kind, size in diameters.items() if (mean := mean_of(candidates, opened, kind, size))],
        "gallery": gallery_of(candidates, opened, diameters),
        "slices": slices_of(results, opened),
        "settings": _settings(results),
        "warnings": list(results.record["model"].get("warnings", [])),
        "histograms": [
            (each.name, Histogram.of(each.candidates.scores, 1, BINS // 2), each.whole.threshold)
            for each in evenly(results.tomograms, SLICES)
        ],
    }


def _summary(results: FolderResults, chosen: dict[str, Selected]) -> Summary:
    """Summarise the picks as now selected, as at the end of a run."""
    recorded = results.record["tomograms"]
    now = {name: {"picks": len(cut.picks), "score_median": _median_score(cut)} for name, cut in chosen.items()}
    return summarise((name, entry | now.get(name, {})) for name, entry in recorded.items())


def _rows(results: FolderResults, summary: Summary) -> list[dict[str, Any]]:
    why = {each.tomogram: each.why for each in summary.outliers}
    return [
        {
            "name": result.name,
            "kind": kind,
            "picks": len(cut.picks),
            "count": (count := own.count) and (count.estimate, count.low, count.high),
            "threshold": own.threshold,
            "precision": cut.expected.precision,
            "recall": cut.expected.recall,
            "f1": cut.expected.f1,
            "median": _median_score(cut),
            "unusual": why.get(result.name, ""),
        }
        for result in results.tomograms
        for (kind, own), cut in zip(result.kinds.items(), result.chosen_kinds.values(), strict=True)
    ]


def _median_score(cut: Selected) -> float | None:
    return float(np.median(cut.picks.scores)) if len(cut.picks) else None


def _candidates(results: FolderResults) -> pd.DataFrame:
    """Tabulate the candidates of all tomograms: tomogram, kind, x, y, z in Å, probability, and whether picked.

    Kinds are empty where there are not several.
    """
    tables = []
    for result in results.tomograms:
        for kind, cut in result.chosen_kinds.items():
            mine = result.candidates_of(kind)
            places = pd.DataFrame(mine.positions, columns=list("xyz"))
            facts = {"probability": mine.scores, "picked": mine.scores > cut.threshold}
            tables.append(places.assign(tomogram=result.name, kind=kind, **facts))
    return pd.concat(tables, ignore_index=True)


def _open(results: FolderResults) -> tuple[dict[str, Tomogram], list[str]]:
    """Open the tomograms; list those that cannot be opened, with the reason."""
    opened, gone = {}, []
    for result in results.tomograms:
        try:
            opened[result.name] = open_picked(results.folder, results.record, result.name)
        except TomoPickerError as error:
            gone.append(str(error))
    return opened, gone


def _expected_curves(results: FolderResults) -> list[tuple[str, list[tuple[float, float]]]]:
    """Return expected precision, recall and F1 of all tomograms over a common threshold."""
    p = np.sort(np.concatenate([each.candidates.scores for each in results.tomograms]))[::-1]
    particles = sum(each.whole.particles for each in results.tomograms)
    thresholds = np.linspace(0.01, 0.99, 99)
    kept = np.array([int((p > threshold).sum()) for threshold in thresholds])
    right = np.concatenate([[0.0], np.cumsum(p)])[kept]
    precision = np.divide(right, kept, out=np.ones(len(kept)), where=kept > 0)
    recall = np.clip(right / particles, 0, 1) if particles else np.zeros(len(kept))
    f1 = np.divide(2 * right, kept + particles, out=np.zeros(len(kept)), where=kept + particles > 0)
    curves = {"precision": precision, "recall": recall, "F1": np.clip(f1, 0, 1)}
    return [(name, list(zip(thresholds.tolist(), y.tolist(), strict=True))) for name, y in curves.items()]


def _distances(candidates: pd.DataFrame, kind: str, diameter: float) -> Histogram:
    """Count the distances of picks to the nearest of their kind, up to six diameters, beyond which all are as far."""
    found: list[float] = []
    for _, rows in candidates[candidates["picked"] & (candidates["kind"] == kind)].groupby("tomogram"):
        if len(rows) > 1:
            at = rows[["x", "y", "z"]].to_numpy()
            found += np.asarray(cKDTree(at).query(at, k=2)[0])[:, 1].tolist()
    return Histogram.of(np.clip(found, 0, 6 * diameter - 1e-6), 6 * diameter, BINS)


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
