"""The runs of a protocol, one after another: made once, skipped when done, recorded and passed over when they fail."""

import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tomopicker.benchmark.candidates import Found, scored_candidates, threshold_from_clicks
from tomopicker.benchmark.clicks import draw_clicks
from tomopicker.benchmark.dataset import OpenDataSet
from tomopicker.benchmark.external import external_picks
from tomopicker.benchmark.judge import judge
from tomopicker.benchmark.methods import Method
from tomopicker.benchmark.network import train_and_pick
from tomopicker.benchmark.protocol import Protocol
from tomopicker.benchmark.results import Judged, Result, read_result, versions, write_candidates, write_result
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.wording import number_of
from tomopicker.workflow.listen import Listener


@dataclass(frozen=True)
class Run:
    """One method on one data set, from one draw of clicks."""

    dataset: str
    method: Method
    clicks: int | None
    seed: int | None

    @property
    def name(self) -> str:
        """What it is called, and where its results are, below the folder of runs."""
        clicks = "" if self.clicks is None else f"{self.clicks}-clicks"
        seed = "" if self.seed is None else f"seed-{self.seed}"
        return f"{self.dataset}/{self.method.name}/{'_'.join(filter(None, (clicks, seed))) or 'as-given'}"


def plan(protocol: Protocol) -> list[Run]:
    """List the runs of a protocol, those of one data set and method together."""
    return [
        Run(dataset, method, clicks, seed)
        for dataset in protocol.datasets
        for method in protocol.rows
        for clicks in (protocol.clicks if method.kind != "external" and method.labelled == "clicks" else (None,))
        for seed in (protocol.seeds if method.kind != "external" else (None,))
    ]


def run_folder(output: Path, run: Run) -> Path:
    """Give the folder of a run's result."""
    return output / "runs" / run.name


def results_of(protocol: Protocol, output: Path) -> Iterator[tuple[Run, Result]]:
    """Give the results that there are, in the order of the plan."""
    for run in plan(protocol):
        result = read_result(run_folder(output, run))
        if result is not None:
            yield run, result


@dataclass
class Bench:
    """A protocol at work.

    Parameters
    ----------
    protocol : Protocol
    datasets : mapping of str to OpenDataSet
        From `open_datasets`.
    output : Path
        Results go below it.
    listener : Listener
        Hears of every run.
    device : str, optional
        Where networks are trained; the best there is if left out.
    """

    protocol: Protocol
    datasets: Mapping[str, OpenDataSet]
    output: Path
    listener: Listener
    device: str | None = None
    _scored: tuple[tuple[str, str], dict[str, Picks]] = field(default=(("", ""), {}), init=False)
    """Candidates of the method without training that ran last: they depend on neither clicks nor seed."""

    def run_all(self) -> list[Result]:
        """Make every run that is not done; give the results of all, failures included."""
        runs = plan(self.protocol)
        return [self._once(number, len(runs), run) for number, run in enumerate(runs, start=1)]

    def _once(self, number: int, total: int, run: Run) -> Result:
        folder, asked = run_folder(self.output, run), self._asked(run)
        before = read_result(folder)
        if before is not None and self.is_done(run):
            self.listener.say(f"[{number}/{total}] {run.name}: done before")
            return before
        stale = before is not None and before.asked != asked
        self.listener.say(f"[{number}/{total}] {run.name}{': again, the protocol has changed' if stale else ''}")
        common = {
            "dataset": run.dataset, "method": run.method.name, "clicks": run.clicks, "seed": run.seed, "asked": asked,
            "versions": versions(),
        }  # fmt: skip
        started = time.monotonic()
        try:
            found, facts = self._find(run)
            judged = self._judge(run, found)
            write_candidates(folder, found.picks, self.datasets[run.dataset])
            outcome = {"status": "done", "thresholds": dict(found.thresholds), "facts": facts, "tomograms": judged}
        except Exception as error:
            # Whatever goes wrong with one method must not cost the night's other runs; it is kept to be read.
            outcome = {"status": "failed", "error": _said(error), "facts": {"traceback": traceback.format_exc()}}
            self.listener.warn(f"{run.name} failed: {_said(error)}")
        result = Result.model_validate({**common, **outcome, "seconds": time.monotonic() - started})
        write_result(folder, result)
        return result

    def is_done(self, run: Run) -> bool:
        """Say whether a run's result is here, of the protocol and the data as they are."""
        before = read_result(run_folder(self.output, run))
        # Another program's files may have changed, and reading them again is quick.
        its_own = run.method.folder is None
        return its_own and before is not None and before.status == "done" and before.asked == self._asked(run)

    def _asked(self, run: Run) -> dict[str, Any]:
        """Give all that decides a run's outcome, as JSON holds it; not where files lie: they may be moved."""
        data = self.datasets[run.dataset]
        kept = {"particle_diameter", "tolerances", "jitter"}
        asked: dict[str, Any] = {
            **self.protocol.model_dump(mode="json", include=kept),
            "method": run.method.model_dump(mode="json", exclude={"folder"}),
            "dataset": data.asked.model_dump(mode="json", exclude={"tomograms", "truth", "simulate"}),
            "tomograms": {
                name: {"shape_zyx": list(each.shape), "voxel_size": each.voxel_size, "particles": len(data.truth[name])}
                for name, each in data.tomograms.items()
            },
        }
        template = self.protocol.template
        if run.method.kind == "template" and template is not None:
            asked["template"] = template.model_dump(mode="json") | {"map": template.map and template.map.name}
        return asked

    def _find(self, run: Run) -> tuple[Found, dict[str, Any]]:
        data, method = self.datasets[run.dataset], run.method
        if method.folder is not None:
            return Found(external_picks(method.folder, data), {}), {}
        clicks = self._clicks(run, data.training)
        if method.kind == "network":
            validation = None if data.validation is None else self._clicks(run, data.validation)
            return train_and_pick(
                method, data, clicks, validation, self.protocol.particle_diameter, run.seed or 0, self.device,
                self.listener,
            )  # fmt: skip
        picks = self._candidates(run, data)
        radius = self.protocol.particle_diameter / 2
        threshold = threshold_from_clicks(picks[data.training.name], clicks, radius)
        return Found(picks, dict.fromkeys(picks, threshold)), {}

    def _clicks(self, run: Run, tomogram: Tomogram) -> Picks:
        truth = self.datasets[run.dataset].truth[tomogram.name]
        if run.method.labelled == "all":
            return truth
        count, seed = run.clicks or len(truth), run.seed or 0
        return draw_clicks(truth, tomogram.frame, count, seed, self.protocol.jitter)

    def _candidates(self, run: Run, data: OpenDataSet) -> dict[str, Picks]:
        key = (run.dataset, run.method.name)
        if self._scored[0] != key:
            found = {}
            for name, tomogram in data.tomograms.items():
                found[name] = scored_candidates(tomogram, run.method, self.protocol, data.asked.optics)
                self.listener.say(f"{name}: scored, {number_of(len(found[name]), 'candidate')}.")
            self._scored = key, found
        return self._scored[1]

    def _judge(self, run: Run, found: Found) -> dict[str, Judged]:
        data = self.datasets[run.dataset]
        return {
            name: Judged(
                role=data.role(name),
                evaluations=tuple(
                    judge(
                        found.chosen(name), found.picks[name], data.truth[name], tomogram.voxel_size,
                        self.protocol.tolerances,
                    )
                ),
                expected=found.expected.get(name),
            )
            for name, tomogram in data.tomograms.items()
        }  # fmt: skip


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
