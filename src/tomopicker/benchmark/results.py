"""Result of a run and its file, ``result.json``: settings, versions and metrics."""

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from tomopicker import __version__
from tomopicker.benchmark.dataset import Role
from tomopicker.errors import TomoPickerError
from tomopicker.evaluation.matching import MatchMethod
from tomopicker.evaluation.metrics import Evaluation, evaluate
from tomopicker.files import write_text
from tomopicker.picks import Picks
from tomopicker.pipeline.picked import Picked

RESULT_FILE = "result.json"


class Expected(BaseModel):
    """A method's own estimates for one tomogram, made without its truth.

    Number of particles with its 90% interval, low to high (None without one); precision, recall and F1 of the picks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    particles: float
    low: float | None
    high: float | None
    precision: float
    recall: float
    f1: float

    @classmethod
    def from_picked(cls, picked: Picked) -> "Expected":
        """Return the estimates that `tomopicker pick` reports for a tomogram."""
        estimates: dict[str, Any] = {"low": None, "high": None, **vars(picked.expected)}
        if (count := picked.count) is not None:
            estimates |= {"particles": count.estimate, "low": count.low, "high": count.high}
        return cls(**estimates)


class TomogramResult(BaseModel):
    """Metrics of one tomogram at each tolerance and matching, and the method's own estimates, if any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    evaluations: tuple[Evaluation, ...]
    expected: Expected | None = None


class Result(BaseModel):
    """The outcome of one run.

    Parameters
    ----------
    dataset, method : str
        Names in the protocol.
    clicks, seed : int or None
        None if the method has none.
    asked : dict
        The part of the protocol that determines the outcome; the run is repeated if it changes.
    thresholds : dict
        The method's own threshold by tomogram; empty if every candidate is a pick.
    seconds : float
        Duration of training, picking and evaluation.
    facts : dict
        Details of the method: settings, provenance, device.
    tomograms : dict
        Metrics by tomogram; empty after a failure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    method: str
    clicks: int | None
    seed: int | None
    asked: dict[str, Any]
    status: Literal["done", "failed"]
    error: str | None = None
    thresholds: dict[str, float] = {}
    seconds: float = 0.0
    facts: dict[str, Any] = {}
    versions: dict[str, str]
    tomograms: dict[str, TomogramResult] = {}


def versions() -> dict[str, str]:
    """Return the versions of the software, and the platform."""
    return {
        "tomopicker": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.platform(),
    }


def write_result(folder: Path, result: Result) -> None:
    """Write a run's result atomically."""
    content = json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_text(folder / RESULT_FILE, content + "\n")


def read_result(folder: Path) -> Result | None:
    """Read a run's result; return None if there is none yet. Raises `TomoPickerError` if the file is not a result."""
    path = folder / RESULT_FILE
    if not path.exists():
        return None
    try:
        return Result.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise TomoPickerError(f"{path}: is not a result of this version; remove it to repeat the run") from error


def evaluate_picks(
    selected: Picks, candidates: Picks, truth: Picks, voxel_size: float, tolerances: Sequence[float]
) -> tuple[Evaluation, ...]:
    """Evaluate one tomogram, one-to-one within each tolerance, then with the paper's matching within the first.

    Counts, precision, recall, F1 and position error are those of the selected picks; F1 at N, best F1 and average
    precision are those of the ranking of all candidates, None without scores. Tolerances and position errors are in
    voxels, `voxel_size` in Å.
    """
    criteria: list[tuple[float, MatchMethod]] = [(tolerance, "one-to-one") for tolerance in tolerances]
    picked, ranked, true = (part.positions / voxel_size for part in (selected, candidates, truth))
    return tuple(
        evaluate(picked, None, true, *criterion).ranked_by(evaluate(ranked, candidates.scores, true, *criterion))
        for criterion in (*criteria, (tolerances[0], "paper"))
    )
