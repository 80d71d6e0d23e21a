"""The preset ``instant``: a model file of a discriminant, made from clicks without training."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from tomopicker.errors import UsageError
from tomopicker.fewshot.features import Features, features_of
from tomopicker.geometry import Frame
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.displacement import network_displacement
from tomopicker.pipeline.instant import Clicks, Found, click_prior, find, inside_specimen
from tomopicker.pipeline.provenance import provenance
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram, number_of_clicks
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model, build_network
from tomopicker.training.pretrained import learnt_shrinkage, load_pretrained


def instant_model(
    run: Run,
    tomograms: Sequence[Tomogram],
    picks: Picks,
    clicked: Sequence[TrainingTomogram],
    rejected: Picks | None,
    known: dict[str, Features],
) -> Model:
    """Make a model of the features at clicks; each tomogram that it picks has a discriminant of its own.

    Parameters
    ----------
    run : Run
    tomograms : sequence of Tomogram
        Those clicked in.
    picks : Picks
        The clicks.
    clicked : sequence of TrainingTomogram
        The same tomograms and clicks, preprocessed.
    rejected : Picks, optional
    known : dict of str to Features
        Features that are computed already, by tomogram, working voxel size and mask; others are added.

    Raises
    ------
    UsageError
        If no click lies in the specimen.
    """
    settings, frames = run.settings, [tomogram.frame for tomogram in tomograms]
    every = found_in_training(run, clicked, frames, run.callback, known)
    found = [item for item in every if len(item.given.clicks)]
    if not found:
        raise UsageError("no click lies in the lamella that was found; give --mask none, or a better mask")
    prior = click_prior(found)
    scores, counted = run.by_seen([item.seen for item in found], number_of_clicks(clicked), prior)
    network = build_network(settings)
    assert isinstance(network, DiscriminantNetwork)
    load_pretrained(network.body, settings.network)
    network.shrinkage.fill_(learnt_shrinkage(settings.network))
    for name in ("clicks", "rejected"):
        points = np.concatenate([getattr(each.given, f"at_{name}") for each in every])
        setattr(network, name, torch.from_numpy(points))
    facts = provenance(
        tomograms, picks, (), settings, None, counted.estimate, [], rejected=rejected,
        inside={item.name: round(item.working.mask_fraction, 4) for item in clicked}, counted=counted,
    )  # fmt: skip
    first = next(item for item in clicked if len(item.clicks))
    displacement = network_displacement(run, network, first)
    voxel_size = clicked[0].working.voxel_size
    return Model(network.eval(), settings, voxel_size, 0.0, None, facts, scores, displacement, tuple(run.warnings))


def found_in_training(
    run: Run,
    clicked: Sequence[TrainingTomogram],
    frames: Sequence[Frame],
    callback: Callback,
    known: dict[str, Features] | None = None,
) -> list[Found]:
    """Find what the discriminant of all clicks finds in each training tomogram.

    Parameters
    ----------
    run : Run
    clicked : sequence of TrainingTomogram
    frames : sequence of Frame
        Of the same tomograms.
    callback : Callback
        Receives warnings of clicks outside the specimen, which are left out.
    known : dict of str to Features, optional
        Features that other kinds of particle have computed, and what is computed here.

    Returns
    -------
    list of Found
        Of each tomogram; empty if no click at all lies in the specimen.
    """
    listed, given, settings = [], [], run.settings
    known = {} if known is None else known
    for frame, item in zip(frames, clicked, strict=True):
        key = f"{item.name} {item.working.voxel_size} {settings.preprocess.mask}"
        if key not in known:
            known[key] = features_of(
                item.name, frame, item.working, settings, run.device, partial(run.callback.on_score, item.name)
            )
        features = known[key].of_diameter(settings.particle_diameter)
        clicks = inside_specimen(features, item.clicks, "click", callback)
        others = inside_specimen(features, item.rejected, "rejected pick", callback)
        listed.append(features)
        given.append(Clicks(clicks, others, features.specimen.at(clicks), features.specimen.at(others)))
    return find(listed, given) if any(len(each.clicks) for each in given) else []
