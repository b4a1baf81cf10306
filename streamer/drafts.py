"""The newest answer to each question of each stream: what the next answer most likely resembles."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.models.base import Generation
    from streamer.tasks import Task

KEPT_ANSWERS = 1024
"""Sixty-four streams with sixteen tasks each."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Fields of `Request` of the same names."""

    draft: tuple[int, ...] = ()
    agreement: float = 0.8


_NONE = Draft()


class Drafts:
    """Remembers by stream and question, the newest `KEPT_ANSWERS`. No stream ever sees another's."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, int], Draft] = OrderedDict()

    def of(self, stream: str, task: Task) -> Draft:
        """What is known for the task's next answer; empty at first."""
        return self._kept.get(_key(stream, task), _NONE)

    def remember(self, stream: str, task: Task, answer: Generation) -> None:
        """An answer without tokens (of a model elsewhere) leaves nothing to draft from."""
        if not answer.token_ids:
            return
        key = _key(stream, task)
        self._kept[key] = Draft(answer.token_ids, answer.agreement)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_ANSWERS:
            self._kept.popitem(last=False)


def _key(stream: str, task: Task) -> tuple[str, str, int]:
    return stream, task.prompt, task.frames
