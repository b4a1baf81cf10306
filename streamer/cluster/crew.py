"""Actors of one kind, so many as are wanted: those that are lost are replaced, those that wait for room hold up nobody.

Used from one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, TypeVar

from streamer.errors import StreamerError

Greeting = TypeVar("Greeting")
MAX_FAILURES = 3
"""Starts that may fail one after the other."""


@dataclass(slots=True, eq=False)
class Member(Generic[Greeting]):
    """An actor that is up."""

    actor: Any
    greeting: Greeting
    """What it answered when it began."""
    node: str
    """The id of its node."""


@dataclass(slots=True, eq=False)
class Crew(Generic[Greeting]):
    """Starts actors and greets them: who has answered is a member."""

    ray: ModuleType
    start: Callable[[], tuple[Any, Any]]
    """A new actor, and the reference of its greeting."""
    node_of: Callable[[Greeting], str]
    wanted: int
    members: list[Member[Greeting]] = field(default_factory=list)
    starting: dict[Any, Any] = field(default_factory=dict)
    """Actors by the references of their greetings."""
    missing_since: float | None = None
    """Since when, by `time.monotonic`, there has been no member."""
    _failures: int = 0

    def tend(self) -> None:
        """Starts as many as are missing."""
        while len(self.members) + len(self.starting) < self.wanted:
            actor, greeting = self.start()
            self.starting[greeting] = actor
        if self.members:
            self.missing_since = None
        elif self.missing_since is None:
            self.missing_since = time.monotonic()

    @property
    def missing_seconds(self) -> float:
        return 0.0 if self.missing_since is None else time.monotonic() - self.missing_since

    def greeted(self, reference: Any) -> Member[Greeting] | None:
        """A greeting is answered. Raises its error where the last few have all failed, and none is up."""
        actor = self.starting.pop(reference)
        try:
            said = self.ray.get(reference)
            if isinstance(said, StreamerError):
                raise said
        except (StreamerError, self.ray.exceptions.RayError):
            self._kill(actor)
            self._failures += 1
            if self._failures >= MAX_FAILURES and not self.members:
                raise
            return None
        self._failures = 0
        member = Member(actor, said, self.node_of(said))
        self.members.append(member)
        return member

    def lost(self, member: Member[Greeting]) -> None:
        """It does not answer any more; calling it again does nothing."""
        if member in self.members:
            self.members.remove(member)
            self._kill(member.actor)

    def close(self) -> None:
        for actor in self._actors():
            self._kill(actor)
        self.members.clear()
        self.starting.clear()
        self.wanted = 0

    def _actors(self) -> Iterator[Any]:
        yield from (member.actor for member in self.members)
        yield from self.starting.values()

    def _kill(self, actor: Any) -> None:
        with suppress(Exception):  # it may be dead, and so may the cluster
            self.ray.kill(actor)
