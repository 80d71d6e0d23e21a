"""Model files and training checkpoints: safetensors with settings and provenance, never pickles."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tomopicker.config import Settings
from tomopicker.errors import TomoPickerError
from tomopicker.files import atomic_path
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.models.resunet import ResUNet
from tomopicker.pu.particle_scores import ParticleScores
from tomopicker.types import Scores

MODEL, CHECKPOINT, PRETRAINED = "tomopicker-model", "tomopicker-checkpoint", "tomopicker-pretrained"
FEATURES = "tomopicker-features"
KINDS = {
    MODEL: ("model", "train"),
    CHECKPOINT: ("training checkpoint", "train"),
    PRETRAINED: ("weights to start from", "pretrain"),
    FEATURES: ("features of a tomogram", "suggest"),
}
"""Name of each type of file, and the command that writes it."""
VERSION = 1
REJECTED = "calibration.rejected"
"""Tensor of a model file that does not belong to the network."""
OTHERS = "others"
"""Prefix, followed by a number, of the tensor names of the second and further kinds."""


@dataclass(frozen=True)
class Model:
    """A trained picker: everything that `pick` needs, with its provenance.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    settings : Settings
        Resolved settings of the training.
    voxel_size : float
        Å, of the working volumes to score.
    offset : float
        Added to logits before they become probabilities; 0 if no count was known.
    threshold : float or None
        Default threshold of the probability; None: the best expected F1 of each tomogram.
    provenance : mapping
        Versions, inputs, priors and training history.
    particle_scores : ParticleScores or None
        Prior of the particles' scores, with which each tomogram is calibrated in place of `offset`.
    displacement : tuple of float
        Displacement of the network's peaks from particle centres, (x, y, z) in Å; subtracted from picks.
    warnings : tuple of str
        Warnings of the training, one line each, that `pick` repeats.
    kind : str
        Name of the kind of particle; empty if clicks named none.
    others : tuple of Model
        Models of the other kinds in the same file.
    """

    network: nn.Module
    settings: Settings
    voxel_size: float
    offset: float
    threshold: float | None
    provenance: Mapping[str, Any]
    particle_scores: ParticleScores | None = None
    displacement: tuple[float, float, float] = (0.0, 0.0, 0.0)
    warnings: tuple[str, ...] = ()
    kind: str = ""
    others: tuple["Model", ...] = ()

    @property
    def kinds(self) -> dict[str, "Model"]:
        """Model of each kind, by name; with a single kind, only this model."""
        return {each.kind: each for each in (replace(self, others=()), *self.others)}

    @property
    def radius(self) -> float:
        """Particle radius in working voxels."""
        return self.settings.particle_diameter / 2 / self.voxel_size


def build_network(settings: Settings) -> nn.Module:
    """Build an untrained network from settings, with the head that they specify."""
    body = build_body(settings)
    return DiscriminantNetwork(body) if settings.network.head == "discriminant" else body


def build_body(settings: Settings) -> ResUNet:
    """Build an untrained ResUNet from settings, with a trainable head."""
    cfg = settings.network
    network = ResUNet(cfg.block, cfg.channels, cfg.dropout, cfg.stride)
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]


def save_tensors(path: Path, kind: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts (JSON values) to one file, atomically."""
    metadata = {"format": kind, "version": str(VERSION), "facts": json.dumps(facts)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path, durable=True) as temporary:
        try:
            save_file(plain, temporary, metadata)
        except SafetensorError as error:
            raise OSError(str(error)) from error


def load_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file written by `save_tensors`.

    Raises
    ------
    TomoPickerError
        If the file is missing, corrupted, of another type or of a newer version.
    """
    what, command = KINDS[kind]
    if not path.is_file():
        raise TomoPickerError(f"{path}: no such {what} file; make one with 'tomopicker {command}'")
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            if metadata.get("format") == kind and metadata.get("version", "").isdecimal():
                if int(metadata["version"]) > VERSION:
                    raise TomoPickerError(f"{path}: written by a newer tomopicker; update tomopicker to use it")
                facts = json.loads(metadata["facts"])
                if not isinstance(facts, dict):
                    raise ValueError("facts must be a mapping")
                return {name: opened.get_tensor(name) for name in opened.keys()}, facts  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise TomoPickerError(f"{path}: is not a tomopicker {what}, or is corrupted; make it again") from error
    raise TomoPickerError(
        f"{path}: is a safetensors file but not a tomopicker {what}; give a file that '{command}' wrote"
    )


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state of each weight, named ``optimizer.INDEX.SLOT``."""
    slots = optimizer.state_dict()["state"]
    return {
        f"optimizer.{index}.{slot}": torch.as_tensor(value)
        for index, values in slots.items()
        for slot, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[Any]) -> None:
    """Restore an optimiser from tensors that include those of `optimizer_tensors`, and its parameter groups."""
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        if part == "optimizer":
            index, _, slot = rest.partition(".")
            slots.setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": groups})


