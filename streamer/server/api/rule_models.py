"""Rules and their back-tests as documents, with the names and limits of `streamer.rules`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from streamer.alerts import Severity
from streamer.errors import OptionError
from streamer.rules import Fired, Rule
from streamer.server.api.models import Flag, Number, Pattern
from streamer.server.parts import DetectionPart, Label, Part, Strict

RuleName = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Whole = Annotated[int, Field(strict=True)]
Count = Annotated[Whole, Field(ge=0, le=1000)]
Frames = Annotated[Whole, Field(ge=1, le=1000)]
Share = Annotated[Number, Field(ge=0, le=1)]
Point = tuple[Share, Share]
Moment = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False, description="Unix seconds")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class LinePart(Strict):
    points: tuple[Point, Point]
    direction: Literal["any", "left", "right"] = "any"


class ConditionPart(Strict):
    """What must be seen in the picture; which fields go together is said by the errors."""

    labels: Annotated[tuple[Label, ...], Field(max_length=100)] = ()
    at_least: Count | None = None
    at_most: Count | None = None
    zone: Annotated[tuple[Point, ...], Field(min_length=3, max_length=64)] | None = None
    anchor: Literal["bottom", "centre"] = "bottom"
    line: LinePart | None = None
    dwell_seconds: Annotated[Number, Field(gt=0, le=86_400)] | None = None
    event: Literal["present", "appears", "leaves"] = "present"


class RangePart(Strict):
    days: Annotated[tuple[Day, ...], Field(max_length=7)] = ()
    start: Clock = Field(default="00:00", alias="from")
    end: Clock = Field(default="24:00", alias="to")


class SchedulePart(RangePart):
    """One range, or several of them in ``ranges``."""

    ranges: Annotated[tuple[RangePart, ...], Field(min_length=1, max_length=50)] | None = None
    zone: Annotated[str, Field(max_length=100)] | None = None


class RuleBody(Strict):
    """What makes a rule, without its name: either a ``question`` or ``when``."""

    question: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    answer: Flag | None = Field(
        default=None, description="Of the question, true by default: which answer makes the rule hold"
    )
    when: ConditionPart | None = None
    streams: Annotated[tuple[Pattern, ...], Field(max_length=100)] = ()
    confirm: Frames = 2
    release: Frames = 3
    cooldown_seconds: Annotated[Number, Field(ge=0, le=604_800)] = 60.0
    schedule: SchedulePart | None = None
    severity: Severity = "warning"
    enabled: Flag = True
    describe: Flag = True
    channels: Annotated[tuple[Pattern, ...], Field(max_length=100)] = ()

    def rule(self, name: str) -> Rule:
        """Raises `OptionError` that names the field."""
        given = self.model_dump(exclude_unset=True, exclude_none=True, by_alias=True)
        if self.schedule and self.schedule.ranges:
            given["schedule"] = _without_defaults(given["schedule"])
        try:
            return Rule.from_mapping({**given, "name": name}, "rule")
        except OptionError as error:
            option = error.option.removeprefix("rule.")
            raise OptionError(option, error.value, error.expected) from None


def _without_defaults(schedule: dict[str, Any]) -> dict[str, Any]:
    """Without what stands beside ``ranges`` in what was got, so that it can be set again."""
    whole_day = {"days": (), "from": "00:00", "to": "24:00"}
    return {key: value for key, value in schedule.items() if key not in whole_day or value != whole_day[key]}


class NewRule(RuleBody):
    """What a rule is set to; ``name`` may stand in it, as it does in what was got."""

    name: RuleName | None = None


class RulePart(RuleBody):
    name: RuleName

    @classmethod
    def of(cls, rule: Rule, streams: tuple[str, ...] | None = None) -> RulePart:
        """``streams``: shown in the place of the rule's own, for somebody who may not know of all; the channels are
        then not his matter either."""
        values = rule.to_mapping()
        if streams is not None:
            values |= {"streams": list(streams), "channels": []}
        return cls.model_validate(values)


class RuleList(Part):
    rules: tuple[RulePart, ...]


class Trial(Strict):
    """A back-test over what is in the history."""

    rule: RulePart | None = Field(default=None, description="The rule to try; left out: the one called name")
    name: RuleName | None = None
    streams: Annotated[tuple[Pattern, ...], Field(max_length=64)] = Field(
        default=(), description="Names of streams; empty: those that run and that the rule applies to"
    )
    since: Moment | None = None
    until: Moment | None = None
    ask: Flag = Field(
        default=False, description="Ask the model about kept pictures where the question was not asked before"
    )
    ask_again: Flag = Field(default=False, description="Ask it everywhere, for a question that was changed")
    questions: Annotated[Whole, Field(ge=1, le=200)] = 50
    budget: Literal[70, 140, 280, 560, 1120] = 280


class FiredPart(Part):
    """An alert as it would have been."""

    began_at: float
    ended_at: float | None
    reason: str
    end_reason: str | None
    media_seconds: float | None
    detections: tuple[DetectionPart, ...]

    @classmethod
    def of(cls, fired: Fired) -> FiredPart:
        return cls(
            began_at=fired.began_at,
            ended_at=fired.ended_at,
            reason=fired.reason,
            end_reason=fired.end_reason,
            media_seconds=fired.media_seconds,
            detections=tuple(DetectionPart.of(found) for found in fired.detections),
        )


class StreamTrial(Part):
    stream: str
    fired: tuple[FiredPart, ...] = Field(description="At most the first 500")
    fired_count: int
    met: int
    missed: int
    unknown: int
    off_duty: int
    complete: bool = Field(description="False where there was more than the time or the questions were enough for")


class TrialOutcome(Part):
    streams: tuple[StreamTrial, ...]
    questions: int = Field(description="How many the model was asked")
    complete: bool
