"""What viewers see of one stream: pictures, encoded once for equal wishes, and boxes that stay on their objects."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from streamer.carrying import Carrier
from streamer.display import CarriedBoxes, EncodedPicture, Wish, display_size, encode_jpeg
from streamer.glances import Glances
from streamer.motion import WIDTH
from streamer.pacing import Pace
from streamer.passthrough import Passthrough, VideoPacket

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.frames import Frame
    from streamer.results import FrameResult
    from streamer.settings import StreamSettings
    from streamer.sources.base import Picture
    from streamer.sources.ring import PacketRing

Shown = EncodedPicture | CarriedBoxes | VideoPacket
_STILL_SECONDS = 1.0
KEEP_SECONDS = 10.0
"""After which a picture is encoded though nobody looks, so that a camera that dies has a last one."""
KEPT_WIDTH = 480
_RESULTS_KEPT = 64
"""That no picture was shown after yet; the oldest is dropped."""
GAP_SECONDS = 2.0
"""Between two pictures beyond which nothing is carried from one to the other."""

IDLE_SECONDS = 60.0
"""Without boxes in any result, after which nothing is looked for until some come."""
LONGEST_SECONDS = 6.0
"""For which the boxes of a result are carried on where no other one comes."""


class Showing:
    """Of one stream. `due` and `show` are called on the decoding thread, everything else on any.

    ``told(event)`` hears each picture and the boxes that belong to it, boxes first, and each packet.
    """

    def __init__(self, stream: str, fps: float, told: Callable[[Shown], None]) -> None:
        self._stream, self._told = stream, told
        self._lock = threading.Lock()
        self._pace = Pace(fps)
        self._looking: Counter[Wish] = Counter()
        self._newest: EncodedPicture | None = None
        self._results: deque[FrameResult] = deque(maxlen=_RESULTS_KEPT)
        self._carrier: Carrier | None = None
        self._began_at = self._last_at = 0.0
        """Media seconds of the first and the newest picture that boxes are carried through."""
        self._knows = self._boxes_shown = False
        self._found_at = -math.inf
        """When a result last had boxes."""
        self._passthrough = Passthrough(stream, told)
        self._watching = 0
        self.glances = Glances()

    @property
    def looked_at(self) -> bool:
        return bool(self._looking or self._watching)

    def set_rate(self, fps: float) -> None:
        with self._lock:
            self._pace.set_rate(fps)

    def look(self, wish: Wish) -> Wish:
        """One more viewer wants pictures; gives the wish that it shares, to be handed to `unlook`."""
        with self._lock:
            shared = wish.among(self._looking)
            self._looking[shared] += 1
            return shared

    def unlook(self, wish: Wish) -> None:
        with self._lock:
            self._looking[wish] -= 1
            self._looking += Counter()

    def watch(self) -> None:
        """One more viewer wants the packets as they come."""
        with self._lock:
            self._watching += 1

    def unwatch(self) -> None:
        with self._lock:
            self._watching -= 1

    def see(self, picture: Picture, ring: PacketRing | None, captured_at: float) -> None:
        """Every picture, and where its packets are."""
        self.glances.see(picture, captured_at)
        newest = self._newest
        if newest is None or captured_at - newest.captured_at > KEEP_SECONDS:
            size = display_size(picture.source_size, KEPT_WIDTH)
            jpeg = encode_jpeg(picture.scaled(size))
            with self._lock:
                self._newest = EncodedPicture(self._stream, 0, picture.time_seconds, captured_at, size, jpeg)
        if self._watching:
            self._passthrough.see(picture, ring, captured_at)
        else:
            self._passthrough.close()

    def learn(self, result: FrameResult) -> None:
        """A result that was handed out, with the ids of its tracks: its boxes are carried from now on."""
        if (self._looking or self._watching) and result.error is None:
            self._results.append(result)
            if result.detections:
                self._found_at = time.monotonic()

    def due(self, now: float) -> bool:
        """Whether a picture that came ``now`` is to be shown."""
        with self._lock:
            return bool(self._looking or self._watching) and self._pace.due(now)

    def show(self, picture: Picture, sequence: int, settings: StreamSettings, captured_at: float) -> None:
        """Encodes the picture as all wish it, and says where the boxes are on it."""
        with self._lock:
            wishes = sorted(self._looking, key=lambda wish: wish.pixels, reverse=True)
        scaled: dict[tuple[int, int], NDArray[np.uint8]] = {}
        for wish in wishes:
            size = self._size(picture, wish, settings)
            if size not in scaled:
                scaled[size] = picture.scaled(size)
        self._carry(picture, max(scaled.values(), key=len, default=None), sequence, captured_at)
        for place, wish in enumerate(wishes):
            size = self._size(picture, wish, settings)
            jpeg = encode_jpeg(scaled[size], wish.quality)
            encoded = EncodedPicture(self._stream, sequence, picture.time_seconds, captured_at, size, jpeg, wish)
            if place == 0:
                with self._lock:
                    self._newest = encoded
            self._told(encoded)

    def still(self, last: Frame | None, sequence: int) -> EncodedPicture | None:
        """The newest picture at hand, encoded now if none was lately; None before the first frame."""
        with self._lock:
            newest = self._newest
        if last is None or last.captured_at is None:
            return newest
        if newest is not None and newest.captured_at > last.captured_at - _STILL_SECONDS:
            return newest
        jpeg = encode_jpeg(last.image)
        return EncodedPicture(self._stream, sequence, last.time_seconds, last.captured_at, last.size, jpeg)

    def _size(self, picture: Picture, wish: Wish, settings: StreamSettings) -> tuple[int, int]:
        return display_size(picture.source_size, min(wish.width or settings.display_width, settings.display_width))

    # -- boxes, on the decoding thread

    def _carry(self, picture: Picture, image: NDArray[np.uint8] | None, sequence: int, captured_at: float) -> None:
        if time.monotonic() - self._found_at > IDLE_SECONDS:
            self._carrier = None
            self._results.clear()
            return
        if image is None:
            image = picture.scaled(display_size(picture.source_size, WIDTH))
        if self._carrier is None or not 0 <= picture.time_seconds - self._last_at < GAP_SECONDS:
            self._carrier = Carrier(way="flow", longest_seconds=LONGEST_SECONDS)
            self._began_at, self._knows = picture.time_seconds, False
        self._last_at = picture.time_seconds
        while self._results:
            result = self._results.popleft()
            if self._began_at <= result.time_seconds <= picture.time_seconds:
                self._carrier.add(result)
                self._knows = True
        if not self._knows:  # viewers have the newest result itself
            return
        boxes = self._carrier.at(picture.time_seconds, image)
        if boxes or self._boxes_shown:
            self._told(CarriedBoxes(self._stream, sequence, picture.time_seconds, captured_at, boxes))
        self._boxes_shown = bool(boxes)
