"""The stages of training `tiny`, on the clock: each ends when it was told to and goes on where it stopped."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch
from backdrops import Pixels
from safetensors.torch import load_file
from scenes import Scene, draw, random_scene, varied
from tiny_language import ROOM, Packed, Packer, answer_loss, chosen_exchanges, collate, embed, look_loss
from tiny_model import build_model, build_tokenizer, number_ids, save
from tiny_optimiser import Optimiser, Schedule
from tiny_questions import Exchange, compare_exchange, exchanges
from tiny_tower import BUDGET_SIZES, NUMBERS_A_PATCH, Auxiliary, Target, Tower, Window, target_of, to_patches
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import Gemma4ForConditionalGeneration

from streamer.gemma.devices import bf16_is_fast

BATCH = {70: 16, 140: 8, 280: 4, 560: 2}
JOINT_BATCH = {70: 12, 140: 8, 280: 4, 560: 2}
TALK_BATCH = {70: 16, 140: 12, 280: 8, 560: 4}
"""Pictures a step by budget: for the tower, for both parts together, and for the text model alone."""
REUSE = 4
"""How often a picture's soft tokens are used, with other questions each time, while the tower stands still."""
SHELF = 120
"""Batches of soft tokens to choose from, so that the same pictures do not come one after the other."""
AUXILIARY_WEIGHT = {"patch": 1.0, "edges": 1.0, "place": 0.5, "glyph": 1.0, "centre": 0.25, "box": 0.5, "letters": 0.5}


def numbers_format() -> torch.autocast:
    """bf16 for the forwards where this CPU multiplies it faster, fp32 elsewhere; the weights are fp32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=bf16_is_fast(512))


class TinyTrainer:
    """The model, what trains it and where it is kept; one for all stages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokenizer = build_tokenizer()
        self.model = build_model(self.tokenizer)
        text, vision = self.model.config.text_config, self.model.config.vision_config
        self.auxiliary = Auxiliary(text.hidden_size, vision.hidden_size)
        self.numbers = torch.tensor(number_ids(self.tokenizer))
        self.tower = Tower(self.model)
        self.modules = nn.ModuleDict({"model": self.model, "auxiliary": self.auxiliary})
        self.adopted = False
        """Whether the text model's training began with one that speaks."""

    @property
    def number_embeddings(self) -> Tensor:
        """``(1001, hidden)``"""
        weight: Tensor = self.model.model.language_model.embed_tokens.weight
        return weight[self.numbers]

    def load(self, name: str) -> dict[str, Any] | None:
        path = self.folder / f"{name}.pt"
        if not path.exists():
            return None
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.modules.load_state_dict(state["modules"])
        self.adopted = state.get("adopted", False)
        return state

    def adopt(self, folder: Path) -> None:
        """Goes on from an exported checkpoint's weights; the auxiliary heads, which are not shipped, start anew."""
        weights = load_file(folder / "model.safetensors")
        missing, unexpected = self.model.load_state_dict(weights, strict=False)
        if unexpected or set(missing) != {"lm_head.weight"}:
            raise SystemExit(f"{folder} is not of this shape: {unexpected or missing}")
        self.adopted = True

    def store(self, name: str, **more: Any) -> None:
        path = self.folder / f"{name}.pt"
        torch.save({"modules": self.modules.state_dict(), "adopted": self.adopted, **more}, path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)


# --- the tower --------------------------------------------------------------------------------------------------


class TowerPictures(IterableDataset[Any]):
    """Batches ``(window, patches uint8, target)`` of one budget each, drawn without end."""

    def __init__(self, seed: int, phase: TowerPhase) -> None:
        self._seed, self._phase = seed, phase

    def __iter__(self) -> Iterator[tuple[Window, Tensor, Target]]:
        info = torch.utils.data.get_worker_info()
        rng = random.Random(self._seed * 1000 + (info.id if info else 0))
        while True:
            _, most, budgets, whole = self._phase
            budget = rng.choices(list(budgets), list(budgets.values()))[0]
            window = Window.whole(budget) if whole else Window.part(rng, budget)
            yield tower_batch(rng, window, BATCH[budget if whole else 70], most)


def tower_batch(rng: random.Random, window: Window, count: int, most: tuple[int, int]) -> tuple[Window, Tensor, Target]:
    size = window.size
    scenes = []
    for _ in range(count):
        spelled = rng.random() < 0.5  # signs are the hardest to learn: half of the pictures are full of them
        scenes.append(
            random_scene(
                rng,
                aspect=size[0] / size[1],
                things=(4, 8) if spelled else most,
                sign_share=0.7 if spelled else 0.35,
                most_signs=6 if spelled else 1,
                spelled=spelled,
                zoom=window.zoom,
            )
        )
    images = [disturbed(rng, draw(scene, size)) for scene in scenes]
    patches = to_patches(images)
    return window, patches, target_of(scenes, window)


