"""The preset ``instant``: a discriminant model made from clicks without training."""

from collections.abc import Sequence
from functools import partial

import torch

from tomopicker.config import Settings
from tomopicker.errors import UsageError
from tomopicker.fewshot.features import Features, features_of
from tomopicker.fewshot.self_training import TrainingSet
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.displacement import network_displacement
from tomopicker.pipeline.instant_peaks import InstantPeaks, LabelledFeatures, click_prior, find_peaks_of_all
from tomopicker.pipeline.provenance import provenance
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram, number_of_clicks
from tomopicker.pipeline.training_input import TrainingInput
from tomopicker.training.checkpoint import Model, build_body
from tomopicker.training.pretrained import load_pretrained, trained_shrinkage


def instant_model(
    run: Run, inputs: TrainingInput, clicked: Sequence[TrainingTomogram], computed: dict[str, Features] | None
) -> Model:
    """Make a model from the features at clicks; the discriminant is solved again in each tomogram to pick.

    Parameters
    ----------
    clicked : sequence of TrainingTomogram
        The same tomograms and clicks, preprocessed.
    computed : dict of str to Features, optional
        Features computed already, by tomogram, working voxel size and mask; features computed here are added.

    Raises
    ------
    UsageError
        If no click lies in the specimen.
    """
    settings = run.settings
    found = peaks_in_training(run, clicked, run.callback, computed)
    if not found:
        raise UsageError("no click lies in the detected lamella; give --mask none, or a better mask")
    summaries = [item.summary for item in found if item.is_clicked]
    scores, counted, particles = run.calibrate(summaries, number_of_clicks(clicked), click_prior(found))
    network = _discriminant(settings, found[0].training_set)
    facts = provenance(inputs, clicked, particles, counted)
    displacement = network_displacement(run, network, next(item for item in clicked if len(item.clicks)))
    voxel_size = clicked[0].working.voxel_size
    return Model(
        network,
        settings,
        voxel_size,
        offset=0.0,
        threshold=None,
        provenance=facts,
        particle_scores=scores,
        displacement=displacement,
        warnings=tuple(run.warnings),
    )


def _discriminant(settings: Settings, training_set: TrainingSet) -> DiscriminantNetwork:
    """Build the network, in evaluation mode, that scores with the discriminant of a training set."""
    network = DiscriminantNetwork(build_body(settings))
    load_pretrained(network.body, settings.network)
    network.shrinkage.fill_(trained_shrinkage(settings.network))
    network.clicks = torch.from_numpy(training_set.particles)
    network.rejected = torch.from_numpy(training_set.background)
    return network.eval()


def peaks_in_training(
    run: Run,
    clicked: Sequence[TrainingTomogram],
    callback: Callback,
    computed: dict[str, Features] | None = None,
) -> list[InstantPeaks]:
    """Score each training tomogram with the discriminant of all clicks, and find the peaks.

    Parameters
    ----------
    callback : Callback
        Receives warnings about clicks outside the specimen, which are left out.
    computed : dict of str to Features, optional
        Features computed already, for other kinds of particle; features computed here are added.

    Returns
    -------
    list of InstantPeaks
        One per tomogram; empty if no click lies in the specimen.
    """
    listed, labelled, settings = [], [], run.settings
    computed = {} if computed is None else computed
    for item in clicked:
        key = f"{item.name} {item.working.voxel_size} {settings.preprocess.mask}"
        if key not in computed:
            computed[key] = features_of(
                item.name, item.frame, item.working, settings, run.device, partial(run.callback.on_score, item.name)
            )
        features = computed[key].of_diameter(settings.particle_diameter)
        listed.append(features)
        labelled.append(LabelledFeatures.of(features, item.clicks, item.rejected, callback))
    return find_peaks_of_all(listed, labelled) if any(len(each.clicks) for each in labelled) else []
