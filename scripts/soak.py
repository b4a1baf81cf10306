"""Whether a live job holds for long: eight cameras, viewers that come and go, and faults all the time.

    python scripts/soak.py [--minutes 30] [--seed 1] [--model scripted|tiny] [--json FILE] [--folder FOLDER]

A station and its server run in a process of their own, as ``streamer watch -c`` runs them: history, rules, alerts with
clips, a webhook and a command. Around it real RTSP servers are killed, frozen and started again with other pictures;
MJPEG and HLS cameras hang, send rubbish, refuse and break off; drawn streams die; viewers look, vanish, read nothing or
talk nonsense; settings, rules, streams and the file change; the webhook fails and hangs. After a sixth of the time (at
most five minutes) and at the end everything is mended and left alone until all streams are live, and what the process
holds in these two quiet moments is compared. The exit code is 1 where one of these does not hold:

- memory is flat in the last two thirds: Theil and Sen's slope of its resident and its own memory;
- no more threads and file handles in the second quiet moment than in the first, and no processes left;
- every stream is live at the end, and has results;
- no error in the job's log, nobody was kept out who may look, and the data stay within their bounds;
- the job ends by itself, with 0.

Everything else that it starts is ended with it, also on Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from soak_cameras import HttpCameras, make_file, rtsp_cameras
from soak_changes import Changer
from soak_faults import Fault, Faults, of_drawn, of_http, of_receiver, of_rtsp
from soak_plan import QUIET, Plan
from soak_receiver import Receiver
from soak_verdict import (
    MORE_CHILDREN,
    MORE_HANDLES,
    MORE_THREADS,
    Finding,
    Sample,
    grown,
    growth_finding,
    judged_samples,
    live_finding,
    log_findings,
    memory_finding,
)
from soak_viewers import Viewers
from soak_watch import Job, Observer, Sampler, folder_mib

CAMERAS = ("mjpeg", "played", "drawn", "rtsp 1", "hls", "rtsp 2", "drawn 2", "rtsp 3")
COMMAND = ["/bin/sh", "-c", "cat > /dev/null; test $(($$ % 11)) = 0 && sleep 60; test $(($$ % 5)) != 0"]
"""Fails now and then, and now and then takes too long."""
PARTS = ("faults", "viewers", "changes")
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


class Soak:
    """One run. `run` says what came of it."""

    def __init__(self, options: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.options, self.folder = options, folder
        self.samples: list[Sample] = []
        self.quiets: list[tuple[Sample, dict[str, Any]]] = []
        chance = random.Random(options.seed)
        self.plan = Plan(folder / "streams.toml", keep_gib=options.keep_gib)
        self.receiver = stack.enter_context(Receiver())
        faults = self._cameras(stack, chance)
        self.names = list(self.plan.streams)
        self.plan.channels["hook"] = {"type": "webhook", "url": self.receiver.url, "timeout_seconds": 3}
        self.plan.channels["told"] = {"type": "command", "argv": COMMAND, "timeout_seconds": 2}
        self.plan.write()
        token = secrets.token_urlsafe(24)
        self.job = Job(self.plan.path, folder / "job.log", model=options.model, token=token)
        self.ended: int | None = None
        stack.callback(self.job.end)
        url = f"{self.job.address}?token={token}"
        self.observer = stack.enter_context(Observer(url))
        self.sampler = stack.enter_context(Sampler(self.job, self.observer, self.plan.data))
        self.viewers = stack.enter_context(Viewers(self.job.address, token, self.observer.names, options.seed))
        self.faults = stack.enter_context(Faults([*faults, *of_receiver(self.receiver)], options.seed))
        extra = str(folder / "played.mp4")
        newest = self.observer.newest
        self.changer = stack.enter_context(
            Changer(self.plan, url, lambda: list(newest), extra=extra, seed=options.seed)
        )

    def _cameras(self, stack: ExitStack, chance: random.Random) -> list[Fault]:
        """Starts them and puts them into the plan; what can happen to them."""
        wanted = CAMERAS[: self.options.cameras]
        http = stack.enter_context(HttpCameras(self.folder / "hls", self.options.seed))
        rtsp = stack.enter_context(rtsp_cameras(sum(name.startswith("rtsp") for name in wanted)))
        played = make_file(self.folder / "played.mp4")
        self.plan.allow = [str(self.folder)]
        faults: list[Fault] = []
        for name in wanted:
            if name == "played":
                self.plan.add(name, str(played), loop=True, gate=0)
            elif name in ("mjpeg", "hls"):
                self.plan.add(name, f"{http.address}/{name}" + ("/index.m3u8" if name == "hls" else ""))
                faults += of_http(name, http)
            elif name.startswith("rtsp") and rtsp:
                camera = rtsp.pop()
                self.plan.add(name, camera.url)
                faults += of_rtsp(name, camera, chance)
            else:
                if name.startswith("rtsp"):
                    console.print(f"{name}: drawn instead, as there is no GStreamer with an RTSP server")
                self.plan.add(name, QUIET, gate=0)
                faults += of_drawn(name, self.plan)
        return faults

    # -- the run

    def run(self) -> list[Finding]:
        seconds = 60.0 * self.options.minutes
        warm = min(300.0, seconds / 6)
        self._until("start", self._all_live, self.options.grace)
        for phase, length in (("warm", warm), ("soak", seconds - warm)):
            busy = {"faults": self.faults.busy, "viewers": self.viewers.busy, "changes": self.changer.busy}
            for name in busy.keys() - set(self.options.without):
                busy[name].set()
            self._until(phase, lambda: False, length)
            self._calm()
        findings = self._judge()
        self.ended = self.job.end()
        words = "killed: its stacks are in the log" if self.ended is None else f"exit code {self.ended}"
        log, self.warnings = log_findings(self.job.log.read_text(errors="replace"))
        left = self.sampler.left()
        return [
            *findings,
            Finding("the job ends by itself", self.ended == 0, words),
            Finding("nothing is left of it", not left, ", ".join(left) or "no process"),
            log,
        ]

    def _calm(self) -> None:
        """Mends everything and looks at the job once it has come to rest."""
        self.viewers.busy.clear()
        self.changer.calm()
        self.faults.calm()
        began = time.monotonic()
        self._until("quiet", lambda: self._all_live(began), self.options.grace)
        self._until("quiet", lambda: False, self.options.quiet)
        self.quiets.append((self.samples[-1], self.job.insides(objects=True)))
        self._say(self.samples[-1])

    def _all_live(self, since: float = 0.0) -> bool:
        """Those that are meant and no others, each with a result since then."""
        streams, last = self.observer.streams, self.observer.last_result
        live = {name for name, stream in streams.items() if stream.state == "live" and last.get(name, 0.0) > since}
        return live == set(self.names) and len(streams) == len(live)

    def _until(self, phase: str, done: Callable[[], bool], seconds: float) -> None:
        """Takes samples until something is so, at most so long."""
        end = time.monotonic() + seconds
        due = said = time.monotonic()
        while time.monotonic() < end and not done():
            if not self.job.running:
                raise SystemExit(f"the job has ended:\n{self.job.log.read_text(errors='replace')[-5000:]}")
            if time.monotonic() >= due:
                self._sample(phase)
                due += self.options.every
            if time.monotonic() >= said:
                self._say(self.samples[-1])
                said += self.options.say
            time.sleep(max(0.0, min(0.2, end - time.monotonic())))
        self._sample(phase)

    def _sample(self, phase: str) -> None:
        self.samples.append(self.sampler.take(phase, self.faults.active))

    def _say(self, sample: Sample) -> None:
        others = Counter(state for state in sample.states.values() if state != "live")
        console.print(
            f"{sample.at / 60:6.1f} min {sample.phase:5} {sample.rss_mib:6.1f} MiB ({sample.uss_mib:.1f} own) "
            f"{sample.threads} threads {sample.handles} files {sample.cpu:.0f} % | {sample.live} live"
            + "".join(f", {count} {state}" for state, count in others.items())
            + f" | {sample.results_per_second:.1f} results/s, {sample.alerts} alerts | {sample.rows} rows, "
            f"{sample.kept_mib:.1f} MiB kept, {sample.notices} notices wait"
        )

    # -- what came of it

    def _judge(self) -> list[Finding]:
        (warm, _), (end, insides) = self.quiets
        judged = judged_samples(self.samples)
        most = self.options.most_mib_per_hour
        troubles = [*self.viewers.troubles, *(f"the observer: {reason}" for reason in self.observer.lost)]
        kept, bound = folder_mib(self.plan.data), 2048 * self.options.keep_gib + 16
        lost = {key: insides.get(key) for key in ("history_dropped", "history_fault", "alerts_dropped")}
        return [
            memory_finding("resident memory", [(one.at, one.rss_mib) for one in judged], most),
            memory_finding("its own memory", [(one.at, one.uss_mib) for one in judged], most),
            growth_finding("threads", warm.threads, end.threads, MORE_THREADS),
            growth_finding("file handles", warm.handles, end.handles, MORE_HANDLES),
            growth_finding("processes of its own", warm.children, end.children, MORE_CHILDREN),
            live_finding(end.states, self.names),
            Finding("every stream has results", self._all_live(time.monotonic() - 30), "in the last 30 s"),
            Finding("nobody is kept out", not troubles, "\n".join(troubles[:10]) or "all viewers were served"),
            Finding("the data stay within bounds", kept <= bound, f"{kept:.0f} MiB on disk, at most {bound:.0f}"),
            Finding("nothing is lost on the way", not any(lost.values()), json.dumps(lost)),
        ]

    def show(self, findings: list[Finding]) -> None:
        table = Table("", "holds", "", title=f"{self.options.minutes:g} minutes, {len(self.names)} cameras", box=None)
        for finding in findings:
            table.add_row(finding.what, "yes" if finding.holds else "[red]NO[/]", escape(finding.words))
        console.print(table)
        for title, counts in self.counted().items():
            console.print(
                f"{title}: " + ", ".join(f"{key} {value}" for key, value in sorted(counts.items())), markup=False
            )
        (_, before), (_, after) = self.quiets
        for title, key in (("more objects", "objects"), ("more threads", "threads")):
            more = grown(before.get(key, {}), after.get(key, {}))
            console.print(
                f"{title}: " + (", ".join(f"{name} {was} -> {now}" for name, was, now in more) or "none"), markup=False
            )

    def counted(self) -> dict[str, Counter[str]]:
        return {
            "faults": self.faults.counts,
            "changes": self.changer.counts,
            "refused": self.changer.refused,
            "visits": self.viewers.counts,
            "alerts": self.observer.alerts + Counter({"with clip": self.observer.clips}),
            "results": self.observer.results,
            "webhook": self.receiver.counts,
            "warnings": self.warnings,
        }


def options_of(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="with faults; starting and mending come on top")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cameras", type=int, default=len(CAMERAS), help=f"the first so many of {', '.join(CAMERAS)}")
    parser.add_argument("--model", default="scripted", choices=("scripted", "tiny"))
    parser.add_argument("--without", nargs="*", default=(), choices=PARTS, help="to find out what something comes from")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples")
    parser.add_argument("--say", type=float, default=30.0, help="seconds between lines")
    parser.add_argument("--grace", type=float, default=75.0, help="seconds in which mended streams have to be live")
    parser.add_argument("--quiet", type=float, default=8.0, help="seconds behind that, before what it holds is noted")
    parser.add_argument("--most-mib-per-hour", type=float, default=30.0, help="by which memory may rise")
    parser.add_argument("--keep-gib", type=float, default=0.04, help="of the history")
    parser.add_argument("--json", type=Path, help="file for samples and findings")
    parser.add_argument("--folder", type=Path, help="for data and log, and kept; a temporary one by default")
    return parser.parse_args(words)


@contextlib.contextmanager
def working(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="streamer-soak-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def main() -> int:
    options = options_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with working(options.folder) as folder, ExitStack() as stack:
        soak = Soak(options, folder, stack)
        findings = soak.run()
        soak.show(findings)
        if options.json is not None:
            document = {"findings": [asdict(one) for one in findings], "counts": soak.counted()}
            document |= {"samples": [asdict(one) for one in soak.samples], "insides": [one for _, one in soak.quiets]}
            options.json.write_text(json.dumps(document))
    return 0 if all(finding.holds for finding in findings) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("ended by Ctrl-C")
