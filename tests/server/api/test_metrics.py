"""What Prometheus is told."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from streamer.rules import Rule
from streamer.server.metrics import BUCKETS, Histogram
from tests.server.api.serving import Served, alert, eventually, of_streams, serving

ODD = 'yard "north"\\n{x="y"}'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("metrics"), of_streams("gate", ODD), open_locally=True) as served:
        served.station.set_rule(Rule("person", question="Is someone there?", streams=("gate",), confirm=1))
        yield served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = tuple(sorted(sample.labels.items()))
            assert key not in found.setdefault(sample.name, {}), "told twice"
            found[sample.name][key] = sample.value
    return found


@given(st.lists(st.floats(0, 100), max_size=50))
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    buckets = dict(histogram.buckets())
    assert buckets["+Inf"] == len(values)
    for bound in BUCKETS:
        assert buckets[str(bound)] == sum(value <= bound for value in values)
    assert histogram.sum == pytest.approx(sum(values))


def test_what_the_job_does_is_counted(client: httpx.Client) -> None:
    key = (("stream", "gate"),)

    def counted() -> dict[str, dict[tuple[tuple[str, str], ...], float]] | None:
        answer = client.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        found = samples(answer.text)
        there = found.get("streamer_model_seconds_count", {}).get(key, 0) >= 3 and found.get("streamer_alerts_total")
        return found if there else None

    found = eventually(counted)
    assert found["streamer_stream_up"] == {key: 1.0, (("stream", ODD),): 1.0}
    assert found["streamer_analysed_fps"][key] > 0
    assert found["streamer_pictures_fps"][key] > 0
    frames = found["streamer_frames_total"]
    assert frames[("outcome", "analysed"), ("stream", "gate")] >= 3
    assert {dict(one)["reason"] for one in found["streamer_skipped_frames_total"]} == {
        "replaced", "stale", "paused", "dropped",
    }  # fmt: skip
    assert found["streamer_age_seconds_count"][key] == found["streamer_model_seconds_count"][key]
    assert found["streamer_age_seconds_bucket"][("le", "+Inf"), ("stream", "gate")] >= 3
    assert found["streamer_tokens_total"][("kind", "output"), ("stream", "gate")] > 0
    assert found["streamer_forwards_total"][key] > 0
    assert found["streamer_alerts_total"] == {(("rule", "person"), ("severity", "warning"), ("stream", "gate")): 1.0}
    assert found["streamer_rule_active"] == {(("rule", "person"), ("stream", "gate")): 1.0}
    assert found["streamer_viewers"] == {(): 3.0}
    assert found["streamer_history_up"] == {(): 1.0}
    assert "streamer_history_waiting_results" in found
    assert found["streamer_deliver_seconds_count"][key] == found["streamer_age_seconds_count"][key]
    assert found["streamer_model_waiting"].keys() == {(("kind", "frames"),), (("kind", "questions"),)}
    assert found["streamer_jobs_waiting"] == {(): 0.0}
    assert found["process_resident_memory_bytes"][()] > 1e6
    assert found["process_threads"][()] > 3


def test_prometheus_finds_nothing_wrong(client: httpx.Client) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    text = client.get("/metrics").content
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_who_sees_some_streams_gets_their_numbers_alone(client: httpx.Client, served: Served) -> None:
    token = served.tokens.create("gatekeeper", "viewer", ["gate"])
    with served.client(token) as keeper:
        text = keeper.get("/metrics").text
    found = samples(text)
    assert found["streamer_stream_up"] == {(("stream", "gate"),): 1.0}
    assert "yard" not in text
    assert not any(name.startswith(("process_", "streamer_history", "streamer_notices")) for name in found)


def test_a_removed_stream_is_forgotten(tmp_path: Path) -> None:
    with serving(tmp_path, of_streams("gate", "yard")) as served, served.client() as client:
        metrics = served.app.state.api.metrics
        eventually(lambda: metrics._seen.keys() == {"gate", "yard"})
        served.station.alerting.book._tell(alert(1, "yard"))
        served.station.remove("yard")
        assert metrics._seen.keys() == {"gate"}
        assert "yard" not in client.get("/metrics").text


def test_an_alert_counts_once_however_it_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path, of_streams("gate")) as served, served.client() as client:
        new = alert(1)
        for change in (new, replace(new, revision=2, phase="update"), replace(new, revision=3, phase="end")):
            served.station.alerting.book._tell(change)
        assert list(samples(client.get("/metrics").text)["streamer_alerts_total"].values()) == [1.0]


def test_a_closed_one_follows_no_more(tmp_path: Path) -> None:
    with serving(tmp_path, of_streams("gate")) as served, served.client() as client:
        metrics = served.app.state.api.metrics
        metrics.close()
        before = samples(client.get("/metrics").text).get("streamer_model_seconds_count")
        analysed = served.station.monitor.status("gate").counts.get("analysed", 0)
        eventually(lambda: served.station.monitor.status("gate").counts.get("analysed", 0) > analysed + 2)
        assert samples(client.get("/metrics").text).get("streamer_model_seconds_count") == before
