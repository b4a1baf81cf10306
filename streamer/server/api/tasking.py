"""Tasks of a request, told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamer.tasks import Task


def named(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """The tasks with different names (``ask``, ``ask-2``); a caption where there is none."""
    found: dict[str, Task] = {}
    for task in tasks or [Task.caption()]:
        name, number = task.name, 2
        while name in found:
            name, number = f"{task.name}-{number}", number + 1
        found[name] = replace(task, name=name)
    return tuple(found.values())
