"""A history whose pictures are in an S3-compatible store, which goes away, comes back, or does not want us."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from streamer.clips import ClipOptions, ClipWriter
from streamer.errors import HistoryError, StreamerError
from streamer.history import History, HistoryOptions
from tests.history.made import JPEG, NOW, alert, result, wait_for
from tests.history.s3 import KEY, SECRET, S3Server, environment
from tests.models.faulty_proxy import FaultyProxy

DAY = 86400.0


@pytest.fixture
def address(s3: FaultyProxy, bucket: str) -> str:
    return f"s3://{bucket}/cameras"


def stored(server: S3Server, bucket: str) -> list[str]:
    """The files' names."""
    return sorted(key.rpartition("/")[2] for key in server.keys(bucket))


def sent(history: History) -> None:
    history.flush(10)
    wait_for(lambda: history.counts().waiting_files == 0, 30)


def with_clip(history: History, at: float, data: bytes = b"video" * 100) -> str:
    name, path = history.new_clip_path("gate", at)
    path.write_bytes(data)
    history.keep_clip(name, at - 2.5)
    return name


def test_what_is_kept_is_in_the_store_and_the_sizes_in_the_database(
    tmp_path: Path, url: str | None, address: str, bucket: str, s3_server: S3Server
) -> None:
    with History(tmp_path, url, pictures=address) as history:
        history.put(result("a car"), NOW, JPEG)
        snapshot, clip = history.put_picture("gate", NOW, JPEG * 2), with_clip(history, NOW)
        history.put_alert(alert(1, snapshot=snapshot, clip=clip))
        sent(history)
        [found] = history.search("car")
        assert found.picture is not None
        assert stored(s3_server, bucket) == sorted([found.picture, snapshot, clip])
        assert history.picture(found.picture) == JPEG
        assert history.picture(snapshot) == JPEG * 2
        kept = history.clip(clip)
        assert (kept.size, kept.started_at, kept.path) == (500, NOW - 2.5, None)
        assert kept.read(3, 9) == (b"video" * 100)[3:9]
        assert history.picture_path(snapshot).startswith(f"{address}/pictures/")
        counts = history.counts()
        assert (counts.picture_bytes, counts.clip_bytes, counts.dropped_pictures) == (3 * len(JPEG), 500, 0)
        assert list((tmp_path / "waiting").iterdir()) == []
    with History(tmp_path, url, pictures=address, check=False) as again:
        assert again.picture(found.picture) == JPEG
        assert again.clip(clip).size == 500
    assert not (tmp_path / "pictures").exists()


def test_age_and_size_remove_from_the_store(
    tmp_path: Path, url: str | None, address: str, bucket: str, s3_server: S3Server, s3: FaultyProxy
) -> None:
    options = HistoryOptions(keep_days=100, keep_bytes=10**9)  # no snapshot goes by itself before it has its alert
    with History(tmp_path, url, pictures=address, options=options) as history:
        for number in range(60):
            history.put(result(str(number)), NOW - 40 * DAY + number, b"x" * 10_000)
        snapshot, clip = history.put_picture("gate", NOW - 40 * DAY, JPEG), with_clip(history, NOW - 40 * DAY)
        history.put_alert(alert(1, snapshot=snapshot, clip=clip))
        for number in range(300):
            history.put(result(f"new {number}"), NOW + number, b"x" * 10_000)
        sent(history)
        history.limit(keep_days=30, keep_alert_days=365, keep_bytes=10**9)
        history.retain(NOW + DAY)
        assert len(stored(s3_server, bucket)) == 302
        history.limit(keep_days=30, keep_alert_days=365, keep_bytes=1_500_000)
        history.retain(NOW + DAY)
        found = history.search(limit=1000)
        assert 0 < len(found) < 150
        assert None not in [one.picture for one in found]
        assert stored(s3_server, bucket) == sorted([snapshot, clip, *(str(one.picture) for one in found)])
        assert history.counts().picture_bytes <= 1_500_000
        history.retain(NOW + 400 * DAY)
        assert stored(s3_server, bucket) == []
        assert (history.counts().pictures, history.counts().clips) == (0, 0)


