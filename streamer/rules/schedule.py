"""When a rule is on duty: weekdays and times of day, as the clock on a wall of that time zone shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from streamer.errors import OptionError
from streamer.reading import Reader, placed, read, text, texts

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_RANGES = 50
_DAY_MINUTES = 24 * 60
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From a time of day until another, on some days of the week."""

    days: tuple[str, ...] = ()
    """``mon`` to ``sun``; a range over midnight belongs to the day on which it begins. Empty: every day."""
    start: str = "00:00"
    """``HH:MM``, the first minute that belongs to it."""
    end: str = "24:00"
    """``HH:MM``, the first minute that does not belong to it any more; before ``start`` it is the next day's."""

    def __post_init__(self) -> None:
        wanted = {day.strip().lower() for day in self.days}
        if unknown := wanted - set(DAYS):
            raise OptionError("days", sorted(unknown), "some of " + ", ".join(DAYS))
        object.__setattr__(self, "days", tuple(day for day in DAYS if day in wanted))
        for option, value in (("from", self.start), ("to", self.end)):
            if not _TIME.fullmatch(value):
                raise OptionError(option, value, 'a time of day such as "22:00"')
        if self.start == "24:00":
            raise OptionError("from", self.start, 'a time of day from "00:00" to "23:59"')
        if self.start == self.end:
            raise OptionError("to", self.end, 'another time than "from"; leave out both for the whole day')

    def holds(self, at_unix: float, zone: tzinfo | None) -> bool:
        """``zone``: None is the machine's own."""
        today = _wall(at_unix, zone).date()
        return any(self._holds_from(today + timedelta(days), at_unix, zone) for days in (-1, 0, 1))

    def _holds_from(self, day: date, at_unix: float, zone: tzinfo | None) -> bool:
        """Whether the range that begins on ``day`` holds then."""
        if self.days and DAYS[day.weekday()] not in self.days:
            return False
        first, last = _minutes(self.start), _minutes(self.end)
        midnight = datetime(day.year, day.month, day.day)
        start = midnight + timedelta(minutes=first)
        end = midnight + timedelta(minutes=last if last > first else last + _DAY_MINUTES)
        return _begun(at_unix, start, zone) and not _over(at_unix, end, zone)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a rule is on duty. Times follow the clock on the wall; no hour is watched in pieces when it is changed: a
    range begins when its first time is shown first, and ends when its last time is shown last."""

    ranges: tuple[TimeRange, ...] = (TimeRange(),)
    """It is on duty in any of them."""
    zone: str | None = None
    """IANA name such as ``Europe/Berlin``; None is the machine's own zone."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.ranges) <= MAX_RANGES:
            raise OptionError("ranges", f"{len(self.ranges)} ranges", f"1 to {MAX_RANGES} ranges")
        if self.zone is not None:
            _zone(self.zone)

    def holds(self, at_unix: float) -> bool:
        """``at_unix``: Unix seconds."""
        zone = None if self.zone is None else _zone(self.zone)
        return any(span.holds(at_unix, zone) for span in self.ranges)

    @classmethod
    def from_mapping(cls, mapping: object, where: str = "schedule") -> Schedule:
        """Of ``{"days": ["mon", "fri"], "from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}``, each of which may
        be left out, or of ``{"ranges": [{"days": …, "from": …, "to": …}, …], "zone": …}``. Raises `OptionError`."""
        values = read(mapping, where, {**_RANGE, "ranges": _ranges, "zone": text})
        single = {key: values[key] for key in _RANGE if key in values}
        if single and "ranges" in values:
            raise OptionError(f"{where}.{next(iter(single))}", next(iter(single.values())), 'it within "ranges"')
        with placed(where):
            return cls(values.get("ranges") or (_range(single),), values.get("zone"))

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values, which `from_mapping` takes back."""
        spans = [_range_mapping(span) for span in self.ranges]
        values = spans[0] if len(spans) == 1 else {"ranges": spans}
        return values if self.zone is None else {**values, "zone": self.zone}


_RANGE: Mapping[str, Reader] = {"days": texts, "from": text, "to": text}


def _ranges(value: object, where: str) -> tuple[TimeRange, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise OptionError(where, value, 'a list of {"days": …, "from": …, "to": …}')
    spans = []
    for place, item in enumerate(value):
        spot = f"{where}[{place}]"
        values = read(item, spot, _RANGE)
        with placed(spot):
            spans.append(_range(values))
    return tuple(spans)


def _range(values: Mapping[str, Any]) -> TimeRange:
    names = {"days": "days", "from": "start", "to": "end"}
    return TimeRange(**{names[key]: value for key, value in values.items()})


def _range_mapping(span: TimeRange) -> dict[str, Any]:
    return {"days": list(span.days), "from": span.start, "to": span.end}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):  # no such name, a path, a folder of names
        raise OptionError("zone", name, 'a time zone such as "Europe/Berlin"') from None


def _minutes(time_of_day: str) -> int:
    hours, minutes = time_of_day.split(":")
    return int(hours) * 60 + int(minutes)


def _wall(at_unix: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at_unix, zone).replace(tzinfo=None)


def _begun(at_unix: float, wall: datetime, zone: tzinfo | None) -> bool:
    """Whether the clock has come to ``wall``, which an hour shown twice shows at its first time; past it where the
    clock leaps over it."""
    return _wall(at_unix, zone) >= wall or at_unix >= wall.replace(tzinfo=zone, fold=0).timestamp()


def _over(at_unix: float, wall: datetime, zone: tzinfo | None) -> bool:
    """The same for an end, at its last time."""
    return _wall(at_unix, zone) >= wall and at_unix >= wall.replace(tzinfo=zone, fold=1).timestamp()
