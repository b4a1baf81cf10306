"""The commands about what a live job has seen: search, alerts, rules, excerpts and tokens."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from streamer.configuration import StreamEntry
from streamer.display import encode_jpeg
from streamer.geometry import Box
from streamer.history import Correction, History
from streamer.kept import Changes
from streamer.results import Detection
from streamer.rules import Condition, Rule
from streamer.server.access import Tokens
from streamer.settings import StreamSettings
from streamer.sources.synthetic import draw
from tests.commands import Run
from tests.history.made import alert, result
from tests.models.openai_server import Fault, OpenAIServer

NOW = time.time()
WOLF = Correction((Detection("wolf", Box(0.1, 0.2, 0.5, 0.6)),), "A wolf", "anna", NOW)
DOG = Rule("dog", when=Condition(labels=("dog",)), confirm=2, release=1, cooldown_seconds=0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dog comes for four of ten seconds, fifty minutes ago."""
    folder = tmp_path / "data"
    with History(folder) as history:
        for second in range(10):
            labels = ("dog", "car") if 3 <= second < 7 else ("car",)
            seen = result(f"A street at second {second}", *labels, answers={"detect": "[]"})
            history.put(seen, NOW - 3000 + second, encode_jpeg(draw(second, (320, 176))))
        history.put(result("A cat sleeps", "cat", stream="hall"), NOW - 100)
        history.flush(10)
        history.put_alert(alert(1, started_at=NOW - 2996, updated_at=NOW - 2996, rule="dog"))
        ended = {"ended_at": NOW - 2990, "phase": "end", "revision": 2}
        history.put_alert(alert(1, started_at=NOW - 2996, updated_at=NOW - 2990, rule="dog", **ended))
    Changes(folder / "changes.json").put(DOG, None)
    return folder


def test_search_finds_by_words_stream_label_and_time(run: Run, data: Path) -> None:
    said = run("search", "street", "--data", data, "--limit", 3)
    assert [line.split("  ")[2] for line in said.out.splitlines()] == [f"A street at second {n}" for n in (9, 8, 7)]
    picture = Path(said.out.splitlines()[0].split("  ")[3])
    assert picture.read_bytes()[:2] == b"\xff\xd8"
    assert len(run("search", "--data", data, "--label", "dog", "--json").rows) == 4
    assert [row["stream"] for row in run("search", "--data", data, "--since", NOW - 200, "--json").rows] == ["hall"]
    assert [row["stream"] for row in run("search", "--data", data, "--stream", "hall", "--json").rows] == ["hall"]
    nothing = run("search", "zebra", "--data", data)
    assert (nothing.code, nothing.out) == (0, "")
    assert "nothing was found" in nothing.words


def test_search_says_what_cannot_be_understood(run: Run, data: Path, tmp_path: Path) -> None:
    ended = run("search", "--data", data, "--since", "soon")
    assert ended.code == 2
    assert "today" in ended.words
    ended = run("search", "--data", tmp_path / "none")
    assert ended.code == 2
    assert "data folder" in ended.words
    assert not (tmp_path / "none").exists()


def test_alerts_are_listed(run: Run, data: Path) -> None:
    said = run("alerts", "--data", data)
    assert "dog" in said.out
    assert "6 s" in said.out
    assert [row["rule"] for row in run("alerts", "--data", data, "--json").rows] == ["dog"]
    assert run("alerts", "--data", data, "--open", "--json").rows == []


def test_a_rule_is_replayed(run: Run, data: Path) -> None:
    said = run("rules", "test", "dog", "--data", data, "--from", "2h")
    assert "gate: once in 10 results" in said.out
    assert "for 3 s" in said.out
    [fired] = run("rules", "test", "dog", "--data", data, "--json").rows
    assert fired["began_at"] == pytest.approx(NOW - 2996, abs=0.01)
    assert "dog" in run("rules", "list", "--data", data).out
    ended = run("rules", "test", "zebra", "--data", data)
    assert ended.code == 2
    assert "a rule's name (dog)" in ended.words
    for words in (["rules", "test", "dog"], ["search", "dog"]):
        ended = run(*words, "--stream", "gat", "--data", data)
        assert (ended.code, ended.out) == (2, "")
        assert "a stream of this history: gate, hall" in ended.words


