"""The preset ``instant``: a model file of a discriminant, made from clicks without training."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from tomopicker.errors import UsageError
from tomopicker.fewshot.features import features_of
from tomopicker.geometry import Frame
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Listener
from tomopicker.pipeline.displacement import network_displacement
from tomopicker.pipeline.instant import Clicks, Found, click_prior, find, inside_specimen
from tomopicker.pipeline.provenance import provenance
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import Clicked, number_of_clicks
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model, build_network
from tomopicker.training.pretrained import load_pretrained


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
    settings = run.settings
    found = found_in_training(run, clicked, [tomogram.frame for tomogram in tomograms], run.listener)
    if not found:
        raise UsageError("no click lies in the lamella that was found; give --mask none, or a better mask")
    prior = click_prior([item for item in found if len(item.given.clicks)])
    scores, counted = run.by_seen([item.seen for item in found], number_of_clicks(clicked), prior)
    network = build_network(settings)
    assert isinstance(network, DiscriminantNetwork)
    load_pretrained(network.body, settings.network)
    for name in ("clicks", "rejected"):
        points = np.concatenate([getattr(each.given, f"at_{name}") for each in found])
        setattr(network, name, torch.from_numpy(points))
    facts = provenance(
        tomograms, picks, (), settings, None, counted.estimate, [], rejected=rejected,
        inside={item.name: round(item.working.mask_fraction, 4) for item in clicked}, counted=counted,
    )  # fmt: skip
    displacement = network_displacement(run, network, clicked[0])
    voxel_size = clicked[0].working.voxel_size
    return Model(network.eval(), settings, voxel_size, 0.0, None, facts, scores, displacement, tuple(run.warnings))


def found_in_training(run: Run, clicked: Sequence[Clicked], frames: Sequence[Frame], listener: Listener) -> list[Found]:
    """Find what the discriminant of all clicks finds in each training tomogram.

    Parameters
    ----------
    run : Run
    clicked : sequence of Clicked
    frames : sequence of Frame
        Of the same tomograms.
    listener : Listener
        Is warned of clicks outside the specimen, which are left out.

    Returns
    -------
    list of Found
        Of each tomogram; empty if no click at all lies in the specimen.
    """
    listed, given = [], []
    for frame, item in zip(frames, clicked, strict=True):
        features = features_of(
            item.name, frame, item.working, run.settings, run.device, partial(run.listener.scored, item.name)
        )
        clicks = inside_specimen(features, item.clicks, "click", listener)
        others = inside_specimen(features, item.rejected, "rejected pick", listener)
        listed.append(features)
        given.append(Clicks(clicks, others, features.specimen.at(clicks), features.specimen.at(others)))
    return find(listed, given) if any(len(each.clicks) for each in given) else []
