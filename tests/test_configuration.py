"""The configuration file: what it says, and what is said of one that cannot be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamer.configuration import StreamEntry, digest, read_configuration
from streamer.errors import OptionError
from streamer.keeping import Keep
from streamer.kept import Changes
from streamer.notify.configure import channel_from_mapping
from streamer.rules import Rule
from streamer.settings import StreamSettings
from streamer.tasks import Task

WHOLE = """
data = "kept"
keep_days = 7
base_url = "https://cameras.example.org"
allow = ["rtsp://", "videos"]

[[streams]]
name = "gate"
address = "rtsp://me:${GATE_PASSWORD}@10.0.0.5/live"
tasks = ["caption", "detect: person, car", { ask = "How many?", name = "count", max_tokens = 20 }]
budget = 140
fps = 2
gate = 0.05
group = "yard"

[[streams]]
name = "hall"
address = "hall.mp4"
loop = true
budget = "auto"

[[rules]]
name = "ladder"
question = "Is someone on the ladder?"
streams = ["gate"]
channels = ["phone"]

[channels.phone]
type = "webhook"
url = "https://example.org/${HOOK}"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "streams.toml"
    path.write_text(text)
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    found = read_configuration(written(tmp_path, WHOLE), {"GATE_PASSWORD": "s3cret", "HOOK": "abc"})
    gate, hall = found.streams
    assert gate.address == "rtsp://me:s3cret@10.0.0.5/live"
    assert gate.settings.tasks[:2] == (Task.caption(), Task.detect("person, car"))
    assert gate.settings.tasks[2] == Task.ask("How many?", name="count", max_tokens=20)
    assert (gate.settings.budget, gate.settings.fps, gate.settings.gate, gate.group) == (140, 2, 0.05, "yard")
    assert (hall.settings.budget, hall.loop, hall.settings.tasks) == ("auto", True, (Task.caption(),))
    assert found.rules == (Rule("ladder", "Is someone on the ladder?", streams=("gate",), channels=("phone",)),)
    assert found.channels["phone"]["url"] == "https://example.org/abc"
    assert (found.data, found.keep_days, found.allow) == (tmp_path / "kept", 7, ("rtsp://", "videos"))


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    found = read_configuration(written(tmp_path, WHOLE), {"GATE_PASSWORD": "s3cret", "HOOK": "abc123"})
    assert "s3cret" not in repr(found)
    assert "abc123" not in repr(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("streams = 3", r"streams.toml.streams"),
        ("[[streams]]\nname = 'a'", r"streams\[0\].address"),
        ("[[streams]]\nname = 'a'\naddress = 'x'\nfsp = 2", r"streams\[0\].fsp.*fps"),
        ("[[streams]]\nname = 'a'\naddress = 'x'\nfps = 900", r"streams\[0\].fps: 900"),
        ("[[streams]]\nname = 'a'\naddress = 'x'\nbudget = 71", r"streams\[0\].budget: 71"),
        ("[[streams]]\nname = 'a'\naddress = 'x'\ntasks = ['see']", r"tasks\[0\].task: 'see'"),
        ("[[streams]]\nname = 'a'\naddress = 'x'\ntasks = [{ name = 'b' }]", r"tasks\[0\].task"),
        ("[[streams]]\nname = 'a'\naddress = 'x'\n[[streams]]\nname = 'a'\naddress = 'y'", r"streams\[1\].name: 'a'"),
        ("[[streams]]\nname = 'a'\naddress = 'x://${NOT_SET}'", r"address: '\$\{NOT_SET\}'.*not in the environment"),
        ("[[rules]]\nname = 'a'", r"rules\[0\].*question"),
        ("[[rules]]\nname = 'a'\nquestion = 'b?'\nchannels = ['none']", r"rules.a.channels: 'none'"),
        ("colour = 1", r"colour.*no such setting"),
        ("keep_days = -1", r"keep_days: -1"),
        ("data = [", "TOML"),
        ("[channels]\nphone = 3", r"channels.phone"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=words):
        read_configuration(written(tmp_path, text), {})


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="No such file"):
        read_configuration(tmp_path / "none.toml")
    with pytest.raises(OptionError, match="1 MiB"):
        read_configuration(written(tmp_path, "#" * (1 << 20) + "\n"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match="TOML"):
        read_configuration(tmp_path / "binary.toml")


GATE = StreamEntry("gate", "rtsp://a/1")
FASTER = StreamEntry("gate", "rtsp://a/1", StreamSettings(fps=5, tasks=(Task.detect("dog"), Task.check("Is it wet?"))))
ADDED = StreamEntry("yard", "rtsp://a/2", group="out")
LADDER = Rule("ladder", "Is someone on the ladder?")


def test_changes_outlast_a_restart_and_nobody_else_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "changes.json"
    changes = Changes(path)
    changes.put(FASTER, GATE)
    changes.put(ADDED, None)
    changes.put(LADDER, None)
    again = Changes(path)
    assert again.streams([GATE]) == [FASTER, ADDED]
    assert again.rules([]) == [LADDER]
    assert path.stat().st_mode & 0o077 == 0


def test_what_was_removed_stays_away_until_the_file_says_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "changes.json"
    Changes(path).remove(GATE, GATE)
    assert Changes(path).streams([GATE]) == []
    moved = StreamEntry("gate", "rtsp://b/9")
    assert Changes(path).streams([moved]) == [moved]


def test_the_file_has_the_last_word_where_it_was_changed_later(tmp_path: Path) -> None:
    changes = Changes(tmp_path / "changes.json")
    changes.put(FASTER, GATE)
    rewritten = StreamEntry("gate", "rtsp://a/1", StreamSettings(fps=3))
    assert changes.streams([rewritten]) == [rewritten]
    assert changes.streams([GATE]) == [FASTER], "a file that could not be used has changed nothing"
    changes.settle([rewritten], [], Keep(1, 1, 1))
    assert changes.streams([GATE]) == [GATE], "the change is over"


def test_a_change_back_leaves_nothing(tmp_path: Path) -> None:
    changes = Changes(tmp_path / "changes.json")
    changes.put(FASTER, GATE)
    changes.put(GATE, GATE)
    changes.put(ADDED, None)
    changes.remove(ADDED, None)
    assert '"gate"' not in (tmp_path / "changes.json").read_text()
    assert changes.streams([]) == []


def test_a_stream_that_the_file_had_and_has_no_more_is_gone_with_its_changes(tmp_path: Path) -> None:
    changes = Changes(tmp_path / "changes.json")
    changes.put(FASTER, GATE)
    assert changes.streams([]) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 9, "streams": {}, "rules": {}}', "\x00"])
