"""How `tiny` steps while it is trained: by the clock, by Muon for matrices and by Adam for all else."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Schedule:
    """Progress by wall-clock time, so that a stage ends when it was told to, however busy the machine is."""

    def __init__(self, minutes: float, spent: float = 0.0, *, peak: float, warmup: float = 0.02) -> None:
        self._seconds, self._spent, self._peak, self._warmup = minutes * 60, spent, peak, warmup
        self._started = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds of this stage so far, earlier runs of it included."""
        return self._spent + time.monotonic() - self._started

    @property
    def share(self) -> float:
        return min(1.0, self.spent / self._seconds)

    @property
    def rate(self) -> float:
        """Learning rate: up quickly, then down to a fiftieth by a cosine."""
        if self.share < self._warmup:
            return self._peak * max(0.02, self.share / self._warmup)
        part = (self.share - self._warmup) / (1 - self._warmup)
        return self._peak * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * part))))


class Muon(torch.optim.Optimizer):
    """Matrices stepped along their orthogonalised momentum (Jordan et al., 2024), those of one shape together.

    torch's own does this matrix by matrix and in bf16, which took a quarter of a step on a CPU without fast bf16.
    """

    ITERATION = (3.4445, -4.775, 2.0315)

    def __init__(self, matrices: list[nn.Parameter], weight_decay: float = 0.05, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": 0.0, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] # nobody has a closure here
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                gradient = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
                states = [self.state[matrix] for matrix in matrices]
                for state, matrix in zip(states, matrices, strict=True):
                    state.setdefault("momentum", torch.zeros_like(matrix))
                momentum = torch.stack([state["momentum"] for state in states])
                momentum.lerp_(gradient, 1 - group["momentum"])
                update = self._orthogonal(gradient.lerp(momentum, group["momentum"]))
                reach = group["lr"] * 0.2 * max(shape) ** 0.5  # as large as a step of Adam's
                for number, (state, matrix) in enumerate(zip(states, matrices, strict=True)):
                    state["momentum"].copy_(momentum[number])
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update[number], alpha=-reach)

    def _orthogonal(self, matrices: Tensor) -> Tensor:
        tall = matrices.shape[1] > matrices.shape[2]
        x = matrices.mT if tall else matrices
        x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
        a, b, c = self.ITERATION
        for _ in range(5):
            gram = x @ x.mT
            x = a * x + (b * gram + c * gram @ gram) @ x
        orthogonal: Tensor = x.mT if tall else x
        return orthogonal


class Optimiser:
    """Muon for the layers' matrices, Adam for all else, at one learning rate."""

    def __init__(self, parameters: list[tuple[str, nn.Parameter]]) -> None:
        matrices = [p for name, p in parameters if p.ndim == 2 and ".layers." in name]
        chosen = {id(p) for p in matrices}
        rest = [p for _, p in parameters if id(p) not in chosen]
        self._all = [p for _, p in parameters]
        self._parts: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices),
            torch.optim.AdamW(rest, betas=(0.9, 0.97), weight_decay=0.0, fused=True),
        )

    def step(self, rate: float) -> None:
        """Clips, steps and forgets the gradients."""
        nn.utils.clip_grad_norm_(self._all, 1.0)
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self._parts]

    def restore(self, state: list[dict[str, Any]]) -> None:
        for part, values in zip(self._parts, state, strict=True):
            part.load_state_dict(values)
