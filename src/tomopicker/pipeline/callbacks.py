"""Who hears how a job goes: the commands print it, a script may not care."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from tomopicker.training.loop import Report  # A worker that trains nothing starts without torch.


@runtime_checkable
class Listener(Protocol):
    """What a job tells while it runs."""

    def say(self, text: str) -> None:
        """Hear something worth a line."""

    def warn(self, text: str) -> None:
        """Hear something the user should look at."""

    def trained(self, job: str, report: "Report") -> None:
        """Hear how a training stands."""

    def scored(self, tomogram: str, done: int, total: int) -> None:
        """Hear how many tiles of a tomogram are scored."""


class Silent:
    """Hears nothing."""

    def say(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def trained(self, job: str, report: "Report") -> None: ...
    def scored(self, tomogram: str, done: int, total: int) -> None: ...


class Prefixed:
    """Passes everything on to another listener, lines with a name before them.

    Parameters
    ----------
    other : Listener
    name : str
        Of a kind of particle.
    """

    def __init__(self, other: Listener, name: str) -> None:
        self._other, self._name = other, name

    def say(self, text: str) -> None:
        """Pass a line on."""
        self._other.say(f"{self._name}: {text}")

    def warn(self, text: str) -> None:
        """Pass a warning on."""
        self._other.warn(f"{self._name}: {text}")

    def trained(self, job: str, report: "Report") -> None:
        """Pass it on."""
        self._other.trained(f"{self._name} {job}", report)

    def scored(self, tomogram: str, done: int, total: int) -> None:
        """Pass it on."""
        self._other.scored(f"{tomogram} {self._name}", done, total)
