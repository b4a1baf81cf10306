"""Corrections: beside the model's answer, in its place where that is wanted, and never lost by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.display import encode_jpeg
from streamer.errors import OptionError
from streamer.exporting import export
from streamer.geometry import Box
from streamer.history import Correction, History
from streamer.history.excerpt import write_excerpt
from streamer.results import Detection, FrameResult
from streamer.sources.synthetic import draw
from tests.history.conftest import Open
from tests.history.made import JPEG, NOW, alert, result

DAY = 86400.0
DOG = Detection("dog", Box(0.2, 0.3, 0.6, 0.8), 4, {"colour": "brown"})


def correction(caption: str | None = None, *found: Detection, by: str = "anna", at: float = NOW + 60) -> Correction:
    return Correction(found, caption, by, at)


def kept(history: History, *captions: str, picture: bytes = JPEG) -> list[int]:
    """Ids of results a second apart, oldest first."""
    for number, caption in enumerate(captions):
        history.put(result(caption, "cat", answers={"caption": caption}), NOW + number, picture)
    history.flush(10)
    return [found.id for found in history.search(limit=1000)][::-1]


def test_it_stands_beside_the_answer_and_the_newest_counts(history: History) -> None:
    [id] = kept(history, "A cat sleeps")
    history.correct(id, correction("A dog", DOG))
    history.correct(id, correction("A dog sleeps", DOG, by="bert", at=NOW + 90))
    [found] = history.search()
    assert found.correction == correction("A dog sleeps", DOG, by="bert", at=NOW + 90)
    assert (found.caption, [one.label for one in found.result.detections]) == ("A cat sleeps", ["cat"])
    assert found.corrected.caption == "A dog sleeps"
    assert found.corrected.answers == {"caption": "A dog sleeps"}
    assert found.corrected.detections == (DOG,)
    assert [one.by for one in history.corrections(id)] == ["anna", "bert"]
    assert history.result(id) == found


def test_it_is_found_by_the_words_of_both(history: History) -> None:
    id, other = kept(history, "A cat sleeps", "A bus")
    history.correct(id, correction("A brown dog", DOG))
    for words, ids in (("cat sleeps", [id]), ("brown dog", [id]), ('"brown dog"', [id]), ("bus", [other])):
        assert [found.id for found in history.search(words)] == ids, words
    assert [found.id for found in history.search(labels=["dog"])] == [id]
    assert [found.id for found in history.search(labels=["cat"])] == [other, id]
    assert [found.id for found in history.search(corrected=True)] == [id]
    assert [found.id for found in history.search(corrected=False)] == [other]


def test_it_is_taken_back_and_what_was_said_stays(history: History) -> None:
    [id] = kept(history, "A cat sleeps")
    history.take_back(id, "bert", NOW + 70)
    history.correct(id, correction("A brown dog", DOG))
    history.take_back(id, "bert", NOW + 70)
    [found] = history.search()
    assert found.correction is None
    assert found.corrected == found.result
    assert history.search("brown") == []
    assert history.search(labels=["dog"]) == []
    assert len(history.corrections(id)) == 1
    history.correct(id, correction("A wolf", DOG))
    assert history.search("wolf")[0].correction is not None


def test_it_outlives_restarts(opened: Open) -> None:
    first = opened()
    [id] = kept(first, "A cat")
    first.correct(id, correction("A dog \ud800\0", DOG))
    first.close()
    [found] = opened().search()
    assert found.correction is not None
    assert found.correction.detections == (DOG,)


def test_a_corrected_result_is_never_removed_for_its_age(history: History) -> None:
    ids = kept(history, "first", "second", "third")
    history.correct(ids[1], correction("corrected"))
    history.retain(NOW + 365 * DAY)
    [found] = history.search()
    assert found.id == ids[1]
    assert found.picture is not None
    assert history.picture(found.picture) == JPEG
    history.take_back(ids[1], "anna", NOW)
    history.retain(NOW + 365 * DAY)
    assert history.search() == []
    assert history.corrections(ids[1]) == []


def test_nor_for_want_of_room_in_which_it_does_not_count(opened: Open) -> None:
    first = opened()
    ids = kept(first, *(f"picture {number}" for number in range(10)), picture=b"\xff\xd8" + bytes(600_000))
    for id in ids[:6]:
        first.correct(id, correction("corrected"))
    first.close()
    roomy = opened(keep_bytes=3_400_000)
    roomy.retain(NOW + 100)
    assert sorted(found.id for found in roomy.search(limit=100)) == ids, "what was corrected takes no room from others"
    roomy.close()
    narrow = opened(keep_bytes=590_000)
    narrow.put_alert(alert())
    narrow.retain(NOW + 100)
    assert sorted(found.id for found in narrow.search(limit=100)) == ids[:6]
    assert len(narrow.alerts()) == 1, "nor do alerts go for it"


@pytest.mark.parametrize("id", [0, -1, 99, 2**63, 2**70])
def test_a_result_that_is_not_kept(history: History, id: int) -> None:
    with pytest.raises(OptionError, match="result"):
        history.correct(id, correction())
    with pytest.raises(OptionError, match="result"):
        history.take_back(id, "anna", NOW)
    with pytest.raises(OptionError, match="result"):
        history.result(id)


@pytest.mark.parametrize(
    "box", [Box(0.5, 0, 0.5, 1), Box(0, 0.6, 1, 0.5), Box(-0.1, 0, 1, 1), Box(0, 0, 1, 1.1), Box(0, 0, float("nan"), 1)]
)
def test_boxes_that_cannot_be(box: Box) -> None:
    with pytest.raises(OptionError, match="detections"):
        correction(None, Detection("dog", box))
    with pytest.raises(OptionError, match="label"):
        correction(None, Detection("  ", Box(0, 0, 1, 1)))


@given(
    st.one_of(st.none(), st.text(max_size=20)),
    st.lists(st.sampled_from(["dog", "cat"]), max_size=4),
    st.booleans(),
)
def test_applied_to_an_answer_all_else_stays(caption: str | None, labels: list[str], faulty: bool) -> None:
    said = result(
        "A cat",
        "cat",
        answers={"caption": "A cat", "detect": "[]", "ask": "two"},
        notes={"detect": "cut off", "ask": "odd"},
        error="detect: it failed" if faulty else None,
    )
    boxes = tuple(Detection(label, Box(0, 0, 0.5, 0.5)) for label in labels)
    after = Correction(boxes, caption, "anna", NOW).applied(said)
    wanted = "A cat" if caption is None else caption
    assert (after.caption, after.detections, after.error) == (wanted, boxes, None)
    assert after.answers == {"caption": wanted, "detect": "[]", "ask": "two"}
    assert after.notes == {"ask": "odd"}
    assert (after.stream, after.time_seconds, after.source_size) == (said.stream, said.time_seconds, said.source_size)


def rows(history: History, corrected: str) -> list[tuple[str | None, list[str]]]:
    found: list[FrameResult] = [one for _, one in history.results("gate", corrected=corrected)]  # type: ignore[arg-type]
    return [(one.caption, [detection.label for detection in one.detections]) for one in found]


def test_the_rows_of_a_stream_are_those_that_are_asked_for(history: History) -> None:
    ids = kept(history, "first", "second")
    history.correct(ids[0], correction("a dog", DOG))
    assert rows(history, "no") == [("first", ["cat"]), ("second", ["cat"])]
    assert rows(history, "yes") == [("a dog", ["dog"]), ("second", ["cat"])]
    assert rows(history, "only") == [("a dog", ["dog"])]


def test_a_dataset_has_what_was_corrected(history: History, tmp_path: Path) -> None:
    ids = kept(history, "first", "second", "third", picture=encode_jpeg(draw(1, (640, 352))))
    history.correct(ids[1], correction("a dog", DOG))
    history.correct(ids[2], correction(None))
    labels = {}
    for corrected in ("no", "yes", "only"):
        folder = tmp_path / corrected
        written = write_excerpt(history, "gate", folder, corrected=corrected)
        export(written.journal, ["coco", "yolo"], track="off")
        coco = json.loads((folder / "gate.coco.json").read_text())
        names = {one["id"]: one["name"] for one in coco["categories"]}
        labels[corrected] = (len(coco["images"]), [names[one["category_id"]] for one in coco["annotations"]])
        assert len(list((folder / "gate.yolo").rglob("*.jpg"))) == len(coco["images"])
    assert labels == {"no": (3, ["cat", "cat", "cat"]), "yes": (3, ["cat", "dog"]), "only": (2, ["dog"])}
    with pytest.raises(OptionError, match="corrected pictures"):
        write_excerpt(history, "gate", tmp_path / "none", corrected="only", until=NOW + 0.5)
