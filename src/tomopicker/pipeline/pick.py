"""Pick one tomogram with a model: preprocess, score tile by tile, find peaks, calibrate, select."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32
from scipy.special import logit

from tomopicker.inference.tiles import Volumes
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.models.precision import choose_device
from tomopicker.picking.calibration import MIN_PROBABILITY, Calibration, probabilities
from tomopicker.picking.selection import Selection
from tomopicker.pipeline.callbacks import Callback, NullCallback, Prefixed
from tomopicker.pipeline.input_checks import MODEL, check_voxel_size
from tomopicker.pipeline.peak_calibration import summarize_peaks
from tomopicker.pipeline.picked import Picked, join_kinds, picks_of_peaks
from tomopicker.pipeline.provenance import clicks_in
from tomopicker.pipeline.scoring import decoy_of, find_peaks, prepare_network, score_working_volume
from tomopicker.preprocessing.preprocess import WorkingVolume, working_volume
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.types import Piece, Volume, VoxelMask


def pick(
    tomogram: Tomogram,
    model: Model,
    *,
    selection: Selection | None = None,
    min_distance: float | None = None,
    mask: VoxelMask | Literal["auto", "none"] | None = None,
    device: str | None = None,
    callback: Callback | None = None,
) -> Picked:
    """Pick the particles in one tomogram; with a model of several kinds, each position gets one kind.

    Kinds of an instant model that share a working voxel size are scored in one pass. Trained kinds have one network
    each and share the preprocessed tomogram.

    Parameters
    ----------
    tomogram : Tomogram
        Of any voxel size; resampled to the model's.
    model : Model
        From `train` or `load_model`.
    selection : Selection, optional
        Selection criterion, for each kind; the model's own threshold or the best expected F1 if left out.
    min_distance : float, optional
        Minimum distance of two picks, Å; derived from the particle diameter if left out.
    mask : VoxelMask or {"auto", "none"}, optional
        Specimen mask of the tomogram's shape: picks and statistics are restricted to it. ``auto`` detects the lamella,
        ``none`` uses the whole volume; as in training if left out.
    device : str, optional
        ``cpu``, ``cuda`` or ``mps``, regardless of where the model was trained; the best available if left out.
    callback : Callback, optional
        Receives the number of finished tiles.

    Returns
    -------
    Picked
        With several kinds, picks and candidates have a column ``kind``, and `Picked.kinds` holds each kind.

    Raises
    ------
    TomoPickerError
        If the tomogram contains NaN, is constant or too coarse, or the mask has another shape.
    """
    callback, chosen_device = callback or NullCallback(), choose_device(device)
    for each in model.kinds.values():
        check_voxel_size(tomogram, each.voxel_size, each.settings.particle_diameter, MODEL)
    found, volumes = dict[str, Picked](), dict[tuple[float, float, str], WorkingVolume]()
    for group in group_by_features(model.kinds):
        first = next(iter(group.values()))
        scale = (first.voxel_size, first.settings.preprocess.clip_sd, first.settings.preprocess.mask)
        if scale not in volumes:
            volumes[scale] = working_volume(tomogram, first.voxel_size, first.settings.preprocess, mask)
        working, is_whole = volumes[scale], len(group) == len(model.kinds)
        scores, decoy_scores = _score(
            group, working, chosen_device, tomogram.name, callback if is_whole else Prefixed(callback, ", ".join(group))
        )
        for index, (kind, each) in enumerate(group.items()):
            decoy = None if decoy_scores is None else decoy_scores[index]
            found[kind] = _pick_kind(tomogram, working, each, scores[index], decoy, selection, min_distance)
    if not model.others:
        return found[model.kind]
    return join_kinds(
        {kind: found[kind] for kind in model.kinds},
        {kind: each.settings.particle_diameter for kind, each in model.kinds.items()},
        selection,
        {kind: each.threshold for kind, each in model.kinds.items()},
    )


def group_by_features(models: Mapping[str, Model]) -> list[dict[str, Model]]:
    """Group models that score the same features: discriminants of one network at one scale."""
    groups: list[dict[str, Model]] = []
    for kind, model in models.items():
        for group in groups:
            if _same_features(next(iter(group.values())), model):
                group[kind] = model
                break
        else:
            groups.append({kind: model})
    return groups


def _same_features(one: Model, other: Model) -> bool:
    if not (isinstance(one.network, DiscriminantNetwork) and isinstance(other.network, DiscriminantNetwork)):
        return False
    same_size = other.settings.model_copy(update={"particle_diameter": one.settings.particle_diameter})
    if one.voxel_size != other.voxel_size or one.settings != same_size:
        return False
    weights = one.network.body.state_dict()
    same = (torch.equal(weights[name], tensor) for name, tensor in other.network.body.state_dict().items())
    return bool(one.network.shrinkage == other.network.shrinkage) and all(same)


def _score(
    models: Mapping[str, Model], working: WorkingVolume, device: torch.device, name: str, callback: Callback
) -> tuple[Volumes, Float32[np.ndarray, "heads _ _ _"] | None]:
    """Score a working volume, and its decoy for calibration, with models that share their features."""
    settings = next(iter(models.values())).settings
    first, *others = (model.network for model in models.values())
    network = prepare_network(first, working, settings, device, others)
    scores = score_working_volume(
        network, working.data, settings, device, working.mask, partial(callback.on_score, name)
    )
    if all(model.particle_scores is None for model in models.values()):
        return scores, None
    return scores, score_working_volume(network, decoy_of(working, settings), settings, device)


def _pick_kind(
    tomogram: Tomogram,
    working: WorkingVolume,
    model: Model,
    logits: Volume,
    decoy_scores: Piece | None,
    selection: Selection | None,
    min_distance: float | None,
) -> Picked:
    """Find the peaks of one kind's scores, calibrate them against those of the decoy, and select."""
    prior, settings, radius = model.particle_scores, model.settings, model.radius
    distance = None if min_distance is None else min_distance / model.voxel_size
    calibration: Calibration | None = None
    probability: Callable[[np.ndarray], np.ndarray] = partial(probabilities, offset=model.offset)
    if prior is not None and decoy_scores is not None:
        peaks = find_peaks(logits, settings, radius, min_distance=distance, mask=working.mask)
        calibration = summarize_peaks(peaks, find_peaks(decoy_scores, settings, radius), radius).calibrate(prior)
        probability = calibration.probability
    else:
        threshold = float(logit(MIN_PROBABILITY)) - model.offset
        peaks = find_peaks(logits, settings, radius, threshold, min_distance=distance, mask=working.mask)
    return picks_of_peaks(
        tomogram, working, logits, peaks, probability, calibration,
        clicks=clicks_in(model.provenance, tomogram), selection=selection, default_threshold=model.threshold,
        displacement=model.displacement,
    )  # fmt: skip
