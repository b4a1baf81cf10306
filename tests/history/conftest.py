"""Histories on SQLite and on a PostgreSQL of our own: every test that asks for ``history`` runs on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streamer.history import History, HistoryOptions
from tests.history.postgres import Cluster, programs
from tests.history.s3 import S3Server, environment
from tests.models.faulty_proxy import FaultyProxy

Open = Callable[..., History]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if programs() is None:
        pytest.skip("PostgreSQL's server is not installed")
    pytest.importorskip("psycopg")
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Of an empty database; None for the one in the folder."""
    if request.param == "sqlite":
        return None
    cluster: Cluster = request.getfixturevalue("cluster")
    cluster.empty()
    return cluster.url


@pytest.fixture
def opened(tmp_path: Path, url: str | None) -> Iterator[Open]:
    """Opens the history of the test, as often as it likes; all are closed at the end."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            History(tmp_path / "history", url, options=HistoryOptions(**options))
        )


@pytest.fixture
def history(opened: Open) -> History:
    return opened()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    for name in ("moto", "flask", "s3fs"):
        pytest.importorskip(name)
    with S3Server(tmp_path_factory.mktemp("s3") / "log") as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Before the server, so that it can go away and come back; the environment leads there."""
    with FaultyProxy(s3_server.url, counted=("PUT", "GET", "POST", "HEAD")) as proxy:
        for name, value in environment(proxy.url).items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """An empty one."""
    return s3_server.new_bucket()
