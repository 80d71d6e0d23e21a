"""Provenance of a model: versions, inputs, class priors and training history."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tomopicker import __version__
from tomopicker.picking.calibration import Count
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.training_data import TrainingTomogram
from tomopicker.pipeline.training_input import TrainingInput
from tomopicker.pu.prior import Priors
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.training.loop import History


def provenance(
    inputs: TrainingInput,
    clicked: Sequence[TrainingTomogram],
    particles: float | None,
    counted: Count | None,
    *,
    priors: Priors | None = None,
    history: History | None = None,
) -> dict[str, Any]:
    """Collect the provenance of a model as JSON values.

    Parameters
    ----------
    clicked : sequence of TrainingTomogram
        The same tomograms, preprocessed.
    particles : float or None
        Number of particles in the training tomograms, given by the user or counted.
    counted : Count or None
        Count from the scores of clicks.
    history : History, optional
        Training history of the network.
    """
    inside = {item.name: round(item.working.mask_fraction, 4) for item in clicked}
    rejected = inputs.negatives

    def describe(tomogram: Tomogram) -> dict[str, Any]:
        return {
            "name": tomogram.name,
            "file": str(tomogram.path) if tomogram.path else None,
            "shape_zyx": list(tomogram.shape),
            "voxel_size_angstrom": tomogram.voxel_size,
            "inverted": tomogram.inverted,
            "clicks": int((inputs.clicks.tomograms == tomogram.name).sum()),
            "rejected": 0 if rejected is None else int((rejected.tomograms == tomogram.name).sum()),
            "specimen_fraction": inside[tomogram.name],
        }

    return {
        "tomopicker": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "training": [describe(tomogram) for tomogram in inputs.tomograms],
        "validation": [tomogram.name for tomogram in inputs.validation_tomograms],
        "particles": particles,
        "particles_counted": None if counted is None else {k: round(v, 1) for k, v in asdict(counted).items()},
        "particles_estimated": counted is not None and particles == counted.estimate,
        "priors": None if priors is None else {"pi": priors.labelled, "pi1": priors.expected, "pi2": priors.unlabelled},
        "history": history or [],
    }


def clicks_in(origin: Mapping[str, Any], tomogram: Tomogram) -> int:
    """Return the number of training clicks in a tomogram of this name, shape and voxel size (within 1%)."""
    return sum(
        each.get("clicks", 0)
        for each in origin.get("training", [])
        if each["name"] == tomogram.name
        and list(each["shape_zyx"]) == list(tomogram.shape)
        and abs(each["voxel_size_angstrom"] / tomogram.voxel_size - 1) < 0.01
    )


def announce_model(file: Path, model: Model, callback: Callback) -> None:
    """Log the kinds of particle that a model picks, and issue its warnings."""
    for kind, each in model.kinds.items():
        name = f"{file}: {kind}" if model.others else f"{file}"
        size = each.settings.particle_diameter
        callback.log(f"{name}: particles of {size:g} Å, voxels of {each.voxel_size:.4g} Å.")
        for warning in each.warnings:
            callback.warn(f"{name}: {warning}")


def trained_inverted(file: Path, model: Model, callback: Callback) -> bool:
    """Return True, and log it, if protein was bright in all training tomograms of a model."""
    training = model.provenance.get("training", [])
    inverted = bool(training) and all(each.get("inverted", False) for each in training)
    if inverted:
        callback.log(f"{file}: was trained with --invert, so protein is taken to be bright (--no-invert: dark).")
    return inverted


def training_density(origin: Mapping[str, Any]) -> float | None:
    """Return the particle density (per Å³ of specimen) of the training tomograms; None if they were not counted."""
    particles, training = origin.get("particles"), origin.get("training", [])
    volume = sum(
        float(np.prod(each["shape_zyx"])) * each["voxel_size_angstrom"] ** 3 * each.get("specimen_fraction", 1.0)
        for each in training
    )
    return float(particles) / volume if particles and volume else None
