"""``annotate --ray`` on three nodes: the journals are those of one machine, whatever dies on the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streamer.annotation import AnnotateRun, Answered, Event, Failed, Finished, Resumed, annotate
from streamer.cluster.answerer import Make
from streamer.cluster.decoder import Decoder, Order
from streamer.cluster.files import SpreadRun
from streamer.cluster.spread import SpreadOptions, spread
from streamer.errors import ClusterError, ModelError, SourceError
from streamer.filejob import AnnotateOptions
from streamer.outputs.jsonl import read_journal
from streamer.sampling import Sampling
from streamer.sources.synthetic import draw
from streamer.tasks import Task
from tests.annotating import options as questions
from tests.cluster.making import SLOW, cannot_be_loaded, ends_at, fails_at, scripted
from tests.commands import Run
from tests.media import even, make_clip
from tests.models.openai_server import OpenAIServer

pytest.importorskip("ray", reason="Ray is not installed: pip install 'streamer[ray]'")

ROOT = str(Path(__file__).resolve().parents[2])
ONE = AnnotateOptions(sampling=Sampling.every("0.2"), formats=("jsonl",))


class Machines:
    """Three nodes on this machine: a head with a core, and two more that may be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        quick = {
            "health_check_initial_delay_ms": 500,
            "health_check_period_ms": 500,
            "health_check_failure_threshold": 3,
        }
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": quick}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = self._cluster.address
        self._others = [self.join(), self.join()]

    def join(self) -> Any:
        return self._cluster.add_node(num_cpus=1, wait=True)

    def kill(self, among: set[str]) -> str:
        """One of the nodes of these ids, as a power failure would; its id. Another one takes its place."""
        killed = next(node for node in self._others if node.node_id in among)
        self._others.remove(killed)
        self._cluster.remove_node(killed, allow_graceful=False)
        self._others.append(self.join())
        return str(killed.node_id)

    def close(self) -> None:
        self._cluster.shutdown()


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
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two clips whose numbers stand still for a while."""
    folder = tmp_path_factory.mktemp("films")
    return [
        make_clip(folder / f"{name}.mp4", even(count), picture=lambda number, size: draw(number // 5, size))
        for name, count in (("first", 90), ("second", 60))
    ]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty seconds."""
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", even(600))


def timeless(path: Path) -> list[dict[str, Any]]:
    """The rows of a journal without what was measured."""
    return [{key: value for key, value in row.items() if key != "timings"} for row in read_journal(path)]


def on_cluster(
    machines: Machines, files: list[Path], output: Path, chosen: AnnotateOptions, make: Make = scripted, models: int = 1
) -> Iterator[Event]:
    named = [(str(path), path.stem) for path in files]
    spreading = SpreadOptions(machines.address, models=(models, models), part_seconds=1, decoders=2)
    with spread(make, spreading) as model:
        yield from SpreadRun(named, model, chosen, output=output)


def alone(files: list[Path], output: Path, chosen: AnnotateOptions, make: Make = scripted) -> list[Event]:
    return list(AnnotateRun([(str(path), path.stem) for path in files], make(), chosen, output=output))


@pytest.mark.parametrize("gate", [0.0, 0.03])
def test_the_journals_are_those_of_one_machine(
    machines: Machines, films: list[Path], tmp_path: Path, gate: float
) -> None:
    missing = tmp_path / "none.mp4"
    events = list(on_cluster(machines, [films[0], missing, films[1]], tmp_path / "ray", questions(gate), models=2))
    alone(films, tmp_path / "one", questions(gate))
    for name in ("first", "second"):
        assert timeless(tmp_path / "ray" / f"{name}.jsonl") == timeless(tmp_path / "one" / f"{name}.jsonl")
        subtitles = [(tmp_path / run / f"{name}.srt").read_bytes() for run in ("ray", "one")]
        assert subtitles[0] == subtitles[1] != b""
    assert sum(isinstance(event, Answered) for event in events) == 45 + 30
    assert sum(isinstance(event, Finished) for event in events) == 2
    [failed] = [event for event in events if isinstance(event, Failed)]
    assert "none.mp4: there is no such file" in str(failed.error)


@pytest.mark.slow
def test_a_damaged_film_is_counted_as_one_machine_counts(machines: Machines, film: Path, tmp_path: Path) -> None:
    """A picture that is lost shifts the places of all that come behind it, in other parts too."""
    data = bytearray(film.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 200] = bytes(200)
    (tmp_path / "film.mp4").write_bytes(data)
    chosen = replace(ONE, sampling=Sampling.every_nth(4))
    [answered] = {event.summary.damaged for event in alone([tmp_path / "film.mp4"], tmp_path / "one", chosen)
                  if isinstance(event, Finished)}  # fmt: skip
    assert answered
    list(on_cluster(machines, [tmp_path / "film.mp4"], tmp_path / "ray", chosen))
    assert timeless(tmp_path / "ray" / "film.jsonl") == timeless(tmp_path / "one" / "film.jsonl")


