"""The OpenAPI document is whole, and the server does what it says, whatever is sent."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from streamer.rules import Rule
from tests.server.api.serving import OWNER, Served, alert, eventually, of_streams, serving

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

EXAMPLES = 8
"""Requests a operation and mode."""
THERE = {
    "stream": "gate",
    "task": "detect",
    "rule": "ladder",
    "alert": f"{1:032x}",
    "name": "x",
    "channel": "x",
    "result": 1,
    "job": "x",
}
METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that needs a token, with something of everything."""
    with serving(tmp_path_factory.mktemp("closed"), of_streams("gate"), open_locally=False) as served:
        served.station.set_rule(Rule("ladder", question="Is someone on the ladder?"))
        served.station.history.put_alert(alert(1))
        served.tokens.create("anna", "viewer")
        eventually(lambda: served.station.history.search(limit=1))
        yield served


@pytest.fixture(scope="module")
def document(closed: Served) -> dict[str, Any]:
    with closed.client(OWNER) as client:
        found: dict[str, Any] = client.get("/api/v1/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_it_is_openapi_31_with_every_route(closed: Served, document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    routes = {(method.upper(), path) for method, path, _ in operations(document)}
    assert ("GET", "/api/v1/streams/{stream}/picture.jpg") in routes
    assert ("POST", "/api/v1/analyze") in routes
    assert ("GET", "/api/v1/history/excerpt") in routes
    assert ("GET", "/metrics") in routes
    assert len(routes) >= 35
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}


def test_each_operation_says_what_it_does_and_all_its_errors(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert operation["description"], (method, path)
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                [(kind, content)] = answer["content"].items()
                assert kind == "application/problem+json", (path, status)
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert {"401", "403", "429", "500", "503"} <= operation["responses"].keys()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r"'#/components/schemas/([^']+)'", str(document)))
    assert names
    assert names <= document["components"]["schemas"].keys()


def test_no_operation_takes_a_token_in_its_address(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        assert not any(one["name"] == "token" for one in operation.get("parameters", ())), path


@pytest.mark.parametrize("mode", ["positive", pytest.param("negative", marks=pytest.mark.slow), "of what is there"])
@pytest.mark.timeout(120)
def test_whatever_is_sent_is_answered_as_documented(closed: Served, document: dict[str, Any], mode: str) -> None:
    from schemathesis.specs.openapi import checks

    excluded = [checks.positive_data_acceptance]  # what goes together is said in words alone
    if mode == "negative":
        excluded.append(checks.negative_data_rejection)  # "5" for 5 in a task, and bodies that are not read at all
    generation = schemathesis.GenerationMode("negative" if mode == "negative" else "positive")
    statuses: Counter[int] = Counter()
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation, more = found.ok(), {}
        if mode == "of what is there":
            if operation.method == "delete" or "{" not in operation.path:
                continue
            more = {"path_parameters": {name: THERE[name] for name in re.findall(r"{(\w+)}", operation.path)}}

        @given(case=operation.as_strategy(generation_mode=generation, **more))
        @settings(
            max_examples=EXAMPLES * (3 if more else 1),
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def answered(case: Any) -> None:
            headers = {"Authorization": f"Bearer {OWNER}"}
            answer = case.call_and_validate(base_url=closed.url, headers=headers, excluded_checks=excluded, timeout=20)
            statuses[answer.status_code] += 1

        with warnings.catch_warnings(action="ignore"), suppress(Unsatisfiable):  # nothing can be wrong about some
            answered()
    assert statuses.total() > 80
    assert statuses.keys() <= {200, 201, 204, 400, 404, 409, 413, 415, 422, 503}
    assert (statuses[200] > 15) == (mode != "negative")
    assert closed.station.monitor.busy
