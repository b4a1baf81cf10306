"""A model loaded at several nodes of a cluster: to the job it is one `VisionModel`, and its actors answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from streamer.cluster.answerer import Answerer, Facts, Make
from streamer.cluster.connecting import Node, checked_address, connected, nodes
from streamer.cluster.crew import Crew, Member
from streamer.cluster.ranges import PART_SECONDS
from streamer.errors import ClusterError, ModelError, ModelInterrupted, OptionError, StreamerError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.annotation import AnnotateRun
    from streamer.models.base import Generation, Request, VisionModel

PATIENCE_SECONDS = 600.0
"""For an answer; and without any free core, after which the job gives up."""
LOAD_SECONDS = 1800.0
"""Without any loaded model, after which it gives up: weights may have to be downloaded."""
POLL_SECONDS = 0.2
ATTEMPTS = 4
"""Models that one batch of questions is put to, at most."""


@dataclass(frozen=True, slots=True)
class SpreadOptions:
    """Where a model is loaded, and how the work is cut."""

    address: str
    """As `streamer.cluster.connecting.connected` takes it."""
    gpus_per_model: float | None = None
    """GPUs that one loaded model has for itself, such as 0.5 or 2; None: one where a node has any, else none."""
    models: tuple[int, int] | None = None
    """At least, before the work begins, and at most; None: as many as fit, without GPUs one a node."""
    part_seconds: float = PART_SECONDS
    """Of media that is decoded in one go; longer files are cut."""
    decoders: int | None = None
    """Cores that decode, at most; None: all of the cluster's, as far as the models need them."""

    def __post_init__(self) -> None:
        checked_address(self.address)
        if self.gpus_per_model is not None and not 0 <= self.gpus_per_model <= 64:
            raise OptionError("--gpus-per-model", self.gpus_per_model, "a number from 0 to 64")
        if self.models is not None and not 1 <= self.models[0] <= self.models[1] <= 10_000:
            raise OptionError("--models", self.models, "a number from 1, or two with a comma: at least, at most")
        if not 1 <= self.part_seconds <= 86_400:
            raise OptionError("--part", self.part_seconds, "seconds from 1 to 86400")
        if self.decoders is not None and self.decoders < 1:
            raise OptionError("decoders", self.decoders, "1 or more")


def parse_models(text: str) -> tuple[int, int]:
    """``4`` or ``2,8``. Raises `OptionError`.

    >>> parse_models("2,8")
    (2, 8)
    """
    least, _, most = text.partition(",")
    try:
        return int(least), int(most or least)
    except ValueError:
        raise OptionError("--models", text, "a number, or two with a comma: at least, at most") from None


