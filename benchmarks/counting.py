"""Measure counts, expected precision and F1 on realistic, empty and sparse tomograms not used in development.

    python benchmarks/realistic.py --layout LAYOUT.csv --maps MAPS --output benchmarks/data
    python benchmarks/counting.py --data benchmarks/data --output counting.csv
    python benchmarks/counting.py --output counting.csv --table

Trains on TS_0001 of a realistic set from drawn clicks, picks its other tomograms and the empty and sparse ones of the
same microscope, and appends a row for group to the table of results. Existing runs are not repeated; ``--models`` keeps
trained models, to pick with again. ``--table`` prints means over seeds.
"""

import argparse
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tomopicker import api
from tomopicker.benchmark.dataset import draw_clicks
from tomopicker.benchmark.results import evaluate_picks
from tomopicker.benchmark.tables import markdown_table
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
    """Do the runs that are missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("benchmarks/data"), help="folder that realistic.py wrote")
    parser.add_argument("--output", type=Path, required=True, help="CSV file of results, new or to be continued")
    parser.add_argument("--microscopes", nargs="+", default=["defocus", "vpp"])
    parser.add_argument("--presets", nargs="+", default=["default"])
    parser.add_argument("--clicks", nargs="+", type=int, default=[5, 20, 100])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, help="which tomograms to pick")
    parser.add_argument("--models", type=Path, help="folder of trained models")
    parser.add_argument("--train-only", action="store_true", help="only train the models missing in --models")
    parser.add_argument("--table", action="store_true", help="only print means over seeds")
    arguments = parser.parse_args(argv)
    if arguments.train_only and arguments.models is None:
        parser.error("--train-only needs --models")
    runs = itertools.product(arguments.seeds, arguments.clicks, arguments.presets, arguments.microscopes)
    for seed, clicks, preset, microscope in () if arguments.table else runs:
        if arguments.train_only:
            train(arguments.data, arguments.models, microscope, preset, clicks, seed)
        else:
            run(arguments.data, arguments.output, arguments.models, arguments.sets, microscope, preset, clicks, seed)
    if not arguments.train_only:
        print(table(pd.read_csv(arguments.output)))


def train(data: Path, models: Path | None, microscope: str, preset: str, clicks: int, seed: int) -> Model:
    """Train on the first tomogram of a realistic set, or load the trained model."""
    model_file = models and models / f"{microscope}-{preset}-{clicks}-{seed}.model"
    if model_file and model_file.exists():
        return api.load_model(model_file)
    file = data / f"realistic-{microscope}" / "TS_0001.mrc"
    training = api.open_tomogram(file)
    drawn = draw_clicks(read_truth(file, training), training.frame, clicks, seed, JITTER_VOXELS)
    model = api.train([training], drawn, api.settings(particle_diameter=DIAMETER, preset=preset, seed=seed))
    if model_file:
        model_file.parent.mkdir(parents=True, exist_ok=True)
        api.save_model(model_file, model)
        print(f"{model_file}: trained", flush=True)
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
    """Train, pick the tomograms of one microscope in the sets that are not in the table yet, and append the rows."""
    done: set[str] = set()
    if output.exists():
        rows = pd.read_csv(output)
        done = set(rows["set"][(rows[RUN] == [microscope, preset, clicks, seed]).all(axis=1)])
    folders = {
        "realistic": (f"realistic-{microscope}", "*.mrc"),
        "empty": ("empty", f"{microscope}_*.mrc"),
        "rare": ("rare", f"{microscope}_*.mrc"),
    }
    missing = [folders[name] for name in sets if folders[name][0] not in done]
    files = [file for folder, pattern in missing for file in sorted((data / folder).glob(pattern))]
    if not files:
        return
    model = train(data, models, microscope, preset, clicks, seed)
    new = pd.DataFrame([(microscope, preset, clicks, seed, *measure(file, model)) for file in files], columns=COLUMNS)
    new.to_csv(output, mode="a", header=not output.exists(), index=False, na_rep="nan", lineterminator="\r\n")
    print(f"{microscope} {preset} {clicks} clicks, seed {seed}: {len(new)} tomograms", flush=True)


def read_truth(file: Path, tomogram: Tomogram) -> Picks:
    """Read the targets of a simulated tomogram, if any."""
    path = file.parent / "truth" / f"{file.stem}.csv"
    if len(path.read_text(encoding="utf-8").splitlines()) < 2:
        return Picks.of(tomogram.name, np.empty((0, 3)))
    return api.read_picks(path, [tomogram])


def measure(file: Path, model: Model) -> tuple[Any, ...]:
    """Pick a tomogram and return its estimates and true metrics."""
    tomogram = api.open_tomogram(file)
    truth = read_truth(file, tomogram)
    picked = api.pick(tomogram, model)
    f1 = best_f1 = precision = float("nan")
    if len(truth) and len(picked.candidates):
        metrics, *_ = evaluate_picks(picked.picks, picked.candidates, truth, tomogram.voxel_size, [TOLERANCE_VOXELS])
        f1, precision, best_f1 = metrics.f1, metrics.precision, metrics.best_f1
    elif len(picked.picks):
        precision = 0.0
    count = picked.count
    assert count is not None, "a preset whose scores are not calibrated"
    return (
        file.parent.name, file.stem, len(truth), round(count.estimate, 1), round(count.low, 1), round(count.high, 1),
        round(picked.absent or 0.0, 4), len(picked.picks), round(picked.expected.precision, 4), round(precision, 4),
        round(f1, 4), round(best_f1, 4),
    )  # fmt: skip


def table(rows: pd.DataFrame) -> str:
    """Return means over seeds as Markdown: a row per microscope, preset, number of clicks and kind of tomogram."""
    return "\n\n".join((_of_particles(rows[rows["truth"] > 20]), _of_few(rows[rows["truth"] <= 20])))


def _of_particles(rows: pd.DataFrame) -> str:
    header = [
        "microscope", "preset", "clicks", "tomogram", "truth", "counted (90% interval, mean)", "intervals that hold",
        "within 20 %", "expected precision", "precision", "own F1", "best F1",
    ]  # fmt: skip
    cells = []
    for (microscope, preset, clicks, name), group in rows.groupby(["microscope", "preset", "clicks", "tomogram"]):
        near = ((group["count"] / group["truth"] - 1).abs() <= 0.2).sum()
        means = group[["count", "low", "high", "expected_precision", "precision"]].mean()
        cells.append([
            microscope, preset, str(clicks), name, str(group["truth"].iloc[0]),
            f"{means['count']:.0f} ({means['low']:.0f} to {means['high']:.0f})", _held(group),
            f"{near} of {len(group)}", f"{means['expected_precision']:.2f}", f"{means['precision']:.2f}",
            _spread(group["f1"]), _spread(group["best_f1"]),
        ])  # fmt: skip
    return markdown_table(header, cells, left=4)


def _of_few(rows: pd.DataFrame) -> str:
    header = [
        "microscope", "preset", "clicks", "truth", "tomograms × seeds", "picks, mean (most)",
        "at most 5 picks or expected precision 0.2", "intervals that hold the truth", "counted, mean",
    ]  # fmt: skip
    cells = []
    for (microscope, preset, clicks, truth), group in rows.groupby(["microscope", "preset", "clicks", "truth"]):
        cautious = ((group["picks"] <= 5) | (group["expected_precision"] <= 0.2)).sum()
        cells.append([
            microscope, preset, str(clicks), str(truth), str(len(group)),
            f"{group['picks'].mean():.1f} ({group['picks'].max()})", f"{cautious} of {len(group)}", _held(group),
            f"{group['count'].mean():.1f}",
        ])  # fmt: skip
    return markdown_table(header, cells, left=2)


def _held(rows: pd.DataFrame) -> str:
    held = ((rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])).sum()
    return f"{held} of {len(rows)}"


def _spread(values: Iterable[float]) -> str:
    array = np.array(list(values))
    return f"{array.mean():.3f}" + (f" ± {array.std(ddof=1):.3f}" if len(array) > 1 else "")


if __name__ == "__main__":
    main()
