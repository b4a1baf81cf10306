"""Alerts and notices in the database: each call is durable when it returns."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from streamer.alerts import Alert
from streamer.errors import OptionError
from streamer.history.database import Database
from streamer.history.rows import alert_document, alert_of, alert_values, json_text, key, plain
from streamer.history.schema import ALERTS, NOTICES, REVISIONS
from streamer.notify.base import Notice

AlertCursor = tuple[float, str]
"""`Alert.started_at` and `Alert.id` of the last one on a page."""
_CHUNK = 500


class AlertRows:
    """Alerts with all their messages. A part of `History`."""

    _database: Database

    def put_alert(self, alert: Alert, channels: Sequence[str] = ()) -> Alert:
        """Keeps the newest state of an alert, and a notice for each channel, in one transaction. Returns it as kept:
        with the acknowledgement that a person may have given meanwhile, and a revision above that one's.

        An alert whose revision was put already changes nothing. Raises `HistoryError`; then nothing is kept.
        """
        with self._database.writing(durable=True) as connection:
            kept = _locked(connection, alert.id)
            if kept is None and _added(connection, alert):
                _tell(connection, alert, channels)
                return alert
            kept = kept or _locked(connection, alert.id)
            assert kept is not None, "it was just there"
            before = alert_of(kept.document)
            if alert.revision <= kept.put_revision:
                return before
            after = replace(alert, revision=max(alert.revision, kept.revision + 1))
            if alert.acknowledged_at is None:
                after = replace(after, acknowledged_at=before.acknowledged_at, acknowledged_by=before.acknowledged_by)
            _change(connection, after, channels, put_revision=alert.revision)
            return after

    def acknowledge(self, id: str, by: str, at: float, channels: Sequence[str] = ()) -> Alert:
        """Notes who took note of an alert, at Unix seconds ``at``, as one more revision; the first one counts.

        Raises `OptionError` for an alert that is not kept, and `HistoryError`.
        """
        with self._database.writing(durable=True) as connection:
            kept = _locked(connection, id)
            if kept is None:
                raise _unknown(id)
            before = alert_of(kept.document)
            if before.acknowledged_at is not None:
                return before
            after = replace(before, acknowledged_at=at, acknowledged_by=by, revision=kept.revision + 1, updated_at=at)
            _change(connection, after, channels, put_revision=kept.put_revision)
            return after

    def alert(self, id: str) -> Alert:
        """Raises `OptionError` for an alert that is not kept."""
        with self._database.reading() as connection:
            document = connection.scalar(select(ALERTS.c.document).where(ALERTS.c.id == key(id)))
        if document is None:
            raise _unknown(id)
        return alert_of(document)

    def alerts(
        self,
        stream: str | None = None,
        rule: str | None = None,
        since: float | None = None,
        until: float | None = None,
        open_only: bool = False,
        unacknowledged: bool = False,
        limit: int = 100,
        before: AlertCursor | None = None,
        *,
        streams: Collection[str] | None = None,
    ) -> list[Alert]:
        """Newest first, those that went on at some time in [since, until].

        ``before``: only those behind that one on the list. ``streams``: which may be seen; none for an empty one.
        """
        query = select(ALERTS.c.document)
        if stream is not None:
            query = query.where(ALERTS.c.stream == key(stream))
        if streams is not None:
            query = query.where(ALERTS.c.stream.in_([key(name) for name in streams]))
        if rule is not None:
            query = query.where(ALERTS.c.rule == key(rule))
        if since is not None:
            query = query.where(or_(ALERTS.c.ended_at.is_(None), ALERTS.c.ended_at >= since))
        if until is not None:
            query = query.where(ALERTS.c.started_at <= until)
        if open_only:
            query = query.where(ALERTS.c.phase != "end")
        if unacknowledged:
            query = query.where(ALERTS.c.acknowledged_at.is_(None))
        return self._newest(query, limit, before)

    def open_alerts(self) -> list[Alert]:
        """All that have not ended, oldest first: after a crash somebody has to go on with them, or end them."""
        query = select(ALERTS.c.document).where(ALERTS.c.phase != "end").order_by(ALERTS.c.started_at, ALERTS.c.id)
        with self._database.reading() as connection:
            return [alert_of(document) for document in connection.scalars(query)]

    def alert_revisions(self, id: str) -> list[Alert]:
        """All messages of an alert's life in their order. Raises `OptionError` for an alert that is not kept."""
        query = select(REVISIONS.c.document).where(REVISIONS.c.alert == key(id)).order_by(REVISIONS.c.revision)
        with self._database.reading() as connection:
            found = [alert_of(document) for document in connection.scalars(query)]
        if not found:
            raise _unknown(id)
        return found

    def _newest(self, query: Select[Any], limit: int, before: AlertCursor | None) -> list[Alert]:
        if before is not None:
            at, id = before
            behind = (ALERTS.c.started_at == at) & (ALERTS.c.id < id)
            query = query.where(or_(ALERTS.c.started_at < at, behind))
        query = query.order_by(ALERTS.c.started_at.desc(), ALERTS.c.id.desc()).limit(max(0, limit))
        with self._database.reading() as connection:
            return [alert_of(document) for document in connection.scalars(query)]


