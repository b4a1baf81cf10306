"""What breaks while ``soak.py`` runs: cameras, drawn streams and the receiver of alerts, some at a time."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from soak_cameras import MODES, HttpCameras, RtspCamera
from soak_cameras import Mode as HttpMode
from soak_plan import QUIET, Plan
from soak_receiver import MODES as RECEIVER_MODES
from soak_receiver import Receiver

AT_ONCE = 3
LONGEST_SECONDS = 15.0
SIZES = ("320x180", "640x360", "160x120", "352x288")
DRAWN_FAULTS = ("die@6", "hang@6", "resize@4", "jump@4", "gone@8", "refuse")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something of ``target`` that breaks and is mended again."""

    target: str
    name: str
    begin: Callable[[], object]
    end: Callable[[], object]


class Faults:
    """On a thread of its own; while `busy` is set at most `AT_ONCE` targets are broken, each in one way."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._faults = tuple(faults)
        self._random = random.Random(seed)
        self._active: dict[str, tuple[Fault, float]] = {}
        """By target, with the moment at which it is mended."""
        self.counts: Counter[str] = Counter()
        self.busy = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="faults", daemon=True)
        self._thread.start()

    @property
    def active(self) -> int:
        return len(self._active)

    def calm(self) -> None:
        """Mends everything."""
        self.busy.clear()
        self._mend(float("inf"))

    def __enter__(self) -> Faults:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        self._thread.join(10)
        self.calm()

    def _work(self) -> None:
        while not self._stopping.wait(self._random.uniform(0.5, 3)):
            self._mend(time.monotonic())
            with self._lock:
                whole = [fault for fault in self._faults if fault.target not in self._active]
                if not self.busy.is_set() or not whole or len(self._active) >= AT_ONCE:
                    continue
                fault = self._random.choice(whole)
                fault.begin()
                self.counts[f"{fault.target} {fault.name}"] += 1
                until = time.monotonic() + self._random.uniform(2, LONGEST_SECONDS)
                self._active[fault.target] = fault, until

    def _mend(self, now: float) -> None:
        with self._lock:
            for target, (fault, until) in tuple(self._active.items()):
                if until <= now:
                    fault.end()
                    del self._active[target]


def of_rtsp(name: str, camera: RtspCamera, chance: random.Random) -> list[Fault]:
    return [
        Fault(name, "killed", camera.kill, camera.start),
        Fault(name, "frozen", camera.freeze, camera.thaw),
        Fault(name, "other size", lambda: camera.start(chance.choice(SIZES)), lambda: None),
    ]


def of_http(name: str, cameras: HttpCameras) -> list[Fault]:
    def become(mode: HttpMode) -> None:
        cameras.modes[name] = mode

    def fault(mode: HttpMode) -> Fault:
        return Fault(name, mode, lambda: become(mode), lambda: become("well"))

    return [fault(mode) for mode in MODES]


def of_receiver(receiver: Receiver) -> list[Fault]:
    def fault(mode: str) -> Fault:
        return Fault(
            "webhook", mode, lambda: setattr(receiver, "mode", mode), lambda: setattr(receiver, "mode", "well")
        )

    return [fault(mode) for mode in RECEIVER_MODES]


def of_drawn(name: str, plan: Plan) -> list[Fault]:
    """Its address says what goes wrong, so the file is written anew."""

    def becomes(address: str) -> None:
        plan.edit(lambda: plan.streams[name].update(address=address))

    def fault(what: str) -> Fault:
        return Fault(name, what, lambda: becomes(f"{QUIET}&fault={what}"), lambda: becomes(QUIET))

    return [fault(what) for what in DRAWN_FAULTS]
