"""Clips of a camera that another machine watches: recorded there, written there, brought here."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from streamer.errors import OutputError, StreamerError
from streamer.outputs.atomic import replacing
from streamer.sources.clipping import Clip
from streamer.sources.ring import Ended, PacketRing, Recording

if TYPE_CHECKING:
    from streamer.sources.encoded import EncodedPacket


@dataclass(frozen=True, slots=True)
class PackedClip:
    """A written clip with its bytes; `Clip.path` is a name alone."""

    clip: Clip
    data: bytes


class Recordings:
    """In the stream's process: those that run, by number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, Recording] = {}

    def begin(
        self, number: int, ring: PacketRing, before_seconds: float, after_seconds: float, at: float, max_seconds: float
    ) -> None:
        """Raises `OptionError` as `PacketRing.record` does."""
        recording = ring.record(before_seconds, after_seconds, at=at, max_seconds=max_seconds)
        with self._lock:
            self._running[number] = recording

    def extend(self, number: int, seconds: float) -> None:
        with self._lock:
            recording = self._running.get(number)
        if recording is not None:
            recording.extend(seconds)

    def ended(self) -> tuple[int, ...]:
        """Numbers of those that take no more and were not fetched yet."""
        with self._lock:
            running = tuple(self._running.items())
        return tuple(number for number, recording in running if recording.wait(0))

    def fetch(self, number: int) -> PackedClip | StreamerError:
        """Ends the recording, and gives its clip or why there is none."""
        with self._lock:
            recording = self._running.pop(number, None)
        if recording is None:
            return OutputError("clip", "its recording is not there any more", "another process watches the camera now")
        try:
            with tempfile.TemporaryDirectory(prefix="streamer-clip-") as folder:
                clip = recording.write(Path(folder) / "clip.mp4")
                return PackedClip(replace(clip, path=Path(clip.path.name)), clip.path.read_bytes())
        except StreamerError as error:
            return error
        except OSError as error:
            return OutputError("clip", str(error), "is there room on the camera's node?")


class Recorder(Protocol):
    """How a recording here reaches the stream's process."""

    def extend(self, number: int, seconds: float) -> None: ...

    def fetch(self, number: int) -> PackedClip | StreamerError: ...


class DistantRecording(Recording):
    """Here: one that runs elsewhere. Whoever watches that process calls `end`."""

    def __init__(self, number: int, at: float, recorder: Recorder) -> None:
        self.number, self.at = number, at
        self.ended: Ended | None = None
        self._recorder = recorder
        self._over = threading.Event()
        self._packed: PackedClip | StreamerError | None = None

    def end(self, why: Ended, packed: PackedClip | StreamerError | None = None) -> None:
        """``packed``: what is left of it, where its process goes away."""
        if self._packed is None:
            self._packed = packed
        if self.ended is None:
            self.ended = why
            self._over.set()

    def extend(self, seconds: float) -> bool:
        if self.ended is None:
            self._recorder.extend(self.number, seconds)
        return self.ended is None

    def finish(self) -> None:
        self.end("finished")

    def wait(self, timeout: float) -> bool:
        return self._over.wait(timeout)

    def packets(self) -> list[EncodedPacket]:
        """None: they stay where they are."""
        return []

    def write(self, path: Path) -> Clip:
        self.finish()
        if self._packed is None:
            self._packed = self._recorder.fetch(self.number)
        packed = self._packed
        if isinstance(packed, StreamerError):
            raise packed
        path = path.with_suffix(packed.clip.path.suffix)
        with replacing(path) as temporary:
            temporary.write_bytes(packed.data)
        return replace(packed.clip, path=path)


class DistantRing(PacketRing):
    """Here: the packets that a stream's process keeps. They can be recorded, and nothing else."""

    def __init__(self, record: Callable[[float, float, float | None, float], Recording]) -> None:
        super().__init__()
        self._begin_recording = record

    def record(
        self, before_seconds: float, after_seconds: float, *, at: float | None = None, max_seconds: float = 120.0
    ) -> Recording:
        return self._begin_recording(before_seconds, after_seconds, at, max_seconds)
