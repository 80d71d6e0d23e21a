"""Everything a benchmark shows, from the results that lie in its folder: Markdown, HTML, CSV, JSON and figures.

Nothing is trained or picked here, so a report can be made again at any time, also of a half-finished benchmark.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tomopicker.benchmark.dataset import OpenDataSet
from tomopicker.benchmark.expected import trust
from tomopicker.benchmark.protocol import Protocol, protocol_content
from tomopicker.benchmark.results import Result, versions
from tomopicker.benchmark.runs import Run, results_of
from tomopicker.benchmark.tables import sayings, table_rows
from tomopicker.files import write_text
from tomopicker.report.benchmark_page import Part, html_page, markdown_page
from tomopicker.report.benchmark_pictures import Shown, pictures
from tomopicker.report.benchmark_tables import Table, csv_table, paper_table, ranking_table, summary_table
from tomopicker.report.expected_tables import saying_table, sayings_csv, trust_table

PAGE = "benchmark"
EXPECTATIONS = "expectations.csv"


def write_report(protocol: Protocol, datasets: Mapping[str, OpenDataSet], output: Path) -> Path:
    """Write ``benchmark.md``, ``.html``, ``.csv``, ``.json``, ``expectations.csv`` and ``figures/`` from results.

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
    rows, said = table_rows(result for _, result in found), sayings(result for _, result in found)
    failed = [(run, result) for run, result in found if result.status == "failed"]
    parts = [_protocol_part(protocol)]
    for name, data in datasets.items():
        mine = [(run, result) for run, result in found if run.dataset == name and result.status == "done"]
        if mine:
            shown = Shown(
                protocol, data, mine, [row for row in rows if row.dataset == name],
                [each for each in said if each.dataset == name], output,
            )  # fmt: skip
            parts += [_dataset_part(shown), _tomograms_part(shown)]
    if failed:
        parts.append(_failed_part(failed))
    content = {
        "protocol": protocol_content(protocol, output),
        "versions": versions(),
        "rows": [row.flat() for row in rows],
        "counts_and_expectations": [each.flat() for each in trust(said)],
        "expectations": [each.flat() for each in said],
        "failed": {run.name: result.error for run, result in failed},
    }
    write_text(output / f"{PAGE}.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text(output / f"{PAGE}.csv", csv_table(rows))
    write_text(output / EXPECTATIONS, sayings_csv(said))
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


def _dataset_part(shown: Shown) -> Part:
    """Give what is read first: means over unseen tomograms, and the pictures."""
    data = shown.data
    validated = f", validated on {data.asked.validation}" if data.asked.validation else ""
    unseen = [name for name in data.tomograms if data.role(name) == "test"]
    many = f"The {len(unseen)} unseen tomograms hold" if len(unseen) > 1 else "The unseen tomogram holds"
    particles = sum(len(data.truth[name]) for name in unseen)
    words = [f"Trained on {data.asked.training}{validated}. {many} {particles} particles."]
    tables = [
        ("Picks at each method's own threshold, mean of the unseen tomograms (tolerance in voxels).",
         summary_table(shown.rows)),
        ("Ranking of the candidates, mean of the unseen tomograms.", ranking_table(shown.rows)),
    ]  # fmt: skip
    trusted = trust(shown.said)
    if trusted:
        tables.append((
            "Counts and expectations: what each method said of the unseen tomograms without their truth. Biases are "
            "expected less true; errors are the same without sign.",
            trust_table(trusted),
        ))  # fmt: skip
    return Part(data.name, words, tables, pictures(shown))


def _tomograms_part(shown: Shown) -> Part:
    """Give what is looked up: every tomogram."""
    leading = shown.leading
    tables = []
    for clicks in shown.protocol.clicks:
        chosen = [row for row in leading if row.clicks in {clicks, None}]
        if any(row.clicks == clicks for row in chosen):
            tables.append((f"{clicks} clicks: tomogram by tomogram.", paper_table(chosen)))
    if not any(row.clicks for row in leading):
        tables.append(("Tomogram by tomogram.", paper_table(leading)))
    if shown.said:
        tables.append(("Counts and expectations, tomogram by tomogram.", saying_table(shown.said)))
    return Part(f"{shown.data.name}, tomogram by tomogram", [], tables)


def _failed_part(failed: Sequence[tuple[Run, Result]]) -> Part:
    table = Table(["Run", "What it said"], [[run.name, result.error or ""] for run, result in failed], left=2)
    return Part("Failed", ["These runs count in no table; they are tried again on the next call."], [("", table)])
