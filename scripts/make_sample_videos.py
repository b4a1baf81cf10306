"""Draw the three sample videos, with the ground truth of every frame beside each as JSON.

    python scripts/make_sample_videos.py [FOLDER]

``street`` moves by day, ``night`` is a fixed camera with long still stretches, ``signs`` shows words to read.
"""

from __future__ import annotations

import bisect
import json
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from scenes import Scene, Thing, draw, truth

SIZE = (1280, 720)
ASPECT = SIZE[0] / SIZE[1]
RATE = 25
FOLDER = Path(__file__).resolve().parent.parent / "sample_videos"

Place = tuple[float, float, float]
"""Second, x and y of an object's centre."""


@dataclass(frozen=True, slots=True)
class Actor:
    """An object and its way: it is there from the first second of the way to the last, moving evenly between."""

    thing: Thing
    way: tuple[Place, ...]

    def at(self, second: float) -> Thing | None:
        times = [place[0] for place in self.way]
        if not times[0] <= second <= times[-1]:
            return None
        after = min(bisect.bisect_right(times, second), len(self.way) - 1)
        (t0, x0, y0), (t1, x1, y1) = self.way[after - 1], self.way[after]
        part = (second - t0) / (t1 - t0)
        return replace(self.thing, x=x0 + (x1 - x0) * part, y=y0 + (y1 - y0) * part)


@dataclass(frozen=True, slots=True)
class Clip:
    """A drawn clip: stages one after another, each a backdrop with its actors; seconds count from its start."""

    name: str
    stages: tuple[tuple[float, Scene, tuple[Actor, ...]], ...]

    @property
    def seconds(self) -> float:
        return sum(stage[0] for stage in self.stages)

    def scene(self, second: float) -> Scene:
        for length, scene, actors in self.stages:
            if second < length:
                things = [thing for actor in actors if (thing := actor.at(second)) is not None]
                seen = tuple(thing for thing in things if thing.visible(ASPECT) > 0)
                return replace(scene, things=seen)
            second -= length
        raise ValueError(f"{self.name} ends before that")


def _still(thing: Thing, until: float, start: float = 0.0) -> Actor:
    return Actor(thing, ((start, thing.x, thing.y), (until, thing.x, thing.y)))


def street() -> Clip:
    def thing(label: str, width: float, variant: int = 0, mirrored: bool = False) -> Thing:
        return Thing(label, 0.5, 0.5, width, variant, mirrored)

    actors = (
        _still(Thing("traffic light", 0.91, 0.47, 0.045), 20),
        Actor(thing("bird", 0.05), ((1, 0.05, 0.22), (7, 0.55, 0.12), (13, 0.95, 0.2))),
        Actor(thing("person", 0.05, 1, True), ((0, 0.12, 0.56), (12, 0.62, 0.56), (20, 0.3, 0.56))),
        Actor(thing("dog", 0.055, 0, True), ((0, 0.2, 0.64), (12, 0.7, 0.64), (20, 0.38, 0.64))),
        Actor(thing("bus", 0.2, 0), ((4, 1.1, 0.68), (11, -0.1, 0.68))),
        Actor(thing("bicycle", 0.09), ((12, 1.05, 0.68), (20, 0.35, 0.68))),
        Actor(thing("car", 0.17, 0, True), ((0, 0.1, 0.86), (6, 1.1, 0.86))),
        Actor(thing("truck", 0.22, 0, True), ((9, -0.11, 0.84), (17, 1.11, 0.84))),
        Actor(thing("car", 0.17, 1, True), ((14, -0.1, 0.86), (20, 0.7, 0.86))),
    )
    return Clip("street", ((20.0, Scene("street", "day", 11, ()), actors),))


def night() -> Clip:
    parked = Thing("car", 0.2, 0.78, 0.17, 1)
    actors = (
        _still(Thing("traffic light", 0.86, 0.5, 0.045), 30),
        _still(parked, 30),
        _still(Thing("bicycle", 0.55, 0.66, 0.09), 30),
        Actor(Thing("cat", 0.4, 0.9, 0.055), ((9, -0.02, 0.9), (12, 0.42, 0.9), (30, 0.42, 0.9))),
        Actor(Thing("person", 0.5, 0.5, 0.055, 1), ((18, 1.02, 0.72), (24, 0.66, 0.72), (30, 0.66, 0.72))),
    )
    return Clip("night", ((30.0, Scene("square", "night", 23, ()), actors),))


def signs() -> Clip:
    def stage(place: str, time: str, seed: int, sign: Thing, *others: Thing) -> tuple[float, Scene, tuple[Actor, ...]]:
        return 4.0, Scene(place, time, seed, ()), tuple(_still(thing, 4.0) for thing in (sign, *others))

    def sign(text: str, x: float, y: float, width: float, variant: int) -> Thing:
        return Thing("sign", x, y, width, variant, False, text)

    return Clip(
        "signs",
        (
            stage("street", "day", 31, sign("STOP", 0.3, 0.4, 0.24, 4), Thing("car", 0.7, 0.8, 0.2)),
            stage("park", "day", 32, sign("CAFE", 0.6, 0.5, 0.26, 2), Thing("dog", 0.25, 0.8, 0.09)),
            stage("beach", "day", 33, sign("HOTEL", 0.5, 0.3, 0.3, 3), Thing("person", 0.2, 0.7, 0.06)),
            stage("square", "night", 34, sign("TAXI", 0.7, 0.4, 0.24, 1), Thing("car", 0.35, 0.78, 0.2, 1)),
            stage("street", "night", 35, sign("MUSEUM", 0.4, 0.35, 0.34, 3), Thing("bus", 0.7, 0.76, 0.2)),
            stage("park", "day", 36, sign("EXIT", 0.25, 0.45, 0.22, 0), Thing("bird", 0.7, 0.3, 0.06)),
        ),
    )


def write(clip: Clip, folder: Path) -> None:
    """``NAME.mp4`` (H.264) and ``NAME.json`` (for each frame: index, time and what is drawn)."""
    frames = []
    with av.open(str(folder / f"{clip.name}.mp4"), "w", options={"movflags": "faststart"}) as container:
        options = {"crf": "21", "preset": "slow", "threads": "1"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        for index in range(round(clip.seconds * RATE)):
            scene = clip.scene(index / RATE)
            frames.append({"index": index, "time_seconds": index / RATE, **truth(scene, ASPECT)})
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draw(scene, SIZE), format="rgb24")))
        container.mux(stream.encode(None))
    lines = ",\n".join(json.dumps(frame, separators=(",", ":")) for frame in frames)
    head = json.dumps({"video": f"{clip.name}.mp4", "size": SIZE, "rate": RATE})[:-1]
    (folder / f"{clip.name}.json").write_text(f'{head}, "frames": [\n{lines}\n]}}\n')


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for clip in (street(), night(), signs()):
        write(clip, folder)
        print(f"{folder / clip.name}.mp4: {(folder / clip.name).with_suffix('.mp4').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
