"""Finding results again: by words, labels, time, stream and alert. Filters count before the limit does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    text,
)

from streamer.errors import HistoryError, OptionError
from streamer.history.correcting import Correction, correction_of
from streamer.history.database import Database
from streamer.history.rows import LONGEST_SECONDS, key, label_key, result_of, texts_of
from streamer.history.schema import ALERTS, CORRECTIONS, LABELS, RESULTS
from streamer.history.words import Term, as_fts5, as_patterns, as_tsquery, snippet, terms_of
from streamer.results import FrameResult

Cursor = tuple[float, int]
"""`Found.at` and `Found.id` of the last one on a page."""
Corrected = Literal["no", "yes", "only"]
"""``no``: the model's answers; ``yes``: people's in their place where there are some; ``only``: no others."""
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
    correction: Correction | None = None
    """What somebody says in place of the model; ``result`` and ``caption`` are the model's own all the same."""

    @property
    def corrected(self) -> FrameResult:
        """The result with a person's answers in place of the model's, where there are some."""
        return self.result if self.correction is None else self.correction.applied(self.result)

    @property
    def cursor(self) -> Cursor:
        """What to ask for the results behind this one with."""
        return self.at, self.id


@dataclass(frozen=True, slots=True)
class Filters:
    """Which results; all of it holds. As `ResultRows.search` takes it."""

    text: str = ""
    streams: Collection[str] | None = None
    labels: Collection[str] = ()
    rule: str | None = None
    since: float | None = None
    until: float | None = None
    has_alert: bool | None = None
    corrected: bool | None = None

    @property
    def terms(self) -> list[Term]:
        return terms_of(self.text)

    @property
    def nothing(self) -> bool:
        """Whether no result can be meant: no stream may be seen, or the words have no letter."""
        return bool(self.text.strip() and not self.terms) or (self.streams is not None and not self.streams)


