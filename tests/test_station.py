"""A whole live job: rules, alerts with pictures and clips, the history, channels, and changes that last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamer.alerting import _Seen
from streamer.alerts import Alert
from streamer.configuration import Configuration, StreamEntry, read_configuration
from streamer.errors import OptionError, SourceError
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.results import FrameResult
from streamer.rules import Condition, Rule, WatchState
from streamer.settings import StreamSettings
from streamer.sources.synthetic import read_counter
from streamer.station import Station
from streamer.tasks import Task
from tests.media import even, make_clip
from tests.notify.brokers import Mosquitto, Watcher
from tests.server.rig import eventually

FAST = StreamSettings(tasks=(), fps=10, gate=0, budget=70)
LADDER = Rule("ladder", "Is someone on the ladder?", confirm=2, release=2, cooldown_seconds=0)


class Scene:
    """What the scripted model sees, changed by the test."""

    def __init__(self) -> None:
        self.ladder = False
        self.boxes: list[str] = []

    def __call__(self, request: Request) -> str:
        if "ladder" in request.prompt:
            return json.dumps({"answer": "yes" if self.ladder else "no", "reason": "a man stands on it"})
        if "output only" in request.prompt:
            return json.dumps([{"box_2d": [100, 100, 500, 500], "label": label} for label in self.boxes])
        return f"picture {read_counter(request.images[0])}"


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", even(200, fps=20), gop=20, b_frames=0)


@pytest.fixture
def run(scene: Scene, clip: Path, tmp_path: Path) -> Iterator[Callable[..., Station]]:
    """``run(rules…, **configuration)`` -> a station that watches the clip as a camera, with its data in ``data``."""
    stations: list[Station] = []

    def start(*rules: Rule, entry: StreamEntry | None = None, **more: object) -> Station:
        gate = entry or StreamEntry("gate", str(clip), FAST, loop=True)
        values = {"streams": (gate,), "rules": rules, "data": tmp_path / "data", "clip_after_seconds": 1.0}
        station = Station(ScriptedModel(scene, structured=True), Configuration(**{**values, **more}))  # type: ignore[arg-type]
        stations.append(station)
        return station

    yield start
    for station in stations:
        station.close()
        station.monitor.model.close()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + 5
    while (left := set(threading.enumerate()) - before) and time.monotonic() < end:
        time.sleep(0.02)
    assert left == set()


def told(station: Station) -> list[Alert]:
    heard: list[Alert] = []
    station.alerting.book.subscribe(heard.append)
    return heard


def test_an_alert_begins_is_described_ends_and_has_its_clip(run: Callable[..., Station], scene: Scene) -> None:
    station = run(LADDER)
    heard = told(station)
    eventually(lambda: station.monitor.status("gate").counts["analysed"] >= 12)
    assert heard == []
    scene.ladder = True
    eventually(lambda: any(alert.description for alert in heard))
    scene.ladder = False
    eventually(lambda: any(alert.ended_at and alert.clip for alert in heard), 15)
    assert {alert.id for alert in heard} == {heard[0].id}
    assert [alert.revision for alert in heard] == list(range(1, len(heard) + 1))
    assert (heard[0].phase, heard[0].description, heard[0].reason) == ("new", None, "a man stands on it")
    assert heard[-1].phase == "end"
    last = heard[-1]
    assert last.faults == {}
    assert last.snapshot is not None
    picture = cv2.imdecode(np.frombuffer(station.history.picture(last.snapshot), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[1] / picture.shape[0] == pytest.approx(160 / 96, rel=0.05)
    assert last.clip is not None
    with av.open(str(station.history.clip_path(last.clip))) as container:
        numbers = [read_counter(np.asarray(f.to_ndarray(format="rgb24"), np.uint8)) for f in container.decode(video=0)]
    assert len(numbers) >= 20, "a second after it at least"
    begun = round((last.media_seconds or 0) * 20)
    assert numbers[0] <= begun % 200 or numbers[0] > numbers[-1]
    before = last.started_at - station.history.clip_path(last.clip).stat().st_mtime  # of its first picture
    assert abs((begun - round(before * 20) - numbers[0] + 100) % 200 - 100) <= 10, "in step within half a second"
    assert station.history.alert(last.id) == last


def test_a_condition_has_its_labels_detected_and_its_boxes_in_the_alert(
    run: Callable[..., Station], scene: Scene
) -> None:
    dog = Rule("dog", when=Condition(labels=("dog",)), confirm=2)
    entry_settings = replace(FAST, tasks=(Task.caption(), Task.detect("cat")))
    station = run(dog)
    station.change("gate", lambda _: entry_settings)
    heard = told(station)
    scene.boxes = ["cat", "dog"]
    eventually(lambda: bool(heard))
    assert [found.label for found in heard[0].detections] == ["dog"]
    assert (heard[0].description or "").startswith("picture ")
    assert station.monitor.status("gate").settings == entry_settings, "what people see is what they have set"


def test_results_are_kept_and_found_with_their_pictures(run: Callable[..., Station]) -> None:
    station = run()
    station.change("gate", lambda settings: replace(settings, tasks=(Task.caption(),)))
    eventually(lambda: len(station.history.search("picture", limit=5)) == 5)
    found = station.history.search("picture", streams=("gate",), limit=1)[0]
    assert found.picture is not None
    assert abs(found.at - time.time()) < 10
    assert station.history.picture(found.picture)[:2] == b"\xff\xd8"


def test_what_people_change_outlasts_a_restart(run: Callable[..., Station], clip: Path) -> None:
    station = run(LADDER, allow=(str(clip.parent),))
    station.change("gate", lambda settings: replace(settings, fps=3.0))
    station.add(StreamEntry("yard", str(clip), FAST))
    station.set_rule(replace(LADDER, confirm=7))
    station.set_rule(Rule("dog", when=Condition(labels=("dog",))))
    station.close()
    again = run(LADDER, allow=(str(clip.parent),))
    assert {entry.name: entry.settings.fps for entry in again.entries()} == {"gate": 3.0, "yard": 10}
    assert {rule.name: rule.confirm for rule in again.rules} == {"ladder": 7, "dog": 2}
    again.remove("gate")
    again.remove_rule("ladder")
    again.close()
    assert [entry.name for entry in run(LADDER).entries()] == ["yard"]


def test_only_allowed_sources_may_be_added_and_a_refused_one_leaves_nothing(
    run: Callable[..., Station], clip: Path
) -> None:
    station = run()
    with pytest.raises(SourceError, match="may not be added"):
        station.add(StreamEntry("yard", str(clip)))
    with pytest.raises(OptionError, match="no other stream"):
        station.add(StreamEntry("gate", str(clip)), trusted=True)
    assert [status.name for status in station.monitor.statuses()] == ["gate"]


def test_a_change_that_cannot_be_kept_is_not_made(run: Callable[..., Station], tmp_path: Path) -> None:
    station = run(LADDER)
    (tmp_path / "data" / "changes.json").mkdir()
    for change in (
        lambda: station.change("gate", lambda settings: replace(settings, fps=3.0)),
        lambda: station.set_rule(replace(LADDER, confirm=7)),
        lambda: station.remove("gate"),
        lambda: station.add(StreamEntry("yard", "synthetic:"), trusted=True),
    ):
        with pytest.raises(Exception, match=r"changes\.json"):
            change()
    assert station.monitor.status("gate").settings.fps == 10
    assert station.rules == (LADDER,)
    assert [status.name for status in station.monitor.statuses()] == ["gate"]


FILE = """
[[streams]]
name = "gate"
address = "synthetic:?live=1"
fps = {fps}
tasks = []
{more}
"""


def test_the_file_is_read_again_when_it_changes(tmp_path: Path, scene: Scene) -> None:
    path = tmp_path / "streams.toml"
    path.write_text(FILE.format(fps=5, more=""))
    yard = '[[streams]]\nname = "yard"\naddress = "synthetic:?live=1&fps=5"\n[[rules]]\nname = "a"\nquestion = "b?"'
    with ScriptedModel(scene) as model, Station(model, read_configuration(path)) as station:
        number = station.monitor.status("gate").number
        path.write_text(FILE.format(fps=7, more=yard))
        eventually(lambda: station.reloads == 1)
        assert station.monitor.status("gate").settings.fps == 7
        assert station.monitor.status("gate").number == number, "it went on"
        assert [status.name for status in station.monitor.statuses()] == ["gate", "yard"]
        assert [rule.name for rule in station.rules] == ["a"]
        path.write_text(FILE.format(fps=900, more=""))
        eventually(lambda: station.fault is not None)
        assert "fps: expected a number" in (station.fault or "")
        assert [status.name for status in station.monitor.statuses()] == ["gate", "yard"], "nothing was changed"
        path.write_text(FILE.format(fps=7, more="").replace("live=1", "live=1&fps=9"))
        eventually(lambda: station.fault is None)
        assert [status.name for status in station.monitor.statuses()] == ["gate"]
        assert station.monitor.status("gate").number != number, "another source"


def test_a_file_with_more_streams_than_there_can_be_changes_nothing(tmp_path: Path, scene: Scene) -> None:
    path = tmp_path / "streams.toml"
    path.write_text(FILE.format(fps=5, more=""))
    with ScriptedModel(scene) as model, Station(model, read_configuration(path)) as station:
        many = [f'[[streams]]\nname = "more {number}"\naddress = "synthetic:?live=1"\n' for number in range(64)]
        path.write_text(FILE.format(fps=7, more="\n".join(many)))
        with pytest.raises(OptionError, match="at most 64"):
            station.reload()
        assert [status.name for status in station.monitor.statuses()] == ["gate"]
        assert station.monitor.status("gate").settings.fps == 5


def test_no_question_of_a_rule_is_left_out_in_silence(run: Callable[..., Station], clip: Path, tmp_path: Path) -> None:
    """32 are asked of a stream; what would be one more is refused, wherever it comes from."""
    many = [Rule(f"rule {number}", f"Is it {number}?", streams=("gate",)) for number in range(32)]
    yard = Rule("yard alone", "Is it dark?", streams=("yard", "both"))
    station = run(*many, yard, allow=(str(clip.parent),))
    for refused in (Rule("one more", "Is it late?"), replace(yard, streams=("gate",))):
        with pytest.raises(OptionError, match=r"33 questions on gate.* at most 32 questions"):
            station.set_rule(refused)
    station.set_rule(Rule("one more", "Is it late?", enabled=False))
    station.set_rule(Rule("boxes", when=Condition(labels=("dog",))))
    everywhere = [replace(rule, streams=("gate", "both")) for rule in many]
    for rule in everywhere:
        station.set_rule(rule)
    with pytest.raises(OptionError, match="33 questions on both"):
        station.add(StreamEntry("both", str(clip), FAST))
    assert [entry.name for entry in station.entries()] == ["gate"]


def test_rules_that_change_end_their_alerts(run: Callable[..., Station], scene: Scene) -> None:
    station = run(LADDER)
    heard = told(station)
    scene.ladder = True
    eventually(lambda: bool(heard))
    station.remove_rule("ladder")
    eventually(lambda: heard[-1].phase == "end")
    assert station.monitor.status("gate").counts["failed"] == 0


def test_an_acknowledgement_is_kept_and_goes_on_with_the_alert(run: Callable[..., Station], scene: Scene) -> None:
    station = run(LADDER)
    heard = told(station)
    scene.ladder = True
    eventually(lambda: bool(heard))
    station.alerting.book.acknowledge(heard[0].id, "anna")
    scene.ladder = False
    eventually(lambda: heard[-1].phase == "end")
    assert heard[-1].acknowledged_by == "anna"
    assert [alert.revision for alert in heard] == sorted({alert.revision for alert in heard})
    with pytest.raises(OptionError):
        station.alerting.book.acknowledge("0" * 32, "anna")


def test_the_end_goes_to_those_who_heard_of_the_beginning(
    run: Callable[..., Station], scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when the rule is gone meanwhile, or was another run's."""
    channels = {name: {"type": "command", "argv": [sys.executable, "-c", ""]} for name in ("log", "siren")}
    rule = replace(LADDER, channels=("log",))
    station = run(channels=channels)
    station.set_rule(rule)
    heard = told(station)
    scene.ladder = True
    eventually(lambda: bool(heard))
    station.remove_rule("ladder")
    eventually(lambda: heard[-1].phase == "end")
    assert station.history.channels_of(heard[0].id) == ("log",)
    station.set_rule(rule)
    eventually(lambda: any(alert.id != heard[0].id for alert in heard))
    again = next(alert for alert in heard if alert.id != heard[0].id)
    station.alerting._end_all = lambda: None  # type: ignore[method-assign] # as if it was killed
    station.close()
    after = run(channels={"siren": channels["siren"]})
    assert after.history.alert(again.id).phase == "end"
    assert after.history.channels_of(again.id) == ("log",)
    assert "rule ladder tells log, and there is no such channel" in caplog.text


