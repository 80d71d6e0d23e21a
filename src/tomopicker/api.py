"""What a person calls from Python; the commands do no more than parse and call this.

>>> from tomopicker import api
>>> tomogram = api.open_tomogram("TS_0001.mrc")                                   # doctest: +SKIP
>>> clicks = api.read_picks("clicks.csv", [tomogram])                             # doctest: +SKIP
>>> model = api.train([tomogram], clicks, api.settings(particle_diameter=300))    # doctest: +SKIP
>>> other = api.open_tomogram("TS_0002.mrc")                                      # doctest: +SKIP
>>> picked = api.pick(other, model)                                               # doctest: +SKIP
>>> api.write_picks(picked.picks, {other.name: other.frame}, "TS_0002.star")      # doctest: +SKIP
>>> api.check([tomogram], clicks, diameter=300).faults                            # doctest: +SKIP
"""

from collections.abc import Mapping
from typing import Any

from tomopicker.checking.check import Checked, check
from tomopicker.checking.verdict import Finding, Status
from tomopicker.config import Settings, resolve
from tomopicker.data.statistics import Statistics, statistics
from tomopicker.engine.checkpoint import Model, load_model, save_model
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.folder.judge import evaluate_picks
from tomopicker.formats import open_tomogram, read_picks, volume_files, write_mrc, write_picks
from tomopicker.formats.stored import Stored
from tomopicker.geometry import Frame
from tomopicker.picking.evaluate import Evaluation, MatchMethod, MeanEvaluation, mean_evaluation
from tomopicker.picking.selection import Cut
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.workflow.pick import Picked, pick
from tomopicker.workflow.train import train
from tomopicker.workflow.train_to_file import train_to_file

__all__ = [
    "Checked",
    "Cut",
    "Evaluation",
    "Finding",
    "Frame",
    "MeanEvaluation",
    "Model",
    "Picked",
    "Picks",
    "Settings",
    "Statistics",
    "Status",
    "Stored",
    "TomoPickerError",
    "Tomogram",
    "UsageError",
    "check",
    "evaluate",
    "load_model",
    "open_tomogram",
    "pick",
    "read_picks",
    "save_model",
    "settings",
    "statistics",
    "train",
    "train_to_file",
    "volume_files",
    "write_mrc",
    "write_picks",
]


def settings(particle_diameter: float, preset: str = "default", **changes: Any) -> Settings:
    """Give the settings of a preset, with changes.

    Parameters
    ----------
    particle_diameter : float
        Å.
    preset : {"fast", "default", "best", "paper"}
        Where to start.
    changes
        Nested like `Settings`: ``training={"steps": 200}``.

    Raises
    ------
    UsageError
        If a setting does not exist or cannot have that value.
    """
    return resolve({"preset": preset, "particle_diameter": float(particle_diameter), **changes})


def evaluate(
    picks: Picks, truth: Picks, tolerance: float, matching: MatchMethod = "one-to-one"
) -> tuple[Mapping[str, Evaluation], MeanEvaluation]:
    """Judge picks against the truth, tomogram by tomogram.

    Parameters
    ----------
    picks, truth : Picks
        Positions in Å. Every tomogram of the truth is judged, also one without picks.
    tolerance : float
        Å within which a pick and a particle are the same.
    matching : {"one-to-one", "paper"}
        See `tomopicker.picking.evaluate`.

    Returns
    -------
    evaluations : mapping of str to Evaluation
        By tomogram.
    mean : MeanEvaluation
        Plain mean over tomograms.

    Raises
    ------
    UsageError
        If picks lie in a tomogram that the truth does not have.
    """
    strangers = [name for name in picks.tomogram_names if name not in truth.tomogram_names]
    if strangers:
        raise UsageError(f"no truth is given for {', '.join(strangers[:8])}; leave these picks out or add their truth")
    evaluations = {}
    for name in truth.tomogram_names:
        evaluations[name] = evaluate_picks(picks.in_tomogram(name), truth.in_tomogram(name), tolerance, matching)
    return evaluations, mean_evaluation(evaluations)
