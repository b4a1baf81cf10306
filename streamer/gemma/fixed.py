"""Passes in a few fixed shapes over memory that stays in its place: what a GPU can replay as captured graphs.

At batch one a GPU is through with a pass in a millisecond or two, while starting its thousand kernels from Python takes
twenty. A captured graph starts them all at once, but for the very shapes and addresses that it was captured with. So
rows, columns and places are rounded up to a few sizes, what is missing is filled with places that hold nothing, and all
that a pass needs to know travels in one transfer. Without a GPU the same runs uncaptured, which is how it is tested.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from streamer.gemma.masks import SHARED, TEXT, Places
from streamer.gemma.reading import Inputs, Reader

if TYPE_CHECKING:
    from streamer.gemma.rows import Step

log = logging.getLogger(__name__)

WIDTHS = (1, 4, 16, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
"""Columns of a pass; beyond them a batch runs in its own shape."""
LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
"""Places of a row."""
_PLACE_PARTS = 4


def rounded(count: int, sizes: Sequence[int]) -> int | None:
    """The smallest of the sizes that holds ``count``; None where none does.

    >>> rounded(70, WIDTHS)
    128
    """
    return next((size for size in sizes if size >= count), None)


class FixedShapes:
    """Caches by shape, kept from one batch to the next, as long as all together stay below ``most_bytes``."""

    def __init__(self, reader: Reader, most_bytes: int, *, capture: bool) -> None:
        """``most_bytes``: for all caches together; ``capture``: whether to capture graphs."""
        self._reader, self._place_bytes, self._most_bytes = reader, reader.place_bytes, most_bytes
        self._capture = capture
        self._kept: OrderedDict[tuple[int, int], FixedCache] = OrderedDict()

    def cache(self, rows: int, prompt: int, answer: int, stretch: int) -> FixedCache | None:
        """Empty, for ``rows`` rows with a first step of at most ``prompt`` places and later ones of at most
        ``stretch``, behind which at most ``answer`` tokens stay.

        None where that is too much: then the batch runs in its own shape.
        """
        first, later = rounded(prompt, WIDTHS), rounded(stretch, WIDTHS)
        length = rounded(first + answer + later, LENGTHS) if first and later else None
        if length is None:
            return None
        shape = (1 << (rows - 1).bit_length(), length)
        if shape[0] * length * self._place_bytes > self._most_bytes:
            return None
        cache = self._kept.pop(shape, None) or FixedCache(*shape, self._reader.device, capture=self._capture)
        self._kept[shape] = cache
        while sum(rows * places for rows, places in self._kept) * self._place_bytes > self._most_bytes:
            self._kept.popitem(last=False)
        cache.clear()
        return cache

    def forget(self) -> None:
        """Frees what is kept."""
        self._kept.clear()


class FixedCache:
    """Keys and values of ``rows`` rows with ``length`` places each; see `streamer.gemma.reading.Cache`."""

    is_compileable = False
    fixed = True

    def __init__(self, rows: int, length: int, device: torch.device, *, capture: bool) -> None:
        self._rows, self._length, self._device = rows, length, device
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._passes: dict[tuple[int, int, bool], _Pass] = {}
        self._capture = capture
        self._used = 0
        self._here: torch.Tensor | None = None
        self.places: Places | None = None

    def clear(self) -> None:
        """Holds nothing any more; memory and captured passes stay."""
        self._used, self.places = 0, None

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by the model's attention: writes ``(rows, heads, new, size)`` into its place and gives all."""
        assert self._here is not None
        layer = self._layers.get(layer_idx)
        if layer is None:
            layer = self._layers[layer_idx] = (self._empty(keys), self._empty(values))
        layer[0].index_copy_(2, self._here, keys)
        layer[1].index_copy_(2, self._here, values)
        return layer

    def _empty(self, like: torch.Tensor) -> torch.Tensor:
        rows, heads, _, size = like.shape
        return like.new_zeros((rows, heads, self._length, size))

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Places written so far, holes and padding included."""
        return self._used

    def fit(self, step: Step, pad_id: int) -> Step:
        """With rows and columns rounded up; the columns that are asked about lie at the end."""
        width = rounded(step.ids.shape[1], WIDTHS)
        assert width is not None  # longer prompts get no fixed cache
        if self.places is not None:
            return step.padded(self._rows, width, pad_id, keep=width)
        keep = rounded(step.keep, [size for size in WIDTHS if size < width]) or width
        return step.padded(self._rows, width, pad_id, keep=keep)

    def read(self, reader: Reader, step: Step, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Writes the step's places behind those in use and runs the pass of its shape."""
        width = step.ids.shape[1]
        if self._used + width > self._length:
            self._compact()
        if self.places is None:
            self.places = _nothing(self._rows, self._length)
        for mine, new in zip(self.places.parts(), step.places.parts(), strict=True):
            mine[:, self._used : self._used + width] = new
        own = torch.arange(self._used, self._used + width)
        self._used += width
        shape = (width, step.keep, bool(features))
        if shape not in self._passes:
            self._passes[shape] = _Pass(self._rows, width, self._length, self._device)
        one = self._passes[shape]
        one.give(step, self.places, own, features)
        self._here = one.inputs.own
        return one.run(lambda: reader.read(one.inputs, self, step.keep), capture=self._capture)

    def forget(self, written: int, keep: torch.Tensor) -> None:
        """Makes holes of those of the last ``written`` places where ``keep`` ``(rows, written)`` is False."""
        assert self.places is not None
        self.places.valid[:, self._used - written : self._used] &= keep

    def select(self, rows: torch.Tensor) -> None:
        """Not for a fixed cache: finished rows stay, and are given nothing more."""
        raise AssertionError("a fixed cache keeps its rows")

    def tidy(self) -> None:
        """Takes back what holds nothing in any row behind the last place in use."""
        assert self.places is not None
        used = self.places.valid.any(dim=0).nonzero()
        self._used = int(used[-1]) + 1 if len(used) else 0

    def _compact(self) -> None:
        """Moves what is held to the front of each row."""
        assert self.places is not None
        order = self.places.valid.logical_not().to(torch.int8).argsort(dim=1, stable=True)
        self._used = int(self.places.valid.sum(dim=1).max())
        self.places = self.places.columns(order)
        chosen = order.to(self._device)[:, None, :, None]
        for layer in self._layers.values():
            for part in layer:
                part.copy_(part.gather(2, chosen.expand_as(part)))