def test_a_frame_without_an_answer_has_its_row_and_is_not_repeated(
    machines: Machines, films: list[Path], tmp_path: Path
) -> None:
    chosen = replace(questions(0.03), tasks=(Task.caption(),), formats=("jsonl",))
    list(on_cluster(machines, films[:1], tmp_path / "ray", chosen, partial(fails_at, "4")))
    alone(films[:1], tmp_path / "one", chosen, partial(fails_at, "4"))
    rows = timeless(tmp_path / "ray" / "first.jsonl")
    assert rows == timeless(tmp_path / "one" / "first.jsonl")
    assert sum(row.get("error") is not None for row in rows) == 3  # the unchanged ones behind it were asked too


def test_only_what_is_missing_is_asked(machines: Machines, films: list[Path], tmp_path: Path) -> None:
    """The model would end its process at a frame that is known."""
    alone(films, tmp_path, ONE)
    whole = timeless(tmp_path / "first.jsonl")
    path = tmp_path / "first.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:8]) + lines[8][:20])
    events = list(on_cluster(machines, films, tmp_path, ONE, partial(ends_at, "1")))
    assert timeless(path) == whole
    resumed = [event.summary.resumed for event in events if isinstance(event, Resumed)]
    assert sorted(resumed) == [7, 30]
    assert sum(isinstance(event, Answered) for event in events) == 45 - 7


@pytest.mark.slow
def test_what_ends_the_models_process_again_and_again_is_given_up(
    machines: Machines, films: list[Path], tmp_path: Path
) -> None:
    """The second film has no such frame."""
    chosen = replace(ONE, batch=2)
    events = list(on_cluster(machines, films, tmp_path, chosen, partial(ends_at, "15")))
    finished = {Path(event.summary.source).stem: event.summary for event in events if isinstance(event, Finished)}
    assert re.search(
        "answering frame 3[4-7] or one close behind it has ended 3 processes", str(finished["first"].fault)
    )
    assert 30 <= finished["first"].frames <= 37
    assert (finished["second"].frames, finished["second"].fault) == (30, None)
    *_, last = read_journal(tmp_path / "first.jsonl")
    assert last["fault"] == finished["first"].fault


def test_a_node_dies(machines: Machines, film: Path, tmp_path: Path) -> None:
    """One with a model, and with a decoder where it has one."""
    answered, longest, killed = 0, 0.0, ""
    spreading = SpreadOptions(machines.address, models=(2, 2), part_seconds=1, decoders=3)
    with spread(partial(scripted, 0.1), spreading) as model:
        before = time.monotonic()
        for event in SpreadRun([(str(film), "film")], model, SLOW, output=tmp_path / "ray"):
            longest, before = max(longest, time.monotonic() - before), time.monotonic()
            answered += isinstance(event, Answered)
            if answered == 40 and not killed:
                killed = machines.kill({member.node for member in model.crew.members})
                longest, before = 0.0, time.monotonic()
        assert killed not in {member.node for member in model.crew.members}
    assert killed
    assert longest < 15
    alone([film], tmp_path / "one", SLOW)
    assert timeless(tmp_path / "ray" / "film.jsonl") == timeless(tmp_path / "one" / "film.jsonl")


@pytest.mark.slow
def test_the_processes_of_a_decoder_and_of_a_model_die(machines: Machines, film: Path, tmp_path: Path) -> None:
    answered = 0
    spreading = SpreadOptions(machines.address, models=(1, 1), part_seconds=5, decoders=1)
    with spread(partial(scripted, 0.02), spreading) as model:
        job = SpreadRun([(str(film), "film")], model, SLOW, output=tmp_path / "ray")
        for event in job:
            answered += isinstance(event, Answered)
            if answered == 20:
                os.kill(job._lanes.lanes[0].member.greeting.pid, signal.SIGKILL)
            if answered == 60:
                os.kill(model.crew.members[0].greeting.place.pid, signal.SIGKILL)
    assert answered == 300
    alone([film], tmp_path / "one", SLOW)
    assert timeless(tmp_path / "ray" / "film.jsonl") == timeless(tmp_path / "one" / "film.jsonl")


