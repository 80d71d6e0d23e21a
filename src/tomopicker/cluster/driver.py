"""The driver: submits tomograms to workers, one each, and receives their messages.

Dask starts, watches and reaches the workers. The driver keeps what Dask does not know: which tomogram a worker was
processing when it died (Dask blames all that were assigned to it), and how often that happened. One task per worker and
one to spare are submitted at a time; the others wait here, so that memory does not grow with their number.
"""

import pickle
import queue
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
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

MAX_DEATHS = 3
"""Number of workers that may fail at a tomogram before it is given up."""
MAX_DEATHS_BEFORE_START = 10
"""Number of dead workers that a tomogram was assigned to, though none had started it, after which it is blamed too."""
MESSAGE_TIMEOUT_SECONDS = 15.0
"""Time between the end of a task and its message, after which it is run again (finished work is skipped)."""
REMINDER_SECONDS = 60.0
"""Interval between reminders that there are no workers."""


def run_on_workers(work: Work, items: Sequence[Item], settings: ClusterSettings, on_event: OnEvent) -> dict[str, str]:
    """Do a job for each tomogram on workers; the arguments and errors are those of `map_tomograms`."""
    if not items:
        return {}
    memory = work.memory(items)
    with started(settings, memory, len(items), work.folder) as workers:
        needed = f"the largest needs about {in_gigabytes(memory)} of memory."
        line = f"{len(items)} tomograms on {workers.description}; {needed}"
        on_event(Event("note", "", line, total=len(items), workers=0))
        return _Driver(work, items, workers, settings, on_event).run()


