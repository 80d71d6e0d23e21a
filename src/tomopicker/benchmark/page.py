"""Report of a benchmark from the results in its folder: Markdown, HTML, CSV, JSON and figures.

Nothing is trained or picked, so a report can be made at any time, including for an unfinished benchmark.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tomopicker.benchmark import curves, tables
from tomopicker.benchmark.candidates import above_threshold, read_candidates
from tomopicker.benchmark.dataset import OpenDataSet
from tomopicker.benchmark.protocol import Protocol, protocol_content
from tomopicker.benchmark.results import Result, versions
from tomopicker.benchmark.runs import Run, results_of
from tomopicker.benchmark.tables import Table
from tomopicker.evaluation.metrics import ranked_hits
from tomopicker.files import write_text
from tomopicker.output.figures import TRUTH_COLOUR, Layer, fullest_section, slice_figure


@dataclass(frozen=True)
class Picture:
    """A picture file, its caption, and the number of such pictures side by side."""

    file: str
    caption: str
    columns: int = 2


@dataclass(frozen=True)
class Section:
    """A section of the page: paragraphs, then tables with their captions, then pictures."""

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[tuple[str, Table]] = ()
    pictures: Sequence[Picture] = ()

    @property
    def rows(self) -> list[tuple[int, list[Picture]]]:
        """Consecutive pictures with the same number of columns, and that number."""
        return [(columns, list(group)) for columns, group in groupby(self.pictures, lambda picture: picture.columns)]


@dataclass(frozen=True)
class _ReportContext:
    """Finished runs of one data set, their `metrics_table` and `count_predictions`, and the folder of ``runs/``."""

    protocol: Protocol
    data: OpenDataSet
    finished: Sequence[tuple[Run, Result]]
    metrics: pd.DataFrame
    predictions: pd.DataFrame
    output: Path

    @property
    def colours(self) -> dict[str, str]:
        """Colours of the methods that have results."""
        methods = set(self.metrics["method"])
        return {name: colour for name, colour in curves.method_colours(self.protocol.rows).items() if name in methods}

    @property
    def most_clicks(self) -> int | None:
        """The largest number of clicks that has results."""
        return max((run.clicks for run, _ in self.finished if run.clicks), default=None)

    def figure(self, name: str) -> str:
        """Return the path of a figure, relative to the page."""
        return f"figures/{self.data.name}_{name}.png"


def write_report(protocol: Protocol, datasets: Mapping[str, OpenDataSet], output: Path) -> Path:
    """Write ``benchmark.md``, ``.html``, ``.csv``, ``.json``, ``expectations.csv`` and ``figures/``.

    The results are those in ``runs/`` of the output folder; runs without a result are left out. Returns the path of the
    HTML page.
    """
    runs = list(results_of(protocol, output))
    results = [result for _, result in runs]
    metrics, predictions = tables.metrics_table(results), tables.count_predictions(results)
    sections = [_protocol_section(protocol)]
    for name, data in datasets.items():
        finished = [(run, result) for run, result in runs if run.dataset == name and result.status == "done"]
        if finished:
            own_metrics, own_predictions = (frame[frame["dataset"] == name] for frame in (metrics, predictions))
            context = _ReportContext(protocol, data, finished, own_metrics, own_predictions, output)
            sections += [_dataset_section(context), _tomograms_section(context)]
    failed = {run.name: result.error for run, result in runs if result.status == "failed"}
    if failed:
        table = Table(["Run", "Error"], [[name, error or ""] for name, error in failed.items()], left=2)
        note = "These runs are in no table; repeating the command runs them again."
        sections.append(Section("Failed", [note], [("", table)]))
    content = {
        "protocol": protocol_content(protocol, output),
        "versions": versions(),
        "rows": tables.records(metrics),
        "counts_and_expectations": tables.records(tables.calibration_summary(predictions)),
        "expectations": tables.records(predictions),
        "failed": failed,
    }
    write_text(output / "benchmark.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text(output / "benchmark.csv", metrics.to_csv(index=False, lineterminator="\n"))
    write_text(output / "expectations.csv", predictions.to_csv(index=False, lineterminator="\n"))
    write_text(output / "benchmark.md", markdown_page(protocol.name, sections))
    page = output / "benchmark.html"
    write_text(page, html_page(protocol.name, sections))
    return page


def markdown_page(title: str, sections: Sequence[Section]) -> str:
    """Render a page as Markdown."""
    blocks = [f"# {title}"]
    for section in sections:
        blocks += [f"## {section.title}", *section.paragraphs]
        for caption, table in section.tables:
            blocks += [caption, tables.markdown_table(table.header, table.rows, table.left)]
        blocks += [f"![{picture.caption}]({picture.file})" for picture in section.pictures]
    return "\n\n".join(blocks) + "\n"


def html_page(title: str, sections: Sequence[Section]) -> str:
    """Render a page as HTML, self-contained except for its pictures."""
    folder = Path(__file__).with_name("templates")
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("benchmark.html").render(title=title, sections=sections)


def _protocol_section(protocol: Protocol) -> Section:
    clicks = ", ".join(map(str, protocol.clicks))
    seeds, first = len(protocol.seeds), protocol.tolerances[0]
    paragraphs = [
        f"Clicks: {clicks}, drawn from the true positions of the training tomogram and displaced by "
        f"{protocol.jitter:g} voxels (root mean square); {seeds} seed{'s' * (seeds > 1)} of clicks and weights. "
        "Each method picks at its own threshold, set without the truth of any other tomogram.",
        f"A pick is correct if it lies within {first:g} voxels of a particle that no other pick is matched with, "
        "unless a table states otherwise. Columns marked oracle choose their threshold by the truth: they measure the "
        "ranking, not the picks. Values are mean ± standard deviation over seeds.",
    ]
    return Section("Protocol", paragraphs)


def _dataset_section(context: _ReportContext) -> Section:
    """Return the section with means over the unseen tomograms, and the pictures."""
    data, summary = context.data, tables.calibration_summary(context.predictions)
    validated = f", validated on {data.spec.validation}" if data.spec.validation else ""
    several = len(data.unseen) > 1
    have = f"The {len(data.unseen)} unseen tomograms have" if several else "The unseen tomogram has"
    particles = sum(len(data.truth[name]) for name in data.unseen)
    captioned = [
        ("Picks at each method's own threshold, mean of the unseen tomograms (tolerance in voxels).",
         tables.summary_table(context.metrics)),
        ("Ranking of the candidates, mean of the unseen tomograms.", tables.ranking_table(context.metrics)),
    ]  # fmt: skip
    if len(summary):
        captioned.append((
            "Counts and expectations: each method's own estimates for the unseen tomograms, made without the truth. "
            "Biases are expected minus true values; errors are their absolute values.",
            tables.calibration_table(summary),
        ))  # fmt: skip
    paragraph = f"Trained on {data.spec.training}{validated}. {have} {particles} particles."
    return Section(data.name, [paragraph], captioned, _pictures(context))


def _tomograms_section(context: _ReportContext) -> Section:
    """Return the section with the metrics of every tomogram."""
    rows = tables.headline(context.metrics)
    captioned = []
    for clicks in context.protocol.clicks:
        if (rows["clicks"] == clicks).any():
            own = rows[rows["clicks"].isna() | (rows["clicks"] == clicks).fillna(False)]
            captioned.append((f"{clicks} clicks: tomogram by tomogram.", tables.paper_table(own)))
    if not rows["clicks"].notna().any():
        captioned.append(("Tomogram by tomogram.", tables.paper_table(rows)))
    if len(context.predictions):
        captioned.append(
            ("Counts and expectations, tomogram by tomogram.", tables.predictions_table(context.predictions))
        )
    return Section(f"{context.data.name}, tomogram by tomogram", [], captioned)


def _pictures(context: _ReportContext) -> list[Picture]:
    """Draw the figures of a data set; those for one number of clicks are for the largest."""
    most, name, output = context.most_clicks, context.data.name, context.output
    ranked = [(run, pool) for run, result in context.finished if (pool := _pool_candidates(context, run, result))]
    leading = [pool for run, pool in ranked if run.clicks in {most, None}]
    probable = [pool for run, pool in ranked if run.method.kind == "network"]
    title = f"{name}, unseen tomograms{'' if most is None else f', {most} clicks'}"
    pictures = []
    if len({run.clicks for run, _ in context.finished if run.clicks}) > 1:
        file = context.figure("learning")
        curves.learning_curves(
            tables.headline(context.metrics), context.colours, output / file, f"{name}: F1 and clicks"
        )
        pictures.append(Picture(file, "F1 against clicks; bars are standard deviations over seeds."))
    if leading:
        file = context.figure("precision-recall")
        curves.precision_recall(leading, context.colours, output / file, title)
        pictures.append(
            Picture(file, "Precision against recall, one line per seed; dots are the methods' own thresholds.")
        )
    if probable:
        file = context.figure("reliability")
        unseen = context.predictions[context.predictions["role"] == "test"]
        curves.reliability(probable, unseen, output / file, f"{name}, unseen tomograms, all seeds")
        caption = (
            "Reliability. Lines: fraction of candidates that are particles, by their probability, with 90% intervals. "
            "Diamonds: true against expected precision of the picks, by tomogram and seed. The band is ± 0.05."
        )
        pictures.append(Picture(file, caption, columns=1))
    if leading:
        file = context.figure("scores")
        one_seed = list({pool.method: pool for pool in reversed(leading)}.values())[::-1]
        curves.score_histograms(one_seed, output / file, title)
        caption = "Scores of candidates that are particles, and of those that are not (one seed)."
        pictures.append(Picture(file, caption, columns=1))
    return pictures + _slices(context)


def _pool_candidates(context: _ReportContext, run: Run, result: Result) -> curves.Ranked | None:
    """Pool a run's candidates over the unseen tomograms; None if they have no scores."""
    data, tolerance = context.data, context.protocol.tolerances[0]
    scores, correct, selected, truth = [], [], [], 0
    for name in data.unseen:
        voxel_size, true = data.tomograms[name].voxel_size, data.truth[name].positions
        picks = read_candidates(run.folder(context.output) / f"{name}.csv", data, name)
        if not len(picks) or np.isnan(picks.scores).any():
            return None
        scores.append(picks.scores)
        correct.append(ranked_hits(picks.positions / voxel_size, picks.scores, true / voxel_size, tolerance))
        selected.append(picks.scores > result.thresholds.get(name, float("-inf")))
        truth += len(true)
    return curves.Ranked(
        run.method.name, run.clicks, np.concatenate(scores), np.concatenate(correct), np.concatenate(selected), truth
    )


