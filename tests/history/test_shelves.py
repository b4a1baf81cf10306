"""The same of every place that pictures and clips are kept at, and what waits on the way there."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from streamer.cli import main
from streamer.commands.past import opened_history
from streamer.configuration import read_configuration
from streamer.errors import HistoryError, MissingExtraError, OptionError
from streamer.history import History
from streamer.history.excerpt import write_excerpt
from streamer.history.filesystem import FileSystem
from streamer.history.opening import local_folder, open_shelf
from streamer.history.remote import RemoteShelf
from streamer.history.shelf import Shelf
from streamer.history.uploading import Data, Uploads
from tests.history.made import JPEG, NOW, result, wait_for

DAY = 86400.0


@pytest.fixture(params=["folder", "fsspec", "s3"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    address = {"folder": str(tmp_path / "shelf"), "fsspec": f"local://{tmp_path}/shelf"}.get(request.param)
    if address is None:
        request.getfixturevalue("s3")
        address = f"s3://{request.getfixturevalue('bucket')}/some/where"
    else:
        pytest.importorskip("fsspec")
    shelf = open_shelf(tmp_path / "data", address)
    shelf.check()
    yield shelf
    shelf.close()


def sent(shelf: Shelf) -> None:
    wait_for(lambda: shelf.waiting == 0)
    assert shelf.fault is None


def with_clip(shelf: Shelf, data: bytes, at: float = NOW) -> str:
    name = shelf.new_name("clips", "gate", at)
    shelf.prepare(name).write_bytes(data)
    shelf.finish(name)
    return name


def test_pictures_are_there_at_once_and_afterwards(shelf: Shelf) -> None:
    names = [shelf.new_name("pictures", stream, NOW) for stream in ("gate", "yard", "Straße / 2", "gate")]
    for number, name in enumerate(names):
        shelf.save(name, JPEG + bytes([number]), durable=number % 2 == 1)
        assert shelf.read(name) == JPEG + bytes([number])
    sent(shelf)
    assert [shelf.read(name) for name in names] == [JPEG + bytes([number]) for number in range(4)]
    assert shelf.missing(sorted(names)) == set()
    assert (shelf.dropped, shelf.take_lost()) == (0, [])


def test_clips_are_read_in_parts(shelf: Shelf) -> None:
    data = bytes(range(256)) * 40
    name = with_clip(shelf, data)
    assert shelf.size(name) == len(data)
    sent(shelf)
    assert shelf.part(name, 256, 512) == data[256:512]
    assert shelf.part(name, 0, len(data)) == data
    assert shelf.size(name) == len(data)
    assert (shelf.here(name) is not None) is shelf.is_local
    assert name in shelf.where(name)


def test_what_is_removed_is_gone_and_may_be_removed_again(shelf: Shelf) -> None:
    picture, clip = shelf.new_name("pictures", "gate", NOW), with_clip(shelf, b"video")
    other = shelf.new_name("pictures", "gate", NOW)
    shelf.save(picture, JPEG)
    shelf.save(other, JPEG)
    sent(shelf)
    for _ in range(2):
        shelf.remove([picture, clip])
        with pytest.raises(OptionError, match=r"picture: .* one that is still kept"):
            shelf.read(picture)
        with pytest.raises(OptionError, match=r"clip: .* one that is still kept"):
            shelf.part(clip, 0, 5)
    assert shelf.read(other) == JPEG
    shelf.remove_folders()
    assert shelf.missing(sorted([picture, clip, other])) == {picture, clip}
    shelf.remove([])


def test_what_came_since_a_folder_was_listed_is_not_missing(shelf: Shelf) -> None:
    first, second = (shelf.new_name("pictures", "gate", NOW) for _ in range(2))
    shelf.save(first, JPEG)
    sent(shelf)
    assert shelf.missing([first]) == set()
    shelf.save(second, JPEG)
    assert shelf.missing(sorted([first, second])) == set()
    sent(shelf)
    assert shelf.missing(sorted([first, second])) == set()
    never = shelf.new_name("pictures", "gate", NOW)
    assert shelf.missing(sorted([first, never])) == {never}


def test_old_files_are_found_and_young_ones_are_not(shelf: Shelf) -> None:
    if shelf.is_local:
        return  # by the time of the file, in test_retention.py
    old = [shelf.new_name("pictures", stream, NOW - 9 * DAY) for stream in ("gate", "yard", "gate")]
    for name in (*old, shelf.new_name("pictures", "gate", time.time())):
        shelf.save(name, JPEG)
    old.append(with_clip(shelf, b"video", NOW - 30 * DAY))
    sent(shelf)
    assert sorted(shelf.old_names()) == sorted(old)


@pytest.mark.parametrize("name", ["", "..", "../x", "x.jpg", "20250615_../../x_150640000_9ab3c4d2.jpg"])
def test_names_that_were_never_given(shelf: Shelf, name: str) -> None:
    for ask in (shelf.read, shelf.here, shelf.where, shelf.prepare, lambda name: shelf.part(name, 0, 1)):
        with pytest.raises(OptionError):
            ask(name)
    with pytest.raises(OptionError):
        shelf.save(name, JPEG)


def test_folders_need_no_fsspec(tmp_path: Path) -> None:
    assert local_folder("/mnt/shared") == Path("/mnt/shared")
    assert local_folder("file:///mnt/a%20b") == Path("/mnt/a b")
    assert local_folder("file://localhost/mnt") == Path("/mnt")
    assert local_folder("s3://bucket/x") is None
    assert open_shelf(tmp_path, f"file://{tmp_path}/there").is_local
    assert (tmp_path / "there" / "pictures").is_dir()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://", "s3://BUCKET/FOLDER"),
        ("nonsense://bucket/x", "s3://BUCKET/FOLDER"),
        ("file://elsewhere/x", "s3://BUCKET/FOLDER"),
        ("s3://key:hunter2@bucket/x", "keys belong into the environment"),
        ("s3://bucket/x?secret=hunter2", "keys belong into the environment"),
    ],
)
def test_addresses_that_cannot_be(tmp_path: Path, address: str, said: str) -> None:
    pytest.importorskip("s3fs")
    with pytest.raises(OptionError, match="pictures") as refused:
        open_shelf(tmp_path, address)
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("package", ["fsspec", "s3fs"])
def test_a_missing_extra_says_what_to_install(tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=re.escape("s3:// needs the package")) as missing:
        open_shelf(tmp_path, "s3://bucket/x")
    assert "pip install 'streamer[store]'" in str(missing.value)


# -- the queue


class Store:
    """Takes files or does not."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.open = threading.Event()
        self.refuses: set[str] = set()
        self.calls = 0

    def send(self, files: Mapping[str, Data]) -> dict[str, str | None]:
        self.calls += 1
        why = {name: None if self.open.is_set() and name not in self.refuses else "it is closed" for name in files}
        self.kept |= {
            name: data.read_bytes() if isinstance(data, Path) else data
            for name, data in files.items()
            if why[name] is None
        }
        return why


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def uploads(store: Store) -> Iterator[Uploads]:
    uploads = Uploads(store.send, most=20, most_bytes=10_000)
    uploads.start()
    yield uploads
    uploads.close()


