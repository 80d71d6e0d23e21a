"""What a benchmark would simulate and run, and the report of its existing results."""

import json
import math
from pathlib import Path

from tomopicker.benchmark.dataset import open_datasets
from tomopicker.benchmark.page import write_report
from tomopicker.benchmark.protocol import DataSet, Protocol, Simulated, filter_protocol
from tomopicker.benchmark.runs import Runner, plan, results_of
from tomopicker.errors import UsageError
from tomopicker.models.precision import choose_device
from tomopicker.simulation.tomogram import settings_file


def missing(data: DataSet) -> dict[str, int]:
    """Return the names of simulated tomograms that are not on disk, with their seeds.

    Raises `UsageError` if one on disk was simulated with other settings.
    """
    spec = data.simulate
    if spec is None:
        return {}
    seeds = {}
    for number in range(spec.count):
        name, seed = f"TS_{number + 1:04d}", spec.seed + number
        # This file is written last, so the tomogram is complete if it exists.
        if (file := settings_file(data.tomograms[0], name)).exists():
            _check_settings(file, spec, seed)
        else:
            seeds[name] = seed
    return seeds


def megabytes(data: DataSet) -> float:
    """Return the size on disk of the missing tomograms, in 10⁶ bytes."""
    return 0.0 if data.simulate is None else len(missing(data)) * 4 * math.prod(data.simulate.shape) / 1e6


def _check_settings(path: Path, spec: Simulated, seed: int) -> None:
    """Raise if a tomogram was simulated for another protocol."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    scene = settings["scene"]
    existing = (
        settings["preset"], settings["seed"], tuple(scene["shape"]), scene["voxel_size_angstrom"], scene["n_targets"],
    )  # fmt: skip
    particles = scene["n_targets"] if spec.particles is None else spec.particles
    if existing != (spec.preset, seed, spec.shape[::-1], spec.voxel_size, particles):
        raise UsageError(
            f"{path}: the tomogram was simulated with settings that differ from the protocol's; "
            f"remove {path.parent.parent}, or give another folder as tomograms"
        )


def report_only(protocol: Protocol, output: Path) -> tuple[int, int, Path]:
    """Write tables and figures of the existing results.

    Returns
    -------
    done, total : int
        Numbers of runs of the protocol.
    page : Path

    Raises
    ------
    UsageError
        If there are no results.
    """
    results = list(results_of(protocol, output))
    done = sum(result.status == "done" for _, result in results)
    if not done:
        raise UsageError(f"{output}: has no results of this protocol; omit --report-only to run it")
    part = filter_protocol(protocol, datasets=sorted({run.dataset for run, _ in results}))
    return done, len(plan(protocol)), write_report(part, open_datasets(part), output)


def dry_run(part: Protocol, output: Path, device: str | None) -> list[str]:
    """Describe what would be simulated and run; existing inputs are opened and validated."""
    choose_device(device)
    lines, complete = [], []
    for name, data in part.datasets.items():
        if count := len(missing(data)):
            lines.append(f"{name}: {count} tomograms to be simulated in {data.tomograms[0]}, {megabytes(data):.0f} MB.")
        else:
            complete.append(name)
    opened = open_datasets(filter_protocol(part, datasets=complete)) if complete else {}
    runner = Runner(part, opened, output, device)
    runs = plan(part)
    done = {run.name for run in runs if run.dataset in opened and runner.is_done(run)}
    lines += [f"{run.name}: {'done already' if run.name in done else 'to be run'}" for run in runs]
    return [*lines, f"{len(runs) - len(done)} of {len(runs)} runs are to be done; nothing was written (dry run)."]


def check_simulated(part: Protocol) -> None:
    """Raise `UsageError` if simulated tomograms are missing, rather than fill the disk without being asked to."""
    counts = {name: count for name, data in part.datasets.items() if (count := len(missing(data)))}
    if counts:
        size = sum(megabytes(data) for data in part.datasets.values())
        raise UsageError(
            f"{sum(counts.values())} tomograms of {', '.join(counts)} are missing; "
            f"give --simulate to make them ({size:.0f} MB), or --dry-run to see where"
        )
