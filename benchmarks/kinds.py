"""Two kinds at once against each alone: F1 in tomograms that were not clicked in, without training.

    python benchmarks/kinds.py --data FOLDER --simulate MAPS --preset vpp [--seed 4100] [--voxel-size 13.48]
    python benchmarks/kinds.py --data FOLDER --kinds ribosome=300 large_subunit=230 --clicks 10 --seeds 0 1 2

The first makes three tomograms of 60 ribosomes and 40 each of their look-alikes from density maps (MRC, named by PDB
code). The second clicks in the first tomogram, each click off by 1.5 voxels, and judges the others. Means over draws
and tomograms. ``held`` is how often the true number lies in the interval of the count, ``taken`` are picks of a kind
that lie on a particle of the other one. With ``--train PRESET`` networks are trained instead of instant picks.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomopicker import api
from tomopicker.benchmark.dataset import draw_clicks
from tomopicker.evaluation.metrics import evaluate
from tomopicker.picks import Picks
from tomopicker.simulation.molecules import load_library
from tomopicker.simulation.presets import resolve_preset
from tomopicker.simulation.tomogram import simulate as simulate_settings
from tomopicker.simulation.tomogram import write_simulated

JITTER_VOXELS, TOLERANCE_ANGSTROM, SHAPE = 1.5, 134.8, (112, 320, 320)
MANY = ("large_subunit", "fatty_acid_synthase", "proteasome_26s", "proteasome_20s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--simulate", type=Path, metavar="MAPS")
    parser.add_argument("--preset", default="vpp")
    parser.add_argument("--seed", type=int, default=4100, help="of the first simulated tomogram")
    parser.add_argument("--voxel-size", type=float, default=13.48, help="of simulated tomograms, Å")
    parser.add_argument("--kinds", nargs=2, default=["ribosome=300", "fatty_acid_synthase=270"], metavar="KIND=Å")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--train", metavar="PRESET")
    parser.add_argument("--ways", nargs="+", default=["alone", "together"], choices=["alone", "together"])
    asked = parser.parse_args()
    if asked.simulate:
        for number in range(3):
            simulate(asked, f"TS_{number + 1:04d}", asked.seed + number)
        return
    diameters = {name: float(size) for name, size in (text.split("=") for text in asked.kinds)}
    tomograms = [api.open_tomogram(path) for path in sorted(asked.data.glob("*.mrc"))]
    truth = [truth_of(asked.data, each, diameters) for each in tomograms]
    rows: dict[tuple[str, str], list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in asked.seeds:
            given = clicks_of(truth[0], tomograms[0].frame, asked.clicks, seed)
            for kind, way, found in found_in(asked, tomograms, given, diameters, asked.cache or Path(folder), seed):
                rows.setdefault((kind, way), []).extend(
                    row(found[each.name], each, known, kind)
                    for each, known in zip(tomograms[1:], truth[1:], strict=True)
                )
    print(f"{asked.clicks} clicks of each kind, {len(asked.seeds)} draws, {len(tomograms) - 1} tomograms")
    print(f"{'kind':20s} {'':9s} best F1  own F1  AP     count/truth  held  taken")
    for (kind, way), values in rows.items():
        best, own, ap, ratio, held, taken = np.mean(values, axis=0)
        line = f"{kind:20s} {way:9s} {best:7.3f}  {own:6.3f}  {ap:5.3f}  {ratio:11.2f}  {held:4.2f}  {taken:5.1f}"
        print(line, flush=True)


def found_in(asked, tomograms, given, diameters, cache, seed):
    """Give what each kind's clicks find by themselves, and with the other's, in the tomograms that were not clicked."""
    parts = {("together", ""): given} if "together" in asked.ways else {}
    if "alone" in asked.ways:
        parts |= {("alone", kind): given.of_kind(kind) for kind in diameters}
    for (way, only), clicks in parts.items():
        sizes = {only: diameters[only]} if only else diameters
        if asked.train:
            settings = api.settings(max(sizes.values()), asked.train, seed=seed)
            model = api.train(tomograms[:1], clicks, settings, particle_diameters=sizes)
            picked = {each.name: api.pick(each, model) for each in tomograms[1:]}
            found = {kind: {name: each.kinds.get(kind, each) for name, each in picked.items()} for kind in sizes}
        else:
            features = [api.features(each, size, cache=cache) for each in tomograms for size in sizes.values()]
            instant = api.instant(features, clicks, particle_diameters=sizes)
            found = {kind: instant.kinds.get(kind, instant).picked for kind in sizes}
        for kind in sizes:
            yield kind, way, found[kind]


def simulate(asked, name, seed):
    folder = asked.data
    library = load_library(asked.simulate, asked.voxel_size)
    settings = resolve_preset(
        asked.preset, SHAPE, asked.voxel_size, seed, molecule_names=tuple(library), n_targets=60, target="ribosome"
    )
    crowd = tuple((other, 40 if other in MANY else number // 2) for other, number in settings.scene.distractors)
    settings = replace(settings, scene=replace(settings.scene, distractors=crowd))
    write_simulated(folder, name, simulate_settings(settings, library))
    print(f"{folder / name}.mrc", flush=True)


def truth_of(folder, tomogram, kinds):
    every = api.read_picks([folder / "molecules" / f"{tomogram.name}.csv"], [tomogram], classes=list(kinds))
    return every.with_kind(every.extra["class"].to_numpy())


def clicks_of(truth, frame, number, seed):
    return Picks.concatenate(
        draw_clicks(truth.of_kind(kind), frame, number, seed, JITTER_VOXELS).with_kind(kind)
        for kind in truth.kind_names
    )


def row(picked, tomogram, truth, kind):
    tolerance = TOLERANCE_ANGSTROM
    known, other = truth.of_kind(kind), truth.select(truth.kinds != kind)
    one = evaluate(picked.picks.positions, picked.picks.scores, known.positions, tolerance)
    every = evaluate(picked.candidates.positions, picked.candidates.scores, known.positions, tolerance)
    taken = evaluate(picked.picks.positions, None, other.positions, tolerance / 2).tp
    count = picked.count
    held = float(count.low <= len(known) <= count.high)
    return [every.best_f1, one.f1, every.average_precision, count.estimate / len(known), held, taken]


if __name__ == "__main__":
    main()
