"""Retention: what is too old or too much goes, oldest first, and leaves nothing behind."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

from streamer.errors import OptionError
from streamer.history import History, HistoryOptions
from tests.history.conftest import Open
from tests.history.made import JPEG, NOW, alert, result, wait_for

DAY = 86400.0


def files(folder: Path) -> list[str]:
    return sorted(path.name for kind in ("pictures", "clips") for path in (folder / "history" / kind).rglob("*.*"))


def kept(history: History) -> list[str | None]:
    return [found.caption for found in history.search(limit=10_000)][::-1]


def test_what_is_old_goes_with_its_picture(history: History, tmp_path: Path) -> None:
    for hour in range(10):
        history.put(result(f"hour {hour}", "car"), NOW + 3600 * hour, JPEG)
    history.put(result("stands", stream="yard"), NOW + 3600 * 6 - 600)
    history.put(result("stands", stream="yard", reused=True), NOW + 3600 * 6 + 600)
    history.flush(10)
    history.retain(NOW + 30 * DAY + 3600 * 6 + 1)
    assert kept(history) == ["stands", "hour 7", "hour 8", "hour 9"]
    assert files(tmp_path) == sorted(found.picture for found in history.search() if found.picture)
    assert history.search('"hour 1"') == []
    assert len(history.search(labels=["car"])) == 3
    history.retain(NOW + 99 * DAY)
    assert (kept(history), files(tmp_path)) == ([], [])


def test_empty_folders_go_once_nobody_may_be_writing_there(opened: Open, tmp_path: Path) -> None:
    history = opened()
    history.put(result("days ago"), NOW - 9 * DAY, JPEG)
    history.put(result("today"), NOW, JPEG)
    history.flush(10)
    history.close()
    _, path = opened().new_clip_path("gate", NOW)
    opened().retain(NOW + 50 * DAY)
    assert files(tmp_path) == []
    assert len(list((tmp_path / "history" / "pictures").iterdir())) == 1
    path.write_bytes(b"video")


def test_many_old_ones_go_in_small_steps(history: History) -> None:
    for _ in range(700):
        history.put(result("old"), NOW)
    history.put(result("new"), NOW + 40 * DAY)
    history.flush(10)
    history.retain(NOW + 40 * DAY)
    assert kept(history) == ["new"]


def with_files(history: History, number: int, at: float) -> tuple[str, str]:
    snapshot = history.put_picture("gate", at, JPEG)
    clip, path = history.new_clip_path("gate", at)
    path.write_bytes(b"video" * 100)
    one = alert(number, started_at=at, updated_at=at, ended_at=at, phase="end", snapshot=snapshot, clip=clip)
    history.put_alert(one, ["mail"])
    return snapshot, clip


def test_alerts_and_what_they_show_are_kept_longer(history: History, tmp_path: Path) -> None:
    history.put(result("shown"), NOW, JPEG)
    history.flush(10)
    shown = history.search()[0].picture
    history.put_alert(alert(1, snapshot=shown))
    snapshot, clip = with_files(history, 2, NOW)
    loose = history.put_picture("gate", NOW, JPEG)
    history.retain(NOW + 31 * DAY)
    assert kept(history) == []
    assert files(tmp_path) == sorted([str(shown), snapshot, clip])
    assert len(history.alerts()) == 2
    assert history.counts().clip_bytes == 500
    with pytest.raises(OptionError):
        history.picture(loose)
    history.retain(NOW + 366 * DAY)
    assert (history.alerts(), files(tmp_path)) == ([], [])
    counts = history.counts()
    assert (counts.pictures, counts.clips, counts.pending_notices) == (0, 0, 0)
    with pytest.raises(OptionError):
        history.alert_revisions(alert(1).id)


def test_delivered_notices_go_before_their_alert(history: History) -> None:
    history.put_alert(alert(1), ["mail", "mqtt"])
    history.notice_delivered(history.due_notices("mail", NOW, 1)[0].id)
    history.retain(NOW + 31 * DAY)
    assert history.counts().pending_notices == 1
    assert len(history.due_notices("mqtt", NOW, 9)) == 1


def test_what_is_too_much_goes_oldest_first(opened: Open, tmp_path: Path) -> None:
    history = opened(keep_bytes=3_000_000)
    snapshot, clip = with_files(history, 1, NOW - 50)
    for number in range(1000):
        history.put(result(str(number)), NOW + number / 100, b"x" * 10_000)
        if number % 200 == 199:
            history.flush(10)
    history.retain(NOW + DAY)
    counts = history.counts()
    assert counts.picture_bytes + counts.clip_bytes <= 3_000_000
    assert counts.results > 50
    assert kept(history) == [str(number) for number in range(1000 - counts.results, 1000)]
    assert len(history.alerts()) == 1
    assert set(files(tmp_path)) >= {snapshot, clip}


def test_alerts_go_where_there_is_nothing_else(opened: Open, tmp_path: Path) -> None:
    history = opened(keep_bytes=10**9)
    for number in range(30):
        with_files(history, number, NOW + number)
    history.put(result("a"), NOW + 99, JPEG)
    history.flush(10)
    history.limit(keep_days=30, keep_alert_days=365, keep_bytes=0 if history._database.is_sqlite else 1000)
    history.retain(NOW + DAY)
    assert kept(history) == []
    assert len(history.alerts()) < 10
    assert len(files(tmp_path)) == 2 * len(history.alerts())


def test_the_disk_gets_back_what_sqlite_does_not_need(tmp_path: Path) -> None:
    with History(tmp_path) as history:
        for number in range(2000):
            history.put(result(f"{number} " + "word " * 100), NOW)
            if number % 500 == 499:
                history.flush(10)
        full = history.counts().database_bytes
        for _ in range(3):
            history.retain(NOW + 31 * DAY)
        assert history.counts().database_bytes < full / 2
    size = (tmp_path / "history.sqlite").stat().st_size
    assert size < full / 2
    connection = sqlite3.connect(tmp_path / "history.sqlite")
    connection.execute("INSERT INTO result_words(result_words) VALUES ('integrity-check')")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_crashes_leave_nothing_behind(opened: Open, tmp_path: Path) -> None:
    history = opened()
    history.put(result("a"), NOW, JPEG)
    history.put(result("b"), NOW + 1, JPEG)
    history.flush(10)
    clip, _ = history.new_clip_path("gate", NOW)
    history.close()
    first, second = sorted((tmp_path / "history" / "pictures").rglob("*.jpg"))
    first.unlink()
    orphan = second.with_name(second.name.replace(second.name[-12:-4], "00000000"))
    part, young, foreign = (orphan.with_name(name) for name in (f".{orphan.name}.part", "x", "notes.txt"))
    young = orphan.with_name(orphan.name.replace("00000000", "11111111"))
    for path in (orphan, part, young, foreign):
        path.write_bytes(JPEG)
    for path in (orphan, part, foreign):
        os.utime(path, (NOW, NOW))
    history = opened()
    history.retain()
    assert {path.name for path in second.parent.iterdir()} == {second.name, young.name, "notes.txt"}
    assert [(found.caption, found.picture) for found in history.search()] == [("b", second.name), ("a", None)]
    assert (history.counts().pictures, history.counts().clips) == (1, 0), clip


def test_pictures_that_people_have_removed_disturb_nobody(history: History, tmp_path: Path) -> None:
    history.put(result("a"), NOW, JPEG)
    history.flush(10)
    (found,) = history.search()
    assert found.picture is not None
    next((tmp_path / "history" / "pictures").rglob("*.jpg")).unlink()
    with pytest.raises(OptionError, match="still kept"):
        history.picture(found.picture)
    history.retain(NOW + 31 * DAY)
    assert (kept(history), history.counts().pictures) == ([], 0)


def test_it_is_done_by_itself(opened: Open) -> None:
    history = opened(keep_days=1)
    history.put(result("old"), NOW - 2 * DAY)
    history.put(result("new"), NOW)
    history.flush(10)
    wait_for(lambda: kept(history) == ["new"])
    assert history.fault is None


def test_two_programs_on_one_server_leave_each_others_files_alone(tmp_path: Path, url: str | None) -> None:
    if url is None:
        return  # on SQLite they have one folder
    with History(tmp_path / "a", url) as one, History(tmp_path / "b", url, options=HistoryOptions(keep_bytes=0)) as two:
        one.put(result("one"), NOW, JPEG)
        two.put(result("two"), NOW, JPEG)
        one.flush(10)
        two.flush(10)
        two.retain(time.time())
        assert kept(one) == ["one"]
        assert one.picture(str(one.search()[0].picture)) == JPEG
