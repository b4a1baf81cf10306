"""What to run on: device, number format, CPUs."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path

import torch

from streamer.errors import OptionError

DTYPES = {"bf16": torch.bfloat16, "bfloat16": torch.bfloat16, "fp32": torch.float32, "float32": torch.float32}
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
"""Of oneDNN, which has the bf16 products on CPUs. It keeps one for every shape that it meets, 1024 by default, and the
shapes of our passes differ with every answer. It is read at the first product. benchmarks/NOTES.md has figures."""
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")
_CLEARLY = 1.2
"""How many times faster bf16 has to be to give up precision for it."""


def pick_device(name: str = "auto") -> torch.device:
    """``auto``: CUDA, else MPS, else CPU. Raises `OptionError` for a device that is not here."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError("device", name, "auto, cpu, mps, cuda or cuda:N") from error
    here = {
        "cpu": 1,
        "mps": int(torch.backends.mps.is_available()),
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
    }
    if (device.index or 0) >= here.get(device.type, 0):
        usable = [kind for kind, count in here.items() if count]
        raise OptionError("device", name, f"one that this machine has: {', '.join(usable)} or auto")
    return device


def pick_dtype(name: str, device: torch.device, width: int) -> torch.dtype:
    """``auto``: bf16 on a GPU; on a CPU fp32, or bf16 where that is measured to be faster at ``width`` (hidden size).

    Never fp16: it overflows in the vision tower. Raises `OptionError` for other names.
    """
    if name == "auto":
        if device.type != "cpu":
            return torch.bfloat16
        return torch.bfloat16 if bf16_is_fast(width) else torch.float32
    if name not in DTYPES:
        raise OptionError("dtype", name, "auto, bf16 or fp32 (fp16 overflows in the vision tower)")
    return DTYPES[name]


@lru_cache(maxsize=8)
def bf16_is_fast(width: int) -> bool:
    """Whether this CPU multiplies bf16 clearly faster than fp32, a single row (decoding) and 64 rows (reading)."""
    return all(
        _seconds(rows, width, torch.float32) > _CLEARLY * _seconds(rows, width, torch.bfloat16) for rows in (1, 64)
    )


def usable_cpus() -> int:
    """CPUs that this process may use: its affinity, and a container's quota where one is set."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if _CGROUP_CPU.is_file():
        quota, period = _CGROUP_CPU.read_text().split()
        if quota != "max":
            count = min(count, -(-int(quota) // int(period)))
    return max(1, count)


def _seconds(rows: int, width: int, dtype: torch.dtype) -> float:
    """The best of several multiplications, so that a busy machine disturbs less."""
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(rows, width, generator=generator).to(dtype)
    weight = torch.randn(2 * width, width, generator=generator).to(dtype)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(7):
            started = time.perf_counter()
            torch.nn.functional.linear(left, weight)
            best = min(best, time.perf_counter() - started)
    return best