@dataclass(eq=False)
class _Task:
    """A submitted tomogram."""

    item: Item
    attempt: int
    future: "Future"
    worker: str = ""
    outcome: dict[str, Any] | None = None
    ended: float | None = None

    @property
    def name(self) -> str:
        return self.item.name


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
        self._tasks: dict[str, _Task] = {}
        self._attempts, self._deaths, self._deaths_before_start = Counter[str](), Counter[str](), Counter[str]()
        self._mail: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """Calls from Dask's threads, to be made in this one."""
        self._topic = f"tomopicker-{uuid.uuid4().hex}"
        self._pickled = pickle.dumps(self.work)
        self._n_finished = self._n_workers = 0
        self._idle_since = self._reminded = time.monotonic()

    def run(self) -> dict[str, str]:
        client = self.workers.client
        client.subscribe_topic(self._topic, lambda event: self._mail.put(partial(self._on_message, event[1])))
        client.subscribe_topic("all", lambda event: self._mail.put(partial(self._on_cluster_event, event[1])))
        self._count_workers()
        try:
            while self._waiting or self._tasks:
                while self._waiting and len(self._tasks) <= max(self._n_workers, self.workers.max_workers):
                    self._submit(self._waiting.popleft())
                self._read_mail()
                self._finish_ended()
                self._check_workers()
        finally:
            client.unsubscribe_topic(self._topic)
            client.unsubscribe_topic("all")
            for task in self._tasks.values():
                task.future.release()
        return self.failures

    def _submit(self, item: Item) -> None:
        self._attempts[item.name] += 1
        attempt = self._attempts[item.name]
        future = self.workers.client.submit(
            run_in_worker, VERSION, str(self.work.folder), self._topic, self._pickled,
            pickle.dumps(item), item.name, attempt,
            # One group for all: only then does Dask assign a worker its next task when it has none.
            key=(self._topic, f"{item.name}-{attempt}"), pure=False,
        )  # fmt: skip
        task = self._tasks[item.name] = _Task(item, attempt, future)
        future.add_done_callback(lambda ended: self._mail.put(partial(self._on_end, task, ended.status)))

    def _read_mail(self) -> None:
        """Wait up to a second for a call, then make all there are."""
        try:
            self._mail.get(timeout=1.0)()
            while True:
                self._mail.get_nowait()()
        except queue.Empty:
            return

    def _on_cluster_event(self, event: Any) -> None:
        if event.get("action") in {"add-worker", "remove-worker"}:
            self._count_workers()

    def _on_end(self, task: _Task, status: str) -> None:
        if self._tasks.get(task.name) is task:
            task.ended = time.monotonic()
            if status == "error" and task.outcome is None:
                self._on_death(task)

    def _on_message(self, message: dict[str, Any]) -> None:
        task = self._tasks.get(message["name"])
        if task is None or task.attempt != message["attempt"]:
            return
        task.worker = message["where"]
        if message["kind"] == "started":
            self._send(Event("started", task.name, f"{task.name}: started", worker=task.worker))
        elif message["kind"] == "version":
            raise ClusterError(
                f"worker {task.worker}: runs {message['line']}, and this is {VERSION}; install the same there"
            )
        elif message["kind"] == "stop":
            raise TomoPickerError(message["line"])
        else:
            task.outcome = message

    def _finish_ended(self) -> None:
        """Finish the tasks that have ended, and run those again whose message is overdue."""
        for task in [task for task in self._tasks.values() if task.ended is not None]:
            if task.outcome is not None:
                self._finish(task, task.outcome)
            elif time.monotonic() - (task.ended or 0) > MESSAGE_TIMEOUT_SECONDS:
                self._waiting.appendleft(self._release(task))

    def _finish(self, task: _Task, message: dict[str, Any]) -> None:
        if message["kind"] == "machine":
            self._blame(task, f"worker {task.worker}: {message['line']}")
            return
        fields = message["outcome"]
        outcome = Outcome(**fields | {"warnings": tuple(fields["warnings"])})  # Dask transfers tuples as lists.
        if outcome.elsewhere and self._deaths[task.name] + 1 < MAX_DEATHS:
            self._blame(task, outcome.line)
            return
        self._release(task)
        self._n_finished += 1
        if outcome.status == "failed":
            self.failures[task.name] = outcome.line
        self._send(outcome.event(task.name, task.worker))

    def _on_death(self, task: _Task) -> None:
        """Run a tomogram again whose worker died, blaming it only if the worker had started it."""
        error = task.future.exception()
        if type(error).__name__ not in {"KilledWorker", "CancelledError", "FutureCancelledError"}:
            raise ClusterError(
                f"worker {task.worker or '?'}: cannot run tomopicker ({' '.join(str(error).split())}); "
                f"install the same version there as here ({VERSION})"
            )
        self._deaths_before_start[task.name] += not task.worker
        if task.worker or self._deaths_before_start[task.name] >= MAX_DEATHS_BEFORE_START:
            self._blame(task, f"worker {task.worker} died")
        else:
            self._waiting.appendleft(self._release(task))

    def _blame(self, task: _Task, why: str) -> None:
        """Count a failure of a worker against a tomogram: run it again, last, or give it up."""
        name, item = task.name, self._release(task)
        self._deaths[name] += 1
        if self._deaths[name] < MAX_DEATHS:
            self._send(Event("retried", name, f"{name}: {why}; it is run again, last.", worker=task.worker))
            self._waiting.append(item)
            return
        self._n_finished += 1
        reason = (
            f"{name}: given up, as {self._deaths[name]} workers failed at it, the last so: {why}; see the workers' logs"
        )
        self.failures[name] = reason
        self.work.give_up(item, reason)
        self._send(Event("left", name, reason, worker=task.worker))

    def _release(self, task: _Task) -> Item:
        task.future.release()
        return self._tasks.pop(task.name).item

    def _count_workers(self) -> None:
        before = self._n_workers
        self._n_workers = len(self.workers.client.scheduler_info(n_workers=-1)["workers"])
        if not self._n_workers and before:
            self._idle_since = self._reminded = time.monotonic()
        if self._n_workers != before:
            self._send(Event("workers", "", f"{number_of(self._n_workers, 'worker')} at work." if not before else ""))

    def _check_workers(self) -> None:
        """Send a reminder now and then while there are no workers, and raise if that takes too long."""
        if self._n_workers:
            return
        now = time.monotonic()
        if now - self._idle_since > 60 * self.settings.wait_minutes:
            raise ClusterError(
                f"no worker came within {self.settings.wait_minutes:g} minutes; look at the queue and at "
                f"{self.work.folder / 'jobs'}, or raise wait_minutes"
            )
        if now - self._reminded > REMINDER_SECONDS:
            self._reminded = now
            minutes = (now - self._idle_since) / 60
            self._send(
                Event("note", "", f"No workers for {minutes:.0f} min; look at the queue if there should be some.")
            )

    def _send(self, event: Event) -> None:
        self.on_event(replace(event, finished=self._n_finished, total=len(self.items), workers=self._n_workers))
