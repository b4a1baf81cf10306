"""Every refusal is a problem document that tells no secret: of ours, of the framework, and of the unexpected."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from streamer.configuration import Configuration
from streamer.errors import HistoryError, ModelError, NotifyError, OptionError, OutputError, SourceError, StreamerError
from streamer.server.api.problems import encoded, refused
from tests.server.api.serving import CAMERA, GENEROUS, OWNER, PASSWORD, Served, problem, serving

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("error", "status", "field"),
    [
        (OptionError("fps", PASSWORD, "a number"), 422, "fps"),
        (OptionError("stream", PASSWORD, f"one of {PASSWORD}"), 404, None),
        (SourceError(f"rtsp://me:{PASSWORD}@host/live", "it may not be added here"), 422, "address"),
        (HistoryError(f"postgresql://me:{PASSWORD}@host/db", PASSWORD), 503, None),
        (ModelError("tiny", "too many questions wait for it"), 503, None),
        (OutputError(f"/srv/{PASSWORD}", "it cannot be written"), 507, None),
        (NotifyError("phone", PASSWORD), 500, None),
        (StreamerError(PASSWORD), 500, None),
    ],
)
def test_errors_of_ours_have_their_status_and_tell_no_value(
    error: StreamerError, status: int, field: str | None
) -> None:
    answer = refused(error)
    assert (answer.status_code, answer.field) == (status, field)
    assert PASSWORD not in answer.detail


def test_whatever_is_in_it_becomes_json() -> None:
    values = {"a": "\ud800</script>", "b": [float("inf"), {"c": float("nan")}], "d": "é"}
    assert json.loads(encoded(values)) == {"a": "\ud800</script>", "b": [None, {"c": None}], "d": "é"}


@pytest.mark.parametrize(
    "path", ["/api", "/api/v1", "/api/v1/nothing", "/api/v2/streams", "/nothing", "/api/v1/streams/"]
)
def test_an_unknown_path(client: httpx.Client, path: str) -> None:
    problem(client.get(path), 404)


def test_a_method_that_is_not_there(client: httpx.Client) -> None:
    answer = client.put("/api/v1/streams")
    problem(answer, 405)
    assert answer.headers["allow"]
    problem(client.delete("/metrics"), 405)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 60_000, b'{"fps": ' + b"9" * 5000 + b"}"])
def test_a_body_that_is_no_json(client: httpx.Client, body: bytes) -> None:
    answer = client.patch("/api/v1/streams/gate", content=body, headers=JSON)
    problem(answer, answer.status_code)
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"7"])
def test_a_body_of_another_kind_of_json(client: httpx.Client, body: bytes) -> None:
    assert problem(client.patch("/api/v1/streams/gate", content=body, headers=JSON), 422)["field"] == "body"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_is_not_declared_as_json(client: httpx.Client, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    problem(client.patch("/api/v1/streams/gate", content=b'{"fps": 1}', headers=headers), 415)


def test_a_body_that_is_too_large_is_refused_however_it_comes(client: httpx.Client) -> None:
    large = json.dumps({"tasks": [], "x": "y" * 70_000}).encode()
    problem(client.patch("/api/v1/streams/gate", content=large, headers=JSON), 413)
    pieces = (large[at : at + 1000] for at in range(0, len(large), 1000))
    problem(client.patch("/api/v1/streams/gate", content=pieces, headers=JSON), 413)


def test_a_value_that_was_sent_is_never_quoted(client: httpx.Client) -> None:
    for body in ({"name": "x", "addres": PASSWORD}, {"name": PASSWORD * 50, "address": CAMERA}, {PASSWORD: 1}):
        answer = client.post("/api/v1/streams", json=body)
        values = problem(answer, 422)
        assert PASSWORD not in values["detail"]


def test_script_in_a_name_stays_json(client: httpx.Client) -> None:
    answer = client.get("/api/v1/streams/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    problem(answer, 404)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:1", "http://localhost", ""])
def test_a_page_of_another_origin_changes_nothing(client: httpx.Client, served: Served, origin: str) -> None:
    for method, path in (("POST", "/api/v1/streams/gate/pause"), ("DELETE", "/api/v1/streams/gate")):
        problem(client.request(method, path, headers={"origin": origin}), 403)
    assert not served.station.monitor.status("gate").settings.paused


def test_the_own_page_and_programs_do(client: httpx.Client, served: Served) -> None:
    assert client.post("/api/v1/streams/gate/resume").status_code == 200
    assert client.post("/api/v1/streams/gate/resume", headers={"origin": served.url}).status_code == 200


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Served]:
    """With routes that fail before their answer begins, and after."""
    with serving(tmp_path, Configuration()) as served:
        _break(served.app)
        yield served


def _break(app: FastAPI) -> None:
    @app.get("/api/v1/fault")
    def fault() -> None:
        raise ValueError(PASSWORD)

    @app.get("/api/v1/cut")
    def cut() -> StreamingResponse:
        def rows() -> Iterator[bytes]:
            yield b"a"
            raise ValueError(PASSWORD)

        return StreamingResponse(rows())


def test_an_unexpected_fault_tells_nothing_to_anybody(broken: Served, caplog: pytest.LogCaptureFixture) -> None:
    with broken.client() as client:
        values = problem(client.get("/api/v1/fault"), 500)
        assert PASSWORD not in str(values)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/api/v1/cut")
    assert "ValueError" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_client_is_held_to_its_rate(tmp_path: Path) -> None:
    slow = replace(GENEROUS, rate=5, burst=10)
    with serving(tmp_path, Configuration(), limits=slow) as served, served.client() as client:
        statuses = [client.get("/api/v1/rules").status_code for _ in range(14)]
        assert statuses[:10] == [200] * 10
        answer = client.get("/api/v1/rules")
        problem(answer, 429)
        time.sleep(float(answer.headers["retry-after"]))
        assert client.get("/api/v1/rules").status_code == 200


def test_a_client_has_only_so_many_requests_at_once(tmp_path: Path) -> None:
    """Bodies that do not come hold the places."""
    few = replace(GENEROUS, at_once=2, body_seconds=1.0)
    lines = ("POST /api/v1/tokens HTTP/1.1", "host: localhost", "content-type: application/json", "content-length: 9")
    head = "\r\n".join((*lines, "", "")).encode()
    with serving(tmp_path, Configuration(), limits=few) as served, served.client() as client:
        address = served.url.removeprefix("http://").split(":")
        waiting = [socket.create_connection((address[0], int(address[1]))) for _ in range(2)]
        for one in waiting:
            one.sendall(head)
        problem(_first_refused(client), 429)
        for one in waiting:  # and are not waited for for ever
            with one:
                one.settimeout(5)
                assert one.recv(1000).startswith(b"HTTP/1.1 408")
        assert client.get("/api/v1/rules").status_code == 200


def _first_refused(client: httpx.Client) -> httpx.Response:
    for _ in range(100):
        if (answer := client.get("/api/v1/rules")).status_code != 200:
            return answer
        time.sleep(0.005)
    raise AssertionError("none was refused")


def test_who_guesses_tokens_has_to_wait_and_locks_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path, Configuration(), open_locally=False) as served:
        with served.client("wrong") as client:
            for _ in range(10):
                answer = client.get("/api/v1/rules")
                problem(answer, 401)
                assert answer.headers["www-authenticate"].startswith("Bearer")
            answer = client.get("/api/v1/rules")
            problem(answer, 429)
            assert 1 <= int(answer.headers["retry-after"]) <= 60
        with served.client(OWNER) as client:
            assert client.get("/api/v1/rules").status_code == 200
        with served.client() as client:
            problem(client.get("/api/v1/rules"), 401)


def test_many_clients_at_once_are_all_answered(served: Served) -> None:
    def ask(number: int) -> int:
        with served.client() as client:
            return client.get("/api/v1/streams" if number % 2 else "/metrics").status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(40))) == {200}


def test_nothing_that_was_refused_is_logged_with_its_values(
    served: Served, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.get("/api/v1/rules", headers={"authorization": f"Bearer {PASSWORD}"})
    client.post("/api/v1/streams", json={"name": "x", "address": f"rtsp://me:{PASSWORD}@10.0.0.1/"})
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not any(PASSWORD in record.getMessage() for record in ours)


def test_a_name_of_another_host_is_refused(client: httpx.Client) -> None:
    assert client.get("/api/v1/streams", headers={"host": "evil.example"}).status_code == 421
