"""Runs of a protocol: their inputs, predictions and results on disk."""

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tomopicker import io
from tomopicker.benchmark import candidates
from tomopicker.benchmark.candidates import Predictions
from tomopicker.benchmark.dataset import OpenDataSet, draw_clicks
from tomopicker.benchmark.methods import Method
from tomopicker.benchmark.protocol import Protocol
from tomopicker.benchmark.results import Result, TomogramResult, evaluate_picks, read_result, versions, write_result
from tomopicker.benchmark.threshold import threshold_from_clicks
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.tomogram import Tomogram
from tomopicker.wording import number_of


@dataclass(frozen=True)
class Run:
    """A method on a data set, with one draw of clicks."""

    dataset: str
    method: Method
    clicks: int | None
    seed: int | None

    @property
    def name(self) -> str:
        """Name of the run, and path of its results in the folder of runs."""
        clicks = [] if self.clicks is None else [f"{self.clicks}-clicks"]
        seed = [] if self.seed is None else [f"seed-{self.seed}"]
        return f"{self.dataset}/{self.method.name}/{'_'.join(clicks + seed) or 'as-given'}"

    def folder(self, output: Path) -> Path:
        """Return the folder of the run's result and candidates."""
        return output / "runs" / self.name


def plan(protocol: Protocol) -> list[Run]:
    """Return the runs of a protocol, grouped by data set and method."""
    return [
        Run(dataset, method, clicks, seed)
        for dataset in protocol.datasets
        for method in protocol.rows
        for clicks in (protocol.clicks if method.kind != "external" and method.labelled == "clicks" else (None,))
        for seed in (protocol.seeds if method.kind != "external" else (None,))
    ]


def results_of(protocol: Protocol, output: Path) -> Iterator[tuple[Run, Result]]:
    """Yield the existing results, in the order of the plan."""
    for run in plan(protocol):
        result = read_result(run.folder(output))
        if result is not None:
            yield run, result


def tasks(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs that share candidates: those of an untrained method on one data set; all others are single."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        is_single = run.method.kind in {"network", "external"}
        groups.setdefault((run.name,) if is_single else (run.dataset, run.method.name), []).append(run)
    return list(groups.values())


@dataclass
class Runner:
    """Executes runs of a protocol on its opened data sets, with results in an output folder.

    Networks run on `device`, by default the best available.
    """

    protocol: Protocol
    datasets: Mapping[str, OpenDataSet]
    output: Path
    device: str | None = None
    _cache: tuple[tuple[str, str], dict[str, Picks]] = field(default=(("", ""), {}), init=False)
    """Candidates of the last untrained method, which do not depend on clicks and seed, by its key."""

    def is_done(self, run: Run) -> bool:
        """Test whether a run has a result for the current protocol and data."""
        existing = read_result(run.folder(self.output))
        # An external program's files may have changed, and reading them again is quick.
        if existing is None or run.method.folder is not None:
            return False
        return existing.status == "done" and existing.asked == self._inputs(run)

    def has_changed(self, run: Run) -> bool:
        """Test whether a run has a result for a different protocol or different data."""
        existing = read_result(run.folder(self.output))
        return existing is not None and existing.asked != self._inputs(run)

    def run(self, run: Run, callback: Callback) -> Result:
        """Execute a run, and write its candidates and its result."""
        started = time.monotonic()
        predictions, facts = self._predict(run, callback)
        data, tomograms = self.datasets[run.dataset], {}
        for name, tomogram in data.tomograms.items():
            candidates = predictions.candidates[name]
            evaluations = evaluate_picks(
                predictions.selected(name), candidates, data.truth[name], tomogram.voxel_size, self.protocol.tolerances
            )
            expected = predictions.expected.get(name)
            tomograms[name] = TomogramResult(role=data.role(name), evaluations=evaluations, expected=expected)
            io.write_picks(candidates, {name: tomogram.frame}, run.folder(self.output) / f"{name}.csv")
        return self._write(
            run, started, status="done", thresholds=dict(predictions.thresholds), facts=facts, tomograms=tomograms
        )

    def record_failure(self, run: Run, error: BaseException | str, started: float | None = None) -> Result:
        """Write the result of a failed run that started at `started` (monotonic seconds)."""
        if isinstance(error, str):
            return self._write(run, started, status="failed", error=error)
        message = " ".join(f"{type(error).__name__}: {error}".split())
        facts = {"traceback": "".join(traceback.format_exception(error))}
        return self._write(run, started, status="failed", error=message, facts=facts)

    def _write(self, run: Run, started: float | None, **outcome: Any) -> Result:
        seconds = 0.0 if started is None else time.monotonic() - started
        result = Result(
            dataset=run.dataset, method=run.method.name, clicks=run.clicks, seed=run.seed, asked=self._inputs(run),
            versions=versions(), seconds=seconds, **outcome,
        )  # fmt: skip
        write_result(run.folder(self.output), result)
        return result

    def _inputs(self, run: Run) -> dict[str, Any]:
        """Return everything that determines a run's outcome, as JSON values, except paths: files may be moved."""
        data = self.datasets[run.dataset]
        inputs: dict[str, Any] = {
            **self.protocol.model_dump(mode="json", include={"particle_diameter", "tolerances", "jitter"}),
            "method": run.method.model_dump(mode="json", exclude={"folder"}),
            "dataset": data.spec.model_dump(mode="json", exclude={"tomograms", "truth", "simulate"}),
            "tomograms": {
                name: {
                    "shape_zyx": list(tomogram.shape),
                    "voxel_size": tomogram.voxel_size,
                    "particles": len(data.truth[name]),
                }
                for name, tomogram in data.tomograms.items()
            },
        }
        template = self.protocol.template
        if run.method.kind == "template" and template is not None:
            inputs["template"] = template.model_dump(mode="json") | {"map": template.map and template.map.name}
        return inputs

    def _predict(self, run: Run, callback: Callback) -> tuple[Predictions, dict[str, Any]]:
        data, method, diameter = self.datasets[run.dataset], run.method, self.protocol.particle_diameter
        if method.folder is not None:
            return Predictions(candidates.external_picks(method.folder, data)), {}
        clicks = self._draw_clicks(run, data.training)
        if method.kind == "network":
            validation = None if data.validation is None else self._draw_clicks(run, data.validation)
            return candidates.train_and_pick(
                method, data, clicks, validation, diameter, run.seed or 0, self.device, callback
            )
        scored = self._score(run, data, callback)
        threshold = threshold_from_clicks(scored[data.training.name], clicks, diameter / 2)
        return Predictions(scored, dict.fromkeys(scored, threshold)), {}

    def _draw_clicks(self, run: Run, tomogram: Tomogram) -> Picks:
        truth = self.datasets[run.dataset].truth[tomogram.name]
        if run.method.labelled == "all":
            return Picks(truth.positions, truth.tomograms, truth.scores)
        return draw_clicks(truth, tomogram.frame, run.clicks or len(truth), run.seed or 0, self.protocol.jitter)

    def _score(self, run: Run, data: OpenDataSet, callback: Callback) -> dict[str, Picks]:
        key = (run.dataset, run.method.name)
        if self._cache[0] != key:
            scored = {}
            for name, tomogram in data.tomograms.items():
                scored[name] = candidates.scored_candidates(tomogram, run.method, self.protocol, data.spec.optics)
                callback.log(f"{name}: scored, {number_of(len(scored[name]), 'candidate')}.")
            self._cache = key, scored
        return self._cache[1]