@dataclass(frozen=True, slots=True)
class Spread:
    """Results by stream and time."""

    since: float
    """Unix seconds."""
    until: float
    streams: Mapping[str, tuple[list[int], list[int]]]
    """By name: how many there are in each stretch of time, and how many of them have boxes."""


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
        corrected: bool | None = None,
        limit: int = 50,
        before: Cursor | None = None,
    ) -> list[Found]:
        """Newest first. ``text``: words that must all be there, the last may go on; ``"quoted words"`` stand together.

        ``streams``: None for all; an empty one finds nothing. ``labels``: at least one of them was seen. ``rule`` and
        ``has_alert``: an alert (of that rule) of the stream went on then. ``corrected``: whether a person's answer
        counts in place of the model's. ``since``, ``until``: Unix seconds; results
        that stood at some time in between. ``before``: only those behind that one. Raises `HistoryError`.
        """
        filters = Filters(text, streams, labels, rule, since, until, has_alert, corrected)
        if filters.nothing:
            return []
        query = self._matching(_COLUMNS, filters)
        if before is not None:
            query = query.where(_behind(before))
        query = query.order_by(RESULTS.c.at.desc(), RESULTS.c.id.desc()).limit(max(0, limit))
        return [self._found(row, filters.terms) for row in self._rows(query)]

    def spread(self, filters: Filters, bins: int) -> Spread | None:
        """How many results there are by stream and time, in so many stretches of equal length; None where there are
        none. The time is that of the filters, where they say none from the oldest to the newest result."""
        if filters.nothing:
            return None
        ends = select(func.min(RESULTS.c.at).label("oldest"), func.max(RESULTS.c.at).label("newest"))
        [row] = self._rows(self._matching(ends.select_from(RESULTS), filters))
        oldest, newest = row.oldest, row.newest
        if oldest is None:
            return None
        since = oldest if filters.since is None else filters.since
        until = newest if filters.until is None else filters.until
        width = max((until - since) / bins, 1e-3)
        place = (RESULTS.c.at - since) / width
        number = cast(place, Integer) if self._database.is_sqlite else cast(func.floor(place), Integer)
        found = func.sum(case((exists().where(LABELS.c.result == RESULTS.c.id), 1), else_=0))
        columns = select(RESULTS.c.stream, number.label("place"), func.count().label("seen"), found.label("found"))
        rows = self._rows(self._matching(columns, filters).group_by(RESULTS.c.stream, number))
        streams: dict[str, tuple[list[int], list[int]]] = {}
        for row in sorted(rows, key=lambda row: str(row.stream)):
            seen, with_boxes = streams.setdefault(row.stream, ([0] * bins, [0] * bins))
            at = min(bins - 1, max(0, int(row.place)))  # one that stood already when the time began is in the first
            seen[at] += int(row.seen)
            with_boxes[at] += int(row.found)
        return Spread(since, since + width * bins, streams)

    def _matching(self, query: Select[Any], filters: Filters) -> Select[Any]:
        terms, labels, rule = filters.terms, filters.labels, filters.rule
        query = _of_streams(query, filters.streams).where(*_within(filters.since, filters.until))
        if terms:
            query = query.where(*(_match_sqlite(terms) if self._database.is_sqlite else _match_postgres(terms)))
        if labels:
            seen = LABELS.c.label.in_([label_key(label) for label in labels])
            query = query.where(exists().where(LABELS.c.result == RESULTS.c.id, seen))
        if rule is not None:
            query = query.where(_alerted(ALERTS.c.rule == key(rule)))
        if filters.has_alert is not None:
            query = query.where(_alerted() if filters.has_alert else ~_alerted())
        if filters.corrected is not None:
            counts = RESULTS.c.corrected.is_not(None)
            query = query.where(counts if filters.corrected else ~counts)
        return query

    def results(
        self,
        stream: str,
        since: float | None = None,
        until: float | None = None,
        limit: int | None = None,
        *,
        ends: bool = False,
        corrected: Corrected = "no",
    ) -> Iterator[tuple[float, FrameResult]]:
        """Unix seconds of capture and result, in order of time, those that stood at some time in [since, until].

        ``ends``: an answer that stood longer comes once more where it was last seen to stand, marked as reused.
        ``corrected``: whose answers. Reads as it goes, and holds nothing open between.
        """
        query, last, count = _of_streams(_COLUMNS, (stream,)).where(*_within(since, until)), None, 0
        if corrected == "only":
            query = query.where(RESULTS.c.corrected.is_not(None))
        held: Found | None = None
        while limit is None or count < limit:
            page = query if last is None else query.where(_after(last))
            page = page.order_by(RESULTS.c.at, RESULTS.c.id).limit(_PAGE)
            rows = [self._found(row, ()) for row in self._rows(page)]
            if corrected != "no":
                rows = [replace(found, result=found.corrected) for found in rows]
            for found in rows if limit is None else rows[: limit - count]:
                if ends and held is not None:
                    yield from _end(held, found.at)
                yield found.at, found.result
                held, last, count = found, found.cursor, count + 1
            if len(rows) < _PAGE:
                break
        if ends and held is not None:
            yield from _end(held, float("inf") if until is None else until)

    def result(self, id: int) -> Found:
        """One that is kept. Raises `OptionError` for the id of none."""
        for row in self._rows(_COLUMNS.where(RESULTS.c.id == id)) if 0 < id < 2**63 else ():
            return self._found(row, ())
        raise OptionError("result", id, "the id of a result that is kept")

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
        correction = None
        if row.correction is not None:
            correction = correction_of(row.correction, row.author, row.corrected_at)
        texts = texts_of(result if correction is None else correction.applied(result))
        return Found(
            row.id, result.stream, row.at, row.until, result.caption, snippet(texts, terms), result, row.picture,
            correction,
        )  # fmt: skip


_COLUMNS = select(
    RESULTS.c.id,
    RESULTS.c.at,
    RESULTS.c.until,
    RESULTS.c.document,
    RESULTS.c.picture,
    CORRECTIONS.c.document.label("correction"),
    CORRECTIONS.c.author,
    CORRECTIONS.c.at.label("corrected_at"),
).join_from(RESULTS, CORRECTIONS, RESULTS.c.corrected == CORRECTIONS.c.id, isouter=True)


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
