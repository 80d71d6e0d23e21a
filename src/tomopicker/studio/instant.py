"""Instant picks: features, picks and suggestions, from the first click on.

Features are computed in a thread of their own, one tomogram after the other, the tomogram in view first. Picks of all
tomograms with features follow every change of the clicks, always from the latest of them.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tomopicker.errors import TomoPickerError, failure_line
from tomopicker.picks import Picks
from tomopicker.studio.events import Events
from tomopicker.studio.listing import Listing
from tomopicker.studio.points import positions
from tomopicker.studio.project import Project
from tomopicker.tomogram import Tomogram

if TYPE_CHECKING:  # torch, behind these, is imported when the first features are asked for.
    from tomopicker.fewshot.features import Features
    from tomopicker.fewshot.suggestions import Suggestion
    from tomopicker.pipeline.instant import Instant
    from tomopicker.pipeline.picked import Picked

MAX_TOMOGRAMS = 6
"""Length of a list whose tomograms all get features once the first particle is clicked."""
MAX_FEATURES = 12
"""Maximum number of tomograms whose features are kept in memory."""
Progress = Callable[[int, int], None]
"""Called with the number of tiles done and their total."""
Key = tuple[str, float]
"""A tomogram and a particle diameter (Å)."""


@dataclass(frozen=True)
class Engine:
    """Features of the shipped network, and the closed-form discriminant.

    Parameters
    ----------
    device : str, optional
        ``cpu``, ``cuda`` or ``mps``; the best available if left out.
    """

    device: str | None = None

    def features(self, tomogram: Tomogram, particle_diameter: float, progress: Progress) -> "Features":
        """Compute the features of a tomogram, which takes as long as a pass of the network."""
        from tomopicker.pipeline.features import features  # noqa: PLC0415

        return features(tomogram, particle_diameter, device=self.device or "auto", progress=progress)

    def picks(self, features: "Sequence[Features]", clicks: Picks, negatives: Picks | None) -> "Instant":
        """Pick in each tomogram."""
        from tomopicker.pipeline.instant import instant  # noqa: PLC0415

        return instant(features, clicks, negatives)

    def examples(self, features: "Sequence[Features]", negatives: Picks | None, count: int) -> "Sequence[Suggestion]":
        """Suggest where to click before the first click: examples of the kinds of object."""
        from tomopicker.pipeline.suggest import suggest  # noqa: PLC0415

        return suggest(features, None, negatives, count)

    def suggest(self, picked: "Instant", count: int) -> "Sequence[Suggestion]":
        """Suggest where to click next, most informative first, from the picks."""
        from tomopicker.pipeline.suggest import suggest_from  # noqa: PLC0415

        return suggest_from(picked, count)


@dataclass
class InstantPicks:
    """Features and instant picks of a project while the server runs.

    Parameters
    ----------
    engine : Engine or None
        None if there are no instant picks.
    listing, project, events
        Tomograms and points, and where events are sent.
    features : dict of Key to Features
        The latest used last.
    failed : dict of Key to str
        Why features could not be computed.
    answers : dict of str to Instant
        Latest picks of each kind.
    errors : dict of str to str
        Why a kind could not be picked.
    """

    engine: Engine | None
    listing: Listing
    project: Project
    events: Events
    features: "dict[Key, Features]" = field(default_factory=dict)
    failed: dict[Key, str] = field(default_factory=dict)
    answers: "dict[str, Instant]" = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    _queue: list[Key] = field(default_factory=list)
    _outdated: set[str] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _computing: Key | None = None
    _picking: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self._feature_thread = ThreadPoolExecutor(1, "features")
        self._pick_thread = ThreadPoolExecutor(1, "picks")

    def request_features(self, tomogram: str, kind: str) -> None:
        """Compute the features of a tomogram at the scale of a kind next."""
        key = self._key(tomogram, kind)
        if self.engine is None or key in self.failed or key == self._computing:
            return
        if key in self.features:
            self.features[key] = self.features.pop(key)
            return
        self._queue = [key, *(other for other in self._queue if other != key)]
        self._start_computing()

    def update(self, kind: str) -> None:
        """Pick a kind again: its points or the available features have changed."""
        if self.engine is None:
            return
        self._outdated.add(kind)
        self._request_short_list(kind)
        if self._picking is None:
            self._picking = self._start(self._pick())

    def state(self, tomogram: str, kind: str) -> str:
        """Return the state of a tomogram's features: none, waiting, computing, ready or failed."""
        key = self._key(tomogram, kind)
        if self.engine is None:
            return "none"
        if key in self.features:
            return "ready"
        if key in self.failed:
            return "failed"
        return "computing" if key == self._computing else "waiting"

    def error(self, tomogram: str, kind: str) -> str | None:
        """Return why there are no picks of a kind in a tomogram; None without an error."""
        return self.errors.get(kind) or self.failed.get(self._key(tomogram, kind))

    def picked(self, kind: str) -> "Mapping[str, Picked]":
        """Return the latest picks of a kind, by tomogram."""
        return self.answers[kind].picked if kind in self.answers else {}

    async def suggest(self, kind: str, count: int) -> "Sequence[Suggestion]":
        """Suggest where to click next for a kind; before the first click, examples of the kinds of object."""
        if self.engine is None:
            return []
        while self._picking is not None:  # Suggestions depend on the latest picks.
            await asyncio.shield(self._picking)
        loop = asyncio.get_running_loop()
        if kind in self.answers:
            return await loop.run_in_executor(self._pick_thread, self.engine.suggest, self.answers[kind], count)
        features, clicks, negatives = self._inputs(kind)
        if not features or len(clicks):
            return []
        return await loop.run_in_executor(self._pick_thread, self.engine.examples, features, negatives, count)

    def close(self) -> None:
        """Stop the threads."""
        for task in self._tasks:
            task.cancel()
        self._feature_thread.shutdown(wait=False, cancel_futures=True)
        self._pick_thread.shutdown(wait=False, cancel_futures=True)

    def _key(self, tomogram: str, kind: str) -> Key:
        return tomogram, self.project.kinds[kind].diameter

    def _request_short_list(self, kind: str) -> None:
        """Once the kind is clicked, compute the features of all tomograms of a short list, after those requested."""
        if len(self.listing.names) > MAX_TOMOGRAMS:
            return
        try:
            points = self.project.all_points(kind)
        except TomoPickerError:  # A damaged file; reported where it is read.
            return
        if any(len(positions(own, "particle")) for own in points.values()):
            known = {*self.features, *self.failed, *self._queue, self._computing}
            self._queue += [key for name in self.listing.names if (key := self._key(name, kind)) not in known]
            self._start_computing()

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _start_computing(self) -> None:
        if self._queue and self._computing is None:
            self._computing = self._queue[0]  # The task itself starts later.
            self._start(self._compute_features())

    async def _compute_features(self) -> None:
        assert self.engine is not None
        loop = asyncio.get_running_loop()
        while self._queue:
            key = self._computing = self._queue.pop(0)
            name, diameter = key

            def report(done: int, total: int, name: str = name) -> None:
                loop.call_soon_threadsafe(
                    partial(self.events.send, "features", tomogram=name, state="computing", done=done, total=total)
                )

            try:
                tomogram = self.listing.tomogram(name)
                self.features[key] = await loop.run_in_executor(
                    self._feature_thread, self.engine.features, tomogram, diameter, report
                )
            except Exception as error:  # The other tomograms are picked all the same.
                self.failed[key] = failure_line(error, next(iter(self.listing.files[name].values())))
            self._computing = None
            self._evict_features()
            state, reason = ("failed", self.failed[key]) if key in self.failed else ("ready", "")
            self.events.send("features", tomogram=name, state=state, reason=reason)
            for kind in self.project.kinds.values():
                if kind.diameter == diameter:
                    self.update(kind.name)

    def _evict_features(self) -> None:
        """Evict the least recently used features, those of tomograms without points first."""
        marked = {name for kind in self.project.kinds for name, own in self.project.all_points(kind).items() if own}
        while len(self.features) > MAX_FEATURES:
            *earlier, _ = self.features
            del self.features[next((key for key in earlier if key[0] not in marked), earlier[0])]

    async def _pick(self) -> None:
        assert self.engine is not None
        loop = asyncio.get_running_loop()
        try:
            while self._outdated:
                kind = self._outdated.pop()
                if kind not in self.project.kinds:
                    continue
                answer: Instant | None = None
                try:
                    features, clicks, negatives = self._inputs(kind)
                    if features and len(clicks):
                        answer = await loop.run_in_executor(
                            self._pick_thread, self.engine.picks, features, clicks, negatives
                        )
                    self.errors.pop(kind, None)
                except Exception as error:  # Points are saved and shown all the same.
                    self.errors[kind] = failure_line(error, Path(kind))
                if answer is None:
                    self.answers.pop(kind, None)
                else:
                    self.answers[kind] = answer
                self.events.send("picks", kind=kind, tomograms=list(self.picked(kind)), trouble=self.errors.get(kind))
        finally:
            self._picking = None

    def _inputs(self, kind: str) -> "tuple[list[Features], Picks, Picks | None]":
        """Return the features, clicks and negatives of a kind; clicks of other kinds are negatives."""
        diameter = self.project.kinds[kind].diameter
        features = {name: own for (name, scale), own in self.features.items() if scale == diameter}
        points = self.project.all_points(kind)
        others = [self.project.all_points(other) for other in self.project.kinds if other != kind]
        clicks = Picks.concatenate(
            Picks.of(name, xyz)
            for name, own in points.items()
            if name in features and len(xyz := positions(own, "particle"))
        )
        negatives = []
        for name in features:
            known = [positions(points.get(name, ()), "negative")]
            known += [positions(own.get(name, ()), "particle") for own in others]
            if len(xyz := np.concatenate(known)):
                negatives.append(Picks.of(name, xyz))
        return list(features.values()), clicks, Picks.concatenate(negatives) if negatives else None
