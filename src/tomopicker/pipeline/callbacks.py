"""Callbacks for progress and messages of a job; the commands print them."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from tomopicker.training.loop import Report  # A worker that trains nothing starts without torch.


@runtime_checkable
class Callback(Protocol):
    """Interface that a running job reports to."""

    def log(self, text: str) -> None:
        """Receive a message for the user."""

    def warn(self, text: str) -> None:
        """Receive a warning."""

    def on_train(self, job: str, report: "Report") -> None:
        """Receive the progress of a training."""

    def on_score(self, tomogram: str, done: int, total: int) -> None:
        """Receive the number of tiles of a tomogram that are scored."""


class NullCallback:
    """Ignore all progress and messages."""

    def log(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def on_train(self, job: str, report: "Report") -> None: ...
    def on_score(self, tomogram: str, done: int, total: int) -> None: ...


class Prefixed:
    """Forward everything to another callback, with a name before each line.

    Parameters
    ----------
    name : str
        Name of the kind of particle.
    """

    def __init__(self, other: Callback, name: str) -> None:
        self._other, self._name = other, name

    def log(self, text: str) -> None:
        self._other.log(f"{self._name}: {text}")

    def warn(self, text: str) -> None:
        self._other.warn(f"{self._name}: {text}")

    def on_train(self, job: str, report: "Report") -> None:
        self._other.on_train(f"{self._name} {job}", report)

    def on_score(self, tomogram: str, done: int, total: int) -> None:
        self._other.on_score(f"{tomogram} {self._name}", done, total)


class WarningRecorder:
    """Collect distinct warnings of a job on another machine; forward everything else to another callback."""

    def __init__(self, other: Callback) -> None:
        self._other = other
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """The distinct warnings, in order."""
        return tuple(self._warnings)

    def log(self, text: str) -> None:
        self._other.log(text)

    def warn(self, text: str) -> None:
        self._warnings[text] = None

    def on_train(self, job: str, report: "Report") -> None:
        self._other.on_train(job, report)

    def on_score(self, tomogram: str, done: int, total: int) -> None:
        self._other.on_score(tomogram, done, total)
