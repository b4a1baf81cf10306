"""How well tracks keep to their objects between sparse samples, and how well boxes do that are carried between them.

    python benchmarks/tracking.py [--quick] [--json]

``samples`` are the three sample videos; ``crowd`` is drawn here: equal people on curved ways that cross. Detections are
the ground truth of the sampled pictures: exact, or noisy (sides moved by 4 % of the box, one in ten missed, one in
twenty with another label). IDF1 (of identities, in 0..1) and id switches are counted at the sampled pictures, an object
and a box belonging together from an overlap of 0.5. ``drawn IoU`` is the mean at all 25 pictures a second over all
objects and all boxes drawn; an object without a box and a box without an object count 0. Its ids are the true ones.
``through`` is ``both`` with pictures held back until the next sample.
``ByteTrack`` is that of the package ``trackers``, left out where that is not installed.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Literal, cast

import numpy as np
from common import ROOT, arguments, report
from numpy.typing import NDArray

from streamer.carrying import Carrier, Way
from streamer.geometry import Box, iou
from streamer.motion import Follower, grey_thumbnail
from streamer.results import Detection, FrameResult
from streamer.sources import open_source
from streamer.tracking import Tracker, assign

RATE = 25
RATES = (1, 2, 5)
SIZE = (480, 270)
OVERLAP = 0.5
"""From which an object and a box belong together."""
WAYS: tuple[Way | Literal["through"], ...] = ("hold", "linear", "flow", "both", "through")

Objects = tuple[Detection, ...]
"""Of one picture, ``track_id`` being the identity."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Pictures at `RATE` with what is in them."""

    name: str
    pictures: list[NDArray[np.uint8]]
    objects: list[Objects]


# --- clips ------------------------------------------------------------------------------------------------------


def sample(name: str, seconds: float) -> Clip:
    path = ROOT / "sample_videos" / f"{name}.mp4"
    count = round(seconds * RATE)
    with open_source(str(path), size_for=lambda size: SIZE) as source:
        pictures = [frame.image for frame in itertools.islice(source.frames(), count)]
    frames = json.loads(path.with_suffix(".json").read_text())["frames"][:count]
    return Clip(name, pictures, identified([frame["objects"] for frame in frames]))


def identified(frames: Sequence[Sequence[dict[str, Any]]]) -> list[Objects]:
    """Identities from 25 pictures a second: the same label and words, and almost the same place as just before."""
    count = itertools.count(1)
    before: list[tuple[Detection, str]] = []
    found: list[Objects] = []
    for objects in frames:
        now = [(Detection(item["label"], Box(**item["box"])), item.get("text", "")) for item in objects]
        overlaps = np.array([[_same(old, new) for new in now] for old in before], dtype=np.float64, ndmin=2).reshape(
            len(before), len(now)
        )
        known = {column: before[row][0].track_id for row, column in assign(overlaps)}
        numbers = [known.get(place) or next(count) for place in range(len(now))]
        before = [(replace(item, track_id=number), text) for (item, text), number in zip(now, numbers, strict=True)]
        found.append(tuple(item for item, _ in before))
    return found


def _same(old: tuple[Detection, str], new: tuple[Detection, str]) -> float:
    overlap = iou(old[0].box, new[0].box)
    return overlap if overlap > 0.3 and (old[0].label, old[1]) == (new[0].label, new[1]) else 0.0


def crowd(seconds: float, people: int = 10, seed: int = 11) -> Clip:
    """People of three looks that walk on curves, cross, leave the picture and enter it again as somebody else."""
    from scenes import Scene, Thing, draw

    rng = random.Random(seed)
    looks = [(rng.uniform(0.04, 0.06), number % 3, rng.uniform(0.45, 0.8)) for number in range(people)]
    paths = [(rng.uniform(0, 6.3), rng.uniform(0.3, 0.55), rng.uniform(0.25, 0.6)) for _ in range(people)]
    pictures, objects = [], []
    visit, inside = [0] * people, [False] * people
    for number in range(round(seconds * RATE)):
        things, seen = [], []
        for person, ((width, look, y), (phase, reach, speed)) in enumerate(zip(looks, paths, strict=True)):
            angle = phase + speed * number / RATE
            x, y = 0.5 + reach * math.sin(angle), y + 0.06 * math.sin(2.3 * angle)
            thing = Thing("person", x, y, width, look)
            was, inside[person] = inside[person], thing.visible(SIZE[0] / SIZE[1]) > 0
            if inside[person]:
                visit[person] += not was
                things.append(thing)
                seen.append(Detection("person", Box(*thing.box(SIZE[0] / SIZE[1])), 1000 * visit[person] + person))
        pictures.append(draw(Scene("square", "day", 3, tuple(things)), SIZE))
        objects.append(tuple(seen))
    return Clip("crowd", pictures, objects)


