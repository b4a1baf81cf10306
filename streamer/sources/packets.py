"""A table of a file's packets, read without decoding: where each picture and each key frame is."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class Mark:
    """A picture that has not been decoded yet."""

    index: int
    """0-based place in order of presentation."""
    pts: int
    position: int
    """0-based place in order of decoding."""
    key_frame: bool
    time: Fraction
    """Exact seconds since the first picture."""


@dataclass(frozen=True, slots=True)
class Key:
    """A packet from which decoding can begin."""

    position: int
    pts: int
    dts: int | None


class PacketTable:
    """All pictures of a file whose times can be trusted."""

    def __init__(self, pts: list[int], keys: list[Key], time_base: Fraction) -> None:
        self._positions = {value: position for position, value in enumerate(pts)}
        self._sorted = sorted(pts)
        self._keys = keys
        self._key_pts = [key.pts for key in keys]
        self._time_base = time_base

    @classmethod
    def build(cls, packets: Iterable[Packet[VideoStream]], time_base: Fraction | None) -> PacketTable | None:
        """None where a plain decode is the only safe way: no key frame at the start, pictures before it, pts missing
        or repeated, key frames out of order, damaged packets, or packets that the container says to discard."""
        pts: list[int] = []
        keys: list[Key] = []
        for packet in packets:
            if packet.size == 0:
                continue
            if packet.pts is None or packet.is_corrupt or packet.is_discard:
                return None
            if packet.is_keyframe:
                keys.append(Key(len(pts), packet.pts, packet.dts))
            pts.append(packet.pts)
        return cls.checked(pts, keys, time_base)

    @classmethod
    def checked(cls, pts: list[int], keys: list[Key], time_base: Fraction | None) -> PacketTable | None:
        """From the times in order of decoding; None as for `build`."""
        sound = time_base and keys and keys[0].position == 0 and keys[0].pts == min(pts) and len(set(pts)) == len(pts)
        if not sound or any(a.pts >= b.pts for a, b in itertools.pairwise(keys)):
            return None
        return cls(pts, keys, time_base or Fraction(1))

    def __len__(self) -> int:
        return len(self._sorted)

    def marks(self) -> Iterator[Mark]:
        """Every picture in order of presentation."""
        first, keys = self._sorted[0], set(self._key_pts)
        for index, pts in enumerate(self._sorted):
            yield Mark(index, pts, self._positions[pts], pts in keys, (pts - first) * self._time_base)

    def position(self, pts: int | None) -> int | None:
        return None if pts is None else self._positions.get(pts)

    def key_before(self, pts: int) -> Key:
        """The last key frame shown at or before ``pts``: nothing shown later needs what was decoded before it."""
        return self._keys[bisect.bisect_right(self._key_pts, pts) - 1]

    def previous(self, key: Key) -> Key | None:
        place = bisect.bisect_left(self._key_pts, key.pts)
        return self._keys[place - 1] if place else None
