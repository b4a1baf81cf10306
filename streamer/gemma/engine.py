"""Answers batches of requests with a loaded checkpoint: prepare, run, read back.

The decoding loop is our own. Every forward gets explicit position ids and explicit masks made from the places in the
cache (`streamer.gemma.masks`), so rows of any lengths, with several pictures at different budgets, run side by side.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from streamer.errors import ModelInterrupted, ModelMemoryError, OptionError
from streamer.gemma.cache import KeyValueCache
from streamer.gemma.choosing import Chooser, choose
from streamer.gemma.masks import Places, additive, global_mask, sliding_mask
from streamer.gemma.preprocess import Patches, preprocess, stack
from streamer.gemma.prompts import PromptBuilder
from streamer.gemma.rows import Row, next_places, side_by_side
from streamer.models.base import Generation, Request

if TYPE_CHECKING:
    from streamer.gemma.checkpoint import Checkpoint

_PictureKey = tuple[int, int]
"""``id`` of the array, and the budget."""


class Engine:
    """Generation on one checkpoint. Not thread-safe; holds nothing between calls but rendered prompts."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._text_config: Any = checkpoint.model.config.get_text_config()
        self._prompts = PromptBuilder(checkpoint.tokenizer, checkpoint.pictures, checkpoint.name)
        self._interrupted = threading.Event()
        self.vision_forwards = 0
        """Pictures that went through the vision tower so far."""

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answers all requests as one batch, in their order.

        Raises `OptionError` for a request that cannot be answered (nothing is run then), `ModelMemoryError` where
        the batch does not fit into memory, `ModelInterrupted` after `interrupt`.
        """
        if not requests:
            return []
        self._interrupted.clear()
        try:
            rows = self._prepare(requests)
            self._run(rows)
        except torch.OutOfMemoryError as error:
            raise ModelMemoryError(
                self.checkpoint.name,
                f"a batch of {len(requests)} does not fit into memory",
                "choose a smaller batch, a lower budget or a smaller model",
            ) from error
        return [row.generation(self._prompts.text) for row in rows]

    def interrupt(self) -> None:
        """From any thread: a running `generate` gives up before its next step. Does nothing where none runs."""
        self._interrupted.set()

    def _check_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise ModelInterrupted(self.checkpoint.name)

    def _prepare(self, requests: Sequence[Request]) -> list[Row]:
        """Rows with prompts, and with the features of their pictures; each picture is cut and encoded once."""
        started = time.perf_counter()
        choosers = [Chooser(request, self._device) for request in requests]
        patches = self._patches(requests)
        prompts = [
            self._prompts.build(
                request.prompt, [patches[key].soft_tokens for key in _pictures(request)], request.system
            )
            for request in requests
        ]
        for request, prompt in zip(requests, prompts, strict=True):
            self._check_length(request, len(prompt.ids))
        prepared = time.perf_counter()
        features = self._encode(patches)
        return [
            Row(
                request,
                prompt,
                tuple(features[key] for key in _pictures(request)),
                chooser,
                preprocess_ms=(prepared - started) * 1000,
                model_ms=(time.perf_counter() - prepared) * 1000,
            )
            for request, prompt, chooser in zip(requests, prompts, choosers, strict=True)
        ]

    def _patches(self, requests: Sequence[Request]) -> dict[_PictureKey, Patches]:
        patches: dict[_PictureKey, Patches] = {}
        for request in requests:
            for image, key in zip(request.images, _pictures(request), strict=True):
                if key not in patches:
                    patches[key] = preprocess(image, request.budget, self.checkpoint.images, self._device)
        return patches

    def _encode(self, patches: dict[_PictureKey, Patches]) -> dict[_PictureKey, torch.Tensor]:
        """Features by picture. Pictures with as many patches go together, so none of them needs padding."""
        groups: dict[int, list[_PictureKey]] = {}
        for key, one in patches.items():
            groups.setdefault(len(one.values), []).append(key)
        features: dict[_PictureKey, torch.Tensor] = {}
        for length, keys in groups.items():
            self._check_interrupted()
            values, positions = stack([patches[key] for key in keys], length)
            encoded = self.checkpoint.model.get_image_features(values, positions, return_dict=True).pooler_output
            features.update(zip(keys, encoded, strict=True))
            self.vision_forwards += len(keys)
        return features

    def _run(self, rows: Sequence[Row]) -> None:
        """Decodes until every row has its end. One transfer to the host a step; finished rows leave the batch."""
        started = time.perf_counter()
        cache = KeyValueCache()
        active = list(rows)
        logits = self._prefill(active, cache)
        while True:
            self._check_interrupted()
            tokens = choose(self._allowed(logits), [row.chooser for row in active])
            for row, token in zip(active, tokens.tolist(), strict=True):
                row.take(token, self.checkpoint.end_ids, self._prompts.text)
                if row.finish:
                    row.model_ms += (time.perf_counter() - started) * 1000
            going = [number for number, row in enumerate(active) if row.finish is None]
            if not going:
                return
            if len(going) < len(active):
                chosen = torch.tensor(going, device=tokens.device)
                cache.select(chosen)
                tokens, active = tokens[chosen], [active[number] for number in going]
            logits = self._forward(tokens[:, None], next_places(active), cache)

    def _prefill(self, rows: Sequence[Row], cache: KeyValueCache) -> torch.Tensor:
        ids, places = side_by_side(rows, self.checkpoint.pad_id)
        features = [feature for row in rows for feature in row.features]
        return self._forward(ids, places, cache, features)

    def _forward(
        self, ids: torch.Tensor, places: Places, cache: KeyValueCache, features: Sequence[torch.Tensor] = ()
    ) -> torch.Tensor:
        """Runs ``ids`` ``(rows, new)`` on top of the cache; logits ``(rows, vocabulary)`` behind the last of each."""
        queries = Places(*(tensor.to(self._device) for tensor in (places.positions, places.valid, places.blocks)))
        keys = cache.append_places(queries)
        output = self.checkpoint.model(
            input_ids=ids.to(self._device),
            position_ids=queries.positions,
            attention_mask=self._masks(queries, keys),
            past_key_values=cache,
            mm_encoder_outputs=_as_encoded(features),
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _masks(self, queries: Places, keys: Places) -> dict[str, torch.Tensor]:
        config = self._text_config
        masks = {
            "full_attention": global_mask(queries, keys),
            "sliding_attention": sliding_mask(
                queries, keys, config.sliding_window, bidirectional=config.use_bidirectional_attention == "vision"
            ),
        }
        if self.checkpoint.attention == "eager":
            return {kind: additive(mask, self.checkpoint.dtype) for kind, mask in masks.items()}
        return masks

    def _allowed(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits without the tokens that the checkpoint's generation config forbids."""
        if self.checkpoint.suppressed_ids:
            logits[:, list(self.checkpoint.suppressed_ids)] = -torch.inf
        return logits

    def _check_length(self, request: Request, prompt_tokens: int) -> None:
        if request.max_tokens < 1:
            raise OptionError("max_tokens", request.max_tokens, "a whole number above 0")
        longest = int(self._text_config.max_position_embeddings)
        if prompt_tokens + request.max_tokens > longest:
            needed = f"{prompt_tokens} tokens of prompt and up to {request.max_tokens} of answer"
            raise OptionError("prompt", needed, f"at most {longest} together: fewer pictures or a lower budget")

    @property
    def _device(self) -> torch.device:
        return self.checkpoint.device


def _pictures(request: Request) -> list[_PictureKey]:
    return [(id(image), request.budget) for image in request.images]


def _as_encoded(features: Sequence[torch.Tensor]) -> dict[str, Any]:
    """What the model's forward takes in place of pixels."""
    if not features:
        return {}
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    return {"image": BaseModelOutputWithPooling(pooler_output=tuple(features))}