def noisy(objects: Objects, rng: random.Random) -> Objects:
    """What a detector makes of them; the identities stay, for whoever counts."""
    found = []
    for item in objects:
        if rng.random() < 0.1:
            continue
        sides = (item.box.width, item.box.height) * 2
        box = Box(*(edge + rng.gauss(0, 0.04) * side for edge, side in zip(item.box, sides, strict=True)))
        label = "thing" if rng.random() < 0.05 else item.label
        found.append(replace(item, label=label, box=box.ordered().clamped()))
    return tuple(found)


# --- trackers ---------------------------------------------------------------------------------------------------

Track = Callable[[Clip, list[Objects], int], list[Objects]]
"""From the clip, the detections (None of their ids may be used) of every ``step``-th picture and the step."""


def bare(objects: Objects) -> Objects:
    return tuple(replace(item, track_id=None) for item in objects)


def by_flow(clip: Clip, sampled: list[Objects], step: int) -> list[Objects]:
    tracker, follower, found = Tracker(), Follower(), []
    for number, picture in enumerate(clip.pictures):
        if follower.step(grey_thumbnail(picture)):
            tracker.restart()
        if number % step == 0:
            tracked = tracker.update(bare(sampled[number // step]), number / RATE, follower.boxes)
            follower.put(tracker.boxes, {item.track_id for item in tracked})
            found.append(tracked)
    return found


def by_velocity(clip: Clip, sampled: list[Objects], step: int) -> list[Objects]:
    tracker = Tracker()
    return [tracker.update(bare(objects), place * step / RATE) for place, objects in enumerate(sampled)]


def by_overlap(clip: Clip, sampled: list[Objects], step: int) -> list[Objects]:
    """The plain peer: the largest overlap with the box seen last, of the same label, for three seconds."""
    last: dict[int, tuple[int, Detection]] = {}
    count, found = itertools.count(1), []
    for place, objects in enumerate(sampled):
        old = [(key, item) for key, (seen, item) in last.items() if (place - seen) * step <= 3 * RATE]
        overlaps = np.zeros((len(old), len(objects)))
        for (row, (_, item)), (column, new) in itertools.product(enumerate(old), enumerate(objects)):
            overlap = iou(item.box, new.box)
            overlaps[row, column] = overlap if overlap >= 0.1 and item.label == new.label else 0.0
        known = {column: old[row][0] for row, column in assign(overlaps)}
        numbers = [known.get(column) or next(count) for column in range(len(objects))]
        tracked = tuple(replace(item, track_id=number) for item, number in zip(objects, numbers, strict=True))
        last |= {cast(int, item.track_id): (place, item) for item in tracked}
        found.append(tracked)
    return found


def by_bytetrack(clip: Clip, sampled: list[Objects], step: int) -> list[Objects]:
    """With what it needs at few pictures a second: ids at once, and the smallest overlap it takes."""
    # Peers that need not be installed, so the types of one environment lack them and those of another do not.
    import supervision  # type: ignore[import-not-found,unused-ignore]
    import trackers  # type: ignore[import-not-found,unused-ignore]

    peer = trackers.ByteTrackTracker(
        lost_track_buffer=90,  # counted at 30 pictures a second: three seconds
        frame_rate=RATE / step,
        minimum_consecutive_frames=1,
        minimum_iou_threshold=0.01,
    )
    found = []
    for objects in sampled:
        boxes = np.array([item.box.to_pixels(1000, 1000) for item in objects], np.float32).reshape(-1, 4)
        given = supervision.Detections(xyxy=boxes, confidence=np.ones(len(boxes)), class_id=np.arange(len(boxes)))
        tracked = peer.update(given)
        places = tracked.class_id.tolist()
        numbers = dict(zip(places, tracked.tracker_id.tolist(), strict=True))
        # A box that begins a track has no id yet and is left out: no switch.
        known = {place: number for place, number in numbers.items() if number >= 0}
        found.append(tuple(replace(objects[place], track_id=number) for place, number in sorted(known.items())))
    return found


# --- measures ---------------------------------------------------------------------------------------------------


def idf1(truth: Sequence[Objects], found: Sequence[Objects]) -> float:
    """2 IDTP / (objects + boxes), IDTP being the pictures in which an object and the track assigned to it for the
    whole clip overlap, by the assignment for which that is the most."""
    together: Counter[tuple[int, int]] = Counter()
    for objects, boxes in zip(truth, found, strict=True):
        for item, box in itertools.product(objects, boxes):
            if iou(item.box, box.box) >= OVERLAP:
                together[cast(int, item.track_id), cast(int, box.track_id)] += 1
    rows, columns = (sorted({pair[side] for pair in together}) for side in (0, 1))
    counts = np.array([[together[row, column] for column in columns] for row in rows], float).reshape(len(rows), -1)
    shared = sum(counts[row, column] for row, column in assign(counts))
    total = sum(map(len, truth)) + sum(map(len, found))
    return float(2 * shared / total) if total else 1.0


def switches(truth: Sequence[Objects], found: Sequence[Objects]) -> int:
    """How often an object's box has another id than the one it had last; in doubt a box stays with its object."""
    last: dict[int, int] = {}
    count = 0
    for objects, boxes in zip(truth, found, strict=True):
        fits = np.zeros((len(objects), len(boxes)))
        for (row, item), (column, box) in itertools.product(enumerate(objects), enumerate(boxes)):
            overlap = iou(item.box, box.box)
            stays = last.get(cast(int, item.track_id)) == box.track_id
            fits[row, column] = (overlap + stays) if overlap >= OVERLAP else 0.0
        for row, column in assign(fits):
            identity, number = cast(int, objects[row].track_id), cast(int, boxes[column].track_id)
            count += last.get(identity, number) != number
            last[identity] = number
    return count


def drawn_iou(clip: Clip, step: int, way: Way | Literal["through"]) -> Iterator[float]:
    """Of every object and of every box that is no object's, at every picture."""
    results = [
        FrameResult(clip.name, place, number / RATE, SIZE, detections=clip.objects[number])
        for place, number in enumerate(range(0, len(clip.objects), step))
    ]
    carrier = Carrier(results, way="both" if way == "through" else way)
    timed = ((number / RATE, picture) for number, picture in enumerate(clip.pictures))
    shown = carrier.through(timed) if way == "through" else ((*item, carrier.at(*item)) for item in timed)
    for (_, _, detections), objects in zip(shown, clip.objects, strict=True):
        drawn = {item.track_id: item.box for item in detections}
        for item in objects:
            yield iou(drawn.pop(item.track_id), item.box) if item.track_id in drawn else 0.0
        yield from (0.0 for _ in drawn)


# --- tables -----------------------------------------------------------------------------------------------------


def track_rows(name: str, clips: Sequence[Clip], ways: dict[str, Track], spoil: bool) -> list[dict[str, Any]]:
    rows = []
    for way, track in ways.items():
        scores, changes = [], []
        for rate in RATES:
            step, truth, found = RATE // rate, [], []
            for clip in clips:
                rng = random.Random(1)
                objects = clip.objects[::step]
                given = [noisy(items, rng) for items in objects] if spoil else objects
                truth.append(objects)
                found.append(track(clip, given, step))
            changes.append(sum(map(switches, truth, found)))
            scores.append(idf1(_joined(truth), _joined(found)))
        kind = "noisy" if spoil else "exact"
        rows += [_row(name, kind, "IDF1", way, scores), _row(name, kind, "switches", way, changes)]
    return rows


def _joined(clips: Sequence[Sequence[Objects]]) -> list[Objects]:
    """One clip after another, ids made different."""
    return [
        tuple(replace(item, track_id=cast(int, item.track_id) + 10_000_000 * place) for item in objects)
        for place, clip in enumerate(clips)
        for objects in clip
    ]


def drawn_rows(name: str, clips: Sequence[Clip]) -> list[dict[str, Any]]:
    rows = []
    for way in WAYS:
        means = [_mean(value for clip in clips for value in drawn_iou(clip, RATE // rate, way)) for rate in RATES]
        rows.append(_row(name, "exact", "drawn IoU", way, means))
    return rows


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _row(clips: str, boxes: str, measure: str, way: str, values: Sequence[float]) -> dict[str, Any]:
    shown = {f"{rate}/s": round(value, 3) for rate, value in zip(RATES, values, strict=True)}
    return {"measure": measure, "clips": clips, "boxes": boxes, "way": way, **shown}


def carry_ms(clips: Sequence[Clip]) -> float:
    """Milliseconds a picture, thumbnail included, with as many boxes as the clips have."""
    pictures, began = 0, time.perf_counter()
    for clip in clips:
        for _ in drawn_iou(clip, RATE, "flow"):
            pass
        pictures += len(clip.pictures)
    return round((time.perf_counter() - began) / pictures * 1000, 2)


def main() -> None:
    options = arguments(__doc__).parse_args()
    part = 0.15 if options.quick else 1.0
    samples = [sample(name, seconds * part) for name, seconds in (("street", 20), ("night", 30), ("signs", 24))]
    groups = {"samples": samples, "crowd": [crowd(12 * part, seed=seed) for seed in (11, 12, 13)]}
    ways: dict[str, Track] = {"flow": by_flow, "no flow": by_velocity, "plain IoU": by_overlap}
    versions = {}
    if importlib.util.find_spec("trackers"):
        ways["ByteTrack"] = by_bytetrack
        versions["trackers"] = version("trackers")
    rows = []
    for name, clips in groups.items():
        for spoil in (False, True):
            rows += track_rows(name, clips, ways, spoil)
    for name, clips in groups.items():
        rows += drawn_rows(name, clips)
    notes = {f"ms a picture, {name}": carry_ms(clips) for name, clips in groups.items()}
    rows.sort(key=lambda row: str(row["measure"]))
    report("tracking", rows, as_json=options.json, notes=notes, more_versions=versions)


if __name__ == "__main__":
    main()
