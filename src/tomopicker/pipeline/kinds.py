"""Several kinds of particle: their names, diameters, and negatives from the clicks of the other kinds."""

from collections.abc import Mapping, Sequence

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.geometry import Frame
from tomopicker.parsing import check_kind
from tomopicker.picks import Picks
from tomopicker.wording import number_of


def kinds_of(clicks: Picks) -> list[str]:
    """List the kinds of clicks in the order of their first click; one empty name if clicks have no kinds.

    Raises
    ------
    UsageError
        If some clicks have no kind while others have, or a name cannot be part of a file name.
    """
    kinds = clicks.kind_names
    if len(kinds) < 2:
        return kinds or [""]
    if without := int((clicks.kinds == "").sum()):
        raise UsageError(f"{number_of(without, 'click')} of {len(clicks)} state no kind of particle; give each one")
    for kind in kinds:
        check_kind(kind)
    return kinds


def diameters_of(kinds: Sequence[str], stated: Mapping[str, float], otherwise: float | None) -> dict[str, float]:
    """Return the diameter of each kind, in Å: its own, or the common one.

    Raises
    ------
    UsageError
        If a kind has no diameter, or a diameter is given for a kind without clicks.
    """
    for name in stated:
        if name not in kinds:
            known = ", ".join(filter(None, kinds)) or "no kind that is named"
            raise UsageError(
                f"--particle-diameter {name}={stated[name]:g}: is of no kind clicked; clicks are of {known}"
            )
    missing = [kind for kind in kinds if kind not in stated]
    if missing and otherwise is None:
        raise UsageError(f"how large is {', '.join(missing)}? give --particle-diameter {missing[0]}=Å")
    return {kind: float(stated.get(kind, otherwise or 0.0)) for kind in kinds}


def known_negatives(kind: str, clicks: Picks, negatives: Picks | None, diameter: float) -> Picks:
    """Return the negatives of a kind: clicks of other kinds, and the given negatives.

    Negatives assigned to another kind are not used. Clicks of other kinds within half a diameter of a click of this
    kind are left out: two small particles at the rim of a large one would corrupt its labels.

    Parameters
    ----------
    clicks : Picks
        Clicks of all kinds.
    diameter : float
        Å, of this kind.
    """
    mine, others = clicks.of_kind(kind), clicks.select(clicks.kinds != kind)
    near = np.zeros(len(others), dtype=bool)
    for name in mine.tomogram_names:
        rows = np.flatnonzero(others.tomograms == name)
        away = others.positions[rows, None] - mine.in_tomogram(name).positions[None]
        near[rows] = (np.linalg.norm(away, axis=2) < diameter / 2).any(axis=1)
    parts = [others.select(~near)]
    if negatives is not None and len(negatives):
        other_kinds = [name for name in clicks.kind_names if name != kind]
        parts.append(negatives.select(~np.isin(negatives.kinds.astype(str), other_kinds)))
    return Picks.concatenate(Picks(each.positions, each.tomograms, each.scores) for each in parts)


def check_kinds_apart(clicks: Picks, diameters: Mapping[str, float], frames: Mapping[str, Frame]) -> None:
    """Refuse clicks of two kinds on one particle, closer than half the smaller diameter.

    Raises
    ------
    UsageError
        One line that names the nearest such pair.
    """
    for name in clicks.tomogram_names:
        here = clicks.in_tomogram(name)
        reach = np.array([diameters[kind] / 2 for kind in here.kinds.tolist()])
        distances = np.linalg.norm(here.positions[:, None] - here.positions[None], axis=2)
        unlike = here.kinds[:, None] != here.kinds[None]
        excess = np.where(unlike, distances - np.minimum(reach[:, None], reach[None]), np.inf)
        first, second = np.unravel_index(int(np.argmin(excess)), excess.shape)
        if excess[first, second] >= 0:
            continue
        places = here.positions[[first, second]] / frames[name].voxel_size
        one, other = (
            f"{here.kinds[row]} at ({x:.0f}, {y:.0f}, {z:.0f})"
            for row, (x, y, z) in zip((first, second), places, strict=True)
        )
        raise UsageError(
            f"{name}: the click on {one} and that on {other} (voxels) are {distances[first, second]:.0f} Å apart: one "
            "particle is of one kind; take one of them out"
        )
