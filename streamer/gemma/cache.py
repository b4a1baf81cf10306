"""Keys and values of a batch, and what each of their places holds."""

from __future__ import annotations

import torch

from streamer.gemma.masks import Places

_GROWTH = 64
"""Places added at once, so that a step writes one place instead of copying all."""


class KeyValueCache:
    """The ``past_key_values`` of a batch: for every layer that has keys, all its places in order of writing.

    Sliding layers keep all places too; the masks hide what is out of the window. A layer's tensors live where its
    keys are made, so a model spread over devices needs nothing more.
    """

    is_compileable = False

    def __init__(self) -> None:
        self._layers: dict[int, _Layer] = {}
        self.places: Places | None = None
        """What the places hold; the engine appends to it before each forward."""

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

    def append_places(self, new: Places) -> Places:
        """Notes what the next forward will write, and returns all places with them."""
        self.places = new if self.places is None else self.places.followed_by(new)
        return self.places

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

    def select(self, rows: torch.Tensor) -> None:
        self._keys = self._keys[rows.to(self._keys.device)]
        self._values = self._values[rows.to(self._values.device)]


def _grown(kept: torch.Tensor, used: int, length: int) -> torch.Tensor:
    rows, heads, _, size = kept.shape
    grown = kept.new_zeros((rows, heads, length, size))
    grown[:, :, :used] = kept[:, :, :used]
    return grown
