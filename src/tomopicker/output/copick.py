"""Tomograms of a copick project, and picks written into it, each kind to the file of its object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.geometry import Frame
from tomopicker.io.particles.copick import USER
from tomopicker.io.projects.copick import RUNS, CopickProject, check_name, read_project
from tomopicker.output.layout import file_of_kind
from tomopicker.output.pick_folder import PickFolder
from tomopicker.output.record import picked_counts, recorded_frames
from tomopicker.output.settings import CopickSettings
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback


@dataclass(frozen=True)
class CopickTarget:
    """A copick project to pick from and write to.

    Parameters
    ----------
    tomograms : list of Path
        One of each run.
    objects : mapping of str to str
        Name in the project of each kind of particle; that of the only one under an empty name.
    """

    project: CopickProject
    tomograms: list[Path]
    session: str
    objects: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, settings: CopickSettings) -> "CopickTarget | None":
        """Read a project and find one tomogram per run; None if the settings name no project.

        Raises `TomoPickerError` if the project or a tomogram is missing or ambiguous.
        """
        if settings.copick is None:
            return None
        project, tomogram, session = read_project(settings.copick), settings.copick_tomogram, settings.copick_session
        kind, _, size = (tomogram or "").partition("@")
        try:
            spacing = float(size) if size else None
        except ValueError as error:
            raise UsageError(f"--copick-tomogram {tomogram}: give a type and a spacing in Å, such as wbp@10") from error
        return cls(project, project.tomograms(kind or None, spacing), check_name(session, "--copick-session"))

    def with_objects(self, kinds: Sequence[str], given: Sequence[str]) -> "CopickTarget":
        """Match each kind of particle with an object of the project.

        Parameters
        ----------
        kinds : sequence of str
            Picked kinds, if there are several; each is the object of its name unless given otherwise.
        given : sequence of str
            The object; for several kinds, any number of ``KIND=OBJECT``.

        Raises
        ------
        UsageError
            If the project has no such object, two kinds are the same one, or a given kind is not picked.
        """
        if not kinds:
            if len(given) > 1 or any("=" in option for option in given):
                raise UsageError("--copick-object: the model picks one kind of particle; give the name of one object")
            return replace(self, objects={"": self.project.object_named(given[0] if given else None)})
        objects = {kind: kind for kind in kinds}
        for option in given:
            kind, separator, name = option.partition("=")
            if not separator or kind not in objects:
                raise UsageError(
                    f"--copick-object {option}: the model picks {', '.join(kinds)}; give KIND=OBJECT, once for each "
                    "kind that has another name in the project"
                )
            objects[kind] = name
        for kind, name in objects.items():
            if name not in self.project.objects:
                raise UsageError(
                    f"{self.project.path}: it has no particle '{name}'; give --copick-object {kind}=OBJECT, one of "
                    f"{', '.join(self.project.objects) or 'its objects'}"
                )
        if len(set(objects.values())) < len(objects):
            raise UsageError(f"--copick-object: two kinds are one object ({', '.join(objects.values())}); give others")
        return replace(self, objects=objects)

    def write(self, folder: PickFolder, callback: Callback, *, overwrite: bool) -> list[TomoPickerError]:
        """Write the picks of every finished run; files with different picks are kept unless `overwrite`.

        Returns the errors of the runs that failed, which do not stop the others.
        """
        written, failed, record = 0, list[TomoPickerError](), folder.read()
        runs, known = {io.tomogram_name(path) for path in self.tomograms}, recorded_frames(record)
        counts = picked_counts(record)
        for kind, name in self.objects.items():
            for run in (run for run, count in counts[kind].items() if run in runs and count):
                picked = folder.path / f"{file_of_kind(run, kind)}.csv"
                try:
                    written += self._write_run(picked, run, known[run], name, callback, overwrite=overwrite)
                except TomoPickerError as error:
                    failed.append(error)
        called = ", ".join(f"{USER}_{self.session}_{name}.json" for name in self.objects.values())
        where = f"{written} runs" if len(self.objects) == 1 else f"{len(self.objects)} kinds, {written} files"
        callback.log(f"{self.project.roots[-1] / RUNS}: picks of {where}, {called}.")
        return failed

    def _write_run(
        self, picked: Path, run: str, frame: Frame, name: str, callback: Callback, *, overwrite: bool
    ) -> bool:
        """Write the picks of one kind in a run; return False if a file with different picks was kept."""
        frames, file = {run: frame}, self.project.picks_file(run, USER, self.session, name)
        picks = io.read_picks(picked, frames)
        if file.exists() and not overwrite and not _are_same(io.read_picks(file, frames, check_inside=False), picks):
            callback.warn(f"{file}: holds other picks, and stays; give --overwrite, or another --copick-session")
            return False
        io.write_picks(picks, frames, file, "copick")
        return True


def _are_same(some: Picks, others: Picks) -> bool:
    return len(some) == len(others) and bool(np.allclose(some.positions, others.positions, atol=0.01))
