"""What 10, 1,000 and 100,000 cameras need: the arithmetic of docs/scaling.md, as its tables.

    python scripts/scaling_sheet.py [--rate 1] [--changed 0.5] [--fps 15] [--forwards 8] …

Every number that goes in is an option; its help says where the default is from: *measured* on this project's machine
(benchmarks/NOTES.md), of a *data sheet*, or *assumed*.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

MONTH_HOURS = 730
TOKENS = {70: 66, 140: 120, 280: 264, 560: 527, 1120: 1100}
"""Soft tokens of a 16:9 picture, by budget."""
PIXELS = {70: 528 * 288, 140: 720 * 384, 280: 1056 * 576, 560: 1488 * 816, 1120: 2112 * 1200}
SHEET_BUDGETS = (70, 280, 1120)
CAMERAS = (10, 1_000, 100_000)


@dataclass(frozen=True, slots=True)
class Gpu:
    """Of its data sheet, but for the price."""

    name: str
    gigabytes: float
    bandwidth: float
    """Bytes a second."""
    flops: float
    """A second in bf16, dense."""
    watts: float
    price: float
    """Dollars an hour; assumed."""


@dataclass(frozen=True, slots=True)
class Model:
    """Of its card."""

    name: str
    active: float
    """Parameters that a token goes through."""
    read: float
    """Bytes that a forward of a batch reads, in bf16; of a mixture of experts all that a batch may touch."""
    gigabytes: float
    """Of all weights, in bf16."""
    tower: float
    """Parameters of the vision tower; assumed but for E2B."""


GPUS = (
    Gpu("L4", 24, 0.30e12, 121e12, 72, 0.70),
    Gpu("L40S", 48, 0.864e12, 362e12, 350, 1.50),
    Gpu("H100", 80, 3.35e12, 990e12, 700, 3.00),
)
MODELS = (
    Model("E2B", 2.3e9, 4.6e9, 10.2, 0.15e9),
    Model("E4B", 4.5e9, 9.0e9, 15.9, 0.15e9),
    Model("12B", 11.95e9, 24e9, 24.0, 0.15e9),
    Model("26B-A4B", 3.8e9, 50e9, 50.0, 0.55e9),
    Model("31B", 30.7e9, 61e9, 61.0, 0.55e9),
)


@dataclass(frozen=True, slots=True)
class Given:
    """What goes into the sheet; each field is an option."""

    rate: float = 1.0
    """frames a second that are looked at of each camera (assumed)"""
    changed: float = 0.5
    """part of them that the gate sends to the model (measured: 0.37 on a night scene, 0.85 in a corridor, 1 in a
    street; assumed: the middle)"""
    fps: float = 15.0
    """pictures a second of a camera, 1080p H.264 (assumed)"""
    decode_ms: float = 4.0
    """core milliseconds to decode one of them (measured)"""
    sample_ms: float = 3.8
    """core milliseconds to scale a frame and compare it (measured: 1.8 and 2.0 at budget 280)"""
    file_ms: float = 51.0
    """core milliseconds for a frame a second of a 1080p30 file, the seeking in it (measured)"""
    busy: float = 0.7
    """part of a core or GPU that is planned with (assumed)"""
    batch: float = 8.0
    """frames answered together (as measured)"""
    forwards: float = 8.0
    """forwards of the model for a batch, drafts used (measured with tiny: 8 for captions of a street, 5 of a night
    scene, 39 and 15 for lists of boxes)"""
    answer: float = 40.0
    """tokens computed for an answer, refused drafts among them (assumed)"""
    words: float = 30.0
    """tokens of the prompt besides the picture (measured, about)"""
    mfu: float = 0.4
    """part of the GPU's arithmetic that is reached (assumed)"""
    mbu: float = 0.6
    """part of its bandwidth that is reached (assumed)"""
    mbit: float = 4.0
    """megabits a second of a camera's stream (assumed)"""
    row_kb: float = 1.5
    """of a frame in the history (measured)"""
    picture_kb: float = 25.0
    """of a kept picture (measured: 15 to 35 at budget 70)"""
    kept: float = 0.02
    """part of the frames that are kept with a picture (assumed)"""
    core_price: float = 0.04
    """dollars an hour (assumed)"""
    gb_price: float = 0.023
    """dollars a gigabyte and month (assumed)"""
    days: float = 30.0
    """that rows and pictures are kept (assumed)"""


def frame_seconds(model: Model, gpu: Gpu, budget: int, given: Given) -> float:
    """GPU seconds of a frame: the arithmetic of the tower (9 patches a token of the budget), the prompt and the
    answer; and its part of the weights that each forward reads, one of them for the prompt."""
    tower = 2 * model.tower * 9 * budget
    text = 2 * model.active * (TOKENS[budget] + given.words + given.answer)
    reading = (1 + given.forwards) * model.read / given.batch
    return (tower + text) / (gpu.flops * given.mfu) + reading / (gpu.bandwidth * given.mbu)


