"""Displacement of a network's peaks from particle centres: measured on rotated patches, subtracted from every pick.

A network is not symmetric: by chance and by pretraining, its peaks lie a fraction of a voxel to one side of every
particle. Scores averaged over half-turns are symmetric, so the difference between their peaks and the network's own is
the network's displacement. Neither ground truth nor the positions of clicks are used.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from tomopicker.config import Settings
from tomopicker.models.precision import autocast
from tomopicker.models.tta import half_turned_logits
from tomopicker.picking.local_maxima import local_peaks
from tomopicker.pipeline.scoring import prepare_network
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram
from tomopicker.preprocessing.crops import read_padded
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.training.batchnorm import fuse_conv_bn
from tomopicker.types import Piece, Positions, Volume

MAX_PEAKS_MEASURED = 32
"""Maximum number of peaks measured; means of 32 differed by 0.02 to 0.04 working voxel between tomograms."""
MAX_FRACTION = 0.1
"""Maximum displacement, in particle diameters; a larger one means that the rotated network finds something else (a
network trained on noise measured 36 Å)."""
MIN_PEAKS_MEASURED = 8
"""Minimum number of peaks for a reliable mean."""
CORE, CONTEXT = 16, 8
"""Edge of a patch without its context, and the context on each side, in working voxels; rounded up to whole pools."""
BATCH = 8

Place = Float64[np.ndarray, " 3"]


def network_displacement(run: Run, network: nn.Module, item: TrainingTomogram) -> tuple[float, float, float]:
    """Return the displacement of a trained network's peaks, (x, y, z) in Å.

    It is 0 with test-time augmentation, which averages scores over half-turns already, and for whole-voxel picks. A
    displacement above `MAX_FRACTION` of the diameter is not corrected; a warning is saved in the model.
    """
    if run.settings.inference.tta or run.settings.picking.method != "local":
        return 0.0, 0.0, 0.0
    peaks = run.peaks(network, item, MAX_PEAKS_MEASURED).positions_voxels
    found = displacement(network, item.working, peaks, run.radius, run.settings, run.device) * item.working.voxel_size
    length = float(np.linalg.norm(found))
    if length > MAX_FRACTION * run.settings.particle_diameter:
        run.warn_in_model(
            f"peaks of the network lie {length:.0f} Å from those of its scores averaged over half-turns, too far to be "
            "corrected; look where the picks lie, or give --preset best"
        )
        return 0.0, 0.0, 0.0
    x, y, z = found.tolist()
    return x, y, z


def displacement(
    network: nn.Module,
    working: WorkingVolume,
    peaks: Positions,
    radius: float,
    settings: Settings,
    device: torch.device,
) -> Place:
    """Measure the mean offset of a network's peaks from those of its scores averaged over half-turns.

    Parameters
    ----------
    network : Module
        The trained network.
    working : WorkingVolume
        A tomogram with particles.
    peaks : Positions
        Peaks of the network's scores, (x, y, z) in working voxels, best first.
    radius : float
        The particle's, in working voxels.

    Returns
    -------
    array, shape (3,)
        (x, y, z) in working voxels, to subtract from peaks; 0 with fewer than `MIN_PEAKS_MEASURED` peaks.
    """
    plain = fuse_conv_bn(prepare_network(network, working, settings, device).eval())
    divisor = int(getattr(network, "divisor", 1))
    cut = [_patch_around(working.data, peak, divisor) for peak in peaks[:MAX_PEAKS_MEASURED]]
    displacements = []
    for first in range(0, len(cut), BATCH):
        starts, patches = zip(*cut[first : first + BATCH], strict=True)
        stacked = torch.from_numpy(np.stack(patches)[:, None]).to(device)
        scores = _plain_and_averaged(plain, stacked, settings, device)
        for index, (start, peak) in enumerate(zip(starts, peaks[first : first + BATCH], strict=True)):
            own, middle = (_peak_near(part[index], peak - start, radius, settings) for part in scores)
            if own is not None and middle is not None:
                displacements.append(own - middle)
    return np.zeros(3) if len(displacements) < MIN_PEAKS_MEASURED else np.asarray(np.mean(displacements, axis=0))


def _patch_around(volume: Volume, peak: Place, divisor: int) -> tuple[Place, Piece]:
    """Cut the patch around a peak, (x, y, z); return the position of its first voxel, (x, y, z), and the patch.

    Patches start at multiples of the divisor, as tiles do, so that the same voxels are pooled together.
    """
    core, context = (-(-length // divisor) * divisor for length in (CORE, CONTEXT))
    start = np.round((peak[::-1] - core / 2) / divisor).astype(int) * divisor - context
    region = tuple(slice(int(corner), int(corner) + core + 2 * context) for corner in start)
    return start[::-1].astype(np.float64), read_padded(volume, region)


def _plain_and_averaged(
    network: nn.Module, patches: Tensor, settings: Settings, device: torch.device
) -> tuple[Sequence[Volume], Sequence[Volume]]:
    """Score patches once, and averaged over the half-turns of `TestTimeAugmentation`."""
    with torch.inference_mode(), autocast(settings.precision, device):
        turned = torch.stack(
            list(half_turned_logits(network, patches.contiguous(memory_format=torch.channels_last_3d)))
        )
    plain, mean = (list(scores[:, 0].cpu().numpy()) for scores in (turned[0], turned.mean(dim=0)))
    return plain, mean


def _peak_near(scores: Volume, place: Place, radius: float, settings: Settings) -> Place | None:
    """Return the peak (x, y, z) nearest to a position; None if it is more than half a radius away."""
    smoothing = settings.picking.smoothing_fraction * radius
    tops = local_peaks(scores, min_distance=radius, threshold=float("-inf"), smoothing=smoothing).positions_voxels
    if not len(tops):
        return None
    away = np.linalg.norm(tops - place, axis=1)
    nearest = int(away.argmin())
    return np.asarray(tops[nearest]) if away[nearest] <= radius / 2 else None