def test_a_cooldown_outlasts_a_restart(run: Callable[..., Station], scene: Scene) -> None:
    rule = replace(LADDER, cooldown_seconds=600)
    station = run(rule)
    heard = told(station)
    scene.ladder = True
    eventually(lambda: bool(heard))
    station.close()
    again = run(rule)
    heard = told(again)
    eventually(lambda: again.alerting.states().get(("ladder", "gate"), WatchState("idle")).kind == "cooling")
    counted = again.monitor.status("gate").counts["analysed"]
    eventually(lambda: again.monitor.status("gate").counts["analysed"] > counted + 5)
    assert heard == []


def test_results_that_come_seldom_are_no_silence(run: Callable[..., Station], scene: Scene) -> None:
    """Of a slow model, whatever rate is asked for."""
    station = run(LADDER, entry=StreamEntry("gate", "synthetic:?live=1", replace(FAST, paused=True)))
    heard = told(station)
    now = time.time()
    answers = {LADDER.task_name: {"answer": True, "reason": "a man", "text": "Yes, a man."}}
    for number in range(6):
        result = FrameResult("gate", number, 100.0 * number, (640, 360), answers=answers)
        station.alerting._see(_Seen(result, None, now + 1 + 100 * number))
    station.alerting._tick()
    assert [alert.phase for alert in heard] == ["new"]


