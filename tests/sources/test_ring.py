"""The ring's promises about what it holds, a recording's about what it takes, and times that any player takes."""

from __future__ import annotations

import io
import itertools
import threading
import time
from dataclasses import replace
from fractions import Fraction

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.errors import OptionError
from streamer.sources.clipping import clip_times
from streamer.sources.encoded import PACKET_OVERHEAD_BYTES, EncodedPacket, Encoding, keepable, parameter_sets
from streamer.sources.ring import PacketRing, Recording

_MS = Fraction(1, 1000)


def encoding(timed: bool = True) -> Encoding:
    stream = av.open(io.BytesIO(), "w", format="matroska").add_stream("mpeg4")
    return Encoding("h264", (64, 64), _MS, timed, b"", stream)


ONE, OTHER = encoding(), encoding()


def packet(number: int, at: float, *, key: bool = False, size: int = 100, of: Encoding = ONE) -> EncodedPacket:
    """Its payload begins with its number."""
    return EncodedPacket(of, number.to_bytes(4, "big") + bytes(size), number * 40, number * 40, key, at)


def numbers(packets: list[EncodedPacket]) -> list[int]:
    return [int.from_bytes(packet.data[:4], "big") for packet in packets]


@st.composite
def cameras(draw: st.DrawFn) -> list[EncodedPacket]:
    """What a camera may send: any steps of time, key frames anywhere, sizes, now and then another encoding."""
    packets, at, of = [], 0.0, ONE
    for number in range(draw(st.integers(1, 60))):
        at += draw(st.sampled_from([0.0, 0.04, 0.1, 1.0, 7.0]))
        if draw(st.integers(0, 20)) == 0:
            of = OTHER if of is ONE else ONE
        packets.append(packet(number, at, key=draw(st.booleans()), size=draw(st.integers(0, 2000)), of=of))
    return packets


@given(cameras(), st.floats(0.1, 10), st.integers(500, 20_000))
@settings(max_examples=80, deadline=None)
def test_the_ring_is_bounded_and_whole(packets: list[EncodedPacket], seconds: float, most: int) -> None:
    ring = PacketRing(seconds, most)
    put: list[EncodedPacket] = []
    for newest in packets:
        put.append(newest)
        lost = ring.shortened
        ring.put(newest)
        held = ring.packets()
        assert ring.held_bytes == sum(packet.cost_bytes for packet in held) <= most
        if not held:
            continue
        assert held[0].key
        assert all(packet.encoding is newest.encoding for packet in held)
        assert held == put[-len(held) :]  # in order, without a hole
        later_keys = [packet for packet in held[1:] if packet.key]
        assert all(packet.captured_at > newest.captured_at - seconds for packet in later_keys)
        begun = [packet for packet in put if packet.encoding is newest.encoding]
        if ring.shortened == lost == 0 and begun == put[-len(begun) :] and begun[0].key:
            assert held[0].captured_at <= newest.captured_at - seconds or held[0] is begun[0]