def test_a_store_that_goes_away_harms_neither_results_nor_alerts(
    tmp_path: Path, address: str, bucket: str, s3: FaultyProxy, s3_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    with History(tmp_path, pictures=address) as history:
        history.put(result("before"), NOW, JPEG)
        sent(history)
        before = str(history.search()[0].picture)
        s3.stop()
        for number in range(50):
            start = time.monotonic()
            history.put(result(str(number)), NOW + number, JPEG)
            assert time.monotonic() - start < 0.5
        start = time.monotonic()
        snapshot, clip = history.put_picture("gate", NOW, JPEG * 3), with_clip(history, NOW)
        history.put_alert(alert(1, snapshot=snapshot, clip=clip))
        history.flush(10)
        assert time.monotonic() - start < 5, "nothing waits for the store"
        wait_for(lambda: history.fault)
        assert str(history.fault).startswith(f"history {address}: it cannot be written: Could not connect")
        assert len(history.search(limit=100)) == 51
        assert history.picture(snapshot) == JPEG * 3, "what waits is shown"
        assert history.picture(str(history.search("49")[0].picture)) == JPEG
        assert history.clip(clip).path is not None
        with pytest.raises(HistoryError, match="it cannot be read"):
            history.picture(before)
        with pytest.raises(HistoryError, match="order to remove"):
            history.retain(NOW + 40 * DAY)
        assert len(history.search(limit=100)) == 51, "rows stay as long as their files"
        s3.start()
        sent(history)
        assert history.fault is None
        assert len(stored(s3_server, bucket)) == 53
        assert history.picture(before) == JPEG
        assert history.counts().dropped_pictures == 0
        history.retain(NOW + 40 * DAY)
        assert stored(s3_server, bucket) == sorted([snapshot, clip])
    assert "pictures wait: history s3://" in caplog.text


@pytest.mark.parametrize(
    "kind", ["cut", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("500", "reset", "slow"))]
)
def test_a_store_that_fails_now_and_then_gets_everything_in_the_end(
    tmp_path: Path, address: str, bucket: str, s3: FaultyProxy, s3_server: S3Server, kind: str
) -> None:
    s3.counted = ("PUT",)
    with History(tmp_path, pictures=address) as history:
        s3.follow(lambda place: kind if place % 3 == 0 and place < 30 else None)
        for number in range(20):
            history.put(result(str(number)), NOW + number, JPEG + bytes([number]))
        clip = with_clip(history, NOW)
        sent(history)
        assert s3.met[kind] > 0
        for found in history.search(limit=100):
            assert found.picture is not None
            assert history.picture(found.picture) == JPEG + bytes([int(found.caption or "")])
        assert history.clip(clip).read(0, 5) == b"video"


