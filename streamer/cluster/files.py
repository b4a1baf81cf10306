"""The file job on a cluster: decoded and answered at its nodes, written here.

Files are cut into parts (`ranges`), decoded on the nodes' cores (`lanes`), a block of frames at a time, and answered by
the nodes' models (`asking`). Pictures travel from node to node and never through this process; rows do, and this
process alone writes them, in order, each once: what a lost process or node had is done again from where the rows end.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamer.addresses import redact
from streamer.annotation import AnnotateRun, End, Event, Failed, Open, Progress, Resumed
from streamer.cluster.answerer import Asked, Row
from streamer.cluster.asking import Asking, Outcome, Ready
from streamer.cluster.connecting import nodes
from streamer.cluster.decoder import Order
from streamer.cluster.lanes import Came, Lane, Lanes
from streamer.cluster.pieces import MAX_CRASHES, Piece, Pieces
from streamer.cluster.ranges import planned
from streamer.cluster.sizes import Sizes
from streamer.cluster.spread import LOAD_SECONDS, PATIENCE_SECONDS, SpreadModel, reason_of
from streamer.errors import ClusterError, ModelError, SourceError, StreamerError
from streamer.filejob import AnnotateOptions, FileJob
from streamer.frames import Frame
from streamer.gating import repeated
from streamer.results import FrameResult
from streamer.sources.finding import is_address, local_path

if TYPE_CHECKING:
    from streamer.cluster.crew import Member
    from streamer.sources.base import Size

POLL_SECONDS = 0.1
OPENERS = 4
"""Files that are looked at together before they are cut."""
TEND_SECONDS = 2.0
"""How often it is looked whether nodes have come or gone."""
CHAPTER_THREADS = 4
_NO_PICTURE = np.zeros((1, 1, 3), np.uint8)


@dataclass(slots=True, eq=False, kw_only=True)
class _File(Open):
    """A file whose rows are being made."""

    pieces: Pieces
    skip: int
    """The first frame that is needed to go on where an earlier run has ended."""
    begun: int
    """The first frame that this run answers."""
    last_seconds: float | None
    """Media time of the newest row."""
    size: tuple[Size, Size]
    """Of its pictures, and at which the model takes them."""
    ending: Future[End | Failed] | None = None


@dataclass(slots=True, eq=False)
class _Opening:
    """A file that is being looked at."""

    address: str
    job: Future[_File | Failed]


class SpreadRun(AnnotateRun):
    """`AnnotateRun` with the model's actors: the same events, journals and formats. Files end in any order."""

    def __init__(
        self,
        files: Sequence[tuple[str, str]],
        model: SpreadModel,
        options: AnnotateOptions | None = None,
        *,
        output: Path | None = None,
        progress: Progress = lambda summary, stage, seconds: None,
    ) -> None:
        super().__init__(files, model, options, output=output, progress=progress)
        self._spread, self._ray = model, model.ray
        asked = Asked(self._options.tasks, self._options.budget, self._options.box_grid)
        self._asking = Asking(self._ray, model.crew, asked, self._batch)
        self._opening: deque[_Opening] = deque()
        self._files: list[_File] = []
        self._next_tending = 0.0
        self._alive_nodes: dict[str, str] = {}
        """Names by ids."""

    def _call_off(self) -> None:
        self._stopped.set()
        self._model.interrupt()

    def _events(self) -> Generator[Event | End]:
        with ExitStack() as stack:
            self._opener = stack.enter_context(ThreadPoolExecutor(OPENERS, "open"))
            self._chapters = stack.enter_context(ThreadPoolExecutor(CHAPTER_THREADS, "chapters"))
            stack.callback(self._asking.close)
            self._tend()
            self._lanes = Lanes(self._ray, self._options, self._cores())
            stack.callback(self._lanes.close)
            while (self._waiting or self._opening or self._files) and not self._stopped.is_set():
                yield from self._open_more()
                self._tend()
                self._order()
                self._asking.ask(last=not any(lane.piece for lane in self._lanes.lanes))
                self._hear()
                for file in list(self._files):
                    yield from self._rows(file)

    def _cores(self) -> int:
        cores = int(sum(node.cpus for node in nodes(self._ray)))
        if cores < 1:
            raise ClusterError(
                self._spread.options.address, "no node of it has a core to decode with", "see ray status"
            )
        return min(cores, self._spread.options.decoders or cores)

    # -- files

    def _open_more(self) -> Generator[Resumed | Failed]:
        """Some files ahead of those that are decoded, so that no lane waits for the next one."""
        idle = not any(file.pieces.waiting for file in self._files)
        while self._waiting and len(self._opening) < OPENERS and (idle or not self._files):
            address, name = self._waiting.popleft()
            self._opening.append(_Opening(address, self._opener.submit(self._opened_file, address, name)))
        while self._opening and self._opening[0].job.done():
            file = self._opening.popleft().job.result()
            if isinstance(file, Failed):
                yield file
                continue
            if file.job.known:
                yield Resumed(file.job.summary, file.job.known)
            self._files.append(file)

    def _opened_file(self, address: str, name: str) -> _File | Failed:
        """On a thread of its own: looks at the file, opens its journal, and cuts what is missing into parts."""
        options = self._options
        try:
            job = FileJob(address, self._model, options, output=self._output, name=name)
            self._alive.add(job)
            job.begin()
            done, whole = len(job.known), bool(options.gate) or is_address(address)
            seconds = self._spread.options.part_seconds
            parts = planned(address, job.info, options.sampling, begin=done, seconds=seconds, whole=whole)
            size = job.info.size, self._spread.size_for(job.info.size, options.budget)
        except StreamerError as error:
            return Failed(redact(address), error)
        pieces = Pieces([] if job.complete else parts)
        last = job.known[-1].time_seconds if job.known else None
        return _File(job, pieces.drop, pieces=pieces, skip=job.first_needed(), begun=done, last_seconds=last, size=size)

    # -- what is to be done next

    def _tend(self) -> None:
        if time.monotonic() < self._next_tending:
            return
        self._next_tending = time.monotonic() + TEND_SECONDS
        self._alive_nodes = {node.id: node.name for node in nodes(self._ray)}
        self._spread.tend()
        if self._spread.crew.missing_seconds > LOAD_SECONDS:
            reason = f"no node has had room for the model for {LOAD_SECONDS:.0f} s"
            raise ClusterError(self._spread.options.address, reason, "started again, the job goes on from here")

    def _order(self) -> None:
        """Free lanes get the next pieces, and all that may are asked for a block more."""
        lanes = self._lanes
        for lane in lanes.free:
            file = next((file for file in self._files if file.pieces.waiting), None)
            if file is None:
                break
            piece = file.pieces.waiting
            assert piece is not None
            lanes.give(lane, file.pieces, piece, self._order_for(file, piece))
        if self._asking.idle and any(file.pieces.waiting for file in self._files):
            lanes.grow()
        lanes.crew.tend()
        if lanes.crew.missing_seconds > PATIENCE_SECONDS:
            reason = f"no core has been free to decode for {PATIENCE_SECONDS:.0f} s"
            raise ClusterError(self._spread.options.address, reason, "started again, the job goes on from here")
        if self._asking.waiting_frames < 2 * self._options.batch * max(1, len(self._spread.crew.members)):
            lanes.ask()

    def _order_for(self, file: _File, piece: Piece) -> Order:
        """The gate has to see all that came before, so what it has lost begins from the beginning."""
        before = max(task.frames for task in self._options.tasks) - 1
        piece.counted = file.pieces.astray
        skip = 0 if piece.counted else max(0, piece.first - before)
        if self._options.gate:
            skip = file.skip if piece.first == file.begun and not piece.again else 0
        models = [member.actor for member in self._spread.crew.members]
        sizes = Sizes(models, self._options.budget, dict([file.size]))
        return Order(_absolute(file.job.address), piece.first, piece.count, skip, sizes)

    # -- what came of it

    def _hear(self) -> None:
        lanes, asking, starting = self._lanes, self._asking, self._spread.crew.starting
        references = [*lanes.references, *asking.references, *starting]
        done, _ = self._ray.wait(references, timeout=POLL_SECONDS) if references else ([], [])
        if done and len(references) > 1:
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        if not references:
            time.sleep(POLL_SECONDS / 10)
        for reference in done:
            if reference in starting:
                self._spread.greeted(reference)
            elif reference in asking.references:
                self._answered_call(asking.answered(reference))
            elif (came := lanes.answered(reference)) is not None:
                self._came(came)
        for came in lanes.stuck():
            self._came(came)
        for outcome in asking.stuck():
            self._answered_call(outcome)

    def _came(self, came: Came) -> None:
        """A block is decoded, or its lane is lost."""
        lane, note = came.lane, came.note
        pieces, piece = lane.pieces, lane.piece
        assert pieces is not None
        assert piece is not None
        if note is None:
            lane.pieces = lane.piece = None
            self._lanes.lost(lane)
            if pieces.has(piece):
                self._lane_lost(lane, pieces, piece, came.error or TimeoutError())
            return
        if not pieces.has(piece):  # its file was given up meanwhile
            lane.pieces = lane.piece = None
            return
        if note.frames:
            block = pieces.cut(piece, note.frames, came.content, new=note.new)
            self._asking.ready.append(Ready(pieces, block))
        if note.end:
            if note.astray and not piece.counted:
                pieces.recount(piece)
            pieces.decoded(piece, note.fault)
            self._job_of(pieces).found_damaged(note.damaged)
            lane.pieces = lane.piece = None

    def _job_of(self, pieces: Pieces) -> FileJob:
        return next(file.job for file in self._files if file.pieces is pieces)

    def _lane_lost(self, lane: Lane, pieces: Pieces, piece: Piece, error: Exception) -> None:
        pieces.lost(piece, lane.member.node)
        if crashed := self._crashed(piece):
            reason = f"decoding it behind frame {piece.first} has ended {crashed}: {reason_of(error)}"
            pieces.decoded(piece, SourceError(self._job_of(pieces).address, reason, "is it damaged, or memory short?"))

    def _crashed(self, piece: Piece) -> str | None:
        """The processes that ended over a piece, where they are too many. A node's end is nobody's fault."""
        at = [node for node in piece.crashes if node in self._alive_nodes]
        if len(at) < MAX_CRASHES:
            return None
        self._alive_nodes = {node.id: node.name for node in nodes(self._ray)}
        at = [self._alive_nodes[node] for node in at if node in self._alive_nodes]
        if len(at) < MAX_CRASHES:
            return None
        return f"{len(at)} processes (at {', '.join(dict.fromkeys(at))})"

    def _answered_call(self, outcome: Outcome) -> None:
        call, answers = outcome.call, outcome.answers
        if answers is not None:
            for one, rows in zip(call.blocks, answers.rows, strict=True):
                if one.pieces.has(one.piece):
                    one.pieces.answered(one.piece, (rows, one.piece.content))
            return
        error = outcome.error or TimeoutError()
        pictures_lost = self._is_lost(error)
        if not pictures_lost:
            self._spread.crew.lost(call.member)
            self._next_tending = 0.0
        for one in call.blocks:
            if one.pieces.has(one.piece):
                self._block_lost(one, call.member, error, pictures_lost=pictures_lost)

    def _is_lost(self, error: Exception) -> bool:
        """Whether a block's pictures are gone, with their node, and not the model."""
        return isinstance(getattr(error, "cause", None) or error, self._ray.exceptions.ObjectLostError)

    def _block_lost(self, one: Ready, member: Member[Any], error: Exception, *, pictures_lost: bool) -> None:
        if pictures_lost:
            one.pieces.lost(one.piece)
            return
        one.piece.state = "ready"
        one.piece.crashes.append(member.node)
        self._asking.ready.appendleft(one)
        if crashed := self._crashed(one.piece):
            reason = f"answering frame {one.piece.first} or one close behind it has ended {crashed}: {reason_of(error)}"
            one.pieces.decoded(one.piece, ModelError(self._model.name, reason))

    # -- rows, in order

    def _rows(self, file: _File) -> Generator[Event | End]:
        """Those whose turn it is, and the file's end."""
        for piece in file.pieces.taken():
            if isinstance(piece.content, StreamerError):
                self._faulty(file, piece.content)
                continue
            rows, block = piece.content
            for number, row in enumerate(rows):
                result = self._result(file.job, row, block, number)
                if file.last_seconds is not None and result.time_seconds <= file.last_seconds:
                    continue  # a damaged file: the part before this one has it already
                file.last_seconds = result.time_seconds
                file.came += 1
                yield from self._taken(file, replace(result, sequence=file.job.summary.frames))
        if not file.pieces:
            yield from self._end(file)

    def _faulty(self, file: _File, fault: StreamerError) -> None:
        if file.came:
            file.job.summary.fault = str(fault)
        else:
            file.lost = file.lost or fault

    def _result(self, job: FileJob, row: Row, block: Any, number: int) -> FrameResult:
        if not row.unchanged:
            return row.result
        last = job.last
        if last is not None and last.error is None:
            return repeated(last, _bare(row.result))
        return self._asked_anyway(row.result, block, number)

    def _asked_anyway(self, result: FrameResult, block: Any, number: int) -> FrameResult:
        """An unchanged frame whose answer cannot be taken over, because there is none."""
        for member in list(self._spread.crew.members):
            try:
                answer: FrameResult = self._ray.get(
                    member.actor.answer_one.remote(self._asking.asked, block, number), timeout=PATIENCE_SECONDS
                )
            except self._ray.exceptions.RayError:
                continue
            return answer
        return replace(result, error="the model that was to answer is lost")

    def _end(self, file: _File) -> Generator[Event | End]:
        """Chapters take long, so they are made while other files are answered."""
        if file.ending is None and self._options.summary and file.lost is None:
            file.ending = self._chapters.submit(self._ended, file)
        if file.ending is None or file.ending.done():
            self._files.remove(file)
            yield self._ended(file) if file.ending is None else file.ending.result()


def _absolute(address: str) -> str:
    """Nodes have another working directory."""
    return address if is_address(address) else os.path.abspath(local_path(address))


def _bare(result: FrameResult) -> Frame:
    """The frame of a row, without its picture."""
    return Frame(
        _NO_PICTURE,
        result.source_size,
        result.stream,
        result.sequence,
        result.time_seconds,
        index=result.index,
        pts=result.pts,
        decode_ms=result.timings.decode_ms,
    )
