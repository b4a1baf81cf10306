"""Alerts and notices: durable when the call returns, also for a program that is killed then."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.errors import OptionError
from streamer.geometry import Box
from streamer.history import History
from streamer.notify.base import Notice, NoticeStore
from streamer.results import Detection
from tests.history.conftest import Open
from tests.history.made import NOW, alert


def test_an_alert_comes_back_as_it_was(history: History) -> None:
    one = alert(
        title='Ein "Fall" \0 \udcff 红', reason="3 persons", media_seconds=1.5, snapshot="a.jpg", clip="b.mp4",
        detections=(Detection("person", Box(0.123456789, 0.2, 0.3, 0.4), 7, {"helmet": False}),),
        faults={"clip": "no room"},
    )  # fmt: skip
    assert history.put_alert(one) == one
    assert history.alert(one.id) == one
    assert history.alerts() == history.open_alerts() == history.alert_revisions(one.id) == [one]


def test_the_life_of_an_alert(history: History) -> None:
    new = alert()
    told = replace(new, phase="update", revision=2, description="a tall person", updated_at=NOW + 1)
    end = replace(told, phase="end", revision=3, ended_at=NOW + 9, updated_at=NOW + 9)
    history.put_alert(new)
    assert history.open_alerts() == [new]
    history.put_alert(told)
    history.put_alert(end)
    assert history.alerts() == [end]
    assert history.open_alerts() == history.alerts(open_only=True) == []
    assert history.alert_revisions(new.id) == [new, told, end]


def test_an_older_revision_changes_nothing(history: History) -> None:
    newer = alert(revision=2, phase="update")
    history.put_alert(newer, ["mail"])
    assert history.put_alert(alert(), ["mail"]) == newer
    assert history.put_alert(replace(newer, title="again"), ["mail"]) == newer
    assert history.alert(newer.id) == newer
    assert len(history.due_notices("mail", NOW, 10)) == 1


def test_acknowledging(history: History) -> None:
    history.put_alert(alert(1))
    history.put_alert(alert(2))
    seen = history.acknowledge(alert(1).id, "Ann", NOW + 5, ["mail"])
    assert (seen.revision, seen.acknowledged_by, seen.acknowledged_at) == (2, "Ann", NOW + 5)
    assert history.acknowledge(seen.id, "Bob", NOW + 6, ["mail"]) == seen
    assert history.alert(seen.id) == seen
    assert history.alerts(unacknowledged=True) == [alert(2)]
    assert [notice.revision for notice in history.due_notices("mail", NOW, 10)] == [2]
    for id in ("f" * 32, "", "\0" * 5000):
        with pytest.raises(OptionError, match="alert"):
            history.acknowledge(id, "Ann", NOW)
        with pytest.raises(OptionError, match="alert"):
            history.alert(id)
        with pytest.raises(OptionError, match="alert"):
            history.alert_revisions(id)


def test_a_job_that_does_not_know_of_it_does_not_undo_an_acknowledgement(history: History) -> None:
    history.put_alert(alert())
    history.acknowledge(alert().id, "Ann", NOW + 5)
    told = history.put_alert(alert(phase="update", revision=2, description="more"), ["mail"])
    assert (told.revision, told.acknowledged_by, told.description) == (3, "Ann", "more")
    end = history.put_alert(alert(phase="end", revision=3, ended_at=NOW + 9), ["mail"])
    assert (end.revision, end.acknowledged_by, end.phase) == (4, "Ann", "end")
    assert history.alert(end.id) == end
    assert [notice.revision for notice in history.due_notices("mail", NOW, 10)] == [3, 4]
    assert [one.revision for one in history.alert_revisions(end.id)] == [1, 2, 3, 4]


def test_alerts_are_listed_newest_first_by_pages(history: History) -> None:
    made = [
        alert(number, started_at=NOW + number // 2, stream="ab"[number % 2], rule="xy"[number // 5])
        for number in range(10)
    ]
    for one in made:
        history.put_alert(one)
    listed, before = [], None
    while page := history.alerts(limit=3, before=before):
        listed += page
        before = page[-1].started_at, page[-1].id
    assert listed == made[::-1]
    assert history.alerts(stream="a") == made[::-1][1::2]
    assert history.alerts(rule="y") == made[:4:-1]
    assert history.alerts(streams=["a"]) == history.alerts(stream="a")
    assert history.alerts(streams=[]) == history.alerts(stream="b", streams=["a"]) == []
    assert history.alerts(until=NOW + 1) == made[3::-1]


def test_alerts_that_went_on_in_a_range(history: History) -> None:
    ended = alert(1, phase="end", ended_at=NOW + 10)
    goes_on = alert(2)
    history.put_alert(ended)
    history.put_alert(goes_on)
    assert history.alerts(since=NOW + 10) == [goes_on, ended]
    assert history.alerts(since=NOW + 11) == [goes_on]


# -- notices


def store(history: History) -> NoticeStore:
    return history


def test_each_channel_has_to_hear_of_each_change(history: History) -> None:
    notices = store(history)
    assert notices.next_notice_due("mail") is None
    history.put_alert(alert(), ["mail", "mqtt", "mail"])
    history.put_alert(alert(revision=2, phase="end", ended_at=NOW), ["mail"])
    first, second = notices.due_notices("mail", NOW, 10)
    assert first == Notice(first.id, "mail", alert().id, 1, alert().document())
    assert (second.revision, second.document["type"]) == (2, "end")
    assert notices.due_notices("mail", NOW, 1) == [first]
    assert len(notices.due_notices("mqtt", NOW, 10)) == 1
    assert notices.next_notice_due("mail") == 0
    notices.notice_delivered(first.id)
    assert notices.due_notices("mail", NOW, 10) == [second]


def test_a_notice_that_fails_waits_dies_and_is_replayed(history: History) -> None:
    notices = store(history)
    history.put_alert(alert(), ["mail", "mqtt"])
    (one,) = notices.due_notices("mail", NOW, 10)
    notices.notice_postponed(one.id, NOW + 30, "no answer")
    assert notices.due_notices("mail", NOW + 29, 10) == []
    assert notices.next_notice_due("mail") == NOW + 30
    assert notices.due_notices("mail", NOW + 30, 10) == [replace(one, attempts=1, due_at=NOW + 30, error="no answer")]
    notices.notice_dead(one.id, "refused")
    assert notices.next_notice_due("mail") is None
    (dead,) = notices.dead_notices()
    assert (dead.state, dead.attempts, dead.error) == ("dead", 2, "refused")
    assert notices.dead_notices("mqtt") == []
    assert (history.counts().pending_notices, history.counts().dead_notices) == (1, 1)
    assert notices.replay_notices([one.id, one.id + 1, 999]) == 1
    assert notices.due_notices("mail", NOW, 10) == [one]


# -- crashes and rivals


KILLED = """
import sys
from pathlib import Path
from streamer.history import History
from tests.history.made import NOW, alert, result
history = History(Path(sys.argv[1]), sys.argv[2] or None)
for number in range(int(sys.argv[3]), 10**6):
    history.put(result("busy"), NOW + number, b"jpeg" * 1000)
    history.put_alert(alert(number), ["mail"])
    print(number, flush=True)
