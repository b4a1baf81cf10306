"""SQLite in a folder or PostgreSQL by its address: transactions, and one wording of what goes wrong."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from streamer.addresses import redact
from streamer.errors import HistoryError, MissingExtraError, OptionError
from streamer.history.migrations import migrate

FILE_NAME = "history.sqlite"
POSTGRES_DEFAULTS = {"connect_timeout": 5, "tcp_user_timeout": 15_000, "options": "-c statement_timeout=60000"}
"""What an address may say otherwise; a server that does not answer must not hold a thread for ever."""


class Database:
    """The migrated database of a history. A context manager; used from any thread.

    Raises `HistoryError` where it cannot be opened or read, `OptionError` for an address of anything else, and
    `MissingExtraError` where PostgreSQL's driver is not installed.
    """

    def __init__(self, folder: Path, url: str | None, busy_seconds: float) -> None:
        """``busy_seconds``: how long a transaction waits for other programs that write."""
        self.url = str(folder / FILE_NAME) if url is None else redact(url)
        """Fit for people."""
        self._engine = _sqlite(folder / FILE_NAME, busy_seconds) if url is None else _by_url(url, busy_seconds)
        try:
            with self.writing() as connection:
                self._check_encoding(connection)
                migrate(connection, self.url)
        except BaseException:
            self.close()
            raise

    @property
    def is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @property
    def missing(self) -> str | None:
        """Why what is written is lost: an SQLite file that was removed is written on, and nobody finds it again."""
        path = self._engine.url.database if self.is_sqlite else None
        if path is None or os.path.exists(path):
            return None
        return f"{path} was removed while it was open; start again to make a new one"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state. Raises `HistoryError`."""
        with self._wording(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """A transaction that is kept at the end of the block; ``durable``: also if the power fails then.

        Raises `HistoryError`, with the database's own error as its cause.
        """
        engine = self._engine.execution_options(writing="FULL" if durable else "NORMAL")
        with self._wording(), engine.begin() as connection:
            if durable and not self.is_sqlite:
                connection.execute(text("SET LOCAL synchronous_commit = on"))
            yield connection

    def bytes(self) -> int:
        """What the rows take; on SQLite without the pages that wait to be used again."""
        with self.reading() as connection:
            if self.is_sqlite:
                pages, free, size = (
                    int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                    for name in ("page_count", "freelist_count", "page_size")
                )
                return (pages - free) * size
            names = "('results', 'result_labels', 'files', 'alerts', 'alert_revisions', 'notices', 'corrections')"
            statement = f"SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relname IN {names}"
            statement += " AND relkind = 'r' AND pg_table_is_visible(oid)"
            return int(connection.execute(text(statement)).scalar_one())

    def shrink(self) -> None:
        """Gives some of SQLite's unused pages back to the disk; PostgreSQL does that itself."""
        if self.is_sqlite:
            with self._wording(), closing(self._engine.raw_connection()) as connection:
                # as a script, because the driver takes only the first step of a statement without columns
                connection.cursor().executescript("PRAGMA incremental_vacuum(2000)")

    def close(self) -> None:
        """Calling it again does nothing."""
        self._engine.dispose()

    def _check_encoding(self, connection: Connection) -> None:
        if not self.is_sqlite:
            encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
            if encoding != "UTF8":
                raise HistoryError(self.url, f"its encoding is {encoding}", "create the database with ENCODING 'UTF8'")

    @contextmanager
    def _wording(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self._worded(error) from error

    def _worded(self, error: Exception) -> HistoryError:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        lines = str(cause).strip().splitlines()
        reason = redact(lines[0]) if lines else type(cause).__name__
        if "locked" in reason:
            remedy = "another program is writing it; is an old job or a database tool still open on it?"
        elif self.is_sqlite:
            remedy = "is there room, and are the folder and its files yours?"
        else:
            remedy = "is PostgreSQL running and reachable, and does the database exist?"
        return HistoryError(self.url, reason, remedy)


def _by_url(url: str, busy_seconds: float) -> Engine:
    expected = "an address like postgresql://user:password@host/database"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise OptionError("history", redact(url), expected) from error
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite" and parsed.database:
        return _sqlite(Path(parsed.database), busy_seconds)
    if backend not in ("postgresql", "postgres"):
        raise OptionError("history", redact(url), expected)
    if find_spec("psycopg") is None:
        raise MissingExtraError("history on PostgreSQL", "psycopg", "postgres")
    return _postgres(parsed.set(drivername="postgresql+psycopg"))


def _postgres(url: URL) -> Engine:
    wanted = {name: value for name, value in POSTGRES_DEFAULTS.items() if name not in url.query}
    return create_engine(url, connect_args=wanted, pool_pre_ping=True, pool_timeout=10, hide_parameters=True)


def _sqlite(path: Path, busy_seconds: float) -> Engine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"the folder cannot be made: {error.strerror or error}"
        raise HistoryError(path, reason, "choose a folder that is yours") from error
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": busy_seconds}, pool_timeout=10, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def opened(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not by the driver
        if not connection.execute("PRAGMA page_count").fetchone()[0]:  # later it would wait for whoever writes
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _write_ahead(connection, time.monotonic() + busy_seconds)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        level = connection.get_execution_options().get("writing")
        if level is None:
            connection.exec_driver_sql("BEGIN")
            return
        connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # waits for others now; later it would fail instead

    return engine


def _write_ahead(connection: sqlite3.Connection, deadline: float) -> None:
    """Readers and one writer at once. SQLite does not wait by itself while another program switches to it."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
