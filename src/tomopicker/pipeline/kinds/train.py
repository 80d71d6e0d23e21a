"""Training on clicks of several kinds: one network for each, to which the others' clicks are known negatives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tomopicker.config import Settings
from tomopicker.errors import UsageError
from tomopicker.fewshot.features import Features
from tomopicker.io.tomogram_names import join_names
from tomopicker.picks import Picks
from tomopicker.pipeline import train as one_kind
from tomopicker.pipeline.callbacks import Callback, NullCallback, Prefixed
from tomopicker.pipeline.input_checks import check_picked
from tomopicker.pipeline.kinds.clicks import check_apart, diameters_of, known_negatives, several_kinds
from tomopicker.pipeline.resume import checkpoint_of_kind
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.types import VoxelMask
from tomopicker.wording import number_of


def settings_of_kinds(
    clicks: Picks, settings: Settings, particle_diameters: Mapping[str, float] | None = None
) -> dict[str, Settings]:
    """Give the settings for each kind of the clicks, which differ in the diameter; of one kind, under its name or none.

    Raises
    ------
    UsageError
        If kinds are several and a setting is meant for one, or a diameter is of none of them.
    """
    kinds = several_kinds(clicks) or [clicks.kind_names[0] if clicks.kind_names else ""]
    if len(kinds) > 1 and settings.expected_particles is not None:
        raise UsageError(
            "--expected-particles is one number, and there are clicks of several kinds; leave it out to have each "
            "estimated, or train one kind (--class)"
        )
    diameters = diameters_of(kinds, particle_diameters or {}, settings.particle_diameter)
    return {kind: settings.model_copy(update={"particle_diameter": size}) for kind, size in diameters.items()}


@dataclass(frozen=True)
class KindInput:
    """What one kind of particle is trained on; parameters are those of `tomopicker.pipeline.train.train`.

    Parameters
    ----------
    kind : str
        Empty where clicks are not of several kinds.
    """

    kind: str
    tomograms: list[Tomogram]
    clicks: Picks
    settings: Settings
    rejected: Picks | None
    validation_tomograms: list[Tomogram]
    validation_picks: Picks | None


def split_kinds(
    tomograms: Sequence[Tomogram],
    picks: Picks,
    settings: Settings,
    *,
    particle_diameters: Mapping[str, float] | None = None,
    rejected: Picks | None = None,
    validation_tomograms: Sequence[Tomogram] = (),
    validation_picks: Picks | None = None,
) -> list[KindInput]:
    """Part the input of a training by kind; each kind has the clicks of the others for known negatives.

    Parameters
    ----------
    tomograms, picks, settings, particle_diameters, rejected, validation_tomograms, validation_picks
        As `train` takes them.

    Raises
    ------
    UsageError
        As `settings_of_kinds`, or if a tomogram has no pick of any kind, or two kinds are clicked on one particle.
    """
    of_kinds = settings_of_kinds(picks, settings, particle_diameters)
    if len(of_kinds) == 1:
        (only,) = of_kinds.values()
        validation_items = list(validation_tomograms)
        return [KindInput("", list(tomograms), picks, only, rejected, validation_items, validation_picks)]
    check_picked(tomograms, picks)
    if validation_picks is not None:
        check_picked(validation_tomograms, validation_picks)
    check_apart(
        picks,
        {kind: each.particle_diameter for kind, each in of_kinds.items()},
        {tomogram.name: tomogram.frame for tomogram in tomograms},
    )
    found = []
    for kind, own in of_kinds.items():
        clicks = picks.of_kind(kind)
        negatives = known_negatives(kind, picks, rejected, own.particle_diameter)
        # Without training, a tomogram in which only other kinds were clicked tells something, too.
        known = clicks if own.network.head == "trained" else Picks.concatenate([clicks, negatives])
        validation_items, truth = _of_kind(kind, validation_tomograms, validation_picks)
        found.append(KindInput(kind, with_picks(tomograms, known), clicks, own, negatives, validation_items, truth))
    return found


def train(
    tomograms: Sequence[Tomogram],
    picks: Picks,
    settings: Settings,
    *,
    particle_diameters: Mapping[str, float] | None = None,
    rejected: Picks | None = None,
    masks: Mapping[str, VoxelMask] | None = None,
    validation_tomograms: Sequence[Tomogram] = (),
    validation_picks: Picks | None = None,
    device: str | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    callback: Callback | None = None,
) -> Model:
    """Train a picker from clicks; of several kinds, in the column ``kind``, it is one model that picks all of them.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Those that were clicked in. A kind learns from those with clicks of it.
    picks : Picks
        The clicks: centres of particles.
    settings : Settings
        From `tomopicker.config.resolve`.
    particle_diameters : mapping of str to float, optional
        Å, of kinds whose diameter is not that of the settings.
    rejected : Picks, optional
        What looks like the particle and is not: known background. One that names a kind says nothing of the others.
    masks, validation_tomograms, validation_picks, device, checkpoint, resume, callback
        As in `tomopicker.pipeline.train.train`; the checkpoints of each kind have its name.

    Returns
    -------
    Model
        Of the first kind, with the others in `Model.others`.

    Raises
    ------
    TomoPickerError
        If the input cannot be trained on; one line says what to change.
    """
    parts = split_kinds(
        tomograms, picks, settings, particle_diameters=particle_diameters, rejected=rejected,
        validation_tomograms=validation_tomograms, validation_picks=validation_picks,
    )  # fmt: skip
    features: dict[str, Features] = {}
    models = []
    for part in parts:
        several = bool(part.kind)
        model = one_kind.train(
            part.tomograms, part.clicks, part.settings, rejected=part.rejected, masks=masks,
            validation_tomograms=part.validation_tomograms, validation_picks=part.validation_picks, device=device,
            checkpoint=checkpoint and checkpoint_of_kind(checkpoint, part.kind), resume=resume,
            callback=Prefixed(callback or NullCallback(), part.kind) if several else callback, features=features,
        )  # fmt: skip
        models.append(replace(model, kind=part.kind))
    return replace(models[0], others=tuple(models[1:]))


def with_picks(tomograms: Sequence[Tomogram], picks: Picks) -> list[Tomogram]:
    """Keep the tomograms that some picks lie in."""
    names = set(picks.tomogram_names)
    return [tomogram for tomogram in tomograms if tomogram.name in names]


def leave_out_unclicked(tomograms: Sequence[Tomogram], picks: Picks, callback: Callback) -> list[Tomogram]:
    """Keep the tomograms that some picks lie in, and name the others, as of a project of which a few were clicked in.

    Raises
    ------
    UsageError
        If no pick lies in any.
    """
    kept = with_picks(tomograms, picks)
    if not kept:
        check_picked(tomograms, picks)
    known = {tomogram.name for tomogram in kept}
    left_out = [tomogram.name for tomogram in tomograms if tomogram.name not in known]
    if left_out:
        share = f"{len(left_out)} of {number_of(len(tomograms), 'tomogram')}"
        callback.warn(f"not trained on, for want of clicks: {join_names(left_out)} ({share})")
    return kept


def _of_kind(kind: str, tomograms: Sequence[Tomogram], picks: Picks | None) -> tuple[list[Tomogram], Picks | None]:
    """Give the tomograms to follow a training on, and the picks in them that state this kind, or none."""
    if picks is None:
        return [], None
    mine = picks.of_kind(kind) if picks.kind_names else picks
    return with_picks(tomograms, mine), mine
