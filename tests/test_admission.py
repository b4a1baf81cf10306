"""Which sources may be added while a job runs."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from streamer.admission import admit, check_allowed
from streamer.errors import OptionError, SourceError

NAMES = {"cam.example.org": ["203.0.113.7"], "here.example.org": ["127.0.0.1"], "both.example.org": ["10.0.0.4", "::1"]}


def look_up(host: str) -> Sequence[str]:
    return NAMES.get(host) or [host]


def admitted(address: str, *allow: str) -> bool:
    try:
        admit(address, allow, look_up=look_up)
    except SourceError:
        return False
    return True


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://10.0.0.5/live",
        "rtsp://user:secret@192.168.1.4:8554/a",
        "rtsp://cam.example.org/x",
        "RTSP://cam.example.org/x",
    ],
)
def test_cameras_of_a_network_may_be_added_where_their_scheme_is_allowed(address: str) -> None:
    assert admitted(address, "rtsp://")
    assert not admitted(address)
    assert not admitted(address, "srt://")


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://127.0.0.1/live",
        "rtsp://localhost.localdomain/live",
        "rtsp://here.example.org/live",
        "rtsp://both.example.org/live",
        "rtsp://169.254.169.254/latest",
        "rtsp://0.0.0.0/",
        "rtsp://[::1]/",
        "rtsp://[::ffff:127.0.0.1]/",
        "rtsp://[fe80::1]/",
        "rtsp:///etc/passwd",
        "rtsp://",
        "rtsp://[",
        "http://cam.example.org/video",
        "file:///etc/passwd",
        "concat:/etc/passwd",
        "synthetic:",
        "webcam:0",
    ],
)
def test_nothing_else_comes_in_by_it(address: str) -> None:
    assert not admitted(address, "rtsp://")


def test_a_named_host_is_that_host_alone() -> None:
    assert admitted("http://127.0.0.1:8080/video", "http://127.0.0.1:8080")
    assert not admitted("http://127.0.0.1:8081/video", "http://127.0.0.1:8080")
    assert not admitted("http://127.0.0.1.example.org:8080/video", "http://127.0.0.1:8080")
    assert not admitted("http://a@127.0.0.1:8080@example.org/video", "http://127.0.0.1:8080")
    assert admitted("https://cam.example.org/video", "https://cam.example.org")


@pytest.mark.parametrize("entry", ["http://", "https://", "file://", "https:///", "http://me:secret@host"])
def test_an_entry_that_would_allow_more_than_it_seems_to_is_refused(entry: str) -> None:
    with pytest.raises(OptionError) as caught:
        check_allowed([entry])
    assert "secret" not in str(caught.value)


def test_files_of_allowed_folders_alone(tmp_path: Path) -> None:
    inside, outside = tmp_path / "videos", tmp_path / "private"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.mp4").write_bytes(b"x\0")
    (inside / "link.mp4").symlink_to(outside / "a.mp4")
    (tmp_path / "videos2").mkdir()
    (tmp_path / "videos2" / "a.mp4").write_bytes(b"x\0")
    assert admitted(str(inside / "a.mp4"), str(inside))
    assert not admitted(str(inside / "link.mp4"), str(inside))
    assert not admitted(str(inside / ".." / "private" / "a.mp4"), str(inside))
    assert not admitted(str(tmp_path / "videos2" / "a.mp4"), str(inside))
    assert not admitted(str(inside), str(inside))
    assert not admitted("/etc/passwd", str(inside))
    assert not admitted("a\x00b", str(inside))


def test_playlists_are_no_videos_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("list.m3u8", "list.mp4"):
        (tmp_path / name).write_text("#EXTM3U\nfile:///etc/passwd\n")
        assert not admitted(str(tmp_path / name), str(tmp_path))


def test_this_machine_has_other_names_too() -> None:
    own = [one.address for found in psutil.net_if_addrs().values() for one in found if one.family == socket.AF_INET]
    assert own
    for address in own:
        assert not admitted(f"rtsp://{address}/live", "rtsp://")


@pytest.mark.parametrize("letter", ["\r\n", "\n", "\t", "\x00", "\x7f"])
def test_nothing_is_put_on_the_wire_by_line_ends(letter: str) -> None:
    assert not admitted(f"rtsp://10.0.0.5/a{letter}X-Evil: 1", "rtsp://", "rtsp://10.0.0.5")


def test_the_refusal_does_not_tell_whether_a_file_is_there(tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_bytes(b"x")
    said = []
    for name in ("there.mp4", "gone.mp4"):
        with pytest.raises(SourceError) as caught:
            admit(str(tmp_path / name), ["rtsp://"], look_up=look_up)
        said.append(str(caught.value).replace(name, ""))
    assert said[0] == said[1]