def test_a_file_that_is_empty_for_a_moment_changes_nothing(tmp_path: Path, scene: Scene) -> None:
    path = tmp_path / "streams.toml"
    path.write_text(FILE.format(fps=5, more=""))
    with ScriptedModel(scene) as model, Station(model, read_configuration(path)) as station:
        station.change("gate", lambda settings: replace(settings, fps=3.0))
        path.write_text("")
        with pytest.raises(OptionError, match="it is empty"):
            station.reload()
        path.write_text(
            FILE.format(fps=4, more='[channels.x]\ntype = "webhook"\nurl = "http://a"\nsecret_env = "NO"\n')
        )
        with pytest.raises(OptionError, match="secret_env"):
            station.reload()
        path.write_text(FILE.format(fps=5, more=""))
        station.reload()
        assert station.monitor.status("gate").settings.fps == 3.0, "what was changed on the page is still there"


def test_a_command_is_told_of_the_alert(run: Callable[..., Station], scene: Scene, tmp_path: Path) -> None:
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).open('a').write(sys.stdin.read().strip() + '\\n')"
    log = tmp_path / "told.jsonl"
    channels = {"log": {"type": "command", "argv": [sys.executable, "-c", script, str(log)]}}
    run(LADDER, channels=channels)
    scene.ladder = True
    eventually(lambda: log.exists() and log.read_text().count("\n") >= 1)
    first = json.loads(log.read_text().splitlines()[0])
    assert first["alert"]["type"] == "new"
    assert first["alert"]["stream"] == "gate"


