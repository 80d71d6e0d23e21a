"""Pseudo-labels: confident picks of the discriminant or of earlier networks, and ambiguous ones, in training tomograms.

Scores of another number of threads, or of another machine, differ in the last digits, and peaks with them. So the
pseudo-labels of a round are saved next to its checkpoint, and a resumed run reads them back.
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
from tomopicker.picking.calibration import Calibration
from tomopicker.picking.peaks import Peaks
from tomopicker.pipeline.instant_peaks import InstantPeaks, click_prior
from tomopicker.pipeline.peak_calibration import PeakSummary, calibrations
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram
from tomopicker.training.checkpoint import CHECKPOINT, load_tensors, save_tensors
from tomopicker.training.fingerprint import Fingerprint, check_same_run, tomogram_fingerprint
from tomopicker.training.labels import NO_POSITIONS
from tomopicker.types import Ambiguous, Negatives, Positions, PseudoPositives

Known: TypeAlias = Float64[np.ndarray, "known 3"]
Chances: TypeAlias = Float64[np.ndarray, " peaks"]
Pair: TypeAlias = tuple[PseudoPositives, Ambiguous]

KINDS = ("pseudo_positives", "ambiguous")


def pseudo_label(
    run: Run, clicked: Sequence[TrainingTomogram], networks: Sequence[nn.Module], rounds: int
) -> list[TrainingTomogram]:
    """Add pseudo-labels from the mean scores of networks to training tomograms.

    Parameters
    ----------
    run : Run
        With checkpoints, pseudo-labels are saved too, and a resumed run reads them.
    clicked : sequence of TrainingTomogram
        With clicks only.
    networks : sequence of Module
        Of all earlier rounds.
    rounds : int
        Number of earlier rounds.

    Raises
    ------
    TomoPickerError
        If the saved pseudo-labels belong to another run.
    """
    return _labelled(run, clicked, rounds, lambda: _found(run, clicked, networks, rounds))


def pseudo_label_by_discriminant(
    run: Run, clicked: Sequence[TrainingTomogram], find: Callable[[], Sequence[InstantPeaks]]
) -> list[TrainingTomogram]:
    """Add confident and ambiguous instant picks, from the peaks that `find` gives; else as `pseudo_label`."""
    return _labelled(run, clicked, 0, lambda: _labels_by_discriminant(run, clicked, find()))


def select_pseudo_labels(
    peaks: Peaks,
    probability: Chances,
    clicks: Positions,
    rejected: Negatives,
    radius: float,
    settings: Settings,
    limit: int,
) -> tuple[PseudoPositives, Ambiguous]:
    """Choose the pseudo-labels of the next round, and the ambiguous picks that it ignores.

    Parameters
    ----------
    peaks : Peaks
        Best first.
    probability : Chances
        Of each peak.
    clicks : Positions
    rejected : Negatives
        (x, y, z) in the voxels of the peaks. The ball of no pseudo-label reaches into their balls and shells.
    radius : float
        The particle's, in voxels.
    settings : Settings
    limit : int
        Largest number of pseudo-labels.

    Returns
    -------
    pseudo_positives : PseudoPositives
    ambiguous : Ambiguous
    """
    cfg = settings.self_training
    apart = (1 + settings.labels.radius_fraction) * radius + 1  # Balls are painted around the nearest voxels.
    known = np.concatenate([clicks, rejected])
    is_positive = _farther(peaks.positions_voxels, known, apart) & (probability >= cfg.positive_threshold)
    is_positive &= np.cumsum(is_positive) <= limit
    is_ambiguous = _farther(peaks.positions_voxels, clicks, radius) & (probability >= cfg.ignore_threshold)
    return peaks.positions_voxels[is_positive], peaks.positions_voxels[is_ambiguous & ~is_positive]


def _labelled(
    run: Run, clicked: Sequence[TrainingTomogram], rounds: int, find: Callable[[], list[Pair]]
) -> list[TrainingTomogram]:
    """Add pseudo-labels, new or from the file of an interrupted run, to tomograms."""
    saved = run.checkpoint and run.checkpoint.with_name(f"{run.checkpoint.name}.round{rounds + 1}.ckpt")
    fingerprint = _fingerprint(run.settings, clicked)
    if saved and run.resume and saved.exists():
        labels = _read(saved, fingerprint, len(clicked))
    else:
        labels = find()
        if saved:
            _write(saved, fingerprint, labels)
    return [
        replace(item, pseudo_positives=positives, ambiguous=ambiguous)
        for item, (positives, ambiguous) in zip(clicked, labels, strict=True)
    ]


def _found(run: Run, clicked: Sequence[TrainingTomogram], networks: Sequence[nn.Module], rounds: int) -> list[Pair]:
    """Choose pseudo-labels from the peaks of all training tomograms."""
    summaries = [run.summarize(networks, item) for item in clicked]
    starts_labelled = run.settings.starts_from_discriminant
    return _select(run, clicked, summaries, calibrations(summaries), rounds + starts_labelled)


def _labels_by_discriminant(run: Run, clicked: Sequence[TrainingTomogram], found: Sequence[InstantPeaks]) -> list[Pair]:
    if not found:
        return [(NO_POSITIONS, NO_POSITIONS)] * len(clicked)
    summaries = [item.summary for item in found]
    prior = click_prior([item for item in found if len(item.examples.clicks)])
    return _select(run, clicked, summaries, calibrations(summaries, prior=prior), 1)


def _select(
    run: Run,
    clicked: Sequence[TrainingTomogram],
    summaries: Sequence[PeakSummary],
    fits: Sequence[Calibration],
    growths: int,
) -> list[Pair]:
    cfg, labels = run.settings.self_training, []
    growth = cfg.max_label_growth**growths - 1
    least = cfg.first_labels if run.settings.starts_from_discriminant else 0
    for item, each, fit in zip(clicked, summaries, fits, strict=True):
        limit = max(round(len(item.clicks) * growth), least)
        chances = fit.probability(each.scores)
        labels.append(
            select_pseudo_labels(each.peaks, chances, item.clicks, item.rejected, run.radius, run.settings, limit)
        )
    return labels


def _farther(positions: Positions, known: Known, distance: float) -> Bool[np.ndarray, " n"]:
    if not len(known) or not len(positions):
        return np.ones(len(positions), dtype=bool)
    nearest, _ = cKDTree(known).query(positions)
    return np.asarray(nearest > distance)


def _write(path: Path, run: Fingerprint, labels: Sequence[Pair]) -> None:
    parts = {
        f"{kind}.{index}": torch.from_numpy(picks)
        for index, pair in enumerate(labels)
        for kind, picks in zip(KINDS, pair, strict=True)
    }
    save_tensors(path, CHECKPOINT, parts, {"run": run})


def _read(path: Path, run: Fingerprint, tomograms: int) -> list[Pair]:
    parts, facts = load_tensors(path, CHECKPOINT)
    check_same_run(path, facts.get("run"), run)
    pseudo_positives, ambiguous = ([parts[f"{kind}.{index}"].numpy() for index in range(tomograms)] for kind in KINDS)
    return list(zip(pseudo_positives, ambiguous, strict=True))


def _fingerprint(settings: Settings, clicked: Sequence[TrainingTomogram]) -> Fingerprint:
    return {
        "settings": settings.model_dump(mode="json"),
        "tomograms": [
            tomogram_fingerprint(item.name, item.working.data)
            | {
                "clicks": np.round(item.clicks, 3).tolist(),
                "negatives": np.round(item.rejected, 3).tolist(),
            }
            for item in clicked
        ],
    }
