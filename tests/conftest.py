"""What every part's tests share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from streamer.cli import main
from tests.commands import Ended, Run

if "PYTEST_XDIST_WORKER" in os.environ:  # torch's threads would spin where another worker's could run
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("patient", deadline=None)  # a busy machine is no fault
settings.load_profile("patient")

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real and odd clips; they are not part of the project, so their tests are skipped without them."""
    if not CLIPS.is_dir():
        pytest.skip(f"the test clips are not here ({CLIPS.name} beside the checkout)")
    return CLIPS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also the long tests, which take as long again")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests run by ``--slow``, or where they are named by file or by themselves."""
    if config.getoption("--slow") or any("::" in word or word.endswith(".py") for word in config.args):
        return
    long = [item for item in items if item.get_closest_marker("slow")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs the command in this process."""
    handler = signal.getsignal(signal.SIGTERM)

    def command(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["streamer", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return Ended(int(end.value.code or 0), said.out, said.err)

    yield command
    signal.signal(signal.SIGTERM, handler)
