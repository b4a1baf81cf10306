"""Faults: the hot path does not feel them, alerts say so, and what waited is written afterwards."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamer.errors import HistoryError
from streamer.history import History, HistoryOptions
from tests.history.made import JPEG, NOW, alert, result, wait_for
from tests.history.postgres import Cluster


def put_many(history: History, count: int) -> None:
    """None of them may take long."""
    for number in range(count):
        start = time.monotonic()
        history.put(result(str(number)), NOW + number, JPEG)
        assert time.monotonic() - start < 0.5


def check_written_afterwards(history: History, count: int) -> None:
    """The newest are there, and the others were counted."""
    history.flush(20)
    assert history.fault is None
    numbers = [int(found.caption or "") for found in history.search(limit=1000)]
    assert len(numbers) + history.dropped == count
    assert numbers[:10] == list(range(count - 1, count - 11, -1))
    assert history.counts().waiting == 0


def test_a_database_that_another_program_holds(tmp_path: Path) -> None:
    options = HistoryOptions(queue=20, batch=5, busy_seconds=0.1)
    with History(tmp_path, options=options) as history:
        rival = sqlite3.connect(tmp_path / "history.sqlite", isolation_level=None)
        rival.execute("BEGIN IMMEDIATE")
        put_many(history, 100)
        wait_for(lambda: history.fault)
        assert "locked" in str(history.fault)
        assert 75 <= history.dropped <= 80
        with pytest.raises(HistoryError, match=r"locked \(another program"):
            history.put_alert(alert())
        with pytest.raises(HistoryError, match=r"still wait after 0\.1 s: history .*locked"):
            history.flush(0.1)
        assert history.alerts() == [], "reading goes on"
        rival.execute("ROLLBACK")
        rival.close()
        check_written_afterwards(history, 100)
        history.put_alert(alert())


def test_the_end_does_not_wait_for_a_database_that_is_held(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    history = History(tmp_path, options=HistoryOptions(busy_seconds=0.1))
    rival = sqlite3.connect(tmp_path / "history.sqlite", isolation_level=None)
    rival.execute("BEGIN IMMEDIATE")
    put_many(history, 10)
    start = time.monotonic()
    history.close()
    assert time.monotonic() - start < 5
    rival.close()
    assert history.dropped == 10
    assert "10 results could not be written" in caplog.text


def test_a_server_that_goes_away_and_returns(tmp_path: Path, cluster: Cluster) -> None:
    cluster.empty()
    with History(tmp_path, cluster.url, options=HistoryOptions(queue=20, batch=5)) as history:
        put_many(history, 10)
        history.flush(10)
        cluster.stop("immediate")
        try:
            put_many(history, 100)
            wait_for(lambda: history.fault)
            with pytest.raises(HistoryError, match="is PostgreSQL running"):
                history.put_alert(alert())
            with pytest.raises(HistoryError):
                history.search("1")
        finally:
            cluster.start()
        history.flush(20)
        assert history.fault is None
        assert len(history.search(limit=1000)) + history.dropped == 110
        history.put_alert(alert())
        assert history.alerts() == [alert()]


FULL = """
import resource, sys
from pathlib import Path
from streamer.errors import HistoryError
from streamer.history import History, HistoryOptions
from tests.history.made import JPEG, NOW, alert, result, wait_for
from tests.history.test_faults import check_written_afterwards, put_many

with History(Path(sys.argv[1]), options=HistoryOptions(queue=20, batch=5)) as history:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # no file may grow beyond
    put_many(history, 100)
    wait_for(lambda: history.fault)
    try:
        history.put_alert(alert())
    except HistoryError as error:
        assert "is there room" in str(error), error
    else:
        raise AssertionError("an alert was said to be kept")
    try:
        history.put_picture("gate", NOW, JPEG * 1000)
    except HistoryError as error:
        assert "cannot be written" in str(error), error
    else:
        raise AssertionError("a picture was said to be kept")
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    check_written_afterwards(history, 100)
    history.put_alert(alert())
with History(Path(sys.argv[1])) as history:
    assert history.alerts() == [alert()]
    assert len(list(Path(sys.argv[1]).rglob("*.part"))) == 0
"""


def test_a_full_disk(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_pictures_that_cannot_be_written_take_no_result_with_them(history: History, tmp_path: Path) -> None:
    pictures = tmp_path / "history" / "pictures"
    pictures.rmdir()
    pictures.write_text("in the way")
    history.put(result("without"), NOW, JPEG)
    history.flush(10)
    assert "cannot be written" in str(history.fault)
    pictures.unlink()
    history.put(result("with"), NOW + 1, JPEG)
    history.flush(10)
    assert history.fault is None
    assert [(found.caption, found.picture is None) for found in history.search()] == [
        ("with", False),
        ("without", True),
    ]


def test_pictures_that_wait_are_bounded_by_their_size(tmp_path: Path) -> None:
    options = HistoryOptions(queue_bytes=10_000, busy_seconds=1)
    with History(tmp_path, options=options) as history:
        rival = sqlite3.connect(tmp_path / "history.sqlite", isolation_level=None)
        rival.execute("BEGIN IMMEDIATE")
        for number in range(50):
            history.put(result(str(number)), NOW + number, b"x" * 4000)
        assert history.counts().waiting <= 200
        assert history.dropped >= 30
        rival.close()
        history.flush(10)
        assert history.search()[0].caption == "49"
