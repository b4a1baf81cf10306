"""What people change while ``soak.py`` runs: settings, tasks, streams, rules, channels, tokens, and the file itself."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from soak_plan import Plan

from streamer.client import Client, ClientError
from streamer.errors import StreamerError
from streamer.server.access import Tokens
from streamer.tasks import Task

EXTRA = "extra"
"""A stream that viewers add and remove."""


class Changer:
    """On a thread of its own; changes something every few seconds while `busy` is set."""

    def __init__(self, plan: Plan, url: str, alerts: Callable[[], list[str]], *, extra: str, seed: int) -> None:
        """``url``: with an admin's token; ``alerts()``: ids to take note of; ``extra``: what may be added."""
        self._plan, self._url, self._alerts, self._extra = plan, url, alerts, extra
        self._random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """Changes that were not made, by the reason."""
        self.busy = threading.Event()
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="changes", daemon=True)
        self._thread.start()

    def calm(self) -> None:
        """Lets the change that is being made end, and has everything as it was meant."""
        self.busy.clear()
        with self._changing, contextlib.suppress(ClientError), Client(self._url) as client:
            client.remove(EXTRA)
        self._plan.calm()

    def __enter__(self) -> Changer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.busy.clear()
        self._stopping.set()
        self._thread.join(30)

    def _work(self) -> None:
        changes: dict[str, Callable[[Client], None]] = {
            "settings": self._settings,
            "pause": self._pause,
            "tasks": self._tasks,
            "restart": lambda client: client.restart(self._stream()),
            "extra": self._add_or_remove,
            "acknowledge": self._acknowledge,
            "rules": self._rules,
            "channels": self._channels,
            "spoilt file": self._spoil,
            "stream left out": self._leave_out,
            "token": self._token,
        }
        while not self._stopping.wait(self._random.uniform(1, 4)):
            with self._changing:
                if self.busy.is_set():
                    name = self._random.choice(tuple(changes))
                    self._attempt(name, changes[name])

    def _attempt(self, name: str, change: Callable[[Client], None]) -> None:
        self.counts[name] += 1
        try:
            with Client(self._url) as client:
                change(client)
        except StreamerError as error:
            words = error.reason if isinstance(error, ClientError) else str(error)
            self.refused[f"{name}: {words[:100]}"] += 1

    def _stream(self) -> str:
        return self._random.choice(tuple(self._plan.streams))

    def _settings(self, client: Client) -> None:
        client.set(
            self._stream(),
            fps=self._random.choice((0.5, 1, 2, 4)),
            budget=self._random.choice((70, 140, "auto")),
            gate=self._random.choice((0, 0.02)),
            display_fps=self._random.choice((1, 5, 12)),
        )

    def _pause(self, client: Client) -> None:
        stream = self._stream()
        client.set(stream, paused=True)
        self._stopping.wait(1)
        client.set(stream, paused=False)

    def _tasks(self, client: Client) -> None:
        stream = self._stream()
        if self._random.random() < 0.5:
            client.set_task(stream, Task.ask(f"How many of {self._random.randint(1, 99)}?"))
        else:
            client.drop_task(stream, "ask")

    def _add_or_remove(self, client: Client) -> None:
        try:
            client.add(EXTRA, self._extra, fps=1)
        except ClientError:
            client.remove(EXTRA)

    def _acknowledge(self, client: Client) -> None:
        for alert in self._alerts()[-3:]:
            client.command("acknowledge", alert=alert)

    def _rules(self, client: Client) -> None:
        def change() -> None:
            rules = self._plan.rules
            rules["someone"]["confirm"] = self._random.randint(1, 4)
            if rules.pop("more", None) is None:
                rules["more"] = {"question": f"Is it {self._random.randint(1, 99)}?", "channels": []}

        self._plan.edit(change)

    def _channels(self, client: Client) -> None:
        """Another address of the same receiver, so that all channels are made anew."""
        number = self._random.randint(1, 10**6)
        hooks = [channel for channel in self._plan.channels.values() if "url" in channel]
        self._plan.edit(lambda: [one.update(url=f"{one['url'].partition('?')[0]}?{number}") for one in hooks])

    def _spoil(self, client: Client) -> None:
        self._plan.spoil()
        self._stopping.wait(3)
        self._plan.write()

    def _leave_out(self, client: Client) -> None:
        self._plan.write(without=self._stream())
        self._stopping.wait(3)
        self._plan.write()

    def _token(self, client: Client) -> None:
        """Made beside the running server, as the command line does; its owner looks once."""
        tokens = Tokens(self._plan.data / "tokens.json")
        name = f"guest {time.time_ns()}"
        token = tokens.create(name, "viewer", ["mjpeg", "*rtsp*"])
        try:
            with Client(self._url.partition("?")[0], token=token) as guest:
                guest.receive(10)
        finally:
            tokens.remove(name)
