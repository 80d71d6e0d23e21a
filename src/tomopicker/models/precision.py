"""Device and precision of a run: bfloat16 if the hardware multiplies it, else float32."""

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from tomopicker.errors import UsageError


def choose_device(name: str | None) -> torch.device:
    """Return the device requested, or the best available.

    Raises
    ------
    UsageError
        If the device requested is not available.
    """
    if name in {None, "auto"}:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(str(name))
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"--device {name}: not available here ({reason}); use --device cpu") from error
    return device


@cache
def _cpu_multiplies_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Return True if bfloat16 is used: as requested, or with ``auto`` if the hardware multiplies it."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _cpu_multiplies_bfloat16()


@contextlib.contextmanager
def autocast(precision: str, device: torch.device) -> Iterator[None]:
    """Run a block with autocast to bfloat16 if `uses_bfloat16` chooses it."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=uses_bfloat16(precision, device)):
        yield
