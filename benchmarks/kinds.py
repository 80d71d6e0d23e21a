"""Two kinds at once against each alone: F1 in tomograms that were not clicked in, without training.

    python benchmarks/kinds.py --data FOLDER --simulate MAPS --preset vpp
    python benchmarks/kinds.py --data FOLDER --kinds ribosome=300 large_subunit=230 --clicks 10 --seeds 0 1 2

The first makes three tomograms of 60 ribosomes and 40 each of their look-alikes from density maps (MRC, named by PDB
code). The second clicks in the first tomogram, each click off by 1.5 voxels, and judges the others. Means over draws
and tomograms. ``taken`` are picks of a kind that lie on a particle of the other one.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from tomopicker.benchmark.clicks import draw_clicks

from tomopicker import api
from tomopicker.evaluation.metrics import evaluate
from tomopicker.picks import Picks
from tomopicker.simulation.imaging import image_tomogram
from tomopicker.simulation.molecules import load_library
from tomopicker.simulation.presets import resolve_preset
from tomopicker.simulation.scene import build_scene
from tomopicker.simulation.tomogram import SimulatedTomogram
from tomopicker.simulation.write import write_simulated

JITTER_VOXELS, TOLERANCE_VOXELS, SHAPE, VOXEL_SIZE = 1.5, 10, (112, 320, 320), 13.48
MANY = ("large_subunit", "fatty_acid_synthase", "proteasome_26s", "proteasome_20s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--simulate", type=Path, metavar="MAPS")
    parser.add_argument("--preset", default="vpp")
    parser.add_argument("--kinds", nargs=2, default=["ribosome=300", "fatty_acid_synthase=270"], metavar="KIND=Å")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path)
    asked = parser.parse_args()
    if asked.simulate:
        for number in range(3):
            simulate(asked.data, f"TS_{number + 1:04d}", asked.simulate, asked.preset, 4100 + number)
        return
    diameters = {name: float(size) for name, size in (text.split("=") for text in asked.kinds)}
    tomograms = [api.open_tomogram(path) for path in sorted(asked.data.glob("*.mrc"))]
    truth = [truth_of(asked.data, each, diameters) for each in tomograms]
    with tempfile.TemporaryDirectory() as folder:
        cache = asked.cache or Path(folder)
        features = [api.features(each, size, cache=cache) for each in tomograms for size in diameters.values()]
        rows: dict[tuple[str, str], list[list[float]]] = {}
        for seed in asked.seeds:
            given = clicks_of(truth[0], tomograms[0].frame, asked.clicks, seed)
            together = api.instant(features, given, particle_diameters=diameters)
            for kind, size in diameters.items():
                alone = api.instant(features, given.of_kind(kind), particle_diameters={kind: size})
                for way, found in (("alone", alone), ("together", together.kinds[kind])):
                    rows.setdefault((kind, way), []).extend(
                        row(found.picked[each.name], each, known, kind)
                        for each, known in zip(tomograms[1:], truth[1:], strict=True)
                    )
    print(f"{asked.clicks} clicks of each kind, {len(asked.seeds)} draws, {len(tomograms) - 1} tomograms")
    print(f"{'kind':20s} {'':9s} best F1  own F1  AP     count/truth  taken")
    for (kind, way), values in rows.items():
        best, own, ap, ratio, taken = np.mean(values, axis=0)
        print(f"{kind:20s} {way:9s} {best:7.3f}  {own:6.3f}  {ap:5.3f}  {ratio:11.2f}  {taken:5.1f}", flush=True)


def simulate(folder, name, maps, preset, seed):
    library = load_library(maps, VOXEL_SIZE)
    settings = resolve_preset(
        preset, SHAPE, VOXEL_SIZE, seed, molecule_names=tuple(library), n_targets=60, target="ribosome"
    )
    crowd = tuple((other, 40 if other in MANY else number // 2) for other, number in settings.scene.distractors)
    settings = replace(settings, scene=replace(settings.scene, distractors=crowd))
    scene = build_scene(settings.scene, seed, library)
    volume = image_tomogram(scene.density, settings.imaging, seed)
    made = SimulatedTomogram(volume, scene.truth, settings)
    write_simulated(folder, name, made)
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
    tolerance = TOLERANCE_VOXELS * tomogram.voxel_size
    known, other = truth.of_kind(kind), truth.select(truth.kinds != kind)
    one = evaluate(picked.picks.positions, picked.picks.scores, known.positions, tolerance)
    every = evaluate(picked.candidates.positions, picked.candidates.scores, known.positions, tolerance)
    taken = evaluate(picked.picks.positions, None, other.positions, tolerance / 2).tp
    return [every.best_f1, one.f1, every.average_precision, picked.count.estimate / len(known), taken]


if __name__ == "__main__":
    main()
