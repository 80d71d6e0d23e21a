"""A mock GPU: its tensors stay in host memory, but cannot be mixed with those of the CPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

HOST = torch.device("cpu")


class PretendGpu:
    """Tracks the storages on the device, and keeps them alive, so that no address is reused."""

    def __init__(self, kind: str) -> None:
        self.device = torch.device(kind, 0)
        self.operations = 0
        self.copying = False
        self._storages: dict[int, Any] = {}

    def holds(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._storages

    def take(self, *values: Any) -> None:
        for tensor in tensors_in(values):
            if self.device.type == "mps" and tensor.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
            storage = tensor.untyped_storage()
            self._storages[storage._cdata] = storage

    def copied(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function that may access both devices."""
        self.copying = True
        try:
            return function(*args, **kwargs)
        finally:
            self.copying = False

    def moved(self, tensor: Tensor, device: torch.device) -> Tensor:
        there = device.type == self.device.type
        if self.holds(tensor) == there:
            return tensor
        copy: Tensor = self.copied(tensor.clone)
        if there:
            self.take(copy)
        return copy


class _Operations(TorchDispatchMode):
    """Below autograd: check the devices of the tensors of an operation."""

    def __init__(self, gpu: PretendGpu):
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        given = tensors_in((args, kwargs))
        there = [self.gpu.holds(tensor) for tensor in given]
        made = operation(*args, **(kwargs or {}))
        if any(there) and not self.gpu.copying and operation is not torch.ops.aten.copy_.default:
            # Scalar tensors may be on the CPU.
            if any(tensor.dim() and not on_it for tensor, on_it in zip(given, there, strict=True)):
                raise RuntimeError(f"Expected all tensors to be on the same device ({operation})")
            self.gpu.operations += 1
            self.gpu.take(made)
        return made


class _Calls(TorchFunctionMode):
    """Above autograd: intercept calls that name a device or copy from it."""

    def __init__(self, gpu: PretendGpu):
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, gpu, first = dict(kwargs or {}), self.gpu, args[0] if args else None
        if function == Tensor.device.__get__:
            return gpu.device if gpu.holds(first) else HOST
        if function is Tensor.cpu:
            return gpu.moved(first, HOST)
        if function is Tensor.numpy and gpu.holds(first):
            raise TypeError(f"can't convert {gpu.device} device type tensor to numpy")
        if function is Tensor.__deepcopy__ and gpu.holds(first):
            copy = gpu.copied(function, *args, **kwargs)
            gpu.take(copy)
            return copy
        if function is Tensor.to:
            return self._to(first, args[1:], kwargs)
        asked = kwargs.get("device")
        if asked is None:
            return function(*args, **kwargs)
        made = function(*args, **{**kwargs, "device": HOST})
        if torch.device(asked).type == gpu.device.type:
            gpu.take(made)
        return made

    def _to(self, tensor, args, kwargs):
        devices = [each for each in (kwargs.pop("device", None), *args) if isinstance(each, str | torch.device)]
        for device in devices:
            tensor = self.gpu.moved(tensor, torch.device(device))
        dtypes = [each for each in args if isinstance(each, torch.dtype)]
        return tensor.to(*dtypes, **kwargs) if dtypes or kwargs else tensor


def tensors_in(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


@contextmanager
def pretend_gpu(kind: str = "cuda") -> Iterator[PretendGpu]:
    """Provide a device of this kind (cuda, mps) within the block; mps refuses float64, as the real one does."""
    gpu = PretendGpu(kind)
    with _Operations(gpu), _Calls(gpu):
        yield gpu
