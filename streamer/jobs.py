"""Files that people hand to a live job: annotated one after the other by its model, kept with what was made of them.

One thread takes one job at a time, the oldest first, and runs it as ``streamer annotate`` does. The model is the live
streams', lent in turns (`streamer.sharing`). All of a job lies in a folder of its own, so a restart loses nothing: what
was running goes on where its journal ends.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from streamer.display import display_size, encode_jpeg
from streamer.errors import OptionError, OutputError, SourceError, StreamerError
from streamer.incoming import recognised
from streamer.jobfolder import Folder, Order, Record, State, rows
from streamer.jobrun import JobRun
from streamer.results import FrameResult
from streamer.sampling import Sampling
from streamer.sharing import CalledOff, SharedModel
from streamer.sources import open_source

log = logging.getLogger(__name__)

DAY = 86400.0
TIDY_SECONDS = 600.0
"""How often it is looked for what is too old."""
CLOSE_SECONDS = 5.0
_PART = ".part"
_UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How much is taken and kept. Raises `OptionError`."""

    upload_bytes: int = 2 * 2**30
    """Of one file."""
    keep_bytes: int = 10 * 2**30
    """Of all files with what was made of them; the oldest finished job goes first. Others never go by themselves."""
    keep_days: float = 30.0
    """Of finished jobs."""
    waiting: int = 32
    """Jobs that may wait; further files are refused."""

    def __post_init__(self) -> None:
        for name in ("upload_bytes", "waiting"):
            if getattr(self, name) < 1:
                raise OptionError(name, getattr(self, name), "1 or more")
        for name in ("keep_bytes", "keep_days"):
            if not getattr(self, name) >= 0:
                raise OptionError(name, getattr(self, name), "0 or more")


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as it stands."""

    record: Record
    frames: int
    """Answered so far."""
    failed: int
    stage: str = ""
    """``answers``, or the format that is being written; empty unless it runs."""
    media_seconds: float | None = None
    """Reached in that stage."""
    frames_per_second: float | None = None
    """Answered in this run."""
    left_seconds: float | None = None
    """Until the last answer, by the pace so far."""
    before: int = 0
    """How many jobs come before it."""


@dataclass(slots=True, eq=False)
class Upload:
    """A file that is being sent: to be written to ``path``, then given to `Jobs.add` or `Jobs.drop`."""

    id: str
    folder: Path
    most: int
    """Bytes that it may have."""
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.folder / _UPLOAD / "file"


class Jobs:
    """The jobs in ``folder``. A context manager; used from any thread. Does not own the model.

    Raises `OutputError` where the folder cannot be used.
    """

    def __init__(self, folder: Path, shared: SharedModel, options: JobOptions | None = None) -> None:
        self.options = options or JobOptions()
        self._folder, self._shared = folder, shared
        self._changed = threading.Condition()
        self._records: dict[str, Record] = {}
        """By id, in the order in which they came."""
        self._receiving: dict[str, int] = {}
        """Uploads by id, with the room that is kept for them."""
        self._running: JobRun | None = None
        self._closing = False
        self._thread: threading.Thread | None = None
        self._find()
        self._start()

    def _find(self) -> None:
        """What an earlier run has left."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in list(self._folder.iterdir()):
                if path.name.endswith(_PART):
                    shutil.rmtree(path, ignore_errors=True)
        except OSError as error:
            raise OutputError(
                self._folder, error.strerror or str(error), "choose a data folder that is yours"
            ) from error
        found = [(path.name, Folder(path).read()) for path in self._folder.iterdir()]
        records = [record for name, record in found if record is not None and record.id == name]
        for record in sorted(records, key=lambda record: (record.created_at, record.id)):
            state: State = "waiting" if record.state == "running" else record.state
            self._records[record.id] = replace(record, state=state)

    def _start(self) -> None:
        """The thread, once there is something for it to look after."""
        with self._changed:
            if self._thread is None and self._records and not self._closing:
                self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._thread.start()

    # -- coming and going

    def receive(self, size: int) -> Upload:
        """Room for a file of so many bytes. Raises `OptionError` where it is too large, `OutputError` where there is no
        room for it or too many wait; older finished jobs have gone by then, if that was of use."""
        if size > self.options.upload_bytes:
            raise OptionError("file", size, f"a file of at most {self.options.upload_bytes} bytes")
        with self._changed:
            waiting = sum(record.state == "waiting" for record in self._records.values()) + len(self._receiving)
            if waiting >= self.options.waiting:
                raise OutputError("files", f"{waiting} files wait already", "wait until some are done")
            id = secrets.token_hex(8)
            self._receiving[id] = size
        upload = Upload(id, self._folder / f"{id}{_PART}", size)
        try:
            self._tidy()
            if self._bytes() > self.options.keep_bytes:
                raise OutputError("files", "there is no room for it", "remove jobs, or let more be kept")
            (upload.folder / _UPLOAD).mkdir(parents=True, mode=0o700)
        except OSError as error:
            self.drop(upload)
            raise OutputError("files", error.strerror or str(error), "is there room on the disk?") from error
        except OutputError:
            self.drop(upload)
            raise
        return upload

    def drop(self, upload: Upload) -> None:
        """The file is not wanted after all."""
        shutil.rmtree(upload.folder, ignore_errors=True)
        with self._changed:
            self._receiving.pop(upload.id, None)

    def add(self, upload: Upload, order: Order, now: float | None = None) -> JobStatus:
        """The file is there whole: it waits for its turn. Raises `SourceError` for what is no picture or video, and
        `OutputError`; then nothing of it is left."""
        try:
            incoming = recognised(upload.path)
            size = upload.path.stat().st_size
            record = Record.new(upload.id, order, incoming, size, time.time() if now is None else now)
            folder = Folder(upload.folder)
            upload.path.rename(folder.upload(record))
            folder.write(record)
            upload.folder.rename(self._folder / upload.id)
        except OSError as error:
            self.drop(upload)
            raise OutputError("files", error.strerror or str(error), "is there room on the disk?") from error
        except StreamerError:
            self.drop(upload)
            raise
        with self._changed:
            self._receiving.pop(upload.id, None)
            self._records[record.id] = record
            self._changed.notify_all()
        self._start()
        return self.status(record.id)

    def remove(self, id: str) -> None:
        """Stops it where it runs, and removes all of it. Raises `OptionError` for an unknown one."""
        with self._changed:
            self._record(id)
            del self._records[id]
            if self._running is not None and self._running.id == id:
                self._running.stop()  # its folder goes once nothing writes into it
                return
        Folder(self._folder / id).remove()

    # -- looking

    def statuses(self) -> list[JobStatus]:
        """Newest first."""
        with self._changed:
            return [self._status(record) for record in reversed(self._records.values())]

    def status(self, id: str) -> JobStatus:
        """Raises `OptionError` for an unknown one."""
        with self._changed:
            return self._status(self._record(id))

    def results(self, id: str, offset: int, limit: int) -> tuple[list[FrameResult], int, bool]:
        """As `jobfolder.rows`, also while it runs. Raises `OptionError` and `OutputError`."""
        with self._changed:
            record = self._record(id)
        return rows(Folder(self._folder / id).journal(record), offset, limit)

    def picture(self, id: str, seconds: float, width: int) -> bytes:
        """The picture shown at that media time, as a JPEG at most ``width`` wide. Raises `OptionError` for an unknown
        job, `SourceError` where there is no such picture."""
        with self._changed:
            record = self._record(id)
        path = str(Folder(self._folder / id).upload(record))
        for asked in (seconds + 0.0005, seconds):  # no rounding makes it the one before; a lone picture has one time
            sampling = Sampling.all() if record.kind == "picture" else Sampling.at([asked])
            with open_source(path, sampling=sampling, size_for=lambda size: display_size(size, width)) as source:
                for frame in source.frames():
                    return encode_jpeg(frame.image)
        raise SourceError(record.order.title, f"it has no picture at {seconds:g} s", "choose another time")

    def made_path(self, id: str, name: str) -> Path:
        """Of a file to take away. Raises `OptionError` for an unknown job or file."""
        with self._changed:
            record = self._record(id)
        if name not in {made.name for made in record.made}:
            raise OptionError("job", name, "a file that was made")
        return Folder(self._folder / id).made / name

    # -- the end

    def close(self) -> None:
        """What runs is stopped, to go on with the next start; calling it again does nothing."""
        with self._changed:
            self._closing = True
            thread = self._thread
            self._changed.notify_all()
        end = time.monotonic() + CLOSE_SECONDS
        while thread is not None and thread.is_alive() and time.monotonic() < end:
            with self._changed:
                if self._running is not None:
                    self._running.stop()
            thread.join(0.1)
        if thread is not None and thread.is_alive():
            log.warning("file jobs: their thread is still busy")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- the thread

    def _work(self) -> None:
        while (running := self._next()) is not None:
            if running.id:
                self._run(running)
            with suppress(OSError):
                self._tidy()

    def _next(self) -> JobRun | None:
        """The oldest job that waits; one without an id where none came for long; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._oldest() is not None, TIDY_SECONDS)
            record = self._oldest()
            if self._closing:
                return None
            running = JobRun("" if record is None else record.id, self._shared.guest())
            if record is not None:
                self._running = running
                self._records[record.id] = replace(record, state="running", error=None)
            return running

    def _oldest(self) -> Record | None:
        return next((record for record in self._records.values() if record.state == "waiting"), None)

    def _run(self, running: JobRun) -> None:
        folder = Folder(self._folder / running.id)
        with self._changed:
            record = self._records.get(running.id)
        try:
            if record is not None:
                with suppress(OutputError):  # a full disk ends it in words of its own
                    folder.write(record)
                self._end(running.run(folder, record), folder)
        except CalledOff:
            pass
        finally:
            with self._changed:
                self._running = None
                removed = running.id not in self._records
            if removed:
                folder.remove()

    def _end(self, record: Record, folder: Folder) -> None:
        with suppress(OSError, StreamerError):
            record = replace(record, made=folder.collect(record))
        record = replace(record, finished_at=time.time())
        with self._changed:
            if record.id not in self._records:
                return
            self._records[record.id] = record
        try:
            folder.write(record)
        except OutputError as error:
            log.warning("file job %s: its end is not written: %s", record.id, error)

    # -- room

    def _tidy(self) -> None:
        """Removes finished jobs that are too old, and the oldest ones where there is too much."""
        before = time.time() - self.options.keep_days * DAY
        for record in self._finished():
            if (record.finished_at or 0) < before or self._bytes() > self.options.keep_bytes:
                with suppress(OptionError):  # somebody removed it meanwhile
                    self.remove(record.id)

    def _finished(self) -> list[Record]:
        with self._changed:
            done = [record for record in self._records.values() if record.state in ("done", "failed")]
        return sorted(done, key=lambda record: record.finished_at or 0)

    def _bytes(self) -> int:
        with self._changed:
            ids, coming = list(self._records), sum(self._receiving.values())
        return coming + sum(Folder(self._folder / id).bytes() for id in ids)

    # -- parts

    def _record(self, id: str) -> Record:
        if id not in self._records:
            raise OptionError("job", id[:100], "the id of a job that is kept")
        return self._records[id]

    def _status(self, record: Record) -> JobStatus:
        """Called with the lock."""
        running = self._running
        if running is None or running.id != record.id or running.summary is None:
            earlier = self._records.values() if record.state == "waiting" else ()
            waiting = [one.id for one in earlier if one.state in ("waiting", "running")]
            before = waiting.index(record.id) if record.id in waiting else 0
            return JobStatus(record, record.frames, record.failed, before=before)
        summary = running.summary
        pace = summary.answered / summary.answer_seconds if summary.answer_seconds > 0 else None
        left = None
        if pace and record.expected is not None and running.stage == "answers":
            left = max(0.0, (record.expected - summary.frames) / pace)
        return JobStatus(record, summary.frames, summary.failed, running.stage, running.media_seconds, pace, left)
