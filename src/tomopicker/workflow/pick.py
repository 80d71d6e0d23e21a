"""From a model and a tomogram to picks: preprocess, score tile by tile, list the candidates, cut the list."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from scipy.special import logit

from tomopicker.data.preprocess import WorkingVolume, preprocess
from tomopicker.engine.checkpoint import Model
from tomopicker.engine.precision import choose_device
from tomopicker.picking.calibrate import FLOOR, Expectation, probabilities
from tomopicker.picking.count import Count
from tomopicker.picking.cut import Chosen, Cut
from tomopicker.picking.fit_mixture import fit_mixture, lowest
from tomopicker.picking.mixture import sobered
from tomopicker.picking.noise_in import NoiseIn
from tomopicker.picking.peaks import Peaks
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Volume, VoxelMask
from tomopicker.workflow.clicked import at_least
from tomopicker.workflow.inputs import MODEL, check_voxel_size
from tomopicker.workflow.listen import Listener, Silent
from tomopicker.workflow.provenance import clicks_in
from tomopicker.workflow.score import MOST, find_peaks, score, searched


@dataclass(frozen=True)
class Picked:
    """What picking one tomogram gave.

    Parameters
    ----------
    chosen : Chosen
        The picks, the threshold and what is expected of them; each is a property too.
    candidates : Picks
        The picks and less probable ones, down to the floor, to cut elsewhere without scoring again.
    logits : Volume
        What the network gave at every voxel of the working grid, (z, y, x).
    probability : callable
        Makes probabilities of logits: by this tomogram's mixture, or by the model's offset.
    working : WorkingVolume
        What was scored, and where its voxels lie.
    count : Count or None
        Particles in the tomogram, with an interval; none where no mixture was fitted.
    """

    chosen: Chosen
    candidates: Picks
    logits: Volume
    probability: Callable[[np.ndarray], np.ndarray]
    working: WorkingVolume
    count: Count | None

    @property
    def picks(self) -> Picks:
        """Best first; their scores are probabilities."""
        return self.chosen.picks

    @property
    def threshold(self) -> float:
        """Least probability of a pick."""
        return self.chosen.threshold

    @property
    def expected(self) -> Expectation:
        """What the candidates' probabilities say of the picks."""
        return self.chosen.expected

    @property
    def scores(self) -> Volume:
        """Probability at every voxel of the working grid, (z, y, x); computed when asked for."""
        return self.probability(self.logits).astype(np.float32)


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
    """Pick the particles of one tomogram.

    Parameters
    ----------
    tomogram : Tomogram
        Of any voxel size; resampled to the model's.
    model : Model
        From `train` or `load_model`.
    cut : Cut, optional
        Where the list of candidates ends; at the best expected F1 if left out, or the model's own threshold.
    min_distance : float, optional
        Å between two picks; from the particle diameter if left out.
    mask : VoxelMask or {"auto", "none"}, optional
        Where the specimen is, of the tomogram's shape: picks only where it is True, and statistics are those inside.
        ``auto`` finds the lamella, ``none`` takes all of the volume; as in training if left out.
    device : str, optional
        ``cpu``, ``cuda``, ``mps``, wherever the model was trained; the best there is if left out.
    listener : Listener, optional
        Hears of the tiles done.

    Returns
    -------
    Picked

    Raises
    ------
    TomoPickerError
        If the tomogram cannot be used: NaN, constant, too coarse, or a mask of another shape.
    """
    listener = listener or Silent()
    settings = model.settings
    check_voxel_size(tomogram, model.voxel_size, settings.particle_diameter, MODEL)
    asked = settings.preprocess.mask if mask is None else mask
    inside = None if isinstance(asked, str) and asked == "none" else asked
    working = preprocess(tomogram, model.voxel_size, settings.preprocess.clip_sd, inside)
    logits = score(
        model.network,
        working,
        settings,
        choose_device(device),
        lambda done, total: listener.scored(tomogram.name, done, total),
    )
    peaks = find_peaks(
        logits,
        settings,
        model.radius,
        float(logit(FLOOR)) - model.offset if model.positives is None else lowest(model.positives),
        max_particles=MOST,
        min_distance=None if min_distance is None else min_distance / model.voxel_size,
        mask=working.mask,
    )
    probability, count = _probabilities(peaks, model, working)
    if count is not None:
        count = at_least(count, clicks_in(model.provenance, tomogram))
    chances = probability(peaks.scores.astype(np.float64))
    likely = chances >= FLOOR
    positions = working.to_angstrom(peaks.positions_voxels) + np.asarray(tomogram.origin)
    positions -= np.asarray(model.displacement)
    # A working voxel at the rim may reach half a voxel beyond the tomogram; a pick may not.
    last = (np.array(tomogram.frame.shape[::-1]) - 1) * tomogram.frame.voxel_size
    candidates = Picks.of(tomogram.name, np.clip(positions, 0, last)[likely], chances[likely])
    particles = count.estimate if count else float(candidates.scores.sum())
    chosen = (cut or Cut()).choose(candidates, particles, model.threshold)
    return Picked(chosen, candidates, logits, probability, working, count)


def _probabilities(
    peaks: Peaks, model: Model, working: WorkingVolume
) -> tuple[Callable[[np.ndarray], np.ndarray], Count | None]:
    """Say what makes probabilities of logits, and how many particles there are where a mixture tells."""
    if model.positives is None:
        return partial(probabilities, offset=model.offset), None
    voxels = searched(working.data.shape, model.settings, model.radius, working.mask)
    noise = None if model.noise is None else NoiseIn(model.noise, voxels)
    usual = None if model.positives.density is None else model.positives.density * voxels
    mixture, count = fit_mixture(peaks.scores.astype(np.float64), model.positives, noise=noise, usual=usual)
    surest = model.positives.surest
    return lambda logits: sobered(mixture.probability(logits), surest), count
