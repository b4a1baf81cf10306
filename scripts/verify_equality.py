"""Whether streamer's engine says what transformers' ``generate`` says, as `verify_gpu.py` checks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from verify_pictures import Album, fitted

from streamer.errors import ModelError
from streamer.gemma.checkpoint import Checkpoint
from streamer.gemma.engine import Engine
from streamer.models.base import Generation, Request
from streamer.tasks import Task

Say = Callable[[str], None]

CLEAR = 1e-3
"""A smaller distance between two logits is rounding in any number format."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What ``generate`` answered by itself."""

    ids: tuple[int, ...]
    """The end token included."""
    logits: torch.Tensor
    """``(tokens, vocabulary)`` float32 on the CPU; forbidden tokens at minus infinity."""
    rounding: float | None
    """How far the distance of the two best logits moves, at most, where transformers reads the same tokens in one
    forward instead of one by one; None where it is not known."""


class Reference:
    """transformers' image processor, the checkpoint's chat template and ``model.generate``, a request at a time.

    Pictures must have the budget's size: they are cut as they are. The processor's class needs torchvision for videos,
    so its parts are put together here.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        from transformers import Gemma4ImageProcessorPil

        self._checkpoint = checkpoint
        images = checkpoint.images
        merged = images.merged  # gemma4_unified's patches of 48 pixels are plain patches of that side
        self._processor = Gemma4ImageProcessorPil(
            patch_size=images.unit if merged else images.patch_pixels,
            pooling_kernel_size=1 if merged else images.pooling,
            rescale_factor=images.scale,
        )

    @torch.inference_mode()
    def said(self, request: Request) -> Said:
        """Raises `ModelError` where the model computes no numbers here: two wrongs must not make an equality."""
        inputs = self._inputs(request)
        options: dict[str, Any] = {}
        if self._checkpoint.images.merged:
            # With its default cache, transformers 5.23 lets the pictures of gemma4_unified attend both ways in global
            # layers too; with this one it masks as Gemma's authors do
            # (https://github.com/huggingface/transformers/issues/46711).
            options["cache_implementation"] = "static"
        output = self._checkpoint.model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=request.max_tokens,
            output_logits=True,
            return_dict_in_generate=True,
            **options,
        )
        ids = tuple(output.sequences[0, inputs["input_ids"].shape[1] :].tolist())
        logits = torch.cat([one[:1].float().cpu() for one in output.logits])
        if not bool(logits.isfinite().all()):
            raise ModelError(self._checkpoint.name, "transformers' own logits are not finite numbers on this machine")
        rounding = None if options else self._rounding(inputs, ids, logits)
        logits[:, list(self._checkpoint.suppressed_ids)] = -torch.inf
        return Said(ids, logits, rounding)

    def _rounding(self, inputs: dict[str, torch.Tensor], ids: Sequence[int], stepwise: torch.Tensor) -> float:
        new = torch.tensor([ids[:-1]], dtype=torch.long, device=self._checkpoint.device)
        whole = dict(inputs)
        for name, fill in (("input_ids", new), ("attention_mask", new * 0 + 1), ("mm_token_type_ids", new * 0)):
            whole[name] = torch.cat((inputs[name], fill), dim=1)
        read = self._checkpoint.model(**whole, logits_to_keep=len(ids)).logits[0].float().cpu()
        best = stepwise.topk(2).indices
        margins = [one.gather(1, best).diff(dim=1) for one in (stepwise, read)]
        return float((margins[0] - margins[1]).abs().max())

    def _inputs(self, request: Request) -> dict[str, torch.Tensor]:
        tokenizer, pictures = self._checkpoint.tokenizer, self._checkpoint.pictures
        content = [*({"type": "image"} for _ in request.images), {"type": "text", "text": request.prompt}]
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        made = self._processor(
            list(request.images), max_soft_tokens=request.budget, do_resize=False, return_tensors="pt"
        )
        counts = iter(made["num_soft_tokens_per_image"])
        ids: list[int] = []
        for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
            if token == pictures.soft:
                ids += [pictures.begin, *[pictures.soft] * int(next(counts)), pictures.end]
            else:
                ids.append(token)
        prompt = torch.tensor([ids])
        inputs = {
            "input_ids": prompt,
            "attention_mask": torch.ones_like(prompt),
            "mm_token_type_ids": (prompt == pictures.soft).long(),
            "pixel_values": made["pixel_values"],
            "image_position_ids": made["image_position_ids"],
        }
        return {name: value.to(self._checkpoint.device) for name, value in inputs.items()}


def equality_section(
    into: dict[str, Any], checkpoint: Checkpoint, album: Album, budgets: Sequence[int], say: Say, *, quick: bool
) -> bool:
    """Fills ``into`` with a row a case and the differences; whether there is none but near ties."""
    asked = requests(checkpoint, album, budgets, quick=quick)
    reference = Reference(checkpoint)
    told = []
    for number, request in enumerate(asked, 1):
        say(f"generate: answer {number} of {len(asked)}")
        told.append(reference.said(request))
    into |= {
        "tokens": sum(len(one.ids) for one in told),
        "smallest_margin": min(_smallest_margin(one) for one in told),
        "rounding": max((one.rounding for one in told if one.rounding is not None), default=None),
    }
    rows: list[dict[str, Any]] = into.setdefault("rows", [])
    for name, numbers, calls in cases(asked, told):
        say(f"engine: {name}")
        engine = Engine(checkpoint)
        answers = [answer for call in calls for answer in engine.generate(call)]
        found = [difference(answer, told[at], checkpoint) for at, answer in zip(numbers, answers, strict=True)]
        differences = [one for one in found if one is not None]
        rows.append(
            {
                "case": name,
                "answers": len(answers),
                "equal": len(answers) - len(differences),
                "near_ties": sum(one["near_tie"] for one in differences),
                "drafted_tokens": sum(answer.drafted_tokens for answer in answers),
                "accepted_tokens": sum(answer.accepted_tokens for answer in answers),
                "forwards": engine.forwards,
                "differences": differences,
            }
        )
    return all(row["equal"] + row["near_ties"] == row["answers"] for row in rows)


def requests(checkpoint: Checkpoint, album: Album, budgets: Sequence[int], *, quick: bool) -> list[Request]:
    """Two questions about each of some frames, at budgets that take turns; the last is about two pictures."""
    frames, most = (2, 24) if quick else (4, 64)
    tasks = (Task.caption(), Task.detect())
    few = sorted(budgets)[:2]
    seen = [fitted(album, at, 0, few[at % len(few)], checkpoint.images) for at in range(frames)]
    asked = [
        Request((image,), task.prompt, few[at % len(few)], most) for at, image in enumerate(seen) for task in tasks
    ]
    later = fitted(album, 0, 1, few[0], checkpoint.images)
    return [*asked, Request((seen[0], later), Task.compare().prompt, few[0], most)]


Case = tuple[str, list[int], list[list[Request]]]
"""A name, the numbers of what is asked, and the calls in which it is asked."""


def cases(asked: Sequence[Request], told: Sequence[Said]) -> Iterator[Case]:
    """A stale draft is what was said of another frame."""
    every = list(range(len(asked)))
    right = [replace(one, draft=said.ids) for one, said in zip(asked, told, strict=True)]
    stale = [replace(one, draft=told[at - 2].ids) for at, one in enumerate(asked)]
    yield "one picture", every[:-1], [[one] for one in asked[:-1]]
    yield "two pictures", every[-1:], [[asked[-1]]]
    yield "right draft", every, [[one] for one in right]
    yield "stale draft", every, [[one] for one in stale]
    yield "batch", every, [list(asked)]
    yield "batch, stale drafts", every, [stale]


def difference(answer: Generation, said: Said, checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Where the answers part, and how near the choice was; None where they are equal."""
    ours, theirs = answer.token_ids, said.ids
    if ours == theirs:
        return None
    at = next((at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)
    if at is None:
        return {"token": min(len(ours), len(theirs)), "near_tie": False, "reason": "one answer goes on"}
    logits = said.logits[at]
    first, second = logits.topk(2).values.tolist()
    gap = first - float(logits[ours[at]])
    mixture = bool(getattr(checkpoint.model.config.get_text_config(), "enable_moe_block", False))
    limit = tolerance(first, said.rounding, checkpoint.dtype, mixture=mixture)
    return {
        "token": at,
        "ours": checkpoint.tokenizer.decode([ours[at]]),
        "theirs": checkpoint.tokenizer.decode([theirs[at]]),
        "best_two_apart": first - second,
        "ours_behind_best": gap,
        "tolerance": limit,
        "near_tie": gap <= limit,
    }


def tolerance(best: float, rounding: float | None, dtype: torch.dtype, *, mixture: bool = False) -> float:
    """Up to which distance rounding may have decided: what was measured of it, within bounds of the number format.

    A mixture of experts has no such bounds below float32: a rounded router sends a token to another expert. There
    transformers' own instability alone is the measure, so that bf16 proves little and ``--dtype fp32`` decides.
    """
    unit = torch.finfo(dtype).eps * abs(best)
    if mixture and dtype != torch.float32:
        return max(CLEAR, unit, rounding or 0.0)
    return max(CLEAR, unit, min(2 * (rounding or 0.0), 4 * unit))


def _smallest_margin(said: Said) -> float:
    best = said.logits.topk(2).values
    return float((best[:, 0] - best[:, 1]).min())
