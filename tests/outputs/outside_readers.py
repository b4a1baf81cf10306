"""Run by the Python of an environment of its own, whose packages want another OpenCV than the project's.

    PYTHON outside_readers.py datumaro PATH FORMAT OPTIONS      frame number -> [[label, [x1, y1, x2, y2]], …]
    PYTHON outside_readers.py label-studio TASKS CONFIG         {"faults": […], "results": number}
    PYTHON outside_readers.py key-frames TASKS                  the frames that Label Studio shows the first track at

Prints JSON. Knows nothing of the project.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def datumaro(path: str, format_name: str, options: str) -> dict[int, list[Any]]:
    """By the number in an item's name; what lies outside is left out."""
    import datumaro as dm

    data = dm.Dataset.import_from(path, format_name, **json.loads(options))
    names = data.categories()[dm.AnnotationType.label]
    got: dict[int, list[Any]] = {}
    for item in data:
        boxes = got.setdefault(int(item.id.rpartition("_")[2].rpartition("/")[2]), [])
        for one in item.annotations:
            if one.type == dm.AnnotationType.bbox and not one.attributes.get("outside"):
                boxes.append([names[one.label].name, list(map(float, one.points))])
    return got


def label_studio(tasks: str, config: str) -> dict[str, Any]:
    from label_studio_sdk.label_interface import LabelInterface

    labelling = LabelInterface(Path(config).read_text(encoding="utf-8"))
    labelling.validate()
    faults: list[Any] = []
    results = 0
    for task in json.loads(Path(tasks).read_text(encoding="utf-8")):
        for prediction in task["predictions"]:
            faults += labelling.validate_prediction(prediction, return_errors=True)
            results += len(prediction["result"])
    return {"faults": faults, "results": results}


def key_frames(tasks: str) -> list[int]:
    from label_studio_sdk._extensions.label_studio_tools.postprocessing import video

    [task] = json.loads(Path(tasks).read_text(encoding="utf-8"))
    first, *_ = video.extract_key_frames(task["predictions"][0]["result"])
    return [key["frame"] for key in first["value"]["sequence"]]


WAYS: dict[str, Callable[..., Any]] = {"datumaro": datumaro, "label-studio": label_studio, "key-frames": key_frames}

if __name__ == "__main__":
    answer = WAYS[sys.argv[1]](*sys.argv[2:])
    sys.stdout.write("\n" + json.dumps(answer))