def test_a_file_of_changes_that_is_none_is_said(text: str, tmp_path: Path) -> None:
    path = tmp_path / "changes.json"
    path.write_text(text)
    with pytest.raises(OptionError, match=r"changes\.json.*move it away"):
        Changes(path)


def test_without_a_file_changes_last_for_the_run() -> None:
    changes = Changes(None)
    changes.put(ADDED, None)
    assert changes.streams([GATE]) == [GATE, ADDED]


def test_entries_that_say_the_same_have_one_digest() -> None:
    assert digest(GATE) == digest(StreamEntry("gate", "rtsp://a/1"))
    assert digest(GATE) != digest(FASTER)


def test_the_examples_of_the_documentation_can_be_used(tmp_path: Path) -> None:
    document = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", document, re.DOTALL)
    hall = '[[streams]]\nname = "hall-1"\naddress = "hall.mp4"\n'
    path = written(tmp_path, hall + "\n".join(blocks))
    found = read_configuration(path, {"GATE_PASSWORD": "a", "HOOK": "b"})
    assert (len(found.streams), len(found.rules), set(found.channels)) == (2, 4, {"phone", "home", "siren"})
    assert (StreamSettings().gate, StreamSettings().gate_seconds) == (
        found.streams[1].settings.gate,
        found.streams[1].settings.gate_seconds,
    )
    for name, table in found.channels.items():
        monkey = {"HOOK_SECRET": "c", "MQTT_PASSWORD": "d"}
        with pytest.MonkeyPatch.context() as patch:
            for key, value in monkey.items():
                patch.setenv(key, value)
            with channel_from_mapping(name, {**table, "host": "127.0.0.1"} if name == "home" else table, name):
                pass


def test_the_sample_configuration_can_be_used() -> None:
    found = read_configuration(Path(__file__).parents[1] / "sample_videos" / "streams.toml", {})
    assert [entry.name for entry in found.streams] == ["street", "night"]
    assert all((Path(__file__).parents[1] / entry.address).exists() for entry in found.streams)
