"""Picking many tomograms on workers: efficiency relative to one process, and a thousand with SLURM on this machine.

`efficiency` picks the same small tomograms in one process of one thread, with `--engine local`, and with `--slurm` as
jobs, in turn, several times; start-up is excluded. `thousand` picks many with one command through SLURM while workers
are killed and a job is cancelled, and checks that every intact tomogram was picked once. SLURM is that of
tests/slurm/one_machine.sh, and needs root and Debian's slurm-wlm.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import yaml
from processes import run_script

VOXEL_SIZE, DIAMETER = 10.0, 100.0
TINY = {
    "patches": {"size": 16, "batch": 4, "augment": False, "rotation_prob": 0.0},
    "network": {"channels": [8, 12], "pretrained": "none"},
    "training": {"steps": 40},
    "inference": {"tile": 32, "halo": 4},
    "precision": "float32",
}
SLURM = Path(__file__).parents[1] / "tests" / "slurm" / "one_machine.sh"
N_BROKEN = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["efficiency", "thousand"])
    parser.add_argument("--count", type=int, help="tomograms (default: 24, or 1000)")
    parser.add_argument("--shape", type=int, nargs=3, help="voxels z y x (default: 64 192 192, or 32 96 96)")
    parser.add_argument("--repeats", type=int, default=5, help="of efficiency (default: %(default)s)")
    parser.add_argument("--slurm", action="store_true", help="measure the efficiency of 2 jobs too")
    parser.add_argument("--kills", type=int, default=2, help="workers killed in 'thousand' (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, help="folder for the data (default: a temporary one)")
    parser.add_argument("--child", nargs=3, metavar=("ENGINE", "WORKERS", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(*options.child)))
        return
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        folder = Path(name)
        folder.chmod(0o755)  # For SLURM's daemons.
        if options.what == "efficiency":
            efficiency(folder, options.count or 24, tuple(options.shape or (64, 192, 192)), options)
        else:
            thousand(folder, options.count or 1000, tuple(options.shape or (32, 96, 96)), options.kills)


# ---- the tomograms and a model


def prepare(folder: Path, count: int, shape: tuple[int, int, int]) -> None:
    """Write tomograms of dark balls in noise, and a small model of the balls."""
    from tomopicker.cli.app import run  # noqa: PLC0415
    from tomopicker.io import write_mrc  # noqa: PLC0415

    (folder / "tomograms").mkdir()
    for number in range(count):
        volume, centres = balls(number, shape)
        write_mrc(folder / "tomograms" / f"T{number:04d}.mrc", volume, VOXEL_SIZE)
        if number == 0:
            rows = ["x,y,z", *(",".join(f"{value:.2f}" for value in row) for row in centres[:8])]
            (folder / "clicks.csv").write_text("\n".join(rows) + "\n")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    arguments = [
        "train", folder / "tomograms" / "T0000.mrc", "--picks", folder / "clicks.csv", "--particle-diameter", DIAMETER,
        "--config", folder / "tiny.yaml", "--output", folder / "balls.model", "--device", "cpu",
    ]  # fmt: skip
    if run([str(argument) for argument in arguments]):
        raise SystemExit("the small model could not be trained")


def balls(seed: int, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a tomogram of 20 to 40 dark balls in noise, and their centres (x, y, z) in voxels."""
    rng = np.random.default_rng(seed)
    volume = rng.normal(0, 0.4, shape).astype(np.float32)
    centres: list[np.ndarray] = []
    for _ in range(rng.integers(20, 41)):
        centre = rng.uniform((7, 7, 7), np.array(shape[::-1]) - 8)
        if all(np.linalg.norm(centre - other) > 11 for other in centres):
            centres.append(centre)
            low = np.maximum(np.floor(centre).astype(int) - 9, 0)
            x, y, z = (np.arange(start, min(start + 19, n)) for start, n in zip(low.tolist(), shape[::-1], strict=True))
            square = (z[:, None, None] - centre[2]) ** 2 + (y[None, :, None] - centre[1]) ** 2 + (x - centre[0]) ** 2
            volume[np.ix_(z, y, x)] -= 2 * np.exp(-square / (2 * 3.0**2))
    return volume, np.array(centres)


