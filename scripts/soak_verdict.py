"""What ``soak.py`` makes of its samples: whether a long run holds. Values in, values out."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

SLACK_MIB = 12.0
"""Growth that short runs cannot tell from noise."""
MORE_THREADS, MORE_HANDLES, MORE_CHILDREN = 2, 6, 2
"""By which two quiet moments may differ: pools that were not full, connections that end, a command that runs."""
POINTS = 400
"""Of the slope's pairs; more samples are thinned out."""
_HEAD = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ (?P<level>[A-Z]+) ")
_NUMBERS = re.compile(r"\b[0-9a-f]{32}\b|\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Sample:
    """The job at one moment."""

    at: float
    """Seconds since the beginning."""
    phase: str
    """``warm``, ``soak`` or ``quiet``."""
    rss_mib: float
    uss_mib: float
    """What the process has for itself."""
    threads: int
    handles: int
    """Open file descriptors."""
    children: int
    """Processes that it started and that are still there."""
    cpu: float
    """Per cent of a core since the sample before."""
    states: Mapping[str, str]
    """By stream."""
    faults: int
    """Things that are broken now."""
    results_per_second: float
    alerts: int
    """Begun since the beginning."""
    rows: int
    """Results in the history."""
    kept_mib: float
    """Pictures, clips and database, as the history counts them."""
    notices: int
    """Waiting for channels."""
    dead_notices: int

    @property
    def live(self) -> int:
        return sum(state == "live" for state in self.states.values())


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must hold."""

    what: str
    holds: bool
    words: str


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Theil and Sen's: the median of the slopes of all pairs, which a few outliers cannot turn. 0 for fewer than 2."""
    some = points[:: max(1, -(-len(points) // POINTS))]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(some, 2) if b[0] != a[0]]
    return statistics.median(slopes) if slopes else 0.0


def memory_finding(name: str, points: Sequence[tuple[float, float]], most_per_hour: float) -> Finding:
    """``points``: (seconds, MiB) of the time that is judged."""
    if len(points) < 2:
        return Finding(f"{name} is flat", True, "too short a run to tell")
    rise, span = slope(points), points[-1][0] - points[0][0]
    holds = rise * 3600 <= most_per_hour or rise * span <= SLACK_MIB
    lowest, highest = min(value for _, value in points), max(value for _, value in points)
    words = f"{rise * 3600:+.1f} MiB/hour over {span / 60:.1f} min ({lowest:.0f} to {highest:.0f} MiB)"
    return Finding(f"{name} is flat", holds, f"{words}; at most {most_per_hour:g}")


def growth_finding(what: str, before: int, after: int, more: int) -> Finding:
    """Of two moments at which the job has the same to do."""
    return Finding(f"no more {what}", after <= before + more, f"{before} when warm, {after} at the end")


def judged_samples(samples: Sequence[Sample], last: float = 2 / 3) -> list[Sample]:
    """The soak's own samples in the last part of the run."""
    end = max((sample.at for sample in samples if sample.phase == "soak"), default=0.0)
    return [sample for sample in samples if sample.phase == "soak" and sample.at >= (1 - last) * end]


def live_finding(states: Mapping[str, str], wanted: Sequence[str]) -> Finding:
    wrong = {name: states.get(name, "missing") for name in wanted if states.get(name) != "live"}
    wrong |= dict.fromkeys(states.keys() - set(wanted), "should be gone")
    return Finding("every stream is live", not wrong, ", ".join(f"{k}: {v}" for k, v in wrong.items()) or "all of them")


def log_findings(log: str) -> tuple[Finding, Counter[str]]:
    """Whether there are errors in the job's log, and its warnings by their words without numbers."""
    errors, warnings, taking = [], Counter[str](), False
    for line in log.splitlines():
        head = _HEAD.match(line)
        if head is not None:
            taking = head["level"] in ("ERROR", "CRITICAL") or "ResourceWarning" in line
            if not taking:
                warnings[_NUMBERS.sub("N", line[head.end() :])[:160]] += 1
        taking = taking or line.startswith(("Traceback", "Exception in thread", "Exception ignored", "Fatal"))
        if taking:
            errors.append(line)
    begun = sum(
        _HEAD.match(line) is not None or line.startswith(("Traceback", "Exception", "Fatal")) for line in errors
    )
    words = f"{begun} in the log" + "".join(f"\n{line}" for line in errors[:40])
    return Finding("no unhandled error", not errors, words if errors else "none in the log"), warnings


def grown(before: Mapping[str, int], after: Mapping[str, int], most: int = 8) -> list[tuple[str, int, int]]:
    """Types of objects of which there are more, the largest differences first."""
    more = [(name, before.get(name, 0), count) for name, count in after.items() if count > before.get(name, 0)]
    return sorted(more, key=lambda one: one[1] - one[2])[:most]
