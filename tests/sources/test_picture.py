"""Upright, square, whole and in the right colours."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from numpy.typing import NDArray

from streamer.sources import open_source
from streamer.sources.orientation import UPRIGHT, Orientation
from streamer.sources.picture import Scaler, _range, deinterlaced
from streamer.sources.synthetic import draw
from streamer.sources.timeline import Timeline
from streamer.sources.tonemap import tone_map
from tests.media import even, make_clip, set_display_matrix

BT709, BT601 = 1, 6
COLOURS = ((250, 10, 10), (10, 250, 10), (10, 10, 250), (240, 240, 240))


def corners(image: NDArray[np.uint8]) -> list[list[int]]:
    height, width = image.shape[:2]
    places = [(y, x) for y in (height // 8, height * 7 // 8) for x in (width // 8, width * 7 // 8)]
    return [image[y, x].tolist() for y, x in places]


def filled(y: int, u: int, v: int, *, size: tuple[int, int] = (64, 64), format_: str = "yuv420p") -> av.VideoFrame:
    frame = av.VideoFrame(*size, format_)
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        wide = format_.endswith("10le")
        values = np.full(plane.buffer_size // (2 if wide else 1), value, "<u2" if wide else "u1")
        plane.update(values.tobytes())
    return frame


def rgb(frame: av.VideoFrame) -> list[int]:
    return [int(value) for value in Scaler().scaled(frame, UPRIGHT, (16, 16))[8, 8]]


def quarters(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = COLOURS[0], COLOURS[1]
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = COLOURS[2], COLOURS[3]
    return image


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), (0, 1, 2, 3)),
        ((0, 1, -1, 0), (2, 0, 3, 1)),
        ((-1, 0, 0, -1), (3, 2, 1, 0)),
        ((0, -1, 1, 0), (1, 3, 0, 2)),
        ((-1, 0, 0, 1), (1, 0, 3, 2)),
        ((1, 0, 0, -1), (2, 3, 0, 1)),
        ((0, 1, 1, 0), (0, 2, 1, 3)),
    ],
)
def test_turned_and_mirrored_clips_are_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], expected: tuple[int, int, int, int]
) -> None:
    clip = set_display_matrix(make_clip(tmp_path / "clip.mp4", even(2), size=(160, 96), picture=quarters), *matrix)
    frame = next(iter(open_source(str(clip)).frames()))
    assert frame.source_size == ((160, 96) if matrix[0] else (96, 160))
    for found, place in zip(corners(frame.image), expected, strict=True):
        assert np.abs(np.array(found) - COLOURS[place]).max() <= 8


def test_orientation_by_exif_matches_its_definition() -> None:
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3)[..., None].repeat(3, axis=2)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    for value, image in stored.items():
        assert np.array_equal(Orientation.from_exif(value).apply(image), upright), value


def test_pixel_aspect_becomes_square(clips: Path, tmp_path: Path) -> None:
    assert next(iter(open_source(str(clips / "anamorphic_sar2.mp4")).frames())).source_size == (1536, 576)
    tall = make_clip(tmp_path / "tall.mp4", even(2), size=(160, 96), aspect=Fraction(1, 2))
    frame = next(iter(open_source(str(tall)).frames()))
    assert frame.source_size == frame.size == (160, 192)


def test_interlaced_pictures_lose_their_combs(clips: Path) -> None:
    def combing(grey: NDArray[np.int64]) -> float:
        return float(np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean())

    with open_source(str(clips / "interlaced_h264.mp4")) as source:
        picture = next(iter(source.pictures()))
        scaled = picture.scaled((768, 576)).mean(axis=2).astype(np.int64)
    with av.open(str(clips / "interlaced_h264.mp4")) as container:
        frame = next(container.decode(video=0))
        raw = frame.to_ndarray(format="gray").astype(np.int64)
        assert not deinterlaced(frame).interlaced_frame
    moving = (slice(200, 420), slice(100, 700))
    assert combing(scaled[moving]) < 0.8 * combing(raw[moving])


@pytest.mark.parametrize(
    ("size", "tag", "expected"),
    [
        ((64, 64), None, [255, 1, 0]),
        ((64, 64), BT601, [255, 1, 0]),
        ((1280, 720), None, [255, 0, 0]),
        ((64, 64), BT709, [255, 0, 0]),
    ],
)
def test_the_matrix_is_the_tagged_one_and_bt709_for_untagged_hd(
    size: tuple[int, int], tag: int | None, expected: list[int]
) -> None:
    hd = expected == [255, 0, 0] and (tag == BT709 or size[1] >= 720)
    frame = filled(*((63, 102, 240) if hd else (81, 90, 240)), size=size)
    if tag is not None:
        frame.colorspace = tag
    assert np.abs(np.array(rgb(frame)) - expected).max() <= 3


def test_the_range_is_respected() -> None:
    limited, full = filled(235, 128, 128), filled(235, 128, 128)
    full.color_range = ColorRange.JPEG
    assert rgb(limited) == [255, 255, 255]
    assert np.abs(np.array(rgb(full)) - 235).max() <= 1
    assert np.abs(np.array(rgb(filled(235, 128, 128, format_="yuvj420p"))) - 235).max() <= 1


def test_ten_bits_become_eight() -> None:
    assert np.abs(np.array(rgb(filled(502, 512, 512, format_="yuv420p10le"))) - 128).max() <= 1


def test_hdr_is_mapped_for_both_transfers() -> None:
    def mapped(code: int, transfer: ColorTrc) -> list[int]:
        frame = filled(code, 512, 512, format_="yuv420p10le")
        frame.color_trc, frame.colorspace = transfer, 9
        frame.color_primaries = ColorPrimaries.BT2020
        return rgb(frame)

    for transfer in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67):
        greys = [mapped(code, transfer) for code in (64, 300, 450, 573, 700, 940)]
        levels = [grey[0] for grey in greys]
        assert levels == sorted(levels)
        assert levels[0] == 0
        assert 100 < levels[3] < 230
        assert all(max(grey) - min(grey) <= 2 for grey in greys)


def test_tone_mapping_keeps_hue_and_brightens_what_looked_grey() -> None:
    red = np.zeros((2, 2, 3), np.uint16)
    red[..., 0] = 38000
    out = tone_map(red, "pq")[0, 0]
    assert out[0] > 150
    assert max(out[1:]) < 40
    assert tone_map(np.zeros((2, 2, 3), np.uint16), "hlg").max() == 0
    assert tone_map(np.full((2, 2, 3), 65535, np.uint16), "hlg").min() == 255


def test_the_target_size_is_exact_and_unscaled_pixels_stay() -> None:
    image = draw(5, (64, 36))
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    assert np.array_equal(Scaler().scaled(frame, UPRIGHT, (64, 36)), image)
    for size in ((63, 35), (1, 1), (336, 192)):
        assert Scaler().scaled(frame, UPRIGHT, size).shape == (size[1], size[0], 3)


def test_times_only_rise() -> None:
    base = Fraction(1, 1000)
    line = Timeline(base, Fraction(10))
    assert [float(line.place(pts)) for pts in (500, 600, 700, 650, 750, 4000, None)] == pytest.approx(
        [0, 0.1, 0.2, 0.3, 0.4, 3.65, 3.75]
    )
    live = Timeline(base, Fraction(10), longest_gap=10)
    assert float(live.place(None)) == 0
    assert float(live.place(5000, Fraction(1, 5))) == 0.2
    assert float(live.place(5100)) == pytest.approx(0.3)
    assert float(live.place(9_000_000, Fraction(1, 2))) == pytest.approx(0.8)
    live.interrupt(Fraction(1, 90_000))
    assert float(live.place(0, Fraction(3))) == pytest.approx(3.8)
    zero = Timeline(base, None)
    assert [zero.place(0) for _ in range(3)] == [0, Fraction(1, 25), Fraction(2, 25)]


@pytest.mark.parametrize("name", ["yuv420p", "yuvj422p", "yuv444p", "yuv420p10le", "nv12", "gray", "yuva420p", "bgra"])
@pytest.mark.parametrize("size", [(48, 32), (97, 61), (64, 48), (200, 150)])
def test_the_way_by_planes_changes_no_byte(name: str, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format=name)
    rgb = frame.format.is_rgb
    packed = VideoReformatter().reformat(
        frame,
        *size,
        "rgb24",
        src_colorspace=None if rgb else Colorspace.ITU601,
        src_color_range=_range(frame),
        dst_color_range=None if rgb else ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
    )
    assert np.array_equal(Scaler().scaled(frame, UPRIGHT, size), packed.to_ndarray())
