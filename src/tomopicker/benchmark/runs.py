"""The runs of a protocol: what determines each, its predictions and its result on disk."""

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
    """One method on one data set, from one draw of clicks."""

    dataset: str
    method: Method
    clicks: int | None
    seed: int | None

    @property
    def name(self) -> str:
        """Its name, and the path of its results below the folder of runs."""
        clicks = "" if self.clicks is None else f"{self.clicks}-clicks"
        seed = "" if self.seed is None else f"seed-{self.seed}"
        return f"{self.dataset}/{self.method.name}/{'_'.join(filter(None, (clicks, seed))) or 'as-given'}"

    def folder(self, output: Path) -> Path:
        """Return the folder of its result and candidates."""
        return output / "runs" / self.name


def plan(protocol: Protocol) -> list[Run]:
    """List the runs of a protocol, those of one data set and method together."""
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
    """Group runs that share candidates: those of an untrained method on one data set; every other stands alone."""
    grouped: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        alone = run.method.kind in {"network", "external"}
        grouped.setdefault((run.name,) if alone else (run.dataset, run.method.name), []).append(run)
    return list(grouped.values())


@dataclass
class Runner:
    """Does runs of a protocol on its opened data sets, with results below a folder.

    Networks run on `device`, by default the best available.
    """

    protocol: Protocol
    datasets: Mapping[str, OpenDataSet]
    output: Path
    device: str | None = None
    _cache: tuple[tuple[str, str], dict[str, Picks]] = field(default=(("", ""), {}), init=False)
    """Candidates of the last untrained method: they depend on neither clicks nor seed."""

    def is_done(self, run: Run) -> bool:
        """Test whether a run has a result for the protocol and the data as they are."""
        before = read_result(run.folder(self.output))
        # Another program's files may have changed, and reading them again is quick.
        if before is None or run.method.folder is not None:
            return False
        return before.status == "done" and before.asked == self._inputs(run)

    def has_changed(self, run: Run) -> bool:
        """Test whether a run has a result, but for another protocol or other data."""
        before = read_result(run.folder(self.output))
        return before is not None and before.asked != self._inputs(run)

    def run(self, run: Run, callback: Callback) -> Result:
        """Do a run, and write its candidates and its result."""
        started = time.monotonic()
        predictions, facts = self._predict(run, callback)
        evaluated = self._evaluate(run, predictions)
        for name, tomogram in self.datasets[run.dataset].tomograms.items():
            path = run.folder(self.output) / f"{name}.csv"
            io.write_picks(predictions.candidates[name], {name: tomogram.frame}, path)
        return self._write(
            run, started, status="done", thresholds=dict(predictions.thresholds), facts=facts, tomograms=evaluated
        )

    def record_failure(self, run: Run, error: BaseException | str, started: float | None = None) -> Result:
        """Write the result of a run that failed, which began at `started` (monotonic seconds)."""
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
        """Return all that determines a run's outcome, as JSON values; not the paths of files: they may be moved."""
        data = self.datasets[run.dataset]
        inputs: dict[str, Any] = {
            **self.protocol.model_dump(mode="json", include={"particle_diameter", "tolerances", "jitter"}),
            "method": run.method.model_dump(mode="json", exclude={"folder"}),
            "dataset": data.spec.model_dump(mode="json", exclude={"tomograms", "truth", "simulate"}),
            "tomograms": {
                name: {"shape_zyx": list(each.shape), "voxel_size": each.voxel_size, "particles": len(data.truth[name])}
                for name, each in data.tomograms.items()
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
        clicks = self._clicks(run, data.training)
        if method.kind == "network":
            validation = None if data.validation is None else self._clicks(run, data.validation)
            return candidates.train_and_pick(
                method, data, clicks, validation, diameter, run.seed or 0, self.device, callback
            )
        scored = self._scored(run, data, callback)
        threshold = threshold_from_clicks(scored[data.training.name], clicks, diameter / 2)
        return Predictions(scored, dict.fromkeys(scored, threshold)), {}

    def _clicks(self, run: Run, tomogram: Tomogram) -> Picks:
        truth = self.datasets[run.dataset].truth[tomogram.name]
        if run.method.labelled == "all":
            return Picks(truth.positions, truth.tomograms, truth.scores)
        return draw_clicks(truth, tomogram.frame, run.clicks or len(truth), run.seed or 0, self.protocol.jitter)

    def _scored(self, run: Run, data: OpenDataSet, callback: Callback) -> dict[str, Picks]:
        key = (run.dataset, run.method.name)
        if self._cache[0] != key:
            found = {}
            for name, tomogram in data.tomograms.items():
                found[name] = candidates.scored_candidates(tomogram, run.method, self.protocol, data.spec.optics)
                callback.log(f"{name}: scored, {number_of(len(found[name]), 'candidate')}.")
            self._cache = key, found
        return self._cache[1]

    def _evaluate(self, run: Run, predictions: Predictions) -> dict[str, TomogramResult]:
        data, tolerances = self.datasets[run.dataset], self.protocol.tolerances
        return {
            name: TomogramResult(
                role=data.role(name),
                evaluations=evaluate_picks(
                    predictions.selected(name), predictions.candidates[name], data.truth[name], tomogram.voxel_size,
                    tolerances,
                ),
                expected=predictions.expected.get(name),
            )
            for name, tomogram in data.tomograms.items()
        }  # fmt: skip
