"""Slowdown of training steps while other programs keep cores busy, with threads that wait asleep and that spin.

Prints a Markdown table of ratios: seconds a training step while so many other processes run, over seconds a step with
none, all in one run and in turn, so that a machine's own drift cancels. A fair share of C cores among N threads and B
other processes is a slowdown of (N + B) / C.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

WAYS = {"asleep (as the program runs)": "PASSIVE", "spinning": "ACTIVE"}
STEPS = 4


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, nargs="+", default=[1], help="other processes (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="repeats of each, in turn (default: %(default)s)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(step_seconds()))
        return
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(options.rounds):
        for way, policy in WAYS.items():
            for busy in (0, *options.busy):
                with others(busy):
                    found.setdefault((way, busy), []).append(measured(policy))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end\n")
    print("| Threads that wait | Other processes | Seconds a step | Spread | Slowdown |\n|---|---|---|---|---|")
    for (way, busy), seconds in found.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, found[way, 0], strict=True))
        middle = statistics.median(seconds)
        print(f"| {way} | {busy} | {middle:.3f} | {min(seconds):.3f} to {max(seconds):.3f} | {ratio:.2f} |")


@contextmanager
def others(number: int) -> Iterator[None]:
    """Keep so many cores busy."""
    running = [multiprocessing.Process(target=spin, daemon=True) for _ in range(number)]
    for process in running:
        process.start()
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.join()


def spin() -> None:
    """Use a core."""
    while True:
        sum(range(100_000))


def measured(policy: str) -> float:
    """Run steps in a process of its own, whose OpenMP is told how to wait before it loads."""
    environment = {**os.environ, "OMP_WAIT_POLICY": policy}
    command = [sys.executable, __file__, "--child"]
    return float(json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout))


def step_seconds() -> float:
    """Seconds of a training step of the default network on a batch of patches; the median of a few."""
    import torch  # noqa: PLC0415  (the parent needs none)

    from tomopicker.api import settings  # noqa: PLC0415
    from tomopicker.training.checkpoint import build_network  # noqa: PLC0415

    chosen = settings(300.0)
    network = build_network(chosen).to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.Adam(network.parameters())
    shape = (chosen.patches.batch, 1, *3 * (chosen.patches.size,))
    patches = torch.randn(shape).contiguous(memory_format=torch.channels_last_3d)
    seconds = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        optimizer.zero_grad()
        network(patches).square().mean().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
