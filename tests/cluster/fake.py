"""A job that does what its items ask: go well, fail, or take the worker with it."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tomopicker.cluster.work import Item, Outcome


@dataclass(frozen=True)
class FakeWork:
    """Writes a line to ``FOLDER/NAME.done`` for each time it was done."""

    folder: Path

    def prepare(self):
        with (self.folder / "prepared").open("a") as stream:
            stream.write(f"{os.getpid()}\n")

    def memory(self, items):
        return 1000

    def give_up(self, item, reason):
        (self.folder / f"{item.name}.left").write_text(reason)

    def run(self, prepared, item, callback):
        what, _, seconds = (item.argument or "ok").partition(" ")
        with (self.folder / f"{item.name}.tried").open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        if what != "environment":
            time.sleep(float(seconds or 0))
        tries = len((self.folder / f"{item.name}.tried").read_text().split())
        if what == "kill" or (what == "kill-once" and tries == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "environment":
            return Outcome("done", f"{os.environ.get(seconds)}")
        if what == "full":
            raise OSError(28, "No space left on device")
        if what == "lost" and tries == 1:
            raise OSError(116, "Stale file handle")
        if what == "bad":
            callback.warn("look at it")
            return Outcome("failed", f"{item.name}: is bad")
        with (self.folder / f"{item.name}.done").open("a") as stream:
            stream.write("done\n")
        return Outcome("done", f"{item.name}: fine")


def items(**what):
    return [Item(name, len(what) - i, argument) for i, (name, argument) in enumerate(what.items())]
