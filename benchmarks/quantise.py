"""What int8 and int4 layers save, cost and change, beside the same model unpacked in the same run.

    python benchmarks/quantise.py [--quick] [--json] [--rounds 5] [--without-e2b]

Rows of models: ``tiny``, a small random checkpoint of each family's shape (tests/families.py), a random one of E2B's
shape with some 300 million parameters (in bf16; the others in fp32), all loaded as users load them. ``MB`` is what the
weights take in memory, ``load s`` what loading and packing them took, ``ms`` a decoding step of one answer without
drafts. ``matrix error``: of the packed matrices, the mean of each one's distance from the real one in
parts of its length. ``max off`` and ``1 - cosine``: of the logits behind 24 random tokens, the largest difference and
the mean of the angle's. ``same answers``: captions of frames of street.mp4, decoded greedily, equal token for token.
Only tiny is trained: random networks blow differences up.

Rows of a matrix of 1536 x 6144: a product with one row (a token) or 256; ``torch int8`` is torch's own kernel, which
has one scale for a row of the matrix. Rows of the published checkpoints: bytes alone, of configurations rebuilt from
what is known of them; ``stays`` is the part of the numbers that is not packed.

Times are of the processor, everything on one core, medians of rounds in turn; the ratios stand beside the unpacked one.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import torch
from common import ROOT, arguments, report
from published_shapes import SHAPES, published
from random_shape import write_random_e2b
from torch import nn

from streamer.gemma.budget import size_for
from streamer.gemma.checkpoint import Checkpoint, load
from streamer.gemma.engine import Engine
from streamer.gemma.quantise import BITS, PackedExperts, PackedLinear, Quantize
from streamer.models.base import Request
from streamer.sources import open_source
from streamer.tasks import Task

KINDS: tuple[Quantize, ...] = get_args(Quantize)
WAYS: tuple[Quantize | None, ...] = (None, *KINDS)
COLUMNS = (
    "of", "layers", "MB", "x MB", "stays", "load s", "ms", "x ms", "matrix error", "max off", "1 - cosine",
    "same answers",
)  # fmt: skip
BUDGET = 70
MATRIX = (1536, 6144)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    steps: int = 16
    """Decoding steps that are timed in a round; also the tokens of an answer."""
    every: str = "every 2 s"
    million: int = 300
    """Parameters of E2B's shape."""
    rows: tuple[int, ...] = (1, 256)
    """Of what a matrix is multiplied with."""
    published: tuple[str, ...] = tuple(SHAPES)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-e2b", action="store_true", help="leave the large random E2B shape out")
    options = parser.parse_args()
    effort = Effort(1, 4, "at 3", 30, (1,), ("E2B",)) if options.quick else Effort(options.rounds)
    on_one_core()
    rows = [*published_rows(effort), *matrix_rows(torch.float32, effort), *matrix_rows(torch.bfloat16, effort)]
    rows += model_rows("tiny", "tiny", "fp32", effort)
    with tempfile.TemporaryDirectory() as folder:
        for family, path in family_folders(Path(folder), only=1 if options.quick else None):
            rows += model_rows(f"small {family}", str(path), "fp32", effort)
        if not options.without_e2b:
            million = write_random_e2b(Path(folder) / "large", million=effort.million) / 1e6
            rows += model_rows(f"E2B shape, {million:.0f} M, bf16", str(Path(folder) / "large"), "bf16", effort)
    notes = {"times": "of the processor, on one core", "budget": BUDGET}
    report("quantise", rows, as_json=options.json, notes=notes, more_versions={"bitsandbytes": version("bitsandbytes")})


