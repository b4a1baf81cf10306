"""``streamer watch`` and ``streamer demo``: sources live in the browser."""

from __future__ import annotations

import ssl
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamer import terminal
from streamer.allocator import keep_what_is_loaded
from streamer.commands.clustering import check_gpus, live_model, most_streams
from streamer.commands.comparing import further_models, opened
from streamer.commands.opening import check_there, loaded_model
from streamer.commands.options import (
    CompareWith,
    Detect,
    Device,
    Dtype,
    GpusPerModel,
    Hwaccel,
    LiveBudget,
    Model,
    ModelUrl,
    Prompt,
    Quantize,
    RayAddress,
    Revision,
    Tasks,
    live_budget,
    tasks_of,
)
from streamer.errors import OptionError
from streamer.gating import THRESHOLD
from streamer.models import DEFAULT_MODEL
from streamer.tasks import Task

if TYPE_CHECKING:
    from streamer.configuration import Configuration
    from streamer.models.base import VisionModel
    from streamer.monitor import Monitor
    from streamer.settings import StreamSettings

MANY_FILES = 8192


def demo(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
    video: Annotated[str | None, typer.Option(help="Another video than the sample.")] = None,
) -> None:
    """The whole way in a minute: tiny watches a drawn street and shows what it sees, without any download."""
    from streamer.server.server import check_port
    from streamer.settings import StreamSettings
    from streamer.watching import sample_video

    settings = StreamSettings(tasks=(Task.caption(), Task.detect()), budget=70, fps=2.0)
    address = video or str(sample_video())
    check_there([address])
    check_port("127.0.0.1", port)
    with loaded_model("tiny") as model:
        _serve([address], model, settings, port=port, browser=browser, loop=True)


def watch(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Cameras, streams, files: rtsp://…, http://…, webcam:0, FILE.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="streams.toml: streams, rules, channels, what is kept.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder for history, alerts and changes made on the page; streamer-data by default."),
    ] = None,
    history: Annotated[bool, typer.Option(help="Keep results and alerts beyond this run.")] = True,
    model: Model = DEFAULT_MODEL,
    model_url: ModelUrl = None,
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
    host_name: Annotated[
        list[str] | None, typer.Option(help="A name under which browsers may ask for the page; may be repeated.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate chain in PEM: the page is served by HTTPS.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key in PEM.")] = None,
    loop: Annotated[bool, typer.Option(help="Play files again and again.")] = False,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    hwaccel: Hwaccel = None,
    udp: Annotated[bool, typer.Option(help="RTSP over UDP instead of TCP.")] = False,
    ray: RayAddress = None,
    gpus_per_model: GpusPerModel = None,
    compare_with: CompareWith = None,
) -> None:
    """Watch cameras, streams or files live in the browser."""
    from streamer.groundwork import check_job
    from streamer.server.guard import check_access
    from streamer.server.server import check_port
    from streamer.settings import StreamSettings
    from streamer.sources import stream_name

    settings = StreamSettings(tasks=tasks_of(task, prompt, detect), budget=live_budget(budget), fps=fps, gate=gate)
    tls = _tls(tls_cert, tls_key)
    check_access(host, host_name or [], token)
    configuration = _configuration(config, data, history=history)
    if not sources and not configuration.streams and config is None:
        raise OptionError("sources", "none", "a camera, stream or file, or a configuration (-c streams.toml)")
    check_there(sources or [])
    check_gpus(ray, gpus_per_model, url=model_url)
    named = [*(compare_with or ()), *configuration.compare_with]
    further = further_models(named, url=model_url, device=device, ray=ray)
    check_port(host, port)
    check_job(configuration, list(map(stream_name, sources or [])), most_streams(ray))
    with live_model(
        model, ray=ray, gpus_per_model=gpus_per_model, url=model_url,
        device=device, dtype=dtype, quantize=quantize, revision=revision,
    ) as (loaded, watching), opened(further):  # fmt: skip
        _serve(
            sources or [], loaded, settings, configuration=configuration, host=host, port=port, token=token,
            host_names=host_name or [], tls=tls, loop=loop, browser=browser, hwaccel=hwaccel, udp=udp,
            watching=watching, further=further,
        )  # fmt: skip


def _configuration(path: Path | None, data: Path | None, *, history: bool) -> Configuration:
    from streamer.configuration import DATA, Configuration, read_configuration

    found = read_configuration(path) if path is not None else Configuration()
    if not history:
        return replace(found, data=None, history_url=None)
    return replace(found, data=data or found.data or Path(DATA))


def _tls(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Looked at before a model is loaded."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise OptionError("tls", "one file", "both --tls-cert and --tls-key")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise OptionError("tls", str(certificate), f"a certificate and its key in PEM ({error})") from error
    return certificate, key


def _serve(
    addresses: list[str], model: VisionModel, settings: StreamSettings, *, browser: bool, **options: Any
) -> None:
    from streamer.watching import watch as watching

    _allow_many_files()
    keep_what_is_loaded()
    with watching(addresses, model, settings, **options) as server:
        given = options.get("token")
        terminal.out.print(f"page: {server.address if given else server.url}", markup=False)
        if given:
            terminal.out.print("[dim]It asks for the token that was given.[/]")
        if (kept := options.get("configuration")) is not None and kept.data is not None:
            terminal.out.print(f"history: {kept.data}", markup=False)
        terminal.out.print("[dim]Ctrl-C ends it.[/]")
        if browser:
            webbrowser.open(server.url)
        said: dict[str, str] = {}
        while not server.wait(0.5):
            _tell_troubles(server.monitor, said)


def _allow_many_files() -> None:
    """Cameras, viewers and clips each have some open; systems allow a program many only if it asks."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _tell_troubles(monitor: Monitor, said: dict[str, str]) -> None:
    """Says on the terminal, once each, which streams give no pictures and why; ``said`` is by stream."""
    for status in monitor.statuses():
        trouble = status.reason if status.state in ("failed", "waiting", "stalled") else ""
        if trouble and said.get(status.name) != trouble:
            terminal.failure(f"{status.name} {status.state}", terminal.plain(trouble))
        said[status.name] = trouble
