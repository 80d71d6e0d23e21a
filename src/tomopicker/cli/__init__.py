"""The command line: each command parses, opens, calls `tomopicker.api`, and says what came of it."""

import sys


def main() -> None:
    """Run the command that the arguments name, and exit as it says."""
    from tomopicker.cli.app import run

    sys.exit(run(sys.argv[1:]))
