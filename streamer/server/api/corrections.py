"""What people say of a kept picture in place of the model."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import AfterValidator, Field

from streamer.geometry import Box
from streamer.history import Correction
from streamer.history.correcting import MOST_BOXES
from streamer.results import Detection
from streamer.server.api.answers import WITH_BODY, problems
from streamer.server.api.history import part_of
from streamer.server.api.identity import Admin, Api
from streamer.server.api.models import KeptResult, Number
from streamer.server.parts import Strict, Words

router = APIRouter(prefix="/history", tags=["history"])

ResultId = Annotated[int, Path(ge=1, lt=2**63, description="The id of a result")]
_Side = Annotated[Number, Field(ge=0, le=1)]
MOST_ATTRIBUTES, MOST_DEEP = 4000, 8
"""Letters of a box's attributes as JSON, and lists in lists."""


def _plain(attributes: dict[str, Any] | None) -> dict[str, Any] | None:
    """They are kept for good, and read by all who look at the past."""
    try:
        text = json.dumps(attributes, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise ValueError("expected values of JSON") from error
    if len(text) > MOST_ATTRIBUTES or _depth(attributes) > MOST_DEEP:
        raise ValueError(f"expected at most {MOST_ATTRIBUTES} letters of JSON, at most {MOST_DEEP} deep")
    return attributes


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


class DrawnBox(Strict):
    """A box that somebody drew or left as it was; its corners in 0..1 of the picture."""

    label: Annotated[str, Field(min_length=1, max_length=100)]
    x1: _Side
    y1: _Side
    x2: _Side
    y2: _Side
    track_id: int | None = Field(default=None, strict=True, ge=0, lt=2**53)
    attributes: Annotated[dict[str, Any] | None, AfterValidator(_plain)] = None

    def detection(self) -> Detection:
        return Detection(self.label, Box(self.x1, self.y1, self.x2, self.y2), self.track_id, self.attributes)


class NewCorrection(Strict):
    caption: Words | None = Field(default=None, description="Null where the model's caption stands")
    detections: Annotated[tuple[DrawnBox, ...], Field(max_length=MOST_BOXES)]


@router.put("/{result}/correction", responses=problems(404, *WITH_BODY))
def correct_result(api: Api, access: Admin, result: ResultId, new: NewCorrection) -> KeptResult:
    """Keeps caption and boxes beside the model's answer, in place of which they count from now on.

    What was said before stays behind it. As long as a correction counts, its result is kept however old it is.
    """
    found = tuple(box.detection() for box in new.detections)
    api.station.history.correct(result, Correction(found, new.caption, access.name, time.time()))
    return part_of(api.station.history.result(result))


@router.delete("/{result}/correction", responses=problems(404, 422))
def take_correction_back(api: Api, access: Admin, result: ResultId) -> KeptResult:
    """The model's answer counts again; nothing happens where it does."""
    api.station.history.take_back(result, access.name, time.time())
    return part_of(api.station.history.result(result))
