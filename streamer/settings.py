"""What is done with a live stream, and how one stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from streamer.errors import OptionError
from streamer.gating import MAX_AGE_SECONDS, THRESHOLD, check_threshold
from streamer.models.base import BUDGETS
from streamer.tasks import Task

if TYPE_CHECKING:
    from streamer.sources.base import State

MAX_TASKS = 16


def check_stream_name(name: str, others: Collection[str]) -> None:
    """Raises `OptionError` where a stream may not have that name, which stands in addresses too."""
    plain = 1 <= len(name) <= 100 and name == name.strip() and name not in (".", "..")
    if not plain or name in others:
        raise OptionError("stream name", name, "1 to 100 letters, no blanks around them, that no other stream has")


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What is done with a stream; changed as a whole, so that nobody sees half a change."""

    tasks: tuple[Task, ...] = field(default_factory=lambda: (Task.caption(),))
    """Asked of every analysed frame; names are unique. Empty: only pictures are shown."""
    budget: int | Literal["auto"] = 280
    """Soft tokens per picture: one of `BUDGETS`, or ``auto``, low while little changes (see `AutoBudget`)."""
    gate: float = THRESHOLD
    """How much a frame must differ from the one analysed last, in 0..1; any other gets its answers again, marked as
    reused. 0 analyses every frame."""
    gate_seconds: float = MAX_AGE_SECONDS
    """After which an unchanged frame is analysed all the same."""
    fps: float = 1.0
    """Frames to analyse a second, at most."""
    display_fps: float = 12.0
    """Pictures to show a second, at most."""
    display_width: int = 960
    """Pixels across of shown pictures, at most."""
    paused: bool = False
    """True stops the analysis; pictures go on."""

    def __post_init__(self) -> None:
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names) or len(names) > MAX_TASKS:
            raise OptionError("tasks", ", ".join(names), f"at most {MAX_TASKS} tasks of different names")
        if self.budget != "auto" and self.budget not in BUDGETS:
            raise OptionError("budget", self.budget, "one of " + ", ".join(map(str, (*BUDGETS, "auto"))))
        check_threshold(self.gate)
        for name, value, low, high in (
            ("fps", self.fps, 0.01, 60),
            ("display_fps", self.display_fps, 0.1, 60),
            ("display_width", self.display_width, 64, 3840),
            ("gate_seconds", self.gate_seconds, 0.1, 86_400),
        ):
            if not low <= value <= high:
                raise OptionError(name, value, f"a number from {low:g} to {high:g}")

    def with_task(self, task: Task) -> StreamSettings:
        """The same with ``task`` in the place of the task of that name, or behind the others."""
        if any(old.name == task.name for old in self.tasks):
            return replace(self, tasks=tuple(task if old.name == task.name else old for old in self.tasks))
        return replace(self, tasks=(*self.tasks, task))

    def without_task(self, name: str) -> StreamSettings:
        """The same without the task of that name (if there is one)."""
        return replace(self, tasks=tuple(task for task in self.tasks if task.name != name))

    def answers_like(self, other: StreamSettings) -> bool:
        """Whether answers given under the other settings may stand under these."""
        names = ("tasks", "budget", "gate", "gate_seconds", "paused")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values, which `from_mapping` takes back."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {"tasks": [task.to_mapping() for task in self.tasks]}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> StreamSettings:
        """Raises `OptionError` for what are no settings."""
        try:
            tasks = tuple(Task.from_mapping(task) for task in mapping["tasks"])
            return cls(**{**mapping, "tasks": tasks})
        except (TypeError, KeyError) as error:
            raise OptionError("settings", dict(mapping), f"the fields of a stream's settings ({error})") from error

    @property
    def window(self) -> int:
        """Most successive frames that a task is about."""
        return max((task.frames for task in self.tasks), default=1)


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream as it stands at one moment."""

    name: str
    number: int
    """Small, unique in a `Monitor`, never used again."""
    revision: int
    """Rises with every change of state or settings."""
    address: str
    """Without passwords."""
    state: State
    reason: str
    """Why it is in that state, in words; may be empty."""
    since_seconds: float
    """Seconds for which it has been in that state."""
    settings: StreamSettings
    source_size: tuple[int, int] | None
    kind: str
    codec: str
    analysed_fps: float
    picture_fps: float
    counts: Mapping[str, int]
    """``pictures`` decoded, ``analysed``, ``reused`` (unchanged frames that got the answers before them), and frames
    without an answer by reason: ``replaced`` (a newer one took the place), ``stale`` (waited too long), ``paused``,
    ``failed`` (the model could not answer); ``dropped`` pictures came faster than they could be handled."""
    reconnects: int
    reused_fps: float = 0.0
    """Unchanged frames a second; `analysed_fps` does not count them."""
    group: str = ""
    """Under which viewers put it together with others; may be empty."""
    retry_seconds: float | None = None
    """Seconds until a source that is away is tried again; None where no time is set."""
