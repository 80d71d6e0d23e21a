"""Seeded torch random numbers for a block; the caller's generators are restored."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators of the CPU and of a device for a block; restore their states afterwards.

    Parameters
    ----------
    seed : int
    device : torch.device
        Device whose generator is seeded besides that of the CPU.
    """
    generators = [torch.default_generator, *_generators_of(device)]
    states = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(seed)
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def _generators_of(device: torch.device) -> list[torch.Generator]:
    if device.type == "cuda" and torch.cuda.is_initialized():  # As it is once a tensor lies there.
        return [torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]]
    if device.type == "mps" and torch.backends.mps.is_available():
        return [torch.mps._get_default_mps_generator()]
    return []
