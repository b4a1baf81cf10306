"""Jobs over files that people hand to a live job: their life, their place on the disk, what survives."""

from __future__ import annotations

import json
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import av
import pytest
from PIL import Image

from streamer.errors import OptionError, OutputError, SourceError
from streamer.incoming import recognised
from streamer.jobfolder import Folder, Order, Record, rows
from streamer.jobs import JobOptions, Jobs, JobStatus
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.jsonl import read_journal
from streamer.sharing import SharedModel
from streamer.tasks import Task
from tests.annotating import says_the_numbers
from tests.media import even, make_clip
from tests.server.rig import eventually

ALL = Order("street.mp4", (Task.caption(), Task.detect("even")), "all", 70)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures in two seconds, each with its number."""
    return make_clip(tmp_path_factory.mktemp("media") / "clip.mp4", even(20), size=(320, 192))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Jobs]]:
    """``start(seconds, **options)`` -> the jobs of the test, opened once more."""
    opened: list[Jobs] = []

    def opener(seconds: float = 0.0, **options: float) -> Jobs:
        model = ScriptedModel(says_the_numbers, seconds=seconds)
        jobs = Jobs(tmp_path / "files", SharedModel(model), JobOptions(**options))  # type: ignore[arg-type]
        opened.append(jobs)
        return jobs

    yield opener
    for jobs in opened:
        jobs.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("jobs", "model", "decode", "export")]


def hand_in(jobs: Jobs, file: Path | bytes, order: Order = ALL) -> str:
    data = file if isinstance(file, bytes) else file.read_bytes()
    upload = jobs.receive(len(data))
    upload.path.write_bytes(data)
    return jobs.add(upload, order).record.id


def done(jobs: Jobs, id: str) -> JobStatus:
    eventually(lambda: jobs.status(id).record.state in ("done", "failed"), 20)
    return jobs.status(id)


def captions(jobs: Jobs, id: str) -> list[str | None]:
    return [result.caption for result in jobs.results(id, 0, 500)[0]]


def picture(kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, "red").save(out, kind)
    return out.getvalue()


def test_a_video_is_answered_picture_by_picture(start: Callable[..., Jobs], clip: Path, tmp_path: Path) -> None:
    jobs = start()
    id = hand_in(jobs, clip, replace(ALL, formats=("jsonl", "srt", "csv", "mp4"), title="a/b<i>.MOV"))
    status = done(jobs, id)
    record = status.record
    assert (record.state, record.error, record.fault, record.kind) == ("done", None, None, "video")
    assert (status.frames, status.failed, record.size, record.bytes) == (20, 0, (320, 192), clip.stat().st_size)
    assert captions(jobs, id) == [str(number) for number in range(20)]
    assert [made.name for made in record.made] == [
        "b-i.jsonl", "b-i.srt", "b-i.csv", "b-i.detections.csv", "b-i.annotated.mp4",
    ]  # fmt: skip
    for made in record.made:
        assert jobs.made_path(id, made.name).stat().st_size == made.bytes
    with av.open(str(jobs.made_path(id, "b-i.annotated.mp4"))) as video:
        assert sum(1 for _ in video.decode(video=0)) == 20
    assert str(tmp_path) not in repr(status)


def test_pictures_of_it_are_shown_at_any_width(start: Callable[..., Jobs], clip: Path) -> None:
    jobs = start()
    id = hand_in(jobs, clip)
    for width, size in ((160, (160, 96)), (1000, (320, 192))):
        with Image.open(BytesIO(jobs.picture(id, 0.7, width))) as shown:
            assert (shown.format, shown.size) == ("JPEG", size)
    first, later = jobs.picture(id, 0.0, 320), jobs.picture(id, 1.9, 320)
    assert first != later
    with pytest.raises(SourceError, match="no picture"):
        jobs.picture(id, 99.0, 320)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_answered_once(start: Callable[..., Jobs], kind: str) -> None:
    jobs = start()
    id = hand_in(jobs, picture(kind), Order("x", (Task.ask("What?"),), budget=70, formats=("jsonl", "coco")))
    status = done(jobs, id)
    assert (status.record.kind, status.record.expected, status.frames) == ("picture", 1, 1)
    with Image.open(BytesIO(jobs.picture(id, 0.0, 960))) as shown:
        assert shown.size == (64, 48)


def test_a_format_of_folders_is_taken_away_as_one_file(start: Callable[..., Jobs], clip: Path) -> None:
    jobs = start()
    id = hand_in(jobs, clip, replace(ALL, formats=("yolo", "coco")))
    made = {one.format: one.name for one in done(jobs, id).record.made}
    assert made == {"jsonl": "street.jsonl", "yolo": "street.yolo.zip", "coco": "street.coco.zip"}
    with zipfile.ZipFile(jobs.made_path(id, "street.coco.zip")) as file:
        document = json.loads(file.read("street.coco.json"))
        assert {one["file_name"] for one in document["images"]} <= {Path(name).name for name in file.namelist()} | set(
            file.namelist()
        )
        assert file.testzip() is None
    assert not [path for path in jobs.made_path(id, "street.jsonl").parent.iterdir() if path.is_dir()]


def test_progress_is_told_while_it_runs(start: Callable[..., Jobs], clip: Path) -> None:
    jobs = start(seconds=0.15)
    id, next_one = hand_in(jobs, clip, replace(ALL, every="every 0.2 s")), hand_in(jobs, picture())
    eventually(lambda: jobs.status(id).frames_per_second)
    running, waiting = jobs.status(id), jobs.status(next_one)
    assert (running.record.state, running.stage, running.record.expected) == ("running", "answers", 10)
    assert 0 < running.frames <= 10
    assert running.left_seconds is not None
    assert (waiting.record.state, waiting.before) == ("waiting", 1)
    assert [status.record.id for status in jobs.statuses()] == [next_one, id]
    found, end, _ = jobs.results(id, 0, 2)
    assert done(jobs, id).frames == 10
    rest, _, more = jobs.results(id, end, 500)
    assert [one.caption for one in (*found, *rest)] == [str(number) for number in range(0, 20, 2)]
    assert not more


@pytest.mark.parametrize(
    ("every", "window", "expected"),
    [("every 1 s", (None, None), 60), ("2 fps", (10, 20), 20), ("every 7 s", (None, None), 9), ("at 1,2,3", (0, 9), 3),
     ("scenes", (None, None), None), ("every 1 s", (59.5, 100), 1)],
)  # fmt: skip
def test_how_many_frames_there_will_be(every: str, window: tuple[float | None, float | None], expected: int) -> None:
    order = Order("x", every=every, start=window[0], end=window[1])
    assert Record("1", order, "video", ".mp4", (1, 1), 1, 0.0, 60.0).expected == expected


def test_what_ran_goes_on_after_a_restart(start: Callable[..., Jobs], clip: Path) -> None:
    jobs = start(seconds=0.1)
    id, other = hand_in(jobs, clip), hand_in(jobs, picture())
    eventually(lambda: jobs.status(id).frames >= 4)
    jobs.close()
    before = captions(jobs, id)
    assert 4 <= len(before) < 20
    assert None not in before, "nothing of being stopped is an answer"
    again = start()
    assert [status.record.id for status in again.statuses()] == [other, id]
    assert done(again, id).frames == 20
    assert captions(again, id) == [str(number) for number in range(20)]
    assert done(again, other).record.state == "done"
    assert again.status(id).failed == 0
    assert [row["type"] for row in read_journal(again.made_path(id, "street.jsonl"))].count("job") == 1


def test_a_running_one_is_removed_at_once(start: Callable[..., Jobs], clip: Path, tmp_path: Path) -> None:
    jobs = start(seconds=0.3)
    id, other = hand_in(jobs, clip), hand_in(jobs, picture())
    eventually(lambda: jobs.status(id).record.state == "running")
    began = time.monotonic()
    jobs.remove(id)
    assert time.monotonic() - began < 0.2
    for act in (jobs.status, jobs.remove, lambda id: jobs.results(id, 0, 1), lambda id: jobs.made_path(id, "x")):
        with pytest.raises(OptionError, match="job"):
            act(id)
    assert done(jobs, other).record.state == "done"
    eventually(lambda: not (tmp_path / "files" / id).exists())
    jobs.remove(other)
    eventually(lambda: list((tmp_path / "files").iterdir()) == [])


def test_one_that_writes_its_video_is_removed_too(start: Callable[..., Jobs], clip: Path, tmp_path: Path) -> None:
    jobs = start()
    id = hand_in(jobs, make_clip(tmp_path / "long.mp4", even(400)), Order("x", every="every 10 s", formats=("mp4",)))
    eventually(lambda: jobs.status(id).stage not in ("", "answers"))
    jobs.remove(id)
    eventually(lambda: not (tmp_path / "files" / id).exists(), 3)


def test_a_job_that_cannot_be_done_says_why_and_the_next_one_runs(start: Callable[..., Jobs], clip: Path) -> None:
    jobs = start()
    late, fine = hand_in(jobs, clip, replace(ALL, start=500.0)), hand_in(jobs, picture())
    status = done(jobs, late)
    assert status.record.state == "failed"
    assert status.record.error is not None
    assert "it ends at" in status.record.error
    assert "street.mp4" in status.record.error
    assert "/files/" not in status.record.error
    assert done(jobs, fine).record.state == "done"


def test_a_model_that_breaks_costs_one_job(tmp_path: Path, clip: Path) -> None:
    def breaks(request: Request) -> str:
        raise RuntimeError("hunter2")

    with Jobs(tmp_path / "files", SharedModel(ScriptedModel(breaks))) as jobs:
        ids = [hand_in(jobs, clip), hand_in(jobs, picture())]
        for id in ids:
            record = done(jobs, id).record
            assert (record.state, record.error) == ("failed", "a fault of the server; its log says more")


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile '/etc/passwd'\n"


@pytest.mark.parametrize(
    "data", [PLAYLIST, CONCAT, b"just words", b"\0" * 5000, b"\xff\xd8\xff" + b"x" * 50, b"<svg/>"]
)
def test_what_is_no_picture_or_video_is_refused(start: Callable[..., Jobs], data: bytes, tmp_path: Path) -> None:
    jobs = start()
    with pytest.raises(SourceError) as caught:
        hand_in(jobs, data, replace(ALL, title="film.mp4"))
    assert str(tmp_path) not in str(caught.value)
    assert jobs.statuses() == []
    assert list((tmp_path / "files").iterdir()) == []


def test_the_name_says_nothing_of_the_kind(tmp_path: Path, clip: Path) -> None:
    for name, data, suffix in (
        ("a.txt", clip.read_bytes(), ".mp4"),
        ("b.mp4", picture("PNG"), ".png"),
        ("c", picture(), ".jpg"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert recognised(path).suffix == suffix
        assert path.exists()
    with pytest.raises(SourceError, match="pixels"):
        recognised(tmp_path / "b.mp4", most_pixels=1000)


@pytest.mark.parametrize("codec", ["mkv", "avi", "ts"])
def test_other_containers_are_videos(tmp_path: Path, codec: str) -> None:
    path = make_clip(tmp_path / f"clip.{codec}", even(5), codec="mpeg4" if codec == "avi" else "libx264", b_frames=0)
    renamed = path.rename(tmp_path / "anything")
    assert recognised(renamed).kind == "video"


def test_there_is_an_end_to_room_and_to_waiting(start: Callable[..., Jobs], clip: Path, tmp_path: Path) -> None:
    size = clip.stat().st_size
    jobs = start(keep_bytes=size * 3, upload_bytes=size * 2, waiting=2)
    with pytest.raises(OptionError, match="file"):
        jobs.receive(size * 2 + 1)
    ids = []
    for _ in range(4):
        ids.append(hand_in(jobs, clip, replace(ALL, every="at 0")))
        done(jobs, ids[-1])
    kept = [status.record.id for status in jobs.statuses()]
    assert kept == ids[::-1][: len(kept)], "the oldest go first"
    assert 1 <= len(kept) < 4
    held = [jobs.receive(10), jobs.receive(10)]
    with pytest.raises(OutputError, match="2 files wait"):
        jobs.receive(10)
    for upload in held:
        jobs.drop(upload)
    assert not list((tmp_path / "files").glob("*.part"))
    first = jobs.receive(size * 2)
    with pytest.raises(OutputError, match="no room"):
        jobs.receive(size * 2)
    jobs.drop(first)


def test_finished_ones_go_by_age_others_do_not(start: Callable[..., Jobs], clip: Path, tmp_path: Path) -> None:
    jobs = start()
    id = hand_in(jobs, clip, replace(ALL, every="at 0"))
    done(jobs, id)
    jobs.close()
    folder = Folder(tmp_path / "files" / id)
    record = folder.read()
    assert record is not None
    shutil.copytree(folder.path, tmp_path / "files" / "waits")
    folder.write(replace(record, finished_at=time.time() - 3 * 86400))
    Folder(tmp_path / "files" / "waits").write(replace(record, id="waits", state="waiting", finished_at=None))
    again = start(keep_days=2)
    eventually(lambda: [status.record.id for status in again.statuses()] == ["waits"])
    assert not folder.path.exists()


def test_what_others_left_there_is_let_be(start: Callable[..., Jobs], tmp_path: Path) -> None:
    for name in ("half.part", "strange", "broken"):
        (tmp_path / "files" / name).mkdir(parents=True)
    (tmp_path / "files" / "broken" / "job.json").write_text('{"id": "../x"')
    (tmp_path / "files" / "strange" / "job.json").write_text("[]")
    assert start().statuses() == []
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["broken", "strange"]


def test_rows_come_page_by_page(start: Callable[..., Jobs], clip: Path) -> None:
    jobs = start()
    id = hand_in(jobs, clip)
    done(jobs, id)
    path, seen, offset, more = jobs.made_path(id, "street.jsonl"), list[int](), 0, True
    while more:
        found, offset, more = rows(path, offset, 7)
        seen += [result.sequence for result in found]
    assert seen == list(range(20))
    assert rows(path, offset, 7)[0] == []
    with pytest.raises(OptionError, match="cursor"):
        rows(path, 5, 7)
    assert rows(path.with_name("none"), 0, 7) == ([], 0, False)


@pytest.mark.parametrize(
    ("title", "stem"),
    [("street.mp4", "street"), ("../../etc/passwd", "passwd"), ("C:\\films\\a b.mov", "a b"), ("", "file"),
     ("...", "file"),
     ("<script>.mp4", "script"), ("x" * 200, "x" * 40), ("\0/\n", "file"), ("ünïcödé.mp4", "ünïcödé")],
)  # fmt: skip
def test_files_here_are_called_harmlessly(title: str, stem: str) -> None:
    assert Order(title).stem == stem


def test_orders_that_cannot_be() -> None:
    for bad in (
        {"every": "now and then"},
        {"budget": 7},
        {"formats": ("docx",)},
        {"start": 5.0, "end": 4.0},
        {"tasks": ()},
    ):
        with pytest.raises(OptionError):
            Order("x", **bad)
