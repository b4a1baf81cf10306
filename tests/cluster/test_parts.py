"""What the live job on a cluster is made of, without a cluster: numbers that go on, the outbox, batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.cluster.gathering import Gatherer
from streamer.cluster.numbering import Clock, Numbering
from streamer.cluster.outbox import MAX_FRAMES, MAX_PACKETS, MAX_RESULTS, Outbox
from streamer.cluster.parcels import Answered, PackedFrame
from streamer.cluster.shared import ClusterModel, Facts
from streamer.display import CarriedBoxes, EncodedPicture, Wish
from streamer.errors import ModelError
from streamer.frames import Frame
from streamer.geometry import Box
from streamer.models.base import Generation, Request
from streamer.models.scripted import ScriptedModel
from streamer.passthrough import VideoPacket, VideoSetup
from streamer.results import Detection, FrameResult, Timings
from tests.server.rig import eventually

BOX = Box(0.1, 0.1, 0.2, 0.2)


def result(sequence: int, *tracks: int, age_ms: float = 100.0) -> FrameResult:
    found = tuple(Detection("car", BOX, track) for track in tracks)
    return FrameResult("gate", sequence, sequence / 10, (64, 48), detections=found, timings=Timings(age_ms=age_ms))


def frame(sequence: int, *, display: bool = True) -> Frame:
    image = np.full((48, 96, 3), 90, np.uint8)
    image[:, :48] = (200, 40, 40)
    shown = np.full((64, 128, 3), 90, np.uint8) if display else None
    return Frame(image, (640, 320), "gate", sequence, sequence / 10, captured_at=50.0, display=shown)


def picture(sequence: int, wish: Wish | None = None) -> EncodedPicture:
    return EncodedPicture("gate", sequence, 0.0, 50.0, (64, 48), b"jpeg", wish or Wish())


def packet(number: int) -> VideoPacket:
    return VideoPacket("gate", number, VideoSetup("avc1.640028", b"", (64, 48)), True, 0.0, 50.0, b"data")


def request(text: str) -> Request:
    return Request((np.zeros((48, 48, 3), np.uint8),), text)


# -- numbers


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=5), min_size=1, max_size=4))
def test_numbers_rise_over_all_processes_and_tracks_are_never_mistaken(processes: list[list[int]]) -> None:
    numbering = Numbering()
    seen: list[FrameResult] = []
    tracks: list[set[int | None]] = []
    for process in processes:
        numbering.begin()
        found = [numbering.result(result(number, track), 0.0, 0.0) for number, track in enumerate(process)]
        seen += found
        tracks.append({one.detections[0].track_id for one in found})
    sequences = [one.sequence for one in seen]
    assert sequences == sorted(set(sequences))
    assert sum(map(len, tracks)) == len(set().union(*tracks)), "two things have one number"


def test_counts_are_of_all_processes_together() -> None:
    numbering = Numbering()
    numbering.begin()
    numbering.counts({"analysed": 3, "pictures": 9})
    assert numbering.counts({"analysed": 4, "pictures": 12}) == {"analysed": 4, "pictures": 12}
    numbering.begin()
    numbering.add("reconnects")
    assert numbering.counts({"analysed": 1}) == {"analysed": 5, "pictures": 12, "reconnects": 1}


def test_what_viewers_see_keeps_its_numbers_apart_and_comes_by_this_machine_s_clock() -> None:
    numbering = Numbering()
    numbering.begin()
    numbering.shown(picture(41))
    before = numbering.shown(packet(99))
    numbering.begin()
    numbering.clock.read(there=1000.0, here=60.0)
    shown = [
        numbering.shown(replace(event, captured_at=990.0))
        for event in (CarriedBoxes("gate", 3, 0.3, 0.0, (Detection("car", BOX, 2),)), picture(3), packet(1))
    ]
    assert [event.captured_at for event in shown] == [50.0] * 3
    assert [event.sequence for event in shown if not isinstance(event, VideoPacket)] == [45, 45]
    after = shown[-1]
    assert isinstance(before, VideoPacket)
    assert isinstance(after, VideoPacket)
    assert after.number > before.number + 1, "there is no gap, so a viewer would go on without a key picture"


@given(st.floats(-1e6, 1e6), st.lists(st.floats(0.0, 2.0), min_size=1, max_size=200))
def test_the_fastest_reading_says_how_the_clocks_differ(offset: float, delays: list[float]) -> None:
    clock = Clock()
    for number, delay in enumerate(delays):
        clock.read(there=float(number), here=number + offset + delay)
    error = clock.here(5.0) - (5.0 + offset)
    assert error == pytest.approx(min(delays[-120:]), abs=1e-6)
    assert clock.there(clock.here(5.0)) == pytest.approx(5.0)


def test_an_age_holds_the_way_here() -> None:
    numbering = Numbering()
    numbering.clock.read(there=100.0, here=10.0)
    assert numbering.result(result(0), made_at=100.0, now=10.25).timings.age_ms == pytest.approx(350.0)


# -- the outbox


def test_results_all_come_in_order_and_once() -> None:
    outbox = Outbox()
    for number in range(5):
        outbox.put_result(result(number), frame(number))
        outbox.put_result(result(number), None)
    found = [one for one in outbox.take(0) if isinstance(one, Answered)]
    assert [one.result.sequence for one in found] == [0, 1, 2, 3, 4]
    assert all(one.frame is not None for one in found)
    assert outbox.take(0) == ()
    assert outbox.lost == 0


def test_what_nobody_fetches_is_bounded_and_counted() -> None:
    outbox = Outbox()
    for number in range(MAX_RESULTS + 7):
        outbox.put_result(result(number), frame(number))
    for number in range(9):
        outbox.put(picture(number))
        outbox.put(picture(number, Wish(320)))
        outbox.put(CarriedBoxes("gate", number, 0.0, 50.0, ()))
    for number in range(MAX_PACKETS + 5):
        outbox.put(packet(number))
    found = outbox.take(0)
    answered = [one for one in found if isinstance(one, Answered)]
    assert outbox.lost == 7
    assert [one.result.sequence for one in answered] == list(range(7, MAX_RESULTS + 7))
    assert [one.frame is not None for one in answered][-MAX_FRAMES - 1 :] == [False] + [True] * MAX_FRAMES
    shown = [one for one in found if isinstance(one, EncodedPicture | CarriedBoxes)]
    assert [type(one).__name__ for one in shown] == ["CarriedBoxes", "EncodedPicture", "EncodedPicture"]
    assert {one.sequence for one in shown} == {8}
    packets = [one.number for one in found if isinstance(one, VideoPacket)]
    assert packets == list(range(5, MAX_PACKETS + 5)), "the oldest go first"


def test_a_take_returns_when_something_comes_or_it_is_closed() -> None:
    outbox = Outbox()
    threading.Timer(0.1, outbox.put_result, (result(1), None)).start()
    started = time.monotonic()
    assert len(outbox.take(5)) == 1
    threading.Timer(0.1, outbox.close).start()
    assert outbox.take(5) == ()
    assert time.monotonic() - started < 3


def test_a_frame_comes_nearly_as_it_was() -> None:
    packed = PackedFrame.of(frame(3))
    assert len(packed.image) < 48 * 96 * 3 / 4
    found = packed.frame(77, lambda moment: moment + 1)
    assert (found.sequence, found.captured_at, found.size) == (77, 51.0, (96, 48))
    assert np.abs(found.image.astype(int) - frame(3).image).mean() < 3
    assert found.display is not None
    assert PackedFrame.of(frame(3, display=False)).frame(0, float).display is None


# -- batches


class Recording(ScriptedModel):
    """Keeps what it was asked, batch by batch."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(lambda request: f"said of {request.prompt}", seconds=seconds)
        self.batches: list[list[str]] = []

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        self.batches.append([request.prompt for request in requests])
        if any(request.prompt == "bad" for request in requests):
            raise ModelError("scripted", "it cannot answer that")
        return super().generate(requests)


