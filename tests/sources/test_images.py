"""Pictures in files, folders and patterns; and what paths mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamer.errors import OptionError, SourceError
from streamer.frames import Frame
from streamer.sources import expand, open_source
from streamer.sources.finding import natural
from streamer.sources.images import read_image
from streamer.sources.synthetic import SyntheticOptions, boxes, draw, read_counter
from tests.media import even, make_clip


def picture(path: Path, number: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw(number, (160, 96))).save(path)
    return path


def test_a_folder_is_one_stream_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 2, 1):
        picture(tmp_path / f"frame{number}.png", number)
    (tmp_path / "notes.txt").write_text("x")
    with open_source(str(tmp_path), seconds_per_image=0.5) as source:
        frames = list(source.frames())
    assert [read_counter(frame.image) for frame in frames] == [1, 2, 9, 10]
    assert [frame.time_seconds for frame in frames] == [0, 0.5, 1, 1.5]
    assert source.info.picture_count == 4
    assert [f.index for f in open_source(str(tmp_path), sampling="every 2 s").frames()] == [0, 2]
    assert len(list(open_source(str(tmp_path / "*1*.png")).frames())) == 2


def test_a_broken_picture_is_left_out_and_told(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    (tmp_path / "2.jpg").write_bytes(b"not a picture")
    whole = picture(tmp_path / "3.jpg").read_bytes()
    (tmp_path / "3.jpg").write_bytes(whole[: len(whole) // 2])
    with open_source(str(tmp_path)) as source:
        assert [frame.index for frame in source.frames()] == [0]
        assert source.counters.corrupt == 2
        assert "2.jpg: it is not a picture" in source.counters.faults[0]
        assert "3.jpg: it is damaged" in source.counters.faults[1]
    (tmp_path / "1.png").unlink()
    with pytest.raises(SourceError, match="none of its pictures"):
        list(open_source(str(tmp_path)).frames())


def test_one_broken_picture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match="the file is empty"):
        list(open_source(str(tmp_path / "a.jpg")).frames())
    with pytest.raises(SourceError, match="no such file"):
        open_source(str(tmp_path / "b.jpg"))


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.rot90(draw(5, (160, 96)), 1).copy()).save(tmp_path / "a.png", exif=exif)
    frame = next(iter(open_source(str(tmp_path / "a.png")).frames()))
    assert frame.source_size == (160, 96)
    assert read_counter(frame.image) == 5


def test_odd_pixels(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").min() == 255
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(tmp_path / "deep.png")
    assert abs(int(read_image(tmp_path / "deep.png")[0, 0, 0]) - 40000 * 255 // 65535) <= 1
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
    assert read_image(tmp_path / "print.jpg").min() >= 254
    Image.new("P", (8, 8)).save(tmp_path / "palette.bmp")
    assert read_image(tmp_path / "palette.bmp").shape == (8, 8, 3)


def test_natural_order() -> None:
    names = ["b", "a10", "a9", "A1", "1", "a"]
    assert [path.name for path in natural(map(Path, names))] == ["1", "a", "A1", "a9", "a10", "b"]


def test_a_second_run_does_not_take_our_own_videos(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.annotated.mp4"):
        make_clip(tmp_path / name, even(2))
    assert expand([str(tmp_path)]) == [str(tmp_path / "a.mp4")]


def test_expand(tmp_path: Path) -> None:
    films, photos = tmp_path / "films", tmp_path / "photos"
    (films / "deep").mkdir(parents=True)
    clips = [make_clip(films / name, even(2)) for name in ("b10.mp4", "b9.mp4", "deep/c.mkv")]
    picture(films / "poster.jpg")
    picture(photos / "1.jpg")
    in_order = [str(clips[1]), str(clips[0])]
    assert expand([str(films)]) == in_order
    assert expand([str(films)], recursive=True) == [*in_order, str(clips[2])]
    assert expand([str(films / "*.mp4"), str(clips[0])]) == in_order
    assert expand([str(photos), "rtsp://cam/1", "webcam:0"]) == [str(photos), "rtsp://cam/1", "webcam:0"]
    assert expand([str(photos / "*.jpg")]) == [str(photos / "*.jpg")]
    with pytest.raises(SourceError, match="2 videos"):
        open_source(str(films))
    assert len(list(open_source(str(films / "deep")).frames())) == 2


def test_names_that_mean_nothing(tmp_path: Path) -> None:
    for name, words in {
        "gone": "no such file or folder",
        "*.mp4": "no file matches",
        "": "no videos or pictures in this folder",
    }.items():
        with pytest.raises(SourceError, match=words):
            expand([str(tmp_path / name)])


def test_names_with_signs_of_patterns_and_schemes(tmp_path: Path) -> None:
    for name in ("a[1].mp4", "what?.mp4", "100%d.mp4", "time 10:30.mp4"):
        path = make_clip(tmp_path / "x.mp4", even(2)).rename(tmp_path / name)
        assert expand([str(path)]) == [str(path)]
        assert len(list(open_source(str(path)).frames())) == 2
        assert len(list(open_source(f"file:{path}").frames())) == 2


def test_synthetic_options() -> None:
    options = SyntheticOptions.parse("synthetic:?size=320x180&fps=30000/1001&seconds=3&live=1&fault=hang@2.5")
    assert options.size == (320, 180)
    assert (options.live, options.fault, float(options.fault_at)) == (True, "hang", 2.5)
    for bad in ("size=1x1", "size=big", "fps=0", "seconds=-1", "fault=explode", "fault=hang", "colour=red", "fps=x"):
        with pytest.raises(OptionError):
            SyntheticOptions.parse(f"synthetic:?{bad}")


def test_the_drawn_number_can_be_read_at_any_size() -> None:
    for number in (0, 1, 21845, 65535):
        for size in ((64, 36), (640, 360), (1000, 80)):
            assert read_counter(draw(number, size)) == number
    for box in boxes(12345):
        assert 0 <= box[0] < box[2] <= 1
        assert 0 <= box[1] < box[3] <= 1


def test_a_synthetic_file_breaks_as_asked() -> None:
    frames: list[Frame] = []
    source = open_source("synthetic:?fps=10&seconds=2&fault=die@1")
    with pytest.raises(SourceError, match="after 10 frames"):
        frames.extend(source.frames())
    assert len(frames) == 10
    sizes = {frame.size for frame in open_source("synthetic:?fps=10&seconds=2&fault=resize@1").frames()}
    assert sizes == {(640, 360), (320, 180)}
