"""A batch of results becomes rows: one each, but none for an answer that only stands longer."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import DataError, IntegrityError, NotSupportedError

from streamer.errors import HistoryError
from streamer.history.database import Database
from streamer.history.rows import LONGEST_SECONDS, key, label_key, result_document, texts_of
from streamer.history.schema import FILES, LABELS, RESULTS
from streamer.history.shelf import Shelf
from streamer.history.words import indexed
from streamer.history.writing import Waiting
from streamer.results import FrameResult

log = logging.getLogger(__name__)

_MOST_STREAMS = 1000
"""Whose newest rows are remembered."""


@dataclass(slots=True, eq=False)
class _Row:
    """A row of a stream that is written or about to be."""

    result: FrameResult
    values: dict[str, Any]
    files: list[dict[str, Any]]
    id: int | None = None
    """None where it is not written yet."""

    @classmethod
    def of(cls, entry: Waiting, home: str) -> _Row:
        """Raises `ValueError` or `TypeError` for a result that cannot be written."""
        if not math.isfinite(entry.at):
            raise ValueError(f"{entry.at} is no time")
        values = {
            "stream": key(entry.result.stream),
            "at": entry.at,
            "until": entry.at,
            "words": indexed(texts_of(entry.result)),
            "document": result_document(entry.result),
            "picture": entry.picture,
        }
        file = {"name": entry.picture, "kind": "result", "home": home, "at": entry.at, "bytes": entry.bytes}
        return cls(entry.result, values, [file] if entry.picture else [])

    def stands(self, entry: Waiting) -> bool:
        """Whether the result says only that this row is still true."""
        near = abs(entry.at - self.values["at"]) <= LONGEST_SECONDS
        return near and entry.result.reused and _same(self.result, entry.result)

    @property
    def labels(self) -> set[str]:
        return {label_key(detection.label) for detection in self.result.detections}


class Recorder:
    """Writes batches; used by one thread at a time."""

    def __init__(self, database: Database, shelf: Shelf, faults: dict[str, str]) -> None:
        """``faults`` is told where pictures cannot be written; their rows are written without them."""
        self._database, self._shelf, self._faults = database, shelf, faults
        self._newest: dict[str, _Row] = {}
        self.refused = 0
        """Results that cannot be written however often it is tried."""

    def write(self, batch: Sequence[Waiting]) -> None:
        """In one transaction. Raises `HistoryError` where it should be tried again; it then does no harm.

        What the database refuses for its content is counted and left out.
        """
        try:
            self._write(batch)
        except (HistoryError, ValueError, TypeError, OverflowError) as error:
            if _is_passing(error):
                raise
            if len(batch) > 1:
                for entry in batch:
                    self.write([entry])
                return
            self.refused += 1
            log.warning("stream %s: a result cannot be kept: %s", batch[0].result.stream, error)

    def _write(self, batch: Sequence[Waiting]) -> None:
        newest, new, longer = dict(self._newest), list[_Row](), list[_Row]()
        for entry in batch:
            row = newest.get(entry.result.stream)
            if row is not None and row.stands(entry):
                row.values["until"] = max(row.values["until"], entry.at)
                if row.id is not None and row not in longer:
                    longer.append(row)
            else:
                self._save_picture(entry)
                row = newest[entry.result.stream] = _Row.of(entry, self._shelf.home)
                new.append(row)
        with self._database.writing() as connection:
            new += [row for row in longer if not _prolong(connection, row)]
            ids = _insert(connection, new)
        for row, id in zip(new, ids, strict=True):
            row.id = id
        self._newest = newest if len(newest) <= _MOST_STREAMS else {}

    def _save_picture(self, entry: Waiting) -> None:
        """Once, however often the row is tried."""
        if entry.jpeg is None or entry.picture is not None:
            return
        try:
            name = self._shelf.new_name("pictures", entry.result.stream, entry.at)
            self._shelf.save(name, entry.jpeg)
        except HistoryError as error:
            if "pictures" not in self._faults:
                log.warning("results are kept without their pictures: %s", error)
                self._faults["pictures"] = str(error)  # one text, though each picture has a name of its own
        else:
            entry.picture = name
            self._faults.pop("pictures", None)


def _same(before: FrameResult, after: FrameResult) -> bool:
    return (before.caption, before.detections, before.answers, before.error) == (
        after.caption, after.detections, after.answers, after.error,
    )  # fmt: skip


def _prolong(connection: Connection, row: _Row) -> bool:
    """False where it has been removed since; its picture is gone, too."""
    done = connection.execute(update(RESULTS).where(RESULTS.c.id == row.id).values(until=row.values["until"]))
    if done.rowcount:
        return True
    row.values["picture"], row.files = None, []
    return False


def _insert(connection: Connection, rows: Sequence[_Row]) -> list[int]:
    if not rows:
        return []
    statement = insert(RESULTS).returning(RESULTS.c.id, sort_by_parameter_order=True)
    ids = list(connection.scalars(statement, [row.values for row in rows]))
    labels = [{"label": label, "result": id} for row, id in zip(rows, ids, strict=True) for label in row.labels]
    files = [file for row in rows for file in row.files]
    if labels:
        connection.execute(insert(LABELS), labels)
    if files:
        connection.execute(insert(FILES), files)
    return ids


def _is_passing(error: Exception) -> bool:
    """Whether it may go better next time: it is about the database, not about what was to be written."""
    lasting = (DataError, IntegrityError, NotSupportedError)
    return isinstance(error, HistoryError) and not isinstance(error.__cause__, lasting)
