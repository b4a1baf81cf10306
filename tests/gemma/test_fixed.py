"""Passes in fixed shapes give the tokens of passes in their own; graphs of a GPU replay the very same inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from streamer.gemma import fixed
from streamer.gemma.checkpoint import Checkpoint
from streamer.gemma.engine import Engine
from streamer.gemma.fixed import LENGTHS, WIDTHS, FixedShapes, rounded
from streamer.gemma.reading import Reader
from streamer.models.base import Request
from streamer.tasks import CAPTION_PROMPT
from tests.families import FAMILIES
from tests.gemma.conftest import CLEAR, Reference, picture
from tests.gemma.test_engine_drafts import draft_of, drafted_requests

CHECK = {"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, "required": ["answer"]}


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(drafted_requests(), min_size=1, max_size=5))
def test_equal_to_generate_in_fixed_shapes(
    family_checkpoint: Callable[[str], Checkpoint], family: str, asked: list[tuple[Request, tuple[int, ...]]]
) -> None:
    checkpoint = family_checkpoint(family)
    reference = Reference(checkpoint)
    requests = [request for request, _ in asked]
    expected = [reference.ids(request) for request in requests]
    assume(reference.margin > CLEAR)
    engine = Engine(checkpoint, fixed=True)
    plain = engine.generate(requests)
    assert [answer.token_ids for answer in plain] == expected
    drafted = [
        replace(request, draft=draft_of(answer, pattern))
        for (request, pattern), answer in zip(asked, plain, strict=True)
    ]
    assert [answer.token_ids for answer in engine.generate(drafted)] == expected


def test_several_answers_about_one_picture_and_a_schema(checkpoint: Checkpoint) -> None:
    image = picture(3)
    requests = [
        Request((image,), "Hi", 70, 30),
        Request((image,), "Is it so?", 70, 40, schema=CHECK),
        Request((picture(4), image), "What is this?", 70, 9),
    ]
    plain = [answer.token_ids for answer in Engine(checkpoint).generate(requests)]
    engine = Engine(checkpoint, fixed=True)
    for _ in range(2):  # the second time in memory that has been used
        assert [answer.token_ids for answer in engine.generate(requests)] == plain


def test_closing_the_holes_changes_nothing(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong drafts leave holes; they are closed after every step here, else only where room runs out."""
    monkeypatch.setattr(fixed.FixedCache, "tidy", fixed.FixedCache._compact)
    requests = [Request((picture(5),), "Hi", 70, 60), Request((picture(5),), "What?", 70, 25), Request((), "Hi", 70, 9)]
    plain = Engine(checkpoint, draft=False).generate(requests)
    wrong = [
        replace(request, draft=tuple(token if place % 5 else 40 for place, token in enumerate(answer.token_ids)))
        for request, answer in zip(requests, plain, strict=True)
    ]
    drafted = Engine(checkpoint, fixed=True).generate(wrong)
    assert [answer.token_ids for answer in drafted] == [answer.token_ids for answer in plain]


def test_holes_are_closed_where_room_runs_out() -> None:
    cache = fixed.FixedCache(1, 256, torch.device("cpu"), capture=False)
    cache.places = fixed._nothing(1, 256)
    cache.places.valid[0, ::2] = True
    cache.places.positions[0] = torch.arange(256)
    cache._used = 256
    cache._compact()
    assert cache.get_seq_length() == 128
    assert cache.places.positions[0, :128].tolist() == list(range(0, 256, 2))
    assert cache.places.valid[0].tolist() == [True] * 128 + [False] * 128


def test_shapes_are_kept_and_bounded(checkpoint: Checkpoint) -> None:
    reader = Reader(checkpoint)
    shapes = FixedShapes(reader, 4 * 1024 * reader.place_bytes, capture=False)
    small = shapes.cache(1, 60, 20, 8)
    assert small is not None
    assert shapes.cache(1, 50, 30, 8) is small
    assert shapes.cache(3, 60, 20, 8) is not small
    assert shapes.cache(4, 600, 20, 8) is not None  # 4 x 1,024 places: all that is allowed
    assert shapes.cache(1, 60, 20, 8) is not small
    assert shapes.cache(8, 600, 20, 8) is None
    assert shapes.cache(1, WIDTHS[-1] + 1, 1, 1) is None
    assert shapes.cache(1, 10, LENGTHS[-1], 1) is None


def test_warming_up_leaves_shapes_and_no_pictures(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint, fixed=True)
    engine.warm_up()
    assert engine._fixed is not None
    kept = list(engine._fixed._kept)
    assert kept
    request = Request((picture(1),), CAPTION_PROMPT, 70, 128)
    expected = Engine(checkpoint).generate([request])[0].token_ids
    assert engine.generate([request])[0].token_ids == expected
    assert list(engine._fixed._kept) == kept  # a caption finds its shape


@given(st.integers(1, 5000))
def test_rounding_up(count: int) -> None:
    size = rounded(count, WIDTHS)
    if size is None:
        assert count > WIDTHS[-1]
    else:
        assert size >= count
        assert all(other < count for other in WIDTHS if other < size)


class Recorded:
    """Stands where a graph stands: runs again what was recorded, on the memory that it was recorded with."""

    def __init__(self, read: Callable[[], torch.Tensor], output: torch.Tensor) -> None:
        self._read, self._output = read, output

    def replay(self) -> None:
        self._output.copy_(self._read())


def test_what_is_replayed_reads_the_new_inputs(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a graph, nothing but the contents of the inputs may change from one pass to the next."""

    def record(one: fixed._Pass, read: Callable[[], torch.Tensor]) -> None:
        one._output = read().clone()
        one._graph = Recorded(read, one._output)  # type: ignore[assignment]
        recorded.append(one)

    recorded: list[fixed._Pass] = []
    monkeypatch.setattr(fixed._Pass, "_record", record)
    engine, plain = Engine(checkpoint, fixed=True), Engine(checkpoint)
    assert engine._fixed is not None
    engine._fixed._capture = True
    for seed in range(3):
        requests = [Request((picture(seed), picture(seed + 1)), "Hi", 70, 12), Request((picture(7),), "Hello", 70, 15)]
        expected = [answer.token_ids for answer in plain.generate(requests)]
        assert [answer.token_ids for answer in engine.generate(requests)] == expected
    assert recorded