def texts(answers: object) -> list[str]:
    assert isinstance(answers, list), answers
    return [answer.text for answer in answers]


def test_what_waits_from_all_goes_into_one_batch_longest_waiting_first() -> None:
    model = Recording(seconds=0.2)
    gatherer = Gatherer(model, most=4)
    futures = [gatherer.ask([request("first")])]
    eventually(lambda: model.batches)
    futures += [gatherer.ask([request(f"{name}1"), request(f"{name}2")]) for name in "abc"]
    assert [texts(future.result(5)) for future in futures] == [
        ["said of first"], *([f"said of {name}1", f"said of {name}2"] for name in "abc")
    ]  # fmt: skip
    assert model.batches == [["first"], ["a1", "a2", "b1", "b2"], ["c1", "c2"]]
    gatherer.close()


def test_one_frame_s_fault_costs_only_its_own_answers() -> None:
    model = Recording(seconds=0.1)
    gatherer = Gatherer(model)
    gatherer.ask([request("first")])
    eventually(lambda: model.batches)
    good, bad = gatherer.ask([request("good")]), gatherer.ask([request("bad")])
    assert texts(good.result(5)) == ["said of good"]
    assert "cannot answer" in str(bad.result(5))
    gatherer.close()


def test_a_frame_that_waited_too_long_is_refused() -> None:
    model = Recording(seconds=0.5)
    gatherer = Gatherer(model, stale_seconds=0.2)
    first = gatherer.ask([request("first")])
    eventually(lambda: model.batches)
    late = gatherer.ask([request("late")])
    assert texts(first.result(5)) == ["said of first"]
    assert "waited for more than 0.2 s" in str(late.result(5))
    assert model.batches == [["first"]]
    gatherer.close()


def test_the_end_calls_off_what_runs_and_what_waits() -> None:
    model = Recording(seconds=30.0)
    gatherer = Gatherer(model)
    running = gatherer.ask([request("one")])
    eventually(lambda: model.batches)
    waiting = gatherer.ask([request("two")])
    assert gatherer.busy_seconds > 0
    started = time.monotonic()
    gatherer.close()
    assert "interrupted" in str(running.result(5))
    assert "interrupted" in str(waiting.result(5))
    assert time.monotonic() - started < 2
    assert "too many" in str(gatherer.ask([request("three")]).result(5))


def test_a_model_that_no_node_runs_is_at_fault() -> None:
    model = ClusterModel(Facts("tiny"))
    assert model.fault == "no node of the cluster runs it at the moment"
    model.use(object())
    assert model.fault is None
