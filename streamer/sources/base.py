"""What every source gives: pictures with their times, in order, until it ends or fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, Self

from streamer.addresses import redact

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.frames import Frame
    from streamer.sources.ring import PacketRing

Size = tuple[int, int]
"""``(width, height)`` in pixels."""
SizeFor = Callable[[Size], Size]
"""From the upright source size to the size at which a picture is wanted."""
State = Literal["connecting", "live", "stalled", "waiting", "ended", "failed"]
FAULTS_KEPT = 20


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source once it is open."""

    address: str
    """Without passwords."""
    kind: Literal["file", "live", "images"]
    size: Size
    """Of the upright picture with square pixels."""
    duration_seconds: float | None = None
    rate: float | None = None
    """Pictures a second, where it can be trusted."""
    picture_count: int | None = None
    codec: str = ""
    start_seconds: float = 0.0
    """How long after the container's start, with which its sound may begin, the first picture is shown."""


@dataclass(slots=True)
class Counters:
    """What became of a source's pictures."""

    decoded: int = 0
    corrupt: int = 0
    reconnects: int = 0
    stalls: int = 0
    dropped: int = 0
    """Live pictures that a newer one replaced before anybody took them."""
    faults: list[str] = field(default_factory=list)
    """The newest few faults, without passwords, newest last."""

    def note(self, fault: str) -> None:
        """Keeps ``fault`` among the newest `FAULTS_KEPT`."""
        self.faults.append(redact(fault))
        del self.faults[:-FAULTS_KEPT]


class Picture(ABC):
    """A decoded picture that is converted only to the sizes that somebody wants."""

    source_size: Size
    """Upright, square pixels."""
    time_seconds: float
    """Since the start of the source."""
    index: int | None
    pts: int | None
    time_base: Fraction | None
    captured_at: float | None
    decode_ms: float
    round: int = 0
    """Which opening of its source it is from, as `EncodedPacket.round`."""

    @property
    def as_sent(self) -> bool:
        """Whether it is shown just as it was encoded: upright, progressive, plain 8-bit colours."""
        return False

    @abstractmethod
    def scaled(self, size: Size) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 RGB, upright, of exactly ``size`` = (W, H); the aspect is the caller's affair."""


class Source(ABC):
    """One file, folder, stream or camera. A context manager; used from one thread, but ``close`` from any."""

    live: bool = False
    """True where pictures come at their own pace and are lost when nobody takes them."""
    state: State = "live"
    """What it is doing. Only a source that waits for pictures and comes back by itself is ever in another one."""
    retry_at: float | None = None
    """``time.monotonic()`` of its next try while it is ``waiting``; None otherwise."""

    @property
    @abstractmethod
    def info(self) -> SourceInfo:
        """Raises `SourceError` where the source cannot be opened."""

    @property
    @abstractmethod
    def counters(self) -> Counters: ...

    @property
    def ring(self) -> PacketRing | None:
        """A camera's newest packets, to make clips of; None where none are kept (`LiveOptions.keep_seconds`) or there
        are none, as with drawn pictures and webcams that send bare pixels."""
        return None

    @abstractmethod
    def pictures(self) -> Iterator[Picture]:
        """Every picture in order of presentation (live: as they come, reconnecting).

        Raises `SourceError` at a fault that ends the source, after the pictures before it.
        """

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """The sampled pictures, at the analysis size. Raises as `pictures` does."""

    @abstractmethod
    def close(self) -> None:
        """Ends iteration within a second, also from another thread; calling it again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
