"""Rules and conditions out of TOML and JSON: what can be written comes back, what is wrong is said with its place."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given

from streamer.errors import OptionError
from streamer.rules import Condition, Line, Polygon, Rule, Schedule
from streamer.tasks import Task
from tests.rules.scenes import LADDER, LEFT_HALF, conditions, rules, schedules, thing

WRITTEN = """
name = "gate at night"
streams = ["gate-*"]
confirm = 3
cooldown_seconds = 120
severity = "critical"
channels = ["phone"]

[when]
labels = ["Person", "dog "]
at_least = 2
zone = [[0, 0], [1, 0], [1, 1]]
dwell_seconds = 10

[schedule]
days = ["fri", "mon"]
from = "22:00"
to = "06:00"
zone = "Europe/Berlin"
"""


def test_a_rule_out_of_toml() -> None:
    rule = Rule.from_mapping(tomllib.loads(WRITTEN))
    assert rule.when == Condition(
        ("person", "dog"), at_least=2, zone=Polygon(((0, 0), (1, 0), (1, 1))), dwell_seconds=10
    )
    assert (rule.confirm, rule.release, rule.cooldown_seconds, rule.severity) == (3, 3, 120, "critical")
    assert rule.schedule is not None
    assert rule.schedule.ranges[0].days == ("mon", "fri")
    assert rule.labels == ("person", "dog")
    assert rule.task() is None
    assert rule.title == "at least 2 × person or dog in the zone for 10 s"


@given(rule=rules)
def test_a_rule_comes_back_from_json(rule: Rule) -> None:
    assert Rule.from_mapping(json.loads(json.dumps(rule.to_mapping()))) == rule


@given(condition=conditions)
def test_a_condition_comes_back_from_json(condition: Condition) -> None:
    assert Condition.from_mapping(json.loads(json.dumps(condition.to_mapping()))) == condition


@given(schedule=schedules)
def test_a_schedule_comes_back_from_json(schedule: Schedule) -> None:
    assert Schedule.from_mapping(json.loads(json.dumps(schedule.to_mapping()))) == schedule


@given(rule=rules)
def test_a_title_is_one_line_with_words(rule: Rule) -> None:
    assert rule.title.strip()
    assert len(rule.title.splitlines()) == 1


def test_a_question_is_a_task_of_its_own_name() -> None:
    assert LADDER.task() == Task.check("Is someone on the ladder?", name="rule:ladder")
    assert LADDER.labels == ()
    assert LADDER.title == "Is someone on the ladder? Yes."
    assert Rule("empty", question="Is anyone\n there?", answer=False).title == "Is anyone there? No."


def test_streams_are_patterns_with_case() -> None:
    rule = Rule("gates", question="Open?", streams=("gate-*", "yard"))
    assert [rule.applies_to(name) for name in ("gate-1", "yard", "yard2", "Gate-1")] == [True, True, False, False]
    assert LADDER.applies_to("anything")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": None}, "rules[2].name: None"),
        ({"name": ""}, "rules[2].name: ''"),
        ({"name": " a"}, "rules[2].name: ' a'"),
        ({"name": "a\nb"}, "rules[2].name: 'a\\nb'"),
        ({"name": "a" * 61}, "rules[2].name: 'aaa"),
        ({"name": 7}, "rules[2].name: 7 cannot be used; expected a text"),
        ({"confrim": 3}, "rules[2].confrim: 3 cannot be used; expected no such setting here; there are name, question"),
        ({"confirm": 0}, "rules[2].confirm: 0 cannot be used; expected a whole number from 1"),
        ({"confirm": True}, "rules[2].confirm: True cannot be used; expected a whole number"),
        ({"confirm": 2.0}, "rules[2].confirm: 2.0"),
        ({"release": 0}, "rules[2].release: 0"),
        ({"cooldown_seconds": "60"}, "rules[2].cooldown_seconds: '60' cannot be used; expected a number"),
        ({"cooldown_seconds": float("nan")}, "rules[2].cooldown_seconds: nan"),
        ({"cooldown_seconds": 10**400}, "rules[2].cooldown_seconds: 1e+300"),
        ({"cooldown_seconds": -1}, "rules[2].cooldown_seconds: -1"),
        ({"severity": "loud"}, "rules[2].severity: 'loud' cannot be used; expected one of info, warning, critical"),
        ({"enabled": "yes"}, "rules[2].enabled: 'yes' cannot be used; expected true or false"),
        ({"streams": "gate"}, "rules[2].streams: 'gate' cannot be used; expected a list of texts"),
        ({"streams": ["gate", 3]}, "rules[2].streams[1]: 3"),
        ({"channels": [""]}, "rules[2].channels: ['']"),
        ({"question": "  "}, "rules[2].question: '  '"),
        ({"question": None}, "rules[2].question: None"),
        ({"when": {}}, "not both"),
        ({"question": None, "when": {}, "answer": False}, "rules[2].answer: False"),
        ({"when": []}, "rules[2].when: []"),
        ({"when": {"label": "car"}}, "rules[2].when.label: 'car'"),
        ({"when": {"labels": ["all"]}}, "rules[2].when.labels: ['all'] cannot be used; expected no labels"),
        ({"when": {"event": "arrives"}}, "rules[2].when.event: 'arrives'"),
        ({"when": {"zone": [[0, 0], [1, 0]]}}, "rules[2].when.zone: '2 points'"),
        ({"when": {"zone": [[0, 0], [1, 0], [1, 2]]}}, "rules[2].when.zone[2]: [1.0, 2.0]"),
        ({"when": {"zone": [[0, 0], [1, 0], [1]]}}, "rules[2].when.zone[2]: [1] cannot be used; expected a point"),
        ({"when": {"line": [[0, 0], [1, 0]]}}, "rules[2].when.line: [[0, 0], [1, 0]]"),
        ({"when": {"line": {"direction": "left"}}}, "rules[2].when.line.points: None"),
        ({"when": {"line": {"points": [[0, 0], [1, 0]], "direction": "up"}}}, "rules[2].when.line.direction: 'up'"),
        ({"schedule": {"days": ["monday"]}}, "rules[2].schedule.days: ['monday']"),
        ({"schedule": {"from": "7:00"}}, "rules[2].schedule.from: '7:00'"),
        ({"schedule": {"from": "24:00"}}, "rules[2].schedule.from: '24:00'"),
        ({"schedule": {"from": "07:00", "to": "07:00"}}, "rules[2].schedule.to: '07:00'"),
        ({"schedule": {"zone": "Mars/Olympus"}}, "rules[2].schedule.zone: 'Mars/Olympus'"),
        ({"schedule": {"zone": "Europe"}}, "rules[2].schedule.zone: 'Europe'"),
        ({"schedule": {"zone": "../etc/passwd"}}, "rules[2].schedule.zone: '../etc/passwd'"),
        ({"schedule": {"ranges": []}}, "rules[2].schedule.ranges: []"),
        ({"schedule": {"ranges": [{}, {"to": "x"}]}}, "rules[2].schedule.ranges[1].to: 'x'"),
        ({"schedule": {"ranges": [{}], "from": "07:00"}}, "rules[2].schedule.from: '07:00'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        Rule.from_mapping({"name": "ladder", "question": "Is someone there?", **change}, "rules[2]")
    assert said in str(caught.value)


@pytest.mark.parametrize("mapping", [None, [], "rule", 3])
def test_what_is_no_table_is_refused(mapping: object) -> None:
    with pytest.raises(OptionError, match=r"^rules\[0\]: "):
        Rule.from_mapping(mapping, "rules[0]")


@pytest.mark.parametrize(
    "fields",
    [
        {"line": Line(((0, 0), (1, 1))), "at_least": 1},
        {"line": Line(((0, 0), (1, 1))), "zone": LEFT_HALF},
        {"line": Line(((0, 0), (1, 1))), "event": "appears"},
        {"line": Line(((0, 0), (1, 1))), "dwell_seconds": 1.0},
        {"event": "appears", "at_least": 2},
        {"event": "leaves", "at_most": 0},
        {"event": "leaves", "dwell_seconds": 3.0},
        {"dwell_seconds": 3.0, "at_most": 0},
        {"dwell_seconds": 0.0},
        {"at_least": 3, "at_most": 2},
        {"at_least": 0},
        {"at_least": -1},
        {"at_most": 1001},
        {"labels": ("",)},
        {"anchor": "top"},
    ],
)
def test_conditions_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Condition(**fields)


@pytest.mark.parametrize(
    ("condition", "title"),
    [
        (Condition(), "object present"),
        (Condition(("person",), at_most=0, zone=LEFT_HALF), "no person in the zone"),
        (Condition(("car",), at_least=2, at_most=2), "2 × car"),
        (Condition(("car",), at_least=2, at_most=4), "2 to 4 × car"),
        (Condition(("car", "bus"), at_most=4), "at most 4 × car or bus"),
        (Condition(event="leaves", zone=LEFT_HALF), "an object leaves the zone"),
        (Condition(("car",), event="appears"), "car appears"),
        (Condition(("car",), line=Line(((0, 0), (1, 1)), "left")), "car crosses the line to the left"),
    ],
)
def test_titles_say_what_is_looked_for(condition: Condition, title: str) -> None:
    assert Rule("rule", when=condition).title == title


def test_an_object_is_where_it_stands_or_where_its_centre_is() -> None:
    assert Condition().point(thing(0.5, 0.8)) == pytest.approx((0.5, 0.8))
    assert Condition(anchor="centre").point(thing(0.5, 0.8)) == pytest.approx((0.5, 0.78))