"""


def test_a_killed_program_has_lost_no_alert_that_it_was_told_is_kept(
    tmp_path: Path, url: str | None, opened: Open
) -> None:
    opened().close()
    kept = 0
    for _ in range(10 if url is None else 3):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "history"), url or "", str(kept)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            for _ in range(3):
                told = int(program.stdout.readline())
            program.send_signal(signal.SIGKILL)
            rest = program.stdout.read().split()
            program.wait(10)
        kept = int(rest[-1] if rest else told) + 1
        with opened() as history:
            numbers = {int(one.id, 16) for one in history.open_alerts()}
            assert numbers >= set(range(kept))
            assert {int(one.alert, 16) for one in history.due_notices("mail", NOW, 10**6)} == numbers
            kept = max(numbers) + 1


def test_several_programs_put_alerts_at_once(opened: Open) -> None:
    histories = [opened(busy_seconds=20) for _ in range(3)]

    def put(place: int) -> None:
        for number in range(15):
            histories[place].put_alert(alert(100 * place + number), ["mail"])
            histories[place].put_alert(alert(7, revision=number + 1), ["mail"])

    threads = [threading.Thread(target=put, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = histories[0].open_alerts()
    assert {int(one.id, 16) for one in found} == {100 * place + number for place in range(3) for number in range(15)}
    assert histories[1].alert(alert(7).id).revision == 15
