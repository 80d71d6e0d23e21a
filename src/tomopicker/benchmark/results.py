"""One folder a run: `result.json` with settings, versions and figures, and the candidates of every tomogram as CSV."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from tomopicker import __version__, formats
from tomopicker.benchmark.dataset import OpenDataSet, Role
from tomopicker.benchmark.expected import Expected
from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.picking.evaluate import Evaluation
from tomopicker.picks import Picks

RESULT = "result.json"


class Judged(BaseModel):
    """One tomogram of a run: what it was for, its figures of merit, and what the method expected of them, if any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    evaluations: tuple[Evaluation, ...]
    expected: Expected | None = None


class Result(BaseModel):
    """What became of one run.

    Parameters
    ----------
    dataset, method : str
        As the protocol calls them.
    clicks, seed : int or None
        None where a method has none.
    asked : dict
        All of the protocol that decides the outcome; another one makes the run stale.
    status : {"done", "failed"}
    error : str or None
        What a failed run said.
    threshold : float or None
        The method's own; None if its picks are as they came.
    seconds : float
        Training, picking and judging.
    facts : dict
        What else the method tells of itself.
    versions : dict
        Of the program and what it stands on.
    tomograms : dict
        By name; empty after a failure.
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
    tomograms: dict[str, Judged] = {}


def versions() -> dict[str, str]:
    """Give the versions that a result was made with."""
    return {
        "tomopicker": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.platform(),
    }


def write_result(folder: Path, result: Result) -> None:
    """Write a run's result, whole or not at all."""
    content = json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_text(folder / RESULT, content + "\n")


def read_result(folder: Path) -> Result | None:
    """Read a run's result; None if there is none yet.

    Raises
    ------
    TomoPickerError
        If the file is there and is no result.
    """
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        return Result.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise TomoPickerError(f"{path}: is not a result of this version; remove it to have it made again") from error


def write_candidates(folder: Path, picks: Mapping[str, Picks], data: OpenDataSet) -> None:
    """Write the candidates of a run, a CSV a tomogram."""
    for name, mine in picks.items():
        formats.write_picks(mine, {name: data.tomograms[name].frame}, folder / f"{name}.csv")


def read_candidates(folder: Path, data: OpenDataSet, tomogram: str) -> Picks:
    """Read the candidates of one tomogram again."""
    path = folder / f"{tomogram}.csv"
    if formats.has_no_picks(path):
        return Picks.of(tomogram, np.empty((0, 3)))
    return formats.read_picks(path, {tomogram: data.tomograms[tomogram].frame})
