"""What a live job keeps: results with what people say of them, alerts, notices, pictures and clips."""

from streamer.history.alerting import AlertCursor
from streamer.history.correcting import Correction
from streamer.history.search import Cursor, Filters, Found
from streamer.history.store import Counts, History, HistoryOptions

__all__ = ["AlertCursor", "Correction", "Counts", "Cursor", "Filters", "Found", "History", "HistoryOptions"]
