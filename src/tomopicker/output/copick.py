"""The tomograms of a copick project, and picks written back into it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.io.particles.copick import USER
from tomopicker.io.projects.copick import RUNS, CopickProject, check_name, read_project
from tomopicker.output.pick_folder import PickFolder
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Listener


@dataclass(frozen=True)
class CopickTarget:
    """Where tomograms come from and picks go to.

    Parameters
    ----------
    project : CopickProject
    tomograms : list of Path
        One a run.
    name : str
        The particle.
    session : str
    """

    project: CopickProject
    tomograms: list[Path]
    name: str
    session: str

    @classmethod
    def open(cls, config: Path, tomogram: str | None, name: str | None, session: str) -> "CopickTarget":
        """Read a project and find one tomogram a run.

        Raises
        ------
        TomoPickerError
            If the project, a tomogram or the particle is not there, or not the only one.
        """
        project = read_project(config)
        kind, _, size = (tomogram or "").partition("@")
        try:
            spacing = float(size) if size else None
        except ValueError as error:
            raise UsageError(f"--copick-tomogram {tomogram}: give a type and a spacing in Å, such as wbp@10") from error
        return cls(
            project,
            project.tomograms(kind or None, spacing),
            project.object_named(name),
            check_name(session, "--copick-session"),
        )

    def write(self, folder: PickFolder, listener: Listener, *, overwrite: bool) -> list[TomoPickerError]:
        """Write the picks of every run that is finished in the folder; different picks of the same name are kept.

        Parameters
        ----------
        folder : PickFolder
        listener : Listener
        overwrite : bool
            Replace different picks too.

        Returns
        -------
        list of TomoPickerError
            Of the runs that failed; one does not stop the others.
        """
        written, failed = 0, []
        runs = {io.tomogram_name(path) for path in self.tomograms}
        known = folder.frames
        for name, count in folder.counts.items():
            if name not in runs or not count:
                continue
            frames, file = {name: known[name]}, self.file(name)
            try:
                picks = io.read_picks(folder.path / f"{name}.csv", frames)
                if (
                    file.exists()
                    and not overwrite
                    and not _same(io.read_picks(file, frames, check_inside=False), picks)
                ):
                    listener.warn(
                        f"{file}: holds other picks, and stays; give --overwrite, or another --copick-session"
                    )
                    continue
                io.write_picks(picks, frames, file, "copick")
                written += 1
            except TomoPickerError as error:
                failed.append(error)
        called = f"{USER}_{self.session}_{self.name}.json"
        listener.say(f"{self.project.roots[-1] / RUNS}: picks of {written} runs, {called}.")
        return failed

    def file(self, run: str) -> Path:
        """Say which file a run's picks go to."""
        return self.project.picks_file(run, USER, self.session, self.name)


def _same(some: Picks, others: Picks) -> bool:
    return len(some) == len(others) and bool(np.allclose(some.positions, others.positions, atol=0.01))
