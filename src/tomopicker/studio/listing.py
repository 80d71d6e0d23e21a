"""The tomograms that the studio was started with: it opens no others, and pages request them by name."""

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
    """Tomograms and their files. The first volume of each is the one picked in; others are shown in its place.

    Parameters
    ----------
    files : dict of str to dict of str to Path
        By tomogram and name of the volume (``raw``, or the folder of a second one).
    reading : ReadOptions
    """

    files: dict[str, dict[str, Path]]
    reading: ReadOptions = DEFAULT_OPTIONS
    _opened: dict[tuple[str, str], Tomogram] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the tomograms in the order given."""
        return list(self.files)

    def tomogram(self, name: str, volume: str | None = None) -> Tomogram:
        """Open a tomogram, or one of its other volumes.

        Raises `UsageError` if it is not listed, `TomoPickerError` if its file cannot be read.
        """
        if name not in self.files:
            raise UsageError(f"no tomogram '{name[:80]}' is listed; start the studio with its file")
        files = self.files[name]
        volume = volume or next(iter(files))
        if volume not in files:
            raise UsageError(f"the tomogram '{name}' has no volume '{volume[:80]}'; reload the page")
        if (name, volume) not in self._opened:
            self._opened[name, volume] = replace(io.open_tomogram(files[volume], options=self.reading), name=name)
        return self._opened[name, volume]

    def frame(self, name: str) -> Frame:
        """Return the geometry of a tomogram."""
        return self.tomogram(name).frame


def list_tomograms(
    paths: Sequence[Path], others: Sequence[Path] = (), reading: ReadOptions = DEFAULT_OPTIONS
) -> Listing:
    """List the tomograms given by paths: volumes, folders, a RELION tomograms.star, or a copick configuration.

    `others` are second volumes of the same tomograms, such as denoised ones, given likewise and matched by name.

    Raises `TomoPickerError` if a path is missing, holds no tomogram, or a second volume belongs to none.
    """
    files = {io.tomogram_name(path): {RAW: path} for path in _volumes(paths)}
    for name, volumes in files.items():
        check_file_name(name, volumes[RAW])
    for source in others:
        for path in _volumes([source]):
            matching = matches(io.tomogram_name(path), list(files))
            if len(matching) != 1:
                raise TomoPickerError(
                    f"{path}: is a volume of none of the tomograms ({join_names(list(files))}); name it after one"
                )
            volume = source.name if source.is_dir() or len(others) > 1 else "other"
            files[matching[0]][volume] = path
    return Listing(files, reading)


def _volumes(paths: Sequence[Path]) -> list[Path]:
    listed: list[Path] = []
    for path in paths:
        if path.suffix.lower() == ".star":
            listed += _volumes_in_star(path)
        elif path.suffix.lower() == ".json":
            listed += read_project(path).tomograms()
        else:
            listed.append(path)
    if not listed:
        raise UsageError("no tomogram is given; name files, folders, a tomograms.star or a copick configuration")
    return io.volume_files(listed)


def _volumes_in_star(path: Path) -> list[Path]:
    """List the reconstructions in a tomograms.star; its paths are relative to the folder of the RELION project."""
    for block in read_blocks(path).values():
        column = next((name for name in VOLUME_COLUMNS if name in block), None)
        if column is not None:
            return [find_listed(str(name), path) for name in block[column].tolist()]
    raise TomoPickerError(f"{path}: it names no reconstructed tomograms; give the one of a Reconstruct job, or files")
