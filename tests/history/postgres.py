"""A PostgreSQL server for the tests alone, in a temporary folder, reached by a socket there."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self


@functools.cache
def programs() -> Path | None:
    """The folder of the server's programs; None where they are not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


class Cluster:
    """Runs from the beginning of the block to its end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="streamer-pg-"))
        self.url = f"postgresql://postgres@/postgres?host={self.folder}"

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "-D", self._data, "-m", mode, "-w", "-t", "20")

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=40"
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "-D", self._data, "-l", log, "-w", "-t", "30", "-o", options)

    def empty(self) -> None:
        """Throws out all tables, and whoever is still looking at them."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            others = "datname = 'postgres' AND pid != pg_backend_pid()"
            connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *words: str) -> None:
        """As an ordinary user: the server refuses to be run by root."""
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        folder = programs()
        assert folder is not None
        subprocess.run(
            [*user, str(folder / program), *words], check=True, timeout=60, cwd=self.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
