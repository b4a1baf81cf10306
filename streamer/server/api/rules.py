"""Rules, and what they would have done."""

from __future__ import annotations

from fastapi import APIRouter

from streamer.rules import Rule
from streamer.server.access import Access
from streamer.server.api.answers import WITH_BODY, problems
from streamer.server.api.backtests import Replay
from streamer.server.api.context import Context
from streamer.server.api.identity import Admin, Api, Viewer, running
from streamer.server.api.names import Name
from streamer.server.api.problems import Refused, unknown
from streamer.server.api.rule_models import NewRule, RuleList, RulePart, Trial, TrialOutcome

router = APIRouter(prefix="/rules", tags=["rules"])


@router.get("", responses=problems())
def list_rules(api: Api, access: Viewer) -> RuleList:
    """All rules; for a token of some streams those that apply to one of them, with these alone."""
    shown = (_shown(rule, api, access) for rule in api.station.rules)
    return RuleList(rules=tuple(part for part in shown if part is not None))


@router.post("/test", responses=problems(404, *WITH_BODY))
def test_rule(api: Api, access: Admin, trial: Trial) -> TrialOutcome:
    """When the rule would have fired: it is replayed over the history of each stream, by itself and without a trace.

    At most two at the same time. It ends after a minute, and says then how far it came.
    """
    if trial.rule is None and trial.name is None:
        raise Refused(422, "expected a rule, or the name of one", field="rule")
    rule = _find(api, trial.name or "") if trial.rule is None else trial.rule.rule(trial.rule.name)
    with api.backtests.taken() as free:
        if not free:
            raise Refused(429, "enough back-tests are running", headers={"retry-after": "10"})
        streams = trial.streams or tuple(stream for stream in running(api) if rule.applies_to(stream))
        return Replay(api, rule, trial).over(streams)


@router.get("/{rule}", responses=problems(404))
def get_rule(api: Api, access: Viewer, rule: Name) -> RulePart:
    """One rule."""
    shown = _shown(_find(api, rule), api, access)
    if shown is None:
        raise unknown()
    return shown


@router.put("/{rule}", responses=problems(507, *WITH_BODY))
def put_rule(api: Api, access: Admin, rule: Name, body: NewRule) -> RulePart:
    """Puts a rule in the place of the one of that name, or behind the others, and keeps it."""
    if body.name not in (None, rule):
        raise Refused(422, "expected the name that stands in the address, or none", field="name")
    made = body.rule(rule)
    api.station.set_rule(made)
    return RulePart.of(made)


@router.delete("/{rule}", status_code=204, responses=problems(404, 507))
def remove_rule(api: Api, access: Admin, rule: Name) -> None:
    """Removes a rule; its alerts that go on end."""
    api.station.remove_rule(rule)


def _find(api: Context, name: str) -> Rule:
    for rule in api.station.rules:
        if rule.name == name:
            return rule
    raise unknown()


def _shown(rule: Rule, api: Context, access: Access) -> RulePart | None:
    """Without what somebody may not know of; None for a rule that is of no stream of his."""
    if not access.streams:
        return RulePart.of(rule)
    streams = tuple(stream for stream in running(api) if access.sees(stream) and rule.applies_to(stream))
    return RulePart.of(rule, streams[:100]) if streams else None
