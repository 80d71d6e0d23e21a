"""Workers killed at random moments: nothing is lost, and nothing is done again but what was at work."""

import os
import random
import signal
import time
from contextlib import suppress

from tests.cluster.fake import FakeWork, items
from tests.cluster.test_mapping import done
from tomopicker.cluster.driver import DEATHS
from tomopicker.cluster.mapping import map_tomograms

KILLS, TOMOGRAMS, SECONDS = 20, 120, 0.02


class Killer:
    """Kills the worker of one in three tomograms that are started, at a random moment of its work or just after."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.struck, self.events = set(), []

    def __call__(self, event):
        self.events.append(event)
        if event.kind == "started" and len(self.struck) < KILLS and self.rng.random() < 0.33:
            time.sleep(self.rng.uniform(0, 2 * SECONDS))
            pid = int(event.worker.rpartition(":")[2])
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.struck.add(pid)


def test_twenty_workers_killed_at_random(tmp_path, cluster):
    killer = Killer(seed=22)
    many = {f"t{i}": f"ok {SECONDS}" for i in range(TOMOGRAMS)}
    failures = map_tomograms(FakeWork(tmp_path), items(**many), cluster, killer)
    assert len(killer.struck) == KILLS
    ended = [event for event in killer.events if event.kind in {"done", "left"}]
    assert sorted(event.tomogram for event in ended) == sorted(many), "each ends once"
    assert [event.finished for event in ended] == list(range(1, TOMOGRAMS + 1))
    counts = done(tmp_path)
    assert counts.keys() | failures.keys() == many.keys(), "none is lost"
    retried = [event.tomogram for event in killer.events if event.kind == "retried"]
    assert retried, "some were at work"
    for name in (name for name, count in counts.items() if count > 1):
        # Also one whose worker died between its end and its message: the driver cannot know, and no event tells.
        tried_by = {int(pid) for pid in (tmp_path / f"{name}.tried").read_text().split()}
        assert tried_by & killer.struck, f"{name}: done again though none of its workers was killed"
    assert sum(counts.values()) <= TOMOGRAMS + KILLS
    for name, reason in failures.items():
        assert f"{DEATHS} workers failed at it" in reason and retried.count(name) == DEATHS - 1
