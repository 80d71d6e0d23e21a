"""Training that ends in a model file."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tomopicker.config import Settings
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback, NullCallback
from tomopicker.pipeline.kinds.train import train
from tomopicker.pipeline.resume import discard_checkpoints, remove_checkpoints
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model, save_model


def train_to_file(
    tomograms: Sequence[Tomogram],
    clicks: Picks,
    settings: Settings,
    output: Path,
    *,
    files: Mapping[str, Sequence[Path]] | None = None,
    resume: bool = False,
    callback: Callback | None = None,
    **options: Any,
) -> Model:
    """Train, write the model and remove the checkpoints.

    Parameters
    ----------
    tomograms, clicks, settings
        See `train`.
    output : Path
        The model file; checkpoints are written beside it.
    files : mapping of str to sequence of Path
        Of the clicks and so on, for the model's provenance.
    resume : bool
        Go on from the checkpoints, which are else discarded.
    callback : Callback, optional
    options
        Further arguments of `train`.

    Raises
    ------
    TomoPickerError
        As `train`, or if the file cannot be written.
    """
    started, callback = time.monotonic(), callback or NullCallback()
    if not resume:
        discard_checkpoints(output, callback)
    model = train(tomograms, clicks, settings, checkpoint=output, resume=resume, callback=callback, **options)
    named = {name: [str(path.absolute()) for path in paths] for name, paths in (files or {}).items()}
    model = replace(
        model,
        provenance={**model.provenance, "files": named},
        others=tuple(replace(each, provenance={**each.provenance, "files": named}) for each in model.others),
    )
    save_model(output, model)
    remove_checkpoints(output)
    callback.log(f"Model: {output}, after {time.monotonic() - started:.0f} s.")
    return model
