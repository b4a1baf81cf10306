"""Answers batches of requests with a loaded checkpoint: prepare, run, read back.

The decoding loop is our own, made to need few forwards. All requests about the same pictures share one row: the
pictures are read once, the answers grow side by side behind them. Each answer has a draft, most often the last answer
to the same question, which is verified in the same forward that reads the prompt. Every forward gets explicit position
ids and explicit masks made from the places in the cache (`streamer.gemma.masks`), so rows of any lengths, with several
pictures at different budgets, run side by side. Under greedy decoding the tokens are those of one request by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from streamer.errors import ModelInterrupted, ModelMemoryError, OptionError
from streamer.gemma.budget import size_for
from streamer.gemma.cache import KeyValueCache
from streamer.gemma.choosing import Chooser, choose
from streamer.gemma.drafting import CostMeter, Drafter, StepCost
from streamer.gemma.fixed import FixedShapes
from streamer.gemma.masks import TEXT
from streamer.gemma.memory import available_bytes
from streamer.gemma.pictures import PictureKey, Pictures
from streamer.gemma.prompts import Prompt, PromptBuilder
from streamer.gemma.reading import Cache, Reader
from streamer.gemma.rows import Branch, Row, Step, first_step, next_step
from streamer.gemma.threads import PassThreads
from streamer.models.base import Generation, Request
from streamer.tasks import CAPTION_PROMPT

if TYPE_CHECKING:
    from streamer.gemma.checkpoint import Checkpoint
    from streamer.gemma.constraint import Constraint, Grammars

_FIXED_SHARE = 0.25
"""Of the memory that is free behind the weights, at most so much is kept for fixed shapes."""
_WARM_BUDGETS = (70, 280)
_WARM_TOKENS = 128
"""As many as `Task.caption` allows: the memory of fixed shapes is chosen by it."""
_AT_ONCE = 128
"""Places whose next token is asked for at once: a vocabulary of 262,144 in float32 takes 1 MB a place."""


class Engine:
    """Generation on one checkpoint. Not thread-safe; keeps rendered prompts and the newest pictures' features."""

    def __init__(
        self, checkpoint: Checkpoint, *, share: bool = True, draft: bool = True, fixed: bool | None = None
    ) -> None:
        """``share``: requests about the same pictures share them; ``draft``: drafts are used; ``fixed``: passes run in
        fixed shapes (None: on a CUDA device, where they are captured as graphs). All of them change the speed alone;
        they can be switched off to measure what they give."""
        self.checkpoint = checkpoint
        self._text_config: Any = checkpoint.model.config.get_text_config()
        self._threads = PassThreads.of(checkpoint.device, self._text_config.hidden_size)
        self.pictures = Pictures(checkpoint, self._threads)
        self._share, self._draft = share, draft
        config = checkpoint.model.config
        self._stand_ins = {config.image_token_id, config.video_token_id, config.audio_token_id}
        self._prompts = PromptBuilder(checkpoint.tokenizer, checkpoint.pictures, checkpoint.name)
        self._reader = Reader(checkpoint)
        self._fixed = _fixed_shapes(checkpoint, self._reader) if _wants_fixed(checkpoint, fixed) else None
        self._interrupted = threading.Event()
        self._meter = CostMeter()
        self._grammars: Grammars | None = None
        self.before_forward: Callable[[], None] = lambda: None
        """Called before each pass through the language model; to measure."""
        self.forwards = 0
        """Passes through the language model so far."""
        self.forward_seconds = 0.0
        """Time spent in the model so far, the vision tower included."""

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answers all requests as one batch, in their order.

        Raises `OptionError` for a request that cannot be answered (nothing is run then), `ModelMemoryError` where
        the batch does not fit into memory, `ModelInterrupted` after `interrupt`.
        """
        if not requests:
            return []
        self._interrupted.clear()
        try:
            branches, rows = self._prepare(requests)
            self._run(rows)
        except torch.OutOfMemoryError as error:
            self.forget()
            raise ModelMemoryError(
                self.checkpoint.name,
                f"a batch of {len(requests)} does not fit into memory",
                "choose a smaller batch, a lower budget or a smaller model",
            ) from error
        return [branch.generation(self._prompts.text) for branch in branches]

    def warm_up(self) -> None:
        """Answers the commonest question about a grey picture, so that what is made at first use (kernels, workspaces,
        captured graphs) is there when the first frame comes."""
        for budget in _WARM_BUDGETS:
            width, height = size_for((16, 9), budget)
            grey = np.full((height, width, 3), 128, np.uint8)
            for _ in range(2):  # a graph is captured on its first run and replayed on the second
                self.generate([Request((grey,), CAPTION_PROMPT, budget, _WARM_TOKENS)])
        self.pictures.forget()

    def forget(self) -> None:
        """Frees what is kept to be quicker: pictures, and the memory of fixed shapes."""
        self.pictures.forget()
        if self._fixed is not None:
            self._fixed.forget()

    def interrupt(self) -> None:
        """From any thread: a running `generate` gives up before its next step. Does nothing where none runs."""
        self._interrupted.set()

    def _check_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise ModelInterrupted(self.checkpoint.name)

    # -- prepare

    def _prepare(self, requests: Sequence[Request]) -> tuple[list[Branch], list[Row]]:
        """A branch a request, in their order, and the rows that hold them; each picture is cut and encoded once."""
        started = time.perf_counter()
        choosers = [Chooser(request, self.checkpoint.device) for request in requests]
        constraints = [self._constraint(request) for request in requests]
        keys = [tuple(self.pictures.key(image, request.budget) for image in request.images) for request in requests]
        images = [image for request in requests for image in request.images]
        named = zip((key for ks in keys for key in ks), images, strict=True)
        cut = self.pictures.cut(named)
        soft = {key: one if isinstance(one, int) else one.soft_tokens for key, one in cut.items()}
        prompts = [
            self._prompts.build(request.prompt, [soft[key] for key in ks], request.system)
            for request, ks in zip(requests, keys, strict=True)
        ]
        for request, prompt in zip(requests, prompts, strict=True):
            self._check_length(request, len(prompt.ids))
        prepared = time.perf_counter()
        features = self.pictures.encode(cut, self._check_interrupted)
        encoded = time.perf_counter()
        self.forward_seconds += encoded - prepared
        branches = [
            Branch(
                request,
                prompt,
                _shared_length(prompt),
                chooser,
                Drafter(self._draft_for(request), request.agreement),
                constraint,
                drafts=self._draft,
                started=self._started(request),
                preprocess_ms=(prepared - started) * 1000,
                model_ms=(encoded - prepared) * 1000,
            )
            for request, prompt, chooser, constraint in zip(requests, prompts, choosers, constraints, strict=True)
        ]
        return branches, self._rows(branches, keys, features)

    def _draft_for(self, request: Request) -> Sequence[int]:
        """The draft up to what the model's forward could not read: no id of its vocabulary, or one that stands for a
        picture, a video or a sound."""
        draft = request.draft or self._prompts.answer_ids(request.likeness)
        vocabulary = self._text_config.vocab_size
        foreign = (at for at, token in enumerate(draft) if not 0 <= token < vocabulary or token in self._stand_ins)
        return draft[: next(foreign, len(draft))]

    def _started(self, request: Request) -> tuple[int, ...]:
        started = self._prompts.answer_ids(request.start)
        if started and request.schema is not None:
            raise OptionError("start", request.start, "no beginning where the answer follows a schema")
        if len(started) >= request.max_tokens:
            raise OptionError("start", request.start, f"fewer than max_tokens ({request.max_tokens}) tokens")
        return started

    def _constraint(self, request: Request) -> Constraint | None:
        if request.schema is None:
            return None
        if request.stop or request.ends_with_list:
            raise OptionError("stop", request.stop, "none where the answer follows a schema, which ends it")
        if self._grammars is None:
            from streamer.gemma.constraint import Grammars  # llguidance, for those who ask for it

            self._grammars = Grammars.of(self.checkpoint)
        constraint = self._grammars.constraint(request.schema)
        if constraint.least_tokens >= request.max_tokens:
            least = constraint.least_tokens + 1
            raise OptionError("max_tokens", request.max_tokens, f"at least {least} for this schema")
        return constraint

    def _rows(
        self,
        branches: Sequence[Branch],
        keys: Sequence[tuple[PictureKey, ...]],
        features: dict[PictureKey, torch.Tensor],
    ) -> list[Row]:
        """Those with the same pictures behind the same words go into one row."""
        rows: dict[object, Row] = {}
        for number, (branch, ks) in enumerate(zip(branches, keys, strict=True)):
            begin = Prompt(branch.prompt.ids[: branch.shared], branch.prompt.blocks[: branch.shared])
            group = (ks, begin.ids) if ks and self._share else number
            row = rows.setdefault(group, Row(begin, tuple(features[key] for key in ks), []))
            row.branches.append(branch)
        return list(rows.values())

    def _check_length(self, request: Request, prompt_tokens: int) -> None:
        if request.max_tokens < 1:
            raise OptionError("max_tokens", request.max_tokens, "a whole number above 0")
        longest = int(self._text_config.max_position_embeddings)
        if prompt_tokens + request.max_tokens > longest:
            needed = f"{prompt_tokens} tokens of prompt and up to {request.max_tokens} of answer"
            raise OptionError("prompt", needed, f"at most {longest} together: fewer pictures or a lower budget")

    # -- run

    def _run(self, rows: Sequence[Row]) -> None:
        """Steps until every branch has its end; rows leave the batch with their last one."""
        started = time.perf_counter()
        cache = self._cache(rows)
        active = list(rows)
        features = [feature for row in active for feature in row.features]
        while any(branch.finish is None for row in active for branch in row.branches):
            self._check_interrupted()
            self._plan(active)
            step = (next_step if cache.places else first_step)(active, self.checkpoint.pad_id)
            step = cache.fit(step, self.checkpoint.pad_id)
            chosen = self._forward(step, cache, features)
            features = []
            agreed = self._take(step, chosen)
            now = (time.perf_counter() - started) * 1000
            for branch in step.trials:
                branch.model_ms += now if branch.finish else 0.0
            cache.forget(step.ids.shape[1], step.kept(agreed))
            going = [number for number, row in enumerate(active) if any(row.live)]
            if going and not cache.fixed and len(going) < len(active):
                active = [active[number] for number in going]
                cache.select(torch.tensor(going))
            if going:
                cache.tidy()

    def _cache(self, rows: Sequence[Row]) -> Cache:
        """A fixed one where this device gains from it and the batch fits."""
        if self._fixed is None:
            return KeyValueCache()
        needs = [row.needs() for row in rows]
        prompt, answer, stretch = (max(need[at] for need in needs) for at in range(3))
        return self._fixed.cache(len(rows), prompt, answer, stretch) or KeyValueCache()

    def _plan(self, rows: Sequence[Row]) -> None:
        live = [branch for row in rows for _, branch in row.live]
        cost = self._meter.cost()
        each = StepCost(cost.base / len(live), cost.per_token)
        for branch in live:
            branch.plan(each)

    def _take(self, step: Step, chosen: Sequence[int]) -> dict[Branch, int]:
        """Hands every branch its part of the chosen tokens; how many of its proposals each keeps."""
        agreed: dict[Branch, int] = {}
        at = 0
        for branch in step.trials:
            count = 1 + len(branch.proposed)
            own = chosen[at : at + count]
            at += count
            agreed[branch] = branch.take(own, self.checkpoint.end_ids, self._prompts.text)
        return agreed

    def _forward(self, step: Step, cache: Cache, features: Sequence[torch.Tensor]) -> list[int]:
        """The tokens chosen behind each wanted place of ``step``, read on top of the cache: one transfer a step."""
        self.before_forward()
        started = time.perf_counter()
        with self._threads.over("text", step.ids.numel()):
            chosen = self._read(step, cache, features)
        seconds = time.perf_counter() - started
        self.forwards += 1
        self.forward_seconds += seconds
        self._meter.observe(step.ids.numel(), seconds)
        return chosen

    def _read(self, step: Step, cache: Cache, features: Sequence[torch.Tensor]) -> list[int]:
        hidden = cache.read(self._reader, step, features)
        rows, columns = step.wanted()
        skipped = step.ids.shape[1] - hidden.shape[1]
        wanted = hidden[torch.tensor(rows, device=hidden.device), torch.tensor(columns, device=hidden.device) - skipped]
        chosen: list[int] = self._choose(wanted, list(step.trials)).tolist()
        return chosen

    def _choose(self, hidden: torch.Tensor, branches: Sequence[Branch]) -> torch.Tensor:
        """``(n,)`` tokens from the ``(n, hidden)`` states of the last layer, those of each branch together."""
        choosers = [branch.chooser for branch in branches for _ in range(1 + len(branch.proposed))]
        allowed = _allowed(branches)
        parts = []
        for start in range(0, len(hidden), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            logits = self._logits(hidden[here])
            if allowed is not None:
                logits.masked_fill_(~allowed[here].to(logits.device, non_blocking=True), -torch.inf)
            parts.append(choose(logits, choosers[here]))
        return torch.cat(parts)

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """``(n, vocabulary)``, without the tokens that the checkpoint's generation config forbids."""
        logits: torch.Tensor = self.checkpoint.model.lm_head(hidden)
        if (cap := self._text_config.final_logit_softcapping) is not None:
            logits = torch.tanh(logits / cap) * cap
        if self.checkpoint.suppressed_ids:
            logits[:, list(self.checkpoint.suppressed_ids)] = -torch.inf
        return logits


