"""The driver: submits tomograms to workers, one each, and receives their messages.

Dask starts, watches and reaches the workers. The driver keeps what Dask does not know: which tomogram a worker had when
it died (Dask blames all that were on their way to it), and how often that happened. One task per worker and one to
spare are submitted at a time; the others wait here, so that memory does not grow with their number.
"""

import pickle
import queue
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tomopicker.cluster.engines import Workers, started
from tomopicker.cluster.resources import in_gigabytes
from tomopicker.cluster.settings import ClusterError, ClusterSettings
from tomopicker.cluster.work import Event, Item, OnEvent, Outcome, Work
from tomopicker.cluster.worker import VERSION, run_in_worker
from tomopicker.errors import TomoPickerError
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from distributed import Future

DEATHS = 3
"""Of workers at one tomogram, after which it is left."""
LATE_SECONDS = 15.0
"""A task has ended and its message has not come: it is done again, which finds what is done already."""
UNSEEN = 10
"""Deaths of workers on whose list a tomogram was, though they had not begun it: then it may be to blame after all."""
REMIND_SECONDS = 60.0
"""Between two reminders that no worker is there."""


def run_on_workers(work: Work, items: Sequence[Item], settings: ClusterSettings, on_event: OnEvent) -> dict[str, str]:
    """Do a job for each tomogram on workers; the arguments and errors are those of `map_tomograms`."""
    if not items:
        return {}
    memory = work.memory(items)
    with started(settings, memory, len(items), work.folder) as workers:
        line = f"{len(items)} tomograms on {workers.words}; the largest needs about {in_gigabytes(memory)} of memory."
        on_event(Event("note", "", line, total=len(items), workers=0))
        return _Driver(work, items, workers, settings, on_event).run()


@dataclass
class _Task:
    """A tomogram in hand."""

    item: Item
    future: "Future"
    attempt: int
    worker: str = ""
    outcome: dict[str, Any] | None = None
    ended: float | None = None


