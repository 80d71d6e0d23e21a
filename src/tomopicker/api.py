"""The Python interface: the functions and classes that scripts use; the commands call the same code.

>>> from tomopicker import api
>>> tomogram = api.open_tomogram("TS_0001.mrc")                                   # doctest: +SKIP
>>> clicks = api.read_picks("clicks.csv", [tomogram])                             # doctest: +SKIP
>>> model = api.train([tomogram], clicks, api.settings(particle_diameter=300))    # doctest: +SKIP
>>> other = api.open_tomogram("TS_0002.mrc")                                      # doctest: +SKIP
>>> picked = api.pick(other, model)                                               # doctest: +SKIP
>>> api.write_picks(picked.picks, {other.name: other.frame}, "TS_0002.star")      # doctest: +SKIP
>>> api.check([tomogram], clicks, diameter=300).faults                            # doctest: +SKIP
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tomopicker.cluster import features as _features
from tomopicker.cluster.pick_many import ManyPicked, pick_into
from tomopicker.cluster.settings import ClusterSettings, Engine
from tomopicker.cluster.work import Event, OnEvent, ignore_event
from tomopicker.config import Settings, resolve
from tomopicker.diagnostics.check import Checked, check
from tomopicker.diagnostics.findings import Finding, Status
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.evaluation.matching import MatchMethod
from tomopicker.evaluation.metrics import Evaluation, MeanEvaluation, mean_evaluation
from tomopicker.fewshot.features import Features
from tomopicker.fewshot.suggestions import Suggestion
from tomopicker.geometry import Frame
from tomopicker.io import open_tomogram, read_picks, volume_files, write_mrc, write_picks
from tomopicker.io.read_options import ReadOptions
from tomopicker.moments import Statistics, statistics
from tomopicker.output.evaluate import evaluate_picks
from tomopicker.output.pick_folder import PickFolder
from tomopicker.output.record import PickSettings
from tomopicker.picking.selection import Selection
from tomopicker.picks import Picks
from tomopicker.pipeline.features import features
from tomopicker.pipeline.instant import Instant, instant
from tomopicker.pipeline.pick import pick
from tomopicker.pipeline.picked import Picked
from tomopicker.pipeline.suggest import suggest
from tomopicker.pipeline.train import train
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model, load_model, save_model

__all__ = [
    "Checked",
    "ClusterSettings",
    "Evaluation",
    "Event",
    "Features",
    "Finding",
    "Frame",
    "Instant",
    "ManyPicked",
    "MeanEvaluation",
    "Model",
    "Picked",
    "Picks",
    "ReadOptions",
    "Selection",
    "Settings",
    "Statistics",
    "Status",
    "Suggestion",
    "TomoPickerError",
    "Tomogram",
    "UsageError",
    "check",
    "evaluate",
    "features",
    "features_many",
    "instant",
    "load_model",
    "open_tomogram",
    "pick",
    "pick_many",
    "read_picks",
    "save_model",
    "settings",
    "statistics",
    "suggest",
    "train",
    "volume_files",
    "write_mrc",
    "write_picks",
]


def settings(particle_diameter: float, preset: str = "default", **changes: Any) -> Settings:
    """Return the settings of a preset, with changes.

    Parameters
    ----------
    particle_diameter : float
        Å.
    preset : {"instant", "default", "best", "paper"}
        Name of the preset.
    changes
        Settings that differ from the preset, nested like `Settings`: ``training={"steps": 200}``.

    Raises
    ------
    UsageError
        If a setting does not exist or cannot have that value.
    """
    return resolve({"preset": preset, "particle_diameter": float(particle_diameter), **changes})


def pick_many(
    tomograms: Iterable[Path | str] | Path | str,
    model: Path | str,
    folder: Path | str,
    *,
    engine: Engine | ClusterSettings | None = None,
    workers: int | None = None,
    on_event: OnEvent = ignore_event,
    selection: Selection | None = None,
    star_format: str = "relion5",
    voxel_size: float | None = None,
    invert: bool = False,
    device: str | None = None,
    pictures: bool = True,
    overwrite: bool = False,
) -> ManyPicked:
    """Pick in many tomograms, into a folder as ``tomopicker pick`` writes it; what is done there is skipped.

    With an engine, a script must start under ``if __name__ == "__main__":``, as for `multiprocessing`.

    Parameters
    ----------
    tomograms : path, or iterable of paths
        Files, folders of them, or lists.
    model : Path or str
        From `train` and `save_model`.
    folder : Path or str
        Output folder.
    engine : {"local", "slurm", "pbs", "lsf", "sge"} or ClusterSettings, optional
        Where workers run; without it, tomograms are picked one by one in this process.
    workers : int, optional
        Maximum number of workers.
    on_event : callable
        Called with each `Event`.
    selection : Selection, optional
        Criterion of the selection among candidates.
    star_format : {"relion5", "relion4", "relion3", "warp"}
    voxel_size : float, optional
        Å, where headers are wrong.
    invert : bool
        Whether protein is bright in the files.
    device : str, optional
        The best available if left out.
    pictures : bool
        Whether to draw the picks of each.
    overwrite : bool
        Whether to pick again what is done.

    Returns
    -------
    ManyPicked

    Raises
    ------
    TomoPickerError
        If the run cannot start or continue; a tomogram that fails is reported in the result.
    """
    file = Path(model)
    loaded = load_model(file)
    reading = ReadOptions(voxel_size=voxel_size, invert=invert)
    settings = PickSettings(selection or Selection(), None, star_format, False, reading, device, pictures=pictures)
    results = PickFolder.open(Path(folder), file, loaded, settings, overwrite=overwrite)
    cluster = _cluster(engine, workers)
    return pick_into(results, volume_files(tomograms), file, loaded, cluster=cluster, on_event=on_event)


def features_many(
    tomograms: Iterable[Path | str] | Path | str,
    particle_diameter: float,
    *,
    engine: Engine | ClusterSettings | None = None,
    workers: int | None = None,
    **how: Any,
) -> dict[str, str]:
    """Compute the features of many tomograms into the folder in which `features` looks them up.

    Parameters
    ----------
    tomograms : path, or iterable of paths
        Files, folders of them, or lists.
    particle_diameter : float
        Å.
    engine, workers
        As for `pick_many`.
    how
        ``cache``, ``on_event``, ``device``, ``voxel_size``, ``invert``, ``options``, ``mask``, ``masks``, as for
        `tomopicker.cluster.features.features_many`.

    Returns
    -------
    dict of str to str
        Error of each tomogram that failed, by name.

    Raises
    ------
    TomoPickerError
        If a header cannot be read, or the run cannot continue.
    """
    cluster = _cluster(engine, workers)
    return _features.features_many(volume_files(tomograms), particle_diameter, cluster=cluster, **how)


def _cluster(engine: Engine | ClusterSettings | None, workers: int | None) -> ClusterSettings | None:
    settings = ClusterSettings(engine=engine) if isinstance(engine, str) else engine
    return settings if settings is None or workers is None else settings.model_copy(update={"workers": workers})


def evaluate(
    picks: Picks, truth: Picks, tolerance: float, matching: MatchMethod = "one-to-one"
) -> tuple[Mapping[str, Evaluation], MeanEvaluation]:
    """Evaluate picks against ground truth, tomogram by tomogram.

    Parameters
    ----------
    picks, truth : Picks
        Positions in Å. Every tomogram of the truth is evaluated, including those without picks.
    tolerance : float
        Maximum distance (Å) between a pick and the particle it matches.
    matching : {"one-to-one", "paper"}
        See `tomopicker.evaluation.metrics`.

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
    unknown = [name for name in picks.tomogram_names if name not in truth.tomogram_names]
    if unknown:
        raise UsageError(f"there is no truth for {', '.join(unknown[:8])}; leave these picks out or add their truth")
    evaluations = {}
    for name in truth.tomogram_names:
        evaluations[name] = evaluate_picks(picks.in_tomogram(name), truth.in_tomogram(name), tolerance, matching)
    return evaluations, mean_evaluation(evaluations)
