"""The history of a project: changes of points, edits of kinds and notes, undo and redo, also after a restart.

A line of the log is ``{"act": n, "change": …}`` for points, ``{"act": n, "edit": …}`` for a kind or note,
``{"undo": n}`` or ``{"redo": n}``. It is appended and synced before pages learn of the act. Reading skips damaged
lines, such as one that a crash truncated.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from tomopicker.studio.points import Change

MAX_ACTS = 5000
"""Maximum number of acts that can be undone."""
Settings = dict[str, Any]


@dataclass(frozen=True)
class Edit:
    """An edit of a kind, or of the note of a tomogram.

    Parameters
    ----------
    of : "kind" or "note"
    name : str
        Name of the kind or tomogram.
    before, after : dict or None
        ``name``, ``diameter`` and ``colour`` of the kind, or ``note`` and ``reviewed`` of the tomogram; None for a kind
        that does not exist.
    """

    of: Literal["kind", "note"]
    name: str
    before: Settings | None
    after: Settings | None

    @property
    def inverse(self) -> "Edit":
        """The edit that reverts this one."""
        return Edit(self.of, self.name, self.after, self.before)


Act = Change | Edit
ADAPTERS: dict[str, TypeAdapter[Any]] = {"change": TypeAdapter(Change), "edit": TypeAdapter(Edit)}


@dataclass
class History:
    """The acts of a project.

    Parameters
    ----------
    path : Path
        The log.
    done, undone : list of (int, Act)
        Acts with their numbers; the last is the next to be undone or redone.
    latest : int
        Number of the latest act.
    error : str or None
        Why the last line could not be written to the log; the act is in memory all the same.
    """

    path: Path
    done: list[tuple[int, Act]] = field(default_factory=list)
    undone: list[tuple[int, Act]] = field(default_factory=list)
    latest: int = 0
    error: str | None = None

    @classmethod
    def read(cls, path: Path) -> "History":
        """Read a log, if there is one."""
        history = cls(path)
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        for text in lines:
            with suppress(ValueError, TypeError, AttributeError, LookupError):
                line = json.loads(text)
                acts = [adapter.validate_python(line[key]) for key, adapter in ADAPTERS.items() if key in line]
                history._take(line, *acts)
        return history

    def act(self, act: Act) -> None:
        """Log an act."""
        key = "change" if isinstance(act, Change) else "edit"
        self._log({"act": self.latest + 1, key: asdict(act)}, act)

    def undo(self) -> Act | None:
        """Log that the last act is undone; return its inverse, None if there is none."""
        if not self.done:
            return None
        number, act = self.done[-1]
        self._log({"undo": number})
        return act.inverse

    def redo(self) -> Act | None:
        """Log that the act last undone is redone; return it, None if there is none."""
        if not self.undone:
            return None
        number, act = self.undone[-1]
        self._log({"redo": number})
        return act

    def _take(self, line: dict[str, Any], act: Act | None = None) -> None:
        if "act" in line and act is not None:
            number = int(line["act"])
            self.latest = max(self.latest, number)
            self.done, self.undone = [*self.done[-MAX_ACTS + 1 :], (number, act)], []
        elif "undo" in line and self.done and self.done[-1][0] == line["undo"]:
            self.undone.append(self.done.pop())
        elif "redo" in line and self.undone and self.undone[-1][0] == line["redo"]:
            self.done.append(self.undone.pop())

    def _log(self, line: dict[str, Any], act: Act | None = None) -> None:
        self._take(line, act)
        self.error = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            self.error = f"{self.path}: cannot be written ({error.strerror}); free some space"
