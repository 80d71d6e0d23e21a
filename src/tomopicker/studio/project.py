"""The project folder: kinds, notes and points, saved as plain files after every act.

The folder is the truth. Each list of points is kept in memory while it is in use; before it is changed, and every
second, its files are looked at, and read again if another program wrote them.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.files import write_text
from tomopicker.geometry import Frame
from tomopicker.io.tomogram_names import check_file_name
from tomopicker.studio.history import Act, Edit, History, Settings
from tomopicker.studio.points import Change, Points, Signature, apply, read_points, signature, write_csv, write_star

PROJECT, LOG = "project.json", "history.jsonl"
COLOURS = ("#39d98a", "#ffb454", "#5cc8ff", "#ff7ab6", "#c3a6ff", "#f4e04d")
_COLOUR = re.compile(r"#[0-9a-f]{6}$")
LONGEST_NOTE = 4000

FrameOf = Callable[[str], Frame]
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
        ``#rrggbb``, of its circles.
    """

    name: str
    diameter: float
    colour: str = COLOURS[0]

    def __post_init__(self) -> None:
        check_file_name(self.name, "the kind of particle")
        if not 1 <= self.diameter <= 1e5:
            raise UsageError(f"a particle diameter of {self.diameter:g} Å is impossible; give it in Å")
        if not _COLOUR.match(self.colour):
            raise UsageError(f"the colour '{self.colour[:20]}' is none; give it as #rrggbb")


@dataclass
class Sheet:
    """The points of a kind in a tomogram, as the page sees them.

    Parameters
    ----------
    points : tuple of Point
    version : int
        Counts the changes since the server started.
    signature : tuple
        Of the files that hold them.
    saved : int
        The version that is on the disk.
    star : int
        The version that the STAR files hold.
    """

    points: Points
    signature: Signature
    version: int = 0
    saved: int = 0
    star: int = -1
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class Done:
    """What an act changed, and the version of the list right after it: these are consecutive, act after act."""

    change: Change
    version: int


