"""Flags to settings: only what was given is passed on, so flags win over the settings file, and it over the preset."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.config import Settings


def settings_from(config: Path | None, **flags: Any) -> "Settings":
    """Resolve settings.

    Parameters
    ----------
    config : Path, optional
        A YAML file, nested like `Settings`.
    flags
        Settings by name, ``training__steps`` for one inside another; None for a flag that was not given.

    Raises
    ------
    UsageError
        One line that names the first setting that cannot be.
    """
    from tomopicker.config import read_settings_file, resolve

    asked: dict[str, Any] = {}
    for name, value in flags.items():
        if value is not None:
            *groups, last = name.split("__")
            place = asked
            for group in groups:
                place = place.setdefault(group, {})
            place[last] = value
    stated = {} if config is None else read_settings_file(config)
    if "particle_diameter" not in asked and "particle_diameter" not in stated:
        raise UsageError("how large is the particle? give --particle-diameter in Å")
    return resolve(asked, stated)