@contextmanager
def slurm_in(folder: Path) -> Iterator[dict[str, str]]:
    """Start SLURM with two nodes and yield the environment for its commands."""
    home = folder / "slurm"
    home.mkdir(mode=0o755)
    environment = {**os.environ, "PORT": "17137"}
    try:
        started = subprocess.run(
            [SLURM, "start", home], check=True, text=True, stdout=subprocess.PIPE, timeout=60, env=environment
        )
        yield {**environment, "SLURM_CONF": started.stdout.strip()}
    finally:
        subprocess.run([SLURM, "stop", home], check=False, timeout=60)


# ---- efficiency


def efficiency(folder: Path, count: int, shape: tuple[int, int, int], options: argparse.Namespace) -> None:
    """Print the rate of several workers relative to one process, as the median of repeats."""
    prepare(folder, count, shape)
    if not options.slurm:
        compare(folder, {"local": 2}, options.repeats, dict(os.environ))
        return
    with slurm_in(folder) as environment:
        compare(folder, {"local": 2, "slurm": 2}, options.repeats, environment)


def compare(folder: Path, engines: dict[str, int], repeats: int, environment: dict[str, str]) -> None:
    """Run one process and each engine in turn, and print the table."""
    results: dict[str, list[tuple[float, float, float]]] = {engine: [] for engine in engines}
    for _ in range(repeats):
        single = measure(folder, "none", 1, environment)
        for engine, workers in engines.items():
            run = measure(folder, engine, workers, environment)
            results[engine].append((run["rate"] / single["rate"], run["busy"] / single["busy"], run["start_up"]))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end\n")
    print("| Workers | Rate relative to one process | Spread | Picking time relative to one process | Start-up, s |")
    print("|---|---|---|---|---|")
    for engine, rows in results.items():
        rates, busy, start = zip(*rows, strict=True)
        print(
            f"| {engines[engine]}, {engine} | {statistics.median(rates):.2f} | {min(rates):.2f} to {max(rates):.2f} "
            f"| {statistics.median(busy):.2f} | {statistics.median(start):.1f} |"
        )


def measure(folder: Path, engine: str, workers: int, environment: dict[str, str]) -> dict[str, float]:
    """Pick all tomograms in a separate process, with one thread per worker."""
    result: dict[str, float] = run_script(
        __file__, "efficiency", "--child", engine, workers, folder, environment={**environment, "OMP_NUM_THREADS": "1"}
    )
    print(f"{engine}: {result}", file=sys.stderr, flush=True)
    return result


def child(engine: str, workers: str, folder: str) -> dict[str, float]:
    """Pick, and return the rate once every worker has finished a tomogram, and the fraction of time spent picking."""
    from tomopicker import api  # noqa: PLC0415

    began, ends = time.monotonic(), []

    def on_event(event: api.Event) -> None:
        if event.kind == "done":
            ends.append((time.monotonic(), event.worker, event.seconds))

    with tempfile.TemporaryDirectory(dir=folder) as output:
        settings = None
        if engine != "none":
            jobs = {"walltime": "00:30:00"} if engine == "slurm" else {}
            settings = api.ClusterSettings(engine=engine, workers=int(workers), cores=1, **jobs)
        api.pick_many(
            Path(folder) / "tomograms", Path(folder) / "balls.model", Path(output) / "picks", engine=settings,
            on_event=on_event, device="cpu", pictures=False,
        )  # fmt: skip
    firsts: dict[str, float] = {}
    for end, worker, _ in ends:
        firsts.setdefault(worker, end)
    steady = max(firsts.values())
    # The end, from when the first worker becomes idle, is excluded.
    lasts = {worker: end for end, worker, _ in ends}
    stop = min(lasts.values())
    counted = [seconds for end, _, seconds in ends if steady < end <= stop]
    span = stop - steady
    return {
        "rate": len(counted) / span, "busy": sum(counted) / span / len(firsts), "workers": len(firsts),
        "start_up": steady - began, "counted": len(counted),
    }  # fmt: skip


# ---- a thousand


