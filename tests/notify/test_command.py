"""Commands: real programs that read, fail, hang, have children, and talk without end."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from streamer.errors import NotifyError, OptionError
from streamer.notify.command import Command, CommandOptions
from tests.notify.receivers import wait_until
from tests.notify.stores import ALERT, notice


def python(code: str, *words: str, timeout_seconds: float = 10.0) -> Command:
    return Command("siren", CommandOptions((sys.executable, "-c", code, *words), timeout_seconds=timeout_seconds))


def alive(file: Path) -> bool:
    try:
        return bool(psutil.Process(int(file.read_text())).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


KEEP = (
    "import json, os, sys\n"
    "known = {key: value for key, value in os.environ.items() if key.startswith('STREAMER_')}\n"
    "json.dump([json.load(sys.stdin), known, sys.argv[2:]], open(sys.argv[1], 'w'))\n"
)


def test_what_the_program_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    evil = "$(touch /tmp/x); `id` \x00 “é”"
    one = notice(3, stream="gate; rm", description=evil, reason=evil)
    with python(KEEP, str(tmp_path / "got"), "a b", "$HOME") as command:
        command.send(one)
    document, environment, words = json.loads((tmp_path / "got").read_text())
    assert document["alert"] == one.document
    assert document["id"] == f"{ALERT}:1"
    assert document["alert"]["description"] == evil
    assert words == ["a b", "$HOME"]
    assert {key: value for key, value in environment.items() if key not in os.environ} == {
        "STREAMER_CHANNEL": "siren",
        "STREAMER_ALERT_ID": ALERT,
        "STREAMER_ALERT_TYPE": "new",
        "STREAMER_REVISION": "1",
        "STREAMER_STREAM": "gate; rm",
        "STREAMER_RULE": "person at night",
        "STREAMER_SEVERITY": "critical",
    }


def test_a_long_document_and_a_program_that_reads_nothing() -> None:
    with python("pass") as command:
        command.send(notice(description="x" * 3_000_000))


def test_a_name_that_no_environment_can_hold(tmp_path: Path) -> None:
    with python(KEEP, str(tmp_path / "got")) as command:
        command.send(notice(stream="a\0b\ud800", channel="c"))
    document, environment, _ = json.loads((tmp_path / "got").read_text())
    assert document["alert"]["stream"] == "a\0b\ud800"
    assert environment["STREAMER_STREAM"] == "ab?"


def test_a_failure_shows_the_end_of_what_was_said() -> None:
    code = "import sys; sys.stderr.write('x' * 500_000 + '\\n\\x1b[31mno siren\\n'); print('not this'); sys.exit(3)"
    with (
        python(code) as command,
        pytest.raises(NotifyError, match=r"ended with exit code 3: x+ \[31mno siren$") as caught,
    ):
        command.send(notice())
    assert len(str(caught.value)) < 2200
    assert "not this" not in str(caught.value)
    assert not caught.value.lasting


def test_a_program_that_is_not_there_is_said_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "no program").write_text("x")
    for program, words in ((tmp_path / "none", "No such file"), (tmp_path / "no program", "Permission denied")):
        command = Command("siren", CommandOptions((str(program),)))
        with pytest.raises(NotifyError, match=f"cannot be started: {words}") as caught:
            command.send(notice())
        assert not caught.value.lasting


CHILD = (
    "import os, signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print(os.getpid(), flush=True)\n"
    "time.sleep(60)\n"
)
PARENT = (
    "import os, subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', sys.argv[3]], stdout=subprocess.PIPE, text=True)\n"
    "line = child.stdout.readline()\n"
    "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
    "open(sys.argv[2] + '.part', 'w').write(line)\n"
    "os.rename(sys.argv[2] + '.part', sys.argv[2])\n"
    "time.sleep(float(sys.argv[4]))\n"
)


def test_after_the_timeout_nothing_is_left_that_it_started(tmp_path: Path) -> None:
    parent, child = tmp_path / "parent", tmp_path / "child"
    command = python(PARENT, str(parent), str(child), CHILD, "60", timeout_seconds=0.7)
    begin = time.monotonic()
    with command, pytest.raises(NotifyError, match=r"took over 0\.7 s and was ended with what it started"):
        command.send(notice())
    assert time.monotonic() - begin < 3
    wait_until(lambda: not alive(child))
    assert not alive(parent)


def test_a_child_that_goes_on_does_not_hold_the_delivery(tmp_path: Path) -> None:
    parent, child = tmp_path / "parent", tmp_path / "child"
    with python(PARENT, str(parent), str(child), CHILD, "0") as command:
        begin = time.monotonic()
        command.send(notice())
        assert time.monotonic() - begin < 3
    assert alive(child)
    os.kill(int(child.read_text()), 9)


def test_one_that_talks_without_end_is_ended_too() -> None:
    begin = time.monotonic()
    code = "import sys\nwhile True: sys.stderr.write('y' * 4096)"
    with python(code, timeout_seconds=0.5) as command, pytest.raises(NotifyError, match=r"took over 0\.5 s .*: y+$"):
        command.send(notice())
    assert time.monotonic() - begin < 2


def test_close_ends_a_running_program(tmp_path: Path) -> None:
    command = python("import sys, time; open(sys.argv[1], 'w').close(); time.sleep(60)", str(tmp_path / "begun"))
    caught: list[BaseException] = []

    def send() -> None:
        with pytest.raises(NotifyError) as error:
            command.send(notice())
        caught.append(error.value)

    thread = threading.Thread(target=send)
    thread.start()
    wait_until((tmp_path / "begun").exists)
    begin = time.monotonic()
    command.close()
    thread.join(5)
    assert time.monotonic() - begin < 1
    assert "was called off" in str(caught[0])
    with pytest.raises(NotifyError, match="it is closed"):
        command.send(notice())


def test_options_that_cannot_be() -> None:
    for argv in ((), ("",), ("a", "b\0c")):
        with pytest.raises(OptionError, match="argv"):
            CommandOptions(argv)
    with pytest.raises(OptionError, match="timeout_seconds"):
        CommandOptions(("a",), timeout_seconds=0)
