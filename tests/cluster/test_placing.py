"""Where streams of a cluster run: spread by load, moved rarely, and never to and fro."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streamer.cluster.placing import GAIN, Node, choose, choose_analyzer, moves

nodes = st.lists(
    st.builds(
        Node,
        id=st.text("abcdef", min_size=1, max_size=3),
        cpus=st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0, 16.0, 64.0]),
        analyzer=st.booleans(),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda node: node.id,
)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Node], dict[str, str]]:
    """Nodes, and streams that were placed somehow, some of them on nodes that are gone."""
    there = draw(nodes)
    names = [f"s{number}" for number in range(draw(st.integers(0, 30)))]
    homes = st.sampled_from([*(node.id for node in there), "gone"])
    return there, {name: draw(homes) for name in names}


def loads(there: list[Node], placed: dict[str, str]) -> dict[str, float]:
    counts = Counter(placed.values())
    return {node.id: counts[node.id] / node.strength for node in there}


def test_streams_are_spread_by_free_cpus() -> None:
    there = [Node("large", cpus=6), Node("small", cpus=2)]
    placed: dict[str, str] = {}
    for number in range(8):
        placed[f"s{number}"] = choose(there, placed) or ""
    assert Counter(placed.values()) == {"large": 6, "small": 2}


def test_a_node_with_an_analyzer_carries_most() -> None:
    there = [Node("gpu", cpus=8), Node("cpu", cpus=8, analyzer=False)]
    placed: dict[str, str] = {}
    for number in range(10):
        placed[f"s{number}"] = choose(there, placed) or ""
    assert Counter(placed.values()) == {"gpu": 8, "cpu": 2}


def test_a_node_where_something_failed_is_taken_only_where_no_other_did_better() -> None:
    there = [Node("a", cpus=16), Node("b", cpus=1)]
    assert choose(there, {}, {"a": 1}) == "b"
    assert choose(there, {}, {"a": 1, "b": 1}) == "a"
    assert choose(there, {}, {"a": 3, "b": 1}) == "b", "a dead node has no load"
    assert choose([], {}, {"a": 1}) is None


def test_a_node_that_joins_takes_its_part_and_no_more() -> None:
    there = [Node("a"), Node("b"), Node("c")]
    placed = {f"s{number}": "ab"[number % 2] for number in range(6)}
    found = moves(there, placed, placed)
    assert Counter((placed | found).values()) == {"a": 2, "b": 2, "c": 2}
    assert len(found) == 2


def test_streams_that_cannot_be_moved_stay() -> None:
    placed = {f"s{number}": "a" for number in range(4)}
    assert moves([Node("a"), Node("b")], placed, {"s1"}) == {"s1": "b"}
    assert moves([Node("a"), Node("b")], placed, ()) == {}


@given(clusters())
def test_a_chosen_node_has_the_lowest_load_with_the_stream(cluster: tuple[list[Node], dict[str, str]]) -> None:
    there, placed = cluster
    chosen = choose(there, placed)
    assert chosen is not None
    after = {node.id: loads(there, placed | {"new": node.id})[node.id] for node in there}
    assert after[chosen] == min(after.values())


@given(clusters())
def test_moves_lower_the_highest_load_and_come_to_rest(cluster: tuple[list[Node], dict[str, str]]) -> None:
    there, placed = cluster
    found = moves(there, placed, placed)
    after = placed | found
    if found:
        moved_from = {placed[stream] for stream in found}
        before, now = loads(there, placed), loads(there, after)
        assert max(before[id] for id in moved_from) > max(now[id] for id in {*found.values()})
    assert moves(there, after, after) == {}, "what was moved is moved on, or back"
    assert all(placed[stream] != "gone" and placed[stream] != node for stream, node in found.items())


@given(clusters(), st.floats(0.9, 1.1))
def test_cpus_that_vary_a_little_move_nothing_back(cluster: tuple[list[Node], dict[str, str]], factor: float) -> None:
    there, placed = cluster
    found = moves(there, placed, placed)
    varied = [replace(node, cpus=node.cpus * factor if number % 2 else node.cpus) for number, node in enumerate(there)]
    again = moves(varied, placed | found, placed)
    assert GAIN > 1.1 / 0.9
    assert not {stream for stream in again if again[stream] == placed[stream]} & found.keys()


@given(
    st.dictionaries(st.integers(1, 9), st.sampled_from("abc")),
    st.dictionaries(st.integers(1, 9), st.integers(0, 9)),
    st.sampled_from("abcd"),
    st.none() | st.integers(1, 9),
)
def test_a_stream_asks_its_own_node_s_analyzer(
    ready: dict[int, str], users: dict[int, int], node: str, current: int | None
) -> None:
    chosen = choose_analyzer(node, ready, users, current)
    if not ready:
        assert chosen is None
        return
    assert chosen in ready
    near = {number for number, place in ready.items() if place == node}
    assert not near or chosen in near
    if current in (near or ready):
        assert chosen == current
    else:
        assert users.get(chosen or 0, 0) == min(users.get(number, 0) for number in near or ready)
