"""Settings of a folder of picks: the selection of picks among candidates, and the copick project to write to."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import model_validator

from tomopicker.config import Flag, Frozen, setting
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.picking.selection import Selection

PICKING, COPICK = "Picking", "copick"
"""Panels of the help."""


class SelectionSettings(Frozen):
    """Selection of picks among candidates."""

    threshold: float | None = setting(
        None, "Picks are more probable than this.", unit="P", ge=0, le=1,
        flag=Flag(float, PICKING, "the best expected F1 of each tomogram"),
    )  # fmt: skip
    target_precision: float | None = setting(
        None, "Keep as many picks as possible with an expected precision of at least P.", unit="P", ge=0, le=1,
        flag=Flag(float, PICKING),
    )  # fmt: skip
    target_fdr: float | None = setting(
        None, "Keep as many picks as possible with an expected false discovery rate up to Q.", unit="Q", ge=0, le=1,
        flag=Flag(float, PICKING),
    )  # fmt: skip
    max_particles: int | None = setting(
        None, "Keep only the N best of each tomogram.", ge=1, flag=Flag(int, PICKING, "all")
    )

    @model_validator(mode="after")
    def _consistent(self) -> "SelectionSettings":
        names = ("threshold", "target_precision", "target_fdr")
        given = [f"--{name.replace('_', '-')}" for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
        return self

    @property
    def selection(self) -> "Selection":
        """The criterion of the selection."""
        from tomopicker.picking.selection import Selection  # noqa: PLC0415  (slow to import)

        precision = self.target_precision if self.target_fdr is None else 1 - self.target_fdr
        return Selection(self.threshold, precision, self.max_particles)


class CopickSettings(Frozen):
    """A copick project, to pick from and write to."""

    copick: Path | None = setting(
        None, "Configuration of a copick project, to pick from and write to.", unit="CONFIG", flag=Flag(Path, COPICK)
    )
    copick_tomogram: str | None = setting(
        None, "Tomogram of each run to pick, such as wbp@10.", unit="TYPE[@Å]", flag=Flag(str, COPICK)
    )
    copick_object: tuple[str, ...] = setting(
        (), "Name of the particle in the project; for several kinds as in fas=synthase, may be repeated.", unit="NAME",
        flag=Flag(list[str], COPICK, "the only one, or that of the kind's name"),
    )  # fmt: skip
    copick_session: str = setting(
        "1", "Session under which picks are saved, by the user tomopicker.", unit="ID", flag=Flag(str, COPICK)
    )

    @model_validator(mode="after")
    def _consistent(self) -> "CopickSettings":
        if self.copick is None and (self.copick_tomogram or self.copick_object):
            raise UsageError("--copick-tomogram and --copick-object need --copick CONFIG; give it too")
        return self
