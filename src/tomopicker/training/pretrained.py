"""Initial weights: shipped with the program (pretrained on random molecules), or a file of the user."""

from pathlib import Path

from torch import nn

from tomopicker.config import Network
from tomopicker.errors import TomoPickerError
from tomopicker.models.discriminant import SHRINKAGE
from tomopicker.training.checkpoint import PRETRAINED, load_tensors

SHIPPED, SCRATCH = "shipped", "none"
SHIPPED_FILE = Path(__file__).parent.parent / "models" / "random_molecules.safetensors"


def weights_file(cfg: Network) -> Path | None:
    """Return the file of a network's initial weights; None for random weights."""
    if cfg.pretrained == SCRATCH:
        return None
    return SHIPPED_FILE if cfg.pretrained == SHIPPED else Path(cfg.pretrained)


def trained_shrinkage(cfg: Network) -> float:
    """Return the shrinkage with which a network's initial weights were trained, or the default.

    Raises
    ------
    TomoPickerError
        If the file was not written by ``tomopicker pretrain``.
    """
    path = weights_file(cfg)
    facts = {} if path is None else load_tensors(path, PRETRAINED)[1]
    return float(facts.get("shrinkage", SHRINKAGE))


def load_pretrained(network: nn.Module, cfg: Network) -> None:
    """Load the initial weights of a network, except those of the head.

    Parameters
    ----------
    network : Module
        From `build_network`; its weights change.
    cfg : Network
        Its settings; `pretrained` specifies the weights.

    Raises
    ------
    TomoPickerError
        If the file was not written by ``tomopicker pretrain``, or is for another network.
    """
    path = weights_file(cfg)
    if path is None:
        return
    weights, _ = load_tensors(path, PRETRAINED)
    wanted = {name: value for name, value in network.state_dict().items() if not name.startswith("head.")}
    same = wanted.keys() == weights.keys() and all(wanted[name].shape == weights[name].shape for name in wanted)
    if not same:
        raise TomoPickerError(
            f"{path}: weights of another network than {cfg.block}, channels {list(cfg.channels)}, "
            f"stride {cfg.stride}; to train from random weights set network.pretrained to none, "
            "or leave out --pretrained of pretrain"
        )
    network.load_state_dict({name: value.to(wanted[name].dtype) for name, value in weights.items()}, strict=False)
