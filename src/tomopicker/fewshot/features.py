"""The features of a tomogram, which do not depend on clicks and are computed once."""

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
    """Features of a tomogram and of its decoy, in CPU memory.

    Parameters
    ----------
    name : str
        Name of the tomogram.
    frame : Frame
        Geometry of the tomogram.
    settings : Settings
        Settings of preprocessing and of peak finding.
    working : WorkingVolume
        Volume that the features were computed from.
    specimen, decoy : FeatureMap
        Half precision.
    statistics : Statistics
        Statistics of the specimen's features.
    """

    name: str
    frame: Frame
    settings: Settings
    working: WorkingVolume
    specimen: FeatureMap
    decoy: FeatureMap
    statistics: Statistics

    def of_diameter(self, diameter: float) -> "Features":
        """Return the same features with the settings of another particle diameter (Å)."""
        settings = self.settings.model_copy(update={"particle_diameter": float(diameter)})
        return replace(self, settings=settings)

    @property
    def working_voxel_size(self) -> float:
        """Voxel size of the working volume, Å."""
        return self.working.voxel_size

    @property
    def radius(self) -> float:
        """Particle radius in working voxels."""
        return self.settings.particle_diameter / 2 / self.working.voxel_size


def at_scale(listed: Sequence[Features], diameter: float) -> list[Features]:
    """Choose the features of each tomogram that are nearest to the scale of a particle.

    Parameters
    ----------
    listed : sequence of Features
        Features of any number of tomograms, each at one or more working voxel sizes.
    diameter : float
        Particle diameter, Å.
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

    Batch normalisation is measured in the specimen, as in picking with a trained network.

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