def schedule_facts(schedule: torch.optim.lr_scheduler.LRScheduler) -> dict[str, Any]:
    """Return the JSON-compatible part of a learning-rate schedule's state, for its ``load_state_dict``."""
    return {k: v for k, v in schedule.state_dict().items() if isinstance(v, int | float | list | str | None)}


def save_model(path: Path | str, model: Model) -> None:
    """Write a model file; with several kinds, tensors that equal those of the first kind are stored once."""
    tensors = _tensors_of(model)
    facts = _facts_of(model) | {"others": [_facts_of(other) for other in model.others]}
    for index, other in enumerate(model.others):
        own = {name: tensor for name, tensor in _tensors_of(other).items() if not _equals(tensor, tensors.get(name))}
        tensors |= {f"{OTHERS}.{index}.{name}": tensor for name, tensor in own.items()}
    save_tensors(Path(path), MODEL, tensors, facts)


def load_model(path: Path | str) -> Model:
    """Read a model file.

    Raises
    ------
    TomoPickerError
        If the file is not a model, is corrupted, or was written by a newer version.
    """
    tensors, facts = load_tensors(Path(path), MODEL)
    try:
        first = {name: tensor for name, tensor in tensors.items() if not name.startswith(f"{OTHERS}.")}
        others = []
        for index, stated in enumerate(facts["others"]):
            start = f"{OTHERS}.{index}."
            own = {name.removeprefix(start): tensors[name] for name in tensors if name.startswith(start)}
            shared = {name: first[name] for name in first if name != REJECTED or stated["particle_scores"] is not None}
            others.append(_model_of({**shared, **own}, stated))
        return replace(_model_of(first, facts), others=tuple(others))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise TomoPickerError(f"{path}: the model is damaged or of another version; train it again") from error


def _tensors_of(model: Model) -> dict[str, Tensor]:
    scores = model.particle_scores
    rejected = {} if scores is None else {REJECTED: torch.from_numpy(scores.rejected)}
    return {**model.network.state_dict(), **rejected}


def _facts_of(model: Model) -> dict[str, Any]:
    scores = model.particle_scores
    return {
        "settings": model.settings.model_dump(mode="json"),
        "voxel_size": model.voxel_size,
        "offset": model.offset,
        "threshold": model.threshold,
        "particle_scores": None if scores is None else {**asdict(scores), "rejected": None},
        "displacement": list(model.displacement),
        "provenance": dict(model.provenance),
        "warnings": list(model.warnings),
        "kind": model.kind,
    }


def _model_of(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Model:
    """Build the model of one kind from its facts and tensors; missing tensors are those of the first kind."""
    settings = Settings.model_validate(facts["settings"])
    network = build_network(settings)
    weights, scores = dict(tensors), facts["particle_scores"]
    rejected = weights.pop(REJECTED, None)
    if (rejected is None) != (scores is None):
        raise ValueError("half of where particles score is missing")
    network.load_state_dict(weights)
    network.eval()
    threshold = None if facts["threshold"] is None else float(facts["threshold"])
    x, y, z = map(float, facts["displacement"])
    return Model(
        network,
        settings,
        float(facts["voxel_size"]),
        float(facts["offset"]),
        threshold,
        facts["provenance"],
        None if rejected is None else _particle_scores(scores, rejected.numpy()),
        (x, y, z),
        tuple(str(text) for text in facts["warnings"]),
        str(facts["kind"]),
    )


def _equals(tensor: Tensor, other: Tensor | None) -> bool:
    return other is not None and tensor.shape == other.shape and torch.equal(tensor, other.to(tensor.device))


def _particle_scores(stated: dict[str, Any], rejected: Scores) -> ParticleScores:
    """Convert the values of a file to numbers; the density may be unknown."""
    numbers = {name: float(value) for name, value in stated.items() if value is not None and name != "rejected"}
    return ParticleScores(**numbers, rejected=rejected)