def test_pictures_that_are_dropped_are_counted_and_their_rows_say_so(
    tmp_path: Path, address: str, s3: FaultyProxy, bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.history.remote.QUEUE", 50)
    with History(tmp_path, pictures=address) as history:
        s3.stop()
        for number in range(150):
            history.put(result(str(number)), NOW + number, JPEG)
        history.flush(10)
        dropped = history.counts().dropped_pictures
        assert dropped >= 100
        history.put(result("one more"), NOW + 2000)
        history.flush(10)
        without = [found for found in history.search(limit=2000) if found.picture is None]
        assert len(without) == dropped + 1
        s3.start()
        sent(history)
        assert history.counts().pictures == len(stored(s3_server, bucket)) == 150 - history.counts().dropped_pictures
    assert history.dropped == 0, "the results are all there"


KILLED = """
import os, sys
from pathlib import Path
from streamer.history import History
from tests.history.made import JPEG, NOW, alert, result
from tests.history.test_store_faults import with_clip

history = History(Path(sys.argv[1]), pictures=sys.argv[2], check=False)
history.put(result("lost with the program"), NOW, JPEG)
snapshot, clip = history.put_picture("gate", NOW, JPEG), with_clip(history, NOW)
history.put_alert(alert(1, snapshot=snapshot, clip=clip))
history.flush(10)
sys.stdout.write(f"{snapshot} {clip}")
sys.stdout.flush()
os._exit(0)
"""


def test_snapshots_and_clips_survive_a_killed_program_and_are_sent_by_the_next(
    tmp_path: Path, address: str, bucket: str, s3: FaultyProxy, s3_server: S3Server
) -> None:
    s3.stop()
    command = [sys.executable, "-W", "error", "-c", KILLED, str(tmp_path), address]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert killed.returncode == 0, killed.stderr
    snapshot, clip = killed.stdout.split()
    assert {path.name for path in (tmp_path / "waiting").iterdir()} == {snapshot, clip}
    s3.start()
    with History(tmp_path, pictures=address) as history:
        assert len(history.search()) == 1
        assert stored(s3_server, bucket) == [], "who only looks sends nothing"
        history.put(result("next"), NOW + 1, JPEG)
        sent(history)
        assert set(stored(s3_server, bucket)) > {snapshot, clip}
        assert history.picture(snapshot) == JPEG
        assert history.clip(clip).size == 500
        history._retention.sweep()
        gone = {found.caption: found.picture is None for found in history.search()}
        assert gone == {"lost with the program": True, "next": False}
        assert set(stored(s3_server, bucket)) > {snapshot, clip}


def test_files_without_a_row_are_found_by_the_sweep(
    tmp_path: Path, address: str, bucket: str, s3_server: S3Server
) -> None:
    with History(tmp_path, pictures=address) as history:
        orphan = history._shelf.new_name("pictures", "gate", NOW - 9 * DAY)
        history._shelf.save(orphan, JPEG)
        kept = history.put_picture("gate", NOW - 9 * DAY, JPEG)
        sent(history)
        history._retention.sweep()
        assert stored(s3_server, bucket) == [kept]


def test_a_store_that_does_not_know_us_is_an_error_at_the_start_without_secrets(
    tmp_path: Path, address: str, s3_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    s3_server.know_nobody(refuse=True)
    try:
        with pytest.raises(HistoryError, match=r"Access Key Id .* \(are its keys right") as refused:
            History(tmp_path, pictures=address)
    finally:
        s3_server.know_nobody(refuse=False)
    for secret in (KEY, SECRET):
        assert secret not in f"{refused.value} {refused.value.__cause__} {caplog.text}"


def test_no_bucket_and_no_server_are_errors_at_the_start(tmp_path: Path, s3: FaultyProxy) -> None:
    with pytest.raises(HistoryError, match="does the bucket or folder exist"):
        History(tmp_path, pictures="s3://there-is-no-such-bucket/x")
    s3.stop()
    start = time.monotonic()
    with pytest.raises(HistoryError, match="is the store running and reachable"):
        History(tmp_path, pictures="s3://there-is-no-such-bucket/x")
    assert time.monotonic() - start < 10
    with History(tmp_path, pictures="s3://there-is-no-such-bucket/x", check=False) as history:
        assert history.search() == [], "words are found without the store"


def test_a_store_that_hangs_does_not_hang_us(
    tmp_path: Path, address: str, s3: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.history.filesystem.CALL_SECONDS", 1)
    monkeypatch.setattr("streamer.history.filesystem.SEND_SECONDS", 1)
    with History(tmp_path, pictures=address) as history:
        kept = history.put_picture("gate", NOW, JPEG)
        sent(history)
        s3.follow(lambda place: "hang")
        start = time.monotonic()
        with pytest.raises(HistoryError, match="cannot be read"):
            history.picture(kept)
        assert time.monotonic() - start < 4
        history.put(result("a"), NOW, JPEG)
        history.flush(10)
        wait_for(lambda: history.fault)
        start = time.monotonic()
    assert time.monotonic() - start < 10
    assert "pictures" not in [thread.name for thread in threading.enumerate()]


class Recording:
    """Stands for a camera's packets: what it writes is a few bytes."""

    def wait(self, seconds: float) -> bool:
        return True

    def write(self, path: Path) -> object:
        path.write_bytes(b"video" * 100)
        return type("Clip", (), {"path": path, "started_at": NOW - 1})()


def test_the_clip_writer_sends_its_clips(tmp_path: Path, address: str, bucket: str, s3_server: S3Server) -> None:
    told: list[tuple[str | None, str | None]] = []
    ring = type("Ring", (), {"record": lambda *args, **options: Recording()})()
    with History(tmp_path, pictures=address) as history:
        clips = ClipWriter(history, lambda id, name, fault: told.append((name, fault)), ClipOptions())
        assert clips.begin("1", "gate", ring, NOW, None) is None
        wait_for(lambda: told)
        clips.close()
        [(name, fault)] = told
        assert (fault, name is not None) == (None, True)
        sent(history)
        assert stored(s3_server, bucket) == [name]
        assert history.clip(str(name)).started_at == NOW - 1


def test_errors_of_this_tree_only(tmp_path: Path, address: str, s3: FaultyProxy) -> None:
    with History(tmp_path, pictures=address) as history:
        name = history.put_picture("gate", NOW, JPEG)
        sent(history)
        for kind in ("500", "404", "cut", "reset", "nonsense"):
            s3.follow(lambda place, kind=kind: kind)  # type: ignore[misc]
            try:
                found = history.picture(name)
            except StreamerError:
                continue
            assert kind == "nonsense"  # a page in the place of a picture is the store's word
            assert found.startswith(b"<html>")


def test_the_environment_is_what_fsspec_reads(tmp_path: Path, bucket: str, s3_server: S3Server) -> None:
    """``FSSPEC_S3_ENDPOINT_URL`` and the rest, in a program of its own."""
    program = (
        "import sys; from pathlib import Path; from streamer.history import History; "
        "history = History(Path(sys.argv[1]), pictures=sys.argv[2]); history.close()"
    )
    given = dict(environment("http://127.0.0.1:9"))
    del given["AWS_ENDPOINT_URL"], given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"]
    given |= {"FSSPEC_S3_ENDPOINT_URL": s3_server.url, "FSSPEC_S3_KEY": KEY, "FSSPEC_S3_SECRET": SECRET}
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path), f"s3://{bucket}"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={"PATH": "", "PYTHONPATH": str(Path.cwd()), **given}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
