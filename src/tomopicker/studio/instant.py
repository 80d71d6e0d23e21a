"""Picks from the first click: the one place where the studio asks for features, picks and suggestions.

Features are computed in a thread of their own, one tomogram after the other, the one in view first; picks of all
tomograms whose features are there follow every change of the clicks, always from the latest of them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker.errors import TomoPickerError, failure_line
from tomopicker.picks import Picks
from tomopicker.studio.engine import Answer, Engine, Found, Suggested
from tomopicker.studio.events import Events
from tomopicker.studio.listing import Listing
from tomopicker.studio.points import positions
from tomopicker.studio.project import Project

MAX_CANDIDATES = 50_000
FEW = 6
"""Tomograms of a list whose features are all computed, once the first particle is clicked."""
MAX_FEATURES = 12
"""Tomograms whose features are kept in memory."""
Key = tuple[str, float]
"""A tomogram and a particle diameter (Å): what features are of."""


@dataclass
class Workbench:
    """Features and picks of a project while the server runs.

    Parameters
    ----------
    engine : Engine or None
        None where picks are not computed at all.
    listing, project, events
        What it works on, and where its events go.
    """

    engine: Engine | None
    listing: Listing
    project: Project
    events: Events
    features: dict[Key, Any] = field(default_factory=dict)
    failed: dict[Key, str] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)
    _wanted: list[Key] = field(default_factory=list)
    _dirty: set[str] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _computing: Key | None = None
    _picking: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self._slow = ThreadPoolExecutor(1, "features")
        self._quick = ThreadPoolExecutor(1, "picks")

    def want(self, tomogram: str, kind: str) -> None:
        """Ask for the features of a tomogram at a kind's scale, before all others."""
        key = tomogram, self.project.kinds[kind].diameter
        if self.engine is None or key in self.failed or key == self._computing:
            return
        if key in self.features:
            self.features[key] = self.features.pop(key)  # The latest used goes last.
            return
        self._wanted = [key, *(other for other in self._wanted if other != key)]
        self._go_on()

    def clicked(self, kind: str) -> None:
        """Ask for new picks of a kind: its clicks have changed, or features have come."""
        if self.engine is None:
            return
        self._dirty.add(kind)
        self._want_others(kind)
        if self._picking is None:
            self._picking = self._start(self._pick())

    def _want_others(self, kind: str) -> None:
        """Ask for the features of the other tomograms of a short list, after all that were asked for by name."""
        names, diameter = self.listing.names, self.project.kinds[kind].diameter
        if len(names) > FEW:
            return
        try:
            every = self.project.all_points(kind)
        except TomoPickerError:  # Of a file that another program damaged; reported where it is read.
            return
        if not any(len(positions(each, "particle")) for each in every.values()):
            return
        for key in ((name, diameter) for name in names):
            if not (key in self.features or key in self.failed or key in self._wanted or key == self._computing):
                self._wanted.append(key)
        self._go_on()

    def _go_on(self) -> None:
        if self._wanted and self._computing is None:
            self._computing = self._wanted[0]  # At once: the task itself begins a moment later.
            self._start(self._compute_features())

    def _forget_some(self) -> None:
        """Let the features go that were not used for longest, of tomograms without clicks before others."""
        clicked = {name for kind in self.project.kinds for name, each in self.project.all_points(kind).items() if each}
        while len(self.features) > MAX_FEATURES:
            *earlier, _ = self.features
            del self.features[next((key for key in earlier if key[0] not in clicked), earlier[0])]

    def state(self, tomogram: str, kind: str) -> str:
        """Return the state of a tomogram's features: none, waiting, computing, ready or failed."""
        key = tomogram, self.project.kinds[kind].diameter
        if self.engine is None:
            return "none"
        if key in self.features:
            return "ready"
        if key in self.failed:
            return "failed"
        return "computing" if key == self._computing else "waiting"

    def picked(self, kind: str) -> Mapping[str, Found]:
        """Return the latest picks of a kind, by tomogram."""
        return self.answers[kind].picked if kind in self.answers else {}

    def elsewhere(self, tomogram: str, kind: str) -> dict[str, int]:
        """Count the other tomograms of the list, those of them that are picked, and their picks."""
        found = {name: each for name, each in self.picked(kind).items() if name != tomogram}
        picks = sum(int((each.candidates.scores > each.threshold).sum()) for each in found.values())
        return {"tomograms": len(self.listing.names) - 1, "done": len(found), "picks": picks}

    async def suggest(self, kind: str, count: int) -> Sequence[Suggested]:
        """Return the places of a kind to ask about next; before the first click, examples of what there is."""
        if self.engine is None:
            return []
        while self._picking is not None:  # What is asked depends on the answers before.
            await asyncio.shield(self._picking)
        loop = asyncio.get_running_loop()
        if kind in self.answers:
            return await loop.run_in_executor(self._quick, self.engine.suggest, self.answers[kind], count)
        chosen, clicks, rejected = self._material(kind)
        if not chosen or len(clicks):
            return []
        return await loop.run_in_executor(self._quick, self.engine.examples, chosen, rejected, count)

    def close(self) -> None:
        """Let the threads end."""
        for task in self._tasks:
            task.cancel()
        self._slow.shutdown(wait=False, cancel_futures=True)
        self._quick.shutdown(wait=False, cancel_futures=True)

    def _start(self, work: Any) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _compute_features(self) -> None:
        assert self.engine is not None
        loop = asyncio.get_running_loop()
        while self._wanted:
            key = self._computing = self._wanted.pop(0)
            name, diameter = key

            def report(done: int, total: int, name: str = name) -> None:
                loop.call_soon_threadsafe(
                    partial(self.events.send, "features", tomogram=name, state="computing", done=done, total=total)
                )

            state, reason = "ready", ""
            try:
                tomogram = self.listing.tomogram(name)
                self.features[key] = await loop.run_in_executor(
                    self._slow, self.engine.features, tomogram, diameter, report
                )
            except Exception as error:  # One tomogram's trouble must not end the others' picks.
                state, reason = "failed", failure_line(error, next(iter(self.listing.files[name].values())))
                self.failed[key] = reason
            self._computing = None
            self._forget_some()
            self.events.send("features", tomogram=name, state=state, reason=reason)
            for kind in self.project.kinds.values():
                if kind.diameter == diameter:
                    self.clicked(kind.name)

    async def _pick(self) -> None:
        assert self.engine is not None
        loop = asyncio.get_running_loop()
        try:
            while self._dirty:
                kind = self._dirty.pop()
                if kind not in self.project.kinds:
                    continue
                try:
                    chosen, clicks, rejected = self._material(kind)
                    answer: Answer | None = None
                    if chosen and len(clicks):
                        answer = await loop.run_in_executor(self._quick, self.engine.picks, chosen, clicks, rejected)
                    self.trouble.pop(kind, None)
                except Exception as error:  # Whatever goes wrong with picks, clicks are saved and shown.
                    answer = None
                    self.trouble[kind] = failure_line(error, Path(kind))
                if answer is None:
                    self.answers.pop(kind, None)
                else:
                    self.answers[kind] = answer
                self.events.send("picks", kind=kind, tomograms=list(self.picked(kind)), trouble=self.trouble.get(kind))
        finally:
            self._picking = None

    def _material(self, kind: str) -> tuple[list[Any], Picks, Picks | None]:
        """Gather a kind's features, clicks and negatives; clicks of other kinds are negatives too."""
        diameter = self.project.kinds[kind].diameter
        chosen = {name: each for (name, wide), each in self.features.items() if wide == diameter}
        points = self.project.all_points(kind)
        others = [self.project.all_points(other) for other in self.project.kinds if other != kind]
        clicks = Picks.concatenate(
            Picks.of(name, positions(each, "particle"))
            for name, each in points.items() if name in chosen and positions(each, "particle").size
        )  # fmt: skip
        rejected = []
        for name in chosen:
            known = [positions(points.get(name, ()), "negative")]
            known += [positions(each.get(name, ()), "particle") for each in others]
            if len(rows := np.concatenate(known)):
                rejected.append(Picks.of(name, rows))
        return list(chosen.values()), clicks, Picks.concatenate(rejected) if rejected else None


def as_json(found: Found | None) -> dict[str, Any]:
    """Return the picks of one tomogram as the page wants them: numbers in rows, best first."""
    if found is None:
        return {"candidates": [], "threshold": 1.0, "count": None, "expected": None, "particles": 0.0}
    candidates = found.candidates
    rows = np.column_stack([candidates.positions, candidates.scores])[:MAX_CANDIDATES]
    count, expected = found.count, found.expected
    return {
        "candidates": np.round(rows, 3).tolist(),
        "threshold": found.threshold,
        "count": None if count is None else [count.estimate, count.low, count.high],
        "particles": expected.particles,
        "expected": [expected.precision, expected.recall, expected.f1],
    }
