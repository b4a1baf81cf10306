"""Alerts over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from streamer.configuration import Configuration
from tests.server.api.serving import NOW, SCRIPT, Served, alert, break_history, problem, serving


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Alerts 1 to 5, of which the even ones are of the yard, and the last two go on."""
    with serving(tmp_path_factory.mktemp("alerts"), Configuration(clip_before_seconds=0)) as served:
        for number in range(1, 6):
            new = alert(number, "gate" if number % 2 else "yard", description=SCRIPT)
            served.station.history.put_alert(new)
            if number < 4:
                ended = replace(new, phase="end", revision=2, ended_at=new.started_at + 0.5)
                served.station.history.put_alert(ended)
        yield served


@pytest.fixture(scope="module")
def client(kept: Served) -> Iterator[httpx.Client]:
    with kept.client() as client:
        yield client


def numbers(client: httpx.Client, **filters: object) -> list[int]:
    answer = client.get("/api/v1/alerts", params=filters)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return [int(one["id"], 16) for one in answer.json()["alerts"]]


def test_alerts_come_newest_first_by_filter(client: httpx.Client) -> None:
    assert numbers(client) == [5, 4, 3, 2, 1]
    assert numbers(client, stream="yard") == [4, 2]
    assert numbers(client, stream=["yard", "gate"]) == [5, 4, 3, 2, 1]
    assert numbers(client, open=True) == [5, 4]
    assert numbers(client, rule="nobody's") == []
    assert numbers(client, since=NOW + 3.6) == [5, 4]
    assert numbers(client, until=NOW + 2) == [2, 1]


def test_pages_follow_each_other_without_a_gap(client: httpx.Client) -> None:
    found: list[str] = []
    cursor = None
    for _ in range(3):
        page = client.get("/api/v1/alerts", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += [one["id"] for one in page["alerts"]]
        cursor = page["next"]
    assert [int(id, 16) for id in found] == [5, 4, 3, 2, 1]
    assert cursor is None


def test_an_alert_comes_with_its_life_as_plain_json(client: httpx.Client) -> None:
    answer = client.get(f"/api/v1/alerts/{1:032x}")
    values = answer.json()
    assert [one["type"] for one in values["life"]] == ["new", "end"]
    assert values["alert"] == values["life"][-1]
    assert values["alert"]["description"] == SCRIPT
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_somebody_takes_note_once(client: httpx.Client, kept: Served) -> None:
    first = client.post(f"/api/v1/alerts/{3:032x}/acknowledge").json()
    assert (first["acknowledged_by"], first["revision"]) == ("owner", 3)
    assert client.post(f"/api/v1/alerts/{3:032x}/acknowledge").json() == first
    assert 3 not in numbers(client, unacknowledged=True)


@pytest.mark.parametrize("id", ["f" * 32, "..", "%00", "a%2Fb", "x" * 500])
def test_an_alert_that_is_not_there_is_unknown(client: httpx.Client, id: str) -> None:
    problem(client.get(f"/api/v1/alerts/{id}"), 404)
    problem(client.post(f"/api/v1/alerts/{id}/acknowledge"), 404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("cursor=abc", "cursor"),
        ("since=nan", "since"),
        ("colour=red", "colour"),
    ],
)
def test_filters_that_cannot_be_are_refused(client: httpx.Client, query: str, field: str) -> None:
    assert problem(client.get(f"/api/v1/alerts?{query}"), 422)["field"] == field


def test_a_history_that_fails_is_said_without_its_place(tmp_path: Path) -> None:
    with serving(tmp_path, Configuration()) as served, served.client() as client:
        break_history(tmp_path)
        answer = client.get("/api/v1/alerts")
        assert str(tmp_path) not in problem(answer, 503)["detail"]
        assert answer.headers["retry-after"]
