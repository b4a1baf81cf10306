"""What ``watch --ray`` means: streams on the nodes of a cluster, their model at analyzers there or at servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from streamer import terminal
from streamer.commands.opening import loaded_model
from streamer.commands.spreading import maker
from streamer.errors import OptionError

if TYPE_CHECKING:
    from streamer.models.base import VisionModel
    from streamer.monitor import Monitor


def check_gpus(ray: str | None, gpus_per_model: float | None, *, url: str | None) -> None:
    """Raises `OptionError` for what means nothing, before anything is begun."""
    if gpus_per_model is None:
        return
    if ray is None or url is not None:
        raise OptionError("--gpus-per-model", gpus_per_model, "--ray beside it, and no --model-url")
    if not 0 <= gpus_per_model <= 64:
        raise OptionError("--gpus-per-model", gpus_per_model, "a number from 0 to 64")


def most_streams(ray: str | None) -> int:
    """That a job can have."""
    if ray is None:
        from streamer.monitor import MAX_STREAMS
    else:
        from streamer.cluster.live import MAX_STREAMS
    return MAX_STREAMS


@contextmanager
def live_model(
    model: str, *, ray: str | None, gpus_per_model: float | None, url: str | None, **local: Any
) -> Iterator[tuple[VisionModel, Callable[[VisionModel], Monitor]]]:
    """The model, and what makes the live job of it: on this machine, or with ``ray`` on a cluster; ended with the
    block. ``local``: the options of `streamer.models.load`."""
    if ray is None:
        with loaded_model(model, url=url, live=True, **local) as loaded:
            from streamer.monitor import Monitor

            yield loaded, Monitor
        return
    from streamer.cluster.connecting import connected

    make = maker(model, url, local, live=True)
    with connected(ray) as module:
        from streamer.cluster.live import ClusterMonitor
        from streamer.cluster.roster import Roster

        with terminal.loading(f"{model} on the cluster"):
            roster = Roster(module, make, servers=url is not None, gpus_per_model=gpus_per_model)
        with roster:
            for text in (*getattr(roster.model, "findings", ()), *filter(None, [roster.model.caveat])):
                terminal.notice(text)
            yield roster.model, partial(ClusterMonitor, roster=roster)
