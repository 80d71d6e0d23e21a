"""From a model and a tomogram to picks: preprocess, score tile by tile, find peaks, calibrate, select."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float32
from scipy.special import logit

from tomopicker.geometry import Frame
from tomopicker.models.precision import choose_device
from tomopicker.picking.calibration import Calibration, Count, calibrate
from tomopicker.picking.offset import MIN_PROBABILITY, probabilities
from tomopicker.picking.peaks import Peaks
from tomopicker.picking.selection import Chosen, Cut, Expectation
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback, NullCallback
from tomopicker.pipeline.input_checks import MODEL, check_voxel_size
from tomopicker.pipeline.provenance import clicks_in
from tomopicker.pipeline.scoring import (
    MAX_PEAKS,
    decoy_of,
    find_peaks,
    peaks_of_decoy,
    prepare_networks,
    score_outputs,
    searched_voxels,
)
from tomopicker.pipeline.training_data import at_least
from tomopicker.preprocessing.preprocess import WorkingVolume, preprocess
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.types import Volume, VoxelMask


@dataclass(frozen=True)
class Picked:
    """The picks of one tomogram.

    Parameters
    ----------
    chosen : Chosen
        The picks, the threshold, and expected precision and recall; each is a property too.
    candidates : Picks
        The picks and less probable ones, down to `MIN_PROBABILITY`, for another selection without scoring again.
    logits : Volume
        Score at every voxel of the working grid, (z, y, x).
    probability : callable
        From logits to probabilities: by this tomogram's calibration, or by the model's offset.
    working : WorkingVolume
        The volume that was scored, and how its voxels lie in the tomogram.
    count : Count or None
        Particles in the tomogram, with an interval; none where scores were not calibrated.
    absent : float or None
        Probability that it holds no particle; likewise.
    kinds : mapping of str to Picked
        Each kind by itself, where there are several; picks and candidates are then those of all, best first.
    """

    chosen: Chosen
    candidates: Picks
    logits: Volume
    probability: Callable[[np.ndarray], np.ndarray]
    working: WorkingVolume
    count: Count | None
    absent: float | None
    kinds: Mapping[str, "Picked"] = field(default_factory=dict)

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
        """Expected precision, recall and F1 of the picks, from the candidates' probabilities."""
        return self.chosen.expected

    @property
    def scores(self) -> Volume:
        """Probability at every voxel of the working grid, (z, y, x); computed on access."""
        return np.stack(list(self.score_sections()))

    def score_sections(self) -> Iterator[Float32[np.ndarray, "y x"]]:
        """Give the probabilities section by section: they are computed in float64."""
        for section in self.logits:
            yield self.probability(section).astype(np.float32)


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
    """Pick the particles of one tomogram.

    Parameters
    ----------
    tomogram : Tomogram
        Of any voxel size; resampled to the model's.
    model : Model
        From `train` or `load_model`.
    cut : Cut, optional
        Selection among the candidates; at the best expected F1 if left out, or the model's own threshold.
    min_distance : float, optional
        Å between two picks; from the particle diameter if left out.
    mask : VoxelMask or {"auto", "none"}, optional
        Where the specimen is, of the tomogram's shape: picks only where it is True, and statistics are those inside.
        ``auto`` detects the lamella, ``none`` uses the whole volume; as in training if left out.
    device : str, optional
        ``cpu``, ``cuda``, ``mps``, wherever the model was trained; the best there is if left out.
    callback : Callback, optional
        Receives the tiles done.

    Returns
    -------
    Picked

    Raises
    ------
    TomoPickerError
        If the tomogram cannot be used: NaN, constant, too coarse, or a mask of another shape.
    """
    (only,) = pick_alike(
        tomogram, [model], cut=cut, min_distance=min_distance, mask=mask, device=device, callback=callback
    )
    return only


