"""``streamer watch`` and ``streamer demo``: sources live in the browser."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamer import terminal
from streamer.commands.opening import check_there, loaded_model
from streamer.commands.options import (
    Detect,
    Device,
    Dtype,
    Hwaccel,
    LiveBudget,
    Model,
    Prompt,
    Quantize,
    Revision,
    Tasks,
    live_budget,
    tasks_of,
)
from streamer.gating import THRESHOLD
from streamer.models import DEFAULT_MODEL
from streamer.tasks import Task

if TYPE_CHECKING:
    from streamer.models.base import VisionModel
    from streamer.monitor import Monitor
    from streamer.settings import StreamSettings


def demo(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
    video: Annotated[str | None, typer.Option(help="Another video than the sample.")] = None,
) -> None:
    """The whole way in a minute: tiny watches a drawn street and shows what it sees, without any download."""
    from streamer.settings import StreamSettings
    from streamer.watch import sample_video

    settings = StreamSettings(tasks=(Task.caption(), Task.detect()), budget=70, fps=2.0)
    address = video or str(sample_video())
    check_there([address])
    with loaded_model("tiny") as model:
        _serve([address], model, settings, port=port, browser=browser, loop=True)


def watch(
    sources: Annotated[list[str], typer.Argument(help="Cameras, streams, files: rtsp://…, http://…, webcam:0, FILE.")],
    model: Model = DEFAULT_MODEL,
    budget: LiveBudget = "280",
    fps: Annotated[float, typer.Option(help="Frames analysed a second and source, at most.")] = 1.0,
    gate: Annotated[
        float, typer.Option(help="Frames that differ by less, 0 to 1, keep the last answer; 0 analyses every frame.")
    ] = THRESHOLD,
    task: Tasks = None,
    prompt: Prompt = None,
    detect: Detect = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; a token is needed where others can reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    token: Annotated[str | None, typer.Option(envvar="STREAMER_TOKEN", help="Made up where needed.")] = None,
    loop: Annotated[bool, typer.Option(help="Play files again and again.")] = False,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    hwaccel: Hwaccel = None,
    udp: Annotated[bool, typer.Option(help="RTSP over UDP instead of TCP.")] = False,
) -> None:
    """Watch cameras, streams or files live in the browser."""
    from streamer.settings import StreamSettings
    from streamer.sources import LiveOptions

    settings = StreamSettings(tasks=tasks_of(task, prompt, detect), budget=live_budget(budget), fps=fps, gate=gate)
    live = LiveOptions(transport="udp" if udp else "tcp")
    check_there(sources)
    with loaded_model(model, device=device, dtype=dtype, quantize=quantize, revision=revision) as loaded:
        _serve(
            sources, loaded, settings, host=host, port=port, token=token, loop=loop, browser=browser, hwaccel=hwaccel,
            live=live,
        )  # fmt: skip


def _serve(
    addresses: list[str], model: VisionModel, settings: StreamSettings, *, browser: bool, **options: Any
) -> None:
    from streamer.watch import watch as watching

    with watching(addresses, model, settings, **options) as server:
        terminal.out.print(f"page: {server.url}", markup=False)
        terminal.out.print("[dim]Ctrl-C ends it.[/]")
        if browser:
            webbrowser.open(server.url)
        said: dict[str, str] = {}
        while not server.wait(0.5):
            _tell_troubles(server.monitor, said)


def _tell_troubles(monitor: Monitor, said: dict[str, str]) -> None:
    """Says on the terminal, once each, which streams give no pictures and why; ``said`` is by stream."""
    for status in monitor.statuses():
        trouble = status.reason if status.state in ("failed", "waiting", "stalled") else ""
        if trouble and said.get(status.name) != trouble:
            terminal.failure(f"{status.name} {status.state}", terminal.plain(trouble))
        said[status.name] = trouble
