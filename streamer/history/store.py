"""The history of a live job: its results with their pictures, its alerts with their clips, and what channels must hear.

Results come in on the hot path and are written behind it (`writing`, `recording`); alerts and notices are durable when
the call returns (`alerting`); `search` finds results again; `retention` keeps it all within bounds.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from sqlalchemy import func, insert, select, update

from streamer.alerts import Alert
from streamer.errors import HistoryError, OptionError
from streamer.history.alerting import AlertRows, NoticeRows
from streamer.history.correcting import CorrectionRows
from streamer.history.database import Database
from streamer.history.names import place
from streamer.history.opening import open_shelf
from streamer.history.recording import Recorder
from streamer.history.retention import STEP, Retention
from streamer.history.schema import ALERTS, FILES, NOTICES, RESULTS
from streamer.history.search import ResultRows
from streamer.history.shelf import KeptClip
from streamer.history.writing import Waiting, Writer
from streamer.results import FrameResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """What a history keeps, and how much may wait."""

    keep_days: float = 30.0
    """Of results and their pictures; those that somebody corrected stay."""
    keep_alert_days: float = 365.0
    """Of alerts with their messages, snapshots and clips."""
    keep_bytes: int = 10 * 2**30
    """Of pictures, clips and the SQLite database together; what is oldest goes first, results before alerts. Rows on
    PostgreSQL are not counted: they lie on its server, and go by age or with their pictures. Nor are the pictures of
    corrected results, which stay."""
    queue: int = 1000
    """Results that may wait to be written; then the oldest is dropped."""
    queue_bytes: int = 64 * 2**20
    """Of the pictures of waiting results."""
    batch: int = 200
    """Results a transaction."""
    busy_seconds: float = 5.0
    """How long a transaction on SQLite waits for other programs that write."""

    def __post_init__(self) -> None:
        """Raises `OptionError`."""
        for name in ("queue", "queue_bytes", "batch"):
            if getattr(self, name) < 1:
                raise OptionError(name, getattr(self, name), "1 or more")
        for name in ("keep_days", "keep_alert_days", "keep_bytes", "busy_seconds"):
            if not getattr(self, name) >= 0:
                raise OptionError(name, getattr(self, name), "0 or more")


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is."""

    results: int
    alerts: int
    pictures: int
    """Files, snapshots of alerts included."""
    picture_bytes: int
    clips: int
    clip_bytes: int
    database_bytes: int
    oldest: float | None
    """Unix seconds of capture of the oldest result; None where there is none."""
    newest: float | None
    pending_notices: int
    dead_notices: int
    waiting: int
    """Results in the queue."""
    dropped: int
    """Results that were not written since the history was opened."""
    waiting_files: int
    """Pictures and clips that are still to be sent to a store elsewhere."""
    dropped_pictures: int
    """Of results, which are kept without them, since the history was opened."""


