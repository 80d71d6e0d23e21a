"""Pseudo-labels: confident picks of the discriminant or of earlier networks, and ambiguous ones, in training tomograms.

Scores of another number of threads, or of another machine, differ in the last digits, and peaks with them. So what a
round learns from is kept in a file beside its checkpoint, and a resumed run reads it back.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float64
from scipy.spatial import cKDTree
from torch import nn

from tomopicker.config import Settings
from tomopicker.geometry import Frame
from tomopicker.picking.calibration import Calibration
from tomopicker.picking.peaks import Peaks
from tomopicker.pipeline.callbacks import NullCallback
from tomopicker.pipeline.instant import click_prior
from tomopicker.pipeline.instant_model import found_in_training
from tomopicker.pipeline.trainer import PeakSummary, Run, calibrations
from tomopicker.pipeline.training_data import TrainingTomogram, number_of_clicks
from tomopicker.training.checkpoint import CHECKPOINT, load_tensors, save_tensors
from tomopicker.training.fingerprint import Fingerprint, check_same_run, tomogram_fingerprint
from tomopicker.training.labels import NO_POSITIONS
from tomopicker.types import Ambiguous, Negatives, Positions, PseudoPositives

Known: TypeAlias = Float64[np.ndarray, "known 3"]
Chances: TypeAlias = Float64[np.ndarray, " peaks"]
Pair: TypeAlias = tuple[PseudoPositives, Ambiguous]

KINDS = ("sure", "doubtful")


def pseudo_label(
    run: Run, clicked: Sequence[TrainingTomogram], networks: Sequence[nn.Module], rounds: int
) -> list[TrainingTomogram]:
    """Add to tomograms what the mean scores of some networks are sure of, and what they doubt.

    Parameters
    ----------
    run : Run
        Where it has checkpoints, the picks are kept there; a resumed run takes them from there.
    clicked : sequence of TrainingTomogram
        As the user clicked.
    networks : sequence of Module
        Of all rounds so far.
    rounds : int
        That there were so far.

    Raises
    ------
    TomoPickerError
        If the file of an interrupted run is of another run.
    """
    return _labelled(run, clicked, rounds, lambda: _found(run, clicked, networks, rounds))


def pseudo_label_by_discriminant(
    run: Run, clicked: Sequence[TrainingTomogram], frames: Sequence[Frame]
) -> list[TrainingTomogram]:
    """Add to tomograms the confident and the ambiguous instant picks; nothing is trained for that.

    Parameters
    ----------
    run : Run
        Where it has checkpoints, the picks are kept there; a resumed run takes them from there.
    clicked : sequence of TrainingTomogram
        As the user clicked.
    frames : sequence of Frame
        Of the same tomograms.

    Raises
    ------
    TomoPickerError
        If the file of an interrupted run is of another run.
    """
    return _labelled(run, clicked, 0, lambda: _found_by_discriminant(run, clicked, frames))


def select_pseudo_labels(
    peaks: Peaks,
    probability: Chances,
    clicks: Positions,
    rejected: Negatives,
    radius: float,
    settings: Settings,
    most: int,
) -> tuple[PseudoPositives, Ambiguous]:
    """Choose what the next round learns from, and what it takes neither for a particle nor for background.

    Parameters
    ----------
    peaks : Peaks
        Best first.
    probability : Chances
        Of each peak.
    clicks : Positions
    rejected : Negatives
        In the voxels of the peaks. Their balls and shells stay what they are: no sure pick's reaches into them.
    radius : float
        The particle's, in voxels.
    settings : Settings
    most : int
        Of the sure ones.

    Returns
    -------
    sure : PseudoPositives
    doubtful : Ambiguous
    """
    cfg = settings.self_training
    apart = (1 + settings.labels.radius_fraction) * radius + 1  # Balls are painted around the nearest voxels.
    known = np.concatenate([clicks, rejected])
    sure = _farther(peaks.positions_voxels, known, apart) & (probability >= cfg.positive_threshold)
    sure &= np.cumsum(sure) <= most
    doubtful = _farther(peaks.positions_voxels, clicks, radius) & (probability >= cfg.ignore_threshold) & ~sure
    return peaks.positions_voxels[sure], peaks.positions_voxels[doubtful]


def _labelled(
    run: Run, clicked: Sequence[TrainingTomogram], rounds: int, find: Callable[[], list[Pair]]
) -> list[TrainingTomogram]:
    """Add what is found, or what the file of an interrupted run holds, to tomograms."""
    kept = run.checkpoint and run.checkpoint.with_name(f"{run.checkpoint.name}.round{rounds + 1}.ckpt")
    fingerprint = _fingerprint(run.settings, clicked)
    if kept and run.resume and kept.exists():
        found = _read(kept, fingerprint, len(clicked))
    else:
        found = find()
        if kept:
            _write(kept, fingerprint, found)
    return [replace(item, sure=sure, doubtful=doubtful) for item, (sure, doubtful) in zip(clicked, found, strict=True)]


def _found(run: Run, clicked: Sequence[TrainingTomogram], networks: Sequence[nn.Module], rounds: int) -> list[Pair]:
    """Find the peaks of tomogram after tomogram, then judge those of all."""
    seen = [run.seen(networks, item) for item in clicked]
    labelled_before = run.settings.starts_from_discriminant(number_of_clicks(clicked))
    return _chosen(run, clicked, seen, calibrations(seen), rounds + labelled_before)


def _found_by_discriminant(run: Run, clicked: Sequence[TrainingTomogram], frames: Sequence[Frame]) -> list[Pair]:
    found = found_in_training(
        run, clicked, frames, NullCallback()
    )  # Training has warned of clicks outside the specimen.
    if not found:
        return [(NO_POSITIONS, NO_POSITIONS)] * len(clicked)
    seen = [item.seen for item in found]
    prior = click_prior([item for item in found if len(item.given.clicks)])
    return _chosen(run, clicked, seen, calibrations(seen, prior=prior), 1)


def _chosen(
    run: Run,
    clicked: Sequence[TrainingTomogram],
    seen: Sequence[PeakSummary],
    fits: Sequence[Calibration],
    growths: int,
) -> list[Pair]:
    cfg, found = run.settings.self_training, []
    growth = cfg.max_label_growth**growths - 1
    least = cfg.first_labels if run.settings.starts_from_discriminant(number_of_clicks(clicked)) else 0
    for item, each, fit in zip(clicked, seen, fits, strict=True):
        most = max(round(len(item.clicks) * growth), least)
        chances = fit.probability(each.scores)
        found.append(
            select_pseudo_labels(each.peaks, chances, item.clicks, item.rejected, run.radius, run.settings, most)
        )
    return found


def _farther(positions: Positions, known: Known, distance: float) -> Bool[np.ndarray, " n"]:
    if not len(known) or not len(positions):
        return np.ones(len(positions), dtype=bool)
    nearest, _ = cKDTree(known).query(positions)
    return np.asarray(nearest > distance)


def _write(path: Path, run: Fingerprint, found: Sequence[Pair]) -> None:
    parts = {
        f"{kind}.{index}": torch.from_numpy(picks)
        for index, pair in enumerate(found)
        for kind, picks in zip(KINDS, pair, strict=True)
    }
    save_tensors(path, CHECKPOINT, parts, {"run": run})


def _read(path: Path, run: Fingerprint, tomograms: int) -> list[Pair]:
    parts, facts = load_tensors(path, CHECKPOINT)
    check_same_run(path, facts.get("run"), run)
    sure, doubtful = ([parts[f"{kind}.{index}"].numpy() for index in range(tomograms)] for kind in KINDS)
    return list(zip(sure, doubtful, strict=True))


def _fingerprint(settings: Settings, clicked: Sequence[TrainingTomogram]) -> Fingerprint:
    return {
        "settings": settings.model_dump(mode="json"),
        "tomograms": [
            tomogram_fingerprint(item.name, item.working.data)
            | {
                "clicks": np.round(item.clicks, 3).tolist(),
                "rejected picks": np.round(item.rejected, 3).tolist(),
            }
            for item in clicked
        ],
    }
