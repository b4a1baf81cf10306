"""Files under names that lead nowhere else, whatever a stream is called and whatever is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import HistoryError, OptionError
from streamer.history import History
from streamer.history.names import stream_key
from streamer.history.pictures import FolderShelf
from tests.history.made import JPEG, NOW


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> FolderShelf:
    return FolderShelf(tmp_path_factory.mktemp("shelf"))


def test_pictures_and_clips(history: History) -> None:
    name = history.put_picture("gate", NOW, JPEG)
    assert history.picture(name) == JPEG
    clip, path = history.new_clip_path("gate", NOW)
    with pytest.raises(OptionError, match="clip"):
        history.clip_path(clip)
    path.write_bytes(b"video")
    assert history.clip_path(clip) == path
    assert history.put_picture("gate", NOW, JPEG) != name
    assert (history.counts().pictures, history.counts().picture_bytes, history.counts().clips) == (2, 2 * len(JPEG), 1)


@given(stream=st.text(st.characters()), other=st.text())
def test_any_stream_has_a_folder_of_its_own(shelf: FolderShelf, stream: str, other: str) -> None:
    name = shelf.new_name("pictures", stream, NOW)
    path = shelf.path("pictures", name)
    assert path.relative_to(shelf._folder).parts[0] == "pictures"
    assert len(path.relative_to(shelf._folder).parts) == 4
    assert name.isascii()
    assert name == name.lower()
    assert (stream_key(stream) == stream_key(other)) == (stream == other)
    shelf.save(name, b"x")
    assert shelf.read(name) == b"x"
    shelf.remove([name])
    with pytest.raises(OptionError, match="still kept"):
        shelf.read(name)


EVIL = [
    "", ".", "..", "../history.sqlite", "/etc/passwd", "..%2f..", "a.jpg", "\0", "pictures/a.jpg", "C:\\a.jpg",
    "20250615_gate-d95b53_150640000_9ab3c4d2.jpg/..", "20250615_../../x_150640000_9ab3c4d2.jpg",
    "20250615_gate-d95b53_150640000_9ab3c4d2.jpg\n", "٢٠250615_gate-d95b53_150640000_9ab3c4d2.jpg",
]  # fmt: skip


@pytest.mark.parametrize("name", EVIL)
def test_names_that_were_never_given(history: History, name: str) -> None:
    with pytest.raises(OptionError):
        history.picture(name)
    with pytest.raises(OptionError):
        history.clip_path(name)


@given(st.text() | st.lists(st.sampled_from(["..", "/", "a", "_", "20250101", ".jpg", "\0"])).map("".join))
def test_no_name_leads_out(shelf: FolderShelf, name: str) -> None:
    with pytest.raises(OptionError):
        shelf.read(name)


def test_a_picture_is_no_clip(history: History) -> None:
    picture, (clip, path) = history.put_picture("gate", NOW, JPEG), history.new_clip_path("gate", NOW)
    path.write_bytes(b"video")
    with pytest.raises(OptionError, match="picture"):
        history.picture(clip)
    with pytest.raises(OptionError, match="clip"):
        history.clip_path(picture)


@pytest.mark.parametrize("at", [float("nan"), float("inf"), 1e300, -1e300])
def test_no_time(history: History, at: float) -> None:
    with pytest.raises(OptionError, match="at"):
        history.put_picture("gate", at, JPEG)


def test_a_folder_that_was_taken_away(history: History, tmp_path: Path) -> None:
    name = history.put_picture("gate", NOW, JPEG)
    day = next((tmp_path / "history" / "pictures").iterdir())
    for path in sorted(day.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    day.rmdir()
    with pytest.raises(OptionError, match="still kept"):
        history.picture(name)
    day.write_text("in the way")
    history.retain(NOW)
    assert day.exists(), "a file of somebody else's"
    with pytest.raises(HistoryError, match="cannot be written"):
        history.put_picture("gate", NOW, JPEG)
