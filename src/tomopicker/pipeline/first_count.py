"""Particle count for losses with a class prior: counted by a first network if the user gives none."""

from collections.abc import Sequence
from dataclasses import replace

from tomopicker.config import Settings
from tomopicker.picking.calibration import Count
from tomopicker.pipeline.peak_calibration import calibrations
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram, number_of_clicks
from tomopicker.pu.objective import LOSSES
from tomopicker.training.labels import LabelledVolume

COUNTING_SEED = 101
"""Offset of the counting network's seed, so that trainings with seeds 0, 1, 2 share none."""


def needs_first_count(settings: Settings) -> bool:
    """True if a first network must count the particles: the loss has a class prior, and the user gave no count."""
    return LOSSES[settings.objective.loss].needs_count and settings.expected_particles is None


def count_by_first_network(
    run: Run, labelled: Sequence[TrainingTomogram], validation: Sequence[LabelledVolume]
) -> Count:
    """Count the particles of the training tomograms with a network of the balanced PN loss, which needs no count.

    Parameters
    ----------
    labelled : sequence of TrainingTomogram
        The training tomograms, with their pseudo-labels.
    validation : sequence of LabelledVolume
        For validation; never trained on.
    """
    settings, clicks = run.settings, number_of_clicks(labelled)
    objective = settings.objective.model_copy(update={"loss": "pn", "balanced": True})
    counting = settings.model_copy(update={"seed": settings.seed + COUNTING_SEED, "objective": objective})
    balanced_pn = replace(run, settings=counting)
    training = [run.labelled(item) for item in labelled]
    network, _ = balanced_pn.fit("count", training, validation, balanced_pn.priors(training, None), clicks)
    fits = calibrations([run.summarize(network, item) for item in labelled])
    counted = Count.total(fit.count for fit in fits).at_least(clicks)
    run.callback.log(
        f"A first network, with the PN loss, counts about {counted} in the training tomograms; "
        "--expected-particles saves that training."
    )
    return counted