class SpreadModel:
    """Actors that have the model, at the nodes of a connected cluster. A context manager.

    `generate` may be called from any thread; the crew is tended from one.
    """

    def __init__(self, ray: ModuleType, make: Make, options: SpreadOptions) -> None:
        """Returns when the first models are loaded. Raises what loading them raises, and `ClusterError` where there is
        no room for one."""
        self.ray, self.options = ray, options
        self._make = make
        self._gpus = self._gpus_each(nodes(ray))
        self._actor_class = ray.remote(num_cpus=0, num_gpus=self._gpus, max_restarts=0, max_concurrency=4,
                                       scheduling_strategy="SPREAD")(Answerer)  # fmt: skip
        self.crew: Crew[Facts] = Crew(ray, self._start, lambda facts: facts.place.node, 1)
        self._closed = False
        self._interrupts = 0
        self._next = 0
        self._sizes: dict[tuple[tuple[int, int], int], tuple[int, int]] = {}
        try:
            facts = self._first_loaded()
        except BaseException:  # Ctrl-C too: no process stays
            self.close()
            raise
        self.name, self.revision, self.quantize = facts.name, facts.revision, facts.quantize
        self.caveat, self.structured, self.findings = facts.caveat, facts.structured, facts.findings
        self.fault: str | None = None

    def _start(self) -> tuple[Any, Any]:
        actor = self._actor_class.remote(self._make)
        return actor, actor.load.remote()

    def _gpus_each(self, there: Sequence[Node]) -> float:
        most = max((node.gpus for node in there), default=0.0)
        wanted = self.options.gpus_per_model
        if wanted is None:
            return 1.0 if most else 0.0
        if wanted > most:
            has = f"the most that a node has is {most:g}" if most else "no node has any"
            raise ClusterError(self.options.address, f"a model is to have {wanted:g} GPUs, and {has}",
                               "choose --gpus-per-model")  # fmt: skip
        return wanted

    def room(self) -> int:
        """For so many models at the nodes that are there now."""
        there = nodes(self.ray)
        fit = sum(int(node.gpus / self._gpus + 1e-6) for node in there) if self._gpus else len(there)
        return max(1, fit if self.options.models is None else self.options.models[1])

    def tend(self) -> None:
        """Replaces what was lost, and makes use of nodes that have joined."""
        self.crew.wanted = self.room()
        self.crew.tend()

    def _first_loaded(self) -> Facts:
        least = 1 if self.options.models is None else self.options.models[0]
        self.tend()
        until = time.monotonic() + LOAD_SECONDS
        while len(self.crew.members) < least:
            done, _ = self.ray.wait(list(self.crew.starting), timeout=POLL_SECONDS)
            for reference in done:
                self.greeted(reference)
            self.crew.tend()
            if time.monotonic() > until:
                reason = f"{len(self.crew.members)} of {least} models were loaded within {LOAD_SECONDS:.0f} s"
                raise ClusterError(self.options.address, reason, "are its GPUs taken by others? See ray status")
        return self.crew.members[0].greeting

    def greeted(self, reference: Any) -> Member[Facts] | None:
        """A model is loaded, or not. Raises the error where none can be, and `ClusterError` for one that differs."""
        try:
            member = self.crew.greeted(reference)
        except StreamerError:
            raise
        except Exception as error:  # Ray's, or whatever a library of the model raises there
            reason = f"a process that loads the model ends: {reason_of(error)}"
            raise ClusterError(
                self.options.address, reason, "do all nodes have streamer, and memory enough?"
            ) from error
        if member is not None:
            self._check_same(member.greeting)
        return member

    def _check_same(self, facts: Facts) -> None:
        """Rows of two versions, or of two models, do not belong into one journal."""
        here = version("streamer")
        if facts.place.streamer != here:
            reason = f"node {facts.place.name} has streamer {facts.place.streamer}, and this machine {here}"
            raise ClusterError(self.options.address, reason, "install the same on all machines")
        first = self.crew.members[0].greeting
        if (facts.name, facts.revision, facts.quantize) != (first.name, first.revision, first.quantize):
            reason = f"node {facts.place.name} has {facts.name} {facts.revision}, node {first.place.name} another one"
            raise ClusterError(self.options.address, reason, "name a --revision")

    # -- as a VisionModel

    def size_for(self, source_size: tuple[int, int], budget: int) -> tuple[int, int]:
        """Raises `OptionError`, and `ModelError` where no model answers."""
        key = source_size, budget
        if key not in self._sizes:
            self._sizes[key] = self._called(lambda actor: actor.size_for.remote(source_size, budget))
        return self._sizes[key]

    def prepare(self, image: NDArray[np.uint8], budget: int) -> None:
        """The nodes do that."""

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Raises `ModelError`, also where it was interrupted."""
        answers = self._called(lambda actor: actor.generate.remote(list(requests)))
        if isinstance(answers, StreamerError):
            raise answers
        return list(answers)

    def _called(self, call: Callable[[Any], Any]) -> Any:
        """What one of the models says; the next one is asked where it is lost."""
        reason = "no node has it loaded"
        for _ in range(ATTEMPTS):
            members = list(self.crew.members)
            if self._closed or not members:
                break
            self._next += 1
            try:
                return self._waited(call(members[self._next % len(members)].actor))
            except self.ray.exceptions.RayActorError as error:
                reason = reason_of(error)
            except self.ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, StreamerError):
                    raise error.cause from error
                reason = reason_of(error)
        raise ModelError(self.name, reason)

    def _waited(self, reference: Any) -> Any:
        until, interrupts = time.monotonic() + PATIENCE_SECONDS, self._interrupts
        while self._interrupts == interrupts:
            done, _ = self.ray.wait([reference], timeout=POLL_SECONDS)
            if done:
                return self.ray.get(reference)
            if time.monotonic() > until:
                raise ModelError(self.name, f"it has not answered for {PATIENCE_SECONDS:.0f} s")
        raise ModelInterrupted(self.name)

    def interrupt(self) -> None:
        """From any thread: what is waited for now is given up; the actors go on with it."""
        self._interrupts += 1

    def close(self) -> None:
        """Ends the actors; calling it again does nothing."""
        self._closed = True
        self.crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def reason_of(error: Exception) -> str:
    """What Ray says of an error, in a line."""
    cause = getattr(error, "cause", None)
    said = repr(cause) if isinstance(cause, Exception) else str(error)
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    return " ".join(lines)[:300] or type(error).__name__


def run_class(model: VisionModel) -> type[AnnotateRun]:
    """The file job for this machine, or for a cluster where the model is spread over one."""
    from streamer.annotation import AnnotateRun

    if not isinstance(model, SpreadModel):
        return AnnotateRun
    from streamer.cluster.files import SpreadRun

    return SpreadRun


@contextmanager
def spread(make: Make, options: SpreadOptions) -> Iterator[SpreadModel]:
    """The model that ``make`` loads, at the nodes of the cluster; its actors and the connection end with the block.

    Give it to `streamer.annotate` in place of a model: decoding and answering are then the nodes' work. Raises as
    `SpreadModel` and `streamer.cluster.connecting.connected` do.
    """
    with ExitStack() as stack:
        ray = stack.enter_context(connected(options.address))
        yield stack.enter_context(SpreadModel(ray, make, options))
