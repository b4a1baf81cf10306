"""Drawn street scenes with their ground truth: what `tiny` is trained on and what the sample videos show.

A `Scene` is plain data made from a seed; `draw` paints it at any size. Sprites are the glyphs of the font
Noto Color Emoji (OFL; Debian package ``fonts-noto-color-emoji``), signs are set in DejaVu Sans Bold.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from backdrops import Pixels, backdrop
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CLASSES = (
    "person", "car", "bus", "truck", "bicycle", "motorcycle", "dog", "cat", "traffic light", "bird",
)  # fmt: skip
SIGN = "sign"
LABELS = (*CLASSES, SIGN)
PLURALS = {
    "person": "people", "car": "cars", "bus": "buses", "truck": "trucks", "bicycle": "bicycles",
    "motorcycle": "motorcycles", "dog": "dogs", "cat": "cats", "traffic light": "traffic lights",
    "bird": "birds", "sign": "signs",
}  # fmt: skip
GLYPHS = {
    "person": ("\U0001f9cd", "\U0001f6b6", "\U0001f9cd\U0001f3fe"),
    "car": ("\U0001f697", "\U0001f699"),
    "bus": ("\U0001f68c",),
    "truck": ("\U0001f69a", "\U0001f69b"),
    "bicycle": ("\U0001f6b2",),
    "motorcycle": ("\U0001f3cd", "\U0001f6f5"),
    "dog": ("\U0001f415", "\U0001f429"),
    "cat": ("\U0001f408",),
    "traffic light": ("\U0001f6a6",),
    "bird": ("\U0001f426", "\U0001f54a"),
}
PLACES = ("street", "park", "square", "beach")
TIMES = ("day", "night")
_WORDS = """
    STOP TAXI CAFE HOTEL PARK EXIT OPEN BANK SHOP BUS ZOO PUB BAR GYM SPA INN TOLL SLOW WAIT WALK TURN LEFT RIGHT
    NORTH SOUTH EAST WEST FIRE HELP INFO MENU PIZZA SUSHI TACO BREAD MILK FISH MEAT FRUIT WATER JUICE COFFEE TEA
    BOOKS TOYS SHOES HATS BIKES CARS TRAIN METRO TRAM FERRY PORT DOCK PIER BEACH LAKE RIVER HILL FARM BARN MILL
    TOWN CITY MAIN KING QUEEN PRINCE OAK PINE ELM MAPLE ROSE LILY IRIS BLUE GREEN WHITE BLACK GOLD RED PINK SALE
    FREE NEW OLD BIG ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE TEN MUSEUM CINEMA THEATR SCHOOL CLINIC POLICE
    POST CHURCH TEMPLE MARKET GARAGE CLOSED CAMP POOL GOLF TENNIS HOCKEY JAZZ ROCK OPERA RADIO VIDEO PHOTO PAINT
    PAPER GLASS WOOD STEEL STONE BRICK IRON DANGER KEEP OUT YIELD MERGE LANE ROAD AVENUE BRIDGE TUNNEL TOWER PLAZA
"""
WORDS = tuple(_WORDS.split())
"""What the signs say: 3 to 6 capital letters."""
SMALLEST, LARGEST = 0.03, 0.40
"""The longer side of an object, as a part of the picture's width."""

EDGE_SHARE = 0.2
"""Share of objects that may be cut by the left or right edge, by up to two fifths."""

