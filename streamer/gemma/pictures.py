"""Pictures through preprocessing and the vision tower, each once: kept for whoever asks about it again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from streamer.gemma.preprocess import Patches, preprocess, stack

if TYPE_CHECKING:
    from streamer.gemma.checkpoint import Checkpoint

KEPT_TOKENS = 16_384
"""Soft tokens of pictures that are kept, the newest: 60 pictures at 280, or 50 MB for a hidden size of 1536 in bf16."""

PictureKey = tuple[bytes, tuple[int, ...], int]
"""Digest of the pixels, shape, budget: the same picture is the same wherever its array lies."""


def picture_key(image: NDArray[np.uint8], budget: int) -> PictureKey:
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
    return digest, image.shape, budget


class Pictures:
    """Features of pictures for one checkpoint. Not thread-safe."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._kept: OrderedDict[PictureKey, torch.Tensor] = OrderedDict()
        self.encoded = 0
        """Pictures that went through the vision tower so far."""

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
                found[key] = preprocess(image, key[2], self._checkpoint.images, self._checkpoint.device)
        return found

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
        for length, group in groups.items():
            check()
            values, positions = stack(list(group.values()), length)
            encoded = self._checkpoint.model.get_image_features(values, positions, return_dict=True).pooler_output
            features.update(zip(group, encoded, strict=True))
            self.encoded += len(group)
        self._keep(features)
        return features

    def forget(self) -> None:
        """Frees what is kept."""
        self._kept.clear()

    def _keep(self, features: dict[PictureKey, torch.Tensor]) -> None:
        self._kept.update(features)
        total = sum(map(len, self._kept.values()))
        while total > KEPT_TOKENS and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            total -= len(oldest)
