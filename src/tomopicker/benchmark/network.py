"""A network as a method: trained on the clicks of the training tomogram, with its own threshold, then run on all."""

import time
from typing import Any

from tomopicker.benchmark.candidates import Found
from tomopicker.benchmark.dataset import OpenDataSet
from tomopicker.benchmark.expected import Expected
from tomopicker.benchmark.methods import Method
from tomopicker.config import resolve
from tomopicker.engine.precision import choose_device
from tomopicker.picks import Picks
from tomopicker.workflow.listen import Listener
from tomopicker.workflow.pick import pick
from tomopicker.workflow.train import train


def train_and_pick(
    method: Method,
    data: OpenDataSet,
    clicks: Picks,
    validation_clicks: Picks | None,
    particle_diameter: float,
    seed: int,
    device: str | None,
    listener: Listener,
) -> tuple[Found, dict[str, Any]]:
    """Train once and pick every tomogram of a data set.

    A preset that does not estimate how many particles there are, as the paper's, is told how many the **training**
    tomogram holds, as the paper's authors were; so is the ceiling, where every particle is labelled. The validation
    tomogram is used by those whose learning rate follows it.

    Parameters
    ----------
    method : Method
        Of kind network.
    data : OpenDataSet
    clicks, validation_clicks : Picks
        In the training and in the validation tomogram.
    particle_diameter : float
        Å.
    seed : int
        Of weights and batches.
    device : str, optional
    listener : Listener

    Returns
    -------
    found : Found
    facts : dict
        Settings in full, where the model came from, and the time that training took.
    """
    settings = resolve(
        {"preset": method.preset, "particle_diameter": particle_diameter, "seed": seed, **method.settings}
    )
    told = not settings.training.fold_steps or method.labelled == "all"
    if told and settings.expected_particles is None:
        expected = float(len(data.truth[data.training.name]))
        settings = settings.model_copy(update={"expected_particles": expected})
    watched = data.validation if settings.training.schedule == "plateau" else None
    started = time.monotonic()
    model = train(
        [data.training], clicks, settings,
        validation_tomograms=() if watched is None else (watched,), validation_picks=validation_clicks,
        device=device, listener=listener,
    )  # fmt: skip
    trained = time.monotonic() - started
    picked = {
        name: pick(tomogram, model, device=device, listener=listener) for name, tomogram in data.tomograms.items()
    }
    facts = {
        "settings": settings.model_dump(mode="json"),
        "training_seconds": trained,
        "device": str(choose_device(device)),
        "origin": {key: value for key, value in model.provenance.items() if key != "history"},
    }
    return Found(
        {name: each.candidates for name, each in picked.items()},
        {name: each.threshold for name, each in picked.items()},
        {name: Expected.of(each) for name, each in picked.items()},
    ), facts