def _slices(context: _ReportContext) -> list[Picture]:
    """Draw each method's picks (first seed) and the truth on the fullest section of the first unseen tomogram."""
    data, diameter = context.data, context.protocol.particle_diameter
    name = data.unseen[0]
    tomogram, truth = data.tomograms[name], data.truth[name]
    z = fullest_section(tomogram, truth.positions, diameter)
    leading = [(run, result) for run, result in context.finished if run.clicks in {context.most_clicks, None}]
    first_seed = {run.method.name: (run, result) for run, result in reversed(leading)}
    pictures = []
    for method, (run, result) in reversed(first_seed.items()):
        candidates = read_candidates(run.folder(context.output) / f"{name}.csv", data, name)
        picks = above_threshold(candidates, result.thresholds.get(name))
        layers = [
            Layer("truth", truth.positions, TRUTH_COLOUR),
            Layer(method, picks.positions, curves.box_colour(run.method, context.colours)),
        ]
        file = context.figure(f"{name}_{method}")
        slice_figure(tomogram, z, layers, diameter, context.output / file)
        clicks = "" if run.clicks is None else f", {run.clicks} clicks"
        caption = f"{method}{clicks}: picks and truth (blue) within a particle radius of the section."
        pictures.append(Picture(file, caption, columns=3))
    return pictures
