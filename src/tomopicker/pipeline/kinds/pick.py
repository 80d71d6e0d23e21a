"""Picking with a model of any number of kinds."""

from collections.abc import Mapping
from typing import Literal

import torch

from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.picking.selection import Cut
from tomopicker.pipeline import pick as one_kind
from tomopicker.pipeline.callbacks import Callback, NullCallback, Prefixed
from tomopicker.pipeline.kinds.joined import joined
from tomopicker.pipeline.pick import Picked
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.types import VoxelMask


def pick(
    tomogram: Tomogram,
    model: Model,
    *,
    cut: Cut | None = None,
    min_distance: float | None = None,
    mask: VoxelMask | Literal["auto", "none"] | None = None,
    device: str | None = None,
    callback: Callback | None = None,
) -> Picked:
    """Pick the particles of one tomogram; with a model of several kinds, those of all, and each place once.

    Kinds of an instant model are scored in one pass where their working voxel size is the same. Trained kinds have a
    network each; they share the preprocessed tomogram.

    Parameters
    ----------
    tomogram, model, cut, min_distance, mask, device, callback
        As in `tomopicker.pipeline.pick.pick`; the cut is made in each kind's own list.

    Returns
    -------
    Picked
        Of several kinds: picks and candidates have the column ``kind``, and `Picked.kinds` has each by itself.

    Raises
    ------
    TomoPickerError
        If the tomogram cannot be used: NaN, constant, too coarse, or a mask of another shape.
    """
    if not model.others:
        return one_kind.pick(
            tomogram, model, cut=cut, min_distance=min_distance, mask=mask, device=device, callback=callback
        )
    callback, found = callback or NullCallback(), dict[str, Picked]()
    scales: dict[tuple[float, float, str], WorkingVolume] = {}
    for group in sharing(model.kinds):
        first = next(iter(group.values()))
        cfg = first.settings.preprocess
        scale = (first.voxel_size, cfg.clip_sd, cfg.mask)
        if scale not in scales:
            scales[scale] = one_kind.working_volume(tomogram, first, mask)
        all_at_once = len(group) == len(model.kinds)
        each = one_kind.pick_alike(
            tomogram, list(group.values()), cut=cut, min_distance=min_distance, mask=mask, device=device,
            callback=callback if all_at_once else Prefixed(callback, ", ".join(group)), working=scales[scale],
        )  # fmt: skip
        found.update(zip(group, each, strict=True))
    found = {kind: found[kind] for kind in model.kinds}
    diameters = {kind: each.settings.particle_diameter for kind, each in model.kinds.items()}
    return joined(found, diameters, cut, {kind: each.threshold for kind, each in model.kinds.items()})


def sharing(models: Mapping[str, Model]) -> list[dict[str, Model]]:
    """Part models of kinds into those that score the same features: discriminants of one network at one scale."""
    groups: list[dict[str, Model]] = []
    for kind, model in models.items():
        for group in groups:
            if _alike(next(iter(group.values())), model):
                group[kind] = model
                break
        else:
            groups.append({kind: model})
    return groups


def _alike(one: Model, other: Model) -> bool:
    if not (isinstance(one.network, DiscriminantNetwork) and isinstance(other.network, DiscriminantNetwork)):
        return False
    same_size = other.settings.model_copy(update={"particle_diameter": one.settings.particle_diameter})
    if one.voxel_size != other.voxel_size or one.settings != same_size:
        return False
    weights = one.network.body.state_dict()
    same = (torch.equal(weights[name], tensor) for name, tensor in other.network.body.state_dict().items())
    return bool(one.network.shrinkage == other.network.shrinkage) and all(same)
