"""Pseudo-labels: confident instant picks in the training tomograms, and ambiguous picks that are ignored.

Clicks cover few particles in few orientations, and every other particle counts as background. The network therefore
also learns from pseudo-labels (self-training, cf. Xie et al., CVPR 2020) made by the discriminant of the clicks.
Tomograms without clicks and validation tomograms get none.

The last digits of scores, and hence peaks, depend on the number of threads and the machine. Pseudo-labels are therefore
saved next to the checkpoint and read back by a resumed run.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float64
from scipy.spatial import cKDTree

from tomopicker.config import Settings
from tomopicker.fewshot.features import Features
from tomopicker.picking.peaks import Peaks
from tomopicker.pipeline.callbacks import NullCallback
from tomopicker.pipeline.instant_model import peaks_in_training
from tomopicker.pipeline.instant_peaks import click_prior
from tomopicker.pipeline.peak_calibration import calibrations, separation
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
MIN_SEPARATION = 2 / 3
"""Minimum `separation` of instant picks for pseudo-labels. On simulated ribosomes and fatty-acid synthases it was 0.72
to 0.94 and all labels were right; on 20S proteasomes 0.55 to 0.58, and two thirds of the labels were wrong."""


def with_pseudo_labels(
    run: Run, clicked: Sequence[TrainingTomogram], computed: dict[str, Features] | None = None
) -> Sequence[TrainingTomogram]:
    """Add pseudo-labels to training tomograms, if the settings ask for them.

    Parameters
    ----------
    run : Run
        Pseudo-labels are saved with its checkpoints, and read by a resumed run.
    clicked : sequence of TrainingTomogram
        Training tomograms with clicks only.
    computed : dict of str to Features, optional
        Features computed already, for other kinds of particle; features computed here are added.

    Raises
    ------
    TomoPickerError
        If the saved pseudo-labels belong to another run.
    """
    if not run.settings.has_pseudo_labels:
        return clicked
    saved = run.checkpoint and run.checkpoint.with_name(f"{run.checkpoint.name}.labels.ckpt")
    fingerprint = _fingerprint(run.settings, clicked)
    if saved and run.resume and saved.exists():
        labels = _read(saved, fingerprint, len(clicked))
    else:
        labels = _find_pseudo_labels(run, clicked, computed)
        if saved:
            _write(saved, fingerprint, labels)
    added, ignored = (sum(map(len, kind)) for kind in zip(*labels, strict=True))
    run.callback.log(
        f"Pseudo-labels: {added} confident instant picks; {ignored} ambiguous ones are ignored."
        if added or ignored
        else "Pseudo-labels: none, instant picks hardly tell these particles from others; clicks alone are trained on."
    )
    return [
        replace(item, pseudo_positives=positives, ambiguous=ambiguous)
        for item, (positives, ambiguous) in zip(clicked, labels, strict=True)
    ]


def select_pseudo_labels(
    peaks: Peaks,
    probability: Chances,
    clicks: Positions,
    rejected: Negatives,
    radius: float,
    settings: Settings,
    limit: int,
) -> tuple[PseudoPositives, Ambiguous]:
    """Select pseudo-labels, and ambiguous picks to ignore.

    Parameters
    ----------
    peaks : Peaks
        Best first.
    probability : Chances
        Probability of each peak.
    rejected : Negatives
        (x, y, z) in the voxels of the peaks. Spheres of pseudo-labels never overlap those around negatives.
    radius : float
        The particle's, in voxels.
    limit : int
        Maximum number of pseudo-labels.

    Returns
    -------
    pseudo_positives : PseudoPositives
    ambiguous : Ambiguous
    """
    cfg = settings.pseudo_labels
    apart = (1 + settings.labels.radius_fraction) * radius + 1  # Balls are painted around the nearest voxels.
    known = np.concatenate([clicks, rejected])
    is_positive = _farther_than(peaks.positions_voxels, known, apart) & (probability >= cfg.positive_threshold)
    is_positive &= np.cumsum(is_positive) <= limit
    is_ambiguous = _farther_than(peaks.positions_voxels, clicks, radius) & (probability >= cfg.ignore_threshold)
    return peaks.positions_voxels[is_positive], peaks.positions_voxels[is_ambiguous & ~is_positive]


def _find_pseudo_labels(
    run: Run, clicked: Sequence[TrainingTomogram], computed: dict[str, Features] | None
) -> list[Pair]:
    none = [(NO_POSITIONS, NO_POSITIONS)] * len(clicked)
    # No warnings: training has already warned of clicks outside the specimen.
    found = peaks_in_training(run, clicked, NullCallback(), computed)
    if not found:
        return none
    summaries = [item.summary for item in found]
    fits = calibrations(summaries, prior=click_prior(found))
    if separation(summaries, fits) < MIN_SEPARATION:
        return none
    return [
        select_pseudo_labels(
            each.peaks, fit.probability(each.scores), item.clicks, item.rejected, run.radius, run.settings,
            max(len(item.clicks), run.settings.pseudo_labels.limit),
        )
        for item, each, fit in zip(clicked, summaries, fits, strict=True)
    ]  # fmt: skip


def _farther_than(positions: Positions, known: Known, distance: float) -> Bool[np.ndarray, " n"]:
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
