"""Rules: what is looked for in a live stream, and when an alert of it begins and ends. No I/O, no clock."""

from streamer.rules.backtesting import Backtest, Fired, backtest
from streamer.rules.conditions import Condition
from streamer.rules.rule import Rule
from streamer.rules.schedule import Schedule, TimeRange
from streamer.rules.shapes import Line, Polygon
from streamer.rules.watching import Change, RuleWatcher, WatchState

__all__ = [
    "Backtest",
    "Change",
    "Condition",
    "Fired",
    "Line",
    "Polygon",
    "Rule",
    "RuleWatcher",
    "Schedule",
    "TimeRange",
    "WatchState",
    "backtest",
]
