"""Picking with a model of any number of kinds."""

from typing import Literal

from tomopicker.picking.selection import Cut
from tomopicker.pipeline import pick as one_kind
from tomopicker.pipeline.callbacks import Listener, Prefixed, Silent
from tomopicker.pipeline.kinds.joined import joined
from tomopicker.pipeline.pick import Picked
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
    listener: Listener | None = None,
) -> Picked:
    """Pick the particles of one tomogram; with a model of several kinds, those of all, and each place once.

    Parameters
    ----------
    tomogram, model, cut, min_distance, mask, device, listener
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
            tomogram, model, cut=cut, min_distance=min_distance, mask=mask, device=device, listener=listener
        )
    found = {
        kind: one_kind.pick(
            tomogram, each, cut=cut, min_distance=min_distance, mask=mask, device=device,
            listener=Prefixed(listener or Silent(), kind),
        )
        for kind, each in model.kinds.items()
    }  # fmt: skip
    diameters = {kind: each.settings.particle_diameter for kind, each in model.kinds.items()}
    return joined(found, diameters, cut, {kind: each.threshold for kind, each in model.kinds.items()})
