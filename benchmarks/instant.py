"""Measure instant picks: F1 in tomograms without clicks, and the time for features and for a click.

    python benchmarks/instant.py --data FOLDER --clicks 1 2 5 20 --seeds 0 1 2 3

FOLDER has tomograms and their truth: TS_0001.mrc and TS_0001.csv. Clicks are drawn in the first, displaced by 1.5
voxels, and the others are evaluated. With ``--answers N`` the truth answers the first N suggestions, five at a time.
Printed are means over draws of clicks and tomograms.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from tomopicker import api
from tomopicker.benchmark.dataset import draw_clicks
from tomopicker.benchmark.results import evaluate_picks
from tomopicker.config import resolve
from tomopicker.picks import Picks

JITTER_VOXELS, TOLERANCE_VOXELS, N_SUGGESTIONS = 1.5, 10, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--diameter", type=float, default=300.0)
    parser.add_argument("--clicks", type=int, nargs="+", default=[1, 2, 5, 20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--answers", type=int, default=0)
    parser.add_argument("--pretrained", default="shipped", help="weights of the features: shipped, or a file")
    arguments = parser.parse_args()
    settings = resolve(
        {"preset": "instant", "particle_diameter": arguments.diameter, "network": {"pretrained": arguments.pretrained}}
    )
    tomograms = [api.open_tomogram(path) for path in sorted(arguments.data.glob("*.mrc"))]
    truths = [api.read_picks([arguments.data / f"{tomogram.name}.csv"], [tomogram]) for tomogram in tomograms]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        features = [
            api.features(tomogram, arguments.diameter, cache=Path(folder), settings=settings) for tomogram in tomograms
        ]
        seconds = (time.perf_counter() - started) / len(features)
        print(f"features: {seconds:.1f} s per tomogram, decoy and cache included")
        print("clicks  best F1  own F1   AP     count/truth  seconds")
        for clicks in arguments.clicks:
            rows = [measure(features, tomograms, truths, clicks, seed, arguments.answers) for seed in arguments.seeds]
            best, own, ap, ratio, duration = np.mean(np.concatenate(rows), axis=0)
            print(f"{clicks:6d}  {best:7.3f}  {own:6.3f}  {ap:6.3f}  {ratio:10.2f}  {duration:7.2f}", flush=True)


def measure(features, tomograms, truths, n_clicks, seed, n_answers):
    """Return a row of metrics for each tomogram without clicks."""
    first, truth = tomograms[0], truths[0]
    clicks = draw_clicks(truth, first.frame, n_clicks, seed, JITTER_VOXELS)
    rejected, tree = Picks.of(first.name, np.empty((0, 3))), cKDTree(truth.positions)
    for _ in range(n_answers // N_SUGGESTIONS):
        for suggestion in api.suggest(features[0], clicks, rejected, count=N_SUGGESTIONS):
            answer = Picks.of(first.name, np.array([suggestion.position]))
            if tree.query(answer.positions)[0][0] < TOLERANCE_VOXELS * first.voxel_size:
                clicks = Picks.concatenate([clicks, answer])
            else:
                rejected = Picks.concatenate([rejected, answer])
    started = time.perf_counter()
    api.instant(features[0], clicks, rejected)
    duration = time.perf_counter() - started
    results = api.instant(features, clicks, rejected).picked
    rows = []
    for tomogram, true in zip(tomograms[1:], truths[1:], strict=True):
        picked = results[tomogram.name]
        metrics, *_ = evaluate_picks(picked.picks, picked.candidates, true, tomogram.voxel_size, [TOLERANCE_VOXELS])
        ratio = picked.count.estimate / len(true)
        rows.append([metrics.best_f1, metrics.f1, metrics.average_precision, ratio, duration])
    return rows


if __name__ == "__main__":
    main()
