"""What the command line shows of a file job, in a process of its own: ``python -m tests.showing OUTPUT FILE…``."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from streamer import terminal
from streamer.annotation import AnnotateRun
from streamer.commands.reporting import Report
from streamer.filejob import AnnotateOptions
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.naming import output_names, told_apart
from streamer.progress import job_progress
from streamer.sampling import Sampling
from streamer.sources.synthetic import read_counter


def says_much(request: Request) -> str:
    """The number in the picture, sometimes in more words than a line has room for."""
    number = read_counter(request.images[0])
    return " ".join([f"picture-{number}", *(f"word{number}x{place}" for place in range(number % 7 * 5))])


def main() -> None:
    output, *files = sys.argv[1:]
    options = AnnotateOptions(sampling=Sampling.all(), batch=2, formats=("jsonl", "mp4"))
    report = Report(json=False)
    report.titles = dict(zip(files, told_apart(files), strict=True))
    jobs = list(zip(files, output_names(files), strict=True))
    model = ScriptedModel(says_much, seconds=0.01)
    with job_progress(len(files), json=False, titles=report.titles) as progress:
        run = AnnotateRun(jobs, model, options, output=Path(output), progress=progress.advance)
        terminal.notice("this stands above the bars")
        with closing(iter(run)) as events:
            report.follow(events, progress)
    report.end()


if __name__ == "__main__":
    main()
