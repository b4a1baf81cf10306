"""What is said of a job over files: as it goes, and of all files in short behind the last of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from streamer import terminal

if TYPE_CHECKING:
    from streamer.annotation import Event
    from streamer.errors import StreamerError
    from streamer.filejob import Summary
    from streamer.progress import JobProgress
    from streamer.results import FrameResult


class Report:
    """Follows the events of a run. Each fault is said once, when it comes."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self.titles: dict[str, str] = {}
        """Short names of the sources, by their addresses without passwords."""
        self._summaries: list[Summary] = []
        self._failures: list[tuple[str, str]] = []
        self._shown: str | None = None

    def follow(self, events: Iterable[Event], progress: JobProgress) -> None:
        from streamer.annotation import Answered, Failed, Finished, Resumed

        newest: Summary | None = None
        try:
            for event in events:
                newest = newest if isinstance(event, Failed) else event.summary
                match event:
                    case Resumed(summary=summary):
                        self._resumed(summary)
                    case Answered(summary=summary, result=result):
                        self._answered(summary, result, progress)
                    case Finished(summary=summary, error=error):
                        progress.done(summary)
                        self._finished(summary, error, progress)
                    case Failed(address=address, error=failure):
                        progress.done(None)
                        self.failed(address, failure)
        except KeyboardInterrupt:
            if newest is not None:
                self._stopped(newest)
            raise

    def failed(self, source: str, error: StreamerError) -> None:
        self._failures.append((source, str(error)))
        terminal.failure("failed", error)

    def end(self) -> None:
        """Exit code 1 where a file failed or has a failed frame."""
        if self._json:
            for source, failure in self._failures:
                terminal.print_json({"type": "failure", "source": source, "error": failure})
        elif self._summaries:
            self._table()
        if self._failures or any(summary.failed or summary.fault for summary in self._summaries):
            raise typer.Exit(1)

    def _table(self) -> None:
        terminal.print_table(terminal.summary_table(self._summaries, self.titles))
        if stages := terminal.stages_line(self._summaries):
            terminal.out.print(f"[dim]{stages}[/]")
        for summary in self._summaries:
            if not summary.files:
                continue
            journal, name = summary.files[0], summary.files[0].stem
            there = [journal, *summary.there_already] if summary.complete else []
            if written := [path for path in summary.files if path not in there]:
                terminal.out.print(f"wrote {terminal.files_line(written, name)}", markup=False)
            if there:
                files = terminal.files_line(there, name)
                terminal.out.print(f"{files}: there already; streamer export writes formats anew", markup=False)
        if self._failures and len(self.titles) > 1:
            names = dict.fromkeys(self.titles.get(source, source) for source, _ in self._failures)
            terminal.failure(
                "failed", f"{len(names)} of {terminal.count(len(self.titles), 'file')}: {', '.join(names)}"
            )

    def _resumed(self, summary: Summary) -> None:
        if self._json:
            terminal.print_json({"type": "resumed", "source": summary.source, "frames": summary.resumed})
        elif summary.complete:
            left = f" but to write {', '.join(summary.outstanding)}" if summary.outstanding else ""
            terminal.notice(f"{summary.source}: it was finished before: nothing to do{left}")
        else:
            frames = terminal.count(summary.resumed, "frame")
            terminal.notice(f"{summary.source}: going on behind {frames} of an earlier run")

    def _answered(self, summary: Summary, result: FrameResult, progress: JobProgress) -> None:
        from streamer.outputs.jsonl import result_to_json

        if self._json:
            terminal.print_json({"type": "frame", "source": summary.source, **result_to_json(result)})
            return
        self._name(summary, progress)
        progress.say(terminal.result_line(result))

    def _name(self, summary: Summary, progress: JobProgress) -> None:
        """Of the file that the lines below are about, where there are several."""
        if len(self.titles) > 1 and self._shown != summary.source:
            self._shown = summary.source
            progress.say(f"[bold]{escape(summary.source)}[/]")

    def _finished(self, summary: Summary, error: StreamerError | None, progress: JobProgress) -> None:
        self._summaries.append(summary)
        if error is not None:
            self.failed(summary.source, error)
        if summary.fault:
            terminal.failure("ended early", summary.fault)
        if summary.segments and not self._json:
            self._name(summary, progress)
            for segment in summary.segments:
                progress.say(terminal.segment_line(segment))
        for text in _notices(summary):
            terminal.notice(f"{summary.source}: {text}")
        if self._json:
            paths = {name: list(map(str, getattr(summary, name))) for name in ("files", "there_already", "left")}
            terminal.print_json({"type": "summary", **asdict(summary), **paths})

    def _stopped(self, summary: Summary) -> None:
        kept = f"; {'it is' if summary.frames == 1 else 'they are'} kept, and started again the job goes on from there"
        kept = kept if summary.frames else ""
        terminal.notice(f"stopped after {terminal.count(summary.frames, 'frame')} of {summary.source}{kept}")


def _notices(summary: Summary) -> Iterable[str]:
    if summary.damaged:
        yield f"damaged parts passed over: {summary.damaged}"
    if summary.incomplete:
        frames = terminal.count(summary.incomplete, "frame")
        yield f"the list of boxes of {frames} was cut off or could not be read; no dataset has them"
    if summary.left:
        files = terminal.files_line(summary.left, summary.files[0].stem if summary.files else "")
        yield f"older files of the job before are left beside it: {files}"
