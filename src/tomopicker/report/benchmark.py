"""Everything a benchmark shows, from the results that lie in its folder: Markdown, HTML, CSV, JSON and figures.

Nothing is trained or picked here, so a report can be made again at any time, also of a half-finished benchmark.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tomopicker.benchmark.candidates import Found
from tomopicker.benchmark.dataset import OpenDataSet
from tomopicker.benchmark.protocol import Protocol
from tomopicker.benchmark.results import Result, read_candidates, versions
from tomopicker.benchmark.runs import Run, results_of, run_folder
from tomopicker.benchmark.tables import Row, table_rows
from tomopicker.files import write_text
from tomopicker.picking.evaluate import ranked_hits
from tomopicker.report.benchmark_page import Part, Picture, html_page, markdown_page
from tomopicker.report.benchmark_tables import Table, csv_table, paper_table, summary_table
from tomopicker.report.colours import box_colour, method_colours
from tomopicker.report.curves import Ranked, learning_curves, precision_recall, score_histograms
from tomopicker.report.figures import TRUTH_COLOUR, Layer, best_section, slice_figure

PAGE = "benchmark"
FIGURES = "figures"


def write_report(protocol: Protocol, datasets: Mapping[str, OpenDataSet], output: Path) -> Path:
    """Write ``benchmark.md``, ``.html``, ``.csv``, ``.json`` and ``figures/`` from the results below a folder.

    Parameters
    ----------
    protocol : Protocol
        Its runs are looked for; those that are not made yet are left out.
    datasets : mapping of str to OpenDataSet
    output : Path
        The folder that holds ``runs/``.

    Returns
    -------
    Path
        The HTML page.
    """
    found = list(results_of(protocol, output))
    rows = table_rows(result for _, result in found)
    failed = [(run, result) for run, result in found if result.status == "failed"]
    parts = [_protocol_part(protocol)]
    for name, data in datasets.items():
        mine = [(run, result) for run, result in found if run.dataset == name and result.status == "done"]
        if mine:
            parts.append(_dataset_part(protocol, data, mine, [row for row in rows if row.dataset == name], output))
    if failed:
        table = Table(["Run", "What it said"], [[run.name, result.error or ""] for run, result in failed], left=2)
        parts.append(
            Part("Failed", ["These runs count in no table; they are tried again on the next call."], [("", table)])
        )
    content = {
        "protocol": protocol.model_dump(mode="json"),
        "versions": versions(),
        "rows": [row.flat() for row in rows],
        "failed": {run.name: result.error for run, result in failed},
    }
    write_text(output / f"{PAGE}.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text(output / f"{PAGE}.csv", csv_table(rows))
    write_text(output / f"{PAGE}.md", markdown_page(protocol.name, parts))
    page = output / f"{PAGE}.html"
    write_text(page, html_page(protocol.name, parts))
    return page


def _protocol_part(protocol: Protocol) -> Part:
    clicks = ", ".join(map(str, protocol.clicks))
    seeds, first = len(protocol.seeds), protocol.tolerances[0]
    words = [
        f"Clicks: {clicks}, drawn from the true positions of the training tomogram and moved by {protocol.jitter:g} "
        f"voxels (root mean square); {seeds} seed{'s' * (seeds > 1)} of clicks and weights. "
        "Each method picks at the threshold that it set by itself, without a look at any other tomogram's truth.",
        f"A pick is right if it lies within {first:g} voxels of a particle that no other pick has taken, unless a "
        "table says otherwise. Columns marked oracle choose their cut-off by the truth: they judge the ranking, not "
        "the picks. Figures are mean ± standard deviation over seeds.",
    ]
    return Part("Protocol", words)


def _dataset_part(
    protocol: Protocol, data: OpenDataSet, found: Sequence[tuple[Run, Result]], rows: Sequence[Row], output: Path
) -> Part:
    leading = [row for row in rows if row.tolerance == protocol.tolerances[0] and row.matching == "one-to-one"]
    tables = [("Mean of the unseen tomograms; the tolerance in voxels in brackets.", summary_table(rows))]
    for clicks in protocol.clicks:
        chosen = [row for row in leading if row.clicks in {clicks, None}]
        if any(row.clicks == clicks for row in chosen):
            tables.append((f"{clicks} clicks: tomogram by tomogram.", paper_table(chosen)))
    if not any(row.clicks for row in leading):
        tables.append(("Tomogram by tomogram.", paper_table(leading)))
    validated = f", validated on {data.asked.validation}" if data.asked.validation else ""
    words = [f"Trained on {data.asked.training}{validated}; {len(data.tomograms)} tomograms are judged."]
    return Part(data.name, words, tables, _pictures(protocol, data, found, leading, output))


def _pictures(
    protocol: Protocol, data: OpenDataSet, found: Sequence[tuple[Run, Result]], rows: Sequence[Row], output: Path
) -> list[Picture]:
    """Draw the curves, and one section with the boxes of each method (figures 2 to 4)."""
    colours = method_colours(protocol.rows)
    shown = {name: colour for name, colour in colours.items() if any(row.method == name for row in rows)}
    most = max((run.clicks for run, _ in found if run.clicks), default=None)
    runs = [(run, result) for run, result in found if run.clicks in {most, None}]
    from_clicks = "" if most is None else f", {most} clicks"
    places = {kind: f"{FIGURES}/{data.name}_{kind}.png" for kind in ("learning", "precision-recall", "scores")}

    pictures = []
    if len({run.clicks for run, _ in found if run.clicks}) > 1:
        learning_curves(rows, shown, output / places["learning"], f"{data.name}: F1 and clicks")
        pictures.append(Picture(places["learning"], "F1 against clicks; bars are standard deviations over seeds."))
    ranked = [each for run, result in runs if (each := _ranked(protocol, data, run, result, output)) is not None]
    if ranked:
        title = f"{data.name}, unseen tomograms{from_clicks}"
        precision_recall(ranked, shown, output / places["precision-recall"], title)
        words = "Precision against recall, a line a seed; dots are the methods' own thresholds."
        pictures.append(Picture(places["precision-recall"], words))
        firsts = list({each.method: each for each in reversed(ranked)}.values())[::-1]
        score_histograms(firsts, output / places["scores"], title)
        pictures.append(
            Picture(places["scores"], "Scores of candidates that are particles and that are not (one seed).")
        )
    return pictures + _sections(protocol, data, runs, colours, output)


def _ranked(protocol: Protocol, data: OpenDataSet, run: Run, result: Result, output: Path) -> Ranked | None:
    """Pool a run's candidates over the unseen tomograms; None if they have no scores."""
    scores, right, picked, truth = [], [], [], 0
    for name, judged in result.tomograms.items():
        if judged.role != "test":
            continue
        voxel_size = data.tomograms[name].voxel_size
        picks, true = read_candidates(run_folder(output, run), data, name), data.truth[name].positions / voxel_size
        if not len(picks) or np.isnan(picks.scores).any():
            return None
        scores.append(picks.scores)
        right.append(ranked_hits(picks.positions / voxel_size, picks.scores, true, protocol.tolerances[0]))
        picked.append(picks.scores > result.thresholds.get(name, float("-inf")))
        truth += len(true)
    if not scores:
        return None
    return Ranked(run.method.name, np.concatenate(scores), np.concatenate(right), np.concatenate(picked), truth)


def _sections(
    protocol: Protocol, data: OpenDataSet, runs: Sequence[tuple[Run, Result]], colours: dict[str, str], output: Path
) -> list[Picture]:
    """Draw the first unseen tomogram's fullest section once for each method, with the truth below its boxes."""
    name = next(name for name in data.tomograms if data.role(name) == "test")
    tomogram, truth = data.tomograms[name], data.truth[name]
    z = best_section(truth.positions, tomogram.voxel_size, tomogram.shape[0], protocol.particle_diameter)
    pictures = []
    for run, result in {run.method.name: (run, result) for run, result in reversed(runs)}.values():
        candidates = read_candidates(run_folder(output, run), data, name)
        picks = Found({name: candidates}, result.thresholds).chosen(name)
        layers = [
            Layer("truth", truth.positions, TRUTH_COLOUR),
            Layer(run.method.name, picks.positions, box_colour(run.method, colours)),
        ]
        file = f"{FIGURES}/{data.name}_{name}_{run.method.name}.png"
        slice_figure(tomogram, z, layers, protocol.particle_diameter, output / file)
        pictures.append(Picture(file, f"{name}, section {z}: truth blue, {run.method.name} in its colour."))
    return pictures[::-1]
