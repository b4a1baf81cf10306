"""What a machine could do at best: its memory's and its arithmetic's rate, and what a checkpoint asks of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from streamer.gemma.checkpoint import Checkpoint

# Bytes/s of the memory and dense (not sparse) bf16 FLOP/s with float32 sums, by what torch calls the device. From the
# makers' data sheets of NVIDIA B200, H200, H100 (half of the rates "with sparsity"), A100, L40S, L4, A10 and AMD
# Instinct MI300X, and from the architecture whitepapers of the GeForce cards.
KNOWN: tuple[tuple[str, float, float], ...] = (
    ("B200", 8.0e12, 2250e12),
    ("H200 NVL", 4.8e12, 835.5e12),
    ("H200", 4.8e12, 989.4e12),
    ("H100 NVL", 3.9e12, 835.5e12),
    ("H100 PCIe", 2.0e12, 756e12),
    ("H100 80GB HBM3", 3.35e12, 989.4e12),
    ("A100-SXM4-80GB", 2.039e12, 312e12),
    ("A100 80GB PCIe", 1.935e12, 312e12),
    ("A100-SXM4-40GB", 1.555e12, 312e12),
    ("A100-PCIE-40GB", 1.555e12, 312e12),
    ("L40S", 864e9, 362e12),
    ("L4", 300e9, 121e12),
    ("A10", 600e9, 125e12),
    ("RTX 5090", 1792e9, 209.5e12),
    ("RTX 4090", 1008e9, 165.2e12),
    ("RTX 3090", 936e9, 71e12),
    ("MI300X", 5.3e12, 1307.4e12),
)


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one device, for one number format."""

    device: str
    bandwidth: float
    """Bytes a second."""
    flops: float
    """A second."""
    origin: str
    """``data sheet`` or ``measured``"""
    measured_bandwidth: float
    measured_flops: float

    def seconds(self, flops: float, moved: float) -> float:
        """The least time for so much arithmetic on so many bytes of memory."""
        return max(flops / self.flops, moved / self.bandwidth)

    def told(self) -> dict[str, Any]:
        return asdict(self)


def rates(device: torch.device, dtype: torch.dtype, *, quick: bool = False) -> Rates:
    """From the data sheet for a known GPU in bf16, else as measured here and now by a copy and a matmul."""
    bandwidth, flops = _copied(device, quick), _multiplied(device, dtype, quick)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    known = look_up(name) if device.type == "cuda" and dtype == torch.bfloat16 else None
    if known is None:
        return Rates(name, bandwidth, flops, "measured", bandwidth, flops)
    return Rates(name, *known, "data sheet", bandwidth, flops)


def look_up(name: str) -> tuple[float, float] | None:
    """Bytes/s and FLOP/s of the GPU that torch calls ``name``; None for one that is not in the table.

    >>> look_up("NVIDIA L4"), look_up("NVIDIA L40")
    ((300000000000.0, 121000000000000.0), None)
    """
    for part, bandwidth, flops in KNOWN:
        if re.search(rf"\b{re.escape(part)}\b(?! Laptop| D\b)", name):
            return bandwidth, flops
    return None


def synchronize(device: torch.device) -> None:
    """Waits until the device (every GPU, for a model that is spread) has done what was asked of it."""
    if device.type == "cuda":
        for number in range(torch.cuda.device_count()):
            torch.cuda.synchronize(number)
    elif device.type == "mps":
        torch.mps.synchronize()


def _copied(device: torch.device, quick: bool) -> float:
    size = 2**29 if device.type == "cuda" else 2**24 if quick else 2**27
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _best(lambda: target.copy_(source), device)


def _multiplied(device: torch.device, dtype: torch.dtype, quick: bool) -> float:
    side = 8192 if device.type == "cuda" else 512 if quick else 1024
    left = torch.randn(side, side, device=device).to(dtype)
    return 2 * side**3 / _best(lambda: left @ left, device)


def _best(work: Callable[[], Any], device: torch.device) -> float:
    """The shortest of several runs, the first one left out."""
    times = []
    with torch.inference_mode():
        for _ in range(8):
            synchronize(device)
            started = time.perf_counter()
            work()
            synchronize(device)
            times.append(time.perf_counter() - started)
    return max(min(times[1:]), 1e-9)


@dataclass(frozen=True, slots=True)
class Load:
    """What a checkpoint's forwards read and multiply; attention itself, which depends on the length, is left out."""

    itemsize: float
    """Bytes a parameter of the text model, on average (less than the format's where layers are packed)."""
    every: int
    """Parameters that each token goes through."""
    last: int
    """Parameters that only the last token of a prompt goes through: layers with shared keys, and the head."""
    experts: int
    """Parameters of all experts together."""
    chosen: float
    """Part of the experts that a token goes through."""
    tower: int
    """Parameters that each patch of a picture goes through."""
    tower_bytes: int

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Load:
        network = checkpoint.model
        config = network.config.get_text_config()
        first_shared = config.num_hidden_layers - (getattr(config, "num_kv_shared_layers", 0) or 0)
        counts = {"every": 0, "last": network.lm_head.weight.numel(), "experts": 0}
        size = network.lm_head.weight.nbytes
        for name, parameter in network.model.language_model.named_parameters():
            if name.startswith("embed_tokens"):  # a row of them is looked up; the head is counted above
                continue
            layer = re.search(r"layers\.(\d+)\.", name)
            late = layer is not None and int(layer[1]) >= first_shared
            counts["experts" if ".experts." in name else "last" if late else "every"] += parameter.numel()
            size += parameter.nbytes
        seeing = [
            parameter
            for name, parameter in network.model.named_parameters()
            if not name.startswith("language_model.") and "audio" not in name and "position_embedding" not in name
        ]
        total = sum(counts.values())
        return cls(
            size / total,
            **counts,
            chosen=(config.top_k_experts or 0) / config.num_experts if getattr(config, "num_experts", None) else 0.0,
            tower=sum(parameter.numel() for parameter in seeing),
            tower_bytes=sum(parameter.nbytes for parameter in seeing),
        )

    def step(self, rates: Rates, batch: int) -> float:
        """Seconds of a decoding step, at best."""
        active = self.every + self.last + self.experts * self.chosen
        return rates.seconds(2 * active * batch, self.bytes_read(batch))

    def prefill(self, rates: Rates, batch: int, tokens: int) -> float:
        """Seconds to read ``batch`` prompts of ``tokens`` each (pictures' soft tokens included), at best."""
        active = (self.every + self.experts * self.chosen) * tokens + self.last
        return rates.seconds(2 * active * batch, self.bytes_read(batch * tokens))

    def pictures(self, rates: Rates, patches: int) -> float:
        """Seconds of the vision tower on so many patches, at best."""
        return rates.seconds(2 * self.tower * patches, self.tower_bytes)

    def bytes_read(self, tokens: int) -> float:
        """Weights that a forward over so many tokens reads: of the experts those that any of them chose, if each
        chooses at random."""
        touched = 1 - (1 - self.chosen) ** tokens if self.chosen else 0.0
        return self.itemsize * (self.every + self.last + self.experts * touched)