def test_an_excerpt_is_a_dataset(run: Run, data: Path, tmp_path: Path) -> None:
    said = run("excerpt", "gate", "-o", tmp_path / "set", "--formats", "coco,srt", "--data", data)
    assert (said.code, said.err) == (0, "")
    coco = COCO(str(tmp_path / "set" / "gate.coco.json"))
    assert len(coco.getImgIds()) == 10
    assert len(coco.getAnnIds(catIds=coco.getCatIds(["dog"]))) == 4
    assert all((tmp_path / "set" / image["file_name"]).exists() for image in coco.loadImgs(coco.getImgIds()))
    assert "A street at second 3" in (tmp_path / "set" / "gate.srt").read_text()
    ended = run("excerpt", "nobody", "-o", tmp_path / "other", "--data", data)
    assert ended.code == 2
    assert "nobody" in ended.words
    ended = run("excerpt", "gate", "-o", tmp_path / "other", "--formats", "mp4", "--data", data)
    assert ended.code == 2


def test_tokens_are_made_listed_and_removed(run: Run, tmp_path: Path) -> None:
    token = run("tokens", "add", "anna", "--stream", "gate-*", "--data", tmp_path).out.strip()
    found = Tokens(tmp_path / "tokens.json").find(token)
    assert found is not None
    assert (found.name, found.role, found.streams) == ("anna", "viewer", ("gate-*",))
    listed = run("tokens", "list", "--data", tmp_path).out
    assert "anna" in listed
    assert token not in listed
    assert run("tokens", "remove", "anna", "--data", tmp_path).code == 0
    assert Tokens(tmp_path / "tokens.json").find(token) is None
    assert run("tokens", "remove", "anna", "--data", tmp_path).code == 2


def test_a_configuration_names_the_data(run: Run, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    path.write_text(f"data = {json.dumps(str(data))}\n")
    assert len(run("search", "-c", path, "--json", "--limit", 100).rows) == 11


@pytest.mark.parametrize(
    ("words", "pictures", "labels"), [((), 10, ["car", "dog"]), (("--corrected",), 10, ["car", "dog", "wolf"]),
                                      (("--only-corrected",), 1, ["wolf"])],
)  # fmt: skip
def test_an_excerpt_has_what_people_corrected(
    run: Run, data: Path, tmp_path: Path, words: tuple[str, ...], pictures: int, labels: list[str]
) -> None:
    with History(data) as history:
        history.correct(history.search(streams=["gate"], limit=1)[0].id, WOLF)
    said = run("excerpt", "gate", "--data", data, "-o", tmp_path / "out", "--formats", "coco", *words)
    assert said.code == 0, said.words
    coco = json.loads((tmp_path / "out" / "gate.coco.json").read_text())
    assert len(coco["images"]) == pictures
    assert sorted(one["name"] for one in coco["categories"]) == labels


def test_a_question_is_put_to_the_model_that_is_named_at_the_streams_budget(run: Run, data: Path) -> None:
    entry = StreamEntry("gate", "synthetic:?live=1", StreamSettings(budget=140))
    Changes(data / "changes.json").put(entry, None)
    words = ["rules", "test", "Is there a dog?", "--data", data, "--from", "2h", "--stream", "gate", "--ask"]
    with OpenAIServer(lambda body: '{"answer": "yes", "reason": "a dog"}') as server:
        words += ["--model", "gemma", "--model-url", server.url]
        said = run(*words)
        assert said.code == 0, said.err
        assert "gate: once in 10 results" in said.out
        bodies = [body for body in server.asked() if "Is there a dog?" in json.dumps(body)]
        assert [body["mm_processor_kwargs"]["max_soft_tokens"] for body in bodies] == [140] * 10
        assert run(*words, "--budget", 70, "--questions", 3).code == 0
        bodies = [body for body in server.asked() if "Is there a dog?" in json.dumps(body)]
        assert [body["mm_processor_kwargs"]["max_soft_tokens"] for body in bodies] == [70] * 3
        server.fault = Fault("400")
        failed = run(*words)
    assert (failed.code, failed.out) == (1, "")
    assert "gemma" in failed.err