def test_the_oldest_pictures_are_dropped_and_named_and_files_are_not(
    store: Store, uploads: Uploads, tmp_path: Path
) -> None:
    for number in range(30):
        (tmp_path / str(number)).write_bytes(b"file")
        uploads.put_file(f"file {number}", tmp_path / str(number), 4)
    for number in range(100):
        start = time.monotonic()
        uploads.put(f"picture {number}", b"x" * 10)
        assert time.monotonic() - start < 0.5
    assert (uploads.waiting, uploads.file_bytes) == (50, 120)
    lost = uploads.take_lost()
    assert len(lost) == uploads.dropped == 80
    wait_for(lambda: uploads.fault == "it is closed")
    store.open.set()
    wait_for(lambda: uploads.waiting == 0)
    assert uploads.fault is None
    assert {name for name in store.kept if name.startswith("file")} == {f"file {number}" for number in range(30)}
    kept = {name for name in store.kept if name.startswith("picture")}
    assert kept | set(lost) == {f"picture {number}" for number in range(100)}
    assert kept >= {f"picture {number}" for number in range(90, 100)}
    assert not kept & set(lost)
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_wait_are_bounded_by_their_size(uploads: Uploads) -> None:
    for number in range(8):
        uploads.put(str(number), b"x" * 4000)
    assert uploads.waiting <= 3  # one may be under way
    assert uploads.dropped >= 5


def test_one_that_is_refused_is_in_nobodys_way(store: Store, uploads: Uploads) -> None:
    store.open.set()
    store.refuses = {str(number) for number in range(4)}
    for number in range(20):
        uploads.put(str(number), b"x")
    wait_for(lambda: len(store.kept) == 16)
    assert uploads.fault is not None
    store.refuses = set()
    wait_for(lambda: uploads.waiting == 0)


def test_a_closed_store_is_tried_less_and_less(store: Store, uploads: Uploads) -> None:
    uploads.put("a", b"x")
    time.sleep(2)
    assert 1 <= store.calls <= 4


