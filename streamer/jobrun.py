"""One job over a file that was handed in, from its record to its record."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass, replace

from streamer.annotation import AnnotateRun, Failed, Finished
from streamer.errors import StreamerError
from streamer.filejob import Summary
from streamer.jobfolder import Folder, Record
from streamer.sharing import CalledOff, Guest

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class JobRun:
    """A job in hand; what is known of it is read from any thread."""

    id: str
    guest: Guest
    """Its part of the model."""
    summary: Summary | None = None
    stage: str = "answers"
    """Or the format that is being written."""
    media_seconds: float = 0.0
    """Reached in that stage."""

    def stop(self) -> None:
        """From any thread: `run` soon raises `CalledOff`."""
        self.guest.stop()

    def run(self, folder: Folder, record: Record) -> Record:
        """How it ended. What an earlier run has answered is not asked for again. Raises `CalledOff` after `stop`;
        everything else that goes wrong is in the record."""
        try:
            error = self._annotate(folder, record)
        except CalledOff:
            raise
        except StreamerError as fault:
            return self._ended(replace(record, state="failed", error=_plain(str(fault), folder, record)))
        except Exception:  # one job's fault is its own
            log.exception("file job %s", self.id)
            return self._ended(replace(record, state="failed", error="a fault of the server; its log says more"))
        fault_words = None if self.summary is None else self.summary.fault
        return self._ended(
            replace(
                record,
                state="done",
                error=None if error is None else _plain(str(error), folder, record),
                fault=None if fault_words is None else _plain(fault_words, folder, record),
            )
        )

    def _ended(self, record: Record) -> Record:
        summary = self.summary or Summary("")
        return replace(record, frames=summary.frames, failed=summary.failed)

    def _annotate(self, folder: Folder, record: Record) -> StreamerError | None:
        """What could not be made of it in the end; None where all was. Raises what ends it before."""
        files = [(str(folder.upload(record)), record.order.stem)]
        options = record.order.options()
        run = AnnotateRun(files, self.guest, options, output=folder.made, progress=self._follow)
        error: StreamerError | None = None
        with closing(iter(run)) as events:
            for event in events:
                if self.guest.stopped:
                    raise CalledOff
                if isinstance(event, Failed):
                    raise event.error
                self.summary = event.summary
                error = event.error if isinstance(event, Finished) else None
        return error

    def _follow(self, summary: Summary, stage: str, seconds: float) -> None:
        """On the threads of the run, which an error ends."""
        if self.guest.stopped:
            raise CalledOff
        self.summary, self.stage, self.media_seconds = summary, stage, seconds


def _plain(text: str, folder: Folder, record: Record) -> str:
    """Without where it lies on this machine."""
    upload = folder.upload(record)
    for path in (str(upload.resolve()), str(upload)):
        text = text.replace(path, record.order.title)
    for path in (str(folder.path.resolve()), str(folder.path)):
        text = text.replace(f"{path}/made/", "").replace(path, "the job's folder")
    return text
