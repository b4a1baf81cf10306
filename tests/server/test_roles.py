"""Tokens on the WebSocket: who is told of which streams, and who may change them. And a connection by TLS."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streamer.client import Client, ClientError
from streamer.configuration import Configuration, StreamEntry
from streamer.errors import OptionError
from streamer.models.scripted import ScriptedModel
from streamer.rules import Rule
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.server.protocol import Ack, Alert, Hello, Result, Snapshot, Stream, Trouble, parse_told
from streamer.settings import StreamSettings
from streamer.station import Station
from tests.server.looking import OpenPage, shows
from tests.server.rig import eventually

FAST = StreamSettings(fps=5, gate=0, budget=70)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    streams = tuple(StreamEntry(name, "synthetic:?live=1&size=320x180", FAST) for name in ("yard", "hall"))
    rule = Rule("always", "Is it so?", confirm=1, streams=("yard",))
    model = ScriptedModel(lambda request: json.dumps({"answer": "yes", "reason": "it is"}), structured=True)
    with model, Station(model, Configuration(streams=streams, rules=(rule,), data=tmp_path / "data")) as station:
        eventually(lambda: station.history.alerts())
        yield station


@pytest.fixture
def server(station: Station) -> Iterator[Server]:
    with Server(station.monitor, port=0, token="owner's", station=station) as server:
        yield server


@pytest.fixture
def tokens(station: Station) -> Tokens:
    return Tokens(station.tokens_path)


def heard(client: Client, seconds: float = 1.0) -> list[Any]:
    messages, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            messages.append(client.receive(left))
        except TimeoutError:
            break
    return messages


def test_a_viewer_is_told_of_its_streams_alone(server: Server, tokens: Tokens) -> None:
    with Client(server.address, token=tokens.create("anna", "viewer", ["h*"])) as client:
        messages = heard(client)
        hello, snapshot = messages[0], messages[1]
        assert isinstance(hello, Hello)
        assert (hello.role, hello.can_add) == ("viewer", False)
        assert isinstance(snapshot, Snapshot)
        assert [stream.stream for stream in snapshot.streams] == ["hall"]
        assert snapshot.alerts == ()
        told = {getattr(message, "stream", None) for message in messages[2:]}
        assert told == {"hall"}
        assert "yard" not in "".join(message.model_dump_json() for message in messages)


def test_an_admin_is_told_of_all_and_of_alerts(server: Server, tokens: Tokens) -> None:
    with Client(server.address, token=tokens.create("otto", "admin")) as client:
        messages = heard(client, 3)
        assert messages[0].role == "admin"
        assert [alert.rule for alert in messages[1].alerts] == ["always"]
        kinds = {type(message) for message in messages[2:]}
        assert {Result, Stream} <= kinds


@pytest.mark.parametrize(
    "command",
    [
        {"type": "set", "stream": "hall", "paused": True},
        {"type": "set_task", "stream": "hall", "task": {"kind": "ask", "prompt": "Who?"}},
        {"type": "drop_task", "stream": "hall", "name": "caption"},
        {"type": "restart", "stream": "hall"},
        {"type": "add", "stream": "new", "address": "rtsp://10.0.0.1/a"},
        {"type": "remove", "stream": "hall"},
    ],
)
def test_a_viewer_changes_nothing(command: dict[str, Any], server: Server, tokens: Tokens, station: Station) -> None:
    before = station.entries()
    with Client(server.address, token=tokens.create("anna", "viewer")) as client:
        fields = {key: value for key, value in command.items() if key != "type"}
        with pytest.raises(ClientError, match="admin"):
            client.command(command["type"], **fields)
    assert station.entries() == before


@pytest.mark.parametrize("name", ["yard", "nothing"])
def test_a_stream_that_may_not_be_seen_is_like_one_that_is_not_there(name: str, server: Server, tokens: Tokens) -> None:
    with Client(server.address, token=tokens.create("anna", "viewer", ["hall"])) as client:
        with pytest.raises(ClientError) as caught:
            client.show([name])
        assert (
            str(caught.value)
            .replace(name, "NAME")
            .endswith("stream: 'NAME' cannot be used; expected a stream that is there")
        )
        client.show(["hall"])


def test_alerts_that_may_not_be_seen_cannot_be_acknowledged(server: Server, tokens: Tokens, station: Station) -> None:
    [alert] = station.history.alerts()
    with Client(server.address, token=tokens.create("anna", "viewer", ["hall"])) as client:
        for id in (alert.id, "0" * 32):
            with pytest.raises(ClientError):
                client.command("acknowledge", alert=id)
    assert station.history.alert(alert.id).acknowledged_at is None
    with Client(server.address, token=tokens.create("bert", "viewer")) as client:
        client.command("acknowledge", alert=alert.id)
        assert any(isinstance(one, Alert) and one.acknowledged_by == "bert" for one in heard(client, 0.5))


def test_a_token_that_was_removed_opens_nothing(server: Server, tokens: Tokens) -> None:
    token = tokens.create("anna", "viewer")
    tokens.remove("anna")
    with pytest.raises(ClientError, match="token"), Client(server.address, token=token) as client:
        client.receive(5)


def test_what_an_admin_changes_is_kept(server: Server, station: Station) -> None:
    with Client(server.url) as client:
        client.set("hall", fps=2.5)
    assert (station.tokens_path or Path()).parent.joinpath("changes.json").read_text().count('"fps": 2.5') == 1


def test_half_a_letter_as_token_is_a_wrong_token(server: Server) -> None:
    address = server.address.replace("http", "ws") + "ws"
    with connect(address) as socket:
        socket.send('{"type": "auth", "token": "\\udc80"}')
        with pytest.raises(Exception, match="4401"):
            socket.recv(5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    pair = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*words, "-out", str(pair[0]), "-keyout", str(pair[1])], check=True, capture_output=True)
    return pair


def test_tls(station: Station, certificate: tuple[Path, Path]) -> None:
    with Server(station.monitor, port=0, station=station, tls=certificate) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        with connect(server.url.replace("https", "wss") + "ws", ssl=trusting) as socket:
            assert isinstance(parse_told(socket.recv(5)), Hello)


def test_nonsense_is_answered_in_words(server: Server) -> None:
    with Client(server.url) as client:
        for text in ({"type": "acknowledge", "id": 3, "alert": ""}, {"type": "acknowledge", "id": 3}):
            client.send(text)
            answer = next(message for message in client if isinstance(message, Ack))
            assert not answer.ok


def test_who_guesses_tokens_has_to_wait_and_locks_nobody_out(server: Server, tokens: Tokens) -> None:
    token = tokens.create("anna", "viewer")
    codes = [_code_for(server, f"guess {number}") for number in range(14)]
    assert codes[0] == 4401
    assert codes[-1] == 1013
    with Client(server.address, token=token) as client:
        assert isinstance(client.receive(5), Hello)


def test_a_token_that_is_removed_ends_its_connections(server: Server, tokens: Tokens) -> None:
    with Client(server.address, token=tokens.create("anna", "viewer")) as client, Client(server.url) as owner:
        assert isinstance(client.receive(5), Hello)
        tokens.remove("anna")
        begun = time.monotonic()
        with pytest.raises(ClientError, match="any more"):
            _receive_all(client)
        assert time.monotonic() - begun < 3
        assert isinstance(owner.receive(5), Hello)
        assert heard(owner, 1.5)


def _receive_all(client: Client) -> None:
    while True:
        client.receive(5)


def test_a_short_token_is_not_enough_where_others_come_in(station: Station) -> None:
    with pytest.raises(OptionError, match="16 letters") as caught:
        Server(station.monitor, host="0.0.0.0", port=0, token="secret1", station=station)
    assert "secret1" not in str(caught.value)


def _code_for(server: Server, token: str) -> int:
    """That the server closes with."""
    with connect(server.address.replace("http", "ws") + "ws") as socket:
        try:
            socket.send(json.dumps({"type": "auth", "token": token}))
            socket.recv(5)
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else 0
    return 0


def test_what_cannot_be_kept_is_told_to_admins_alone(
    server: Server, tokens: Tokens, station: Station, open_page: OpenPage
) -> None:
    """The history's file is taken away while it runs, and comes back."""
    database = next(path for path in Path(station.tokens_path or "").parent.iterdir() if path.suffix == ".sqlite")
    page = open_page(server.url)
    with Client(server.address, token=tokens.create("anna", "viewer")) as viewer, Client(server.url) as owner:
        kept = database.rename(database.with_suffix(".kept"))
        trouble = next(message for message in owner if isinstance(message, Trouble))
        assert "was removed" in str(trouble.words)
        shows(page, "document.querySelector('#trouble').textContent.includes('was removed')")
        with Client(server.url) as later:
            assert next(message for message in later if isinstance(message, Trouble)).words == trouble.words
        kept.rename(database)
        assert next(message for message in owner if isinstance(message, Trouble)).words is None
        shows(page, "document.querySelector('#trouble').hidden")
        assert not any(isinstance(viewer.receive(5), Trouble) for _ in range(10))