class NoticeRows:
    """The `NoticeStore`. A part of `History`."""

    _database: Database

    def due_notices(self, channel: str, now: float, limit: int) -> list[Notice]:
        """Pending ones of that channel that may be tried, oldest first."""
        query = _pending(select(NOTICES), channel).where(NOTICES.c.due_at <= now).order_by(NOTICES.c.id)
        with self._database.reading() as connection:
            return [_notice(row) for row in connection.execute(query.limit(max(0, limit)))]

    def next_notice_due(self, channel: str) -> float | None:
        """Unix seconds when the next pending one may be tried; None if there is none."""
        with self._database.reading() as connection:
            due: float | None = connection.scalar(_pending(select(func.min(NOTICES.c.due_at)), channel))
            return due

    def channels_of(self, alert: str) -> tuple[str, ...]:
        """Those that have heard, or are to hear, of the alert."""
        query = select(NOTICES.c.channel).where(NOTICES.c.alert == alert).distinct()
        with self._database.reading() as connection:
            return tuple(connection.scalars(query))

    def notice_delivered(self, id: int) -> None:
        self._change_notice(id, state="delivered", error=None)

    def notice_postponed(self, id: int, due_at: float, error: str) -> None:
        """One more attempt was in vain."""
        self._change_notice(id, attempts=NOTICES.c.attempts + 1, due_at=due_at, error=plain(error))

    def notice_dead(self, id: int, error: str) -> None:
        """It is not tried any more, until somebody replays it."""
        self._change_notice(id, attempts=NOTICES.c.attempts + 1, state="dead", error=plain(error))

    def dead_notices(self, channel: str | None = None, limit: int = 100) -> list[Notice]:
        """Newest first."""
        query = select(NOTICES).where(NOTICES.c.state == "dead").order_by(NOTICES.c.id.desc()).limit(max(0, limit))
        if channel is not None:
            query = query.where(NOTICES.c.channel == key(channel))
        with self._database.reading() as connection:
            return [_notice(row) for row in connection.execute(query)]

    def replay_notices(self, ids: Sequence[int]) -> int:
        """Makes dead ones pending again, with no attempts; says how many there were."""
        count = 0
        with self._database.writing(durable=True) as connection:
            for start in range(0, len(ids), _CHUNK):
                which = NOTICES.c.id.in_(ids[start : start + _CHUNK]), NOTICES.c.state == "dead"
                again = update(NOTICES).where(*which).values(state="pending", attempts=0, due_at=0.0, error=None)
                count += connection.execute(again).rowcount
        return count

    def _change_notice(self, id: int, **values: Any) -> None:
        with self._database.writing(durable=True) as connection:
            connection.execute(update(NOTICES).where(NOTICES.c.id == id).values(**values))


def _unknown(id: str) -> OptionError:
    return OptionError("alert", id[:100], "the id of an alert that is kept")


def _locked(connection: Connection, id: str) -> Any:
    """Its row or None; nobody else changes it before the transaction ends."""
    columns = select(ALERTS.c.document, ALERTS.c.revision, ALERTS.c.put_revision)
    return connection.execute(columns.where(ALERTS.c.id == key(id)).with_for_update()).one_or_none()


def _added(connection: Connection, alert: Alert) -> bool:
    """False where another program was faster."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(ALERTS).values(put_revision=alert.revision, **alert_values(alert))
    return connection.scalar(statement.on_conflict_do_nothing().returning(ALERTS.c.id)) is not None


def _change(connection: Connection, alert: Alert, channels: Sequence[str], *, put_revision: int) -> None:
    values = {**alert_values(alert), "put_revision": put_revision}
    connection.execute(update(ALERTS).where(ALERTS.c.id == values["id"]).values(values))
    _tell(connection, alert, channels)


def _tell(connection: Connection, alert: Alert, channels: Sequence[str]) -> None:
    """Keeps this message of the alert's life, and that each channel has to get it."""
    id = key(alert.id)
    connection.execute(insert(REVISIONS).values(alert=id, revision=alert.revision, document=alert_document(alert)))
    document = json_text(alert.document())
    rows = [
        {"channel": key(channel), "alert": id, "revision": alert.revision, "at": alert.updated_at,
         "document": document, "attempts": 0, "due_at": 0.0, "state": "pending", "error": None}
        for channel in dict.fromkeys(channels)
    ]  # fmt: skip
    if rows:
        connection.execute(insert(NOTICES), rows)


def _pending(query: Select[Any], channel: str) -> Select[Any]:
    return query.where(NOTICES.c.channel == key(channel), NOTICES.c.state == "pending")


def _notice(row: Any) -> Notice:
    return Notice(
        row.id, row.channel, row.alert, row.revision, json.loads(row.document), row.attempts, row.due_at, row.state,
        row.error,
    )  # fmt: skip
