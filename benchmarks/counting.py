"""Counts, expected precision and F1 on realistic, empty and sparse tomograms that nobody trained or tuned on.

    python benchmarks/realistic.py --layout LAYOUT.csv --maps MAPS --output benchmarks/data
    python benchmarks/counting.py --data benchmarks/data --output counting.csv
    python benchmarks/counting.py --output counting.csv --table

Trains on TS_0001 of a realistic set from drawn clicks, picks its other tomograms and the empty and sparse ones of the
same microscope, and appends a row for each to the table of results. Runs that are there are not made again; with
``--models`` trained models are kept too, to pick again with. ``--table`` prints means over seeds.
"""

import argparse
import csv
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tomopicker import api
from tomopicker.benchmark.dataset import draw_clicks
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model

DIAMETER = 300.0
JITTER_VOXELS = 1.5
TOLERANCE_VOXELS = 10
COLUMNS = (
    "microscope", "preset", "clicks", "seed", "set", "tomogram", "truth", "count", "low", "high", "absent", "picks",
    "expected_precision", "precision", "f1", "best_f1",
)  # fmt: skip
RUN = ["microscope", "preset", "clicks", "seed"]
SETS = ("realistic", "empty", "rare")


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is asked for and not there, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("benchmarks/data"), help="folder that realistic.py wrote")
    parser.add_argument("--output", type=Path, required=True, help="CSV file of results, to be made or gone on with")
    parser.add_argument("--microscopes", nargs="+", default=["defocus", "vpp"])
    parser.add_argument("--presets", nargs="+", default=["default"])
    parser.add_argument("--clicks", nargs="+", type=int, default=[5, 20, 100])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, help="which tomograms to pick")
    parser.add_argument("--models", type=Path, help="folder to keep trained models in, or to take them from")
    parser.add_argument("--train-only", action="store_true", help="train what --models lacks, pick nothing")
    parser.add_argument("--table", action="store_true", help="only print means over seeds")
    asked = parser.parse_args(argv)
    if asked.train_only and asked.models is None:
        parser.error("--train-only needs --models")
    runs = itertools.product(asked.seeds, asked.clicks, asked.presets, asked.microscopes)
    for seed, clicks, preset, microscope in () if asked.table else runs:
        if asked.train_only:
            trained(asked.data, asked.models, microscope, preset, clicks, seed)
        else:
            run(asked.data, asked.output, asked.models, asked.sets, microscope, preset, clicks, seed)
    if not asked.train_only:
        print(table(pd.read_csv(asked.output)))


def trained(data: Path, models: Path | None, microscope: str, preset: str, clicks: int, seed: int) -> Model:
    """Train on the first tomogram of a realistic set, or load the model that is kept."""
    kept = models and models / f"{microscope}-{preset}-{clicks}-{seed}.model"
    if kept and kept.exists():
        return api.load_model(kept)
    file = data / f"realistic-{microscope}" / "TS_0001.mrc"
    training = api.open_tomogram(file)
    given = draw_clicks(truth_of(file, training), training.frame, clicks, seed, JITTER_VOXELS)
    model = api.train([training], given, api.settings(particle_diameter=DIAMETER, preset=preset, seed=seed))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        api.save_model(kept, model)
        print(f"{kept}: trained", flush=True)
    return model


def run(
    data: Path,
    output: Path,
    models: Path | None,
    sets: Sequence[str],
    microscope: str,
    preset: str,
    clicks: int,
    seed: int,
) -> None:
    """Train once, pick the tomograms of one microscope in sets that are not in the table yet, append the rows."""
    there: set[str] = set()
    if output.exists():
        rows = pd.read_csv(output)
        there = set(rows["set"][(rows[RUN] == [microscope, preset, clicks, seed]).all(axis=1)])
    folders = {
        "realistic": (f"realistic-{microscope}", "*.mrc"),
        "empty": ("empty", f"{microscope}_*.mrc"),
        "rare": ("rare", f"{microscope}_*.mrc"),
    }
    wanted = [folders[each] for each in sets if folders[each][0] not in there]
    files = [file for folder, pattern in wanted for file in sorted((data / folder).glob(pattern))]
    if not files:
        return
    model = trained(data, models, microscope, preset, clicks, seed)
    made = [(microscope, preset, clicks, seed, *judged(file, model)) for file in files]
    new = not output.exists()
    with output.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(COLUMNS)
        writer.writerows(made)
    print(f"{microscope} {preset} {clicks} clicks, seed {seed}: {len(made)} tomograms", flush=True)


