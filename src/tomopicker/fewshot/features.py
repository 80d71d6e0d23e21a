"""The features of a tomogram: what does not depend on clicks, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch

from tomopicker.config import Settings
from tomopicker.fewshot.discriminant import Statistics, statistics_of
from tomopicker.fewshot.extraction import feature_map
from tomopicker.fewshot.feature_map import FeatureMap
from tomopicker.geometry import Frame
from tomopicker.inference.tiles import Progress
from tomopicker.models.resunet import ResUNet
from tomopicker.preprocessing.decoys import decoy_volume
from tomopicker.preprocessing.preprocess import WorkingVolume, working_voxel_size
from tomopicker.training.batchnorm import adapt_batchnorm
from tomopicker.training.checkpoint import build_body
from tomopicker.training.pretrained import load_pretrained, trained_shrinkage


@dataclass(frozen=True, eq=False)
class Features:
    """Features of a tomogram and of its decoy, in the memory of the CPU.

    Parameters
    ----------
    name : str
        Of the tomogram.
    frame : Frame
        Its geometry.
    settings : Settings
        How it was preprocessed, and how peaks are found in its scores.
    working : WorkingVolume
        What the features are of.
    specimen, decoy : FeatureMap
        Half precision.
    statistics : Statistics
        Of the specimen's features.
    """

    name: str
    frame: Frame
    settings: Settings
    working: WorkingVolume
    specimen: FeatureMap
    decoy: FeatureMap
    statistics: Statistics

    def of_diameter(self, diameter: float) -> "Features":
        """Return the same features, to be searched for particles of another diameter (Å)."""
        settings = self.settings.model_copy(update={"particle_diameter": float(diameter)})
        return replace(self, settings=settings)

    @property
    def working_voxel_size(self) -> float:
        """Å, of the working volume."""
        return self.working.voxel_size

    @property
    def radius(self) -> float:
        """The particle's radius in working voxels."""
        return self.settings.particle_diameter / 2 / self.working.voxel_size


def at_scale(listed: Sequence[Features], diameter: float) -> list[Features]:
    """Return the features of each tomogram nearest to the scale of a particle, to be searched for it.

    Parameters
    ----------
    listed : sequence of Features
        Of any number of tomograms, each at one or more working voxel sizes.
    diameter : float
        Of the particle, Å.
    """

    def misfit(item: Features) -> float:
        wanted = working_voxel_size(item.frame.voxel_size, diameter, item.settings.preprocess.working_diameter)
        return float(abs(np.log(item.working_voxel_size / wanted)))

    names = dict.fromkeys(item.name for item in listed)
    nearest = [min((item for item in listed if item.name == name), key=misfit) for name in names]
    return [item.of_diameter(diameter) for item in nearest]


def features_of(
    name: str,
    frame: Frame,
    working: WorkingVolume,
    settings: Settings,
    device: torch.device,
    progress: Progress | None = None,
) -> Features:
    """Compute the features of a working volume and of its decoy.

    Batch normalisation is measured in the specimen, as when it is picked with a trained network.

    Parameters
    ----------
    name, frame
        Of the tomogram.
    working : WorkingVolume
    settings : Settings
        Of the network, its tiles and its arithmetic.
    device : torch.device
        Where to compute.
    progress : callable, optional
        Called with the tiles done and their number.
    """
    body, mask = build_body(settings), working.statistics_mask
    load_pretrained(body, settings.network)
    network = cast(
        ResUNet, adapt_batchnorm(body, working.data, settings.patches.size, device, settings.precision, mask=mask)
    )
    cfg = settings.inference
    specimen = feature_map(
        network, working.data, tile=cfg.tile, halo=cfg.halo, device=device, precision=settings.precision,
        mask=working.mask, progress=progress,
    )  # fmt: skip
    decoy = feature_map(
        network, decoy_volume(working.data, working.statistics_mask, settings.seed), tile=cfg.tile, halo=cfg.halo,
        device=device, precision=settings.precision,
    )  # fmt: skip
    statistics = statistics_of(specimen, specimen.rows_in(working.mask), trained_shrinkage(settings.network))
    return Features(name, frame, settings, working, specimen, decoy, statistics)
