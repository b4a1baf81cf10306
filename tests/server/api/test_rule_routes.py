"""Rules over HTTP, and back-tests over what was kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from streamer.geometry import Box
from streamer.results import Detection, FrameResult
from streamer.rules import Rule
from streamer.server.api.rule_models import RuleBody, RulePart
from tests.history.made import result
from tests.server.api.serving import GENEROUS, Served, jpeg, of_streams, problem, serving

WHEN = {"labels": ["person"], "zone": [[0, 0], [1, 0], [1, 1]], "at_least": 2}
NIGHT = {"days": ["mon"], "from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("rules"), of_streams("gate", "yard")) as served:
        yield served


@pytest.fixture(scope="module")
def client(fresh: Served) -> Iterator[httpx.Client]:
    with fresh.client() as client:
        yield client


def keep(served: Served, count: int, *, stream: str = "kept", label: str | None = "person") -> float:
    """Results a second apart, with their pictures, an hour ago; gives the time of the first."""
    first = float(round(time.time()) - 3600)
    found = (Detection(label, Box(0.1, 0.1, 0.2, 0.2)),) if label else ()
    for number in range(count):
        result = FrameResult(stream, number, float(number), (320, 180), caption=f"car {number}", detections=found)
        served.station.history.put(result, first + number, jpeg())
    served.station.history.flush(10)
    return first


def test_what_a_rule_is_by_default_is_the_same_here() -> None:
    part = RulePart(name="a", question="Is it?")
    made = part.rule("a")
    assert made == Rule("a", question="Is it?")
    assert RulePart.of(made).model_dump(exclude={"answer"}) == part.model_dump(exclude={"answer"})


def test_every_field_of_a_rule_goes_there_and_back() -> None:
    mapping = {
        "name": "a", "when": WHEN, "streams": ["gate-*"], "confirm": 3, "release": 4, "cooldown_seconds": 5.0,
        "schedule": {"ranges": [{"days": ["mon"], "from": "22:00", "to": "06:00"}, {"from": "01:00"}], "zone": "UTC"},
        "severity": "critical", "enabled": False, "describe": False, "channels": [],
    }  # fmt: skip
    rule = Rule.from_mapping(mapping)
    assert RulePart.of(rule).rule("a") == rule
    assert RuleBody.model_fields.keys() == Rule("a", question="?").to_mapping().keys() - {"name"} | {"when", "schedule"}


def test_a_rule_is_set_got_listed_and_removed(client: httpx.Client, fresh: Served) -> None:
    body = {"when": WHEN, "schedule": NIGHT, "streams": ["gate"]}
    put = client.put("/api/v1/rules/at%20night", json=body)
    assert put.status_code == 200, put.text
    assert fresh.station.rules[0].schedule is not None
    got = client.get("/api/v1/rules/at%20night").json()
    assert got == put.json() == client.get("/api/v1/rules").json()["rules"][0]
    assert got["schedule"]["from"] == "22:00"
    assert client.put("/api/v1/rules/at%20night", json=got).json() == got  # as it was got
    assert client.delete("/api/v1/rules/at%20night").status_code == 204
    problem(client.get("/api/v1/rules/at%20night"), 404)
    problem(client.delete("/api/v1/rules/at%20night"), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "question"),
        ({"question": "a?", "when": {}}, "question"),
        ({"question": "a?", "confirm": 0}, "confirm"),
        ({"question": "a?", "schedule": {"zone": "Nowhere/None"}}, "schedule.zone"),
        ({"question": "a?", "channels": ["phone"]}, "channels"),
        ({"question": "a?", "name": "other"}, "name"),
        ({"question": "a?", "colour": 1}, "colour"),
        ({"when": {"zone": [[0, 0], [0, 0], [0, 0]]}}, "when.zone"),
        ({"when": {"line": {"points": [[0, 0], [1, 1]]}, "at_least": 1}}, "when.at_least"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_field(
    client: httpx.Client, body: dict[str, object], field: str
) -> None:
    assert problem(client.put("/api/v1/rules/a", json=body), 422)["field"] == field


def test_half_a_surrogate_pair_is_no_question(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = client.put("/api/v1/rules/a", content=b'{"question": "\\ud800?"}', headers=headers)
    assert problem(answer, 422)["field"] == "question"


def test_a_stream_says_where_its_rules_stand(client: httpx.Client, fresh: Served) -> None:
    fresh.station.set_rule(Rule("off", question="Is it?", enabled=False))
    fresh.station.set_rule(Rule("on", question="Is it?", streams=("gate",), confirm=1000))
    assert [one["rule"] for one in client.get("/api/v1/streams/yard/rules").json()["rules"]] == ["off"]
    states = {one["rule"]: one["state"] for one in client.get("/api/v1/streams/gate/rules").json()["rules"]}
    assert states["off"] == "disabled"
    assert states["on"] in ("idle", "confirming")
    for name in states:
        fresh.station.remove_rule(name)


def test_a_rule_is_tried_over_what_was_kept(client: httpx.Client, fresh: Served) -> None:
    first = keep(fresh, 6)
    rule = {"name": "new", "when": {"labels": ["person"]}, "confirm": 2}
    outcome = client.post("/api/v1/rules/test", json={"rule": rule, "streams": ["kept"]}).json()
    assert outcome["complete"] is True
    [trial] = outcome["streams"]
    assert (trial["stream"], trial["met"], trial["missed"], trial["fired_count"]) == ("kept", 6, 0, 1)
    assert trial["fired"][0]["began_at"] == first + 1
    assert trial["fired"][0]["detections"][0]["label"] == "person"
    assert fresh.station.rules == ()


def test_a_scene_that_stands_still_is_one_alert(client: httpx.Client, fresh: Served) -> None:
    """Its one row stands for ten minutes, which is no silence."""
    first = time.time() // 1 - 3000
    seen = result("a dog lies there", "dog", stream="still", answers={"detect": "[]"})
    for second in (0, 200, 400, 600):
        fresh.station.history.put(replace(seen, reused=second > 0), first + second)
    fresh.station.history.flush(10)
    rule = {"name": "new", "when": {"labels": ["dog"]}, "confirm": 1}
    body = {"rule": rule, "streams": ["still"]}
    [trial] = client.post("/api/v1/rules/test", json=body).json()["streams"]
    assert trial["fired_count"] == 1
    assert trial["fired"][0]["ended_at"] is None


def test_only_the_time_that_is_asked_for_counts(client: httpx.Client, fresh: Served) -> None:
    first = keep(fresh, 6, stream="times")
    body = {"rule": {"name": "a", "when": {}}, "streams": ["times"], "since": first + 4, "until": first + 5}
    assert client.post("/api/v1/rules/test", json=body).json()["streams"][0]["met"] == 2


def test_a_saved_rule_is_tried_on_the_streams_that_it_applies_to(client: httpx.Client, fresh: Served) -> None:
    fresh.station.set_rule(Rule("a", question="Is it?", streams=("y*",)))
    outcome = client.post("/api/v1/rules/test", json={"name": "a"}).json()
    fresh.station.remove_rule("a")
    assert [one["stream"] for one in outcome["streams"]] == ["yard"]
    assert outcome["questions"] == 0
    problem(client.post("/api/v1/rules/test", json={"name": "b"}), 404)
    problem(client.post("/api/v1/rules/test", json={}), 422)


def test_a_question_is_asked_about_kept_pictures_and_no_more_often_than_allowed(
    client: httpx.Client, fresh: Served
) -> None:
    keep(fresh, 5, stream="asked")
    body = {"rule": {"name": "a", "question": "Is someone there?", "confirm": 1}, "streams": ["asked"]}
    [silent] = client.post("/api/v1/rules/test", json=body).json()["streams"]
    assert (silent["unknown"], silent["met"]) == (5, 0)
    asked = client.post("/api/v1/rules/test", json={**body, "ask": True, "budget": 70}).json()
    assert (asked["questions"], asked["complete"], asked["streams"][0]["met"]) == (5, True, 5)
    few = client.post("/api/v1/rules/test", json={**body, "ask": True, "questions": 2}).json()
    assert (few["questions"], few["complete"], few["streams"][0]["met"]) == (2, False, 2)
    assert problem(client.post("/api/v1/rules/test", json={**body, "questions": 201}), 422)["field"] == "questions"


def test_a_back_test_says_what_it_found_when_its_time_is_over(tmp_path: Path) -> None:
    short = replace(GENEROUS, backtest_seconds=0.0)
    with serving(tmp_path, of_streams("gate"), limits=short) as served, served.client() as client:
        keep(served, 3)
        body = {"rule": {"name": "a", "when": {}}, "streams": ["kept"]}
        outcome = client.post("/api/v1/rules/test", json=body).json()
        assert outcome["complete"] is False
        assert outcome["streams"][0]["met"] == 0


def test_more_back_tests_than_allowed_have_to_wait(tmp_path: Path) -> None:
    none = replace(GENEROUS, backtests=0)
    with serving(tmp_path, of_streams("gate"), limits=none) as served, served.client() as client:
        answer = client.post("/api/v1/rules/test", json={"rule": {"name": "a", "when": {}}})
        problem(answer, 429)
        assert answer.headers["retry-after"] == "10"
