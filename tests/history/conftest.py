"""Histories on SQLite and on a PostgreSQL of our own: every test that asks for ``history`` runs on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streamer.history import History, HistoryOptions
from tests.history.postgres import Cluster, programs

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
