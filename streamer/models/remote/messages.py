"""Requests as an OpenAI-compatible server takes them, and its answers read back. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from streamer.gemma.budget import token_count
from streamer.gemma.parsing import UNNAMED, parse_detections
from streamer.models.base import Generation, Request
from streamer.models.remote.capabilities import Capabilities
from streamer.models.remote.pictures import SentPicture

_CONTROL = re.compile(r"<(?=\|[^<>\s]{1,40}>|[^<>\s|]{1,40}\|>|(?:bos|eos|pad|unk|mask)>)")
_THOUGHT_END = "<channel|>"


def chat_body(
    request: Request, pictures: Sequence[SentPicture], model: str, able: Capabilities, *, structured: bool
) -> dict[str, Any]:
    """The body of a chat completion: pictures first, then the words; only fields that the server takes.

    ``structured``: boxes are held to a schema too, where the server can.
    """
    content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": one.url}} for one in pictures]
    content.append({"type": "text", "text": plain(request.prompt)})
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": plain(request.system)})
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        **thinking_off(able),
    }
    if request.temperature > 0:
        body |= {"top_p": request.top_p} if request.top_p < 1 else {}
        body |= {"top_k": request.top_k} if request.top_k and able.extras else {}
        body |= {"seed": request.seed} if request.seed is not None else {}
    if request.stop:
        body["stop"] = list(request.stop)
    if able.budget and pictures:
        body["mm_processor_kwargs"] = {"max_soft_tokens": request.budget}
    if (schema := _schema(request, able, structured=structured)) is not None:
        body["response_format"] = schema_format(schema)
    return body


def thinking_off(able: Capabilities) -> dict[str, Any]:
    """The fields that keep Gemma 4 from thinking; Ollama has one of its own."""
    if not able.extras:
        return {}
    if able.kind == "Ollama":
        return {"reasoning_effort": "none"}
    return {"chat_template_kwargs": {"enable_thinking": False}}


def schema_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)}}


def _schema(request: Request, able: Capabilities, *, structured: bool) -> Mapping[str, Any] | None:
    if request.schema is not None:
        return request.schema if able.schema else None
    if structured and able.lists and request.likeness:
        return boxes_schema(request.likeness)
    return None


def boxes_schema(likeness: str) -> Mapping[str, Any] | None:
    """The form of a list of boxes with the labels of ``likeness``, or any where it has none; None for other forms."""
    labels = list(dict.fromkeys(one.label for one in parse_detections(likeness).detections))
    labels = labels or list(dict.fromkeys(re.findall(r'"label":\s*"([^"\\]+)"', likeness)))
    if not labels:
        return None
    box = {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}
    label: dict[str, Any] = {"type": "string"} if labels == [UNNAMED] else {"enum": labels}
    return {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"box_2d": box, "label": label},
            "required": ["box_2d", "label"],
            "additionalProperties": False,
        },
    }


def plain(text: str) -> str:
    """``text`` with a space within whatever Gemma 4 would read as a control token: words of a user must not end the
    turn or pretend to be a picture."""
    return _CONTROL.sub("< ", text)


def read_answer(
    document: Mapping[str, Any], request: Request, pictures: Sequence[SentPicture], able: Capabilities
) -> Generation:
    """The answer in a server's document; its times are not in it. Raises `ValueError` where there is none."""
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("its answer has no choices")
    message, finish = choices[0].get("message"), choices[0].get("finish_reason")
    text = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(text, str | None) or finish in ("abort", "error"):
        raise ValueError("its answer has no text")
    prompt, output, shown = usage_of(document)
    image_tokens = _image_tokens(request, pictures, able, shown)
    return Generation(
        text=_whole(text or "", request),
        finish="length" if finish == "length" else "stop",
        image_tokens=image_tokens,
        prompt_tokens=max(0, prompt - image_tokens),
        output_tokens=output,
    )


def usage_of(document: Mapping[str, Any]) -> tuple[int, int, int | None]:
    """Prompt tokens, output tokens, and picture tokens where the server says how many of the prompt's they are; 0 for
    what it does not say."""
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    kinds = details.get("multimodal_tokens") if isinstance(details, dict) else None
    shown = kinds.get("image") if isinstance(kinds, dict) else None
    return (
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count(shown) if shown is not None else None,
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _image_tokens(request: Request, pictures: Sequence[SentPicture], able: Capabilities, counted: int | None) -> int:
    """By the rule of the budget that counts at this server (vLLM's own count has the marks around pictures in it);
    where none is known as the server counted, or as the probe's picture cost."""
    budget = request.budget if able.budget else able.fixed_budget
    if budget is not None:
        return sum(token_count(one.size, budget) for one in pictures)
    return counted if counted is not None else len(pictures) * (able.picture_tokens or 0)


def _whole(text: str, request: Request) -> str:
    """Without a thought before the answer, and cut where the request ends it."""
    text = text.rpartition(_THOUGHT_END)[2]
    for stop in request.stop:
        text = text.partition(stop)[0]
    return _to_list_end(text) if request.ends_with_list else text


def _to_list_end(text: str) -> str:
    found = re.search(r"[\[{]", text)
    if found is None or found[0] == "{":
        return text
    try:
        return text[: json.JSONDecoder(strict=False).raw_decode(text, found.start())[1]]
    except (ValueError, RecursionError):
        return text