def disturbed(rng: random.Random, image: Pixels) -> Pixels:
    """As a camera and a codec would: brightness, a little blur, JPEG blocks."""
    if rng.random() < 0.5:
        image = cv2.convertScaleAbs(image, alpha=rng.uniform(0.85, 1.15), beta=rng.uniform(-14, 14))
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (3, 3), rng.uniform(0.3, 0.8))
    if rng.random() < 0.35:
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(50, 92)])
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR)  # type: ignore[assignment]
    return image


TowerPhase = tuple[float, tuple[int, int], dict[int, float], bool]
TOWER_PHASES: tuple[TowerPhase, ...] = (
    (0.10, (1, 3), {70: 1.0}, False),
    (0.85, (3, 8), {70: 0.4, 140: 0.25, 280: 0.25, 560: 0.1}, False),
    (1.00, (1, 8), {70: 0.6, 140: 0.2, 280: 0.15, 560: 0.05}, True),
)
"""Until which share of the stage, how many objects, which budgets how often, on whole pictures or on windows."""


def train_tower(trainer: TinyTrainer, minutes: float, peak: float) -> None:
    state = trainer.load("tower")
    parameters = [
        (name, p)
        for name, p in trainer.modules.named_parameters()
        if "language_model" not in name and "lm_head" not in name
    ]
    optimiser = Optimiser(parameters)
    schedule = Schedule(minutes, state["spent"] if state else 0.0, peak=peak)
    if state:
        optimiser.restore(state["optimiser"])
    trainer.model.config.vision_config._attn_implementation = "eager"  # compiles to less than sdpa's backward costs
    tower = torch.compile(trainer.tower, dynamic=False)
    numbers = trainer.number_embeddings.detach()
    step, seen, saved, shown = 0, 0, time.monotonic(), time.monotonic()
    sums: dict[str, float] = {}
    for phase in TOWER_PHASES:
        share, _, budgets, _ = phase
        if schedule.share >= share:
            continue
        pictures = TowerPictures(int(schedule.spent) + 1, phase)
        for window, patches, target in DataLoader(pictures, batch_size=None, num_workers=1, prefetch_factor=4):
            with numbers_format():
                soft, states = tower(patches, window.places(), window.rows, window.columns)
            losses = trainer.auxiliary(soft, states, target, numbers)
            loss = sum(AUXILIARY_WEIGHT[name] * value for name, value in losses.items())
            torch.autograd.backward(loss)
            optimiser.step(schedule.rate)
            step, seen = step + 1, seen + len(patches)
            for name, value in losses.items():
                sums[name] = 0.98 * sums.get(name, value.item()) + 0.02 * value.item()
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                report = {name: round(value, 3) for name, value in sums.items()}
                quality = {b: tower_quality(trainer, Window.part(random.Random(1), b), 12) for b in budgets}
                told = {"spent": int(schedule.spent), "step": step, "seen": seen, "quality": quality}
                print(json.dumps({**told, **report}), flush=True)
            if time.monotonic() - saved > 240 or schedule.share >= 1:
                saved = time.monotonic()
                trainer.store("tower", optimiser=optimiser.state(), spent=schedule.spent)
            if schedule.share >= share:
                break


@torch.no_grad()
def tower_quality(trainer: TinyTrainer, window: Window, count: int) -> str:
    """On fresh pictures, at the soft tokens that hold a centre: class right, mean box error (patches), letters."""
    _, patches, target = tower_batch(random.Random(987654), window, count, (1, 8))
    with numbers_format():
        soft, _ = trainer.tower(patches, window.places(), window.rows, window.columns)
    soft = soft.float()
    chosen = soft[target.picture, target.token]
    wanted = target.centre[target.picture, target.token]
    named = trainer.auxiliary.centre(chosen)
    right = wanted.gather(1, named.argmax(1, keepdim=True)).mean().item()
    box, logits = trainer.auxiliary.boxes(chosen, trainer.number_embeddings)
    off = (box - target.box).abs().mean().item()
    off_number = (logits.argmax(-1) / NUMBERS_A_PATCH - target.box).abs().mean().item()
    found = (trainer.auxiliary.centre(soft) > 0) == (target.centre > 0)
    wrong = (~found).sum().item() / len(target.token)
    signs = target.letters[:, 0] >= 0
    read = trainer.auxiliary.letters(chosen[signs]).view(-1, 6, 27).argmax(-1) == target.letters[signs]
    letters = read.float().mean().item() if signs.any() else float("nan")
    return f"class {right:.2f} wrong {wrong:.2f} box {off:.2f} {off_number:.2f} letters {letters:.2f}"


