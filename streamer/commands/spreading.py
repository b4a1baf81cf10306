"""What ``--ray`` and the options beside it mean: the model at the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from streamer import terminal
from streamer.errors import OptionError
from streamer.models import load

if TYPE_CHECKING:
    from streamer.cluster.answerer import Make
    from streamer.cluster.spread import SpreadModel, SpreadOptions
    from streamer.models.base import VisionModel
    from streamer.models.remote.options import RemoteOptions


def spread_options(
    ray: str | None, gpus_per_model: float | None, models: str | None, part: float | None, *, url: str | None
) -> SpreadOptions | None:
    """None where all is done on this machine. Raises `OptionError` for options that then mean nothing."""
    if ray is None:
        for option, value in (("--gpus-per-model", gpus_per_model), ("--models", models), ("--part", part)):
            if value is not None:
                raise OptionError(option, value, "--ray beside it")
        return None
    from streamer.cluster.ranges import PART_SECONDS
    from streamer.cluster.spread import SpreadOptions, parse_models

    if url is not None and gpus_per_model is None:
        gpus_per_model = 0.0
    count = None if models is None else parse_models(models)
    return SpreadOptions(ray, gpus_per_model, count, PART_SECONDS if part is None else part)


@contextmanager
def spread_model(
    model: str, options: SpreadOptions, *, url: str | None = None, **local: str | None
) -> Iterator[SpreadModel]:
    """The model at the nodes, with what has to be known of its answers said; ended with the block. ``local``: the
    options of `load`."""
    from streamer.cluster.spread import spread

    with ExitStack() as stack:
        with terminal.loading(f"{model} on the cluster"):
            loaded = stack.enter_context(spread(maker(model, url, local), options))
        for text in (*loaded.findings, *((loaded.caveat,) if loaded.caveat else ())):
            terminal.notice(text)
        yield loaded


def maker(model: str, url: str | None, local: Mapping[str, str | None], *, live: bool = False) -> Make:
    """What the nodes load the model with. The key for its servers is read here, and travels to them. ``live``: as
    `streamer.models.connect` says."""
    if url is None:
        return partial(_loaded, model, {name: value for name, value in local.items() if value is not None})
    for option, value in local.items():
        if value not in (None, "auto"):
            raise OptionError(f"--{option}", value, "nothing beside --model-url: the server decides about that")
    from streamer.models.remote.options import LIVE_SECONDS, RemoteOptions, parse_urls, read_key

    options = RemoteOptions(parse_urls(url), model, key=read_key())
    if live:
        options = replace(options, deadline_seconds=LIVE_SECONDS, attempt_seconds=LIVE_SECONDS)
    return partial(_asked, options)


def _loaded(model: str, local: Mapping[str, Any]) -> VisionModel:
    return load(model, **local)


def _asked(options: RemoteOptions) -> VisionModel:
    from streamer.models.remote.model import RemoteModel

    return RemoteModel(options)