@dataclass
class _Driver:
    work: Work
    items: Sequence[Item]
    workers: Workers
    settings: ClusterSettings
    on_event: OnEvent
    failures: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._waiting = deque(sorted(self.items, key=lambda item: (-item.size, item.name)))
        self._at: dict[str, _Task] = {}
        self._deaths: dict[str, int] = {}
        self._unseen: dict[str, int] = {}
        self._attempts: dict[str, int] = {}
        self._mail: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._topic = f"tomopicker-{uuid.uuid4().hex}"
        self._pickled = pickle.dumps(self.work)
        self._finished = 0
        self._there = 0
        self._alone_since = self._reminded = time.monotonic()

    def run(self) -> dict[str, str]:
        client = self.workers.client
        client.subscribe_topic(self._topic, lambda event: self._mail.put(("message", event[1])))
        client.subscribe_topic("all", lambda event: self._mail.put(("cluster", event[1])))
        self._count_workers()
        try:
            while self._waiting or self._at:
                self._hand_out()
                self._read_mail()
                self._settle()
                self._watch()
        finally:
            client.unsubscribe_topic(self._topic)
            client.unsubscribe_topic("all")
            for task in self._at.values():
                task.future.release()
        return self.failures

    def _hand_out(self) -> None:
        """Keep a task in hand for each worker that is there or wanted, and one to spare."""
        while self._waiting and len(self._at) <= max(self._there, self.workers.wanted):
            self._submit(self._waiting.popleft())

    def _submit(self, item: Item) -> None:
        attempt = self._attempts[item.name] = self._attempts.get(item.name, 0) + 1
        future = self.workers.client.submit(
            run_in_worker, VERSION, str(self.work.folder), self._topic, self._pickled,
            pickle.dumps(item), item.name, attempt,
            # All in one group: then Dask hands a worker its next one only when it has none.
            key=(self._topic, f"{item.name}-{attempt}"), pure=False,
        )  # fmt: skip
        self._at[item.name] = _Task(item, future, attempt)
        mail, name = self._mail, item.name
        future.add_done_callback(lambda ended: mail.put(("ended", (name, attempt, ended.status))))

    def _read_mail(self) -> None:
        """Wait a moment for news, then take all there is."""
        try:
            self._receive(*self._mail.get(timeout=1.0))
            while True:
                self._receive(*self._mail.get_nowait())
        except queue.Empty:
            return

    def _receive(self, kind: str, what: Any) -> None:
        if kind == "cluster":
            if what.get("action") in {"add-worker", "remove-worker"}:
                self._count_workers()
            return
        if kind == "ended":
            name, attempt, status = what
            task = self._at.get(name)
            if task is not None and task.attempt == attempt:
                task.ended = time.monotonic()
                if status == "error" and task.outcome is None:
                    self._died(task)
            return
        task = self._at.get(what["name"])
        if task is None or task.attempt != what["attempt"]:
            return
        task.worker = what["where"]
        if what["kind"] == "started":
            self._send(Event("started", task.item.name, f"{task.item.name}: started", worker=task.worker))
        elif what["kind"] == "version":
            raise ClusterError(
                f"worker {task.worker}: runs {what['line']}, and this is {VERSION}; install the same there"
            )
        elif what["kind"] == "stop":
            raise TomoPickerError(what["line"])
        else:
            task.outcome = what

    def _settle(self) -> None:
        """Conclude tasks that have ended, and resubmit those whose message is overdue."""
        for task in [task for task in self._at.values() if task.ended is not None]:
            if task.outcome is not None:
                self._conclude(task, task.outcome)
            elif time.monotonic() - (task.ended or 0) > LATE_SECONDS:
                self._again(task)

    def _conclude(self, task: _Task, message: dict[str, Any]) -> None:
        if message["kind"] == "machine":
            self._blame(task, f"worker {task.worker}: {message['line']}")
            return
        stated = message["outcome"]
        outcome = Outcome(**stated | {"warnings": tuple(stated["warnings"])})  # A list after the transfer.
        if outcome.elsewhere and self._deaths.get(task.item.name, 0) + 1 < DEATHS:
            self._blame(task, outcome.line)
            return
        self._let_go(task)
        self._finished += 1
        if outcome.status == "failed":
            self.failures[task.item.name] = outcome.line
        self._send(outcome.event(task.item.name, task.worker))

    def _died(self, task: _Task) -> None:
        """Run a tomogram again whose worker died; only one that had begun is to blame."""
        error = task.future.exception()
        if type(error).__name__ not in {"KilledWorker", "CancelledError", "FutureCancelledError"}:
            raise ClusterError(
                f"worker {task.worker or '?'}: cannot run tomopicker ({' '.join(str(error).split())}); "
                f"install the same version there as here ({VERSION})"
            )
        name = task.item.name
        unseen = self._unseen[name] = self._unseen.get(name, 0) + (not task.worker)
        if task.worker or unseen >= UNSEEN:
            self._blame(task, f"worker {task.worker} died")
        else:
            self._again(task)

    def _blame(self, task: _Task, why: str) -> None:
        name = task.item.name
        deaths = self._deaths[name] = self._deaths.get(name, 0) + 1
        if deaths < DEATHS:
            self._send(Event("retried", name, f"{name}: {why}; it is run again, last.", worker=task.worker))
            self._let_go(task)
            self._waiting.append(task.item)
            return
        self._let_go(task)
        self._finished += 1
        reason = f"{name}: left, for {deaths} workers failed at it, the last so: {why}; see the workers' logs"
        self.failures[name] = reason
        self.work.give_up(task.item, reason)
        self._send(Event("left", name, reason, worker=task.worker))

    def _again(self, task: _Task) -> None:
        self._let_go(task)
        self._waiting.appendleft(task.item)

    def _let_go(self, task: _Task) -> None:
        task.future.release()
        del self._at[task.item.name]

    def _count_workers(self) -> None:
        before = self._there
        self._there = len(self.workers.client.scheduler_info(n_workers=-1)["workers"])
        if not self._there and before:
            self._alone_since = self._reminded = time.monotonic()
        if self._there != before:
            self._send(Event("workers", "", f"{number_of(self._there, 'worker')} at work." if not before else ""))

    def _watch(self) -> None:
        """Remind now and then that no worker is there; give up at some time."""
        if self._there:
            return
        now = time.monotonic()
        if now - self._alone_since > 60 * self.settings.wait_minutes:
            raise ClusterError(
                f"no worker came within {self.settings.wait_minutes:g} minutes; look at the queue and at "
                f"{self.work.folder / 'jobs'}, or raise wait_minutes"
            )
        if now - self._reminded > REMIND_SECONDS:
            self._reminded = now
            minutes = (now - self._alone_since) / 60
            self._send(Event("note", "", f"No worker is there, for {minutes:.0f} min; look at the queue if it should."))

    def _send(self, event: Event) -> None:
        self.on_event(replace(event, finished=self._finished, total=len(self.items), workers=self._there))
