"""Acts in a project (changes of points, edits of kinds and notes), and their log: undo and redo, also after a restart.

A line is ``{"act": n, "change": …}`` of points, ``{"act": n, "edit": …}`` of a kind or note, ``{"undo": n}`` or
``{"redo": n}``. It is appended and synced before pages learn of the act; a line that a crash truncated is left out when
the log is read.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from tomopicker.errors import TomoPickerError
from tomopicker.studio.points import Change, as_change, parse

DEEPEST = 5000
"""Acts that can be taken back."""
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


as_edit = TypeAdapter(Edit).validate_python
Act = Change | Edit


def act_to_json(act: Act) -> Settings:
    """Return an act as a line of the log has it."""
    return {"change" if isinstance(act, Change) else "edit": asdict(act)}


def act_from_json(line: Settings) -> Act:
    """Make an act of a line of the log; `UsageError` if it is none."""
    return parse(as_change, line["change"]) if "change" in line else parse(as_edit, line.get("edit"))


@dataclass
class History:
    """Acts that can be taken back, and those taken back.

    Parameters
    ----------
    path : Path
        The log.
    done, undone : list of (int, Act)
        With the number of each act; the last is the next to be undone, or redone.
    """

    path: Path
    done: list[tuple[int, Act]] = field(default_factory=list)
    undone: list[tuple[int, Act]] = field(default_factory=list)
    latest: int = 0

    @classmethod
    def read(cls, path: Path) -> "History":
        """Read a log, or begin one; what is damaged is left out."""
        history = cls(path)
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        for line in lines:
            with suppress(ValueError, TypeError, AttributeError, TomoPickerError, IndexError, KeyError):
                history._take(json.loads(line))
        return history

    def act(self, act: Act) -> None:
        """Log an act."""
        self.latest += 1
        self.done = [*self.done[-DEEPEST + 1 :], (self.latest, act)]
        self.undone = []
        self._append({"act": self.latest, **act_to_json(act)})

    def undo(self) -> Act | None:
        """Log that the last act is taken back; give the act that does it, None if there is none."""
        if not self.done:
            return None
        number, act = self.done.pop()
        self.undone.append((number, act))
        self._append({"undo": number})
        return act.inverse

    def redo(self) -> Act | None:
        """Log that the act last undone is done again; give it, None if there is none."""
        if not self.undone:
            return None
        number, act = self.undone.pop()
        self.done.append((number, act))
        self._append({"redo": number})
        return act

    def _take(self, line: dict[str, Any]) -> None:
        if "act" in line:
            act = act_from_json(line)
            self.latest = max(self.latest, int(line["act"]))
            self.done, self.undone = [*self.done[-DEEPEST + 1 :], (int(line["act"]), act)], []
        elif "undo" in line and self.done and self.done[-1][0] == line["undo"]:
            self.undone.append(self.done.pop())
        elif "redo" in line and self.undone and self.undone[-1][0] == line["redo"]:
            self.done.append(self.undone.pop())

    def _append(self, line: dict[str, Any]) -> None:
        """Append a line and sync it.

        Raises `TomoPickerError` if the disk does not take it; the act itself stands.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise TomoPickerError(f"{self.path}: cannot be written ({error.strerror}); free some space") from error
