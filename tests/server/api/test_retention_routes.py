"""How long the past is kept: told, changed, and kept over a restart until the file says something else."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from streamer.configuration import read_configuration
from tests.history.made import result
from tests.server.api.serving import Served, jpeg, problem, serving

FILE = 'data = "data"\nkeep_days = 7\n'
DAY = 86400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "streams.toml"
    path.write_text(FILE)
    return path


def started(path: Path) -> AbstractContextManager[Served]:
    return serving(path.parent, read_configuration(path))


def limits(client: httpx.Client) -> tuple[float, float, float, bool]:
    values = client.get("/api/v1/retention").json()
    return values["keep_days"], values["keep_gib"], values["keep_alert_days"], values["changed"]


def test_limits_and_use_are_told(path: Path) -> None:
    with started(path) as served, served.client() as client:
        served.station.history.put(result("a dog"), time.time() - 60, jpeg())
        served.station.history.flush(10)
        values = client.get("/api/v1/retention").json()
        assert limits(client) == (7, 10, 365, False)
        assert values["used_bytes"] > len(jpeg())
        assert values["free_bytes"] > 0
        assert values["oldest"] == pytest.approx(time.time() - 60, abs=5)
        assert values["lasting"] is True


def test_a_change_holds_at_once_and_over_a_restart(path: Path) -> None:
    with started(path) as served, served.client() as client:
        history = served.station.history
        for days in (1, 3, 5):
            history.put(result(f"{days} days ago"), time.time() - days * DAY)
        history.flush(10)
        assert client.patch("/api/v1/retention", json={"keep_days": 2}).json()["changed"] is True
        history.retain()
        assert [found.result.caption for found in history.search()] == ["1 days ago"]
    kept = json.loads((path.parent / "data" / "changes.json").read_text())["limits"]
    assert kept["history"]["value"]["keep_days"] == 2
    with started(path) as served, served.client() as client:
        assert limits(client) == (2, 10, 365, True)
        assert served.station.history.options.keep_days == 2


def test_the_file_has_the_last_word_once_it_says_something_else(path: Path) -> None:
    with started(path) as served, served.client() as client:
        client.patch("/api/v1/retention", json={"keep_days": 2, "keep_gib": 0.5})
        path.write_text(FILE.replace("7", "9"))
        client.post("/api/v1/reload")
        assert limits(client) == (9, 10, 365, False)
        assert served.station.history.options.keep_days == 9


def test_what_the_file_says_already_is_no_change(path: Path) -> None:
    with started(path) as served, served.client() as client:
        client.patch("/api/v1/retention", json={"keep_days": 2})
        assert client.patch("/api/v1/retention", json={"keep_days": 7}).json()["changed"] is False
        assert json.loads((path.parent / "data" / "changes.json").read_text())["limits"] == {}


def test_changes_from_before_there_were_limits_are_read(path: Path) -> None:
    (path.parent / "data").mkdir()
    (path.parent / "data" / "changes.json").write_text('{"version": 1, "streams": {}, "rules": {}}')
    with started(path) as served, served.client() as client:
        assert limits(client) == (7, 10, 365, False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"keep_days": -1}, "keep_days"),
        ({"keep_days": "7"}, "keep_days"),
        ({"keep_gib": 0}, "keep_gib"),
        ({"keep_alert_days": 1e9}, "keep_alert_days"),
        ({"keep_bytes": 5}, "keep_bytes"),
    ],
)
def test_limits_that_cannot_be_are_refused(
    client: httpx.Client, served: Served, change: dict[str, object], field: str
) -> None:
    before = served.station.keep
    assert problem(client.patch("/api/v1/retention", json=change), 422)["field"] == field
    assert served.station.keep == before


def test_a_group_is_changed_and_kept(client: httpx.Client, served: Served) -> None:
    answer = client.patch("/api/v1/streams/gate", json={"group": "yard", "fps": 2})
    assert (answer.json()["group"], answer.json()["settings"]["fps"]) == ("yard", 2)
    assert [entry.group for entry in served.station.entries() if entry.name == "gate"] == ["yard"]
    assert client.get("/api/v1/streams/gate").json()["group"] == "yard"
    problem(client.patch("/api/v1/streams/gate", json={"group": "x" * 101}), 422)
    problem(client.patch("/api/v1/streams/gate", json={"group": "a\nb", "fps": 4}), 422)
    assert client.get("/api/v1/streams/gate").json()["settings"]["fps"] == 2
    assert client.patch("/api/v1/streams/gate", json={"group": ""}).json()["group"] == ""
