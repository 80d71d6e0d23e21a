"""The pictures of one data set of a benchmark: curves, reliability, scores, and a section with each method's boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomopicker.benchmark.candidates import Found
from tomopicker.benchmark.dataset import OpenDataSet
from tomopicker.benchmark.expected import Saying
from tomopicker.benchmark.protocol import Protocol
from tomopicker.benchmark.results import Result, read_candidates
from tomopicker.benchmark.runs import Run, run_folder
from tomopicker.benchmark.tables import Row
from tomopicker.picking.evaluate import ranked_hits
from tomopicker.report.benchmark_page import Picture
from tomopicker.report.colours import box_colour, method_colours
from tomopicker.report.curves import Ranked, learning_curves, precision_recall, score_histograms
from tomopicker.report.figures import TRUTH_COLOUR, Layer, fullest_section, slice_figure
from tomopicker.report.reliability import Sureness, reliability

FIGURES = "figures"


@dataclass(frozen=True)
class Shown:
    """What is shown of one data set.

    Parameters
    ----------
    protocol : Protocol
    data : OpenDataSet
    found : sequence of (Run, Result)
        Those that are done.
    rows : sequence of Row
    said : sequence of Saying
        What methods expected, beside the truth.
    output : Path
        The folder that holds ``runs/``.
    """

    protocol: Protocol
    data: OpenDataSet
    found: Sequence[tuple[Run, Result]]
    rows: Sequence[Row]
    said: Sequence[Saying]
    output: Path

    @property
    def leading(self) -> list[Row]:
        """The rows of the first tolerance, matched one-to-one."""
        first = self.protocol.tolerances[0]
        return [row for row in self.rows if row.tolerance == first and row.matching == "one-to-one"]

    @property
    def colours(self) -> dict[str, str]:
        """Of the methods that have results."""
        there = {row.method for row in self.rows}
        return {name: colour for name, colour in method_colours(self.protocol.rows).items() if name in there}


def pictures(shown: Shown) -> list[Picture]:
    """Draw all; those of one number of clicks are of the largest."""
    most = max((run.clicks for run, _ in shown.found if run.clicks), default=None)
    runs = [(run, result) for run, result in shown.found if run.clicks in {most, None}]
    ranked = [(run, _ranked(shown, run, result)) for run, result in shown.found]
    sure = [(run, each) for run, each in ranked if each is not None and run.method.kind == "network"]
    judged = [each for run, each in ranked if each is not None and run.clicks in {most, None}]
    from_clicks = "" if most is None else f", {most} clicks"
    return [
        *_learning(shown),
        *_precision_recall(shown, judged, from_clicks),
        *_reliability(shown, sure),
        *_scores(shown, judged, from_clicks),
        *_sections(shown, runs),
    ]


def _learning(shown: Shown) -> list[Picture]:
    if len({run.clicks for run, _ in shown.found if run.clicks}) < 2:
        return []
    file = f"{FIGURES}/{shown.data.name}_learning.png"
    learning_curves(shown.leading, shown.colours, shown.output / file, f"{shown.data.name}: F1 and clicks")
    return [Picture(file, "F1 against clicks; bars are standard deviations over seeds.")]


def _reliability(shown: Shown, ranked: Sequence[tuple[Run, Ranked]]) -> list[Picture]:
    """Draw the methods that give probabilities, all numbers of clicks, seeds pooled."""
    groups: dict[tuple[str, int | None], list[Ranked]] = {}
    for run, each in ranked:
        groups.setdefault((run.method.name, run.clicks), []).append(each)
    if not groups:
        return []
    sure = [
        Sureness(method, clicks, np.concatenate([e.scores for e in seeds]), np.concatenate([e.right for e in seeds]))
        for (method, clicks), seeds in groups.items()
    ]
    unseen = [each for each in shown.said if each.role == "test"]
    file = f"{FIGURES}/{shown.data.name}_reliability.png"
    title = f"{shown.data.name}, unseen tomograms, all seeds"
    reliability(sure, unseen, shown.output / file, title)
    words = (
        "Reliability. Lines: share of the candidates that are particles, by their probability, with 90% intervals. "
        "Diamonds: true against expected precision of the picks, one a tomogram and seed. The band is ± 0.05."
    )
    return [Picture(file, words, beside=1)]


def _precision_recall(shown: Shown, ranked: Sequence[Ranked], from_clicks: str) -> list[Picture]:
    if not ranked:
        return []
    file = f"{FIGURES}/{shown.data.name}_precision-recall.png"
    title = f"{shown.data.name}, unseen tomograms{from_clicks}"
    precision_recall(ranked, shown.colours, shown.output / file, title)
    return [Picture(file, "Precision against recall, a line a seed; dots are the methods' own thresholds.")]


def _scores(shown: Shown, ranked: Sequence[Ranked], from_clicks: str) -> list[Picture]:
    if not ranked:
        return []
    file = f"{FIGURES}/{shown.data.name}_scores.png"
    firsts = list({each.method: each for each in reversed(ranked)}.values())[::-1]
    score_histograms(firsts, shown.output / file, f"{shown.data.name}, unseen tomograms{from_clicks}")
    return [Picture(file, "Scores of candidates that are particles and that are not (one seed).", beside=1)]


def _ranked(shown: Shown, run: Run, result: Result) -> Ranked | None:
    """Pool a run's candidates over the unseen tomograms; None if they have no scores."""
    scores, right, picked, truth = [], [], [], 0
    for name, judged in result.tomograms.items():
        if judged.role != "test":
            continue
        data, tolerance = shown.data, shown.protocol.tolerances[0]
        voxel_size = data.tomograms[name].voxel_size
        picks = read_candidates(run_folder(shown.output, run), data, name)
        true = data.truth[name].positions / voxel_size
        if not len(picks) or np.isnan(picks.scores).any():
            return None
        scores.append(picks.scores)
        right.append(ranked_hits(picks.positions / voxel_size, picks.scores, true, tolerance))
        picked.append(picks.scores > result.thresholds.get(name, float("-inf")))
        truth += len(true)
    if not scores:
        return None
    return Ranked(run.method.name, np.concatenate(scores), np.concatenate(right), np.concatenate(picked), truth)


def _sections(shown: Shown, runs: Sequence[tuple[Run, Result]]) -> list[Picture]:
    """Draw the first unseen tomogram's fullest section once for each method, with the truth below its boxes."""
    data, diameter = shown.data, shown.protocol.particle_diameter
    name = next(name for name in data.tomograms if data.role(name) == "test")
    tomogram, truth = data.tomograms[name], data.truth[name]
    z = fullest_section(tomogram, truth.positions, diameter)
    drawn = []
    for run, result in {run.method.name: (run, result) for run, result in reversed(runs)}.values():
        candidates = read_candidates(run_folder(shown.output, run), data, name)
        picks = Found({name: candidates}, result.thresholds).chosen(name)
        layers = [
            Layer("truth", truth.positions, TRUTH_COLOUR),
            Layer(run.method.name, picks.positions, box_colour(run.method, shown.colours)),
        ]
        file = f"{FIGURES}/{data.name}_{name}_{run.method.name}.png"
        slice_figure(tomogram, z, layers, diameter, shown.output / file)
        clicks = "" if run.clicks is None else f", {run.clicks} clicks"
        drawn.append(
            Picture(
                file,
                f"{run.method.name}{clicks}: its picks over the truth (blue), "
                "where they lie within a radius of the section.",
                beside=3,
            )
        )
    return drawn[::-1]
