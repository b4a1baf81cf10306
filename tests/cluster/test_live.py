"""``watch --ray`` on three nodes: results as on one machine, and streams that come back whatever dies."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest

from streamer.analyzer import Job
from streamer.client import Client, Message
from streamer.cluster.process import Patience
from streamer.configuration import Configuration, StreamEntry
from streamer.errors import ModelError, OptionError
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor, StreamRemoved
from streamer.rules import Rule
from streamer.rules.conditions import Condition
from streamer.server import Server, protocol
from streamer.server.picture import Packet, Picture, Setup
from streamer.sources.synthetic import draw, read_counter
from streamer.station import Station
from streamer.tasks import Task
from tests.annotating import says_the_numbers
from tests.cluster.nodes import BACK_SECONDS, Heard, Machines, actors, answers, come_back
from tests.cluster.watching import DRAWN, SETTINGS, asking, missing, opener, scripted
from tests.commands import start
from tests.media import even, make_clip
from tests.models.openai_server import OpenAIServer
from tests.server.rig import eventually

pytest.importorskip("ray", reason="Ray is not installed: pip install 'streamer[ray]'")

from streamer.cluster.connecting import connected
from streamer.cluster.live import ClusterMonitor
from streamer.cluster.roster import Roster

ROOT = str(Path(__file__).resolve().parents[2])
NAMES = [f"camera {number}" for number in range(6)]


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ROOT)  # the nodes have this project, tests included
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Machines()
        yield cluster
        cluster.close()


@pytest.fixture(scope="module")
def ray(machines: Machines) -> Iterator[ModuleType]:
    with connected(machines.address) as module:
        yield module


@pytest.fixture(scope="module")
def roster(ray: ModuleType) -> Iterator[Roster]:
    with Roster(ray, scripted) as roster:
        yield roster


@pytest.fixture(scope="module")
def monitor(roster: Roster) -> Iterator[ClusterMonitor]:
    """One job for the tests of this file, as processes are slow to come up."""
    with ClusterMonitor(roster.model, roster, patience=Patience(stay=2.0)) as monitor:
        for name in NAMES:
            monitor.add(name, opener(), SETTINGS, address="rtsp://me:secret@10.0.0.5/live", group="yard")
        yield monitor


@pytest.fixture(scope="module")
def heard(monitor: ClusterMonitor) -> Heard:
    found = Heard(monitor)
    eventually(lambda: all(found.results(name) for name in NAMES), 40)
    return found


def homes(monitor: ClusterMonitor) -> dict[str, str]:
    """Stream -> id of its node; streams that move at this moment are left out."""
    found = {name: monitor.process(name) for name in NAMES}
    return {name: where[0].id for name, where in found.items() if where is not None}


def test_streams_are_spread_and_answered_where_they_are(monitor: ClusterMonitor, heard: Heard) -> None:
    eventually(lambda: sorted(Counter(homes(monitor).values()).values()) == [2, 2, 2], 20)
    for name in NAMES:
        results = heard.results(name)
        sequences = [result.sequence for result in results]
        assert sequences == sorted(set(sequences))
        assert all(result.error is None for result in results)
        assert all(0 < (result.timings.age_ms or 0) < 5000 for result in results)
    status = monitor.status(NAMES[0])
    assert (status.state, status.number, status.group) == ("live", 1, "yard")
    assert status.address == "rtsp://***@10.0.0.5/live"
    assert monitor.busy


def test_a_follower_gets_the_frames(heard: Heard) -> None:
    """The first one may have been decoded before its process knew that somebody follows: without a picture to show."""
    eventually(lambda: any(frame is not None and frame.display is not None for _, frame in heard.frames))
    result, frame = next((result, frame) for result, frame in heard.frames if frame and frame.display is not None)
    assert frame is not None
    assert str(read_counter(frame.image)) == result.caption, "another picture's"
    assert (frame.stream, frame.sequence) == (result.stream, result.sequence)
    assert frame.display is not None
    assert frame.display.shape == (180, 320, 3)
    assert frame.captured_at is not None
    assert abs(time.monotonic() - frame.captured_at) < 60


def test_pictures_come_while_somebody_looks(monitor: ClusterMonitor, heard: Heard) -> None:
    name = NAMES[1]
    assert heard.pictures(name) == []
    look = monitor.look(name)
    eventually(lambda: len(heard.pictures(name)) >= 3)
    look()
    time.sleep(1.2)
    before = len(heard.pictures(name))
    time.sleep(0.8)
    assert len(heard.pictures(name)) == before
    assert {picture.wish for picture in heard.pictures(name)} == {look.wish}
    still = monitor.still(NAMES[2])
    assert still is not None
    image = cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape[:2] == still.size[::-1]
    taken = monitor.next_picture(NAMES[2], lambda picture, captured_at: (picture.scaled((64, 48)), captured_at)).result(
        5
    )
    assert taken[0].shape == (48, 64, 3)
    assert time.monotonic() - taken[1] < 30


def test_settings_change_and_a_paused_stream_is_not_analysed(monitor: ClusterMonitor, heard: Heard) -> None:
    name = NAMES[0]
    monitor.change(name, lambda settings: settings.with_task(Task.ask("Is it day?")))
    eventually(lambda: "ask" in heard.results(name)[-1].answers)
    monitor.add_tasks(name, lambda tasks: (*tasks, Task.ask("Is it night?", name="night")))
    eventually(lambda: "night" in heard.results(name)[-1].answers)
    with pytest.raises(OptionError, match="budget: 71"):
        monitor.change(name, lambda settings: replace(settings, budget=71))
    status = monitor.change(name, lambda settings: replace(settings, paused=True))
    assert status.settings.paused
    time.sleep(1.0)
    paused = len(heard.results(name))
    time.sleep(0.8)
    assert len(heard.results(name)) == paused
    monitor.change(name, lambda settings: replace(settings, paused=False, tasks=SETTINGS.tasks))
    monitor.add_tasks(name, lambda tasks: tasks)
    eventually(lambda: len(heard.results(name)) > paused)
    assert monitor.status(name).counts["paused"] >= 1


@pytest.mark.slow
def test_a_process_that_is_killed_or_hangs_is_replaced_with_the_newest_settings(
    monitor: ClusterMonitor, heard: Heard
) -> None:
    killed, hung = NAMES[3], NAMES[4]
    monitor.change(killed, lambda settings: settings.with_task(Task.ask("Is it day?")))
    pids = {name: found[1] for name in (killed, hung) if (found := monitor.process(name)) is not None}
    before = {name: (heard.results(name)[-1].sequence, monitor.status(name).counts["analysed"]) for name in pids}
    since = time.monotonic()
    os.kill(pids[killed], signal.SIGKILL)
    os.kill(pids[hung], signal.SIGSTOP)
    eventually(lambda: heard.reasons(killed) and heard.reasons(hung), BACK_SECONDS)
    again = time.monotonic()
    try:
        come_back(heard, {killed, hung}, again)
        assert time.monotonic() - since < BACK_SECONDS
    finally:
        with suppress(ProcessLookupError):
            os.kill(pids[hung], signal.SIGKILL)
    assert "ended" in heard.reasons(killed)[0]
    assert "does not answer" in heard.reasons(hung)[0]
    assert "ask" in heard.results(killed, again)[0].answers
    for name, (sequence, analysed) in before.items():
        results = heard.results(name)
        assert [result.sequence for result in results] == sorted({result.sequence for result in results})
        assert heard.results(name, again)[0].sequence > sequence
        status = monitor.status(name)
        assert status.reconnects == 1
        assert status.counts["analysed"] > analysed
        assert status.number == NAMES.index(name) + 1
    monitor.change(killed, lambda settings: SETTINGS)


@pytest.mark.slow
def test_an_analyzer_that_dies_is_replaced(monitor: ClusterMonitor, heard: Heard, roster: Roster, ray: Any) -> None:
    analyzers = ray._private.state.actors().values()
    pids = [
        actor["Pid"] for actor in analyzers if actor["ActorClassName"] == "AnalyzerActor" and actor["State"] == "ALIVE"
    ]
    assert len(pids) == 3
    assert monitor.model.fault is None
    since = time.monotonic()
    os.kill(pids[0], signal.SIGKILL)
    time.sleep(2.0)
    came = time.monotonic()
    eventually(
        lambda: all(any(not result.error for result in heard.results(name, came)) for name in NAMES), BACK_SECONDS
    )
    assert time.monotonic() - since < BACK_SECONDS
    eventually(lambda: len(roster.analyzers) == 3, 20)


def test_a_node_that_dies_leaves_its_streams_to_others_and_one_that_joins_takes_some(
    monitor: ClusterMonitor, heard: Heard, machines: Machines
) -> None:
    eventually(lambda: len(homes(monitor)) == len(NAMES), 20)
    before = homes(monitor)
    since = time.monotonic()
    dead = machines.kill_one()
    gone = {name for name, node in before.items() if node == dead}
    assert gone
    eventually(lambda: all(len(heard.reasons(name)) for name in gone), BACK_SECONDS)
    taken = come_back(heard, gone, time.monotonic()) and time.monotonic() - since
    assert taken < BACK_SECONDS
    eventually(lambda: len(homes(monitor)) == len(NAMES), 5)
    assert dead not in homes(monitor).values()
    joined = machines.add_one()
    eventually(lambda: joined in homes(monitor).values(), 40)
    eventually(lambda: sorted(Counter(homes(monitor).values()).values()) == [2, 2, 2], 10)
    moved = {name for name, node in homes(monitor).items() if node == joined}
    come_back(heard, moved, time.monotonic())
    for name in NAMES:
        sequences = [result.sequence for result in heard.results(name)]
        assert sequences == sorted(set(sequences))


def test_a_removed_stream_is_gone_and_the_others_go_on(monitor: ClusterMonitor, heard: Heard, ray: ModuleType) -> None:
    before = actors(ray)
    monitor.remove(NAMES[5])
    removed = [event for _, event in heard.events if isinstance(event, StreamRemoved)]
    assert removed == [StreamRemoved(NAMES[5], 6)]
    with pytest.raises(OptionError, match="expected one of camera 0"):
        monitor.status(NAMES[5])
    assert monitor.process(NAMES[0]) is not None
    eventually(lambda: actors(ray) == before - 1)
    since = time.monotonic()
    come_back(heard, set(NAMES[:5]), since)
    assert heard.results(NAMES[5], since) == []


def test_a_camera_that_is_away_is_its_own_state_and_its_password_nobody_s(
    monitor: ClusterMonitor, ray: ModuleType
) -> None:
    address = "rtsp://me:hunter2@127.0.0.1:9/live"
    monitor.add("away", opener(address), SETTINGS, address=address)
    eventually(lambda: monitor.status("away").state == "waiting" and monitor.process("away"), 20)
    status = monitor.status("away")
    assert status.reconnects == 0 or status.retry_seconds is not None
    logs = Path(ray._private.worker.global_worker.node.get_logs_dir_path())
    written = b"".join(path.read_bytes() for path in logs.rglob("*") if path.is_file())
    assert len(written) > 10_000, "the logs are elsewhere"
    assert b"hunter2" not in written
    assert "hunter2" not in f"{status} {ray._private.state.actors()}"
    monitor.remove("away")


def test_close_ends_all_processes_in_time(monitor: ClusterMonitor, roster: Roster, ray: ModuleType) -> None:
    started = time.monotonic()
    monitor.close()
    monitor.close()
    assert time.monotonic() - started < 8
    assert not monitor.busy
    eventually(lambda: actors(ray) == len(roster.analyzers), 5)


# -- jobs of their own, on the same nodes


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "numbers.mp4"
    return make_clip(path, even(30, fps=10), size=(320, 192), picture=draw)


def seen_all(heard: Heard) -> bool:
    return len(answers(heard)) >= 25


def test_results_are_those_of_one_machine(roster: Roster, clip: Path) -> None:
    settings = replace(SETTINGS, fps=20)
    found = []
    for job in (Monitor(ScriptedModel(says_the_numbers)), ClusterMonitor(roster.model, roster)):
        with job:
            heard = Heard(job)
            job.add("street", opener(str(clip), loop=True), settings)
            eventually(partial(seen_all, heard), 30)
            found.append(answers(heard))
    here, there = found
    both = here.keys() & there.keys()
    assert len(both) >= 20
    assert {pts: here[pts] for pts in both} == {pts: there[pts] for pts in both}


def test_page_rules_alerts_and_clips_are_as_ever(roster: Roster, tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", even(100, fps=20), gop=10, b_frames=0, size=(320, 192), picture=draw)
    entry = StreamEntry("gate", str(film), replace(SETTINGS, tasks=(Task.caption(),), fps=10), loop=True)
    rule = Rule("even", when=Condition(labels=("even",)), confirm=1, release=1)
    whole = Configuration(streams=(entry,), rules=(rule,), data=tmp_path / "data", clip_after_seconds=0.5)
    with (
        Station(roster.model, whole, watching=partial(ClusterMonitor, roster=roster)) as station,
        Server(station.monitor, port=0, station=station) as server,
        Client(server.url) as client,
    ):
        client.show(["gate"], width=160, video=True)
        seen: list[Message] = []

        def has(*kinds: type) -> bool:
            seen.append(client.receive(10))
            return all(any(isinstance(message, kind) for message in seen) for kind in kinds)

        eventually(lambda: has(protocol.Result, Picture, Setup, Packet), 30)
        client.set("gate", fps=8)
        eventually(lambda: any(alert.ended_at and alert.clip for alert in station.history.alerts(limit=10)), 20)
        eventually(lambda: has(protocol.Alert), 10)
        assert station.entries()[0].settings.fps == 8
        [alert] = station.history.alerts(limit=10)
        assert alert.faults == {}
        assert alert.snapshot is not None
        assert alert.description is not None
        assert int(alert.description) % 2 == 0, "asked of the frame that met the rule"
        with av.open(str(station.history.clip_path(alert.clip or ""))) as container:
            pictures = [read_counter(np.asarray(one.to_ndarray(format="rgb24"))) for one in container.decode(video=0)]
        assert int(alert.description) in pictures, "the clip does not show what it is about"
        answer = httpx.get(f"{server.address}api/v1/streams/gate/picture.jpg")
        assert answer.content[:2] == b"\xff\xd8"


def test_streams_ask_servers_themselves(ray: ModuleType) -> None:
    with (
        OpenAIServer(lambda body: "said by the server") as server,
        Roster(ray, partial(asking, server.url), servers=True) as roster,
        ClusterMonitor(roster.model, roster) as monitor,
    ):
        heard = Heard(monitor)
        monitor.add("gate", opener(), replace(SETTINGS, tasks=(Task.caption(),)))
        eventually(lambda: heard.results("gate"), 30)
        assert heard.results("gate")[0].caption == "said by the server"
        assert roster.analyzers == {}
        frame = next(frame for _, frame in heard.frames if frame is not None)
        assert monitor.submit(Job(frame, (Task.caption(),), 70)).result(10).caption == "said by the server"


def test_a_model_that_cannot_be_loaded_is_said_at_once(ray: ModuleType) -> None:
    with pytest.raises(ModelError, match="there is no such model"):
        Roster(ray, missing)


@pytest.mark.slow
def test_the_command_shows_the_page_and_killed_leaves_no_process(
    machines: Machines, ray: ModuleType, roster: Roster
) -> None:
    before = actors(ray)
    program = start("watch", DRAWN, "--ray", machines.address, "--model", "tiny", "--budget", 70, "--fps", 5,
                    "--no-history", "--port", 0)  # fmt: skip
    assert program.stdout is not None
    try:
        url = program.stdout.readline().removeprefix("page: ").strip()
        with Client(url) as client:
            result = next(message for message in client if isinstance(message, protocol.Result))
        assert (result.model, result.error) == ("tiny", None)
        assert actors(ray) >= before + 2
    finally:
        program.kill()
        program.communicate()
    eventually(lambda: actors(ray) == before, 15)
