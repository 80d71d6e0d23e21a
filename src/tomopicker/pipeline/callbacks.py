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
