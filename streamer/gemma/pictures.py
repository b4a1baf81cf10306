"""Pictures through preprocessing and the vision tower, each once: kept for whoever asks about it again.

Preprocessing may come ahead, on the thread that has decoded the picture, while the model is busy with others.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from streamer.gemma.preprocess import Patches, preprocess, stack

if TYPE_CHECKING:
    from streamer.gemma.checkpoint import Checkpoint
    from streamer.gemma.threads import PassThreads

KEPT_TOKENS = 16_384
"""Soft tokens of pictures that are kept, the newest: 60 pictures at 280, or 50 MB for a hidden size of 1536 in bf16."""
AHEAD_TOKENS = 8_192
"""Soft tokens of pictures that are preprocessed ahead, the newest: 117 at 70 or 29 at 280, 28 kB a token."""

PictureKey = tuple[bytes, tuple[int, ...], int]
"""Digest of the pixels, shape, budget: the same picture is the same wherever its array lies."""


def picture_key(image: NDArray[np.uint8], budget: int) -> PictureKey:
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
    return digest, image.shape, budget


@dataclass(frozen=True, slots=True, eq=False)
class _Ahead:
    """A picture that was preprocessed before anybody asked about it."""

    image: NDArray[np.uint8]
    key: PictureKey
    patches: Patches


class Pictures:
    """Features of pictures for one checkpoint. `prepare` may be called from any thread, all else from one at a time."""

    def __init__(self, checkpoint: Checkpoint, threads: PassThreads) -> None:
        self._checkpoint, self._threads = checkpoint, threads
        self._kept: OrderedDict[PictureKey, torch.Tensor] = OrderedDict()
        self._lock = threading.Lock()
        self._ahead: OrderedDict[tuple[int, int], _Ahead] = OrderedDict()
        """By the array's ``id`` and the budget; each holds its array, so no other has that id."""
        self.encoded = 0
        """Pictures that went through the vision tower so far."""

    @torch.inference_mode()
    def prepare(self, image: NDArray[np.uint8], budget: int) -> None:
        """Preprocesses a picture that will be asked about soon; it must not be written to until then.

        The newest `AHEAD_TOKENS` are kept. Raises `OptionError` for what is no picture or no budget.
        """
        try:
            patches = preprocess(image, budget, self._checkpoint.images, self._checkpoint.device)
        except torch.OutOfMemoryError:
            return  # whoever asks about it meets that again, and can make room
        ahead = _Ahead(image, picture_key(image, budget), patches)
        with self._lock:
            self._ahead[id(image), budget] = ahead
            total = sum(one.patches.soft_tokens for one in self._ahead.values())
            while total > AHEAD_TOKENS and len(self._ahead) > 1:
                _, oldest = self._ahead.popitem(last=False)
                total -= oldest.patches.soft_tokens

    def key(self, image: NDArray[np.uint8], budget: int) -> PictureKey:
        """The picture's name in all that follows."""
        with self._lock:
            ahead = self._ahead.get((id(image), budget))
        return picture_key(image, budget) if ahead is None else ahead.key

    def cut(self, images: Iterable[tuple[PictureKey, NDArray[np.uint8]]]) -> dict[PictureKey, Patches | int]:
        """For each picture its patches, or its number of soft tokens where its features are still here.

        Raises `OptionError` for what is no picture or no budget.
        """
        found: dict[PictureKey, Patches | int] = {}
        for key, image in images:
            if key in found:
                continue
            if (features := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                found[key] = len(features)
            else:
                found[key] = self._patches(key, image)
        return found

    def _patches(self, key: PictureKey, image: NDArray[np.uint8]) -> Patches:
        with self._lock:
            ahead = self._ahead.pop((id(image), key[2]), None)
        if ahead is None:
            return preprocess(image, key[2], self._checkpoint.images, self._checkpoint.device)
        return ahead.patches

    def encode(
        self, cut: dict[PictureKey, Patches | int], check: Callable[[], None] = lambda: None
    ) -> dict[PictureKey, torch.Tensor]:
        """``(soft tokens, hidden)`` of each. Pictures with as many patches go together, so none needs padding.

        ``check`` is called before each group and may raise.
        """
        features = {key: self._kept[key] for key, one in cut.items() if isinstance(one, int)}
        groups: dict[int, dict[PictureKey, Patches]] = {}
        for key, one in cut.items():
            if isinstance(one, Patches):
                groups.setdefault(len(one.values), {})[key] = one
        for group in groups.values():
            check()
            features.update(zip(group, self._encoded(list(group.values())), strict=True))
        self._keep(features)
        return features

    def _encoded(self, patches: Sequence[Patches]) -> Sequence[torch.Tensor]:
        """``(soft tokens, hidden)`` of each; all have as many patches."""
        values, positions = stack(patches, len(patches[0].values))
        with self._threads.over("tower", len(values) * len(patches[0].values)):
            encoded: Sequence[torch.Tensor] = self._checkpoint.model.get_image_features(
                values, positions, return_dict=True
            ).pooler_output
        self.encoded += len(patches)
        return encoded

    def forget(self) -> None:
        """Frees what is kept."""
        self._kept.clear()
        with self._lock:
            self._ahead.clear()

    def _keep(self, features: dict[PictureKey, torch.Tensor]) -> None:
        self._kept.update(features)
        total = sum(map(len, self._kept.values()))
        while total > KEPT_TOKENS and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            total -= len(oldest)
