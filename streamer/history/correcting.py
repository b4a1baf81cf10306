"""What people say of a kept picture, beside what the model said of it: each save is a row, the newest one counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from streamer.errors import OptionError
from streamer.geometry import Box
from streamer.history.database import Database
from streamer.history.rows import json_text, key, label_key, result_of, texts_of
from streamer.history.schema import CORRECTIONS, LABELS, RESULTS
from streamer.history.words import indexed
from streamer.results import Detection, FrameResult

MOST_BOXES = 500
"""Of one correction."""
_LARGEST_ID = 2**63


@dataclass(frozen=True, slots=True)
class Correction:
    """What somebody says of a picture in place of the model."""

    detections: tuple[Detection, ...]
    """All of them, not only those that were changed."""
    caption: str | None
    """None: the model's caption stands."""
    by: str
    """Name of the token of whoever said so."""
    at: float
    """Unix seconds when it was said."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for boxes without an area, outside the picture or without a label."""
        if len(self.detections) > MOST_BOXES:
            raise OptionError("detections", len(self.detections), f"at most {MOST_BOXES} boxes")
        for found in self.detections:
            x1, y1, x2, y2 = found.box
            if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
                raise OptionError("detections", tuple(found.box), "boxes with an area, in 0..1 of the picture")
            if not found.label.strip():
                raise OptionError("detections", found.label, "a label for every box")

    def applied(self, result: FrameResult) -> FrameResult:
        """The result as if the model had said so: without its error, and without notes about lists of boxes."""
        notes = {name: note for name, note in result.notes.items() if not name.startswith("detect")}
        corrected = replace(result, detections=self.detections, notes=notes, error=None)
        if self.caption is None:
            return corrected
        same = {name for name, value in result.answers.items() if value == result.caption and name != "detect"}
        answers = {name: self.caption if name in same else value for name, value in result.answers.items()}
        return replace(corrected, caption=self.caption, answers=answers)


class CorrectionRows:
    """Corrections of results. A part of `History`.

    A corrected result is not removed by itself, however old it is or however much there is: people's work is not lost.
    It goes like any other one once its correction is taken back.
    """

    _database: Database

    def correct(self, id: int, correction: Correction) -> None:
        """Keeps what somebody says of the result with that id; earlier words of his and others stay behind it. Durable.

        The result is then found by the words of both. Raises `OptionError` for a result that is not kept, and
        `HistoryError`.
        """
        with self._database.writing(durable=True) as connection:
            result = _locked(connection, id)
            number = _added(connection, id, correction.by, correction.at, _document(correction))
            _index(connection, id, number, result, correction.applied(result))

    def take_back(self, id: int, by: str, at: float) -> None:
        """The model's answer counts again, said by ``by`` at Unix seconds ``at``; what people said is kept behind it.

        Does nothing where nothing was corrected. Raises as `correct` does.
        """
        with self._database.writing(durable=True) as connection:
            result = _locked(connection, id)
            if connection.scalar(select(RESULTS.c.corrected).where(RESULTS.c.id == id)) is None:
                return
            _added(connection, id, by, at, None)
            _index(connection, id, None, result, result)

    def corrections(self, id: int) -> list[Correction]:
        """All that was said of a result, oldest first, whether it counts or not."""
        query = select(CORRECTIONS).where(CORRECTIONS.c.result == id, CORRECTIONS.c.document.is_not(None))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(CORRECTIONS.c.id)).all()
        return [correction_of(row.document, row.author, row.at) for row in rows]


def correction_of(document: str, by: str, at: float) -> Correction:
    """The correction that a row keeps."""
    values = json.loads(document)
    return Correction(tuple(map(_detection, values["detections"])), values["caption"], by, at)


def _document(correction: Correction) -> str:
    detections = [
        {"label": found.label, "box": list(found.box), "track_id": found.track_id, "attributes": _plain(found)}
        for found in correction.detections
    ]
    return json_text({"caption": correction.caption, "detections": detections})


def _plain(found: Detection) -> dict[str, Any] | None:
    return None if found.attributes is None else dict(found.attributes)


def _detection(values: Mapping[str, Any]) -> Detection:
    return Detection(values["label"], Box(*values["box"]), values["track_id"], values["attributes"])


def _locked(connection: Connection, id: int) -> FrameResult:
    """The result; nobody else corrects or removes it before the transaction ends."""
    found = None
    if 0 < id < _LARGEST_ID:
        found = connection.scalar(select(RESULTS.c.document).where(RESULTS.c.id == id).with_for_update())
    if found is None:
        raise OptionError("result", id, "the id of a result that is kept")
    return result_of(found)


def _added(connection: Connection, id: int, by: str, at: float, document: str | None) -> int:
    values = {"result": id, "at": at, "author": key(by), "document": document}
    number: int = connection.execute(insert(CORRECTIONS).values(values).returning(CORRECTIONS.c.id)).scalar_one()
    return number


def _index(connection: Connection, id: int, number: int | None, said: FrameResult, corrected: FrameResult) -> None:
    """By what the result is found from now on, and which correction counts."""
    words = indexed(dict.fromkeys((*texts_of(corrected), *texts_of(said))))
    connection.execute(update(RESULTS).where(RESULTS.c.id == id).values(corrected=number, words=words))
    labels = {label_key(found.label) for found in (*said.detections, *corrected.detections)}
    connection.execute(delete(LABELS).where(LABELS.c.result == id))
    if labels:
        connection.execute(insert(LABELS), [{"label": label, "result": id} for label in sorted(labels)])
