"""The command line: each command parses, opens its input, calls the package that does the work, and prints."""

import io
import os
import signal
import sys


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # An ASCII terminal lacks ×, and a file name may hold bytes that no encoding has: escape both.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Waiting OpenMP threads spin by default: with another busy program on the machine, training took 2 to 3 times as
    # long as with passive waiting (benchmarks/contention.py). OpenMP reads this once, when torch loads it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from tomopicker.cli.app import run

    # Schedulers send SIGTERM at preemption: save as for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))
