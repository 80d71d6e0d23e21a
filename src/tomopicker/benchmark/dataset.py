"""Opened data sets: tomograms, their roles and truth, and clicks drawn from the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tomopicker import io
from tomopicker.benchmark.protocol import NAME_FIELD, DataSet, Protocol, Template
from tomopicker.errors import UsageError
from tomopicker.geometry import Frame
from tomopicker.io.tomogram_names import join_names
from tomopicker.picks import Picks
from tomopicker.simulation.molecules import builtin_names
from tomopicker.tomogram import Tomogram

Role = Literal["training", "validation", "test"]


@dataclass(frozen=True)
class OpenDataSet:
    """Tomograms and truth of a protocol's data set, in the order training, validation, test."""

    name: str
    spec: DataSet
    tomograms: Mapping[str, Tomogram]
    truth: Mapping[str, Picks]

    def role(self, tomogram: str) -> Role:
        """Return the role of a tomogram."""
        if tomogram == self.spec.training:
            return "training"
        return "validation" if tomogram == self.spec.validation else "test"

    @property
    def training(self) -> Tomogram:
        """The training tomogram, from which clicks are drawn."""
        return self.tomograms[self.spec.training]

    @property
    def validation(self) -> Tomogram | None:
        """The validation tomogram, if there is one."""
        return None if self.spec.validation is None else self.tomograms[self.spec.validation]

    @property
    def unseen(self) -> list[str]:
        """Names of the test tomograms."""
        return [name for name in self.tomograms if self.role(name) == "test"]


def open_datasets(protocol: Protocol) -> dict[str, OpenDataSet]:
    """Open every data set of a protocol, reading headers and truth.

    Raises `TomoPickerError` if a file is missing or cannot be read, or a tomogram has fewer particles than clicks.
    """
    opened = {name: _open(name, spec) for name, spec in protocol.datasets.items()}
    if protocol.template is not None:
        _check_template(protocol.template)
    for folder in protocol.external.values():
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder; correct --external, or external in the protocol")
    clicks = max(protocol.clicks)
    for data in opened.values():
        for name in filter(None, (data.spec.training, data.spec.validation)):
            particles = len(data.truth[name])
            if clicks > particles:
                raise UsageError(
                    f"{data.name}: {clicks} clicks cannot be drawn from the {particles} particles of {name}"
                )
    return opened


def _open(name: str, spec: DataSet) -> OpenDataSet:
    files = {io.tomogram_name(path): path for path in io.volume_files(spec.tomograms)}
    used = [tomogram for tomogram in (spec.training, spec.validation) if tomogram]
    for tomogram in (*used, *(spec.test or ()), *spec.exclude):
        if tomogram not in files:
            raise UsageError(f"datasets.{name}: there is no tomogram {tomogram}, only {join_names(list(files))}")
    tests = spec.test or [tomogram for tomogram in files if tomogram not in (*used, *spec.exclude)]
    if not tests:
        raise UsageError(f"datasets.{name}: no tomogram is left to test on; add one to {spec.tomograms[0]}")
    tomograms = {
        tomogram: io.open_tomogram(files[tomogram], voxel_size=spec.voxel_size, invert=spec.invert)
        for tomogram in (*used, *tests)
    }
    return OpenDataSet(
        name, spec, tomograms, {tomogram.name: _read_truth(spec, tomogram) for tomogram in tomograms.values()}
    )


def _read_truth(spec: DataSet, tomogram: Tomogram) -> Picks:
    path = Path(spec.truth.replace(NAME_FIELD, tomogram.name))
    if not path.is_file():
        raise UsageError(f"{path}: the truth of {tomogram.name} is missing; add it, or exclude the tomogram")
    return io.read_picks(path, {tomogram.name: tomogram.frame})


def _check_template(template: Template) -> None:
    if template.map is not None and not template.map.is_file():
        raise UsageError(f"{template.map}: no such map; correct template.map in the protocol")
    if template.molecule is not None and template.molecule not in builtin_names():
        names = ", ".join(builtin_names())
        raise UsageError(f"template.molecule {template.molecule}: no such molecule; choose one of {names}")


def draw_clicks(truth: Picks, frame: Frame, count: int, seed: int, jitter_voxels: float) -> Picks:
    """Draw clicks as a person makes them: true positions of one tomogram, displaced at random.

    Clicks of one seed are nested: the first five of twenty are those drawn for five, so that a learning curve compares
    numbers of clicks, not positions. `jitter_voxels` is the root mean square displacement; clicks are clipped to the
    frame.
    """
    rng = np.random.default_rng([seed, 20])
    drawn = truth.select(rng.permutation(len(truth))[:count])
    sd = jitter_voxels * frame.voxel_size / 3**0.5
    positions = drawn.positions + rng.normal(0, sd, drawn.positions.shape)
    return Picks(np.clip(positions, 0, frame.last_voxel), drawn.tomograms, np.full(count, np.nan))
