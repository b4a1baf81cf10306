"""What ends a live job at its start is said before a model is loaded for it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from streamer.configuration import read_configuration
from streamer.datafolder import alone_in
from streamer.errors import StreamerError
from streamer.groundwork import check_job
from tests.commands import Run

MANY = "\n".join(f'[[streams]]\nname = "camera {number}"\naddress = "synthetic:?live=1"' for number in range(64))


def refused(run: Run, *words: object) -> str:
    """What the command says."""
    ended = run("watch", *words, "--model", "no-such/model")
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert "loading" not in ended.err
    return ended.err


def test_a_port_that_is_taken(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(run, "synthetic:?live=1", "--port", port, "--data", tmp_path)
        assert said.startswith(f"error: address: '127.0.0.1:{port}' cannot be used; expected a free port")
        demo = run("demo", "--port", port, "--no-browser")
        assert (demo.code, demo.out, demo.err) == (2, "", said)


def test_a_folder_of_another_job(run: Run, tmp_path: Path) -> None:
    with alone_in(tmp_path / "data"):
        said = refused(run, "synthetic:?live=1", "--port", 0, "--data", tmp_path / "data")
    assert "expected one that no other job uses: process" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "streams: 65 cannot be used; expected at most 64 in a running job"),
        ('[channels.phone]\ntype = "webhook"\nurl = "https://a.example"\nsecret_env = "NOT_SET"\n',
         "channels.phone.secret_env: 'NOT_SET' cannot be used; expected the name of a set environment variable"),
        ('[channels.home]\ntype = "mqtt"\nhost = "a.example"\nusername = "me"\npassword_file = "/no/such/file"\n',
         "channels.home.password_file: '/no/such/file' cannot be used; expected"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_run(run: Run, tmp_path: Path, more: str, said: str) -> None:
    (tmp_path / "streams.toml").write_text(f"{more}\n{MANY}")
    assert said in refused(run, "synthetic:?live=1", "--port", 0, "-c", tmp_path / "streams.toml")


def test_more_questions_than_are_asked_of_a_stream(run: Run, tmp_path: Path) -> None:
    rules = "".join(f'[[rules]]\nname = "rule {number}"\nquestion = "Is it {number}?"\n' for number in range(33))
    (tmp_path / "streams.toml").write_text(rules)
    said = refused(run, "synthetic:?live=1", "--port", 0, "-c", tmp_path / "streams.toml")
    assert (
        "rules: '33 questions on synthetic:?live=1' cannot be used; expected at most 32 questions of rules on one"
        in said
    )


def test_a_history_that_cannot_be_opened(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    (tmp_path / "streams.toml").write_text('history_url = "postgresql://127.0.0.1:9/none"\n')
    ended = run("watch", "-c", tmp_path / "streams.toml", "--port", 0, "--model", "no-such/model")
    assert ended.code == 1
    assert ended.err.startswith("error: history postgresql://127.0.0.1:9/none")
    assert "loading" not in ended.err


def test_nothing_is_connected_to_and_the_folder_is_free_again(tmp_path: Path) -> None:
    """A broker would tell everybody that a job has come and gone."""
    with socket.create_server(("127.0.0.1", 0)) as broker:
        broker.settimeout(0.3)
        port = broker.getsockname()[1]
        path = tmp_path / "streams.toml"
        path.write_text(f'[channels.home]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = {port}\n{MANY}')
        check_job(read_configuration(path))
        with pytest.raises(TimeoutError):
            broker.accept()
    with alone_in(tmp_path / "streamer-data"), pytest.raises(StreamerError, match="no other job"):
        check_job(read_configuration(path))
