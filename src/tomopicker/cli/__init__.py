"""The command line: each command parses, opens its input, calls the package that does the work, and prints."""

import io
import os
import signal
import sys


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # An ASCII terminal has no ×, and a file's name may hold bytes that no encoding has: neither is a failure.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Threads that spin while they wait take the cores of others: beside one busy program training took 2 to 3 times as
    # long as with threads that sleep (benchmarks/contention.py). OpenMP reads this once, as torch loads it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from tomopicker.cli.app import run

    # A scheduler that takes the machine back sends this: save as for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))
