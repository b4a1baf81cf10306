"""What is removed when it is too old or too much: oldest first, results before alerts, a few at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, true, update

from streamer.history.database import Database
from streamer.history.pictures import LEFT_OVER_SECONDS
from streamer.history.schema import ALERTS, CORRECTIONS, FILES, LABELS, NOTICES, RESULTS, REVISIONS
from streamer.history.shelf import Shelf

STEP = 200
"""Rows a transaction: writers wait for no more than that."""
REST_SECONDS = 0.005
"""Between two steps, so that writers get their turn."""
DAY = 86400.0


class Retention:
    """Removes from one history's database and folder. Raises `HistoryError`; called again, it goes on.

    A result goes with its picture, unless a person's correction of it counts: then both stay, and the picture is not
    counted as something that takes room. An alert goes with its messages, snapshot and clip. Files are removed before
    their rows, so a crash in between leaves rows that are removed next time, and no file that nothing knows of.
    """

    def __init__(
        self, database: Database, shelf: Shelf, *, keep_days: float, keep_alert_days: float, keep_bytes: int
    ) -> None:
        self._database, self._shelf = database, shelf
        self._keep_days, self._keep_alert_days, self._keep_bytes = keep_days, keep_alert_days, keep_bytes
        self._swept_at = -DAY
        self._running = threading.Lock()

    def limit(self, *, keep_days: float, keep_alert_days: float, keep_bytes: int) -> None:
        """Holds from the next step on; from any thread, as each limit holds by itself."""
        self._keep_days, self._keep_alert_days, self._keep_bytes = keep_days, keep_alert_days, keep_bytes

    def run(self, now: float, enough: Callable[[], bool] = lambda: False, *, wait: bool = True) -> None:
        """``now``: Unix seconds. Ends early, between two steps, where ``enough()``. One thread at a time does it:
        another one waits, or with ``wait`` False leaves it at that."""
        if not self._running.acquire(blocking=wait):
            return
        try:
            self._run(now, enough)
        finally:
            self._running.release()

    def _run(self, now: float, enough: Callable[[], bool]) -> None:
        before = now - self._keep_days * DAY
        steps: tuple[Callable[[], bool], ...] = (
            lambda: self._remove_results(and_(RESULTS.c.at < before, RESULTS.c.until < before, _UNTOUCHED)),
            lambda: self._remove_loose(FILES.c.at < before),
            lambda: self._remove_alerts(ALERTS.c.updated_at < now - self._keep_alert_days * DAY),
            lambda: self._remove_excess(now),
        )
        self._measure_clips()
        self._forget_delivered(before)
        for step in steps:
            while not enough() and step():
                time.sleep(REST_SECONDS)
        if not enough() and time.monotonic() - self._swept_at >= DAY:
            self.sweep()
            self._swept_at = time.monotonic()
        self._database.shrink()

    def sweep(self) -> None:
        """Removes files without a row, rows without a file, as crashes and people leave them, and empty folders."""
        names = self._shelf.old_names()
        while some := list(islice(names, STEP)):
            self._shelf.remove(set(some) - self._known(some))
        last = ""
        while some := self._file_names(last):
            missing = self._shelf.missing(some)
            self.forget([name for name in some if name in missing])
            last = some[-1]
        self._shelf.remove_folders()

    # -- steps; each says whether there may be more to do

    def _remove_results(self, which: ColumnElement[bool]) -> bool:
        with self._database.reading() as connection:
            query = select(RESULTS.c.id, RESULTS.c.picture).where(which).order_by(RESULTS.c.at, RESULTS.c.id)
            rows = connection.execute(query.limit(STEP)).all()
            names = [row.picture for row in rows if row.picture]
            kept = _of_alerts(connection, names)
        if not rows:
            return False
        self._shelf.remove(set(names) - kept)
        ids = [row.id for row in rows]
        with self._database.writing() as connection:
            goes = delete(RESULTS).where(RESULTS.c.id.in_(ids), _UNTOUCHED)  # not what was corrected just now
            gone = list(connection.scalars(goes.returning(RESULTS.c.id)))
            connection.execute(delete(LABELS).where(LABELS.c.result.in_(gone)))
            connection.execute(delete(CORRECTIONS).where(CORRECTIONS.c.result.in_(gone)))
            connection.execute(delete(FILES).where(FILES.c.name.in_(set(names) - kept)))
            connection.execute(update(FILES).where(FILES.c.name.in_(kept)).values(kind="alert"))
        return True

    def _remove_loose(self, which: ColumnElement[bool]) -> bool:
        """Pictures and clips that are neither a result's nor an alert's."""
        with self._database.reading() as connection:
            query = select(FILES.c.name).where(which, _LOOSE, FILES.c.home == self._shelf.home)
            names = list(connection.scalars(query.order_by(FILES.c.at).limit(STEP)))
        if not names:
            return False
        self._shelf.remove(names)
        with self._database.writing() as connection:
            connection.execute(delete(FILES).where(FILES.c.name.in_(names)))
        return True

    def _remove_alerts(self, which: ColumnElement[bool], count: int = STEP) -> bool:
        with self._database.reading() as connection:
            query = select(ALERTS.c.id, ALERTS.c.snapshot, ALERTS.c.clip).where(which).order_by(ALERTS.c.started_at)
            rows = connection.execute(query.limit(count)).all()
            names = [name for row in rows for name in (row.snapshot, row.clip) if name]
            goes = select(FILES.c.name).where(FILES.c.name.in_(names), FILES.c.kind != "result")
            files = list(connection.scalars(goes))
        if not rows:
            return False
        self._shelf.remove(files)
        ids = [row.id for row in rows]
        with self._database.writing() as connection:
            connection.execute(delete(NOTICES).where(NOTICES.c.alert.in_(ids)))
            connection.execute(delete(REVISIONS).where(REVISIONS.c.alert.in_(ids)))
            connection.execute(delete(ALERTS).where(ALERTS.c.id.in_(ids)))
            connection.execute(delete(FILES).where(FILES.c.name.in_(files)))
        return True

    def _remove_excess(self, now: float) -> bool:
        if self._bytes() <= self._keep_bytes:
            return False
        on_disk = exists().where(FILES.c.name == RESULTS.c.picture, FILES.c.home == self._shelf.home)
        weighs = _UNTOUCHED if self._database.is_sqlite else and_(on_disk, _UNTOUCHED)
        with self._database.reading() as connection:
            times = select(RESULTS.c.at).where(weighs).order_by(RESULTS.c.at, RESULTS.c.id).limit(STEP)
            last = connection.scalar(select(func.max(times.subquery().c.at)))
        newest = now - LEFT_OVER_SECONDS  # an alert may be about to take what is younger
        if self._remove_loose(FILES.c.at <= (newest if last is None else min(newest, last))):
            return True
        if self._remove_results(weighs):
            return True
        still = self._bytes() > self._keep_bytes  # another program may have made room meanwhile
        return still and self._remove_alerts(true(), count=10)

    # -- what else

    def _bytes(self) -> int:
        with self._database.reading() as connection:
            query = select(func.coalesce(func.sum(FILES.c.bytes), 0)).where(FILES.c.home == self._shelf.home)
            stays = query.join(RESULTS, RESULTS.c.picture == FILES.c.name).where(RESULTS.c.corrected.is_not(None))
            files = int(connection.scalar(query) or 0) - int(connection.scalar(stays) or 0)
        return files + (self._database.bytes() if self._database.is_sqlite else 0)

    def _measure_clips(self) -> None:
        """Those that were being written when they got their row."""
        with self._database.reading() as connection:
            query = select(FILES.c.name).where(FILES.c.kind == "clip", FILES.c.bytes == 0)
            names = list(connection.scalars(query.where(FILES.c.home == self._shelf.home)))
        for name in names:
            if size := self._shelf.size(name):
                with self._database.writing() as connection:
                    connection.execute(update(FILES).where(FILES.c.name == name).values(bytes=size))

    def _forget_delivered(self, before: float) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(NOTICES).where(NOTICES.c.state == "delivered", NOTICES.c.at < before))

    def _known(self, names: Iterable[str]) -> set[str]:
        with self._database.reading() as connection:
            return set(connection.scalars(select(FILES.c.name).where(FILES.c.name.in_(list(names)))))

    def _file_names(self, after: str) -> list[str]:
        """The next ones in the order of the alphabet that are old enough to have a file."""
        old = FILES.c.at < time.time() - LEFT_OVER_SECONDS
        with self._database.reading() as connection:
            query = select(FILES.c.name).where(FILES.c.name > after, FILES.c.home == self._shelf.home, old)
            return list(connection.scalars(query.order_by(FILES.c.name).limit(STEP)))

    def forget(self, names: Sequence[str]) -> None:
        """They are gone: their rows are, or say so."""
        if not names:
            return
        with self._database.writing() as connection:
            for name in names:
                at = select(FILES.c.at).where(FILES.c.name == name).scalar_subquery()
                gone = and_(RESULTS.c.at == at, RESULTS.c.picture == name)
                connection.execute(update(RESULTS).where(gone).values(picture=None))
            connection.execute(delete(FILES).where(FILES.c.name.in_(names)))


_UNTOUCHED = RESULTS.c.corrected.is_(None)
_LOOSE = and_(
    FILES.c.kind != "result",
    ~exists().where(or_(ALERTS.c.snapshot == FILES.c.name, ALERTS.c.clip == FILES.c.name)),
)


def _of_alerts(connection: Connection, names: Sequence[str]) -> set[str]:
    """Those of the names that an alert shows, too."""
    found = connection.execute(
        select(ALERTS.c.snapshot, ALERTS.c.clip).where(or_(ALERTS.c.snapshot.in_(names), ALERTS.c.clip.in_(names)))
    )
    return {name for row in found for name in row if name}