@dataclass(slots=True, eq=False)
class _Pass:
    """A pass in one shape: its inputs, which stay where they are, and its graph."""

    rows: int
    width: int
    length: int
    device: torch.device
    features: torch.Tensor | None = None
    inputs: Inputs = field(init=False)
    _host: torch.Tensor = field(init=False)
    _there: torch.Tensor = field(init=False)
    _graph: torch.cuda.CUDAGraph | None = None
    _output: torch.Tensor | None = None
    _tried: bool = False

    def __post_init__(self) -> None:
        new, held = self.rows * self.width, self.rows * self.length
        sizes = [new] * (2 + _PLACE_PARTS) + [held] * _PLACE_PARTS + [self.width]
        self._host = torch.zeros(sum(sizes), dtype=torch.int64, pin_memory=self.device.type == "cuda")
        self._there = self._host.to(self.device) if self.device.type != "cpu" else self._host
        ids, soft, *parts = torch.split(self._there, sizes)
        own = parts.pop()
        columns = [part.view(self.rows, -1) for part in parts]
        queries, keys = _places(columns[:_PLACE_PARTS]), _places(columns[_PLACE_PARTS:])
        shape = (self.rows, self.width)
        self.inputs = Inputs(ids.view(shape), soft.view(shape), None, queries, keys, own)

    def give(self, step: Step, held: Places, own: torch.Tensor, features: Sequence[torch.Tensor]) -> None:
        """Fills the inputs: one transfer, and the pictures' soft tokens, which are on the device already."""
        parts = [step.ids, step.soft(), *step.places.parts(), *held.parts(), own]
        torch.cat([part.reshape(-1).to(torch.int64) for part in parts], out=self._host)
        if self._there is not self._host:
            self._there.copy_(self._host, non_blocking=True)
        if not features:
            return
        together = torch.cat(list(features))
        if self.inputs.features is None:
            self.features = together.new_zeros((self.rows * self.width, together.shape[1]))
            given = self.inputs
            self.inputs = Inputs(given.ids, given.soft, self.features, given.queries, given.keys, given.own)
        assert self.features is not None
        self.features[: len(together)].copy_(together)

    def run(self, read: Callable[[], torch.Tensor], *, capture: bool) -> torch.Tensor:
        """What ``read`` gives with these inputs; from the second time on by replaying it, where that is possible."""
        if not capture:
            return read()
        if self._graph is None and self._tried:
            return read()
        if self._graph is None:
            self._tried = True
            output = read()  # also makes what the capture may not make: caches, workspaces
            self._record(read)
            return output
        self._graph.replay()
        assert self._output is not None
        return self._output

    def _record(self, read: Callable[[], torch.Tensor]) -> None:
        """Captures ``read``. Where the model does something that cannot be captured, a warning says so, once a shape,
        and this shape goes on uncaptured."""
        graph = torch.cuda.CUDAGraph()
        try:
            torch.cuda.synchronize(self.device)
            with torch.cuda.graph(graph):
                self._output = read()
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            log.warning("passes of %d x %d run uncaptured, so slower: %s", self.rows, self.width, reason)
            return
        self._graph = graph


def _places(parts: Sequence[torch.Tensor]) -> Places:
    """From parts in the order of the fields."""
    positions, valid, blocks, branches = parts
    return Places(positions, valid, blocks, branches)


def _nothing(rows: int, length: int) -> Places:
    shape = (rows, length)
    return Places(
        torch.zeros(shape, dtype=torch.int64),
        torch.zeros(shape, dtype=torch.bool),
        torch.full(shape, TEXT),
        torch.full(shape, SHARED),
    )