def _allowed(branches: Sequence[Branch]) -> torch.Tensor | None:
    """``(n, vocabulary)`` bool for all places that are asked about; None where every token may come everywhere."""
    width = next((branch.allowed.shape[1] for branch in branches if branch.allowed is not None), None)
    if width is None:
        return None
    free = [torch.ones(1 + len(branch.proposed), width, dtype=torch.bool) for branch in branches]
    return torch.cat(
        [one if branch.allowed is None else branch.allowed for one, branch in zip(free, branches, strict=True)]
    )


def _wants_fixed(checkpoint: Checkpoint, fixed: bool | None) -> bool:
    """A graph belongs to one device: a model that is spread over several runs without."""
    spread = len(set(getattr(checkpoint.model, "hf_device_map", {}).values())) > 1
    return (checkpoint.device.type == "cuda" if fixed is None else fixed) and not spread


def _fixed_shapes(checkpoint: Checkpoint, reader: Reader) -> FixedShapes:
    free = available_bytes(checkpoint.device)
    return FixedShapes(reader, int(_FIXED_SHARE * free), capture=checkpoint.device.type == "cuda")


def _shared_length(prompt: Prompt) -> int:
    """Tokens up to the end mark of the last picture; 0 without pictures."""
    last = max((place for place, block in enumerate(prompt.blocks) if block != TEXT), default=-2)
    return last + 2
