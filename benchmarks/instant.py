"""Instant picks: F1 in a tomogram that was not clicked in, and the time of features and of a click.

    python benchmarks/instant.py --data FOLDER --clicks 1 2 5 20 --seeds 0 1 2 3

FOLDER holds tomograms with their truth beside them: TS_0001.mrc and TS_0001.csv. The first is clicked in, the others
are judged. With ``--answers N`` the first N suggestions are answered by the truth, five at a time. Means over draws and
tomograms; each click is off by 1.5 voxels.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from tomopicker import api
from tomopicker.benchmark.dataset import draw_clicks
from tomopicker.config import resolve
from tomopicker.evaluation.metrics import evaluate
from tomopicker.picks import Picks

JITTER_VOXELS, TOLERANCE_VOXELS, AT_A_TIME = 1.5, 10, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--diameter", type=float, default=300.0)
    parser.add_argument("--clicks", type=int, nargs="+", default=[1, 2, 5, 20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--answers", type=int, default=0)
    parser.add_argument("--pretrained", default="shipped", help="weights of the features: shipped, or a file")
    asked = parser.parse_args()
    settings = resolve(
        {"preset": "instant", "particle_diameter": asked.diameter, "network": {"pretrained": asked.pretrained}}
    )
    tomograms = [api.open_tomogram(path) for path in sorted(asked.data.glob("*.mrc"))]
    truths = [api.read_picks([asked.data / f"{each.name}.csv"], [each]) for each in tomograms]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        features = [api.features(each, asked.diameter, cache=Path(folder), settings=settings) for each in tomograms]
        seconds = (time.perf_counter() - started) / len(features)
        print(f"features: {seconds:.1f} s a tomogram, decoy and cache included")
        print("clicks  best F1  own F1   AP     count/truth  seconds")
        for clicks in asked.clicks:
            rows = [_judged(features, tomograms, truths, clicks, seed, asked.answers) for seed in asked.seeds]
            best, own, ap, ratio, took = np.mean(np.concatenate(rows), axis=0)
            print(f"{clicks:6d}  {best:7.3f}  {own:6.3f}  {ap:6.3f}  {ratio:10.2f}  {took:7.2f}", flush=True)


def _judged(features, tomograms, truths, clicks, seed, answers):
    first, truth = tomograms[0], truths[0]
    given = draw_clicks(truth, first.frame, clicks, seed, JITTER_VOXELS)
    rejected, tree = Picks.of(first.name, np.empty((0, 3))), cKDTree(truth.positions)
    for _ in range(answers // AT_A_TIME):
        for each in api.suggest(features[0], given, rejected, count=AT_A_TIME):
            place = Picks.of(first.name, np.array([each.position]))
            if tree.query(place.positions)[0][0] < TOLERANCE_VOXELS * first.voxel_size:
                given = Picks.concatenate([given, place])
            else:
                rejected = Picks.concatenate([rejected, place])
    started = time.perf_counter()
    api.instant(features[0], given, rejected)
    took = time.perf_counter() - started
    found = api.instant(features, given, rejected)
    return [_row(found.picked[t.name], t, true, took) for t, true in zip(tomograms[1:], truths[1:], strict=True)]


def _row(picked, tomogram, truth, took):
    tolerance = TOLERANCE_VOXELS * tomogram.voxel_size
    one = evaluate(picked.picks.positions, picked.picks.scores, truth.positions, tolerance)
    every = evaluate(picked.candidates.positions, picked.candidates.scores, truth.positions, tolerance)
    return [every.best_f1, one.f1, every.average_precision, picked.count.estimate / len(truth), took]


if __name__ == "__main__":
    main()