@given(st.integers(1, 12), st.integers(20, 200), st.integers(0, 60), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_between_before_and_after(gop: int, count: int, before: int, after: int) -> None:
    """At 10 pictures a second, of a camera that began so many pictures ago, the newest of which is the moment."""
    now = time.monotonic() + 1000  # nothing here waits, so the clock is ours
    ring = PacketRing(seconds=10)
    for number in range(count):
        ring.put(packet(number, now + (number - count + 1) / 10, key=number % gop == 0))
    recording = ring.record(before / 10, after / 10 + 0.05, at=now)
    for number in range(count, count + after + 5):
        ring.put(packet(number, now + (number - count + 1) / 10, key=number % gop == 0))
    assert recording.ended == "complete"
    got = numbers(recording.packets())
    first = max(0, count - 1 - before)
    assert got == list(range(got[0], count + after))
    assert got[0] % gop == 0
    assert first - gop < got[0] <= first


def test_recordings_share_packets_and_end_each_at_its_time() -> None:
    ring, now = PacketRing(), time.monotonic()
    ring.put(packet(0, now, key=True))
    short, long = ring.record(1, 1, at=now), ring.record(1, 3, at=now)
    for number in range(1, 50):
        ring.put(packet(number, now + number / 10))
    assert (short.ended, long.ended) == ("complete", "complete")
    assert numbers(short.packets()) == list(range(11))
    assert numbers(long.packets()) == list(range(31))
    assert all(a is b for a, b in zip(short.packets(), long.packets(), strict=False))


def test_a_recording_about_a_moment_in_the_past() -> None:
    ring, now = PacketRing(), time.monotonic()
    for number in range(50):
        ring.put(packet(number, now + number / 10, key=number % 5 == 0))
    recording = ring.record(1, 1, at=now + 3)
    assert recording.ended == "complete"
    assert numbers(recording.packets()) == list(range(20, 41))


def test_extending_goes_up_to_the_longest() -> None:
    ring, now = PacketRing(), time.monotonic()
    ring.put(packet(0, now, key=True))
    recording = ring.record(0, 1, max_seconds=4, at=now)
    assert recording.extend(2)
    ring.put(packet(1, now + 1.5))
    assert recording.ended is None
    assert recording.extend(100)
    ring.put(packet(2, now + 3.9))
    assert recording.ended is None
    ring.put(packet(3, now + 4.1))
    assert recording.ended == "complete"
    assert not recording.extend(1)
    assert numbers(recording.packets()) == [0, 1, 2]


def test_how_recordings_end() -> None:
    def begun(**more: int) -> tuple[PacketRing, Recording]:
        ring = PacketRing(**more)
        ring.put(packet(0, time.monotonic(), key=True))
        return ring, ring.record(0, 60)

    ring, recording = begun()
    ring.put(packet(1, time.monotonic(), key=True, of=OTHER))
    assert (recording.ended, numbers(recording.packets())) == ("changed", [0])
    assert numbers(ring.packets()) == [1]

    ring, recording = begun()
    ring.interrupt()
    assert recording.ended == "camera"
    assert numbers(ring.packets()) == [0]
    assert numbers(ring.record(5, 0).packets()) == [0]  # the past is still worth something

    ring, recording = begun()
    ring.close()
    ring.close()
    ring.put(packet(1, time.monotonic()))
    assert recording.ended == "camera"
    assert ring.record(1, 1).ended == "camera"

    ring, recording = begun()
    recording.finish()
    ring.put(packet(1, time.monotonic()))
    assert (recording.ended, numbers(recording.packets())) == ("finished", [0])

    ring, recording = begun(max_clip_bytes=5 * (100 + 4 + PACKET_OVERHEAD_BYTES))
    for number in range(1, 20):
        ring.put(packet(number, time.monotonic()))
    assert (recording.ended, numbers(recording.packets())) == ("full", [0, 1, 2, 3, 4])


def test_a_recording_outlives_what_the_ring_has_no_room_for() -> None:
    """A camera without another key frame: the ring gives its group up, a recording goes on."""
    now = time.monotonic()
    ring = PacketRing(10, max_bytes=2000)
    ring.put(packet(0, now, key=True))
    recording = ring.record(0, 50, at=now)
    for number in range(1, 20):
        ring.put(packet(number, now + number / 10))
    assert ring.shortened == 1
    assert ring.packets() == []
    assert ring.held_bytes == 0
    assert numbers(recording.packets()) == list(range(20))
    ring.put(packet(20, now + 2, key=True))
    assert numbers(ring.packets()) == [20]


def test_what_was_seen_long_before_is_left_out() -> None:
    ring, now = PacketRing(), time.monotonic()
    for number in range(5):
        ring.put(packet(number, now - 3600 + number / 10, key=number == 0))
    recording = ring.record(5, 5, at=now)
    assert recording.packets() == []
    ring.put(packet(5, now, key=False))
    ring.put(packet(6, now + 0.1, key=True))
    assert numbers(recording.packets()) == [6]


def test_waiting_for_a_camera_that_sends_nothing_more() -> None:
    ring = PacketRing()
    ring.put(packet(0, time.monotonic(), key=True))
    recording = ring.record(1, 0.1)
    assert not recording.wait(0.05)
    begun = time.monotonic()
    assert recording.wait(5)
    assert recording.ended == "complete"
    assert time.monotonic() - begun < 3


def test_waiting_ends_at_once_with_the_recording() -> None:
    ring = PacketRing()
    ring.put(packet(0, time.monotonic(), key=True))
    recording = ring.record(1, 30)
    closer = threading.Timer(0.1, ring.close)
    closer.start()
    assert recording.wait(10)
    closer.join(10)
    assert recording.ended == "camera"


def test_many_threads_record_while_packets_come() -> None:
    ring, stop = PacketRing(0.2), threading.Event()
    broken: list[object] = []

    def feed() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            ring.put(packet(number, time.monotonic(), key=number % 7 == 0))
            time.sleep(0.0005)

    def record() -> None:
        while not stop.is_set():
            recording = ring.record(0.1, 0.02)
            recording.wait(5)
            got = numbers(recording.packets())
            if got and (got[0] % 7 or got != list(range(got[0], got[0] + len(got)))):
                broken.append(got)

    threads = [threading.Thread(target=feed)] + [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert broken == []


def test_options_are_checked() -> None:
    for seconds in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(OptionError, match="keep"):
            PacketRing(seconds)
    with pytest.raises(OptionError, match="before"):
        PacketRing().record(-1, 1)
    with pytest.raises(OptionError, match="after"):
        PacketRing().record(1, 500)


# -- times


def check(packets: list[EncodedPacket]) -> list[float]:
    """That a player takes the times; when each picture is shown, in seconds."""
    times = clip_times(packets)
    assert min(time.pts for time in times) == 0
    assert all(time.dts <= time.pts and time.duration > 0 for time in times)
    assert all(a.dts < b.dts for a, b in itertools.pairwise(times))
    assert len({time.pts for time in times}) == len(times)
    return [float(time.pts * (_MS if packets[0].encoding.timed else Fraction(1, 90_000))) for time in times]


_STAMPS = st.one_of(st.none(), st.integers(-(2**33), 2**33), st.integers(0, 3000))


@given(st.lists(st.tuples(_STAMPS, _STAMPS, st.floats(0, 20)), min_size=1, max_size=50), st.booleans())
@settings(max_examples=120, deadline=None)
def test_any_times_become_ones_that_a_player_takes(
    given_: list[tuple[int | None, int | None, float]], timed: bool
) -> None:
    of, now = encoding(timed), 0.0
    packets: list[EncodedPacket] = []
    for pts, dts, wait in given_:
        now += wait
        packets.append(EncodedPacket(of, b"", pts, dts, not packets, now))
    check(packets)


@given(st.integers(-(10**9), 10**9), st.permutations(range(4)), st.integers(1, 8))
def test_sound_times_are_kept(offset: int, order: list[int], groups: int) -> None:
    """Pictures decoded in any order within groups of four: their distances stay to the unit."""
    shown = [group * 4 + place for group in range(groups) for place in order]
    packets = [
        EncodedPacket(ONE, b"", offset + 40 * pts, offset + 40 * (dts - 3), dts == 0, 100 + dts * 0.04)
        for dts, pts in enumerate(shown)
    ]
    assert check(packets) == [pytest.approx(pts * 0.04) for pts in shown]


def test_the_first_picture_without_a_time() -> None:
    packets = [packet(number, 10 + number * 0.04, key=number == 0) for number in range(6)]
    packets[0] = replace(packets[0], pts=None, dts=None)
    assert check(packets) == [pytest.approx(number * 0.04) for number in range(6)]


@pytest.mark.parametrize("leap", [-400, -(2**33), 2**33, 3_600_000], ids=["loop", "wrap", "jump", "an hour"])
def test_a_clock_that_leaps_goes_on_as_if_it_had_not(leap: int) -> None:
    packets: list[EncodedPacket] = []
    for number in range(20):
        stamp = number * 40 + (leap if number >= 10 else 0)
        packets.append(EncodedPacket(ONE, b"", stamp, stamp, number == 0, 5 + number * 0.04))
    assert check(packets) == [pytest.approx(number * 0.04) for number in range(20)]


def test_a_pause_of_the_camera_is_kept() -> None:
    moments = [0.0, 0.04, 0.08, 20.08, 20.12]
    packets = [
        EncodedPacket(ONE, b"", round(at * 1000), round(at * 1000), at == 0, 50 + at + (0.3 if at else 0))
        for at in moments
    ]
    assert check(packets) == [pytest.approx(at) for at in moments]


def test_packets_that_come_in_bursts_keep_the_cameras_times() -> None:
    """As with HLS: six seconds come at one moment."""
    packets = [packet(number, 1.0 + number // 150 * 6, key=number == 0) for number in range(450)]
    assert check(packets) == [pytest.approx(number * 0.04) for number in range(450)]


def test_untimed_packets_are_shown_when_they_came() -> None:
    moments = [0.0, 0.05, 0.05, 0.31, 4.0]
    packets = [EncodedPacket(encoding(False), b"", n * 3600, n * 3600, True, 7 + at) for n, at in enumerate(moments)]
    assert check(packets) == [pytest.approx(at, abs=0.001) for at in moments]


# -- parameter sets


def test_parameter_sets_are_found_before_the_first_slice() -> None:
    units = [b"\x09\xf0", b"\x67\x64\x00\x1f", b"\x68\xee", b"\x06\x05\x01", b"\x65\x88\x67", b"\x67\x00"]
    stream = b"".join(b"\x00\x00\x00\x01" + unit for unit in units)
    assert list(parameter_sets("h264", stream)) == [("sps", units[1]), ("pps", units[2])]
    assert list(parameter_sets("mjpeg", stream)) == []
    hevc = [b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc1", b"\x26\x01\xaf", b"\x42\x01\x09"]
    found = list(parameter_sets("hevc", b"".join(b"\x00\x00\x01" + unit for unit in hevc)))
    assert found == [("vps", hevc[0]), ("sps", hevc[1]), ("pps", hevc[2])]


@given(st.binary(max_size=60), st.sampled_from(["h264", "hevc"]))
def test_any_bytes_may_be_looked_through(data: bytes, codec: str) -> None:
    list(parameter_sets(codec, b"\x00\x00\x01" + data + b"\x00\x00\x01"))


def test_bare_pixels_are_not_kept() -> None:
    assert not keepable("rawvideo")
    assert keepable("mjpeg")