def on_one_core() -> None:
    """So that neither the engine nor bitsandbytes shares the work out, and the processor's time is that of one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


def row(**found: Any) -> Row:
    """A row with a dash where nothing was measured. Underscores are blanks."""
    named = {name.replace("_", " "): value for name, value in found.items()}
    return {column: named.get(column, "-") for column in COLUMNS}


def megabytes(size: float) -> float:
    return round(size / 1e6) if size >= 1e8 else round(size / 1e6, 2)


def published_rows(effort: Effort) -> Iterator[Row]:
    for name in effort.published:
        full, _ = published(name, None)
        for way in WAYS:
            size, stays = published(name, way)
            found = {"MB": megabytes(size), "x MB": size / full, "stays": f"{stays:.0%}"}
            yield row(of=f"published {name}", layers=way or "bf16") | found


# --- a matrix -----------------------------------------------------------------------------------------------------


Product = Callable[[torch.Tensor], torch.Tensor]


def matrix_rows(dtype: torch.dtype, effort: Effort) -> Iterator[Row]:
    torch.manual_seed(0)
    linear = nn.Linear(*MATRIX, bias=False).requires_grad_(False)
    nn.init.normal_(linear.weight, std=MATRIX[0] ** -0.5)
    linear = linear.to(dtype)
    packed: dict[str, PackedLinear] = {kind: packed_like(linear, kind) for kind in KINDS}
    layers: dict[str, Product] = {"as it is": linear, **packed, "torch int8": torch_int8(linear.weight)}
    held: dict[str, Row] = {"as it is": {"MB": megabytes(linear.weight.nbytes), "x MB": 1.0}}
    for kind, layer in packed.items():
        size, error = layer_bytes(layer), distance(layer.unpacked("weight", torch.float32), linear.weight)
        held[kind] = {"MB": megabytes(size), "x MB": size / linear.weight.nbytes, "matrix error": error}
    for count in effort.rows:
        of = f"{MATRIX[0]} x {MATRIX[1]}, {str(dtype).removeprefix('torch.')}, {count} row{'s'[: count - 1]}"
        for name, found in products(layers, torch.randn(count, MATRIX[0]).to(dtype), effort):
            yield row(of=of, layers=name) | held.get(name, {}) | found


def products(layers: dict[str, Product], values: torch.Tensor, effort: Effort) -> Iterator[tuple[str, Row]]:
    """Of each layer its time, and how far it is from the first one, which is unpacked."""
    times = in_turn({name: partial(product_ms, layer, values) for name, layer in layers.items()}, effort.rounds)
    real = layers["as it is"](values)
    for name, layer in layers.items():
        yield name, timed(name, times) | off(layer(values), real)


def packed_like(linear: nn.Linear, kind: Quantize) -> PackedLinear:
    layer = PackedLinear(linear, BITS[kind])
    layer.load_state_dict(layer.pack("weight", linear.weight))
    return layer


def torch_int8(weight: torch.Tensor) -> Product:
    """torch's own kernel for packed weights."""
    scales = (weight.float().abs().amax(1) / 127).to(weight.dtype)
    rounded = (weight.float() / scales.float()[:, None]).round().clamp(-127, 127).to(torch.int8)

    def product(values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch._weight_int8pack_mm(values, rounded, scales)
        return found

    return product


def product_ms(layer: Product, values: torch.Tensor) -> float:
    began = time.process_time()
    layer(values)
    return 1000 * (time.process_time() - began)


def in_turn(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of each way's milliseconds; the first round only warms up."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            taken[name] += [way()] if number else [way()][:0]
    return {name: statistics.median(several) for name, several in taken.items()}


def timed(name: str, times: dict[str, float]) -> Row:
    """Beside the first one's, which is unpacked."""
    return {"ms": times[name], "x ms": times[name] / next(iter(times.values()))}


def off(found: torch.Tensor, real: torch.Tensor) -> Row:
    found, real = found.double(), real.double()
    angle = 1 - torch.cosine_similarity(found, real, dim=-1).mean()
    return {"max off": float((found - real).abs().max()), "1 - cosine": max(0.0, float(angle))}


def distance(found: torch.Tensor, real: torch.Tensor) -> float:
    return float((found.float() - real.float()).norm() / real.float().norm())


def layer_bytes(layer: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*layer.parameters(), *layer.buffers()))


# --- models -------------------------------------------------------------------------------------------------------


def family_folders(root: Path, only: int | None) -> Iterator[tuple[str, Path]]:
    sys.path.append(str(ROOT))
    from tests.families import FAMILIES, build

    for family in FAMILIES[:only]:
        yield family, build(family, root / family)


def model_rows(of: str, model: str, dtype: str, effort: Effort) -> Iterator[Row]:
    loaded = {way or "as it is": loading(model, dtype, way) for way in WAYS}
    checkpoints = {name: checkpoint for name, (checkpoint, _) in loaded.items()}
    full = checkpoints["as it is"]
    asked = [request(frame, effort.steps + 1) for frame in images(full, effort.every)]
    times = in_turn({name: partial(step_ms, one, asked[0]) for name, one in checkpoints.items()}, effort.rounds)
    size, real, said = weights_bytes(full.model), logits(full), answers(full, asked)
    for name, (checkpoint, seconds) in loaded.items():
        own = weights_bytes(checkpoint.model)
        same = sum(one == other for one, other in zip(answers(checkpoint, asked), said, strict=True))
        found = row(of=of, layers=name) | {"MB": megabytes(own), "x MB": own / size, "load s": seconds}
        found |= timed(name, times) | off(logits(checkpoint), real) | {"same answers": f"{same} of {len(asked)}"}
        yield found | {"matrix error": matrix_error(checkpoint.model, full.model)}


def loading(model: str, dtype: str, way: Quantize | None) -> tuple[Checkpoint, float]:
    """And the seconds that it took."""
    began = time.process_time()
    checkpoint = load(model, device="cpu", dtype=dtype, quantize=way)
    return checkpoint, time.process_time() - began


def images(checkpoint: Checkpoint, sampling: str) -> list[Any]:
    settings = checkpoint.images

    def scale(size: tuple[int, int]) -> tuple[int, int]:
        return size_for(size, BUDGET, patch_pixels=settings.patch_pixels, pooling=settings.pooling)

    with open_source(str(ROOT / "sample_videos" / "street.mp4"), sampling=sampling, size_for=scale) as source:
        return [frame.image for frame in source.frames()]


def request(image: Any, tokens: int) -> Request:
    return Request((image,), Task.caption().prompt, BUDGET, tokens)


def step_ms(checkpoint: Checkpoint, asked: Request) -> float:
    """Of the decoding steps behind the one that reads the prompt; no answer ends before its time."""
    engine, marks = Engine(replace(checkpoint, end_ids=frozenset()), draft=False), list[float]()
    engine.before_forward = lambda: marks.append(time.process_time())
    engine.generate([asked])
    return 1000 * statistics.median(after - before for before, after in pairwise(marks[1:]))


def answers(checkpoint: Checkpoint, asked: Sequence[Request]) -> list[tuple[int, ...]]:
    engine = Engine(checkpoint)
    return [engine.generate([one])[0].token_ids for one in asked]


@torch.inference_mode()
def logits(checkpoint: Checkpoint) -> torch.Tensor:
    ids = torch.randint(20, 300, (1, 24), generator=torch.Generator().manual_seed(0))
    found: torch.Tensor = checkpoint.model(input_ids=ids, mm_token_type_ids=torch.zeros_like(ids)).logits
    return found.float()


def packed_layers(network: nn.Module) -> dict[str, PackedLinear | PackedExperts]:
    named = network.named_modules()
    return {path: module for path, module in named if isinstance(module, PackedLinear | PackedExperts)}


def weights_bytes(network: nn.Module) -> int:
    """Of parameters, and of packed ones with their scales."""
    kept = sum(parameter.nbytes for parameter in network.parameters())
    return kept + sum(buffer.nbytes for layer in packed_layers(network).values() for buffer in layer.buffers())


def matrix_error(network: nn.Module, full: nn.Module) -> float | str:
    """A dash where nothing is packed."""
    whole, errors = full.state_dict(), []
    for path, layer in packed_layers(network).items():
        for name in layer.shapes:
            real = whole[f"{path}.{name}"]
            experts = [None] if real.ndim == 2 else list(range(len(real)))
            made = [layer.unpacked(name, torch.float32, expert) for expert in experts]
            errors.append(distance(torch.stack(made).view(real.shape), real))
    return statistics.fmean(errors) if errors else "-"


if __name__ == "__main__":
    main()
