"""One model for the streams and a file job: who comes first, and that nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import ModelInterrupted
from streamer.models.base import Generation, Request
from streamer.models.scripted import ScriptedModel
from streamer.sharing import PART, PIECE_SECONDS, CalledOff, PieceSize, SharedModel, Turns


def request(
    words: str = "caption", image: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]] | None = None
) -> Request:
    return Request((np.zeros((48, 48, 3), np.uint8) if image is None else image,), words, 70)


class Watched(ScriptedModel):
    """Fails where two use it at once; keeps what each call asked."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(lambda asked: asked.prompt, seconds=seconds)
        self.calls: list[list[str]] = []
        self._busy = threading.Lock()

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        assert self._busy.acquire(blocking=False), "two at once"
        try:
            self.calls.append([one.prompt for one in requests])
            return super().generate(requests)
        finally:
            self._busy.release()


@contextmanager
def in_turn(act: object) -> Iterator[list[BaseException]]:
    """``act()`` again and again on a thread until the end of the block; what it raised."""
    stop, faults = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            while not stop.is_set():
                act()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield faults
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_it_is_the_same_model_to_both() -> None:
    model = Watched()
    shared = SharedModel(model)
    for user in (shared.live, shared.guest()):
        assert (user.name, user.caveat, user.structured) == (model.name, model.caveat, model.structured)
        assert user.size_for((640, 360), 70) == model.size_for((640, 360), 70)
        assert [one.text for one in user.generate([request("a"), request("b")])] == ["a", "b"]
        assert user.generate([]) == []
        user.close()
    assert not model.closed


def test_streams_wait_for_a_piece_at_most_and_the_file_goes_on() -> None:
    model = Watched(seconds=0.02)
    shared = SharedModel(model)
    shared.live.generate([request("live")])
    waits: list[float] = []

    def live() -> None:
        began = time.monotonic()
        shared.live.generate([request("live")])
        waits.append(time.monotonic() - began)
        time.sleep(0.002)

    guest = shared.guest()
    with in_turn(live) as faults:
        answers = guest.generate([request(f"file {number}") for number in range(12)])
    assert faults == []
    assert [one.text for one in answers] == [f"file {number}" for number in range(12)]
    order = ["live" if call == ["live"] else "file" for call in model.calls]
    assert order.count("live") >= 2 * order.count("file"), "the streams come first"
    assert sorted(waits)[len(waits) // 2] < 0.08


def test_without_streams_a_file_has_whole_batches() -> None:
    model = Watched()
    SharedModel(model).guest().generate([request(str(number)) for number in range(16)])
    assert [len(call) for call in model.calls] == [16]


def test_questions_about_one_picture_stay_together() -> None:
    model = Watched()
    shared = SharedModel(model)
    shared.live.generate([request("live")])
    images = [np.zeros((48, 48, 3), np.uint8) for _ in range(3)]
    shared.guest().generate([request(f"{place}{words}", image) for place, image in enumerate(images) for words in "ab"])
    assert model.calls[1] == ["0a", "0b"]
    assert sorted(asked for call in model.calls[1:] for asked in call) == ["0a", "0b", "1a", "1b", "2a", "2b"]


def test_calling_one_off_leaves_the_other_alone() -> None:
    model = Watched(seconds=0.3)
    shared = SharedModel(model)
    guest = shared.guest()
    with (
        in_turn(lambda: shared.live.generate([request("live")])) as live,
        in_turn(lambda: guest.generate([request()])) as file,
    ):
        time.sleep(0.1)
        for _ in range(5):
            guest.stop()
            time.sleep(0.05)
    assert live == []
    [error] = file
    assert isinstance(error, CalledOff)
    with pytest.raises(CalledOff):
        guest.generate([request()])
    assert shared.guest().generate([request("next")])[0].text == "next"


def test_an_interrupted_stream_does_not_wait_for_the_file() -> None:
    shared = SharedModel(Watched(seconds=1.5))
    guest = shared.guest()
    began = time.monotonic()
    with in_turn(lambda: guest.generate([request()])) as file:
        time.sleep(0.1)
        with in_turn(lambda: shared.live.generate([request("live")])) as live:
            time.sleep(0.1)
            shared.live.interrupt()
            time.sleep(0.1)
            assert [type(error) for error in live] == [ModelInterrupted]
        guest.stop()
    assert time.monotonic() - began < 1.4
    assert [type(error) for error in file] == [CalledOff]


moments = st.lists(st.tuples(st.sampled_from(["live", "guest"]), st.floats(0.001, 3)), min_size=1, max_size=60)


@given(moments)
def test_somebody_may_always_go_and_the_file_gets_its_part(wishes: list[tuple[str, float]]) -> None:
    """Both wait all the time; whoever may go takes so long."""
    turns, now, spent = Turns(), 0.0, {"live": 0.0, "guest": 0.0}
    for _, seconds in wishes:
        live = turns.live_may(now, guest_waits=True)
        guest = turns.guest_may_at(now, live_waits=True) <= now
        assert live != guest, "exactly one"
        now += seconds
        if live:
            turns.live_done(now)
            spent["live"] += seconds
        else:
            turns.guest_done(seconds, now)
            spent["guest"] += seconds
    assert spent["guest"] <= PART * now + 3 * 2
    assert turns.live_may(now, guest_waits=False)
    assert turns.guest_may_at(now, live_waits=False) <= now + 0.05


@given(st.lists(st.floats(0, 5), max_size=40))
def test_pieces_are_small_where_they_take_long(paces: list[float]) -> None:
    size = PieceSize()
    for pace in paces:
        size.observe(size.current, pace * size.current)
        assert 1 <= size.current <= 64
    for _ in range(8):
        size.observe(size.current, 2 * PIECE_SECONDS)
    assert size.current == 1
