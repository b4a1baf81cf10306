"""What works on this machine, and what to do about what does not."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

Verdict = Literal["ok", "note", "missing"]

_PACKAGES = ("torch", "transformers", "accelerate", "av", "opencv-python", "numpy", "pillow", "fastapi", "uvicorn",
             "websockets")  # fmt: skip
_CODECS = ("h264", "hevc", "av1", "vp9", "mjpeg")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    verdict: Verdict
    """``note``: works, but you may want to know; ``missing``: something will not work."""
    detail: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Looks at one thing after another; the slow ones (torch) in the middle. Never raises for what it finds."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    for subject, look in (
        ("packages", _packages),
        ("device", _torch),
        ("codecs", _decoding),
        ("webcams", _cameras),
        ("model cache", _model_cache),
        ("tiny", _tiny),
    ):
        try:
            yield from look()
        except (ImportError, OSError, RuntimeError, ValueError) as error:  # what is broken is a finding too
            yield Finding(subject, "missing", f"{type(error).__name__}: {error}", "reinstall streamer")


def _packages() -> Iterator[Finding]:
    for name in _PACKAGES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "missing", "not installed", f"pip install {name}")


def _torch() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(number).total_memory / 2**30
            yield Finding(f"cuda:{number}", "ok", f"{torch.cuda.get_device_name(number)}, {memory:.0f} GiB")
    elif torch.backends.mps.is_available():
        yield Finding("mps", "ok", "Apple GPU")
    else:
        detail = f"CPU only, {os.cpu_count()} cores; E2B answers in many seconds a frame here"
        yield Finding("device", "note", detail, "a GPU of 12 GB runs E2B; --model tiny shows the way on any CPU")
    yield _dtype()


def _dtype() -> Finding:
    import torch

    from streamer.gemma.devices import pick_device, pick_dtype

    device = pick_device("auto")
    chosen = pick_dtype("auto", device, 1536)
    return Finding(
        "dtype", "ok", f"{str(chosen).removeprefix('torch.')} on {device}, {torch.get_num_threads()} threads"
    )


def _decoding() -> Iterator[Finding]:
    import av
    from av.codec.hwaccel import hwdevices_available

    lacking = [name for name in _CODECS if name not in av.codecs_available]
    verdict: Verdict = "missing" if "h264" in lacking else "note" if lacking else "ok"
    libraries = ".".join(map(str, av.library_versions["libavcodec"]))
    detail = f"libavcodec {libraries}; " + ", ".join(name for name in _CODECS if name not in lacking)
    yield Finding("codecs", verdict, detail, "reinstall av" if lacking else "")
    if "libx264" in av.codecs_available:
        yield Finding("encoder", "ok", "libx264")
    else:
        yield Finding("encoder", "missing", "no H.264 encoder, so no annotated videos", "reinstall av")
    devices = hwdevices_available()
    built = f"built for {', '.join(devices)}; whether this machine has one shows at use" if devices else ""
    yield Finding("hardware decoding", "ok" if devices else "note", built or "none in this build of av")


def _cameras() -> Iterator[Finding]:
    if sys.platform != "linux":
        return
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    yield Finding("webcams", "ok" if found else "note", ", ".join(found) or "none at /dev/video*")


def _model_cache() -> Iterator[Finding]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cached = [repo for repo in scan_cache_dir().repos if "gemma-4" in repo.repo_id]
    except CacheNotFound:
        cached = []
    for repo in cached:
        yield Finding("model cache", "ok", f"{repo.repo_id}, {repo.size_on_disk / 2**30:.1f} GiB")
    if not cached:
        yield Finding("model cache", "note", "no Gemma 4 downloaded yet", "the first use of --model downloads it")


def _tiny() -> Iterator[Finding]:
    from streamer.errors import StreamerError
    from streamer.models import load

    try:
        with load("tiny") as model:
            yield Finding("tiny", "ok", f"loads; {model.caveat}")
    except StreamerError as error:
        yield Finding("tiny", "missing", str(error), "reinstall streamer")
