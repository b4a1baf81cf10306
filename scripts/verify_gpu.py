"""Try a Gemma 4 on this machine: does it answer, does it answer what transformers would, and how fast?

    python scripts/verify_gpu.py google/gemma-4-E2B-it [--image PATH …] [--quick] [--json verify_report.json]

Loads MODEL (a hub id, a folder, or ``tiny``), runs the examples of Google's notebook (describe, two pictures, read a
sign, detect at each budget), compares greedy answers with transformers' ``generate`` token for token, and measures the
speed by batch and budget beside what the machine could do at best. Progress goes to standard error, a table to standard
output, and everything to one JSON file, which is written anew after each section. The exit code is 1 where a section
failed or an answer differs by more than rounding.

``best`` is the roofline: the larger of (weights read / memory bandwidth) and (2 x parameters x tokens / FLOP/s);
attention itself is left out. Bandwidth and FLOP/s are the data sheet's for known GPUs, else measured by a copy and a
matmul. Pictures are drawn by the generator of the sample videos; without its fonts, they are a sample video's frames.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import platform
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from verify_equality import equality_section
from verify_examples import examples_section
from verify_pictures import Album, open_album
from verify_roofline import Load, Rates, rates
from verify_speed import speed_section
from verify_tables import print_report

from streamer.errors import OutputError, StreamerError
from streamer.gemma.checkpoint import Checkpoint, load
from streamer.gemma.devices import pick_device
from streamer.models.base import BUDGETS
from streamer.outputs.atomic import replacing

BATCHES = (1, 2, 4, 8, 16)
PACKAGES = ("streamer", "torch", "transformers", "accelerate", "numpy")


def main() -> int:
    options = arguments().parse_args()
    verification = Verification(options)
    try:
        verification.run()
    except OutputError as error:
        print(error, file=sys.stderr)
        return 1
    print_report(verification.report)
    print(f"wrote {options.json}")
    return 0 if verification.report["ok"] else 1


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="a hub id such as google/gemma-4-E2B-it, a folder, or tiny")
    parser.add_argument("--image", nargs="+", default=[], metavar="PATH", help="pictures (or videos) of your own")
    parser.add_argument("--device", default="auto", help="auto, cuda, cuda:N, mps or cpu")
    parser.add_argument("--dtype", default="auto", help="auto, bf16 or fp32")
    parser.add_argument("--budgets", type=_budgets, metavar="70,140", help="instead of all five (of 70 where quick)")
    parser.add_argument("--batches", type=_numbers, metavar="1,2", help="instead of 1 to 16 (of 1 and 2 where quick)")
    parser.add_argument("--quick", action="store_true", help="a fraction of the work, to see that it runs")
    parser.add_argument("--json", type=Path, default=Path("verify_report.json"), metavar="FILE")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(sorted({int(part) for part in text.split(",")}))
    if numbers[0] < 1:
        raise argparse.ArgumentTypeError("whole numbers above 0 are expected")
    return numbers


def _budgets(text: str) -> tuple[int, ...]:
    budgets = _numbers(text)
    if not set(budgets) <= set(BUDGETS):
        raise argparse.ArgumentTypeError("expected are some of " + ", ".join(map(str, BUDGETS)))
    return budgets


class Verification:
    """The sections one after another; what fails in one does not keep the others from running."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._started = time.perf_counter()
        self._checkpoint: Checkpoint | None = None
        self._album: Album | None = None
        self._rates: Rates | None = None
        self.report: dict[str, Any] = {
            "tool": "scripts/verify_gpu.py",
            "model": options.model,
            "quick": options.quick,
            "began": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": {name: version(name) for name in PACKAGES},
            "ok": False,
            "sections": {},
        }

    def run(self) -> None:
        """Raises `OutputError` where the report cannot be written."""
        quick = self._options.quick
        budgets = self._options.budgets or ((70,) if quick else BUDGETS)
        batches = self._options.batches or ((1, 2) if quick else BATCHES)
        seen = self._options.budgets or BUDGETS  # detection is tried at every budget
        self._section("machine", self._machine)
        self._section("load", self._load)
        self._section("rates", self._measure_rates)
        self._section("pictures", self._pictures)
        self._section("examples", lambda into: examples_section(into, *self._ready(), seen, self._say, quick=quick))
        self._section("equality", lambda into: equality_section(into, *self._ready(), seen, self._say, quick=quick))
        self._section(
            "speed",
            lambda into: speed_section(
                into, *self._ready(), budgets, batches, self._known_rates(), self._say, quick=quick
            ),
        )

    def _section(self, name: str, work: Callable[[dict[str, Any]], bool]) -> None:
        """Runs ``work``, which fills its part of the report and says whether all is well."""
        part: dict[str, Any] = {"ok": False, "error": None}
        self.report["sections"][name] = part
        started = time.perf_counter()
        self._say(name)
        try:
            part["ok"] = work(part)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding about this machine
            part["error"] = str(error) if isinstance(error, StreamerError) else f"{type(error).__name__}: {error}"
            if not isinstance(error, StreamerError):
                part["traceback"] = traceback.format_exc()
            self._say(f"{name} failed: {part['error']}")
        part["seconds"] = time.perf_counter() - started
        self.report["seconds"] = time.perf_counter() - self._started
        self.report["ok"] = all(one["ok"] for one in self.report["sections"].values())
        self._write()

    def _write(self) -> None:
        with replacing(self._options.json) as path:
            text = json.dumps(finite(self.report), indent=1, ensure_ascii=False, allow_nan=False)
            path.write_text(text, encoding="utf-8")

    def _say(self, what: str) -> None:
        print(f"{time.perf_counter() - self._started:7.1f} s  {what}", file=sys.stderr, flush=True)

    def _ready(self) -> tuple[Checkpoint, Album]:
        if self._checkpoint is None or self._album is None:
            raise NotRun("the model" if self._checkpoint is None else "pictures")
        return self._checkpoint, self._album

    def _known_rates(self) -> Rates:
        if self._rates is None:
            raise NotRun("the machine's rates")
        return self._rates

    # -- what every section needs

    def _machine(self, into: dict[str, Any]) -> bool:
        into |= {
            "system": platform.platform(),
            "python": platform.python_version(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "cuda": torch.version.cuda,
            "gpus": [
                {"name": gpu.name, "memory_gib": round(gpu.total_memory / 2**30, 1)}
                for gpu in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
            ],
        }
        into["device"] = str(pick_device(self._options.device))
        return True

    def _load(self, into: dict[str, Any]) -> bool:
        checkpoint = load(
            self._options.model, device=self._options.device, dtype=self._options.dtype, progress=self._progress()
        )
        self._checkpoint = checkpoint
        into |= {
            "name": checkpoint.name,
            "type": checkpoint.model.config.model_type,
            "device": str(checkpoint.device),
            "spread": {part: str(at) for part, at in (getattr(checkpoint.model, "hf_device_map", None) or {}).items()},
            "dtype": str(checkpoint.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "parameters": sum(parameter.numel() for parameter in checkpoint.model.parameters()),
            "bytes": sum(parameter.nbytes for parameter in checkpoint.model.parameters()),
            "step_bytes": round(Load.of(checkpoint).bytes_read(1)),
        }
        return True

    def _progress(self) -> Callable[[str, float | None], None]:
        said: set[tuple[str, int]] = set()

        def report(what: str, part: float | None) -> None:
            tenth = -1 if part is None else int(10 * part)
            if (what, tenth) not in said:
                said.add((what, tenth))
                self._say(what if part is None else f"{what}: {part:.0%}")

        return report

    def _measure_rates(self, into: dict[str, Any]) -> bool:
        if self._checkpoint is None:
            raise NotRun("the model")
        self._rates = rates(self._checkpoint.device, self._checkpoint.dtype, quick=self._options.quick)
        into |= self._rates.told()
        return True

    def _pictures(self, into: dict[str, Any]) -> bool:
        self._album = open_album(self._options.image)
        into["description"] = self._album.description
        return True


def finite(value: Any) -> Any:
    """The same without infinities and NaN, which JSON cannot say: they become None."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class NotRun(StreamerError):
    """A section that could not be tried, for want of ``lacking``."""

    def __init__(self, lacking: str) -> None:
        super().__init__(lacking)
        self.lacking = lacking

    def __str__(self) -> str:
        return f"not run: {self.lacking} could not be had"


if __name__ == "__main__":
    sys.exit(main())
