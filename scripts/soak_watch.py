"""How ``soak.py`` looks at the job: its process from outside, its messages as a viewer, its history beside it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import psutil
from soak_verdict import Sample

from streamer.client import Client, ClientError
from streamer.history import History
from streamer.server.picture import Picture
from streamer.server.protocol import Alert, Removed, Result, Snapshot, Stream

PROGRAM = str(Path(__file__).with_name("soak_job.py"))
START_SECONDS = 60.0
ANSWER_SECONDS = 30.0
END_SECONDS = 20.0


class Job:
    """The process under test. Raises `SystemExit` where it does not start."""

    def __init__(self, configuration: Path, log: Path, *, model: str, token: str) -> None:
        words = [sys.executable, "-W", "default::ResourceWarning", PROGRAM, str(configuration), model]
        self.log, self._asked = log, 0
        self._lines: queue.Queue[str] = queue.Queue(maxsize=16)
        with log.open("w") as file:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env={**os.environ, "STREAMER_TOKEN": token},
                start_new_session=True,  # Ctrl-C is for the one who looks
            )
        self.seen = psutil.Process(self._process.pid)
        self._reader = threading.Thread(target=self._read, name="job", daemon=True)
        self._reader.start()
        self.address = self._line(START_SECONDS)
        if not self.address:
            self.end()
            raise SystemExit(f"the job did not start:\n{log.read_text()}")

    def insides(self, *, objects: bool = False) -> dict[str, Any]:
        """What it says of itself; empty where it says nothing in time."""
        assert self._process.stdin is not None
        self._asked += 1
        asked = f"{'objects' if objects else 'all'} {self._asked}"
        try:
            self._process.stdin.write(f"{asked}\n")
            self._process.stdin.flush()
        except OSError:
            return {}
        deadline = time.monotonic() + ANSWER_SECONDS
        while line := self._line(max(0.0, deadline - time.monotonic())):
            found = dict(json.loads(line))
            if found["asked"] == asked:  # not a late answer to an earlier one
                return found
        return {}

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def end(self) -> int | None:
        """Its exit code; None where it had to be killed, and then its stacks are in the log."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already
            self._process.stdin.close()
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            if hasattr(signal, "SIGUSR1"):
                self._process.send_signal(signal.SIGUSR1)
                time.sleep(1)
            self._process.kill()
            self._process.wait(10)
            return None
        finally:
            self._reader.join(5)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line.strip())
        self._lines.put("")

    def _line(self, seconds: float) -> str:
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return ""


class Observer:
    """One viewer that stays for the whole time and comes back where it was sent away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.streams: dict[str, Stream] = {}
        self.results: Counter[str] = Counter()
        """By stream; ``failed`` those with an error."""
        self.last_result: dict[str, float] = {}
        """By stream: ``time.monotonic()``."""
        self.alerts: Counter[str] = Counter()
        """By what they were: ``new``, ``update``, ``end``."""
        self.clips = 0
        self.newest: deque[str] = deque(maxlen=20)
        self.lost: list[str] = []
        """Why it had to come back."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="observer", daemon=True)
        self._thread.start()

    def names(self) -> list[str]:
        return list(self.streams)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(10)

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                with Client(self._url) as client:
                    while not self._stopping.is_set():
                        self._next(client)
            except ClientError as error:
                self.lost.append(error.reason)
                self._stopping.wait(0.5)

    def _next(self, client: Client) -> None:
        try:
            self._hear(client.receive(0.5))
        except TimeoutError:
            return

    def _hear(self, message: object) -> None:
        match message:
            case Snapshot():
                self.streams = {stream.stream: stream for stream in message.streams}
            case Stream():
                self.streams[message.stream] = message
            case Removed():
                self.streams.pop(message.stream, None)
            case Result():
                self.results["failed" if message.error else message.stream] += 1
                self.last_result[message.stream] = time.monotonic()
            case Alert():
                self.alerts[message.phase] += 1
                self.newest.append(message.alert)
                self.clips += message.phase == "end" and message.clip is not None
            case Picture():
                pass


class Sampler:
    """Takes a `Sample` whenever it is asked."""

    def __init__(self, job: Job, observer: Observer, data: Path) -> None:
        self._job, self._observer = job, observer
        self._history = History(data)  # several programs may have it open at once
        self._began = self._last = time.monotonic()
        self._cpu, self._results = self._cpu_seconds(), 0
        self._children: set[psutil.Process] = set()

    def take(self, phase: str, faults: int) -> Sample:
        now, process = time.monotonic(), self._job.seen
        results, cpu = sum(self._observer.results.values()), self._cpu_seconds()
        took = max(1e-6, now - self._last)
        counts = self._history.counts()
        children = process.children(recursive=True)
        self._children.update(children)
        sample = Sample(
            at=now - self._began,
            phase=phase,
            rss_mib=process.memory_info().rss / 2**20,
            uss_mib=process.memory_full_info().uss / 2**20,
            threads=process.num_threads(),
            handles=process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),
            children=len(children),
            cpu=100 * (cpu - self._cpu) / took,
            states={name: stream.state for name, stream in self._observer.streams.items()},
            faults=faults,
            results_per_second=(results - self._results) / took,
            alerts=self._observer.alerts["new"],
            rows=counts.results,
            kept_mib=(counts.picture_bytes + counts.clip_bytes + counts.database_bytes) / 2**20,
            notices=counts.pending_notices,
            dead_notices=counts.dead_notices,
        )
        self._last, self._cpu, self._results = now, cpu, results
        return sample

    def left(self) -> list[str]:
        """Processes of the job that are still there; to be asked when it has ended."""
        left = []
        for one in (*self._children, self._job.seen):
            with contextlib.suppress(psutil.NoSuchProcess):
                if one.status() != psutil.STATUS_ZOMBIE:  # which only waits for a parent that looks after orphans
                    left.append(" ".join(one.cmdline()))
        return left

    def _cpu_seconds(self) -> float:
        times = self._job.seen.cpu_times()
        return float(times.user + times.system)

    def __enter__(self) -> Sampler:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._history.close()


def folder_mib(folder: Path) -> float:
    """What all files in it hold together."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total / 2**20
