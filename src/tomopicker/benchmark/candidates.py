"""Candidates of each kind of method: peaks of a score volume, picks of a trained network, files of another program.

Candidates above the method's threshold are its picks; those below are kept for precision-recall curves.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import io
from tomopicker.benchmark.dataset import OpenDataSet
from tomopicker.benchmark.methods import Method
from tomopicker.benchmark.protocol import Optics, Protocol
from tomopicker.benchmark.results import Expected
from tomopicker.benchmark.scorers import difference_of_gaussians, match_ball, match_template
from tomopicker.config import resolve
from tomopicker.errors import UsageError
from tomopicker.io.tomogram_names import files_of
from tomopicker.models.precision import choose_device
from tomopicker.output.find import files_of_picks
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.pick import pick
from tomopicker.pipeline.scoring import find_peaks
from tomopicker.pipeline.train import train
from tomopicker.preprocessing.preprocess import working_volume, working_voxel_size
from tomopicker.tomogram import Tomogram
from tomopicker.types import Volume

Scorer = Callable[[Volume, float, float], Volume]
"""Scores a working volume from the particle's radius in voxels and the voxel size in Å."""

MAX_CANDIDATES = 20_000
"""Maximum number of candidates per tomogram, for every method."""


@dataclass(frozen=True)
class Predictions:
    """Output of a method on a data set, by tomogram.

    Picks are the candidates above the threshold. Without a threshold all candidates are picks, including those of a
    program that writes no scores. `expected` has the method's own estimates of its metrics, if any.
    """

    candidates: Mapping[str, Picks]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    expected: Mapping[str, Expected] = field(default_factory=dict)

    def selected(self, tomogram: str) -> Picks:
        """Return the picks of a tomogram."""
        return above_threshold(self.candidates[tomogram], self.thresholds.get(tomogram))


def above_threshold(candidates: Picks, threshold: float | None) -> Picks:
    """Return the candidates above a threshold, or all if there is none."""
    return candidates if threshold is None else candidates.select(candidates.scores > threshold)


def scored_candidates(tomogram: Tomogram, method: Method, protocol: Protocol, optics: Optics) -> Picks:
    """Return the peaks of an untrained method (dog, ball or template), best first; see `_find_candidates`."""
    scorers: dict[str, Scorer] = {
        "dog": lambda volume, radius, _: difference_of_gaussians(volume, radius),
        "ball": lambda volume, radius, _: match_ball(volume, radius),
    }
    if (template := protocol.template) is not None:
        scorers["template"] = lambda volume, radius, size: match_template(volume, size, radius, template, optics)
    return _find_candidates(tomogram, protocol.particle_diameter, scorers[method.kind])


def ball_candidates(tomogram: Tomogram, particle_diameter: float) -> Picks:
    """Return the peaks of the correlation with a dark ball as wide as the particle (Å); see `_find_candidates`."""
    return _find_candidates(tomogram, particle_diameter, lambda volume, radius, _: match_ball(volume, radius))


def _find_candidates(tomogram: Tomogram, particle_diameter: float, scorer: Scorer) -> Picks:
    """Score a tomogram and return the peaks inside the lamella, best first.

    The particle diameter is in Å; spacing and border are those of the default preset.
    """
    settings = resolve({"particle_diameter": particle_diameter, "picking": {"smoothing_fraction": 0.0}})
    scale = settings.preprocess.working_diameter
    voxel_size = working_voxel_size(tomogram.voxel_size, particle_diameter, scale)
    working = working_volume(tomogram, voxel_size, settings.preprocess)
    radius = particle_diameter / 2 / voxel_size
    scores = scorer(working.data, radius, voxel_size)
    peaks = find_peaks(scores, settings, radius, max_particles=MAX_CANDIDATES, mask=working.mask)
    positions = np.clip(working.to_angstrom(peaks.positions_voxels), 0, tomogram.frame.last_voxel)
    return Picks.of(tomogram.name, positions, peaks.scores.astype(np.float64))


def train_and_pick(
    method: Method,
    data: OpenDataSet,
    clicks: Picks,
    validation_clicks: Picks | None,
    particle_diameter: float,
    seed: int,
    device: str | None,
    callback: Callback,
) -> tuple[Predictions, dict[str, Any]]:
    """Train a network on clicks in the training tomogram and pick every tomogram of a data set.

    The paper's preset is given the number of particles in the **training** tomogram, as in the paper; so is a method
    with every particle labelled. Only presets whose learning rate follows a validation score use the validation
    tomogram.

    Returns
    -------
    predictions : Predictions
    facts : dict
        Resolved settings, provenance, device and training time in seconds.
    """
    settings = resolve(
        {"preset": method.preset, "particle_diameter": particle_diameter, "seed": seed, **method.settings}
    )
    count_is_given = settings.preset == "paper" or method.labelled == "all"
    if count_is_given and settings.expected_particles is None:
        expected = float(len(data.truth[data.training.name]))
        settings = settings.model_copy(update={"expected_particles": expected})
    validation = data.validation if settings.training.schedule == "plateau" else None
    started = time.monotonic()
    model = train(
        [data.training], clicks, settings,
        validation_tomograms=() if validation is None else (validation,), validation_picks=validation_clicks,
        device=device, callback=callback,
    )  # fmt: skip
    facts = {
        "settings": settings.model_dump(mode="json"),
        "training_seconds": time.monotonic() - started,
        "device": str(choose_device(device)),
        "origin": {key: value for key, value in model.provenance.items() if key != "history"},
    }
    picked = {
        name: pick(tomogram, model, device=device, callback=callback) for name, tomogram in data.tomograms.items()
    }
    predictions = Predictions(
        {name: result.candidates for name, result in picked.items()},
        {name: result.threshold for name, result in picked.items()},
        {name: Expected.from_picked(result) for name, result in picked.items()},
    )
    return predictions, facts


def external_picks(folder: Path, data: OpenDataSet) -> dict[str, Picks]:
    """Read another program's picks of every tomogram of a data set.

    The folder, or its subfolder named after the data set, has one file named after each tomogram, in any format that
    `tomopicker.io` reads. A file that is empty or has only a header means no picks.

    Raises `TomoPickerError` if a tomogram has no file, or several, or one that cannot be read.
    """
    folder = folder / data.name if (folder / data.name).is_dir() else folder
    files = files_of_picks(folder, each=True)
    picks = {}
    for name in data.tomograms:
        matching = files_of(name, files)
        if not matching:
            raise UsageError(f"{folder}: no file of picks is named after {name}; add one, empty if nothing was found")
        if len(matching) > 1:
            names = ", ".join(file.name for file in matching[:4])
            raise UsageError(f"{folder}: several files may have the picks of {name}: {names}; keep one")
        picks[name] = read_candidates(matching[0], data, name)
    return picks


def read_candidates(path: Path, data: OpenDataSet, tomogram: str) -> Picks:
    """Read the candidates of a tomogram from a file that may be empty."""
    if io.has_no_picks(path):
        return Picks.of(tomogram, np.empty((0, 3)))
    return io.read_picks(path, {tomogram: data.tomograms[tomogram].frame})
