"""A copick project on this machine: its configuration, the tomograms of its runs, and the places of picks.

``<root>/ExperimentRuns/<run>/VoxelSpacing10.000/<type>.zarr`` and ``…/<run>/Picks/<user>_<session>_<object>.json``, in
the static root and in the overlay, which alone is written to.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.io.particles.copick import NOT_COPICK
from tomopicker.io.text import read_json
from tomopicker.io.tomogram_names import check_file_name

RUNS = "ExperimentRuns"
SPACING_TOLERANCE = 0.005
"""Å."""
_SPACING = re.compile(r"VoxelSpacing(\d+(?:\.\d+)?)$")
_NOT_IN_A_NAME = re.compile(r"[_\s/\\]")


@dataclass(frozen=True)
class CopickProject:
    """A project's configuration.

    Parameters
    ----------
    roots : tuple of Path
        Static root, if any, then overlay.
    objects : tuple of str
        Names of the particles among the pickable objects.
    """

    path: Path
    roots: tuple[Path, ...]
    objects: tuple[str, ...]

    def tomograms(self, kind: str | None = None, spacing: float | None = None) -> list[Path]:
        """List one tomogram of each run that has one.

        Parameters
        ----------
        kind : str, optional
            Its type, such as ``wbp``; needed if a run has several.
        spacing : float, optional
            Å; needed if a run has several.

        Raises
        ------
        TomoPickerError
            If there are none, or a run has several that fit; they are listed.
        """
        of_run: dict[str, dict[str, Path]] = {}
        for folder in (folder for root in self.roots for folder in sorted(root.glob(f"{RUNS}/*/VoxelSpacing*"))):
            size = _SPACING.match(folder.name)
            if size is None or (spacing is not None and abs(float(size.group(1)) - spacing) > SPACING_TOLERANCE):
                continue
            for file in sorted(folder.glob("*.zarr")):
                # Features are stored next to their tomogram.
                if not file.stem.endswith("_features") and kind in {None, file.stem}:
                    of_run.setdefault(folder.parent.name, {})[f"{file.stem}@{size.group(1)}"] = file
        for run, files in of_run.items():
            if len(files) > 1:
                raise TomoPickerError(
                    f"{self.path}: the run {run} has the tomograms {', '.join(files)}; choose with --copick-tomogram"
                )
        if not of_run:
            raise TomoPickerError(f"{self.path}: no tomogram in its runs; check its roots, and --copick-tomogram")
        return [file for files in of_run.values() for file in files.values()]

    def picks_file(self, run: str, user: str, session: str, name: str) -> Path:
        """Return the file of a run's picks, in the overlay."""
        return self.roots[-1] / RUNS / run / "Picks" / f"{user}_{session}_{name}.json"

    def object_named(self, name: str | None) -> str:
        """Return the name of a particle of the project; without one, the only one.

        Raises `UsageError` if the project has no such particle, or several and none is named.
        """
        if name is None and len(self.objects) == 1:
            return self.objects[0]
        if name is None or name not in self.objects:
            problem = "the particle to write is not stated" if name is None else f"it has no particle '{name}'"
            objects = ", ".join(self.objects) or "its objects"
            raise UsageError(f"{self.path}: {problem}; give --copick-object one of {objects}")
        return name


def read_project(path: Path) -> CopickProject:
    """Read a configuration.

    Raises `TomoPickerError` if it is invalid, its folders are not local, or a particle's name cannot be part of a file
    name.
    """
    content = read_json(path, NOT_COPICK)
    overlay, static = content.get("overlay_root"), content.get("static_root")
    if not isinstance(overlay, str) or not overlay:
        raise TomoPickerError(f"{path}: it names no overlay_root; give the configuration of a copick project")
    roots = [_local(root, path) for root in (static, overlay) if isinstance(root, str) and root]
    objects = content.get("pickable_objects")
    particles = [
        check_file_name(str(item.get("name")), path)
        for item in (objects if isinstance(objects, list) else [])
        if isinstance(item, dict) and item.get("is_particle")
    ]
    return CopickProject(path, tuple(dict.fromkeys(roots)), tuple(particles))


def check_name(text: str, flag: str) -> str:
    """Return the name of a user or session if it can be part of a file name.

    Raises `UsageError` if it holds an underscore, a blank or a slash.
    """
    if not text or _NOT_IN_A_NAME.search(text):
        raise UsageError(f"{flag} {text}: a copick name has no blank, slash or underscore; give another")
    return text


def _local(root: str, path: Path) -> Path:
    scheme, mark, rest = root.partition("://")
    if mark and scheme not in {"local", "file"}:
        raise TomoPickerError(f"{path}: its root {root} is not on this machine; copy the project and give a local root")
    folder = Path(rest if mark else root).expanduser()
    moved = path.absolute().parent / folder
    # copick starts from the current folder; a project that was moved as a whole is found next to its configuration.
    return folder if folder.is_absolute() or (folder.exists() and not moved.exists()) else moved