def thousand(folder: Path, count: int, shape: tuple[int, int, int], kills: int) -> None:
    """Pick many with one command while killing workers and cancelling a job; check the result and print figures."""
    prepare(folder, count, shape)
    intact = sorted((folder / "tomograms").iterdir())
    for number in range(N_BROKEN):
        (folder / "tomograms" / f"broken{number}.mrc").write_bytes(intact[number].read_bytes()[:5000])
    output = folder / "picks"
    command = [
        sys.executable, "-m", "tomopicker.cli", "pick", folder / "tomograms", "-m", folder / "balls.model",
        "-o", output, "--engine", "slurm", "--workers", "4", "--walltime", "01:00:00",
        "--device", "cpu", "--no-pictures",
    ]  # fmt: skip
    with slurm_in(folder) as environment, (folder / "log.txt").open("w") as log:
        began = time.monotonic()
        run = subprocess.Popen(
            list(map(str, command)), env={**environment, "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log
        )
        memory = disturb(run, output, count, kills, environment)
        code, seconds = run.wait(), time.monotonic() - began
    print(f"exit code {code}; {seconds:.0f} s from the start of the command to its end; load {os.getloadavg()[0]:.1f}")
    record = json.loads((output / "run.json").read_text())
    entries = json.loads((output / "picks.json").read_text())["tomograms"]
    done = {name: entry["picks"] for name, entry in entries.items() if entry["status"] == "done"}
    rows = (output / "picks.csv").read_text().splitlines()[1:]
    once = len(rows) == len(set(rows)) == sum(done.values())
    print(f"intact files picked, once each: {len(done)} of {count}{'' if once else '; ROWS ARE DUPLICATED OR LOST'}")
    broken = [name for name in record["failures"] if name.startswith("broken")]
    print(f"broken files reported: {len(broken)} of {N_BROKEN}")
    print(f"others that failed: {len(record['failures']) - len(broken)}")
    print(f"retried after a worker died: {record['retried']}; picks: {len(rows)}")
    print(f"run: {record['seconds']:.0f} s; fraction of four workers' time spent picking: "
          f"{record['worked_seconds'] / record['seconds'] / 4:.2f}")  # fmt: skip
    print(f"peak memory of the driver: {memory['peak']} MB; after a tenth of the tomograms {memory['early']} MB")
    print(f"after the last tomogram: {memory['after']:.1f} s (merge, summary, end of the workers)")
    if not (once and len(done) == count and len(broken) == N_BROKEN == len(record["failures"])):
        raise SystemExit(f"picks are missing or duplicated; see {folder}")


def disturb(
    run: "subprocess.Popen[bytes]", output: Path, count: int, kills: int, environment: dict[str, str]
) -> dict[str, float]:
    """Kill workers during the run and cancel a job; return the driver's memory (MB) and the duration of its end (s)."""
    rng = random.Random(1)
    moments = [(count * (number + 1)) // (kills + 2) for number in range(kills + 1)]
    peak = early = 0
    finished_at = None
    while run.poll() is None:
        time.sleep(0.2)
        with suppress(OSError, ValueError, KeyError, IndexError):
            record = json.loads((output / "run.json").read_text())
            lines = Path(f"/proc/{run.pid}/status").read_text().splitlines()
            peak = next((int(line.split()[1]) // 1000 for line in lines if line.startswith("VmHWM")), peak)
            if record["finished"] <= count // 10:
                early = peak
            if finished_at is None and record["finished"] == record["total"]:
                finished_at = time.monotonic()
            if moments and record["finished"] >= moments[0] and record["running"]:
                moments.pop(0)
                strike(rng, record, last=not moments, environment=environment)
    return {"peak": peak, "early": early, "after": time.monotonic() - (finished_at or time.monotonic())}


def strike(rng: random.Random, record: dict, *, last: bool, environment: dict[str, str]) -> None:
    """Kill a busy worker or, the last time, cancel a job."""
    if last:
        jobs = subprocess.run(
            ["squeue", "-h", "-o", "%i", "-t", "running"], env=environment, check=True, text=True, capture_output=True
        ).stdout.split()
        print(f"at {record['finished']}: job {jobs[0]} is cancelled", flush=True)
        subprocess.run(["scancel", jobs[0]], env=environment, check=True)
        return
    where = rng.choice(sorted(record["running"].items()))[1]["worker"]
    print(f"at {record['finished']}: worker {where} is killed", flush=True)
    with suppress(ProcessLookupError):
        os.kill(int(where.rpartition(":")[2]), signal.SIGKILL)


if __name__ == "__main__":
    main()
