"""What a live job keeps: results, alerts, notices, pictures and clips."""

from streamer.history.alerting import AlertCursor
from streamer.history.search import Cursor, Found
from streamer.history.store import Counts, History, HistoryOptions

__all__ = ["AlertCursor", "Counts", "Cursor", "Found", "History", "HistoryOptions"]
