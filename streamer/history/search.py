"""Finding results again: by words, labels, time, stream and alert. Filters count before the limit does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, literal, or_, select, text

from streamer.errors import HistoryError
from streamer.history.database import Database
from streamer.history.rows import LONGEST_SECONDS, key, label_key, result_of, texts_of
from streamer.history.schema import ALERTS, LABELS, RESULTS
from streamer.history.words import Term, as_fts5, as_patterns, as_tsquery, snippet, terms_of
from streamer.results import FrameResult

Cursor = tuple[float, int]
"""`Found.at` and `Found.id` of the last one on a page."""
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A result that is kept."""

    id: int
    """Stays the same as long as it is kept."""
    stream: str
    at: float
    """Unix seconds of capture."""
    until: float
    """Unix seconds of the last picture that had not changed since; ``at`` where there is none."""
    caption: str | None
    snippet: str
    """The part of its texts where the words stand that were asked for."""
    result: FrameResult
    picture: str | None
    """Name of the kept picture."""

    @property
    def cursor(self) -> Cursor:
        """What to ask for the results behind this one with."""
        return self.at, self.id


class ResultRows:
    """Results, read. A part of `History`."""

    _database: Database

    def search(
        self,
        text: str = "",
        *,
        streams: Collection[str] | None = None,
        labels: Collection[str] = (),
        rule: str | None = None,
        since: float | None = None,
        until: float | None = None,
        has_alert: bool | None = None,
        limit: int = 50,
        before: Cursor | None = None,
    ) -> list[Found]:
        """Newest first. ``text``: words that must all be there, the last may go on; ``"quoted words"`` stand together.

        ``streams``: None for all; an empty one finds nothing. ``labels``: at least one of them was seen. ``rule`` and
        ``has_alert``: an alert (of that rule) of the stream went on then. ``since``, ``until``: Unix seconds; results
        that stood at some time in between. ``before``: only those behind that one. Raises `HistoryError`.
        """
        terms = terms_of(text)
        if (text.strip() and not terms) or (streams is not None and not streams):
            return []
        query = _of_streams(_COLUMNS, streams).where(*_within(since, until))
        if terms:
            query = query.where(*(_match_sqlite(terms) if self._database.is_sqlite else _match_postgres(terms)))
        if labels:
            seen = LABELS.c.label.in_([label_key(label) for label in labels])
            query = query.where(exists().where(LABELS.c.result == RESULTS.c.id, seen))
        if rule is not None:
            query = query.where(_alerted(ALERTS.c.rule == key(rule)))
        if has_alert is not None:
            query = query.where(_alerted() if has_alert else ~_alerted())
        if before is not None:
            query = query.where(_behind(before))
        query = query.order_by(RESULTS.c.at.desc(), RESULTS.c.id.desc()).limit(max(0, limit))
        return [self._found(row, terms) for row in self._rows(query)]

    def results(
        self,
        stream: str,
        since: float | None = None,
        until: float | None = None,
        limit: int | None = None,
        *,
        ends: bool = False,
    ) -> Iterator[tuple[float, FrameResult]]:
        """Unix seconds of capture and result, in order of time, those that stood at some time in [since, until].

        ``ends``: an answer that stood longer comes once more where it was last seen to stand, marked as reused. Reads
        as it goes, and holds nothing open between.
        """
        query, last, count = _of_streams(_COLUMNS, (stream,)).where(*_within(since, until)), None, 0
        held: Found | None = None
        while limit is None or count < limit:
            page = query if last is None else query.where(_after(last))
            page = page.order_by(RESULTS.c.at, RESULTS.c.id).limit(_PAGE)
            rows = [self._found(row, ()) for row in self._rows(page)]
            for found in rows if limit is None else rows[: limit - count]:
                if ends and held is not None:
                    yield from _end(held, found.at)
                yield found.at, found.result
                held, last, count = found, found.cursor, count + 1
            if len(rows) < _PAGE:
                break
        if ends and held is not None:
            yield from _end(held, float("inf") if until is None else until)

    def nearest_picture(self, stream: str, at: float) -> str | None:
        """Name of the kept picture of that stream that was current at Unix seconds ``at``, or closest to it."""
        shown = _of_streams(_COLUMNS, (stream,)).where(RESULTS.c.picture.is_not(None)).limit(1)
        before = shown.where(RESULTS.c.at <= at).order_by(RESULTS.c.at.desc(), RESULTS.c.id.desc())
        after = shown.where(RESULTS.c.at > at).order_by(RESULTS.c.at, RESULTS.c.id)
        rows = [*self._rows(before), *self._rows(after)]
        near = min(rows, key=lambda row: max(row.at - at, at - row.until, 0.0), default=None)
        return None if near is None else near.picture

    def streams(self) -> list[str]:
        """Names of the streams that have results, in order (long ones cut short). Raises `HistoryError`."""
        return [row.stream for row in self._rows(select(RESULTS.c.stream).distinct().order_by(RESULTS.c.stream))]

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._database.reading() as connection:
            return connection.execute(query).all()

    def _found(self, row: Row[Any], terms: Sequence[Term]) -> Found:
        try:
            result = result_of(row.document)
        except (KeyError, TypeError, ValueError) as error:
            raise HistoryError(self._database.url, f"result {row.id} cannot be read ({error!r})") from error
        part = snippet(texts_of(result), terms)
        return Found(row.id, result.stream, row.at, row.until, result.caption, part, result, row.picture)


