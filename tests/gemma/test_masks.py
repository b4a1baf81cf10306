"""Masks follow from positions, validity and pictures alone, in whatever order the places lie."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from streamer.gemma.cache import KeyValueCache
from streamer.gemma.masks import SHARED, TEXT, Places, additive, global_mask, sliding_mask

rows = st.lists(
    st.lists(st.tuples(st.booleans(), st.integers(TEXT, 2)), min_size=7, max_size=7), min_size=1, max_size=3
)
Rows = list[list[tuple[bool, int]]]


def places(content: Rows) -> Places:
    """Valid places are numbered 0, 1, …; the others hold nothing."""
    positions = [[sum(valid for valid, _ in row[:place]) for place in range(len(row))] for row in content]
    return Places(
        torch.tensor(positions),
        torch.tensor([[valid for valid, _ in row] for row in content]),
        torch.tensor([[block for _, block in row] for row in content]),
        torch.full((len(content), len(content[0])), SHARED),
    )


def part(whole: Places, begin: int) -> Places:
    return whole.columns(slice(begin, None))


@given(rows, st.integers(1, 8), st.booleans(), st.integers(0, 6))
def test_a_place_sees_what_the_rule_says(content: Rows, window: int, bidirectional: bool, begin: int) -> None:
    keys = places(content)
    queries = part(keys, begin)
    own = torch.arange(begin, 7)
    everywhere = global_mask(queries, keys, own)
    nearby = sliding_mask(queries, keys, own, window, bidirectional=bidirectional)
    for number, row in enumerate(content):
        for query in range(begin, 7):
            for key in range(7):
                distance = int(keys.positions[number, query] - keys.positions[number, key])
                both_hold = row[query][0] and row[key][0]
                same = bidirectional and row[query][1] == row[key][1] != TEXT
                at = (number, 0, query - begin, key)
                assert bool(everywhere[at]) == ((both_hold and distance >= 0) or key == query)
                allowed = both_hold and (distance >= 0 or same) and distance < window
                assert bool(nearby[at]) == (allowed or key == query)


@given(rows, st.integers(1, 8), st.booleans())
def test_no_query_is_left_without_anything_to_look_at(content: Rows, window: int, bidirectional: bool) -> None:
    all_places = places(content)
    for mask in (
        global_mask(all_places, all_places, torch.arange(7)),
        sliding_mask(all_places, all_places, torch.arange(7), window, bidirectional=bidirectional),
    ):
        assert mask.any(dim=-1).all()


def test_the_order_of_the_places_does_not_matter() -> None:
    keys = places([[(True, TEXT), (True, 0), (True, 0), (False, TEXT), (True, TEXT), (True, 1), (True, 1)]])
    order = torch.tensor([3, 0, 5, 1, 4, 2, 6])
    shuffled = keys.columns(order[None].expand(len(keys.positions), -1))
    mask = sliding_mask(keys, keys, torch.arange(7), 3, bidirectional=True)
    again = sliding_mask(shuffled, shuffled, torch.arange(7), 3, bidirectional=True)
    assert torch.equal(again, mask[:, :, order][:, :, :, order])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_additive_mask_is_finite(dtype: torch.dtype) -> None:
    added = additive(torch.tensor([[True, False]]), dtype)
    assert added.dtype == dtype
    assert added.tolist() == [[0, torch.finfo(dtype).min]]


def test_the_cache_appends_grows_and_selects() -> None:
    cache = KeyValueCache()
    written = torch.arange(2 * 1 * 200 * 4, dtype=torch.float32).reshape(2, 1, 200, 4)
    for begin, end in ((0, 3), (3, 4), (4, 150), (150, 200)):
        keys, values = cache.update(written[:, :, begin:end], -written[:, :, begin:end], 5)
        assert torch.equal(keys, written[:, :, :end])
        assert torch.equal(values, -written[:, :, :end])
    assert (cache.get_seq_length(5), cache.get_seq_length(0)) == (200, 0)
    cache.places = places([[(True, TEXT)] * 7, [(False, TEXT)] * 7])
    cache.select(torch.tensor([1, 1]))
    keys, _ = cache.update(written[:, :, :1], written[:, :, :1], 5)
    assert torch.equal(keys[0, :, :200], written[1])
    assert cache.places is not None
    assert not cache.places.valid.any()
