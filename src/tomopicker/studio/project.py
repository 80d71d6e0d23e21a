"""The project folder: kinds, notes and points, saved as plain files after every act.

Files take precedence over memory: before points are changed, and every second, their files are checked, and read again
if another program wrote them.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.files import write_text
from tomopicker.geometry import Frame
from tomopicker.io.tomogram_names import check_file_name
from tomopicker.studio.history import Act, Edit, History, Settings
from tomopicker.studio.points import Change, Points, Signature, apply, read_points, signature, write_points

PROJECT, LOG = "project.json", "history.jsonl"
COLOURS = ("#39d98a", "#ffb454", "#5cc8ff", "#ff7ab6", "#c3a6ff", "#f4e04d")
_COLOUR = re.compile(r"#[0-9a-f]{6}$")
MAX_NOTE_LENGTH = 4000

Key = tuple[str, str]
"""A kind and a tomogram."""


@dataclass(frozen=True)
class Kind:
    """A kind of particle.

    Parameters
    ----------
    name : str
    diameter : float
        Å.
    colour : str
        Colour of its circles, ``#rrggbb``.
    """

    name: str
    diameter: float
    colour: str = COLOURS[0]

    def __post_init__(self) -> None:
        check_file_name(self.name, "the kind of particle")
        if not 1 <= self.diameter <= 1e5:
            raise UsageError(f"a particle diameter of {self.diameter:g} Å is impossible; give it in Å")
        if not _COLOUR.match(self.colour):
            raise UsageError(f"the colour '{self.colour[:20]}' is invalid; give it as #rrggbb")


@dataclass
class Sheet:
    """The points of a kind in a tomogram, as pages see them.

    Parameters
    ----------
    points : tuple of Point
    signature : tuple
        Signature of the files when last read or written.
    version : int
        Number of changes since the server started.
    saved : int
        Version in the files.
    """

    points: Points
    signature: Signature
    version: int = 0
    saved: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class Done:
    """The applied part of a change, and the version of the sheet right after it."""

    change: Change
    version: int


@dataclass
class Project:
    """A project folder while the server runs. All methods are called from the event loop's thread.

    Parameters
    ----------
    folder : Path
    frame_of : callable
        Returns the geometry of a tomogram by its name.
    kinds : dict of str to Kind
    notes : dict of str to str
        Note of each tomogram that has one.
    reviewed : set of str
        Tomograms marked as reviewed.
    """

    folder: Path
    frame_of: Callable[[str], Frame]
    kinds: dict[str, Kind] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    reviewed: set[str] = field(default_factory=set)
    sheets: dict[Key, Sheet] = field(default_factory=dict)
    _write_error: str | None = None
    _reread: set[Key] = field(default_factory=set)
    """Sheets that other programs wrote, until `changed_elsewhere` returns them."""

    def __post_init__(self) -> None:
        self.history = History.read(self.folder / LOG)

    @classmethod
    def open(cls, folder: Path, frame_of: Callable[[str], Frame]) -> "Project":
        """Open a project folder, or create it.

        Raises `TomoPickerError` if it holds a damaged project, or cannot be written.
        """
        path = folder / PROJECT
        if not path.exists():
            project = cls(folder, frame_of)
            project.save_settings()
            return project
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            kinds = {item["name"]: Kind(**item) for item in settings["kinds"]}
            notes = {str(name): str(text) for name, text in settings["notes"].items()}
            return cls(folder, frame_of, kinds, notes, set(map(str, settings["reviewed"])))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TomoPickerError(f"{path}: is damaged; correct or remove it, or choose another --project") from error

    @property
    def error(self) -> str | None:
        """Why points or the log could not be written last; None if everything is saved."""
        return self._write_error or self.history.error

    def save_settings(self) -> None:
        """Write kinds and notes."""
        settings = {
            "kinds": [asdict(kind) for kind in self.kinds.values()],
            "notes": {name: text for name, text in sorted(self.notes.items()) if text},
            "reviewed": sorted(self.reviewed),
        }
        write_text(self.folder / PROJECT, json.dumps(settings, indent=1, ensure_ascii=False) + "\n")

    def add_kind(self, name: str, diameter: float, colour: str | None = None) -> Kind:
        """Add a kind, or change the one with this name; without a colour it keeps its own, or gets an unused one.

        Raises `UsageError` or `TomoPickerError` if the name is not valid in file names, or the diameter (Å) or colour
        is invalid.
        """
        if colour is None:
            taken = {kind.colour for kind in self.kinds.values()}
            unused = next((candidate for candidate in COLOURS if candidate not in taken), COLOURS[0])
            colour = self.kinds[name].colour if name in self.kinds else unused
        kind = self.kinds[name] = Kind(name, diameter, colour.lower())
        self.save_settings()
        return kind

    def edit_kind(self, name: str, diameter: float, colour: str | None = None) -> Edit:
        """Add or change a kind so that it can be undone; the arguments and errors are those of `add_kind`."""
        before = asdict(self.kinds[name]) if name in self.kinds else None
        return self._log_edit(Edit("kind", name, before, asdict(self.add_kind(name, diameter, colour))))

    def edit_note(self, tomogram: str, note: str | None, reviewed: bool | None) -> Edit:
        """Set the note of a tomogram, or whether it was reviewed, so that it can be undone; None changes nothing."""
        before = self.note_of(tomogram)
        new = {"note": None if note is None else note[:MAX_NOTE_LENGTH], "reviewed": reviewed}
        edit = Edit("note", tomogram, before, before | {key: own for key, own in new.items() if own is not None})
        self._apply_edit(edit)
        return self._log_edit(edit)

    def note_of(self, tomogram: str) -> Settings:
        """Return ``note`` and ``reviewed`` of a tomogram."""
        return {"note": self.notes.get(tomogram, ""), "reviewed": tomogram in self.reviewed}

    def _log_edit(self, edit: Edit) -> Edit:
        if edit.before != edit.after:
            self.history.act(edit)
        return edit

    def _apply_edit(self, edit: Edit) -> None:
        """Apply an edit to kinds and notes, and save them."""
        if edit.of == "note":
            after = edit.after or {}
            self.notes[edit.name] = str(after.get("note", ""))
            (self.reviewed.add if after.get("reviewed") else self.reviewed.discard)(edit.name)
        elif edit.after is None:
            self.kinds.pop(edit.name, None)  # The files of its points stay.
        else:
            self.kinds[edit.name] = Kind(**edit.after)
        self.save_settings()

    def sheet(self, kind: str, tomogram: str) -> Sheet:
        """Return the points of a kind in a tomogram, read again if their files have changed.

        Raises `UsageError` if there is no such kind, `TomoPickerError` if a file is damaged.
        """
        if kind not in self.kinds:
            raise UsageError(f"there is no kind '{kind[:60]}' in this project; add it first")
        key = kind, tomogram
        now = signature(self.folder, kind, tomogram)
        sheet = self.sheets.get(key)
        if sheet is None or (sheet.signature != now and sheet.saved == sheet.version and not sheet.lock.locked()):
            points = read_points(self.folder, kind, tomogram, self.frame_of(tomogram))
            version = 0 if sheet is None else sheet.version + 1
            if sheet is not None:
                self._reread.add(key)
            self.sheets[key] = sheet = Sheet(points, now, version, version)
        return sheet

    def changed_elsewhere(self) -> list[Key]:
        """Read the sheets that other programs wrote; return those read again since the last call."""
        for key in list(self.sheets):
            if key[0] in self.kinds:  # Not if its addition was undone.
                self.sheet(*key)
        keys = sorted(self._reread)  # Requests may have read some of them before.
        self._reread.clear()
        return keys

    async def act(self, change: Change) -> Done:
        """Change points, log the change and save it; return what was applied of it."""
        return await self._change(change, self.history.act)

    async def undo(self) -> Done | Edit | None:
        """Undo the last act; None if there is none."""
        return await self._replay(self.history.undo())

    async def redo(self) -> Done | Edit | None:
        """Redo the act last undone; None if there is none."""
        return await self._replay(self.history.redo())

    async def _replay(self, act: Act | None) -> Done | Edit | None:
        if isinstance(act, Edit):
            self._apply_edit(act)
            return act
        return None if act is None else await self._change(act)

    async def _change(self, change: Change, log: Callable[[Change], None] | None = None) -> Done:
        sheet = self.sheet(change.kind, change.tomogram)
        points, applied = apply(sheet.points, change)
        if applied.is_empty:
            return Done(applied, sheet.version)
        sheet.points, sheet.version = points, sheet.version + 1
        done = Done(applied, sheet.version)
        if log is not None:
            log(applied)
        await self.save((change.kind, change.tomogram))
        return done

    async def save(self, key: Key) -> None:
        """Write the files of a sheet; acts during the write are written together after it."""
        sheet = self.sheets[key]
        wanted = sheet.version
        async with sheet.lock:
            if sheet.saved < wanted:
                version, frame, points = sheet.version, self.frame_of(key[1]), sheet.points
                try:
                    await asyncio.to_thread(write_points, self.folder, *key, frame, points)
                except TomoPickerError as error:
                    self._write_error = str(error)
                else:
                    sheet.saved, sheet.signature = version, signature(self.folder, *key)
        if all(other.saved == other.version for other in self.sheets.values()):
            self._write_error = None

    async def save_rest(self) -> None:
        """Write the files that could not be written before."""
        for key, sheet in list(self.sheets.items()):
            if sheet.saved < sheet.version:
                await self.save(key)

    def all_points(self, kind: str) -> Mapping[str, Points]:
        """Return the points of a kind in every listed tomogram with a file of them, or a sheet in memory."""
        stems = {path.stem for name in ("clicks", "rejected") for path in (self.folder / name / kind).glob("*.csv")}
        points: dict[str, Points] = {}
        for name in sorted(stems | {tomogram for other, tomogram in self.sheets if other == kind}):
            try:
                points[name] = self.sheet(kind, name).points
            except UsageError:
                continue  # A tomogram that is not listed this time.
        return points
