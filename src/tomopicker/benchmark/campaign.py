"""A benchmark before and after its runs: what would be simulated and run, and the report of the results there are."""

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
    """Return the simulated tomograms of a data set that are not on disk, each with its seed.

    Raises `UsageError` if one on disk was made with other settings.
    """
    spec = data.simulate
    if spec is None:
        return {}
    names = {}
    for number in range(spec.count):
        name = f"TS_{number + 1:04d}"
        # Written last: where it is, the tomogram is complete.
        if (file := settings_file(data.tomograms[0], name)).exists():
            _check_same(file, spec, spec.seed + number)
        else:
            names[name] = spec.seed + number
    return names


def megabytes(data: DataSet) -> float:
    """Return the size on disk of the missing tomograms, in 10⁶ bytes."""
    return 0.0 if data.simulate is None else len(missing(data)) * 4 * math.prod(data.simulate.shape) / 1e6


def _check_same(path: Path, spec: Simulated, seed: int) -> None:
    """Refuse tomograms of another protocol: their results must not be mixed."""
    made = json.loads(path.read_text(encoding="utf-8"))
    scene = made["scene"]
    found = made["preset"], made["seed"], tuple(scene["shape"]), scene["voxel_size_angstrom"], scene["n_targets"]
    particles = scene["n_targets"] if spec.particles is None else spec.particles
    if found != (spec.preset, seed, spec.shape[::-1], spec.voxel_size, particles):
        raise UsageError(
            f"{path}: the tomogram was simulated with other settings than the protocol's; "
            f"remove {path.parent.parent}, or name another folder as tomograms"
        )


def report_only(protocol: Protocol, output: Path) -> tuple[int, int, Path]:
    """Write tables and figures of the results that exist.

    Returns
    -------
    done, total : int
        Runs of the protocol.
    page : Path

    Raises
    ------
    UsageError
        If there are no results.
    """
    found = list(results_of(protocol, output))
    done = sum(result.status == "done" for _, result in found)
    if not done:
        raise UsageError(f"{output}: holds no result of this protocol; leave out --report-only to make some")
    shown = filter_protocol(protocol, datasets=sorted({run.dataset for run, _ in found}))
    return done, len(plan(protocol)), write_report(shown, open_datasets(shown), output)


def dry_run(part: Protocol, output: Path, device: str | None) -> list[str]:
    """Describe what would be simulated and run; existing inputs are opened, so that invalid ones are refused."""
    choose_device(device)
    lines = []
    there = [name for name, data in part.datasets.items() if not missing(data)]
    opened = open_datasets(filter_protocol(part, datasets=there)) if there else {}
    runner = Runner(part, opened, output, device)
    for name, data in part.datasets.items():
        if lacking := missing(data):
            folder = data.tomograms[0]
            lines.append(f"{name}: {len(lacking)} tomograms to be simulated in {folder}, {megabytes(data):.0f} MB.")
    runs = plan(part)
    done = {run.name for run in runs if run.dataset in there and runner.is_done(run)}
    lines += [f"{run.name}: {'done already' if run.name in done else 'to be run'}" for run in runs]
    return [*lines, f"{len(runs) - len(done)} of {len(runs)} runs are to be done; nothing was written (dry run)."]


def check_simulated(part: Protocol) -> None:
    """Refuse to fill a disk unasked.

    Raises `UsageError` if tomograms that the protocol simulates are missing.
    """
    lacking = {name: len(missing(data)) for name, data in part.datasets.items()}
    if any(lacking.values()):
        size = sum(megabytes(data) for data in part.datasets.values())
        named = ", ".join(name for name, count in lacking.items() if count)
        raise UsageError(
            f"{sum(lacking.values())} tomograms of {named} are not there; "
            f"give --simulate to make them ({size:.0f} MB), --dry-run to see where"
        )
