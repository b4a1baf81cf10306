"""Keys and values of a batch, and what each of their places holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from streamer.gemma.masks import Places
from streamer.gemma.reading import Inputs, Reader

if TYPE_CHECKING:
    from streamer.gemma.rows import Step

_GROWTH = 64
"""Places added at once, so that a step writes one place instead of copying all."""


class KeyValueCache:
    """The ``past_key_values`` of a batch that grows as it needs: for every layer that has keys, all its places in order
    of writing; see `streamer.gemma.reading.Cache`.

    Sliding layers keep all places too; the masks hide what is out of the window. A layer's tensors live where its
    keys are made, so a model spread over devices needs nothing more.
    """

    is_compileable = False
    fixed = False

    def __init__(self) -> None:
        self._layers: dict[int, _Layer] = {}
        self.places: Places | None = None
        """What the places hold; each `read` appends to it."""

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by the model's attention: appends ``(rows, heads, new, size)`` and returns all places."""
        layer = self._layers.get(layer_idx)
        if layer is None:
            layer = self._layers[layer_idx] = _Layer(keys, values)
        return layer.append(keys, values)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Places written so far, holes and padding included."""
        layer = self._layers.get(layer_idx)
        return layer.used if layer else 0

    def fit(self, step: Step, pad_id: int) -> Step:
        """As it is."""
        return step

    def read(self, reader: Reader, step: Step, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """``(rows, keep, hidden)`` states of the last layer; the step's places are held from now on."""
        device = reader.device
        before = 0 if self.places is None else len(self.places)
        self.places = step.places if self.places is None else self.places.followed_by(step.places)
        given = Inputs(
            step.ids.to(device, non_blocking=True),
            step.soft().to(device, non_blocking=True),
            torch.cat(list(features)) if features else None,
            step.places.to(device),
            self.places.to(device),
            torch.arange(before, len(self.places), device=device),
        )
        return reader.read(given, self, step.keep)

    def forget(self, written: int, keep: torch.Tensor) -> None:
        """Makes holes of those of the last ``written`` places where ``keep`` ``(rows, written)`` is False."""
        assert self.places is not None
        valid = self.places.valid
        valid[:, valid.shape[1] - written :] &= keep.to(valid.device)

    def tidy(self) -> None:
        """Drops what holds nothing in any row: behind the last place in use at once, holes among the others when
        they are the greater part."""
        assert self.places is not None
        used = self.places.valid.any(dim=0).nonzero()
        end = int(used[-1]) + 1 if len(used) else 0
        if end < len(self.places):
            self._take(slice(0, end))
        longest = int(self.places.valid.sum(dim=1).max()) if end else 0
        if len(self.places) > 2 * longest + _GROWTH:
            order = self.places.valid.logical_not().to(torch.int8).argsort(dim=1, stable=True)
            self._take(order[:, :longest])

    def _take(self, columns: torch.Tensor | slice) -> None:
        assert self.places is not None
        self.places = self.places.columns(columns)
        for layer in self._layers.values():
            layer.take(columns)

    def select(self, rows: torch.Tensor) -> None:
        """Keeps the rows with these numbers ``(n,)``, in that order; a number may come twice."""
        if self.places is not None:
            self.places = self.places.rows(rows)
        for layer in self._layers.values():
            layer.select(rows)


class _Layer:
    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.used = 0
        self._keys, self._values = keys[:, :, :0], values[:, :, :0]

    def append(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        end = self.used + keys.shape[2]
        if end > self._keys.shape[2]:
            self._keys = _grown(self._keys, self.used, end + _GROWTH)
            self._values = _grown(self._values, self.used, end + _GROWTH)
        self._keys[:, :, self.used : end] = keys
        self._values[:, :, self.used : end] = values
        self.used = end
        return self._keys[:, :, :end], self._values[:, :, :end]

    def take(self, columns: torch.Tensor | slice) -> None:
        if isinstance(columns, slice):
            self.used = int(columns.stop)
            return
        chosen = columns.to(self._keys.device)[:, None, :, None]
        rows, heads, _, size = self._keys.shape
        self.used = columns.shape[1]
        self._keys = self._keys.gather(2, chosen.expand(rows, heads, self.used, size))
        size = self._values.shape[3]
        self._values = self._values.gather(2, chosen.expand(rows, heads, self.used, size))

    def select(self, rows: torch.Tensor) -> None:
        self._keys = self._keys[rows.to(self._keys.device)]
        self._values = self._values[rows.to(self._values.device)]


def _grown(kept: torch.Tensor, used: int, length: int) -> torch.Tensor:
    rows, heads, _, size = kept.shape
    grown = kept.new_zeros((rows, heads, length, size))
    grown[:, :, :used] = kept[:, :, :used]
    return grown
