"""The preset ``instant``: a model file of a discriminant, made from clicks without training."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from tomopicker.errors import UsageError
from tomopicker.fewshot.features import features_of
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.picks import Picks
from tomopicker.pipeline.displacement import network_displacement
from tomopicker.pipeline.instant import Clicks, click_prior, find, inside_specimen
from tomopicker.pipeline.provenance import provenance
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import Clicked, number_of_clicks
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model, build_network
from tomopicker.training.pretrained import learnt_shrinkage, load_pretrained


def instant_model(
    run: Run,
    tomograms: Sequence[Tomogram],
    picks: Picks,
    clicked: Sequence[Clicked],
    rejected: Picks | None,
) -> Model:
    """Make a model of the features at clicks; each tomogram that it picks has a discriminant of its own.

    Parameters
    ----------
    run : Run
    tomograms : sequence of Tomogram
        Those clicked in.
    picks : Picks
        The clicks.
    clicked : sequence of Clicked
        The same tomograms and clicks, preprocessed.
    rejected : Picks, optional

    Raises
    ------
    UsageError
        If no click lies in the specimen.
    """
    settings, listed, given = run.settings, [], []
    for tomogram, item in zip(tomograms, clicked, strict=True):
        features = features_of(
            item.name, tomogram.frame, item.working, settings, run.device, partial(run.listener.scored, item.name)
        )
        clicks = inside_specimen(features, item.clicks, "click", run.listener)
        others = inside_specimen(features, item.rejected, "rejected pick", run.listener)
        listed.append(features)
        given.append(Clicks(clicks, others, features.specimen.at(clicks), features.specimen.at(others)))
    if not any(len(each.clicks) for each in given):
        raise UsageError("no click lies in the lamella that was found; give --mask none, or a better mask")
    found = find(listed, given)
    prior = click_prior([item for item in found if len(item.given.clicks)])
    scores, counted = run.by_seen([item.seen for item in found], number_of_clicks(clicked), prior)
    network = build_network(settings)
    assert isinstance(network, DiscriminantNetwork)
    load_pretrained(network.body, settings.network)
    network.shrinkage.fill_(learnt_shrinkage(settings.network))
    for name in ("clicks", "rejected"):
        points = np.concatenate([getattr(each, f"at_{name}") for each in given])
        setattr(network, name, torch.from_numpy(points))
    facts = provenance(
        tomograms, picks, (), settings, None, counted.estimate, [], rejected=rejected,
        inside={item.name: round(item.working.mask_fraction, 4) for item in clicked}, counted=counted,
    )  # fmt: skip
    displacement = network_displacement(run, network, clicked[0])
    voxel_size = clicked[0].working.voxel_size
    return Model(network.eval(), settings, voxel_size, 0.0, None, facts, scores, displacement, tuple(run.warnings))