# --- the text model, then both ----------------------------------------------------------------------------------


LOOKING = (2, 3, 4)
"""Layers whose first head is taught where to look."""


class TextModel(nn.Module):
    """The text model's layers on packed sequences, without a cache, so that they compile to few kernels."""

    def __init__(self, model: Gemma4ForConditionalGeneration) -> None:
        super().__init__()
        self.text = model.model.language_model

    def forward(self, states: Tensor, mask: Tensor, position: Tensor) -> tuple[Tensor, list[Tensor]]:
        """``(B, L, hidden)`` of the last layer, and the first head's attention ``(B, L, L)`` in each of the layers
        `LOOKING`; ``mask``: ``(B, 1, L, L)`` to be added to the scores."""
        types = self.text.config.layer_types
        rotary = {kind: self.text.rotary_emb(states, position, kind) for kind in set(types)}
        attention = []
        for number, (kind, layer) in enumerate(zip(types, self.text.layers, strict=True)):
            seen, weights = layer.self_attn(
                hidden_states=layer.input_layernorm(states), position_embeddings=rotary[kind], attention_mask=mask,
                shared_kv_states={}, position_ids=position,
            )  # fmt: skip
            states = states + layer.post_attention_layernorm(seen)
            thought = layer.mlp(layer.pre_feedforward_layernorm(states))
            states = (states + layer.post_feedforward_layernorm(thought)) * layer.layer_scalar
            if number in LOOKING and weights is not None:  # sdpa keeps them to itself
                attention.append(weights[:, 0])
        return self.text.norm(states), attention