def pick_alike(
    tomogram: Tomogram,
    models: Sequence[Model],
    *,
    cut: Cut | None = None,
    min_distance: float | None = None,
    mask: VoxelMask | Literal["auto", "none"] | None = None,
    device: str | None = None,
    callback: Callback | None = None,
    working: WorkingVolume | None = None,
) -> list[Picked]:
    """Pick one tomogram with one model, or with several that share their features, which are computed once.

    Parameters
    ----------
    tomogram : Tomogram
    models : sequence of Model
        One; or discriminants of one network, at one voxel size and with the same settings but for the diameter.
    cut, min_distance, mask, device, callback
        As for `pick`.
    working : WorkingVolume, optional
        From `working_volume` for one of the models; computed if left out.

    Returns
    -------
    list of Picked
        Of each model.

    Raises
    ------
    TomoPickerError
        As `pick`.
    """
    callback = callback or NullCallback()
    first, settings = models[0], models[0].settings
    for model in models:
        check_voxel_size(tomogram, model.voxel_size, model.settings.particle_diameter, MODEL)
    if working is None:
        working = working_volume(tomogram, first, mask)
    chosen_device = choose_device(device)
    fitted = prepare_networks([model.network for model in models], working, settings, chosen_device)
    volumes = score_outputs(
        fitted, working.data, settings, chosen_device, working.mask,
        lambda done, total: callback.on_score(tomogram.name, done, total),
    )  # fmt: skip
    calibrated = [model.particle_scores is not None for model in models]
    decoys = score_outputs(fitted, decoy_of(working, settings), settings, chosen_device) if any(calibrated) else None
    distance = None if min_distance is None else min_distance / first.voxel_size
    found = []
    for index, model in enumerate(models):
        logits = volumes[index]
        floor = float(logit(MIN_PROBABILITY)) - model.offset if model.particle_scores is None else float("-inf")
        peaks = find_peaks(
            logits,
            model.settings,
            model.radius,
            floor,
            max_particles=MAX_PEAKS,
            min_distance=distance,
            mask=working.mask,
        )
        calibration = None
        if decoys is not None and calibrated[index]:
            calibration = _calibrated(peaks, decoys[index], model, working)
        found.append(
            picked_from(
                Scored(tomogram.name, tomogram.frame, working, logits, peaks),
                partial(probabilities, offset=model.offset) if calibration is None else calibration.probability,
                calibration,
                clicks=clicks_in(model.provenance, tomogram),
                cut=cut,
                default_threshold=model.threshold,
                displacement=model.displacement,
            )
        )
    return found


def working_volume(
    tomogram: Tomogram, model: Model, mask: VoxelMask | Literal["auto", "none"] | None = None
) -> WorkingVolume:
    """Preprocess a tomogram for a model; parameters and errors are those of `pick`."""
    cfg = model.settings.preprocess
    mask = cfg.mask if mask is None else mask
    return preprocess(
        tomogram, model.voxel_size, cfg.clip_sd, None if isinstance(mask, str) and mask == "none" else mask
    )


@dataclass(frozen=True, eq=False)
class Scored:
    """A tomogram's scores and their peaks, best first."""

    name: str
    frame: Frame
    working: WorkingVolume
    logits: Volume
    peaks: Peaks


def picked_from(
    scored: Scored,
    probability: Callable[[np.ndarray], np.ndarray],
    calibration: Calibration | None,
    *,
    clicks: int = 0,
    known: Mapping[int, float] | None = None,
    cut: Cut | None = None,
    default_threshold: float | None = None,
    displacement: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Picked:
    """Turn peaks into candidates, and select the picks.

    Parameters
    ----------
    scored : Scored
    probability : callable
        From logits to probabilities.
    calibration : Calibration or None
        Of the tomogram, for its count.
    clicks : int
        In the tomogram: it holds no fewer particles.
    known : mapping of int to float, optional
        Probabilities that do not depend on the score, by the peak's index.
    cut, default_threshold
        As in `Cut.choose`.
    displacement : tuple of float
        (x, y, z) in Å of peaks from the centres of particles.
    """
    working, peaks, frame = scored.working, scored.peaks, scored.frame
    count = None if calibration is None else at_least(calibration.count, clicks)
    chances = np.asarray(probability(peaks.scores.astype(np.float64)))
    order = np.arange(len(chances))
    if known:
        chances[list(known)] = list(known.values())
        order = np.argsort(-chances, kind="stable")
    order = order[chances[order] >= MIN_PROBABILITY]
    positions = working.to_angstrom(peaks.positions_voxels) - np.asarray(displacement)
    # A working voxel at the rim may reach half a voxel beyond the tomogram; a pick may not.
    last = (np.array(frame.shape[::-1]) - 1) * frame.voxel_size
    candidates = Picks.of(scored.name, np.clip(positions, 0, last)[order], chances[order])
    particles = float(candidates.scores.sum()) if count is None else count.estimate
    chosen = (cut or Cut()).choose(candidates, particles, default_threshold)
    absent = None if calibration is None else calibration.absent
    return Picked(chosen, candidates, scored.logits, probability, working, count, absent)


def _calibrated(peaks: Peaks, decoy_scores: Volume, model: Model, working: WorkingVolume) -> Calibration:
    """Calibrate a tomogram's peaks against those of its decoy."""
    assert model.particle_scores is not None
    decoys, decoy_voxels = peaks_of_decoy(decoy_scores, model.settings, model.radius)
    return calibrate(
        peaks.scores.astype(np.float64), decoys, model.particle_scores,
        voxels=searched_voxels(working.data.shape, model.settings, model.radius, working.mask),
        decoy_voxels=decoy_voxels,
    )  # fmt: skip
