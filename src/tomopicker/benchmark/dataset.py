"""A data set, opened: its tomograms, the role of each, and their truth; everything is checked before the first run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tomopicker import formats
from tomopicker.benchmark.protocol import PLACE, DataSet, Protocol, Template
from tomopicker.errors import UsageError
from tomopicker.formats.tomogram_names import join_names
from tomopicker.picks import Picks
from tomopicker.simulate import builtin_names
from tomopicker.tomogram import Tomogram

Role = Literal["training", "validation", "test"]


@dataclass(frozen=True)
class OpenDataSet:
    """Tomograms with truth.

    Parameters
    ----------
    name : str
        As the protocol calls it.
    asked : DataSet
        What the protocol says of it.
    tomograms : mapping of str to Tomogram
        The training tomogram first, then that of validation, then the test ones.
    truth : mapping of str to Picks
        Of each.
    """

    name: str
    asked: DataSet
    tomograms: Mapping[str, Tomogram]
    truth: Mapping[str, Picks]

    def role(self, tomogram: str) -> Role:
        """Say what a tomogram is for."""
        if tomogram == self.asked.training:
            return "training"
        return "validation" if tomogram == self.asked.validation else "test"

    @property
    def training(self) -> Tomogram:
        """The tomogram that is clicked in."""
        return self.tomograms[self.asked.training]

    @property
    def validation(self) -> Tomogram | None:
        """The tomogram that training is followed on."""
        return None if self.asked.validation is None else self.tomograms[self.asked.validation]


def open_datasets(protocol: Protocol) -> dict[str, OpenDataSet]:
    """Open every data set of a protocol, headers and truth only.

    Raises
    ------
    TomoPickerError
        One line: a tomogram or its truth is missing or cannot be read, or there are fewer particles than clicks.
    """
    opened = {name: open_dataset(name, asked) for name, asked in protocol.datasets.items()}
    if protocol.template is not None:
        check_template(protocol.template)
    for folder in protocol.external.values():
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder; mend --external, or external in the protocol")
    for data in opened.values():
        for name in filter(None, (data.asked.training, data.asked.validation)):
            there, asked = len(data.truth[name]), max(protocol.clicks)
            if asked > there:
                raise UsageError(f"{data.name}: {asked} clicks cannot be drawn from the {there} particles of {name}")
    return opened


def check_template(template: Template) -> None:
    """Refuse a map or a molecule that is not there.

    Raises
    ------
    UsageError
        One line that names it.
    """
    if template.map is not None and not template.map.is_file():
        raise UsageError(f"{template.map}: there is no such map; mend template.map in the protocol")
    if template.molecule is not None and template.molecule not in builtin_names():
        known = ", ".join(builtin_names())
        raise UsageError(f"template.molecule {template.molecule}: there is no such molecule; use {known}")


def open_dataset(name: str, asked: DataSet) -> OpenDataSet:
    """Open one data set; see `open_datasets`."""
    files = {formats.tomogram_name(path): path for path in formats.volume_files(asked.tomograms)}
    wanted = [each for each in (asked.training, asked.validation) if each]
    for each in (*wanted, *(asked.test or ()), *asked.exclude):
        if each not in files:
            raise UsageError(f"datasets.{name}: there is no tomogram {each}, only {join_names(list(files))}")
    tests = asked.test or [each for each in files if each not in (*wanted, *asked.exclude)]
    if not tests:
        raise UsageError(f"datasets.{name}: no tomogram is left to test on; add one to {asked.tomograms[0]}")
    tomograms = {
        each: formats.open_tomogram(files[each], voxel_size=asked.voxel_size, invert=asked.invert)
        for each in (*wanted, *tests)
    }
    return OpenDataSet(name, asked, tomograms, {each: _truth(asked, tomograms[each]) for each in tomograms})


def _truth(asked: DataSet, tomogram: Tomogram) -> Picks:
    path = Path(asked.truth.replace(PLACE, tomogram.name))
    if not path.is_file():
        raise UsageError(f"{path}: the truth of {tomogram.name} is missing; add it, or exclude the tomogram")
    return formats.read_picks(path, {tomogram.name: tomogram.frame})
