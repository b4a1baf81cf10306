"""Words and pictures to token ids, through the checkpoint's own chat template; and token ids back to words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from streamer.errors import ModelError
from streamer.gemma.masks import TEXT

_REMEMBERED = 256
"""Prompts kept rendered: a stream asks the same few questions of every frame."""
_THOUGHT_END = "<channel|>"


@dataclass(frozen=True, slots=True)
class PictureTokens:
    """Ids that stand for a picture in the prompt."""

    begin: int
    soft: int
    end: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as the model takes it."""

    ids: tuple[int, ...]
    blocks: tuple[int, ...]
    """For each id the number of the picture whose soft token it is, or `TEXT`."""

    @property
    def image_tokens(self) -> int:
        """Soft tokens of all its pictures."""
        return sum(block != TEXT for block in self.blocks)

    @property
    def text_tokens(self) -> int:
        """All others: words, turns, and the marks around pictures."""
        return len(self.ids) - self.image_tokens


class PromptBuilder:
    """Renders prompts with one tokenizer; the rendering of a question is kept, only pictures differ by frame."""

    def __init__(self, tokenizer: Any, pictures: PictureTokens, model: str = "model") -> None:
        """``tokenizer``: transformers' own, with a chat template. Raises `ModelError` where it has none."""
        if not tokenizer.chat_template:
            raise ModelError(model, "it has no chat template", "use an instruction-tuned checkpoint (…-it)")
        self._tokenizer, self._pictures, self._model = tokenizer, pictures, model
        self._control = _control_pattern(tokenizer)
        self._rendered = lru_cache(maxsize=_REMEMBERED)(self._render)
        self._answered = lru_cache(maxsize=_REMEMBERED)(self._encode)
        thought_end = tokenizer.convert_tokens_to_ids(_THOUGHT_END)
        self._thought_end = None if thought_end == tokenizer.unk_token_id else thought_end

    def build(self, text: str, soft_tokens: Sequence[int] = (), system: str | None = None) -> Prompt:
        """One user turn, the pictures first, then ``text``, and the beginning of the model's turn.

        ``soft_tokens``: how many each picture costs, in order. Control tokens within ``text`` and ``system`` are
        taken apart, so that words of a user cannot end the turn or pretend to be a picture.
        """
        ids: list[int] = []
        blocks: list[int] = []
        remaining = iter(enumerate(soft_tokens))
        for token in self._rendered(self.plain(text), len(soft_tokens), None if system is None else self.plain(system)):
            if token != self._pictures.soft:
                ids.append(token)
                blocks.append(TEXT)
                continue
            number, count = next(remaining)
            ids += [self._pictures.begin, *[self._pictures.soft] * count, self._pictures.end]
            blocks += [TEXT, *[number] * count, TEXT]
        return Prompt(tuple(ids), tuple(blocks))

    def answer_ids(self, text: str) -> tuple[int, ...]:
        """The ids of a text that the model might say."""
        return self._answered(self.plain(text)) if text else ()

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def text(self, ids: Iterable[int]) -> str:
        """The words of an answer: control tokens left out, and a thought before it, should there be one."""
        kept = list(ids)
        if self._thought_end in kept:
            kept = kept[len(kept) - kept[::-1].index(self._thought_end) :]
        return str(self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def plain(self, text: str) -> str:
        """``text`` with a space behind the first character of whatever would be read as a control token."""
        return self._control.sub(lambda match: f"{match.group()[0]} {match.group()[1:]}", text)

    def _render(self, text: str, pictures: int, system: str | None) -> tuple[int, ...]:
        content: list[dict[str, str]] = [{"type": "image"} for _ in range(pictures)]
        content.append({"type": "text", "text": text})
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        rendered = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        ids = self._encode(rendered)
        if ids.count(self._pictures.soft) != pictures:
            raise ModelError(self._model, f"its chat template does not place {pictures} picture(s) in the prompt")
        return ids


def _control_pattern(tokenizer: Any) -> re.Pattern[str]:
    """Matches every token that the tokenizer takes out of a text before its rules apply."""
    tokens = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    tokens |= set(map(str, tokenizer.all_special_tokens))
    longest_first = sorted(filter(lambda token: len(token) > 1, tokens), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
