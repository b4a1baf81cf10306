"""One pass of the text model over new tokens, on top of what a cache holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from streamer.gemma.masks import Places, additive, global_mask, sliding_mask

if TYPE_CHECKING:
    from streamer.gemma.checkpoint import Checkpoint
    from streamer.gemma.rows import Step


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a pass reads, on the model's device."""

    ids: torch.Tensor
    """``(rows, columns)`` int64, the picture's token in the places of soft tokens."""
    soft: torch.Tensor
    """``(rows, columns)`` int64: which of ``features`` stands here; -1 for words."""
    features: torch.Tensor | None
    """``(n, hidden)`` soft tokens of the pictures; None where there are none."""
    queries: Places
    """What the columns hold."""
    keys: Places
    """What the cache holds, the columns included."""
    own: torch.Tensor
    """``(columns,)`` int64: where among the keys the columns lie."""


class Cache(Protocol):
    """Keys and values of a batch (`KeyValueCache`, `FixedCache`)."""

    fixed: bool
    """Whether its shape, and with it the rows of the batch, stays as it is."""
    places: Places | None
    """What it holds; None at first."""

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by the model's attention: takes those of the new places and gives those of all."""

    def fit(self, step: Step, pad_id: int) -> Step:
        """The step in a shape that this cache takes."""

    def read(self, reader: Reader, step: Step, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """``(rows, keep, hidden)`` states of the last layer at the step's last ``keep`` columns."""

    def forget(self, written: int, keep: torch.Tensor) -> None:
        """Makes holes of those of the last ``written`` places where ``keep`` ``(rows, written)`` is False."""

    def select(self, rows: torch.Tensor) -> None:
        """Keeps the rows with these numbers, in that order (never asked of a fixed one)."""

    def tidy(self) -> None:
        """Drops what holds nothing, where that pays."""


class Reader:
    """The text model of a checkpoint. Holds nothing."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._text: Any = checkpoint.model.model.language_model
        config = checkpoint.model.config
        self._config: Any = config.get_text_config()
        self._stand_ins = (config.image_token_id, config.video_token_id, config.audio_token_id)

    @property
    def device(self) -> torch.device:
        return self._checkpoint.device

    @property
    def place_bytes(self) -> int:
        """What keys and values of one place of one row take in all layers."""
        own = [layer.self_attn for layer in self._text.layers if not layer.self_attn.is_kv_shared_layer]
        numbers: int = sum(2 * attention.k_proj.out_features for attention in own)
        return numbers * self._checkpoint.dtype.itemsize

    def read(self, given: Inputs, cache: Cache, keep: int) -> torch.Tensor:
        """``(rows, keep, hidden)`` states of the last layer at the last ``keep`` columns."""
        words = self._words(given.ids)
        embedded = self._text.embed_tokens(words)
        more = {}
        if getattr(self._config, "hidden_size_per_layer_input", 0):
            more["per_layer_inputs"] = self._text.get_per_layer_inputs(words)
        if given.features is not None:
            seen = given.features[given.soft.clamp(min=0)].to(embedded.device, embedded.dtype)
            embedded = torch.where((given.soft >= 0)[..., None].to(embedded.device), seen, embedded)
        output = self._text(
            inputs_embeds=embedded,
            position_ids=given.queries.positions,
            attention_mask=self._masks(given),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
            **more,
        )
        states: torch.Tensor = output.last_hidden_state
        return states[:, -keep:]

    def _words(self, ids: torch.Tensor) -> torch.Tensor:
        """As transformers does, with padding in place of tokens that stand for pictures, videos and sounds, wherever
        they come from."""
        image, video, audio = self._stand_ins
        return torch.where((ids == image) | (ids == video) | (ids == audio), self._checkpoint.pad_id, ids)

    def _masks(self, given: Inputs) -> dict[str, torch.Tensor]:
        config = self._config
        masks = {
            "full_attention": global_mask(given.queries, given.keys, given.own),
            "sliding_attention": sliding_mask(
                given.queries,
                given.keys,
                given.own,
                config.sliding_window,
                bidirectional=config.use_bidirectional_attention == "vision",
            ),
        }
        if self._checkpoint.attention == "eager":
            return {kind: additive(mask, self._checkpoint.dtype) for kind, mask in masks.items()}
        return masks
