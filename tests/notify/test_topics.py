"""Topics and Home Assistant's ids: two things never share one, and every one is legal."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamer.errors import OptionError
from streamer.notify import discovery
from streamer.notify.topics import Topics, checked_prefix, slug

LETTERS = st.characters() | st.sampled_from("ab-_/+#$\0 Aé")
NAME = st.text(LETTERS, max_size=60) | st.sampled_from(["analysis", "alerts", "available", "a", "a-b", "a_b", "A", ""])
TOPICS = Topics("home/streamer")


@given(NAME, NAME)
@example("Front door", "front-door")
@example("a", "A")
@example("", "_")
@example("x" * 60, "x" * 61)
@example("front-door_91b2dbada3ab", "Front door")
def test_two_names_never_share_a_slug(one: str, other: str) -> None:
    assert (slug(one) == slug(other)) is (one == other)
    assert re.fullmatch(r"[a-z0-9_-]{1,53}", slug(one))


def topics_of(stream: str, rule: str) -> list[str]:
    return [
        TOPICS.available,
        TOPICS.alerts(stream),
        TOPICS.state(stream, rule),
        TOPICS.attributes(stream, rule),
        TOPICS.analysis_set(stream),
        TOPICS.analysis_state(stream),
        discovery.sensor_topic(TOPICS, "homeassistant", stream, rule),
        discovery.switch_topic(TOPICS, "homeassistant", stream),
    ]


@given(NAME, NAME)
@example("analysis", "analysis")
@example("available", "alerts")
def test_topics_are_legal_and_all_different(stream: str, rule: str) -> None:
    topics = topics_of(stream, rule)
    assert len(set(topics)) == len(topics)
    for topic in topics:
        assert re.fullmatch(r"[a-z0-9_-]+(/[a-z0-9_-]+)+", topic)


@given(st.tuples(NAME, NAME), st.tuples(NAME, NAME))
@example(("a-b", "c"), ("a", "b-c"))
@example(("a", "_"), ("a_", ""))
def test_two_pairs_never_share_a_topic_or_an_id(one: tuple[str, str], other: tuple[str, str]) -> None:
    if one == other:
        return
    assert TOPICS.state(*one) not in topics_of(*other)
    assert TOPICS.attributes(*one) not in topics_of(*other)
    assert TOPICS.entity(*one) != TOPICS.entity(*other)
    ids = {discovery.sensor(TOPICS, *pair)["unique_id"] for pair in (one, other)}
    ids |= {discovery.switch(TOPICS, stream)["unique_id"] for stream in {one[0], other[0]}}
    assert len(ids) == 2 + len({one[0], other[0]})


def test_a_name_can_be_read_in_its_topic() -> None:
    assert TOPICS.state("gate", "person-at-night") == "home/streamer/gate/person-at-night/state"
    assert TOPICS.alerts("Front door") == "home/streamer/front-door_91b2dbada3ab/alerts"


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a+", "#", "$SYS", "a b", "a\0", "x" * 101])
def test_prefixes_that_cannot_be(prefix: str) -> None:
    with pytest.raises(OptionError, match="prefix"):
        checked_prefix("prefix", prefix)


def test_prefixes_that_can_be() -> None:
    assert [checked_prefix("prefix", prefix) for prefix in ("streamer", "home/Über-1")] == ["streamer", "home/Über-1"]
