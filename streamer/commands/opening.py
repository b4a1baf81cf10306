"""What comes before a command's own work: its sources looked for, then its model loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, cast

from streamer import terminal
from streamer.errors import OptionError
from streamer.models import connect, load

if TYPE_CHECKING:
    from streamer.models.base import VisionModel


def check_there(addresses: Iterable[str]) -> None:
    """Raises `SourceError` for names that mean nothing, before a model is loaded for them."""
    from streamer.sources import open_source

    for address in addresses:
        open_source(address).close()


def check_readable(address: str, hwaccel: str | None = None) -> None:
    """Raises `SourceError` for a file that gives no picture, before a model is loaded for it; cameras are let be."""
    from streamer.sources import open_source

    with open_source(address, hwaccel=hwaccel) as source:
        _ = source.live or source.info


@contextmanager
def loaded_model(
    model: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    quantize: str | None = None,
    revision: str | None = None,
    url: str | None = None,
    live: bool = False,
) -> Iterator[VisionModel]:
    """The model, with what has to be known of its answers said; closed when the block ends.

    With ``url`` servers run it; ``live``: an answer that takes long is then given up."""
    if url is not None:
        loaded = _connected(model, url, {"device": device, "dtype": dtype, "quantize": quantize, "revision": revision},
                            live=live)  # fmt: skip
    else:
        chosen = cast("Literal['int8', 'int4'] | None", quantize)
        with terminal.loading(model) as progress:
            loaded = load(model, device=device, dtype=dtype, quantize=chosen, revision=revision, progress=progress)
    with loaded:
        if loaded.caveat:
            terminal.notice(loaded.caveat)
        yield loaded


def _connected(model: str, url: str, local: Mapping[str, str | None], *, live: bool) -> VisionModel:
    """The model at its servers, with what they can do said. ``local``: options that are the servers' own matter."""
    for option, value in local.items():
        if value not in (None, "auto"):
            raise OptionError(f"--{option}", value, "nothing beside --model-url: the server decides about that")
    with terminal.loading(model) as progress:
        remote = connect(model, url, live=live, progress=progress)
    for finding in remote.findings:
        terminal.notice(finding)
    return remote