def test_the_end_sends_what_it_can_and_counts_the_rest(
    store: Store, uploads: Uploads, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"file")
    uploads.put("a", b"x")
    uploads.put_file("file", tmp_path / "file", 4)
    start = time.monotonic()
    uploads.close()
    assert time.monotonic() - start < 3
    assert uploads.take_lost() == ["a"]
    assert (tmp_path / "file").exists()
    assert "1 pictures could not be sent before the end: it is closed" in caplog.text
    uploads.put("b", b"x")
    assert uploads.take_lost() == ["b"]


def test_what_is_being_removed_is_not_under_way() -> None:
    begun, go = threading.Event(), threading.Event()
    names: list[str] = []

    def send(files: Mapping[str, Data]) -> dict[str, str | None]:
        begun.set()
        go.wait(10)
        names.extend(files)
        return dict.fromkeys(files)

    uploads = Uploads(send, most=20, most_bytes=10_000)
    uploads.start()
    uploads.put("a", b"x")
    begun.wait(10)
    removed: list[bool] = []

    def remove() -> None:
        with uploads.removing(["a"]):
            removed.append(go.is_set())

    remover = threading.Thread(target=remove)
    remover.start()
    time.sleep(0.2)
    go.set()
    remover.join()
    assert (removed, names) == ([True], ["a"])
    with uploads.removing(["b"]):
        uploads.put("b", b"x")
        time.sleep(0.2)
    uploads.close()
    assert (names, uploads.waiting, uploads.dropped) == (["a"], 0, 0)


def test_a_full_disk_folder_refuses_the_next_one(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "there").write_text("in the way")
    shelf = RemoteShelf(FileSystem(f"local://{tmp_path}/there"), tmp_path / "waiting", disk_bytes=1000)
    with pytest.raises(HistoryError, match="cannot be written"):
        shelf.check()
    shelf.save(shelf.new_name("pictures", "gate", NOW), b"x" * 2_000_000, durable=True)
    wait_for(lambda: shelf.fault)
    with pytest.raises(HistoryError, match=r"2 MiB of snapshots and clips wait already: history local:.*cannot be"):
        shelf.save(shelf.new_name("pictures", "gate", NOW), JPEG, durable=True)
    with pytest.raises(HistoryError, match="wait already"):
        shelf.prepare(shelf.new_name("clips", "gate", NOW))
    shelf.close()


# -- the configuration


def test_the_place_of_pictures_in_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "streams.toml"
    for written, read in (
        ("shared", str(tmp_path / "shared")),
        ("../shared", str(tmp_path.parent / "shared")),
        ("/mnt/shared", "/mnt/shared"),
        ("file:///mnt/shared", "file:///mnt/shared"),
        ("s3://${BUCKET}/x", "s3://cameras/x"),
    ):
        file.write_text(f'pictures = "{written}"\n')
        assert read_configuration(file, {"BUCKET": "cameras"}).pictures == read
    file.write_text("")
    assert read_configuration(file, {}).pictures is None
    file.write_text("pictures = 3\n")
    with pytest.raises(OptionError, match="pictures"):
        read_configuration(file, {})


def test_the_command_line_finds_pictures_in_the_store(
    tmp_path: Path, s3: object, bucket: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with History(tmp_path / "streamer-data", pictures=f"s3://{bucket}/x") as history:
        history.put(result("a red car"), NOW, JPEG)
        history.flush(10)
        wait_for(lambda: history.counts().waiting_files == 0)
        [found] = history.search()
    config = tmp_path / "streams.toml"
    config.write_text(f'pictures = "s3://{bucket}/x"\n')
    with opened_history(config, None) as again:
        excerpt = write_excerpt(again, "gate", tmp_path / "out")
    assert (excerpt.rows, excerpt.left_out) == (1, 0)
    assert next((tmp_path / "out").rglob("*.jpg")).read_bytes() == JPEG
    monkeypatch.setattr(sys, "argv", ["streamer", "search", "red", "-c", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert f"a red car  s3://{bucket}/x/pictures/" in capsys.readouterr().out
    assert str(found.picture) in history._shelf.where(str(found.picture))


def test_what_a_store_repeats_of_the_keys_is_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec")
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "FSSPEC_S3_SECRET", "FSSPEC_S3_KEY"):
        monkeypatch.setenv(name, f"hunter2-of-{name}")
    files = FileSystem(f"local://{tmp_path}")
    words = "hunter2-of-AWS_SECRET_ACCESS_KEY hunter2-of-FSSPEC_S3_KEY hunter2-of-AWS_SESSION_TOKEN"
    said = OSError(f"no: {words} at s3://a:b@c")
    assert str(files.refused("cannot be read", said)) == (
        f"history local://{tmp_path}: it cannot be read: no: *** *** *** at s3://***@c "
        "(is the store running and reachable, and are its address and keys in the environment?)"
    )
