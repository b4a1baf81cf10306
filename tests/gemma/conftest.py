"""Checkpoints of each family's shape, and transformers' own answers to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamer.gemma.budget import size_for
from streamer.gemma.checkpoint import Checkpoint, load
from streamer.models.base import Request
from tests.families import FAMILIES, build


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's checkpoint, written once."""
    root = tmp_path_factory.mktemp("families")

    def folder(family: str) -> Path:
        path = root / family
        return path if path.exists() else build(family, path)

    return folder


@pytest.fixture(scope="session")
def family_checkpoint(family_folder: Callable[[str], Path]) -> Callable[[str], Checkpoint]:
    """A family's checkpoint in float32, loaded once."""
    loaded: dict[str, Checkpoint] = {}

    def checkpoint(family: str) -> Checkpoint:
        if family not in loaded:
            loaded[family] = load(str(family_folder(family)), device="cpu", dtype="fp32")
        return loaded[family]

    return checkpoint


@pytest.fixture(params=FAMILIES)
def checkpoint(request: pytest.FixtureRequest, family_checkpoint: Callable[[str], Checkpoint]) -> Checkpoint:
    """Each family's in turn."""
    return family_checkpoint(request.param)


def picture(seed: int, source_size: tuple[int, int] = (160, 90), budget: int = 70) -> NDArray[np.uint8]:
    """Blocks of random colours at the budget's own size, so that nothing is resized any more."""
    width, height = size_for(source_size, budget)
    colours = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(colours.repeat(8, axis=0).repeat(8, axis=1))


CLEAR = 1e-3


class Reference:
    """What transformers' own processor and ``generate`` make of a request, by itself, unpadded.

    Its pictures must have the budget's size: they are cut as they are.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        from transformers import Gemma4ImageProcessorPil

        self._checkpoint = checkpoint
        self.margin = float("inf")
        """The smallest distance so far between the two best logits of a token. Below `CLEAR` it is rounding that
        decides, which differs with the shape of a batch (in `generate` too)."""
        merged = checkpoint.images.merged
        # The unified processor needs torchvision; its merged patches are plain patches of 48 pixels.
        self._processor = Gemma4ImageProcessorPil(
            patch_size=48 if merged else 16, pooling_kernel_size=1 if merged else 3
        )

    def ids(self, request: Request, **options: Any) -> tuple[int, ...]:
        """Greedy tokens, the end token included."""
        inputs = self._inputs(request)
        if self._checkpoint.images.merged:
            # With its default cache, transformers 5.23 lets the pictures of gemma4_unified attend both ways in global
            # layers too and beyond the sliding window; with this one it masks as Gemma's authors do and as it does for
            # the other members (https://github.com/huggingface/transformers/issues/46711).
            options["cache_implementation"] = "static"
        with torch.no_grad():
            output = self._checkpoint.model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=request.max_tokens,
                output_logits=True,
                return_dict_in_generate=True,
                **options,
            )
        for logits in output.logits:
            first, second = logits[0].topk(2).values.tolist()
            self.margin = min(self.margin, first - second)
        return tuple(output.sequences[0, inputs["input_ids"].shape[1] :].tolist())

    def _inputs(self, request: Request) -> dict[str, torch.Tensor]:
        tokenizer = self._checkpoint.tokenizer
        content = [*({"type": "image"} for _ in request.images), {"type": "text", "text": request.prompt}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if request.system is not None:
            messages.insert(0, {"role": "system", "content": request.system})
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        pictures: dict[str, Any] = {}
        if request.images:
            made = self._processor(
                list(request.images), max_soft_tokens=request.budget, do_resize=False, return_tensors="pt"
            )
            pictures = {"pixel_values": made["pixel_values"], "image_position_ids": made["image_position_ids"]}
            first, *rest = text.split("<|image|>")
            counts = made["num_soft_tokens_per_image"]
            text = first + "".join(
                f"<|image>{'<|image|>' * int(count)}<image|>{part}" for count, part in zip(counts, rest, strict=True)
            )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        kinds = (ids == self._checkpoint.pictures.soft).long()
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": kinds, **pictures}
