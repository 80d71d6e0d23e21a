"""Candidates of every method: scored peaks, a trained network's picks, another program's files; and its threshold.

Candidates below the threshold are kept for precision-recall curves; those above it are the picks.
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
"""Scores a working volume, given the particle's radius in voxels and the voxel size in Å."""

MAX_CANDIDATES = 20_000
"""Of a tomogram, for all methods alike."""


@dataclass(frozen=True)
class Predictions:
    """Output of one method on a data set, by tomogram.

    Candidates lie also below the threshold; picks score above it. Without a threshold every candidate is a pick, also
    those of a program that gives no scores. `expected` holds the method's own estimates of its metrics, if it has any.
    """

    candidates: Mapping[str, Picks]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    expected: Mapping[str, Expected] = field(default_factory=dict)

    def selected(self, tomogram: str) -> Picks:
        """Return the picks of a tomogram."""
        # Without a threshold all are picks, also those of a program that gives no scores.
        return above_threshold(self.candidates[tomogram], self.thresholds.get(tomogram))


def above_threshold(candidates: Picks, threshold: float | None) -> Picks:
    """Keep candidates above a threshold; all of them without one."""
    return candidates if threshold is None else candidates.select(candidates.scores > threshold)


def scored_candidates(tomogram: Tomogram, method: Method, protocol: Protocol, optics: Optics) -> Picks:
    """Score a tomogram with an untrained method (``dog``, ``ball`` or ``template``) and give the peaks, best first.

    They lie inside the lamella, with the default preset's spacing and border.
    """
    scorers: dict[str, Scorer] = {
        "dog": lambda volume, radius, _: difference_of_gaussians(volume, radius),
        "ball": lambda volume, radius, _: match_ball(volume, radius),
    }
    if (template := protocol.template) is not None:
        scorers["template"] = lambda volume, radius, size: match_template(volume, size, radius, template, optics)
    return _peaks(tomogram, protocol.particle_diameter, scorers[method.kind])


def ball_candidates(tomogram: Tomogram, particle_diameter: float) -> Picks:
    """Return the peaks of the correlation with a dark ball as wide as the particle (Å); see `scored_candidates`."""
    return _peaks(tomogram, particle_diameter, lambda volume, radius, _: match_ball(volume, radius))


def _peaks(tomogram: Tomogram, particle_diameter: float, scorer: Scorer) -> Picks:
    settings = resolve({"particle_diameter": particle_diameter, "picking": {"smoothing_fraction": 0.0}})
    scale = settings.preprocess.working_diameter
    voxel_size = working_voxel_size(tomogram.voxel_size, particle_diameter, scale)
    working = working_volume(tomogram, voxel_size, settings.preprocess)
    radius = particle_diameter / 2 / voxel_size
    scores = scorer(working.data, radius, voxel_size)
    peaks = find_peaks(scores, settings, radius, max_particles=MAX_CANDIDATES, mask=working.mask)
    last = (np.array(tomogram.shape[::-1]) - 1) * tomogram.voxel_size
    positions = np.clip(working.to_angstrom(peaks.positions_voxels), 0, last)
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
    """Train a network on the clicks of the training tomogram and pick every tomogram of a data set.

    The paper's preset gets the count of the **training** tomogram, as in the paper; so does a method with every
    particle labelled. Only presets whose learning rate follows a validation score use the
    validation tomogram.

    Returns
    -------
    predictions : Predictions
    facts : dict
        Resolved settings, provenance, device and training time in seconds.
    """
    settings = resolve(
        {"preset": method.preset, "particle_diameter": particle_diameter, "seed": seed, **method.settings}
    )
    states_count = settings.preset == "paper" or method.labelled == "all"
    if states_count and settings.expected_particles is None:
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
    picked = {name: pick(each, model, device=device, callback=callback) for name, each in data.tomograms.items()}
    predictions = Predictions(
        {name: each.candidates for name, each in picked.items()},
        {name: each.threshold for name, each in picked.items()},
        {name: Expected.from_picked(each) for name, each in picked.items()},
    )
    return predictions, facts


def external_picks(folder: Path, data: OpenDataSet) -> dict[str, Picks]:
    """Read another program's picks of every tomogram of a data set, without a threshold.

    The folder, or one in it named after the data set, holds a file named after each tomogram, in any format that
    `formats` reads. An empty file, or a header alone, means no picks.

    Raises `TomoPickerError` if a tomogram has no file, several, or one that cannot be read.
    """
    folder = folder / data.name if (folder / data.name).is_dir() else folder
    files = files_of_picks(folder, each=True)
    picks = {}
    for name in data.tomograms:
        fits = files_of(name, files)
        if not fits:
            raise UsageError(f"{folder}: no file of picks is named after {name}; add one, empty if nothing was found")
        if len(fits) > 1:
            named = ", ".join(file.name for file in fits[:4])
            raise UsageError(f"{folder}: the picks of {name} may be {named}; keep one")
        picks[name] = read_candidates(fits[0], data, name)
    return picks


def read_candidates(path: Path, data: OpenDataSet, tomogram: str) -> Picks:
    """Read the picks of one tomogram from a file that may hold none."""
    if io.has_no_picks(path):
        return Picks.of(tomogram, np.empty((0, 3)))
    return io.read_picks(path, {tomogram: data.tomograms[tomogram].frame})