class History(AlertRows, CorrectionRows, NoticeRows, ResultRows):
    """Opens the history in ``folder``, its database there or at ``url``. A context manager; used from any thread.

    ``folder`` holds ``history.sqlite`` (without ``url``), ``pictures`` and ``clips``. Several programs may have it open
    at once. Opening it makes what is not there, and brings an older one up to date. The thread that writes results and
    removes old ones starts with the first thing that is put.

    ``pictures``: where pictures and clips are instead, a folder or what fsspec reaches (``s3://BUCKET/FOLDER``). They
    are sent there by a thread of their own, and neither results nor alerts wait for it.

    Raises `HistoryError` where it cannot be opened or was written by a newer version, `OptionError` for an address of
    no PostgreSQL and no store, and `MissingExtraError` where a driver is not installed.
    """

    def __init__(
        self,
        folder: Path,
        url: str | None = None,
        *,
        pictures: str | None = None,
        options: HistoryOptions | None = None,
        check: bool = True,
    ) -> None:
        """``check``: raise `HistoryError` where the store of the pictures cannot be used now."""
        self.folder = folder
        self.options = options = options or HistoryOptions()
        self._shelf = open_shelf(folder, pictures)
        self._lost: list[str] = []
        """Pictures whose rows do not say yet that they are gone."""
        if check:
            self._shelf.check()
        self._database = Database(folder, url, options.busy_seconds)
        self._writer = Writer(
            self._write,
            self._tend,
            most=options.queue,
            most_bytes=options.queue_bytes,
            batch=options.batch,
        )
        self._recorder = Recorder(self._database, self._shelf, self._writer.faults)
        self._retention = Retention(
            self._database,
            self._shelf,
            keep_days=options.keep_days,
            keep_alert_days=options.keep_alert_days,
            keep_bytes=options.keep_bytes,
        )

    # -- results

    def put(self, result: FrameResult, at: float, jpeg: bytes | None = None) -> None:
        """Takes a result captured at Unix seconds ``at``, with its picture; never waits and never raises.

        It is written within about half a second. A reused one that says the same as the stream's newest row only makes
        that row stand longer, up to an hour; its picture is not kept.
        """
        self._writer.put(result, at, jpeg)

    def flush(self, timeout_seconds: float) -> None:
        """Waits until everything that was put is written or dropped. Raises `HistoryError` if that takes longer."""
        if not self._writer.flush(timeout_seconds):
            reason = self.fault or "the disk or the database is slow"
            raise HistoryError(self._database.url, f"results still wait after {timeout_seconds:g} s: {reason}")

    @property
    def dropped(self) -> int:
        """Results that were not written, for want of room in the queue or because the database refused them."""
        return self._writer.dropped + self._recorder.refused

    @property
    def fault(self) -> str | None:
        """What cannot be written or removed at the moment, and why; None where all is well."""
        return self._database.missing or next(iter(list(self._writer.faults.values())), None) or self._shelf.fault

    def _write(self, batch: Sequence[Waiting]) -> None:
        self._recorder.write(batch)
        self._forget_lost()

    def _forget_lost(self) -> None:
        """Called where no rows are about to be written, so that all that were named have theirs."""
        self._lost += self._shelf.take_lost()
        try:
            while self._lost:
                self._retention.forget(self._lost[:STEP])
                del self._lost[:STEP]
        except HistoryError as error:
            log.debug("%s", error)  # what is wrong with the database is said by whatever else it does not take

    # -- alerts, pictures and clips

    def put_alert(self, alert: Alert, channels: Sequence[str] = ()) -> Alert:
        self._writer.start()
        return super().put_alert(alert, channels)

    def put_picture(self, stream: str, at: float, jpeg: bytes) -> str:
        """Keeps a picture of an alert and says what it is called; durable. Raises `HistoryError`."""
        self._writer.start()
        name = self._shelf.new_name("pictures", stream, at)
        self._shelf.save(name, jpeg, durable=True)
        self._note_file(name, "alert", at, len(jpeg))
        return name

    def new_clip_path(self, stream: str, at: float) -> tuple[str, Path]:
        """A name for a clip that begins at Unix seconds ``at``, and where to write it. Raises `HistoryError`."""
        self._writer.start()
        name = self._shelf.new_name("clips", stream, at)
        path = self._shelf.prepare(name)
        self._note_file(name, "clip", at, 0)
        return name, path

    def keep_clip(self, name: str, started_at: float) -> None:
        """The clip is whole; ``started_at``: Unix seconds of its first picture. Raises `HistoryError`."""
        place("clips", name)
        path = self._shelf.draft(name)
        with suppress(OSError):
            os.utime(path, (started_at, started_at))
        if not self._shelf.is_local:  # whose size and time can be looked at whenever they are wanted
            row = update(FILES).where(FILES.c.name == name)
            with suppress(FileNotFoundError), self._database.writing(durable=True) as connection:
                connection.execute(row.values(bytes=path.stat().st_size, at=started_at))
        self._shelf.finish(name)

    def picture(self, name: str) -> bytes:
        """A kept JPEG. Raises `OptionError` for a name of none, whatever it says, and `HistoryError`."""
        return self._shelf.read(name)

    def picture_path(self, name: str) -> str:
        """Where a JPEG is kept, for people; it may be gone by now. Raises `OptionError` for a name of none, whatever it
        says."""
        place("pictures", name)
        return self._shelf.where(name)

    def clip(self, name: str) -> KeptClip:
        """A kept video. Raises `OptionError` for a name of none, whatever it says, and `HistoryError`."""
        place("clips", name)
        if path := self._shelf.here(name):
            with suppress(FileNotFoundError):  # it was sent just now
                stat = path.stat()
                return KeptClip(stat.st_size, stat.st_mtime, path, partial(self._shelf.part, name))
        with self._database.reading() as connection:
            row = connection.execute(select(FILES.c.bytes, FILES.c.at).where(FILES.c.name == name)).one_or_none()
        if row is None or not row.bytes or self._shelf.is_local:
            raise OptionError("clip", name, "one that is still kept")
        return KeptClip(row.bytes, row.at, None, partial(self._shelf.part, name))

    def clip_path(self, name: str) -> Path:
        """Of a kept video on this machine. Raises `OptionError` for a name of none, whatever it says."""
        place("clips", name)
        path = self._shelf.here(name)
        if path is None:
            raise OptionError("clip", name, "one that is still kept")
        return path

    def _note_file(self, name: str, kind: str, at: float, size: int) -> None:
        try:
            with self._database.writing(durable=True) as connection:
                row = {"name": name, "kind": kind, "home": self._shelf.home, "at": at, "bytes": size}
                connection.execute(insert(FILES).values(row))
        except HistoryError:
            self._shelf.remove([name])
            raise

    # -- what is kept

    def counts(self) -> Counts:
        """Raises `HistoryError`."""
        with self._database.reading() as connection:
            results, oldest, newest = connection.execute(
                select(func.count(), func.min(RESULTS.c.at), func.max(RESULTS.c.at))
            ).one()
            files = {
                kind: (int(count), int(size))
                for kind, count, size in connection.execute(
                    select(FILES.c.kind, func.count(), func.coalesce(func.sum(FILES.c.bytes), 0)).group_by(FILES.c.kind)
                )
            }
            by_state = connection.execute(select(NOTICES.c.state, func.count()).group_by(NOTICES.c.state))
            states = {str(state): int(count) for state, count in by_state}
            alerts = connection.scalar(select(func.count()).select_from(ALERTS)) or 0
        pictures = [files[kind] for kind in ("result", "alert") if kind in files]
        clips, clip_bytes = files.get("clip", (0, 0))
        return Counts(
            results=results,
            alerts=alerts,
            pictures=sum(count for count, _ in pictures),
            picture_bytes=sum(size for _, size in pictures),
            clips=clips,
            clip_bytes=clip_bytes,
            database_bytes=self._database.bytes(),
            oldest=oldest,
            newest=newest,
            pending_notices=states.get("pending", 0),
            dead_notices=states.get("dead", 0),
            waiting=self._writer.waiting,
            dropped=self.dropped,
            waiting_files=self._shelf.waiting,
            dropped_pictures=self._shelf.dropped,
        )

    def limit(self, *, keep_days: float, keep_alert_days: float, keep_bytes: int) -> None:
        """From now on so much is kept; what is beyond it goes with the next `retain`. Raises `OptionError`."""
        self.options = replace(
            self.options, keep_days=keep_days, keep_alert_days=keep_alert_days, keep_bytes=keep_bytes
        )
        self._retention.limit(keep_days=keep_days, keep_alert_days=keep_alert_days, keep_bytes=keep_bytes)

    def retain(self, now: float | None = None) -> None:
        """Removes what is too old at Unix seconds ``now``, and too much; done once a minute by itself. Raises
        `HistoryError`."""
        self._retention.run(time.time() if now is None else now)

    def _tend(self) -> None:
        """On the thread that writes; stops for results that wait."""
        enough = self.options.queue // 2
        if not self._writer.waiting:
            self._forget_lost()
        self._retention.run(time.time(), lambda: self._writer.stopping or self._writer.waiting > enough, wait=False)

    def close(self) -> None:
        """Writes what waits, if that is possible now, and ends the thread; calling it again does nothing."""
        self._writer.close()
        self._shelf.close()
        self._forget_lost()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
