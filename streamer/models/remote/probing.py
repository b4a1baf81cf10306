"""A server is asked a few small things at the start, to find out what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from streamer.models.base import BUDGETS, Request
from streamer.models.remote.capabilities import Capabilities
from streamer.models.remote.connection import Connection, Fault
from streamer.models.remote.messages import chat_body, usage_of
from streamer.models.remote.pictures import SentPicture, encode

PROBE_SECONDS = 60.0
"""For each question."""
_KINDS = {"vllm": "vLLM", "sglang": "SGLang", "llamacpp": "llama.cpp", "library": "Ollama"}
_SIDE = 384
"""Of the probe's picture, in pixels: the size of a square one at the budget 70."""
_SQUARE = {70: 64, 140: 121, 280: 256, 560: 529, 1120: 1089}
"""What it costs at each budget, in tokens."""
_MARKS = 8
"""Tokens around a picture, at most."""
_WORDS = "Say hello."
_DOCUMENT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"answer": {"enum": ["yes", "no"]}},
    "required": ["answer"],
    "additionalProperties": False,
}
_LIST: Mapping[str, Any] = {"type": "array", "items": {"enum": ["yes", "no"]}, "minItems": 1, "maxItems": 1}


async def examine(connection: Connection, model: str, owner: str) -> Capabilities:
    """What the server can do; ``owner``: as its list of models says. Raises `Fault` where it does not answer, or takes
    no pictures."""
    return await _Probe(connection, model, owner).run()


class _Probe:
    """The questions, one after the other, so that a server that answers slowly is not asked in vain."""

    def __init__(self, connection: Connection, model: str, owner: str) -> None:
        shades = np.linspace(0, 255, _SIDE, dtype=np.uint8)
        self._picture = encode(np.stack([np.tile(shades, (_SIDE, 1))] * 3, axis=-1), 70, lossless=True)
        self._connection, self._model = connection, model
        self._able = Capabilities(kind=_KINDS.get(owner.lower(), owner))
        self._refusals: dict[str, str] = {}

    async def run(self) -> Capabilities:
        words = await self._words()
        shown = await self._tokens(1)
        cost = shown - words if 0 < words < shown else None
        budget = await self._budget()
        schema = await self._follows("schema", _DOCUMENT, ('{"answer":"yes"}', '{"answer":"no"}'))
        lists = schema and await self._follows("lists", _LIST, ('["yes"]', '["no"]'))
        return replace(
            self._able,
            budget=budget,
            picture_tokens=cost,
            fixed_budget=None if cost is None else _budget_of(cost),
            counts=words > 0,
            schema=schema,
            lists=lists,
            several=await self._several(),
            refusals=dict(self._refusals),
        )

    async def _words(self) -> int:
        """Tokens of words alone. Finds out whether fields beyond OpenAI's are taken."""
        try:
            return await self._tokens(0)
        except Fault as fault:
            if fault.retry or fault.remedy:
                raise
        self._able = replace(self._able, extras=False)
        return await self._tokens(0)

    async def _budget(self) -> bool:
        if not self._able.extras:
            return False
        try:
            costs = [await self._tokens(1, budget=budget) for budget in (70, 280)]
        except Fault as fault:
            self._refused("budget", fault)
            return False
        return costs[0] < costs[1]

    async def _several(self) -> bool:
        try:
            await self._tokens(2)
        except Fault as fault:
            self._refused("several", fault)
            return False
        return True

    async def _follows(self, what: str, schema: Mapping[str, Any], documents: tuple[str, ...]) -> bool:
        """Whether the answer to words that ask for nothing of the kind is one of ``documents``, all that the schema
        allows, or its beginning: between its words a model may write spaces to the end."""
        try:
            answer = await self._ask(Request((), _WORDS, 70, 24, schema=schema), (), schema=True)
        except Fault as fault:
            self._refused(what, fault)
            return False
        said = "".join(_text_of(answer).split())
        return bool(said) and any(document.startswith(said) for document in documents)

    def _refused(self, what: str, fault: Fault) -> None:
        """Raises the fault where it says nothing of what the server can do."""
        if fault.ended or fault.after_seconds is not None:
            raise fault
        self._refusals[what] = fault.reason

    async def _tokens(self, pictures: int, *, budget: int | None = None) -> int:
        request = Request((), _WORDS, budget or 70, 1)
        document = await self._ask(request, (self._picture,) * pictures, budget=budget is not None)
        return usage_of(document)[0]

    async def _ask(
        self, request: Request, pictures: tuple[SentPicture, ...], *, budget: bool = False, schema: bool = False
    ) -> dict[str, Any]:
        able = replace(self._able, budget=budget, schema=schema)
        document = await self._connection.complete(
            chat_body(request, pictures, self._model, able, structured=False), PROBE_SECONDS
        )
        self._able = replace(self._able, thinks=self._able.thinks or _has_thought(document))
        return document


def _budget_of(cost: int) -> int | None:
    """The budget that a square picture of ``cost`` tokens, marks around it included, was shown at."""
    return next((budget for budget in BUDGETS if 0 <= cost - _SQUARE[budget] <= _MARKS), None)


def _has_thought(document: Mapping[str, Any]) -> bool:
    message = _message_of(document)
    return bool(message.get("reasoning_content") or message.get("reasoning"))


def _text_of(document: Mapping[str, Any]) -> str:
    text = _message_of(document).get("content")
    return text if isinstance(text, str) else ""


def _message_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Empty where there is none: what a probe's answer says is no more than a hint."""
    try:
        message = document["choices"][0]["message"]
    except (LookupError, TypeError):
        return {}
    return message if isinstance(message, dict) else {}
