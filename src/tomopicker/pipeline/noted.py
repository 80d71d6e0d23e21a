"""A listener that keeps what it is told: a job on another machine hands it over when it is done."""

from tomopicker.pipeline.callbacks import Listener
from tomopicker.training.loop import Report


class Noted:
    """Keeps warnings, each once; everything else goes to another listener."""

    def __init__(self, other: Listener) -> None:
        self._other = other
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was warned of, in order."""
        return tuple(self._warnings)

    def say(self, text: str) -> None:
        """Pass it on."""
        self._other.say(text)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self._warnings[text] = None

    def trained(self, job: str, report: Report) -> None:
        """Pass it on."""
        self._other.trained(job, report)

    def scored(self, tomogram: str, done: int, total: int) -> None:
        """Pass it on."""
        self._other.scored(tomogram, done, total)
