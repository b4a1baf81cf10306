"""Roles and per-stream rights on every route of the document."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamer.geometry import Box
from streamer.results import Detection, FrameResult
from streamer.rules import Rule
from streamer.server.api.problems import UNKNOWN
from tests.server.api.serving import OWNER, Served, alert, eventually, jpeg, of_streams, problem, serving

HIDDEN = "vault"
"""The stream that ``gatekeeper`` may not see; in no answer to him may its name stand."""
OPEN = {("GET", "/readyz")}
ADMIN = {
    ("POST", "/api/v1/streams"),
    ("PATCH", "/api/v1/streams/{stream}"),
    ("DELETE", "/api/v1/streams/{stream}"),
    ("POST", "/api/v1/streams/{stream}/restart"),
    ("POST", "/api/v1/streams/{stream}/pause"),
    ("POST", "/api/v1/streams/{stream}/resume"),
    ("PUT", "/api/v1/streams/{stream}/tasks/{task}"),
    ("DELETE", "/api/v1/streams/{stream}/tasks/{task}"),
    ("PUT", "/api/v1/rules/{rule}"),
    ("DELETE", "/api/v1/rules/{rule}"),
    ("POST", "/api/v1/rules/test"),
    ("GET", "/api/v1/history/counts"),
    ("PUT", "/api/v1/history/{result}/correction"),
    ("DELETE", "/api/v1/history/{result}/correction"),
    ("GET", "/api/v1/jobs"),
    ("POST", "/api/v1/jobs"),
    ("GET", "/api/v1/jobs/{job}"),
    ("DELETE", "/api/v1/jobs/{job}"),
    ("GET", "/api/v1/jobs/{job}/results"),
    ("GET", "/api/v1/jobs/{job}/picture.jpg"),
    ("GET", "/api/v1/jobs/{job}/files/{name}"),
    ("POST", "/api/v1/probes"),
    ("GET", "/api/v1/retention"),
    ("PATCH", "/api/v1/retention"),
    ("GET", "/api/v1/channels"),
    ("GET", "/api/v1/channels/{channel}/dead"),
    ("POST", "/api/v1/channels/{channel}/replay"),
    ("POST", "/api/v1/reload"),
    ("GET", "/api/v1/tokens"),
    ("POST", "/api/v1/tokens"),
    ("DELETE", "/api/v1/tokens/{name}"),
}
BODIES: dict[str, Any] = {
    "/api/v1/streams": {"name": "new", "address": "/nowhere"},
    "/api/v1/streams/{stream}": {"fps": 1},
    "/api/v1/streams/{stream}/tasks/{task}": {"kind": "caption"},
    "/api/v1/rules/{rule}": {"question": "Is it?"},
    "/api/v1/rules/test": {"name": "nothing"},
    "/api/v1/channels/{channel}/replay": {},
    "/api/v1/tokens": {"name": "owner"},
    "/api/v1/history/{result}/correction": {"detections": []},
    "/api/v1/probes": {"address": "/nowhere"},
    "/api/v1/streams/{stream}/comparisons": {"variants": [{"budget": 70}, {"budget": 140}]},
    "/api/v1/retention": {"keep_days": 30},
}
QUERIES = {
    path: {"stream": HIDDEN} for path in ("/api/v1/history/results", "/api/v1/history/excerpt", "/api/v1/alerts")
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("rights"), of_streams("gate", HIDDEN), open_locally=False) as served:
        station = served.station
        station.set_rule(Rule("everywhere", question="Is it?", streams=("gate", HIDDEN)))
        station.set_rule(Rule("of one", question="Is it?", streams=(HIDDEN,)))
        for number, stream in enumerate(("gate", HIDDEN), start=1):
            name = station.history.put_picture(stream, time.time(), jpeg())
            clip, path = station.history.new_clip_path(stream, time.time())
            path.write_bytes(b"clip")
            station.history.put_alert(alert(number, stream, rule=f"rule of {stream}", snapshot=name, clip=clip))
            found = (Detection("person", Box(0, 0, 1, 1)),)
            result = FrameResult(stream, 0, 0.0, (320, 180), caption=f"at the {stream}", detections=found)
            station.history.put(result, time.time(), jpeg())
        station.history.flush(10)
        eventually(lambda: len(station.alerting.states()) == 3)
        yield served


@pytest.fixture(scope="module")
def tokens(closed: Served) -> dict[str, str]:
    return {
        "viewer": closed.tokens.create("viewer", "viewer"),
        "gatekeeper": closed.tokens.create("gatekeeper", "viewer", ["gate*"]),
        "admin": closed.tokens.create("admin", "admin"),
    }


@pytest.fixture
def gatekeeper(closed: Served, tokens: dict[str, str]) -> Iterator[httpx.Client]:
    with closed.client(tokens["gatekeeper"]) as client:
        yield client


@pytest.fixture
def owner(closed: Served) -> Iterator[httpx.Client]:
    with closed.client(OWNER) as client:
        yield client


def routes(served: Served) -> list[tuple[str, str]]:
    with served.client(OWNER) as client:
        document = client.get("/api/v1/openapi.json").json()
    return [(method.upper(), path) for path, item in document["paths"].items() for method in item]


def ask(client: httpx.Client, method: str, path: str, names: dict[str, str]) -> httpx.Response:
    filled = re.sub(r"{(\w+)}", lambda found: names[found[1]], path)
    query = {"stream": names["stream"]} if path in QUERIES else {}
    if path == "/api/v1/analyze":
        return client.post(filled, content=jpeg(), headers={"content-type": "image/jpeg"})
    if method in ("POST", "PUT", "PATCH") and path in BODIES:
        return client.request(method, filled, json=BODIES[path])
    return client.request(method, filled, params=query)


def of_stream(served: Served, stream: str) -> dict[str, str]:
    """Names of what belongs to that stream."""
    [found] = served.station.history.alerts(stream, f"rule of {stream}")
    names = {"stream": stream, "rule": "of one", "alert": found.id, "task": "caption", "channel": "x"}
    return {**names, "snapshot": found.snapshot or "", "clip": found.clip or "", **NOTHING}


NOTHING = {"name": "x", "result": "999999", "job": "none"}
"""Names of what is only there for admins, or nowhere."""
NOBODY = {"stream": "nobody", "rule": "nothing", "alert": "f" * 32, "task": "caption", "channel": "x", **NOTHING}


def test_nothing_is_answered_without_a_token_but_readiness(closed: Served) -> None:
    with closed.client() as client:
        for method, path in routes(closed):
            answer = ask(client, method, path, NOBODY)
            if (method, path) in OPEN:
                assert answer.status_code == 200
            else:
                assert problem(answer, 401)["status"] == 401, path
                assert answer.headers["www-authenticate"] == 'Bearer realm="streamer"'


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic b3duZXI6eA==", f"Token {OWNER}", f"Bearer {OWNER}x", f"{OWNER}"]
)
def test_a_token_counts_only_as_a_bearer(closed: Served, header: str) -> None:
    with closed.client(authorization=header) as client:
        problem(client.get("/api/v1/streams"), 401)
        problem(client.get("/api/v1/streams", params={"token": OWNER, "access_token": OWNER}), 401)
    closed.app.state.api.attempts._wrong.clear()


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/streams", "/readyz", "/api"])
@pytest.mark.parametrize("end", ["%0A", "%0D%0A", "%00", "/", "//", ";x"])
def test_no_other_spelling_of_a_path_goes_by_the_gate(closed: Served, path: str, end: str) -> None:
    with closed.client() as client:
        problem(client.get(path + end), 401)


@pytest.mark.parametrize("who", ["viewer", "gatekeeper"])
def test_what_changes_something_needs_an_admin(closed: Served, tokens: dict[str, str], who: str) -> None:
    known = (NOBODY, of_stream(closed, "gate"), of_stream(closed, HIDDEN))
    with closed.client(tokens[who]) as client:
        for method, path in routes(closed):
            for names in known:
                answer = ask(client, method, path, names)
                if (method, path) in ADMIN:
                    problem(answer, 403)
                else:
                    assert answer.status_code in (200, 404), (method, path, answer.text)


def test_an_admin_is_refused_nowhere(closed: Served, tokens: dict[str, str]) -> None:
    with closed.client(tokens["admin"]) as client:
        for method, path in routes(closed):
            assert ask(client, method, path, NOBODY).status_code not in (401, 403), (method, path)


def test_a_stream_that_may_not_be_seen_is_like_one_that_is_not_there(closed: Served, gatekeeper: httpx.Client) -> None:
    names = of_stream(closed, HIDDEN)
    for method, path in routes(closed):
        hidden = ask(gatekeeper, method, path, names)
        missing = ask(gatekeeper, method, path, NOBODY)
        assert hidden.status_code == missing.status_code, (method, path)
        if hidden.status_code >= 400:
            assert hidden.content == missing.content, (method, path)
        elif "{" in path:
            pytest.fail(f"{method} {path} is answered")


def test_its_name_stands_in_no_answer(closed: Served, gatekeeper: httpx.Client) -> None:
    known = (of_stream(closed, HIDDEN), of_stream(closed, "gate"), NOBODY)
    for method, path in routes(closed):
        for names in known:
            answer = ask(gatekeeper, method, path, names)
            assert HIDDEN not in answer.content.decode("latin-1"), (method, path)
            assert HIDDEN not in str(answer.headers)


@pytest.mark.parametrize(
    "query",
    [
        {"text": HIDDEN},
        {"text": "at the"},
        {"stream": HIDDEN},
        {"stream": [HIDDEN, "gate"]},
        {"rule": f"rule of {HIDDEN}"},
        {"label": "person"},
        {"has_alert": "true"},
    ],
)
def test_a_search_finds_what_may_be_seen(gatekeeper: httpx.Client, query: dict[str, Any]) -> None:
    found = gatekeeper.get("/api/v1/history", params=query).json()["results"]
    assert {one["stream"] for one in found} <= {"gate"}
    listed = gatekeeper.get("/api/v1/alerts", params={k: v for k, v in query.items() if k in ("stream", "rule")}).json()
    assert {one["stream"] for one in listed["alerts"]} <= {"gate"}


def test_he_sees_what_is_his(closed: Served, gatekeeper: httpx.Client) -> None:
    names = of_stream(closed, "gate")
    assert [one["stream"] for one in gatekeeper.get("/api/v1/streams").json()["streams"]] == ["gate"]
    assert {one["stream"] for one in gatekeeper.get("/api/v1/alerts").json()["alerts"]} == {"gate"}
    assert gatekeeper.get(f"/api/v1/snapshots/{names['snapshot']}").status_code == 200
    assert gatekeeper.get(f"/api/v1/clips/{names['clip']}").content == b"clip"
    closed.station.history.put_alert(alert(98, "gate"))
    assert gatekeeper.post(f"/api/v1/alerts/{98:032x}/acknowledge").json()["acknowledged_by"] == "gatekeeper"
    rows = gatekeeper.get("/api/v1/history/results", params={"stream": "gate"}).text.splitlines()
    assert json.loads(rows[-1])["rows"] >= 1


def test_pictures_and_clips_of_others_are_unknown(closed: Served, gatekeeper: httpx.Client) -> None:
    names = of_stream(closed, HIDDEN)
    assert problem(gatekeeper.get(f"/api/v1/snapshots/{names['snapshot']}"), 404)["detail"] == UNKNOWN
    assert problem(gatekeeper.get(f"/api/v1/clips/{names['clip']}"), 404)["detail"] == UNKNOWN
    closed.station.history.put_alert(alert(99, HIDDEN))
    problem(gatekeeper.post(f"/api/v1/alerts/{99:032x}/acknowledge"), 404)
    assert closed.station.history.alert(f"{99:032x}").acknowledged_at is None


def test_a_rule_shows_only_the_streams_that_may_be_seen(gatekeeper: httpx.Client, owner: httpx.Client) -> None:
    [rule] = gatekeeper.get("/api/v1/rules").json()["rules"]
    assert (rule["name"], rule["streams"]) == ("everywhere", ["gate"])
    assert len(owner.get("/api/v1/rules").json()["rules"]) == 2


def test_the_server_says_who_one_is(gatekeeper: httpx.Client, owner: httpx.Client) -> None:
    mine = gatekeeper.get("/api/v1/server").json()
    assert (mine["name"], mine["role"], mine["streams"]) == ("gatekeeper", "viewer", ["gate*"])
    assert (mine["can_add"], mine["reloads"]) == (False, None)
    assert owner.get("/api/v1/server").json()["role"] == "admin"


def test_a_token_is_told_once_and_good_until_it_is_removed(closed: Served, owner: httpx.Client) -> None:
    made = owner.post("/api/v1/tokens", json={"name": "new/one", "role": "viewer", "streams": ["gate"]})
    assert made.status_code == 201
    token = made.json()["token"]
    assert token not in owner.get("/api/v1/tokens").text
    assert "new/one" in [one["name"] for one in owner.get("/api/v1/tokens").json()["tokens"]]
    with closed.client(token) as client:
        assert client.get("/api/v1/streams").status_code == 200
        assert problem(owner.post("/api/v1/tokens", json={"name": "new/one"}), 409)["field"] == "name"
        assert owner.delete("/api/v1/tokens/new%2Fone").status_code == 204
        problem(client.get("/api/v1/streams"), 401)
    problem(owner.delete("/api/v1/tokens/new%2Fone"), 404)


def test_an_admin_of_some_streams_cannot_be(owner: httpx.Client) -> None:
    body = {"name": "half", "role": "admin", "streams": ["gate"]}
    assert problem(owner.post("/api/v1/tokens", json=body), 422)["field"] == "streams"


def test_tokens_that_cannot_be_read_let_nobody_in(tmp_path: Path) -> None:
    with serving(tmp_path, of_streams("gate"), open_locally=False) as served:
        token = served.tokens.create("anna", "viewer")
        with served.client(token) as client:
            assert client.get("/api/v1/streams").status_code == 200
            (tmp_path / "data" / "tokens.json").write_text("{")
            problem(client.get("/api/v1/streams"), 503)


def test_a_wrong_token_is_wrong_on_an_open_server_too(tmp_path: Path) -> None:
    with serving(tmp_path, of_streams("gate")) as served, served.client("wrong") as client:
        problem(client.get("/api/v1/streams"), 401)
