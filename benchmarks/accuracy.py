"""Accuracy on unseen tomograms: train on one from clicks, pick the others, judge at the program's own threshold.

Prints a Markdown table: for each tomogram the mean and standard deviation over seeds, then the same of the mean over
the tomograms that were not trained on. Matching is one-to-one within the tolerance. No truth of a test tomogram is
looked at before its picks are final; columns marked "oracle" choose their cut-off by the truth, to compare rankings.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import api
from tomopicker.config import read_settings_file, resolve
from tomopicker.report.tables import markdown_table

FIGURES = ("precision", "recall", "f1", "f1_at_truth_count", "best_f1", "average_precision", "position_error_mean")
TITLES = ("Precision", "Recall", "F1", "F1 at N (oracle)", "Best F1 (oracle)", "Average precision", "Error, voxels")


def main() -> None:
    """Train and judge seed by seed, then print the table."""
    options = parse()
    training = api.open_tomogram(options.train)
    clicks = api.read_picks(options.clicks, [training]) if options.clicks else None
    tests = [api.open_tomogram(path) for path in api.volume_files(options.test)]
    truth = {each.name: api.read_picks(truth_file(options.truth_dir, each.name), [each]) for each in tests}
    runs = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        chosen = drawn(options, training, seed) if clicks is None else clicks
        run = one_seed(options, seed, training, chosen, tests, truth)
        runs.append(run)
        mean = mean_over(run, [each.name for each in tests], training.name)
        print(f"seed {seed}: trained in {run['seconds']:.0f} s, mean F1 {mean['f1']:.3f}", file=sys.stderr, flush=True)
        if options.json:
            options.json.write_text(json.dumps({"options": vars(options), "runs": runs}, indent=1, default=str))
    print(report(options, runs, training.name, [each.name for each in tests]))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="the tomogram to train on")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--clicks", type=Path, nargs="+", help="files of clicks in it")
    source.add_argument("--draw-clicks", type=int, metavar="N",
                        help="other clicks for each seed: N true positions, disturbed by 1.5 voxels")  # fmt: skip
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="tomograms or folders to pick in")
    parser.add_argument("--truth-dir", type=Path, required=True, help="folder of <tomogram>.csv or .star")
    parser.add_argument("--particle-diameter", type=float, default=300.0, help="Å (default: %(default)g)")
    parser.add_argument("--tolerance", type=float, default=10.0, help="voxels of each tomogram (%(default)g)")
    parser.add_argument("--preset", default="default", choices=["default", "paper"])
    parser.add_argument("--objective", choices=["kl", "pu", "pn", "distpu"], help="the preset's own if left out")
    parser.add_argument("--expected-particles", type=float, help="in a training tomogram; the paper preset needs it")
    parser.add_argument("--config", type=Path, help="YAML file of further settings")
    parser.add_argument("--steps", type=int, help="training steps, for a quick try")
    parser.add_argument("--seeds", type=int, default=3, help="how many (%(default)d)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, cuda, mps; the best there is if left out")
    parser.add_argument("--json", type=Path, help="also write every figure of every seed")
    return parser.parse_args()


def truth_file(folder: Path, name: str) -> Path:
    """Find the truth of a tomogram."""
    for suffix in (".csv", ".star"):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    sys.exit(f"{folder}: no {name}.csv or {name}.star; give another --truth-dir")


def drawn(options: argparse.Namespace, training: api.Tomogram, seed: int) -> api.Picks:
    """Click as a person might: some particles of the truth, a voxel or two off."""
    truth = api.read_picks(truth_file(options.truth_dir, training.name), [training])
    rng = np.random.default_rng([seed, 20])
    chosen = truth.select(np.sort(rng.permutation(len(truth))[: options.draw_clicks]))
    last = (np.array(training.shape[::-1]) - 1) * training.voxel_size
    moved = chosen.positions + rng.normal(0, 1.5 * training.voxel_size / 3**0.5, chosen.positions.shape)
    return api.Picks.of(training.name, np.clip(moved, 0, last))


def settings_of(options: argparse.Namespace, seed: int) -> api.Settings:
    """Merge the preset, the settings file and the command line."""
    asked: dict[str, Any] = {"preset": options.preset, "particle_diameter": options.particle_diameter, "seed": seed}
    if options.objective:
        asked["objective"] = {"kind": options.objective}
    if options.expected_particles:
        asked["expected_particles"] = options.expected_particles
    if options.steps:
        asked["training"] = {"steps": options.steps}
    return resolve(asked, read_settings_file(options.config) if options.config else None)


def one_seed(
    options: argparse.Namespace,
    seed: int,
    training: api.Tomogram,
    clicks: api.Picks,
    tests: Sequence[api.Tomogram],
    truth: dict[str, api.Picks],
) -> dict[str, Any]:
    """Train once, pick every test tomogram, and judge."""
    start = time.perf_counter()
    model = api.train([training], clicks, settings_of(options, seed), device=options.device)
    seconds = time.perf_counter() - start
    tomograms = {}
    for tomogram in tests:
        found = api.pick(tomogram, model)
        own, ranked = (
            api.evaluate(picks, truth[tomogram.name], options.tolerance * tomogram.voxel_size)[0][tomogram.name]
            for picks in (found.picks, found.candidates)
        )
        figures = own.ranked_by(ranked).to_dict()
        error = figures["position_error_mean"]
        figures["position_error_mean"] = None if error is None else float(error) / tomogram.voxel_size
        tomograms[tomogram.name] = figures
    return {"seed": seed, "seconds": seconds, "clicks": len(clicks), "tomograms": tomograms}


def mean_over(run: dict[str, Any], names: Sequence[str], trained: str) -> dict[str, float]:
    """Average one seed's figures over the tomograms not trained on (over all, if there is no other)."""
    unseen = [name for name in names if name != trained] or list(names)
    means = {}
    for figure in FIGURES:
        known = [run["tomograms"][name][figure] for name in unseen if run["tomograms"][name][figure] is not None]
        means[figure] = statistics.fmean(known) if known else float("nan")
    return means


def report(options: argparse.Namespace, runs: Sequence[dict[str, Any]], trained: str, names: Sequence[str]) -> str:
    """Lay out the table and say what was done."""
    rows = []
    for name in names:
        figures = [[run["tomograms"][name][figure] for run in runs] for figure in FIGURES]
        counts = [
            f"{statistics.fmean(run['tomograms'][name][count] for run in runs):.0f}" for count in ("tp", "fp", "fn")
        ]
        rows.append([name + (" (trained on)" if name == trained else ""), *counts, *map(spread, figures)])
    means = [mean_over(run, names, trained) for run in runs]
    unseen = [name for name in names if name != trained]
    overall = [spread([mean[figure] for mean in means]) for figure in FIGURES]
    rows.append(["Mean of the unseen" if unseen else "Mean", "-", "-", "-", *overall])
    seconds = statistics.median(run["seconds"] for run in runs)
    objective = options.objective or "the preset's objective"
    said = (
        f"Trained on {trained} with {runs[0]['clicks']} clicks, {options.preset} preset, {objective}, "
        f"{len(runs)} seeds, {seconds:.0f} s of training (median); one-to-one within {options.tolerance:g} "
        "voxels, own threshold; "
        "mean ± standard deviation over seeds."
    )
    return said + "\n\n" + markdown_table(["Tomogram", "TP", "FP", "FN", *TITLES], rows)


def spread(values: Sequence[float | None]) -> str:
    """Write mean ± standard deviation of what is known."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    deviation = f" ± {statistics.stdev(known):.3f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.3f}{deviation}"


if __name__ == "__main__":
    main()