_EMOJI_FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
_SIGN_FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf")
_PLATES = (
    ((250, 250, 245), (20, 20, 20)), ((255, 214, 40), (20, 20, 20)), ((25, 110, 60), (250, 250, 250)),
    ((20, 70, 160), (250, 250, 250)), ((190, 30, 35), (250, 250, 250)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thing:
    """An object of a scene. ``x, y`` is the centre and ``width`` the width, all as parts of the picture's width
    (``x``, ``width``) and height (``y``); the height follows from the sprite and the picture's aspect."""

    label: str
    x: float
    y: float
    width: float
    variant: int = 0
    mirrored: bool = False
    text: str = ""

    def box(self, aspect: float) -> tuple[float, float, float, float]:
        """``x1, y1, x2, y2`` in 0..1, clipped to a picture of that width / height."""
        half_width, half_height = self.width / 2, self.width * aspect / self.sprite_aspect / 2
        corners = (self.x - half_width, self.y - half_height, self.x + half_width, self.y + half_height)
        x1, y1, x2, y2 = (min(1.0, max(0.0, value)) for value in corners)
        return x1, y1, x2, y2

    def visible(self, aspect: float) -> float:
        """The part of it, in 0..1, that lies inside the picture."""
        x1, y1, x2, y2 = self.box(aspect)
        return max(0.0, x2 - x1) * max(0.0, y2 - y1) / (self.width * self.width * aspect / self.sprite_aspect)

    @property
    def sprite_aspect(self) -> float:
        """Width / height of the sprite."""
        height, width = _sprite(self.label, self.variant, self.text).shape[:2]
        return float(width / height)


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawn picture: where, when, which backdrop (a seed) and what stands in it, farthest first."""

    place: str
    time: str
    backdrop: int
    things: tuple[Thing, ...]

    def ordered(self, labels: Sequence[str] = LABELS) -> list[Thing]:
        """The things with these labels from left to right."""
        return sorted((t for t in self.things if t.label in labels), key=lambda t: (t.x - t.width / 2, t.y))

    def count(self, label: str) -> int:
        return sum(thing.label == label for thing in self.things)


def random_scene(
    rng: random.Random,
    *,
    aspect: float = 16 / 9,
    things: tuple[int, int] = (1, 8),
    sign_share: float = 0.12,
    most_signs: int = 1,
    spelled: bool = False,
    zoom: float = 1.0,
) -> Scene:
    """A scene of ``things[0]`` to ``things[1]`` objects that hardly overlap.

    ``sign_share``: how soon one is a sign, ``most_signs`` at most; ``spelled``: signs of random letters, no words.
    ``zoom``: how many times larger things are than usual, as where the picture is a part of a larger one.
    """
    count = rng.randint(*things)
    placed: list[Thing] = []
    boxes: list[tuple[float, float, float, float]] = []
    signs = 0
    for _ in range(count * 12):
        if len(placed) == count:
            break
        wants_sign = signs < most_signs and rng.random() < sign_share
        thing = _random_sign(rng, aspect, spelled, zoom) if wants_sign else _random_thing(rng, aspect, zoom)
        box = thing.box(aspect)
        if all(_overlap(box, other) < 0.12 for other in boxes):
            placed.append(thing)
            boxes.append(box)
            signs += wants_sign
    return Scene(rng.choice(PLACES), rng.choice(TIMES), rng.randrange(1 << 30), tuple(placed))


def varied(rng: random.Random, scene: Scene, *, aspect: float = 16 / 9) -> Scene:
    """The same place a moment later: things have moved a little, up to two are gone, up to two are new."""
    things = [replace(t, x=t.x + rng.uniform(-0.02, 0.02), y=t.y + rng.uniform(-0.01, 0.01)) for t in scene.things]
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        if len(things) > 1:
            things.pop(rng.randrange(len(things)))
    boxes = [thing.box(aspect) for thing in things]
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        for _ in range(10):
            thing = _random_thing(rng, aspect)
            if len(things) < 8 and all(_overlap(thing.box(aspect), other) < 0.12 for other in boxes):
                things.append(thing)
                boxes.append(thing.box(aspect))
                break
    return replace(scene, things=tuple(things))


def _random_thing(rng: random.Random, aspect: float, zoom: float = 1.0) -> Thing:
    label = rng.choice(CLASSES)
    thing = Thing(label, 0.5, 0.5, 0.1, rng.randrange(len(GLYPHS[label])), rng.random() < 0.5)
    side = math.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST)))
    return _placed(rng, thing, min(0.9, side * zoom), aspect)


@functools.cache
def _letters_at_random() -> tuple[str, ...]:
    """What no dictionary holds, so that letters are learnt and not words; few enough to keep their sprites."""
    rng = random.Random(0)
    return tuple("".join(rng.choices(string.ascii_uppercase, k=rng.randint(3, 6))) for _ in range(500))


def _random_sign(rng: random.Random, aspect: float, spelled: bool, zoom: float) -> Thing:
    text = rng.choice(_letters_at_random() if spelled else WORDS)
    thing = Thing(SIGN, 0.5, 0.5, 0.1, rng.randrange(len(_PLATES)), False, text)
    return _placed(rng, thing, min(0.9, rng.uniform(0.14, 0.36) * zoom), aspect)


def _placed(rng: random.Random, thing: Thing, longer_side: float, aspect: float) -> Thing:
    width = longer_side * min(1.0, thing.sprite_aspect)
    width = min(width, 0.92 * thing.sprite_aspect / aspect)
    height = width * aspect / thing.sprite_aspect
    inside = width / 2 + 0.005 if thing.text or rng.random() > EDGE_SHARE else width * 0.1
    return replace(
        thing,
        width=width,
        x=rng.uniform(inside, 1 - inside),
        y=rng.uniform(height / 2 + 0.005, 1 - height / 2 - 0.005),
    )


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Shared part of the smaller box."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / smaller


# --- painting ---------------------------------------------------------------------------------------------------


def draw(scene: Scene, size: tuple[int, int]) -> Pixels:
    """The scene as ``(H, W, 3)`` uint8 RGB of ``size`` = (W, H)."""
    width, height = size
    canvas = backdrop(scene.place, scene.time, scene.backdrop, size).copy()
    for thing in scene.things:
        _paste(canvas, thing, scene.time == "night", width, height)
    return canvas


def _paste(canvas: Pixels, thing: Thing, night: bool, width: int, height: int) -> None:
    sprite = _sprite(thing.label, thing.variant, thing.text)
    if thing.mirrored:
        sprite = sprite[:, ::-1]
    wide = thing.width * width
    tall = wide / thing.sprite_aspect
    left, top = thing.x * width - wide / 2, thing.y * height - tall / 2
    x0, y0 = max(0, math.floor(left)), max(0, math.floor(top))
    x1, y1 = min(width, math.ceil(left + wide)), min(height, math.ceil(top + tall))
    if x1 <= x0 or y1 <= y0:
        return
    patch = _fit(sprite, wide, tall, (left - x0, top - y0), (x1 - x0, y1 - y0))
    alpha = patch[..., 3:]
    colour = patch[..., :3] * np.float32(0.72 if night else 1.0)
    region = canvas[y0:y1, x0:x1]
    region[:] = (region * (1 - alpha) + colour + 0.5).astype(np.uint8)


def _fit(
    sprite: NDArray[np.float32], wide: float, tall: float, offset: tuple[float, float], size: tuple[int, int]
) -> NDArray[np.float32]:
    """The sprite at ``wide`` x ``tall`` pixels, at a fraction of a pixel, on an empty patch of ``size``."""
    scale = max(1.0, sprite.shape[1] / max(1.0, wide))
    if scale > 1:
        shrunk = (max(1, round(sprite.shape[1] / scale)), max(1, round(sprite.shape[0] / scale)))
        sprite = cv2.resize(np.ascontiguousarray(sprite), shrunk, interpolation=cv2.INTER_AREA)
    matrix = np.array(
        [[wide / sprite.shape[1], 0, offset[0]], [0, tall / sprite.shape[0], offset[1]]], dtype=np.float64
    )
    matrix[:, 2] += (matrix[:, 0] + matrix[:, 1]) / 2 - 0.5  # pixel centres
    warped = cv2.warpAffine(np.ascontiguousarray(sprite), matrix, size, flags=cv2.INTER_LINEAR)
    return np.asarray(warped, dtype=np.float32)


@functools.lru_cache(maxsize=1024)
def letter_spans(text: str) -> tuple[tuple[float, float], ...]:
    """``(from, to)`` of each letter of a sign, as parts of the sign's width."""
    font = _sign_font(text)
    pad = round(font.size * 0.29)
    left, _, right, _ = font.getbbox(text)
    edges = [pad - left + font.getlength(text[:count]) for count in range(len(text) + 1)]
    whole = right - left + 2 * pad
    return tuple((start / whole, end / whole) for start, end in itertools.pairwise(edges))


@functools.lru_cache(maxsize=4096)
def _sprite(label: str, variant: int, text: str) -> NDArray[np.float32]:
    """``(H, W, 4)`` float32: colour premultiplied by alpha (0..255), alpha 0..1, cropped to what is visible."""
    if label == SIGN:
        image = _sign_image(text, variant)
    else:
        font = ImageFont.truetype(str(_EMOJI_FONT), 109)
        image = Image.new("RGBA", (180, 180))
        ImageDraw.Draw(image).text((20, 20), GLYPHS[label][variant], font=font, embedded_color=True)
    pixels = np.asarray(image, dtype=np.float32)
    rows, columns = np.where(pixels[..., 3] > 96)
    if not rows.size:
        raise RuntimeError(f"the glyph of {label!r} is empty: is the font Noto Color Emoji complete?")
    pixels = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].copy()
    pixels[..., 3] /= 255
    pixels[..., :3] *= pixels[..., 3:]
    return pixels


def _sign_image(text: str, variant: int) -> Image.Image:
    plate, ink = _PLATES[variant]
    font = _sign_font(text)
    pad, rim = round(font.size * 0.29), round(font.size * 0.073)
    left, top, right, bottom = font.getbbox(text)
    width, height = int(right - left) + 2 * pad, int(bottom - top) + 2 * pad
    image = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), radius=2.6 * rim, fill=(*ink, 255))
    pen.rounded_rectangle((rim, rim, width - 1 - rim, height - 1 - rim), radius=1.8 * rim, fill=(*plate, 255))
    pen.text((pad - left, pad - top), text, font=font, fill=(*ink, 255))
    return image


@functools.lru_cache(maxsize=2)
def _font_of_size(points: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_SIGN_FONT), points)


def _sign_font(text: str) -> ImageFont.FreeTypeFont:
    """Words are drawn large and kept; random letters are drawn smaller, as there are many."""
    return _font_of_size(96 if text in WORDS else 52)


def truth(scene: Scene, aspect: float = 16 / 9) -> dict[str, Any]:
    """The ground truth of a scene as JSON values: place, time and objects with boxes in 0..1, left to right."""
    objects = [
        {
            "label": thing.label,
            "visible": round(thing.visible(aspect), 3),
            "box": dict(zip(("x1", "y1", "x2", "y2"), (round(v, 5) for v in thing.box(aspect)), strict=True)),
            **({"text": thing.text} if thing.text else {}),
        }
        for thing in scene.ordered()
        if thing.visible(aspect) > 0
    ]
    return {"place": scene.place, "time": scene.time, "objects": objects}
