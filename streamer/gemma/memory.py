"""Whether a model fits, asked before its weights are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from streamer.errors import ModelMemoryError

GIB = 1024**3
FAMILY: tuple[tuple[str, float], ...] = (
    ("google/gemma-4-31B-it", 30.7e9),
    ("google/gemma-4-26B-A4B-it", 25.2e9),
    ("google/gemma-4-12B-it", 11.95e9),
    ("google/gemma-4-E4B-it", 7.94e9),
    ("google/gemma-4-E2B-it", 5.10e9),
)
"""Hub ids and parameters, largest first."""

_OVERHEAD = 1.05
_WORKING = 0.3 * GIB
"""What caches and activations of a small batch take on top of the weights."""
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


@dataclass(frozen=True, slots=True)
class Packed:
    """Weights of which the layers are quantised."""

    kind: str
    """``int8`` or ``int4``."""
    weight_bytes: int
    """All weights together, those that stay as they are included."""


def needed_bytes(parameters: float, dtype: torch.dtype, packed: Packed | None = None) -> int:
    """Memory for a model of so many parameters, or with packed weights, and a small batch."""
    weights = parameters * dtype.itemsize if packed is None else packed.weight_bytes
    return int(weights * _OVERHEAD + _WORKING)


def available_bytes(device: torch.device) -> int:
    """Free memory of the device; for ``cuda`` without a number, of all GPUs together."""
    if device.type == "cuda":
        numbers: Iterable[int] = range(torch.cuda.device_count()) if device.index is None else (device.index,)
        return sum(torch.cuda.mem_get_info(number)[0] for number in numbers)
    free = int(psutil.virtual_memory().available)
    if _CGROUP_LIMIT.is_file() and (limit := _CGROUP_LIMIT.read_text().strip()) != "max":
        free = min(free, int(limit) - int(_CGROUP_USED.read_text()))
    return max(0, free)


def require_memory(
    model: str, parameters: int, dtype: torch.dtype, available: int, where: str, packed: Packed | None = None
) -> None:
    """Raises `ModelMemoryError` where the model does not fit into ``available`` bytes.

    The error says how much is needed, how much there is, and names the largest model of the family that fits.
    """
    needed = needed_bytes(parameters, dtype, packed)
    if needed <= available:
        return
    half = packed is None and dtype.itemsize > 2 and needed_bytes(parameters, torch.bfloat16) <= available
    remedy = "use dtype bf16" if half else f"use {smaller(parameters, dtype, available)}"
    kind = str(dtype).removeprefix("torch.") + (f" with {packed.kind} layers" if packed else "")
    reason = f"it needs {needed / GIB:.1f} GiB as {kind}, and {available / GIB:.1f} GiB are free on the {where}"
    raise ModelMemoryError(model, reason, remedy)


def smaller(parameters: int, dtype: torch.dtype, available: int) -> str:
    """The largest model of the family with fewer parameters that fits; ``tiny`` where none does."""
    for name, size in FAMILY:
        if size < 0.95 * parameters and needed_bytes(size, dtype) <= available:
            return name
    return "tiny"
