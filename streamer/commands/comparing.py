"""What ``--compare-with`` means: further models, on this machine or on servers, that only comparisons ask."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from streamer import terminal
from streamer.errors import OptionError, StreamerError
from streamer.models import connect, load

if TYPE_CHECKING:
    from streamer.further import FurtherModel
    from streamer.models.base import VisionModel

MOST = 7
_ADDRESS = re.compile(r"@(?=https?://)")
_OPTION = re.compile(r"(.+),(device|dtype|quantize|revision)=([^,]*)", re.DOTALL)
_KNOWN = {"dtype": ("auto", "bf16", "fp32"), "quantize": ("int8", "int4")}


def further_models(
    texts: Sequence[str], *, url: str | None, device: str = "auto", ray: str | None = None
) -> tuple[FurtherModel, ...]:
    """The models that the texts name; nothing is loaded yet. ``url``, ``device`` and ``ray`` are the job's own.

    Raises `OptionError` for what cannot be.
    """
    if len(texts) > MOST:
        raise OptionError("--compare-with", len(texts), f"at most {MOST} models")
    return tuple(_further(text.strip(), url, device, ray) for text in texts)


@contextmanager
def opened(models: Sequence[FurtherModel]) -> Iterator[None]:
    """Loads them, and closes them with the block. One that cannot be loaded is said and does not hurt the job."""
    with ExitStack() as stack:
        for one in models:
            stack.callback(one.close)
            try:
                model = one.open()
            except StreamerError as error:
                terminal.notice(f"there will be no comparisons with {one.name}: {error}")
                continue
            for words in (*getattr(model, "findings", ()), *filter(None, [model.caveat])):
                terminal.notice(f"{one.name}: {words}")
        yield


def _further(text: str, url: str | None, device: str, ray: str | None) -> FurtherModel:
    name, *address = _ADDRESS.split(text, maxsplit=1)
    if not name.strip() or name.startswith("-"):
        raise OptionError("--compare-with", text, "a model's name, a folder or a hub id")
    if address:
        return _remote(name, address[0], f"{name} ({_hosts(address[0])})")
    if url is not None:
        return _remote(name, url, name)
    if ray is not None:
        raise OptionError("--compare-with", text, f"{name}@http://HOST:PORT/v1 beside --ray: only servers' models")
    return _local(name, device)


def _remote(name: str, url: str, title: str) -> FurtherModel:
    from streamer.further import FurtherModel
    from streamer.models.remote.options import parse_urls

    try:
        parse_urls(url)
    except OptionError as error:
        raise OptionError("--compare-with", error.value, error.expected) from None

    def connected() -> VisionModel:
        return connect(name, url)

    return FurtherModel(title, connected)


def _local(text: str, device: str) -> FurtherModel:
    from streamer.further import FurtherModel

    name, options = _options(text)

    def loaded() -> VisionModel:
        with terminal.loading(title) as progress:
            return load(
                name,
                device=options.get("device", device),
                dtype=options.get("dtype", "auto"),
                quantize=cast("Literal['int8', 'int4'] | None", options.get("quantize")),
                revision=options.get("revision"),
                progress=progress,
            )

    shown = Path(name).expanduser()
    title = shown.resolve().name if name != "tiny" and shown.is_dir() else name
    title = f"{title} ({', '.join(options.values())})" if options else title
    return FurtherModel(title, loaded, beside=True)


def _options(text: str) -> tuple[str, Mapping[str, str]]:
    """The name, and what is said behind it: ``NAME,quantize=int8,dtype=fp32``."""
    name, options = text, dict[str, str]()
    while (found := _OPTION.fullmatch(name)) is not None:
        name, option, value = found.groups()
        if option in options or not value or value not in _KNOWN.get(option, (value,)):
            raise OptionError(f"--compare-with {option}", value, " or ".join(_KNOWN.get(option, ("one value",))))
        options[option] = value
    return name, dict(reversed(options.items()))


def _hosts(urls: str) -> str:
    hosts = [part.netloc.rpartition("@")[2] for part in map(urlsplit, urls.split(","))]
    return hosts[0] if len(hosts) == 1 else f"{hosts[0]} and {len(hosts) - 1} more"