_COLUMNS = select(RESULTS.c.id, RESULTS.c.at, RESULTS.c.until, RESULTS.c.document, RESULTS.c.picture)


def _of_streams(query: Select[Any], streams: Collection[str] | None) -> Select[Any]:
    if streams is None:
        return query
    return query.where(RESULTS.c.stream.in_([key(stream) for stream in streams]))


def _within(since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    return [
        *([] if since is None else [RESULTS.c.until >= since, RESULTS.c.at >= since - LONGEST_SECONDS]),
        *([] if until is None else [RESULTS.c.at <= until]),
    ]


def _match_sqlite(terms: Sequence[Term]) -> list[Any]:
    found = "results.id IN (SELECT rowid FROM result_words WHERE result_words MATCH :terms)"
    return [text(found).bindparams(terms=as_fts5(terms))]


def _match_postgres(terms: Sequence[Term]) -> list[Any]:
    """The index finds the words, the kept words themselves say whether they stand together."""
    padded = literal(" ") + RESULTS.c.words + " "
    indexed = text("results.vector @@ CAST(:terms AS tsquery)").bindparams(terms=as_tsquery(terms))
    return [indexed, *(padded.like(pattern) for pattern in as_patterns(terms))]


def _alerted(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    """An alert of the stream went on while the result stood."""
    ended = or_(ALERTS.c.ended_at.is_(None), ALERTS.c.ended_at >= RESULTS.c.at)
    return exists().where(ALERTS.c.stream == RESULTS.c.stream, ALERTS.c.started_at <= RESULTS.c.until, ended, *which)


def _behind(cursor: Cursor) -> ColumnElement[bool]:
    at, id = cursor
    return or_(RESULTS.c.at < at, and_(RESULTS.c.at == at, RESULTS.c.id < id))


def _after(cursor: Cursor) -> ColumnElement[bool]:
    at, id = cursor
    return or_(RESULTS.c.at > at, and_(RESULTS.c.at == at, RESULTS.c.id > id))


def _end(found: Found, latest: float) -> Iterator[tuple[float, FrameResult]]:
    """The answer once more where it was last seen to stand, at most at ``latest``."""
    until = min(found.until, latest)
    if until > found.at:
        later = found.result.time_seconds + until - found.at
        yield until, replace(found.result, time_seconds=later, reused=True)
