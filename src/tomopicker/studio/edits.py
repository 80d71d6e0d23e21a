"""Edits of a project's settings, its kinds and what is noted of tomograms: acts that are undone as clicks are."""

from dataclasses import dataclass
from typing import Any, Literal

from tomopicker.errors import UsageError
from tomopicker.studio.points import Change, change_from_json

Settings = dict[str, Any]


@dataclass(frozen=True)
class Edit:
    """A kind, or the note of a tomogram, before and after.

    Parameters
    ----------
    of : "kind" or "note"
    name : str
        Of the kind or tomogram.
    before, after : dict or None
        The kind's ``name``, ``diameter`` and ``colour``, or the tomogram's ``note`` and ``reviewed``; None where there
        is no such kind.
    """

    of: Literal["kind", "note"]
    name: str
    before: Settings | None
    after: Settings | None

    @property
    def inverse(self) -> "Edit":
        """The edit that takes this one back."""
        return Edit(self.of, self.name, self.after, self.before)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return self.before == self.after


Act = Change | Edit


def act_to_json(act: Act) -> Settings:
    """Give an act as a line of the log has it."""
    if isinstance(act, Change):
        return {"change": act.to_json()}
    return {"edit": {"of": act.of, "name": act.name, "before": act.before, "after": act.after}}


def act_from_json(line: Settings) -> Act:
    """Make an act of a line of the log.

    Raises
    ------
    UsageError
        If it is none.
    """
    if "change" in line:
        return change_from_json(line["change"])
    edit = line.get("edit")
    if not isinstance(edit, dict) or edit.get("of") not in {"kind", "note"}:
        raise UsageError("an act is a change of points, or an edit of a kind or note")
    before, after = edit.get("before"), edit.get("after")
    if not all(each is None or isinstance(each, dict) for each in (before, after)):
        raise UsageError("an edit has settings before and after")
    return Edit(edit["of"], str(edit.get("name", "")), before, after)
