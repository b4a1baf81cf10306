"""Tasks of a stream, one by one."""

from __future__ import annotations

from fastapi import APIRouter

from streamer.server.api.answers import WITH_BODY, problems
from streamer.server.api.identity import Api, ManagedStream, SeenStream
from streamer.server.api.models import TaskList
from streamer.server.api.names import Name
from streamer.server.api.problems import Refused, unknown
from streamer.server.parts import TaskPart

router = APIRouter(prefix="/streams/{stream}/tasks", tags=["tasks"])


@router.get("", responses=problems(404))
def list_tasks(api: Api, stream: SeenStream) -> TaskList:
    """What is asked of every analysed frame, beside the questions of rules."""
    settings = api.station.monitor.status(stream).settings
    return TaskList(tasks=tuple(map(TaskPart.of, settings.tasks)))


@router.put("/{task}", responses=problems(404, 507, *WITH_BODY))
def put_task(api: Api, stream: ManagedStream, task: Name, part: TaskPart) -> TaskPart:
    """Puts a task in the place of the one of that name, or behind the others."""
    if part.name not in (None, task):
        raise Refused(422, "expected the name that stands in the address, or none", field="name")
    if not 1 <= len(task) <= 100:
        raise Refused(422, "expected 1 to 100 characters", field="task")
    wanted = part.model_copy(update={"name": task}).task()
    status = api.station.change(stream, lambda settings: settings.with_task(wanted))
    return next(TaskPart.of(kept) for kept in status.settings.tasks if kept.name == task)


@router.delete("/{task}", status_code=204, responses=problems(404, 507))
def remove_task(api: Api, stream: ManagedStream, task: Name) -> None:
    """Takes the task off the stream."""
    settings = api.station.monitor.status(stream).settings
    if all(kept.name != task for kept in settings.tasks):
        raise unknown()
    api.station.change(stream, lambda settings: settings.without_task(task))
