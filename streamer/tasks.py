"""What is asked of the model about a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from streamer.errors import OptionError
from streamer.gemma.schemas import checked_schema

Kind = Literal["caption", "detect", "ask", "read", "check", "compare"]
KINDS: tuple[Kind, ...] = ("caption", "detect", "ask", "read", "check", "compare")

CAPTION_PROMPT = "Describe this picture in one sentence."
READ_PROMPT = "What does the sign say?"
COMPARE_PROMPT = "What has changed between the pictures?"


@dataclass(frozen=True, slots=True)
class Task:
    """One question about each frame of a stream. Made by the class methods below."""

    kind: Kind
    name: str
    """Key of the answer in ``FrameResult.answers``; unique within a stream."""
    prompt: str
    """The text after the picture in the user's turn; for ``detect`` it is made from ``labels``."""
    labels: tuple[str, ...] = ()
    """What ``detect`` looks for; empty means everything."""
    max_tokens: int = 256
    """Limit on output tokens."""
    frames: int = 1
    """How many successive sampled frames the question is about (``compare``: 2 or more)."""
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    """A JSON schema that the answer follows; the answer is then the parsed document instead of a text."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionError("task", self.kind, "one of " + ", ".join(KINDS))
        if not self.prompt.strip():
            raise OptionError(f"prompt of task {self.name}", self.prompt, "some words")
        if not 1 <= self.max_tokens <= 8192:
            raise OptionError("max_tokens", self.max_tokens, "a whole number from 1 to 8192")
        if not 1 <= self.frames <= 16:
            raise OptionError("frames", self.frames, "a whole number from 1 to 16")
        if self.schema is not None:
            checked_schema(self.schema)
            if self.kind == "detect":
                raise OptionError("schema", dict(self.schema), "a question beside it: boxes have their own form")

    @classmethod
    def caption(cls, prompt: str = CAPTION_PROMPT, *, max_tokens: int = 128) -> Task:
        return cls("caption", "caption", prompt, max_tokens=max_tokens)

    @classmethod
    def detect(cls, labels: str | tuple[str, ...] | list[str] = (), *, max_tokens: int = 1024) -> Task:
        """``labels``: names, or one text with commas or "and" between them; empty or "all" finds everything."""
        wanted = _split_labels(labels)
        subject = _join_words(wanted) if wanted else "all objects"
        prompt = f"detect {subject}, output only ```json"
        return cls("detect", "detect", prompt, labels=wanted, max_tokens=max_tokens)

    @classmethod
    def ask(
        cls, question: str, *, name: str = "ask", max_tokens: int = 256, schema: Mapping[str, Any] | None = None
    ) -> Task:
        """``schema``: a JSON schema; the answer is then a document of it, whatever the model would have said."""
        return cls("ask", name, question, max_tokens=max_tokens, schema=schema)

    @classmethod
    def read(cls, prompt: str = READ_PROMPT, *, max_tokens: int = 512) -> Task:
        """Text in the picture, as the model reads it."""
        return cls("read", "read", prompt, max_tokens=max_tokens)

    @classmethod
    def check(cls, question: str, *, name: str = "check", max_tokens: int = 128) -> Task:
        """A question answered yes or no; the answer is ``{"answer": bool | None, "reason": str | None, "text": str}``.

        A model that follows schemas is held to yes or no and a reason; of another's words the first one counts.
        """
        return cls("check", name, question, max_tokens=max_tokens)

    @classmethod
    def compare(cls, question: str = COMPARE_PROMPT, *, frames: int = 2, max_tokens: int = 256) -> Task:
        """A question about the newest ``frames`` sampled frames together, oldest first."""
        if frames < 2:
            raise OptionError("frames", frames, "2 or more to compare")
        return cls("compare", "compare", question, max_tokens=max_tokens, frames=frames)

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values, which `from_mapping` takes back."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Task:
        """Raises `OptionError` for what is no task."""
        try:
            return cls(**{**mapping, "labels": tuple(mapping.get("labels", ()))})
        except TypeError as error:
            raise OptionError("task", dict(mapping), f"the fields of a task ({error})") from error


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def parse_task(text: str) -> Task:
    """A task from a short text: ``caption``, ``detect:person, car``, ``ask:How many?``, ``check:…``, ``read``.

    Raises `OptionError` for an unknown kind or a missing question.
    """
    kind, _, rest = text.partition(":")
    kind, rest = kind.strip().lower(), rest.strip()
    match kind:
        case "caption":
            return Task.caption(rest) if rest else Task.caption()
        case "detect":
            return Task.detect(rest)
        case "read":
            return Task.read(rest) if rest else Task.read()
        case "compare":
            return Task.compare(rest) if rest else Task.compare()
        case "ask" | "check" if rest:
            return Task.ask(rest) if kind == "ask" else Task.check(rest)
    raise OptionError("task", text, "caption, read, compare, detect:LABELS, ask:QUESTION or check:QUESTION")


def _split_labels(labels: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    parts = labels.replace(" and ", ",").split(",") if isinstance(labels, str) else labels
    names = tuple(dict.fromkeys(part.strip().lower() for part in parts if part.strip()))
    if not names and isinstance(labels, str) and labels.strip():
        raise OptionError("detect", labels, 'names with commas between them, or "all"')
    return () if names in (("all",), ("all objects",), ("everything",)) else names


def _join_words(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