CRASH = """
import sys, time
from pathlib import Path
from streamer.configuration import Configuration, StreamEntry
from streamer.models.scripted import ScriptedModel
from streamer.rules import Rule
from streamer.settings import StreamSettings
from streamer.station import Station
entry = StreamEntry("gate", "synthetic:?live=1", StreamSettings(tasks=(), fps=10, gate=0, budget=70))
model = ScriptedModel(lambda request: '{"answer": "yes", "reason": "always"}', structured=True)
rule = Rule("ladder", "Is someone on the ladder?", confirm=1)
station = Station(model, Configuration(streams=(entry,), rules=(rule,), data=Path(sys.argv[1])))
station.alerting.book.subscribe(lambda alert: print(alert.id, alert.revision, flush=True))
time.sleep(60)
"""


def test_an_alert_that_was_told_survives_kill_9_and_ends_at_the_next_start(
    run: Callable[..., Station], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CRASH, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        id, revision = process.stdout.readline().split()
        process.kill()
    station = run(LADDER)
    alert = station.history.alert(id)
    assert alert.phase == "end"
    assert alert.revision > int(revision)
    assert "program ended" in alert.faults["end"]
    assert station.history.open_alerts() == []


def test_home_automation_sees_and_switches_the_analysis(
    run: Callable[..., Station], scene: Scene, tmp_path: Path
) -> None:
    with Mosquitto(tmp_path) as broker, Watcher(broker.port) as home:
        station = run(LADDER, channels={"home": {"type": "mqtt", "host": "127.0.0.1", "port": broker.port}})
        home.expect("streamer/gate/analysis/state", b"ON")
        home.say("streamer/gate/analysis/set", "OFF")
        eventually(lambda: station.monitor.status("gate").settings.paused)
        home.expect("streamer/gate/analysis/state", b"OFF")
        home.say("streamer/gate/analysis/set", "ON")
        scene.ladder = True
        home.expect("streamer/gate/ladder/state", b"ON")
        station.remove_rule("ladder")
        eventually(lambda: home.last("streamer/gate/ladder/state") in (b"OFF", b""))
        station.close()
        home.expect("streamer/available", b"offline")


def test_a_data_folder_has_one_job_at_a_time(run: Callable[..., Station], clip: Path) -> None:
    station = run(LADDER)
    with pytest.raises(OptionError, match=rf"process {os.getpid()} does"):
        run(LADDER)
    station.close()
    assert run(LADDER).rules == (LADDER,)


def test_nobody_else_may_look_into_a_new_data_folder(run: Callable[..., Station], tmp_path: Path) -> None:
    run()
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_a_database_that_is_removed_is_said(
    run: Callable[..., Station], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    station = run()
    assert station.history.fault is None
    (tmp_path / "data" / "history.sqlite").unlink()
    assert "was removed" in (station.history.fault or "")
    eventually(lambda: "was removed" in caplog.text)


def test_changes_outlast_a_changed_password_and_do_not_keep_it(tmp_path: Path, scene: Scene) -> None:
    path = tmp_path / "streams.toml"
    path.write_text('[[streams]]\nname = "gate"\naddress = "rtsp://me:${SECRET}@127.0.0.1:9/a"\n')
    for secret, fps in (("first1", 1.0), ("second2", 4.0)):
        configuration = read_configuration(path, {"SECRET": secret})
        with ScriptedModel(scene) as model, Station(model, configuration) as station:
            [entry] = station.entries()
            assert entry.address == f"rtsp://me:{secret}@127.0.0.1:9/a"
            assert entry.settings.fps == fps
            station.change("gate", lambda settings: replace(settings, fps=4.0))
        assert secret not in (tmp_path / "streamer-data" / "changes.json").read_text()


def test_a_rule_for_no_stream_is_said(run: Callable[..., Station], caplog: pytest.LogCaptureFixture) -> None:
    run(replace(LADDER, streams=("gaet",)))
    assert "rule ladder is for gaet, and there is no such stream" in caplog.text
