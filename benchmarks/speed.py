"""Time and memory of training, picking and start-up, each measured in a separate process.

Prints a Markdown table: the median of some repeats, their spread, the peak memory, and the machine. Each row runs in a
new Python, so that its peak memory (``resource.getrusage``) is its own. The time excludes imports, except for
``--help``, which is the whole command.
"""

# ruff: noqa: PLC0415  (the parent must stay small, since its size counts in its children's peak: work imports lazily)

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import peak_memory, run_script

GIB = 2**30


@dataclass(frozen=True)
class Row:
    """A row of the table: the function that does the work, and its target."""

    title: str
    work: Callable[[argparse.Namespace], dict[str, Any]]
    target: str = ""


def main() -> None:
    """Measure the selected rows and print the table."""
    options = parse()
    if options.child:
        print(json.dumps(measure(ROWS[options.child], options)), flush=True)
        return
    selected = options.only or [name for name in ROWS if name not in INPUTS]
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="tomopicker-speed-") as folder:
        options.folder = Path(folder)
        prepare(options)
        lines = [line(name, options) for name in selected]
    print(machine(options))
    print()
    print(markdown_table_of(["Work", "Median", "Spread", "Peak memory", "Rate", "Target"], lines))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tomogram", type=Path, help="MRC to train on (default: simulated)")
    parser.add_argument("--clicks", type=Path, help="its clicks (default: displaced true positions)")
    parser.add_argument("--particle-diameter", type=float, default=300.0, help="Å (default: %(default)g)")
    parser.add_argument("--expected-particles", type=float, default=100.0, help="for the paper preset (%(default)g)")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of each row (%(default)d)")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), metavar="ROW", help=f"some of {', '.join(ROWS)}")
    parser.add_argument("--shape", type=int, nargs=3, default=(112, 320, 320), metavar=("Z", "Y", "X"),
                        help="of the simulated tomogram (112 320 320)")  # fmt: skip
    parser.add_argument("--full-shape", type=int, nargs=3, default=(500, 928, 960), metavar=("Z", "Y", "X"),
                        help="of the tiled tomogram and the score volume (500 928 960)")  # fmt: skip
    parser.add_argument("--small-shape", type=int, nargs=3, default=(112, 320, 320), metavar=("Z", "Y", "X"),
                        help="of the score volume for the literal loop (112 320 320)")  # fmt: skip
    parser.add_argument("--crop", type=int, default=96, help="edge of the crop for throughputs, voxels (%(default)d)")
    parser.add_argument("--picks", type=int, default=3000, help="of greedy picking at full size (%(default)d)")
    parser.add_argument("--small-picks", type=int, default=100, help="of the literal loop (%(default)d)")
    parser.add_argument("--steps", type=int, help="training steps of the default preset, for a quick try")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto",
                        help="of features; older processors: ONEDNN_MAX_CPU_ISA, ATEN_CPU_CAPABILITY")  # fmt: skip
    parser.add_argument("--scratch", type=Path, help="folder for temporary files (about 1 GiB at full size)")
    parser.add_argument("--child", choices=list(ROWS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def line(name: str, options: argparse.Namespace) -> list[str]:
    """Measure a row repeatedly, and return its cells."""
    results = [in_child(name, options) for _ in range(max(1, options.repeats))]
    seconds = [result["seconds"] for result in results]
    rates = [result["rate"] for result in results if "rate" in result]
    memory = max(result["memory"] for result in results)
    note = results[-1].get("note")
    rate = f"{statistics.median(rates) / 1e6:.3g} Mvoxel/s" if rates else ""
    spread = f"{min(seconds):.3g} - {max(seconds):.3g} s" if len(seconds) > 1 else "one run"
    title = ROWS[name].title + (f" ({note})" if note else "")
    return [title, f"{statistics.median(seconds):.3g} s", spread, f"{memory / GIB:.2f} GiB", rate, ROWS[name].target]


def in_child(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a row in a separate process."""
    command = [__file__, "--child", name]
    for key, value in vars(options).items():
        if key not in {"child", "only"} and value is not None:
            values = value if isinstance(value, list | tuple) else [value]
            command += [f"--{key.replace('_', '-')}", *(str(item) for item in values)]
    result: dict[str, Any] = run_script(*command)
    print(f"{name}: {result}", file=sys.stderr, flush=True)
    return result


def measure(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    """Do a row's work, and add the peak memory of this process, or of the command that it started."""
    result = row.work(options)
    return {"memory": peak_memory(result.pop("process", resource.RUSAGE_SELF)), **result}


# Rows.


def prepare(options: argparse.Namespace) -> None:
    """Simulate missing input in a separate process."""
    if options.tomogram is not None and options.clicks is None:
        sys.exit("--tomogram needs --clicks")
    if options.tomogram is None:
        options.tomogram, options.clicks = options.folder / "TS_simulated.mrc", options.folder / "clicks.csv"
        in_child("simulate", options)


def simulate(options: argparse.Namespace) -> dict[str, Any]:
    """Simulate a tomogram as int8, and clicks a voxel or two off the true positions."""
    import numpy as np

    from tomopicker import api
    from tomopicker.simulation.tomogram import simulate_tomogram

    start = time.perf_counter()
    simulated = simulate_tomogram("vpp", tuple(options.shape), 13.48, seed=1)
    api.write_mrc(options.tomogram, as_int8(simulated.volume), 13.48)
    rng = np.random.default_rng(1)
    inside = np.array(options.shape[::-1]) - 1
    order = rng.permutation(len(simulated.targets.positions))
    clicks = np.clip(simulated.targets.positions[order] + rng.normal(0, 1, (len(order), 3)), 0, inside)
    tomogram = api.open_tomogram(options.tomogram)
    picks = api.Picks.of(tomogram.name, clicks * 13.48)
    api.write_picks(picks, {tomogram.name: tomogram.frame}, options.clicks)
    return {"seconds": time.perf_counter() - start}


def train(preset: str, count: int) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """Return the work of training a preset from the first clicks; rows that pick use the default one from 20 clicks."""

    def work(options: argparse.Namespace) -> dict[str, Any]:
        import numpy as np

        from tomopicker import api

        start = time.perf_counter()
        tomogram = api.open_tomogram(options.tomogram)
        clicks = api.read_picks(options.clicks, [tomogram])
        clicks = clicks.select(np.arange(min(count, len(clicks))))
        model = api.train([tomogram], clicks, preset_settings(options, preset))
        seconds = time.perf_counter() - start
        api.save_model(options.folder / f"{preset}-{count}.model", model)
        return {"seconds": seconds, "note": f"{len(clicks)} clicks, {size(tomogram.shape)}"}

    return work


def pick_small(options: argparse.Namespace) -> dict[str, Any]:
    """Pick the tomogram trained on."""
    return pick_file(options.tomogram, options)


def pick_large(source: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """Return the work of picking the large int8 tomogram that another row makes."""

    def work(options: argparse.Namespace) -> dict[str, Any]:
        path = options.folder / f"{source}.mrc"
        if not path.exists():
            in_child(source, options)
        return pick_file(path, options)

    return work


def pick_file(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Time opening, scoring and peak finding."""
    from tomopicker import api

    model_file = options.folder / "default-20.model"
    if not model_file.exists():
        in_child("train", options)
    model = api.load_model(model_file)
    start = time.perf_counter()
    tomogram = api.open_tomogram(path)
    picked = api.pick(tomogram, model)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "rate": voxels(tomogram.shape) / seconds,
        "note": f"{len(picked.picks)} picks, {size(tomogram.shape)}",
    }


def features(source: str | None) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """Return the work of computing the features of instant picks, including those of the decoy, and their file."""

    def work(options: argparse.Namespace) -> dict[str, Any]:
        from tomopicker import api

        path = options.tomogram if source is None else options.folder / f"{source}.mrc"
        if not path.exists():
            in_child(source or "simulate", options)
        settings = api.settings(300.0, "instant", precision=options.precision)
        start = time.perf_counter()
        tomogram = api.open_tomogram(path)
        with tempfile.TemporaryDirectory(dir=options.folder) as cache:
            api.features(tomogram, 300.0, cache=Path(cache), settings=settings)
            seconds = time.perf_counter() - start
        note = f"{options.precision}, {size(tomogram.shape)}"
        return {"seconds": seconds, "rate": voxels(tomogram.shape) / seconds, "note": note}

    return work


def instant_click(options: argparse.Namespace) -> dict[str, Any]:
    """Time a click, with features in memory: discriminant, score volumes, peaks, calibration and count."""
    import numpy as np

    from tomopicker import api

    tomogram = api.open_tomogram(options.tomogram)
    clicks = api.read_picks(options.clicks, [tomogram])
    ready = api.features(tomogram, 300.0, settings=api.settings(300.0, "instant", precision=options.precision))
    seconds = []
    for count in range(1, 7):
        start = time.perf_counter()
        instant = api.instant(ready, clicks.select(np.arange(count)))
        seconds.append(time.perf_counter() - start)
    picks = sum(len(picked.picks) for picked in instant.picked.values())
    note = f"{options.precision}, {picks} picks, {size(tomogram.shape)}"
    return {"seconds": float(np.median(seconds[1:])), "note": note}


def tile(options: argparse.Namespace) -> dict[str, Any]:
    """Tile the tomogram to the full shape, as int8."""
    from tomopicker import api

    start = time.perf_counter()
    tomogram = api.open_tomogram(options.tomogram)
    tiled = tile_to(read_int8(tomogram), options.full_shape)
    api.write_mrc(options.folder / "tile.mrc", tiled, tomogram.voxel_size)
    return {"seconds": time.perf_counter() - start}


def lamella(options: argparse.Namespace) -> dict[str, Any]:
    """Tile the specimen over the middle third of the sections, and the vacuum over the rest, as int8."""
    import numpy as np

    from tomopicker import api
    from tomopicker.preprocessing.preprocess import preprocess

    start = time.perf_counter()
    tomogram = api.open_tomogram(options.tomogram)
    data = read_int8(tomogram)
    mask = preprocess(tomogram, 2 * tomogram.voxel_size, 4.0, "auto").mask
    filled = 2 * np.flatnonzero(mask.any(axis=(1, 2))) if mask is not None else np.arange(len(data))
    first, stop = filled[0], filled[-1] + 2
    specimen, vacuum = data[first:stop], np.concatenate([data[:first], data[stop:]])
    if not len(vacuum):  # A small tomogram without vacuum: use noise.
        vacuum = np.random.default_rng(0).normal(0, 5, data.shape).astype(np.int8)
    tiled, sections = tile_to(vacuum, options.full_shape), options.full_shape[0]
    middle = slice(sections // 3, sections - sections // 3)
    tiled[middle] = tile_to(specimen, options.full_shape)[middle]
    api.write_mrc(options.folder / "lamella.mrc", tiled, tomogram.voxel_size)
    return {"seconds": time.perf_counter() - start}


def greedy_full(options: argparse.Namespace) -> dict[str, Any]:
    """Pick greedily in a score volume of full size."""
    from tomopicker.picking.greedy import greedy_peaks

    scores = score_field(options.full_shape)
    start = time.perf_counter()
    peaks = greedy_peaks(scores, 12.0, max_particles=options.picks)
    return {"seconds": time.perf_counter() - start, "note": f"{len(peaks)} picks, {size(scores.shape)}"}


def greedy_small(options: argparse.Namespace) -> dict[str, Any]:
    """Pick greedily in a smaller volume, and check that the literal loop gives the same."""
    import numpy as np

    from tomopicker.picking.greedy import greedy_peaks

    scores = score_field(options.small_shape)
    start = time.perf_counter()
    peaks = greedy_peaks(scores, 12.0, max_particles=options.small_picks)
    seconds = time.perf_counter() - start
    positions, values = literal_loop(scores, 12.0, options.small_picks)
    assert np.array_equal(peaks.positions_voxels, positions), "greedy picking differs from the literal loop"
    assert np.array_equal(peaks.scores, values), "greedy scores differ from the literal loop's"
    return {"seconds": seconds, "note": f"{len(peaks)} picks, {size(scores.shape)}, equal to the literal loop's"}


def greedy_literal(options: argparse.Namespace) -> dict[str, Any]:
    """Pick greedily by the literal arg-max loop, on the same smaller volume."""
    scores = score_field(options.small_shape)
    start = time.perf_counter()
    _, values = literal_loop(scores, 12.0, options.small_picks)
    return {"seconds": time.perf_counter() - start, "note": f"{len(values)} picks, {size(scores.shape)}"}


def calibrate_scores(options: argparse.Namespace) -> dict[str, Any]:
    """Calibrate 4,000 peaks, as in a crowded full-size tomogram, against 700 decoy peaks."""
    import numpy as np

    from tomopicker.picking.calibration import calibrate
    from tomopicker.pu.particle_scores import ParticleScores

    rng = np.random.default_rng(0)
    peaks = np.concatenate([rng.normal(0, 2, 3500), rng.normal(6, 1.2, 500)])
    prior = ParticleScores(6.0, 1.2, 0.3, 0.1, density=5e-5)
    decoys = rng.normal(0.5, 2, 700)
    started = time.monotonic()
    calibrate(peaks, decoys, prior, voxels=1e7, decoy_voxels=1.6e6)
    return {"seconds": time.monotonic() - started}


def train_rate(preset: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """Return the work of measuring the patch voxels per second that a preset trains on."""

    def work(options: argparse.Namespace) -> dict[str, Any]:
        seconds, steps, settings, _, _ = run_on_crop(options, preset, reports=3)
        trained = steps * settings.patches.batch * settings.patches.size**3
        return {"seconds": seconds, "rate": trained / seconds, "note": f"{steps} steps of {settings.patches.batch}"}

    return work


def score_rate(preset: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """Return the work of measuring the tomogram's voxels per second that a preset scores."""

    def work(options: argparse.Namespace) -> dict[str, Any]:
        from tomopicker import api

        _, _, _, model, crop = run_on_crop(options, preset, reports=1)
        clock = Clock()
        start = time.perf_counter()
        api.pick(crop, model, selection=api.Selection(max_particles=100), callback=clock)
        seconds = clock.scored_at[-1] - start  # with preprocessing, without peak finding
        return {"seconds": seconds, "rate": voxels(crop.shape) / seconds, "note": f"{size(crop.shape)}"}

    return work


def start_help(options: argparse.Namespace) -> dict[str, Any]:
    """Run ``tomopicker --help``, also if the command is not installed."""
    command = Path(sys.executable).with_name("tomopicker")
    fallback = [sys.executable, "-c", "import sys; from tomopicker.cli import main; sys.argv[0] = 'tomopicker'; main()"]
    start = time.perf_counter()
    subprocess.run([*([str(command)] if command.exists() else fallback), "--help"], capture_output=True, check=True)
    return {"seconds": time.perf_counter() - start, "process": resource.RUSAGE_CHILDREN}


# Helpers.


class Clock:
    """Callback that records the times of reports."""

    def __init__(self) -> None:
        self.trained_at: list[tuple[str, int, float]] = []
        self.scored_at: list[float] = []

    def log(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...

    def on_train(self, job: str, report: Any) -> None:
        self.trained_at.append((job, report.step, time.perf_counter()))

    def on_score(self, tomogram: str, done: int, total: int) -> None:
        self.scored_at.append(time.perf_counter())


def run_on_crop(options: argparse.Namespace, preset: str, reports: int) -> tuple[float, int, Any, Any, Any]:
    """Train briefly on a crop around a click; return time and steps between first and last report, and the model."""
    import numpy as np

    from tomopicker import api

    whole = api.open_tomogram(options.tomogram)
    clicks = api.read_picks(options.clicks, [whole])
    edges = np.minimum(np.array(whole.shape), options.crop)
    centre = np.round(clicks.positions[0, ::-1] / whole.voxel_size).astype(int)
    corner = np.clip(centre - edges // 2, 0, np.array(whole.shape) - edges)
    (z, y, x), (depth, height, width) = corner, edges
    crop = api.Tomogram("crop", whole.slab(z, z + depth)[:, y : y + height, x : x + width].copy(), whole.voxel_size)
    inside = clicks.positions - corner[::-1] * whole.voxel_size
    is_inside = ((inside >= 0) & (inside <= (edges[::-1] - 1) * whole.voxel_size)).all(axis=1)
    length = {"epochs": reports} if preset == "paper" else {"steps": 1 if reports == 1 else 25 * (reports - 1)}
    training: dict[str, Any] = {"validation_fraction": 0.0, **length}
    fraction = voxels(crop.shape) / voxels(whole.shape)
    expected = max(is_inside.sum() + 1.0, options.expected_particles * fraction)
    settings = api.settings(options.particle_diameter, preset, training=training, expected_particles=float(expected))
    clock = Clock()
    model = api.train([crop], api.Picks.of("crop", inside[is_inside]), settings, callback=clock)
    events = [(step, seconds) for job, step, seconds in clock.trained_at if job == clock.trained_at[-1][0]]
    (first_step, first_seconds), (last_step, last_seconds) = events[0], events[-1]
    return last_seconds - first_seconds, last_step - first_step, settings, model, crop


def preset_settings(options: argparse.Namespace, preset: str) -> Any:
    """Return a preset, with fewer steps if requested."""
    from tomopicker import api

    shortened = {} if options.steps is None else {"training": {"steps": options.steps}}
    return api.settings(options.particle_diameter, preset, **shortened)


def score_field(shape: Sequence[int]) -> Any:
    """Return a smooth random float32 volume, from a tile of at most 128³ voxels and fine noise."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    depth, *edges = (min(128, edge) for edge in shape)
    smooth = gaussian_filter(rng.standard_normal((depth, *edges), dtype=np.float32), 4, mode="wrap")
    smooth /= smooth.std()
    times = [-(-n // edge) for n, edge in zip(shape[1:], edges, strict=True)]
    field = np.empty(tuple(shape), dtype=np.float32)
    for z in range(shape[0]):  # By sections, so that the peak memory is that of the volume.
        noise = rng.standard_normal(shape[1:], dtype=np.float32)
        field[z] = np.tile(smooth[z % depth], times)[: shape[1], : shape[2]] + np.float32(0.05) * noise
    return field


def literal_loop(scores: Any, radius: float, count: int) -> tuple[Any, Any]:
    """Pick literally as in section 3.4 of the paper: arg-max, blank a ball with minus infinity, repeat."""
    import numpy as np

    remaining = scores.copy()
    z, y, x = np.ogrid[tuple(slice(0, edge) for edge in scores.shape)]
    positions, values = [], []
    for _ in range(count):
        peak = np.unravel_index(int(remaining.argmax()), remaining.shape)
        positions.append([float(index) for index in peak[::-1]])
        values.append(remaining[peak])
        remaining[(z - peak[0]) ** 2 + (y - peak[1]) ** 2 + (x - peak[2]) ** 2 <= radius**2] = -np.inf
    return np.array(positions), np.array(values, dtype=np.float32)


def read_int8(tomogram: Any) -> Any:
    """Read a tomogram as int8, scaling it if necessary."""
    import numpy as np

    data = np.asarray(tomogram.data[0 : tomogram.shape[0]])
    return data if data.dtype == np.int8 else as_int8(tomogram.read())


def tile_to(data: Any, shape: Sequence[int]) -> Any:
    """Tile a volume to a shape."""
    import numpy as np

    times = [-(-n // edge) for n, edge in zip(shape, data.shape, strict=True)]
    return np.tile(data, times)[tuple(slice(0, n) for n in shape)]


def as_int8(volume: Any) -> Any:
    """Scale a volume to int8, with 25 steps per standard deviation."""
    import numpy as np

    scaled = (volume - volume.mean()) / volume.std() * 25
    return np.clip(np.round(scaled), -127, 127).astype(np.int8)


def voxels(shape: Sequence[int]) -> int:
    """Return the number of voxels."""
    return math.prod(map(int, shape))


def size(shape: Sequence[int]) -> str:
    """Format a shape."""
    return "×".join(str(int(edge)) for edge in shape)


def machine(options: argparse.Namespace) -> str:
    """Describe the machine and the software."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [text.partition(":")[2].strip() for text in cpuinfo.read_text().splitlines() if "model name" in text]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    code = "import json, torch; print(json.dumps([torch.__version__, torch.get_num_threads()]))"
    torch_version, threads = run_script("-c", code)
    load = f", load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return (
        f"{model}, {cores} cores, {threads} threads; {platform.system()} {platform.release()}; Python "
        f"{platform.python_version()}, torch {torch_version}; {options.repeats} repeats{load}."
    )


def markdown_table_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    from tomopicker.benchmark.tables import markdown_table

    return markdown_table(header, rows)


ROWS = {
    "train": Row("Train, default preset", train("default", 20), "2 min"),
    "train-5": Row("Train, default preset", train("default", 5), "40 s"),
    "train-100": Row("Train, default preset", train("default", 100)),
    "pick": Row("Pick a tomogram", pick_small, "5 s"),
    "calibrate": Row("Calibrate a tomogram's peaks", calibrate_scores, "0.5 s"),
    "pick-lamella": Row("Pick a full-size int8 tomogram, a third specimen", pick_large("lamella"), "45 s, 3 GB"),
    "pick-full": Row("Pick a full-size int8 tomogram, all specimen", pick_large("tile")),
    "features": Row("Features for instant picks", features(None), "5 s"),
    "features-lamella": Row("Features, full size, a third specimen", features("lamella"), "40 s, 3 GB"),
    "instant": Row("Picks after a click, features at hand", instant_click, "1 s"),
    "greedy-full": Row("Greedy picking, full size", greedy_full, "seconds"),
    "greedy-small": Row("Greedy picking, smaller", greedy_small),
    "greedy-literal": Row("Literal arg-max loop, same volume", greedy_literal),
    "train-rate": Row("Training throughput, default preset", train_rate("default")),
    "train-rate-paper": Row("Training throughput, paper preset", train_rate("paper")),
    "score-rate": Row("Scoring throughput, default preset", score_rate("default")),
    "score-rate-paper": Row("Scoring throughput, paper preset", score_rate("paper")),
    "help": Row("tomopicker --help", start_help, "0.5 s"),
    "simulate": Row("(input: a simulated tomogram)", simulate),
    "tile": Row("(input: a tiled tomogram)", tile),
    "lamella": Row("(input: a tiled lamella between vacuum)", lamella),
}
INPUTS = ("simulate", "tile", "lamella")

if __name__ == "__main__":
    main()
