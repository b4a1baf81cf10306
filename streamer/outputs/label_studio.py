"""Label Studio's tasks with predictions, and the labelling configurations that they fit.

https://labelstud.io/guide/predictions
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from streamer.outputs.base import Annotations
from streamer.outputs.documents import child, write_json, write_xml, xml_text
from streamer.outputs.pictures import found, needed_stills, percent, picture_name, plain
from streamer.outputs.tracks import Track, tracks
from streamer.results import Detection, FrameResult
from streamer.sources.base import Size


def write_label_studio(annotations: Annotations, folder: Path) -> list[Path]:
    """``NAME.label-studio.json``: one task, the video, with a sequence of boxes an object; and ``….xml``.

    ``data.video`` is the source's address: a project reads it only where Label Studio can reach it. Raises
    `OutputError` where a file cannot be written.
    """
    path = folder / f"{annotations.name}.label-studio.json"
    results = [_video_result(track, annotations) for track in tracks(annotations)]
    task = {"data": _data(annotations, video=annotations.address), "predictions": [_prediction(annotations, results)]}
    write_json(path, [task])
    return [path, _write_config(path, _video_config(annotations))]


def write_label_studio_images(annotations: Annotations, folder: Path) -> list[Path]:
    """``NAME.label-studio-images.json``: a task a still, with its boxes; and ``….xml``.

    ``data.image`` is the still's name from ``folder``. Raises `OutputError` where a file cannot be written or a still
    is missing.
    """
    path = folder / f"{annotations.name}.label-studio-images.json"
    write_json(
        path,
        [_image_task(annotations, result, still.size, folder) for result, still in needed_stills(annotations, path)],
    )
    return [path, _write_config(path, _image_config(annotations))]


def _data(annotations: Annotations, **values: Any) -> dict[str, Any]:
    return values if annotations.caveat is None else values | {"caveat": annotations.caveat}


def _prediction(annotations: Annotations, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"model_version": annotations.model, "result": list(results)}


def _video_result(track: Track, annotations: Annotations) -> dict[str, Any]:
    good = annotations.good
    keyframes = [
        _keyframe(detection, good[place], annotations, enabled=place + 1 in track.boxes)
        for place, detection in track.boxes.items()
    ]
    sequence = list({keyframe["frame"]: keyframe for keyframe in keyframes}.values())
    count, seconds = _length(annotations)
    value = {"framesCount": count, "duration": seconds, "sequence": sequence, "labels": [xml_text(track.label)]}
    result = {"id": f"track-{track.id}", "type": "videorectangle", "from_name": "box", "to_name": "video"}
    return result | {"value": value} | _meta(next(iter(track.boxes.values())))


def _keyframe(detection: Detection, result: FrameResult, annotations: Annotations, *, enabled: bool) -> dict[str, Any]:
    """``enabled`` says that the object is there up to the next keyframe."""
    return {
        "frame": _frame(result, annotations),
        "enabled": enabled,
        "rotation": 0,
        **percent(detection.box),
        "time": round(result.time_seconds, 3),
    }


def _frame(result: FrameResult, annotations: Annotations) -> int:
    """Counted from 1, as Label Studio does it: by the time and the set-up's ``framerate``, which is the picture's own
    number where the rate is constant."""
    rate = _rate(annotations)
    return (annotations.number(result) if rate is None else round(result.time_seconds * rate)) + 1


def _rate(annotations: Annotations) -> float | None:
    """As it stands in the set-up; where the source claims none, that which its pictures have on average."""
    count, seconds = annotations.picture_count, annotations.duration_seconds
    rate = annotations.rate or (count / seconds if count and seconds else None)
    return None if rate is None else float(f"{rate:.6g}")


def _length(annotations: Annotations) -> tuple[int, float]:
    """Pictures, as Label Studio counts them, and seconds of the source, as far as known; at least what was sampled."""
    results, rate = annotations.results, _rate(annotations)
    seconds = annotations.duration_seconds or (annotations.end_seconds(len(results) - 1) if results else 0.0)
    timed = rate is not None and (annotations.duration_seconds or not annotations.picture_count)
    count = round(seconds * (rate or 0)) if timed else annotations.picture_count or 0
    return max([count, *(_frame(result, annotations) for result in results), 1]), round(seconds, 3)


def _image_task(annotations: Annotations, result: FrameResult, size: Size, folder: Path) -> dict[str, Any]:
    boxes = [_rectangle(f"box-{number}", found_one, size) for number, found_one in enumerate(found(result, size))]
    data = _data(
        annotations,
        image=picture_name(annotations, result, folder),
        frame_index=annotations.number(result),
        time_seconds=result.time_seconds,
    )
    return {"data": data, "predictions": [_prediction(annotations, boxes)]}


def _rectangle(name: str, detection: Detection, size: Size) -> dict[str, Any]:
    result = {"id": name, "type": "rectanglelabels", "from_name": "label", "to_name": "image"}
    sizes = {"original_width": size[0], "original_height": size[1], "image_rotation": 0}
    value = percent(detection.box) | {"rotation": 0, "rectanglelabels": [xml_text(detection.label)]}
    return {**result, **sizes, "value": value, **_meta(detection)}


def _meta(detection: Detection) -> dict[str, Any]:
    """The region's notes: its track and whatever else the model said of it."""
    track = {} if detection.track_id is None else {"track": detection.track_id}
    said = [f"{name}: {plain(value)}" for name, value in (track | dict(detection.attributes or {})).items()]
    return {"meta": {"text": said}} if said else {}


def _video_config(annotations: Annotations) -> ElementTree.Element:
    view = _view(annotations)
    rate = _rate(annotations)
    pace = {} if rate is None else {"framerate": f"{rate:.6g}"}
    child(view, "Video", name="video", value="$video", **pace)
    child(view, "VideoRectangle", name="box", toName="video")
    _add_labels(child(view, "Labels", name="videoLabels", toName="video", allowEmpty="true"), annotations)
    return view


def _image_config(annotations: Annotations) -> ElementTree.Element:
    view = _view(annotations)
    child(view, "Image", name="image", value="$image")
    _add_labels(child(view, "RectangleLabels", name="label", toName="image"), annotations)
    return view


def _view(annotations: Annotations) -> ElementTree.Element:
    view = ElementTree.Element("View")
    if annotations.caveat is not None:
        child(view, "Header", value=annotations.caveat)
    return view


def _add_labels(parent: ElementTree.Element, annotations: Annotations) -> None:
    for label in dict.fromkeys(map(xml_text, annotations.labels)):
        child(parent, "Label", value=label)


def _write_config(path: Path, view: ElementTree.Element) -> Path:
    config = path.with_suffix(".xml")
    # Label Studio takes it as text, and its parser refuses text that declares an encoding.
    write_xml(config, view, declared=False)
    return config