def test_it_is_stopped_at_once(machines: Machines, film: Path, tmp_path: Path) -> None:
    """As by Ctrl-C; what it has answered is kept."""
    spreading = SpreadOptions(machines.address, models=(1, 1), decoders=1)
    with spread(partial(scripted, 0.3), spreading) as model:
        events = iter(SpreadRun([(str(film), "film")], model, SLOW, output=tmp_path))
        for _ in range(5):
            next(events)
        before = time.monotonic()
        events.close()
        assert time.monotonic() - before < 2
    rows = timeless(tmp_path / "film.jsonl")
    assert [row["type"] for row in rows][:6] == ["job", *["frame"] * 5]
    assert rows[-1]["type"] == "frame"


@pytest.mark.slow
def test_the_job_itself_is_killed(machines: Machines, film: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.cluster.making", machines.address, str(tmp_path / "ray"), str(film)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    heard = [process.stdout.readline() for _ in range(20)]
    process.kill()
    process.communicate()
    assert heard[-1] == "Answered\n"
    events = list(on_cluster(machines, [film], tmp_path / "ray", SLOW))
    assert any(isinstance(event, Resumed) and event.summary.resumed >= 20 for event in events)
    alone([film], tmp_path / "one", SLOW)
    assert timeless(tmp_path / "ray" / "film.jsonl") == timeless(tmp_path / "one" / "film.jsonl")


@pytest.mark.slow
def test_the_command_with_a_real_model(
    run: Run, machines: Machines, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(film.parent)
    asked = ("annotate", film.name, "--model", "tiny", "--budget", 70, "--every", "6s", "--formats", "jsonl,srt")
    ended = run(*asked, "-o", tmp_path / "ray", "--ray", machines.address, "--models", 1, "--part", 20, "--json")
    assert ended.code == 0, ended.err
    assert "note: tiny knows only drawn street scenes" in ended.err
    assert [row["type"] for row in ended.rows if row["type"] != "progress"] == [*["frame"] * 10, "summary"]
    assert run(*asked, "-o", tmp_path / "one").code == 0
    measured = ("timings", "usage", "path")
    rows = [
        [
            {key: value for key, value in row.items() if key not in measured}
            for row in read_journal(folder / "film.jsonl")
        ]
        for folder in (tmp_path / "ray", tmp_path / "one")
    ]
    assert rows[0] == rows[1]
    assert (tmp_path / "ray" / "film.srt").read_bytes() == (tmp_path / "one" / "film.srt").read_bytes()


def test_servers_run_the_model(
    run: Run, machines: Machines, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nodes have the key from here."""
    monkeypatch.setenv("STREAMER_MODEL_KEY", "sesame")
    with OpenAIServer(lambda body: "Two cars.", key="sesame") as server:
        asked = ("annotate", film, "-o", tmp_path, "--model", "gemma", "--model-url", server.url, "--every", "20s")
        ended = run(*asked, "--ray", machines.address, "--models", 1, "--formats", "jsonl", "--json")
    assert ended.code == 0, ended.err
    assert f"note: {server.url} (vLLM) takes an image budget for each request" in ended.err
    assert [row["caption"] for row in ended.rows if row["type"] == "frame"] == ["Two cars."] * 3
    assert "sesame" not in ended.err + ended.out


def test_what_no_node_can_do_is_said_at_once(machines: Machines, film: Path) -> None:
    with pytest.raises(ClusterError, match="a model is to have 1 GPUs, and no node has any"):
        next(iter(spread(scripted, SpreadOptions(machines.address, gpus_per_model=1)).__enter__().crew.members))
    with (
        pytest.raises(ModelError, match=r"there is no such model \(choose another one\)"),
        spread(cannot_be_loaded, SpreadOptions(machines.address)),
    ):
        pass


def test_the_library_takes_a_spread_model(machines: Machines, film: Path) -> None:
    with spread(scripted, SpreadOptions(machines.address, models=(1, 1), decoders=1)) as model:
        started = iter(annotate(str(film), model, sampling="all"))
        assert next(started).caption == "0"
        del started  # nobody wants the rest
        results = list(annotate(str(film), model, sampling="every 10 s"))
        assert [result.caption for result in results] == ["0", "100", "200", "300", "400", "500"]
        with pytest.raises(SourceError, match="no such file"):
            list(annotate("none.mp4", model))


def test_options_without_a_cluster_are_refused(run: Run, film: Path, tmp_path: Path) -> None:
    ended = run("annotate", film, "-o", tmp_path, "--model", "tiny", "--models", "2")
    assert (ended.code, "--models: '2' cannot be used; expected --ray beside it" in ended.err) == (2, True), ended.err


def test_a_node_that_does_not_see_a_file_says_so(tmp_path: Path) -> None:
    note, _ = Decoder(ONE).next(Order(str(tmp_path / "film.mp4"), 0, None, 0, lambda size: size))
    assert note.end
    assert f"node {os.uname().nodename} of the cluster has no such file (all nodes must see" in str(note.fault)
