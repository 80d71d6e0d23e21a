"""Training input of each kind of particle, and its checks before anything is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tomopicker.config import Settings
from tomopicker.errors import UsageError
from tomopicker.io.tomogram_names import join_names
from tomopicker.models.precision import choose_device
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.kinds import check_kinds_apart, diameters_of, kinds_of, known_negatives
from tomopicker.pipeline.training_data import check_tomogram, common_voxel_size, remove_repeated_clicks
from tomopicker.preprocessing.preprocess import check_mask
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import build_body
from tomopicker.training.pretrained import load_pretrained
from tomopicker.types import VoxelMask
from tomopicker.wording import number_of


@dataclass(frozen=True)
class TrainingInput:
    """Training input of one kind of particle.

    Parameters
    ----------
    clicks : Picks
        Particle centres.
    negatives : Picks, optional
        Known background: look-alikes, and clicks of other kinds.
    masks : mapping of str to VoxelMask
        Specimen masks by tomogram name; determined by the settings for other tomograms.
    validation_tomograms : list of Tomogram
        Never trained on.
    validation_picks : Picks, optional
        Particles in the validation tomograms.
    kind : str
        Empty if there is only one kind.
    """

    tomograms: list[Tomogram]
    clicks: Picks
    settings: Settings
    negatives: Picks | None = None
    masks: Mapping[str, VoxelMask] = field(default_factory=dict)
    validation_tomograms: list[Tomogram] = field(default_factory=list)
    validation_picks: Picks | None = None
    kind: str = ""

    @property
    def clicked_tomograms(self) -> list[Tomogram]:
        """Tomograms with at least one click of this kind."""
        return with_picks(self.tomograms, self.clicks)


def by_kind(given: TrainingInput, particle_diameters: Mapping[str, float]) -> list[TrainingInput]:
    """Split the training input by kind; clicks of the other kinds become negatives.

    Parameters
    ----------
    given : TrainingInput
        Input of all kinds.
    particle_diameters : mapping of str to float
        Å, of kinds whose diameter differs from that of the settings.

    Raises
    ------
    UsageError
        If a setting for a single kind is given with several kinds, a diameter is of an unknown kind, a tomogram has no
        picks, or clicks of two kinds lie on one particle.
    """
    picks, settings, truth = given.clicks, given.settings, given.validation_picks
    kinds = kinds_of(picks)
    if len(kinds) > 1 and settings.expected_particles is not None:
        raise UsageError(
            "--expected-particles is one number, and there are clicks of several kinds; leave it out to have each "
            "estimated, or train one kind (--class)"
        )
    diameters = diameters_of(kinds, particle_diameters, settings.particle_diameter)
    own = {kind: settings.model_copy(update={"particle_diameter": size}) for kind, size in diameters.items()}
    if len(kinds) == 1:
        return [replace(given, settings=own[kinds[0]])]
    check_all_have_picks(given.tomograms, picks)
    if truth is not None:
        check_all_have_picks(given.validation_tomograms, truth)
    check_kinds_apart(picks, diameters, {tomogram.name: tomogram.frame for tomogram in given.tomograms})
    inputs = []
    for kind, size in diameters.items():
        clicks, negatives = picks.of_kind(kind), known_negatives(kind, picks, given.negatives, size)
        # Without training, a tomogram with only clicks of other kinds still provides negatives.
        known = clicks if settings.network.head == "trained" else Picks.concatenate([clicks, negatives])
        true = truth.of_kind(kind) if truth is not None and truth.kind_names else truth
        validated = [] if true is None else with_picks(given.validation_tomograms, true)
        inputs.append(
            replace(
                given,
                tomograms=with_picks(given.tomograms, known),
                clicks=clicks,
                settings=own[kind],
                negatives=negatives,
                validation_tomograms=validated,
                validation_picks=true,
                kind=kind,
            )
        )
    return inputs


def with_picks(tomograms: Sequence[Tomogram], picks: Picks) -> list[Tomogram]:
    """Return the tomograms that contain picks."""
    names = set(picks.tomogram_names)
    return [tomogram for tomogram in tomograms if tomogram.name in names]


def drop_unclicked_tomograms(tomograms: Sequence[Tomogram], picks: Picks, callback: Callback) -> list[Tomogram]:
    """Return the tomograms that contain picks, and warn of the others, such as unclicked tomograms of a project.

    Raises
    ------
    UsageError
        If no tomogram contains picks.
    """
    kept = with_picks(tomograms, picks)
    if not kept:
        check_all_have_picks(tomograms, picks)
    known = {tomogram.name for tomogram in kept}
    left_out = [tomogram.name for tomogram in tomograms if tomogram.name not in known]
    if left_out:
        share = f"{len(left_out)} of {number_of(len(tomograms), 'tomogram')}"
        callback.warn(f"not trained on, for want of clicks: {join_names(left_out)} ({share})")
    return kept


def check_all_have_picks(tomograms: Sequence[Tomogram], picks: Picks) -> None:
    """Refuse tomograms without picks.

    Raises
    ------
    UsageError
        Names the first tomogram without picks.
    """
    for tomogram in tomograms:
        if not len(picks.in_tomogram(tomogram.name)):
            raise UsageError(f"{tomogram.path}: has no picks; leave it out or add picks")


def checked_input(inputs: TrainingInput, device: str | None, callback: Callback) -> TrainingInput:
    """Check the input of a training before anything is computed, and remove repeated clicks.

    Parameters
    ----------
    device : str, optional
        As for `train`.
    callback : Callback
        Receives warnings about unlikely input.

    Raises
    ------
    TomoPickerError
        One line with the remedy.
    """
    settings, diameter = inputs.settings, inputs.settings.particle_diameter
    if inputs.kind:
        callback.log(f"{inputs.kind}: {number_of(len(inputs.clicks), 'click')}, a particle of {diameter:g} Å.")
    choose_device(device)
    voxel_size = common_voxel_size(inputs.tomograms, settings)
    for tomogram in inputs.tomograms:
        check_tomogram(tomogram, inputs.clicks, inputs.negatives, settings, voxel_size, callback)
    for tomogram in inputs.validation_tomograms:
        check_tomogram(tomogram, inputs.validation_picks, None, settings, voxel_size, callback)
    for tomogram in [*inputs.tomograms, *inputs.validation_tomograms]:
        if tomogram.name in inputs.masks:
            check_mask(inputs.masks[tomogram.name], tomogram)
    check_expected(settings, len(inputs.clicks), len(inputs.tomograms))
    load_pretrained(build_body(settings), settings.network)
    return replace(inputs, clicks=remove_repeated_clicks(inputs.clicks, diameter, callback))


def check_expected(settings: Settings, clicks: int, tomograms: int) -> None:
    """Refuse an expected number of particles below the number of clicks.

    Raises
    ------
    UsageError
        One line with the remedy.
    """
    stated = settings.particles_in(tomograms)
    if stated is not None and stated < clicks:
        raise UsageError(
            f"--expected-particles {settings.expected_particles:g} is less than the {clicks} clicks; "
            "raise it or leave it out to have it estimated"
        )


def check_distinct(training: Sequence[Tomogram], validation: Sequence[Tomogram]) -> None:
    """Refuse to validate on a training tomogram.

    Raises
    ------
    UsageError
        Names the tomogram.
    """
    both = {item.name for item in training} & {item.name for item in validation}
    if both:
        raise UsageError(
            f"--validation-tomogram {min(both)}: it is a training tomogram too; leave it out of one of them"
        )