def fits(model: Model, gpu: Gpu) -> bool:
    """With a fifth of the memory left for pictures and caches."""
    return model.gigabytes <= 0.8 * gpu.gigabytes


def frames_a_second(model: Model, gpu: Gpu, budget: int, given: Given) -> float | None:
    return 1 / frame_seconds(model, gpu, budget, given) if fits(model, gpu) else None


def cores(cameras: int, given: Given) -> float:
    return cameras * (given.fps * given.decode_ms + given.rate * given.sample_ms) / 1000 / given.busy


def gpus(cameras: int, rate: float, given: Given) -> int:
    return math.ceil(cameras * given.rate * given.changed / (rate * given.busy))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def number(value: float) -> str:
    """With three digits that mean something."""
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def speeds(given: Given) -> str:
    """Frames a second of one GPU."""
    rows = []
    for model in MODELS:
        found = [frames_a_second(model, gpu, budget, given) for gpu in GPUS for budget in SHEET_BUDGETS]
        rows.append([model.name, *("–" if rate is None else number(rate) for rate in found)])
    return table(["model", *(f"{gpu.name}, {budget}" for gpu in GPUS for budget in SHEET_BUDGETS)], rows)


def everything_else(given: Given) -> str:
    """Cores, network and storage."""
    rows = []
    for cameras in CAMERAS:
        frames = cameras * given.rate
        answered = frames * given.changed
        kilobytes = frames * (given.row_kb + given.kept * given.picture_kb)
        gigabytes = kilobytes * 86_400 * given.days / 1e6
        rows.append(
            [
                f"{cameras:,}",
                number(cores(cameras, given)),
                number(answered),
                number(cameras * given.mbit / 1000),
                number(answered * PIXELS[70] * 3 * 8 / 1e9),
                number(answered * PIXELS[280] * 3 * 8 / 1e9),
                number(kilobytes * 86_400 / 1e6),
                number(gigabytes / 1000),
            ]
        )
    head = ["cameras", "cores", "answers/s", "in, Gbit/s", "raw at 70, Gbit/s", "raw at 280, Gbit/s", "GB a day"]
    return table([*head, f"TB in {given.days:g} days"], rows)


def machines(given: Given) -> str:
    """GPUs by model, and what all costs a month with those that cost least."""
    rows = []
    for model in MODELS:
        for budget in SHEET_BUDGETS:
            rates = {gpu: rate for gpu in GPUS if (rate := frames_a_second(model, gpu, budget, given)) is not None}
            rows.append([model.name, str(budget), *(_of(cameras, rates, given) for cameras in CAMERAS)])
    return table(["model", "budget", *(f"{cameras:,} cameras" for cameras in CAMERAS)], rows)


def _of(cameras: int, rates: dict[Gpu, float], given: Given) -> str:
    counts = {gpu: gpus(cameras, rate, given) for gpu, rate in rates.items()}
    gpu = min(counts, key=lambda one: counts[one] * one.price)
    kilobytes = cameras * given.rate * (given.row_kb + given.kept * given.picture_kb)
    storage = kilobytes * 86_400 * given.days / 1e6 * given.gb_price
    cost = MONTH_HOURS * (counts[gpu] * gpu.price + cores(cameras, given) * given.core_price) + storage
    return f"{number(counts[gpu])} {gpu.name}, ${number(cost)} (${number(cost / cameras)} a camera)"


def archive(given: Given) -> str:
    """Hours of files instead of cameras: what a thousand hours of video take."""
    frames = 1_000 * 3_600 * given.rate
    core_hours = frames * given.file_ms / 1000 / 3600 / given.busy
    rows = []
    for model in MODELS:
        for budget in (70, 280):
            rate = frames_a_second(model, GPUS[-1], budget, given)
            assert rate is not None
            hours = frames / (rate * given.busy) / 3600
            rows.append([model.name, str(budget), number(core_hours), number(hours), number(core_hours / hours)])
    return table(["model", "budget", "core hours", "H100 hours", "cores beside each GPU"], rows)


def options() -> Given:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lines = _documented()
    for one in fields(Given):
        name = "--" + one.name.replace("_", "-")
        parser.add_argument(name, type=float, default=one.default, help=lines[one.name], metavar="N")
    return Given(**vars(parser.parse_args()))


def _documented() -> dict[str, str]:
    """The strings under the fields."""
    [body] = [node.body for node in ast.parse(inspect.getsource(Given)).body if isinstance(node, ast.ClassDef)]
    return {
        field.target.id: " ".join(str(text.value.value).split())
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def main() -> None:
    given = options()
    for title, lines in (
        ("Frames a second of one GPU, by budget", speeds(given)),
        ("Cores, network and storage", everything_else(given)),
        ("GPUs and cost a month", machines(given)),
        ("A thousand hours of files, on H100", archive(given)),
    ):
        print(f"### {title}\n\n{lines}\n")


if __name__ == "__main__":
    main()
