"""Which node of a cluster a stream runs on, and which streams move when nodes come and go. Values in, values out.

The load of a node is its streams for each CPU that is free for them. A node without an analyzer of its own carries
fewer: its frames go over the network to another node's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

FAR = 4.0
"""Streams on a node without an analyzer count so many times."""
GAIN = 1.25
"""By so much the load that a stream leaves must be above the one that it makes elsewhere: CPUs that another job takes
for a while do not send streams to and fro."""
_LEAST_CPUS = 0.1


@dataclass(frozen=True, slots=True)
class Node:
    """A computer of the cluster, as far as placing goes."""

    id: str
    address: str = ""
    """As people know it."""
    cpus: float = 1.0
    """Free for streams."""
    analyzer: bool = True
    """Whether one runs there; always where the model runs on servers elsewhere."""

    @property
    def strength(self) -> float:
        """How much it carries, compared with other nodes."""
        return max(self.cpus, _LEAST_CPUS) / (1.0 if self.analyzer else FAR)


def choose(nodes: Iterable[Node], placed: Mapping[str, str], failures: Mapping[str, int] | None = None) -> str | None:
    """The node (id) for one more stream: of those that failed least the one whose load is lowest with it. None where
    there is no node.

    ``placed``: stream -> node id; ``failures``: node id -> how often something failed there since it last answered.
    """
    counts, failed = Counter(placed.values()), Counter(failures or {})
    best = min(nodes, key=lambda node: (failed[node.id], (counts[node.id] + 1) / node.strength, node.id), default=None)
    return None if best is None else best.id


def moves(nodes: Sequence[Node], placed: Mapping[str, str], movable: Collection[str]) -> dict[str, str]:
    """Stream -> node that it should move to: no more than it takes until no move is worth its interruption.

    Each takes a stream from the node with the highest load to the one that has the lowest with it. Streams on nodes
    that are gone are not among them: they have to be placed anew in any case.
    """
    there = {node.id: node for node in nodes}
    counts = Counter(node for node in placed.values() if node in there)
    leaving: dict[str, list[str]] = {id: [] for id in there}
    for stream in sorted(movable, reverse=True):
        if (node := placed.get(stream)) in there:
            leaving[str(node)].append(stream)
    found: dict[str, str] = {}
    while (step := _best_move(there, counts, leaving)) is not None:
        source, target = step
        found[leaving[source].pop()] = target
        counts[source] -= 1
        counts[target] += 1
    return found


def _best_move(
    nodes: Mapping[str, Node], counts: Mapping[str, int], leaving: Mapping[str, Sequence[str]]
) -> tuple[str, str] | None:
    """From which node to which; None where no move gains enough."""
    sources = [id for id in nodes if leaving[id]]
    if not sources:
        return None
    source = max(sources, key=lambda id: (counts[id] / nodes[id].strength, id))
    target = min(nodes, key=lambda id: ((counts[id] + 1) / nodes[id].strength, id))
    before, after = counts[source] / nodes[source].strength, (counts[target] + 1) / nodes[target].strength
    return (source, target) if source != target and before >= GAIN * after else None


def choose_analyzer(node: str, ready: Mapping[int, str], users: Mapping[int, int], current: int | None) -> int | None:
    """Which analyzer (its number) a stream on ``node`` asks: one of its own node if there is any, the least asked.

    ``ready``: number -> node id; ``users``: number -> streams that ask it, this stream not counted. It stays with
    ``current`` unless that is gone, or elsewhere while its own node has one. None where none is ready.
    """
    near = [number for number, place in ready.items() if place == node]
    if current in (near or ready):
        return current
    return min(near or ready, key=lambda number: (users.get(number, 0), number), default=None)