@dataclass
class Project:
    """A project folder while the server runs. All methods are called from the event loop's thread."""

    folder: Path
    frame_of: FrameOf
    kinds: dict[str, Kind] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    reviewed: set[str] = field(default_factory=set)
    trouble: str | None = None
    sheets: dict[Key, Sheet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history = History.read(self.folder / LOG)
        self._reread: set[Key] = set()  # Lists that others wrote, until pages learn of it.

    @classmethod
    def open(cls, folder: Path, frame_of: FrameOf) -> "Project":
        """Open a folder, or make it.

        Parameters
        ----------
        folder : Path
        frame_of : callable
            Gives the geometry of a tomogram by its name.

        Raises
        ------
        TomoPickerError
            If it holds a damaged project, or cannot be written.
        """
        path = folder / PROJECT
        if not path.exists():
            project = cls(folder, frame_of)
            project.save_settings()
            return project
        try:
            stated = json.loads(path.read_text(encoding="utf-8"))
            kinds = {item["name"]: Kind(**item) for item in stated["kinds"]}
            notes = {str(name): str(text) for name, text in stated["notes"].items()}
            return cls(folder, frame_of, kinds, notes, set(map(str, stated["reviewed"])))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TomoPickerError(f"{path}: is damaged; correct or remove it, or choose another --project") from error

    def save_settings(self) -> None:
        """Write kinds and notes."""
        stated = {
            "kinds": [asdict(kind) for kind in self.kinds.values()],
            "notes": {name: text for name, text in sorted(self.notes.items()) if text},
            "reviewed": sorted(self.reviewed),
        }
        write_text(self.folder / PROJECT, json.dumps(stated, indent=1, ensure_ascii=False) + "\n")

    def add_kind(self, name: str, diameter: float, colour: str | None = None) -> Kind:
        """Add a kind, or change one of that name.

        Raises
        ------
        UsageError, TomoPickerError
            If its name cannot be a folder's, or its diameter or colour cannot be.
        """
        taken = {kind.colour for kind in self.kinds.values() if kind.name != name}
        free = next((each for each in COLOURS if each not in taken), COLOURS[0])
        known = self.kinds.get(name)
        kind = Kind(name, diameter, (colour or (known.colour if known else free)).lower())
        self.kinds[name] = kind
        self.save_settings()
        return kind

    def edit_kind(self, name: str, diameter: float, colour: str | None = None) -> Kind:
        """Add or change a kind as an act that can be undone; the arguments and errors are those of `add_kind`."""
        before = self.kinds.get(name)
        kind = self.add_kind(name, diameter, colour)
        self._log_edit(Edit("kind", name, None if before is None else asdict(before), asdict(kind)))
        return kind

    def describe(self, tomogram: str, note: str | None, reviewed: bool | None) -> None:
        """Set the note of a tomogram, or whether it was reviewed; this can be undone."""
        before = self._described(tomogram)
        after = {
            "note": before["note"] if note is None else note[:LONGEST_NOTE],
            "reviewed": before["reviewed"] if reviewed is None else reviewed,
        }
        edit = Edit("note", tomogram, before, after)
        self._apply(edit)
        self._log_edit(edit)

    def _described(self, tomogram: str) -> Settings:
        return {"note": self.notes.get(tomogram, ""), "reviewed": tomogram in self.reviewed}

    def _log_edit(self, edit: Edit) -> None:
        if not edit.is_empty:
            self._logged(lambda: self.history.act(edit))

    def _apply(self, edit: Edit) -> None:
        """Make settings what they are after an edit, and write them."""
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
        """Return the points of a kind in a tomogram, as its files are now.

        Raises
        ------
        UsageError
            If there is no such kind.
        TomoPickerError
            If a file is damaged.
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
            self.sheets[key] = sheet = Sheet(points, now, version, version, version)
        return sheet

    def changed_elsewhere(self) -> list[Key]:
        """Read again what other programs wrote; give the keys of these lists."""
        for key in list(self.sheets):
            if key[0] in self.kinds:  # Not if its addition was undone.
                self.sheet(*key)
        found = sorted(self._reread)  # By whichever request came first, too.
        self._reread.clear()
        return found

    async def act(self, change: Change) -> Done:
        """Change points, log it and save it; give what really changed."""
        return await self._change(change, self.history.act)

    async def undo(self) -> Done | Edit | None:
        """Take the last act back; None if there is none."""
        return await self._step(self.history.undo)

    async def redo(self) -> Done | Edit | None:
        """Do the act last undone again; None if there is none."""
        return await self._step(self.history.redo)

    async def _step(self, take: Callable[[], Act | None]) -> Done | Edit | None:
        act = self._logged(take)
        if act is None:
            return None
        if isinstance(act, Edit):
            self._apply(act)
            return act
        return await self._change(act, None)

    async def _change(self, change: Change, log: Callable[[Change], None] | None) -> Done:
        sheet = self.sheet(change.kind, change.tomogram)
        points, done = apply(sheet.points, change)
        if done.is_empty:
            return Done(done, sheet.version)
        version = sheet.version + 1
        sheet.points, sheet.version = points, version
        if log is not None:
            self._logged(lambda: log(done))
        await self.save((change.kind, change.tomogram))
        return Done(done, version)

    def _logged(self, write: Callable[[], Any]) -> Any:
        try:
            return write()
        except TomoPickerError as error:
            self.trouble = str(error)
            return None

    async def save(self, key: Key) -> None:
        """Write the CSV files of a list; acts that come while it is written are written together after it."""
        sheet = self.sheets[key]
        wanted = sheet.version
        async with sheet.lock:
            if sheet.saved >= wanted:
                return
            version, points = sheet.version, sheet.points
            try:
                await asyncio.to_thread(write_csv, self.folder, *key, self.frame_of(key[1]), points)
            except TomoPickerError as error:
                self.trouble = str(error)
                return
            sheet.saved, sheet.signature = version, signature(self.folder, *key)
        if all(other.saved == other.version for other in self.sheets.values()):
            self.trouble = None

    async def save_rest(self) -> None:
        """Write what could not be written before, and the STAR files of what has changed."""
        for key, sheet in list(self.sheets.items()):
            if sheet.saved < sheet.version:
                await self.save(key)
            if sheet.saved == sheet.version and sheet.star != sheet.version:
                version, points = sheet.version, sheet.points
                try:
                    await asyncio.to_thread(write_star, self.folder, *key, self.frame_of(key[1]), points)
                except TomoPickerError as error:
                    self.trouble = str(error)
                else:
                    sheet.star = version

    def all_points(self, kind: str) -> Mapping[str, Points]:
        """Return the points of a kind in every tomogram that has a file of them, or a list in memory."""
        stems = {path.stem for name in ("clicks", "rejected") for path in (self.folder / name / kind).glob("*.csv")}
        names = stems | {tomogram for other, tomogram in self.sheets if other == kind}
        found: dict[str, Points] = {}
        for name in sorted(names):
            try:
                found[name] = self.sheet(kind, name).points
            except UsageError:
                continue  # A tomogram that is not listed this time.
        return found
