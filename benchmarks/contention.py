"""Slowdown of training steps while other processes keep cores busy, with idle threads that sleep or spin.

Prints a Markdown table of ratios: seconds per training step with a number of other processes, relative to none. All are
measured in turn, so that drifts of the machine cancel. With a fair share of C cores among N threads and B other
processes, the slowdown is (N + B) / C.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from processes import run_script

WAIT_POLICIES = {"asleep (as the program runs)": "PASSIVE", "spinning": "ACTIVE"}
N_STEPS = 4


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, nargs="+", default=[1], help="numbers of other processes (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="repeats (default: %(default)s)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(step_seconds()))
        return
    timings: dict[tuple[str, int], list[float]] = {}
    for _ in range(options.rounds):
        for name, policy in WAIT_POLICIES.items():
            for busy in (0, *options.busy):
                with busy_processes(busy):
                    timings.setdefault((name, busy), []).append(measure(policy))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end\n")
    print("| Threads that wait | Other processes | Seconds a step | Spread | Slowdown |\n|---|---|---|---|---|")
    for (name, busy), seconds in timings.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, timings[name, 0], strict=True))
        median = statistics.median(seconds)
        print(f"| {name} | {busy} | {median:.3f} | {min(seconds):.3f} to {max(seconds):.3f} | {ratio:.2f} |")


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Keep a number of cores busy."""
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
    """Keep a core busy."""
    while True:
        sum(range(100_000))


def measure(policy: str) -> float:
    """Time steps in a separate process, since OpenMP reads the wait policy when it is loaded."""
    environment = {**os.environ, "OMP_WAIT_POLICY": policy}
    return float(run_script(__file__, "--child", environment=environment))


def step_seconds() -> float:
    """Return the median seconds of a training step of the default network on a batch of patches."""
    import torch  # noqa: PLC0415  (the parent does not need it)

    from tomopicker.api import settings  # noqa: PLC0415
    from tomopicker.training.checkpoint import build_network  # noqa: PLC0415

    chosen = settings(300.0)
    network = build_network(chosen).to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.Adam(network.parameters())
    shape = (chosen.patches.batch, 1, *3 * (chosen.patches.size,))
    patches = torch.randn(shape).contiguous(memory_format=torch.channels_last_3d)
    seconds = []
    for _ in range(N_STEPS + 1):
        started = time.perf_counter()
        optimizer.zero_grad()
        network(patches).square().mean().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