def truth_of(file: Path, tomogram: Tomogram) -> Picks:
    """Read the targets of a simulated tomogram, which may be none."""
    path = file.parent / "truth" / f"{file.stem}.csv"
    if len(path.read_text(encoding="utf-8").splitlines()) < 2:
        return Picks.of(tomogram.name, np.empty((0, 3)))
    return api.read_picks(path, [tomogram])


def judged(file: Path, model: Model) -> tuple[Any, ...]:
    """Pick one tomogram; give what is said of it and what is true."""
    tomogram = api.open_tomogram(file)
    truth = truth_of(file, tomogram)
    found = api.pick(tomogram, model)
    tolerance = TOLERANCE_VOXELS * tomogram.voxel_size
    own = best = precision = float("nan")
    if len(truth) and len(found.candidates):
        _, judged_picks = api.evaluate(found.picks, truth, tolerance=tolerance)
        _, all_candidates = api.evaluate(found.candidates, truth, tolerance=tolerance)
        own, precision, best = judged_picks.f1, judged_picks.precision, all_candidates.best_f1
    elif len(found.picks):
        precision = 0.0
    count = found.count
    assert count is not None, "a preset whose scores are not calibrated"
    return (
        file.parent.name, file.stem, len(truth), round(count.estimate, 1), round(count.low, 1), round(count.high, 1),
        round(found.absent or 0.0, 4), len(found.picks), round(found.expected.precision, 4), round(precision, 4),
        round(own, 4), round(best, 4),
    )  # fmt: skip


def table(rows: pd.DataFrame) -> str:
    """Give means over seeds as Markdown: a row for each microscope, preset, number of clicks and kind of tomogram."""
    return "\n\n".join((_of_particles(rows[rows["truth"] > 20]), _of_few(rows[rows["truth"] <= 20])))


def _of_particles(rows: pd.DataFrame) -> str:
    lines = [
        "| microscope | preset | clicks | tomogram | truth | counted (90% interval, mean) | intervals that hold "
        "| within 20 % | expected precision | precision | own F1 | best F1 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (microscope, preset, clicks, name), each in rows.groupby(["microscope", "preset", "clicks", "tomogram"]):
        holds = ((each["low"] <= each["truth"]) & (each["truth"] <= each["high"])).sum()
        near = ((each["count"] / each["truth"] - 1).abs() <= 0.2).sum()
        lines.append(
            f"| {microscope} | {preset} | {clicks} | {name} | {each['truth'].iloc[0]} | {each['count'].mean():.0f} "
            f"({each['low'].mean():.0f} to {each['high'].mean():.0f}) | {holds} of {len(each)} | {near} of {len(each)} "
            f"| {each['expected_precision'].mean():.2f} | {each['precision'].mean():.2f} "
            f"| {_spread(each['f1'])} | {_spread(each['best_f1'])} |"
        )
    return "\n".join(lines)


def _of_few(rows: pd.DataFrame) -> str:
    lines = [
        "| microscope | preset | clicks | truth | tomograms × seeds | picks, mean (most) "
        "| at most 5 picks or expected precision 0.2 | intervals that hold the truth | counted, mean |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (microscope, preset, clicks, truth), each in rows.groupby(["microscope", "preset", "clicks", "truth"]):
        right = ((each["picks"] <= 5) | (each["expected_precision"] <= 0.2)).sum()
        holds = ((each["low"] <= each["truth"]) & (each["truth"] <= each["high"])).sum()
        lines.append(
            f"| {microscope} | {preset} | {clicks} | {truth} | {len(each)} | {each['picks'].mean():.1f} "
            f"({each['picks'].max()}) | {right} of {len(each)} | {holds} of {len(each)} | {each['count'].mean():.1f} |"
        )
    return "\n".join(lines)


def _spread(values: Iterable[float]) -> str:
    seen = np.array(list(values))
    return f"{seen.mean():.3f}" + (f" ± {seen.std(ddof=1):.3f}" if len(seen) > 1 else "")


if __name__ == "__main__":
    main()
