"""Settings changed by name, from text or values: ``scene.n_gold_beads`` or ``imaging.defocus_um``."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from tomopicker.errors import UsageError
from tomopicker.wording import wrong_value

ARGUMENTS = {
    "scene.shape": "--shape",
    "scene.voxel_size_angstrom": "--voxel-size",
    "scene.target": "--target",
    "scene.n_targets": "--particles",
    "scene.distractors": "--maps",
    "scene.middle_voxels": "--positions",
    "imaging.voxel_size_angstrom": "--voxel-size",
}
"""Settings that follow from an argument of their own."""


def parse_changes(changes: Mapping[str, object], groups: Mapping[str, type]) -> dict[str, dict[str, Any]]:
    """Check names and values.

    Parameters
    ----------
    changes : mapping of str to object
        ``group.setting`` to a value, or to a text that says one; ``none`` for nothing.
    groups : mapping of str to type
        Dataclasses by the name of their group.

    Returns
    -------
    dict of str to dict
        Per group, the settings that change, of the type that the dataclass says.

    Raises
    ------
    UsageError
        If a name is unknown or a value is of the wrong kind.
    """
    parsed: dict[str, dict[str, Any]] = {group: {} for group in groups}
    known = {name: types for name, types in _known(groups).items() if name not in ARGUMENTS}
    for name, value in changes.items():
        if name in ARGUMENTS:
            raise UsageError(f"{name}: is given by {ARGUMENTS[name]}")
        if name not in known:
            raise UsageError(f"{name}: no such setting; there are {', '.join(known)}")
        group, _, setting = name.partition(".")
        plain = None if isinstance(value, str) and value.lower() == "none" else value
        try:
            parsed[group][setting] = TypeAdapter(known[name]).validate_python(plain)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{name} {value}: {wrong_value(first['type'], value, first['msg'].lower())}") from error
    return parsed


def _known(groups: Mapping[str, type]) -> dict[str, Any]:
    return {
        f"{group}.{field.name}": get_type_hints(kind)[field.name]
        for group, kind in groups.items()
        for field in fields(kind)
    }
