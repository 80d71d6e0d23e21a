"""Features of many tomograms, computed here or by workers and cached for `features`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tomopicker.cluster.mapping import map_tomograms
from tomopicker.cluster.pick_tomogram import item_of
from tomopicker.cluster.resources import bytes_for
from tomopicker.cluster.work import Item, OnEvent, Outcome, failed_outcome, ignore_event
from tomopicker.config import Settings, resolve
from tomopicker.fewshot.cache import default_folder
from tomopicker.io import open_tomogram
from tomopicker.io.masks import read_mask
from tomopicker.io.read_options import ReadOptions
from tomopicker.models.precision import choose_device, uses_bfloat16
from tomopicker.output.pick_folder import TomogramFile
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.features import features
from tomopicker.pipeline.training_data import common_voxel_size

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings

FEATURE_BYTES = 60.0
"""Bytes per working voxel: 112 channels in half precision at an eighth of the voxels, for specimen and decoy."""


@dataclass(frozen=True)
class FeaturesWork:
    """Compute the features of each tomogram and cache them in a folder; see `features_many`.

    Parameters
    ----------
    settings : Settings
        With the precision set, as the cache key must not depend on a worker's processor.
    working : float
        Working voxel size, Å.
    """

    folder: Path
    settings: Settings
    working: float
    reading: ReadOptions
    mask: Literal["auto", "none"]
    device: str | None

    def prepare(self) -> None:
        """Do nothing: the network is loaded only if features are missing."""

    def run(self, prepared: None, item: Item, callback: Callback) -> Outcome:
        """Compute the features of a tomogram, unless they are cached."""
        file = item.argument
        try:
            features(
                open_tomogram(file.path, options=self.reading), self.settings.particle_diameter, cache=self.folder,
                device=self.device, voxel_size=self.working, settings=self.settings, callback=callback,
                mask=self.mask if file.mask is None else read_mask(file.mask),
                progress=lambda done, total: callback.on_score(item.name, done, total),
            )  # fmt: skip
        except Exception as error:
            return failed_outcome(error, file.path)
        return Outcome("done", f"{item.name}: features are there.")

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate the bytes that a worker needs, from the largest tomogram."""
        largest = max(items, key=lambda item: item.size).argument.path
        return bytes_for(open_tomogram(largest, options=self.reading), self.working, extra_per_voxel=FEATURE_BYTES)

    def give_up(self, item: Item, reason: str) -> None:
        """Do nothing: features that are not cached are computed when requested."""


def features_many(
    files: Sequence[Path],
    particle_diameter: float,
    *,
    cache: Path | None = None,
    cluster: "ClusterSettings | None" = None,
    on_event: OnEvent = ignore_event,
    callback: Callback | None = None,
    device: str | None = None,
    voxel_size: float | None = None,
    invert: bool = False,
    options: ReadOptions | None = None,
    mask: Literal["auto", "none"] = "auto",
    masks: Mapping[Path, Path] | None = None,
) -> dict[str, str]:
    """Compute the features of many tomograms into the folder in which `features` looks them up.

    Parameters
    ----------
    files : sequence of Path
        Tomograms with different names. They have one working voxel size, that of the finest.
    particle_diameter : float
        Å.
    cache : Path, optional
        Cache folder on a disk that all workers see; that of `features` if left out.
    cluster, on_event, callback
        As for `map_tomograms`.
    device : str, optional
        The best of each worker if left out.
    voxel_size : float, optional
        Å; replaces that of the headers.
    invert : bool
        True if protein is bright in the files.
    options : ReadOptions, optional
        Array in each file, and its axes.
    mask : {"auto", "none"}
        Find the lamella, or use the whole volume, in tomograms without a mask.
    masks : mapping of Path to Path, optional
        File of the mask of each tomogram.

    Returns
    -------
    dict of str to str
        Error of each tomogram that failed.

    Raises
    ------
    TomoPickerError
        If a header cannot be read, or the run cannot continue.
    """
    settings = resolve({"preset": "instant", "particle_diameter": float(particle_diameter)})
    # The cache key must not depend on a worker's processor.
    precision = "bfloat16" if uses_bfloat16(settings.precision, choose_device(device)) else "float32"
    settings = settings.model_copy(update={"precision": precision})
    reading = options or ReadOptions()
    reading = replace(reading, voxel_size=voxel_size or reading.voxel_size, invert=invert or reading.invert)
    folder = cache or default_folder()
    headers = [open_tomogram(file, options=reading) for file in files]
    working = common_voxel_size(headers, settings)
    folder.mkdir(parents=True, exist_ok=True)
    work = FeaturesWork(folder, settings, working, reading, mask, device)
    items = [item_of(TomogramFile(file, (masks or {}).get(file))) for file in files]
    return map_tomograms(work, items, cluster, on_event, callback)
