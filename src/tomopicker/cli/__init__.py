"""The command line: each command parses, opens, calls `tomopicker.api`, and says what came of it."""

import signal
import sys


def main() -> None:
    """Run the command that the arguments name, and exit as it says."""
    from tomopicker.cli.app import run

    # A scheduler that takes the machine back sends this: save as for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))
