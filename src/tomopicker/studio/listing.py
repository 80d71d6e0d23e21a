"""The tomograms that the studio was started with: the only volumes that it opens, each by its name alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tomopicker import io
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.geometry import Frame
from tomopicker.io.particles.star import read_blocks
from tomopicker.io.projects.copick import read_project
from tomopicker.io.projects.relion import find_listed
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.tomogram_names import check_file_name, join_names, matches
from tomopicker.tomogram import Tomogram

VOLUME_COLUMNS = ("rlnTomoReconstructedTomogramDenoised", "rlnTomoReconstructedTomogram")
RAW = "raw"


@dataclass
class Listing:
    """Names of tomograms, and the files of each: the first is clicked in, others are shown in its place.

    Parameters
    ----------
    files : dict of str to dict of str to Path
        By tomogram and by what the volume is called (``raw``, or the folder of a second one).
    reading : ReadOptions
    """

    files: dict[str, dict[str, Path]]
    reading: ReadOptions = DEFAULT_OPTIONS
    _opened: dict[tuple[str, str], Tomogram] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The tomograms in the order given."""
        return list(self.files)

    def tomogram(self, name: str, volume: str | None = None) -> Tomogram:
        """Open a tomogram, or one of its other volumes.

        Raises
        ------
        UsageError
            If it is not listed.
        TomoPickerError
            If its file cannot be used.
        """
        if name not in self.files:
            raise UsageError(f"no tomogram '{name[:80]}' is listed; start the studio with its file")
        called = volume or next(iter(self.files[name]))
        if called not in self.files[name]:
            raise UsageError(f"the tomogram '{name}' has no volume '{called[:80]}'; reload the page")
        if (name, called) not in self._opened:
            opened = io.open_tomogram(self.files[name][called], options=self.reading)
            self._opened[name, called] = replace(opened, name=name)
        return self._opened[name, called]

    def frame(self, name: str) -> Frame:
        """Return the geometry of a tomogram."""
        return self.tomogram(name).frame


def list_tomograms(
    paths: Sequence[Path], others: Sequence[Path] = (), reading: ReadOptions = DEFAULT_OPTIONS
) -> Listing:
    """List the tomograms that paths mean: volumes, folders, a RELION tomograms.star, or a copick configuration.

    `others` are volumes of the same tomograms (denoised ones), likewise; matched by name.

    Raises `TomoPickerError` if a path is missing, holds no tomogram, or a second volume belongs to none.
    """
    files = {io.tomogram_name(path): {RAW: path} for path in _volumes(paths)}
    for name, volumes in files.items():
        check_file_name(name, volumes[RAW])
    for place in others:
        for path in _volumes([place]):
            meant = matches(io.tomogram_name(path), list(files))
            if len(meant) != 1:
                raise TomoPickerError(
                    f"{path}: is a volume of none of the tomograms ({join_names(list(files))}); name it after one"
                )
            called = place.name if place.is_dir() or len(others) > 1 else "other"
            files[meant[0]][called] = path
    return Listing(files, reading)


def _volumes(paths: Sequence[Path]) -> list[Path]:
    listed: list[Path] = []
    for path in paths:
        if path.suffix.lower() == ".star":
            listed += _of_star(path)
        elif path.suffix.lower() == ".json":
            listed += read_project(path).tomograms()
        else:
            listed.append(path)
    if not listed:
        raise UsageError("no tomogram is given; name files, folders, a tomograms.star or a copick configuration")
    return io.volume_files(listed)


def _of_star(path: Path) -> list[Path]:
    """List the reconstructions that a tomograms.star names; its paths count from the RELION project's folder."""
    for block in read_blocks(path).values():
        column = next((name for name in VOLUME_COLUMNS if name in block), None)
        if column is not None:
            return [find_listed(str(name), path) for name in block[column].tolist()]
    raise TomoPickerError(f"{path}: it names no reconstructed tomograms; give the one of a Reconstruct job, or files")