class Conversations(IterableDataset[Any]):
    """Batches ``(budget, pictures a sequence, patches uint8, target, packed)`` without end; ``packed`` holds as many
    sets of questions about the same pictures as ``repeats`` says."""

    def __init__(
        self,
        seed: int,
        packer: Packer,
        phase: tuple[tuple[int, int], dict[int, float], float],
        sizes: dict[int, int],
        repeats: int,
    ) -> None:
        self._seed, self._packer, self._sizes, self._repeats = seed, packer, sizes, repeats
        self._most, self._budgets, self._pairs = phase

    def __iter__(self) -> Iterator[tuple[int, int, Tensor, Target, list[list[Packed]]]]:
        info = torch.utils.data.get_worker_info()
        rng = random.Random(self._seed * 1000 + 500 + (info.id if info else 0))
        while True:
            budget = rng.choices(list(self._budgets), list(self._budgets.values()))[0]
            yield self._batch(rng, budget, rng.random() < self._pairs and budget <= 140)

    def _batch(
        self, rng: random.Random, budget: int, pairs: bool
    ) -> tuple[int, int, Tensor, Target, list[list[Packed]]]:
        size = BUDGET_SIZES[budget]
        aspect = size[0] / size[1]
        grids = [(size[1] // 48, size[0] // 48)] * (1 + pairs)
        groups = []
        for _ in range(max(1, self._sizes[budget] // (1 + pairs))):
            scene = random_scene(rng, aspect=aspect, things=self._most)
            groups.append([scene, varied(rng, scene, aspect=aspect)] if pairs else [scene])
        packed = [
            [self._packer.pack(grids, self._asked(rng, group, aspect), ROOM[budget]) for group in groups]
            for _ in range(self._repeats)
        ]
        scenes = [scene for group in groups for scene in group]
        patches = to_patches([disturbed(rng, draw(scene, size)) for scene in scenes])
        return budget, 1 + pairs, patches, target_of(scenes, Window.whole(budget)), packed

    def _asked(self, rng: random.Random, group: list[Scene], aspect: float) -> list[Exchange]:
        if len(group) == 2:
            return [compare_exchange(rng, *group)]
        return chosen_exchanges(rng, exchanges(rng, group[0], aspect))


Phase = tuple[float, tuple[int, int], dict[int, float], float]
LANGUAGE_PHASES: tuple[Phase, ...] = (
    (0.12, (1, 2), {70: 1.0}, 0.0),
    (0.45, (1, 4), {70: 1.0}, 0.05),
    (1.00, (1, 8), {70: 0.4, 140: 0.25, 280: 0.35}, 0.1),
)
JOINT_PHASES: tuple[Phase, ...] = ((1.00, (1, 8), {70: 0.4, 140: 0.25, 280: 0.33, 560: 0.02}, 0.1),)
"""Until which share of the stage, how many objects, which budgets how often, share of pairs to compare."""


def train_language(trainer: TinyTrainer, minutes: float, peak: float, *, joint: bool) -> None:
    """With ``joint`` the tower learns too, kept by its own loss; without, it is frozen."""
    name, before = ("joint", "language") if joint else ("language", "tower")
    state = trainer.load(name)
    if state is None and trainer.load(before) is None:
        raise SystemExit(f"no checkpoint of the stage {before!r} in {trainer.folder}: run that first")
    parameters = [
        (name, p)
        for name, p in trainer.modules.named_parameters()
        if joint or "language_model" in name or name.startswith("auxiliary")
    ]
    optimiser = Optimiser(parameters)
    if state:
        optimiser.restore(state["optimiser"])
    schedule = Schedule(minutes, state["spent"] if state else 0.0, peak=peak)
    packer = Packer(trainer.tokenizer)
    trainer.model.config.vision_config._attn_implementation = "eager"
    trainer.model.config.text_config._attn_implementation = "eager"
    tower, text = torch.compile(trainer.tower, dynamic=False), torch.compile(TextModel(trainer.model), dynamic=False)
    shelf: list[tuple[int, int, Tensor, list[list[Packed]]]] = []
    dice = random.Random(int(schedule.spent) + 3)
    step, seen, saved, shown = 0, 0, time.monotonic(), time.monotonic()
    sums: dict[str, float] = {}
    for share, *phase in phases_of(trainer, joint):
        if schedule.share >= share:
            continue
        conversations = Conversations(
            int(schedule.spent) + 7 * joint + 1,
            packer,
            tuple(phase),  # type: ignore[arg-type]
            JOINT_BATCH if joint else TALK_BATCH,
            1 if joint else REUSE,
        )
        data = iter(DataLoader(conversations, batch_size=None, num_workers=1, prefetch_factor=4))
        while schedule.share < share:
            loss, report = torch.zeros(()), {}
            if joint or len(shelf) < SHELF:
                budget, pictures, patches, target, packs = next(data)
                window = Window.whole(budget)
                with numbers_format(), torch.set_grad_enabled(joint):
                    soft, states = tower(patches, window.places(), window.rows, window.columns)
                losses = trainer.auxiliary(soft, states, target, trainer.number_embeddings.detach())
                loss = 0.25 * sum(AUXILIARY_WEIGHT[key] * value for key, value in losses.items())
                report = {f"box{budget}": losses["box"].item()} if "box" in losses else {}
                shelf.append((budget, pictures, soft, packs))
                seen += len(patches)
            place = len(shelf) - 1 if joint else dice.randrange(len(shelf))
            budget, pictures, soft, packs = shelf[place]
            batch = collate(packs.pop(), ROOM[budget])
            if not packs:
                del shelf[place]
            with numbers_format():
                embedded = embed(trainer.model, batch, soft, packer.image_id)
                mask = torch.zeros(batch.mask.shape, dtype=embedded.dtype).masked_fill_(~batch.mask, -1e9)
                hidden, attention = text(embedded, mask, batch.position)
                said, told = answer_loss(trainer.model, hidden, batch, trainer.numbers)
            loss, report = loss + said, report | told
            if len(batch.row):
                look = torch.stack([look_loss(weights, batch) for weights in attention]).mean()
                loss, report["look"] = loss + 0.45 * look, look.item()
            torch.autograd.backward(loss)
            optimiser.step(schedule.rate)
            step += 1
            kind = f"{budget}x{pictures}"
            report = {f"{key} {kind}": value for key, value in report.items()}
            for key, value in report.items():
                sums[key] = 0.97 * sums.get(key, value) + 0.03 * value
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                log = {key: round(value, 3) for key, value in sorted(sums.items())}
                print(json.dumps({"spent": int(schedule.spent), "step": step, "seen": seen, **log}), flush=True)
            if time.monotonic() - saved > 240 or schedule.share >= 1:
                saved = time.monotonic()
                trainer.store(name, optimiser=optimiser.state(), spent=schedule.spent)


def phases_of(trainer: TinyTrainer, joint: bool) -> Sequence[Phase]:
    """A text model that speaks already needs no easy beginning."""
    return JOINT_PHASES if joint else LANGUAGE_PHASES[-1:] if trainer.adopted else LANGUAGE_PHASES


def export(trainer: TinyTrainer, folder: Path) -> None:
    """The newest stage's weights in the hub's layout."""
    for name in ("joint", "language", "tower"):
        if trainer.load(name):
            save(trainer.model, trainer.tokenizer, folder)
            return
    raise SystemExit(f"no checkpoint in {trainer.folder}")
