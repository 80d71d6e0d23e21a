"""Compare two kinds picked together with each alone: F1 in tomograms without clicks.

    python benchmarks/kinds.py --data FOLDER --simulate MAPS --preset vpp [--seed 4100] [--voxel-size 13.48]
    python benchmarks/kinds.py --data FOLDER --kinds ribosome=300 large_subunit=230 --clicks 10 --seeds 0 1 2

The first command simulates three tomograms of 60 ribosomes and 40 each of their look-alikes from density maps (MRC,
named by PDB code). The second draws clicks in the first tomogram, displaced by 1.5 voxels, and evaluates the others.
Printed are means over draws of clicks and tomograms: ``held`` is how often the interval of the count contains the
truth, ``taken`` the number of picks of one kind on particles of the other. ``--train PRESET`` trains networks instead
of using instant picks.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomopicker import api
from tomopicker.benchmark.dataset import draw_clicks
from tomopicker.benchmark.results import evaluate_picks
from tomopicker.evaluation.metrics import evaluate
from tomopicker.picks import Picks
from tomopicker.simulation.molecules import load_library
from tomopicker.simulation.presets import resolve_preset
from tomopicker.simulation.tomogram import simulate as simulate_settings
from tomopicker.simulation.tomogram import write_simulated

JITTER_VOXELS, TOLERANCE_ANGSTROM, SHAPE = 1.5, 134.8, (112, 320, 320)
ABUNDANT = ("large_subunit", "fatty_acid_synthase", "proteasome_26s", "proteasome_20s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--simulate", type=Path, metavar="MAPS")
    parser.add_argument("--preset", default="vpp")
    parser.add_argument("--seed", type=int, default=4100, help="seed of the first simulated tomogram")
    parser.add_argument("--voxel-size", type=float, default=13.48, help="voxel size of simulated tomograms, Å")
    parser.add_argument("--kinds", nargs=2, default=["ribosome=300", "fatty_acid_synthase=270"], metavar="KIND=Å")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--train", metavar="PRESET")
    parser.add_argument("--ways", nargs="+", default=["alone", "together"], choices=["alone", "together"])
    arguments = parser.parse_args()
    if arguments.simulate:
        for number in range(3):
            simulate(arguments, f"TS_{number + 1:04d}", arguments.seed + number)
        return
    diameters = {name: float(size) for name, size in (text.split("=") for text in arguments.kinds)}
    tomograms = [api.open_tomogram(path) for path in sorted(arguments.data.glob("*.mrc"))]
    truths = [read_truth(arguments.data, tomogram, diameters) for tomogram in tomograms]
    rows: dict[tuple[str, str], list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = arguments.cache or Path(folder)
        for seed in arguments.seeds:
            clicks = Picks.concatenate(
                draw_clicks(truths[0].of_kind(kind), tomograms[0].frame, arguments.clicks, seed, JITTER_VOXELS)
                .with_kind(kind)
                for kind in truths[0].kind_names
            )  # fmt: skip
            for kind, mode, results in pick_all(arguments, tomograms, clicks, diameters, cache, seed):
                rows.setdefault((kind, mode), []).extend(
                    measure(results[tomogram.name], tomogram, truth, kind)
                    for tomogram, truth in zip(tomograms[1:], truths[1:], strict=True)
                )
    print(f"{arguments.clicks} clicks of each kind, {len(arguments.seeds)} draws, {len(tomograms) - 1} tomograms")
    print(f"{'kind':20s} {'':9s} best F1  own F1  AP     count/truth  held  taken")
    for (kind, mode), values in rows.items():
        best, own, ap, ratio, held, taken = np.mean(values, axis=0)
        line = f"{kind:20s} {mode:9s} {best:7.3f}  {own:6.3f}  {ap:5.3f}  {ratio:11.2f}  {held:4.2f}  {taken:5.1f}"
        print(line, flush=True)


def pick_all(arguments, tomograms, clicks, diameters, cache, seed):
    """Yield each kind's results in the tomograms without clicks, by itself and together with the other kind."""
    parts = {("together", ""): clicks} if "together" in arguments.ways else {}
    if "alone" in arguments.ways:
        parts |= {("alone", kind): clicks.of_kind(kind) for kind in diameters}
    for (mode, only), part in parts.items():
        sizes = {only: diameters[only]} if only else diameters
        if arguments.train:
            settings = api.settings(max(sizes.values()), arguments.train, seed=seed)
            model = api.train(tomograms[:1], part, settings, particle_diameters=sizes)
            picked = {tomogram.name: api.pick(tomogram, model) for tomogram in tomograms[1:]}
            results = {
                kind: {name: result.kinds.get(kind, result) for name, result in picked.items()} for kind in sizes
            }
        else:
            features = [api.features(tomogram, size, cache=cache) for tomogram in tomograms for size in sizes.values()]
            instant = api.instant(features, part, particle_diameters=sizes)
            results = {kind: instant.kinds.get(kind, instant).picked for kind in sizes}
        for kind in sizes:
            yield kind, mode, results[kind]


def simulate(arguments, name, seed):
    folder = arguments.data
    library = load_library(arguments.simulate, arguments.voxel_size)
    settings = resolve_preset(
        arguments.preset, SHAPE, arguments.voxel_size, seed, molecule_names=tuple(library), n_targets=60,
        target="ribosome",
    )  # fmt: skip
    distractors = tuple(
        (other, 40 if other in ABUNDANT else number // 2) for other, number in settings.scene.distractors
    )
    settings = replace(settings, scene=replace(settings.scene, distractors=distractors))
    write_simulated(folder, name, simulate_settings(settings, library))
    print(f"{folder / name}.mrc", flush=True)


def read_truth(folder, tomogram, kinds):
    molecules = api.read_picks([folder / "molecules" / f"{tomogram.name}.csv"], [tomogram], classes=list(kinds))
    return molecules.with_kind(molecules.extra["class"].to_numpy())


def measure(picked, tomogram, truth, kind):
    own, others = truth.of_kind(kind), truth.select(truth.kinds != kind)
    tolerance = TOLERANCE_ANGSTROM / tomogram.voxel_size
    metrics, *_ = evaluate_picks(picked.picks, picked.candidates, own, tomogram.voxel_size, [tolerance])
    taken = evaluate(picked.picks.positions, None, others.positions, TOLERANCE_ANGSTROM / 2).tp
    count = picked.count
    held = float(count.low <= len(own) <= count.high)
    return [metrics.best_f1, metrics.f1, metrics.average_precision, count.estimate / len(own), held, taken]


if __name__ == "__main__":
    main()
