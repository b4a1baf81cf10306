"""What a stream must be asked so that rules can be judged, beside what people want to see. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable

from streamer.rules.rule import Rule
from streamer.tasks import Task

MAX_QUESTIONS = 32
"""Of rules, on one stream: all of them are asked about each frame."""


def with_rules(tasks: tuple[Task, ...], rules: Iterable[Rule]) -> tuple[Task, ...]:
    """``tasks`` and what ``rules`` (enabled ones of this stream) need: their questions, and their labels detected.

    Labels join those that are detected anyway, so that the picture is searched once. Of more than `MAX_QUESTIONS`
    questions the first ones are asked; a station has no more (`streamer.groundwork.check_questions`).
    """
    wanted = [rule for rule in rules if rule.enabled]
    conditions = [rule for rule in wanted if rule.when is not None]
    if conditions:
        labels = {label for rule in conditions for label in rule.labels}
        everything = not all(rule.labels for rule in conditions)
        tasks = _detecting(tasks, () if everything else tuple(sorted(labels)))
    questions = [task for rule in wanted if (task := rule.task()) is not None]
    return (*tasks, *questions[:MAX_QUESTIONS])


def _detecting(tasks: tuple[Task, ...], labels: tuple[str, ...]) -> tuple[Task, ...]:
    """With a task that finds ``labels``; none: everything."""
    old = next((task for task in tasks if task.kind == "detect"), None)
    if old is None:
        return (*tasks, Task.detect(labels))
    if not old.labels:
        return tasks
    joined = tuple(dict.fromkeys((*old.labels, *labels))) if labels else ()
    new = Task.from_mapping(Task.detect(joined).to_mapping() | {"name": old.name, "max_tokens": old.max_tokens})
    return tuple(new if task is old else task for task in tasks)
