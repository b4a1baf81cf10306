"""The scene generator, the questions, and the training's own forward of the vision tower."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
FONTS = (
    Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"),
)
pytestmark = pytest.mark.skipif(
    not all(font.exists() for font in FONTS), reason="needs fonts-noto-color-emoji and fonts-dejavu-core"
)
sys.path.insert(0, str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def tiny_parts() -> tuple[Any, Any]:
    from tiny_model import build_model, build_tokenizer

    tokenizer = build_tokenizer()
    return tokenizer, build_model(tokenizer).eval()


def test_a_seed_draws_the_same_scene_again() -> None:
    from scenes import draw, random_scene

    scenes = [random_scene(random.Random(7)) for _ in range(2)]
    assert scenes[0] == scenes[1]
    assert np.array_equal(draw(scenes[0], (528, 288)), draw(scenes[1], (528, 288)))
    assert scenes[0] != random_scene(random.Random(8))


def test_things_keep_to_the_promised_sizes_counts_and_places() -> None:
    from scenes import LARGEST, SMALLEST, random_scene

    rng, aspect = random.Random(1), 16 / 9
    for _ in range(200):
        scene = random_scene(rng)
        assert 1 <= len(scene.things) <= 8
        for thing in scene.things:
            longer = max(thing.width, thing.width / thing.sprite_aspect)
            assert SMALLEST * 0.99 <= longer <= LARGEST * 1.01
            assert thing.visible(aspect) > 0.55


def test_boxes_enclose_what_is_drawn_and_nothing_else() -> None:
    """The picture with the thing differs from the picture without it inside its box, and only there."""
    from dataclasses import replace

    from scenes import draw, random_scene

    rng, size = random.Random(3), (1056, 576)
    for _ in range(20):
        scene = random_scene(rng, things=(1, 1))
        with_it, without = draw(scene, size), draw(replace(scene, things=()), size)
        rows, columns = np.nonzero((with_it != without).any(2))
        x1, y1, x2, y2 = (value * side for value, side in zip(scene.things[0].box(16 / 9), size * 2, strict=True))
        slack = 3 + 0.02 * max(x2 - x1, y2 - y1)  # glyphs end in a soft edge
        assert abs(columns.min() - x1) < slack
        assert abs(columns.max() + 1 - x2) < slack
        assert abs(rows.min() - y1) < slack
        assert abs(rows.max() + 1 - y2) < slack


def test_answers_say_what_is_in_the_scene() -> None:
    from scenes import Scene, Thing
    from tiny_questions import caption, changes, detections

    from streamer.gemma.parsing import parse_detections

    car, dog = Thing("car", 0.3, 0.5, 0.2), Thing("dog", 0.7, 0.5, 0.1)
    scene = Scene("park", "night", 1, (dog, car, Thing("car", 0.8, 0.8, 0.2)))
    assert caption(scene) == "A park at night with two cars and a dog."
    assert [d.label for d in parse_detections(detections(scene, ("car", "dog"))).detections] == ["car", "dog", "car"]
    assert parse_detections(detections(scene, ("cat",))).detections == ()
    assert changes(scene, Scene("park", "night", 1, (car,))) == "Gone: a car and a dog."
    assert changes(scene, scene) == "Nothing has changed."


def test_the_tokenizer_takes_numbers_whole_and_any_text_back() -> None:
    from tiny_model import build_tokenizer
    from tiny_questions import exchanges

    tokenizer = build_tokenizer()
    for number in (0, 7, 42, 999, 1000):
        assert len(tokenizer(str(number), add_special_tokens=False).input_ids) == 1
    for text in ("Où est le café ? 😀", "detect person and car, output only ```json", "  two  spaces\n\nlines "):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
    from scenes import random_scene

    rng = random.Random(5)
    for exchange in (exchange for _ in range(30) for exchange in exchanges(rng, random_scene(rng))):
        for text in (exchange.prompt, exchange.answer):
            ids = tokenizer(text, add_special_tokens=False).input_ids
            assert tokenizer.decode(ids) == text
            assert tokenizer.unk_token_id not in ids


def test_the_tower_for_training_is_the_models_own(tiny_parts: tuple[Any, Any]) -> None:
    from scenes import draw, random_scene
    from tiny_tower import Tower, Window, to_patches

    _, model = tiny_parts
    patches = to_patches([draw(random_scene(random.Random(seed)), (528, 288)) for seed in (1, 2)])
    y, x = torch.meshgrid(torch.arange(18), torch.arange(33), indexing="ij")
    positions = torch.stack([x, y], -1).view(1, -1, 2).expand(2, -1, -1)
    with torch.inference_mode():
        soft, _ = Tower(model)(patches, Window.whole(70).places(), 6, 11)
        wanted = torch.stack(model.get_image_features(patches.float() / 255, positions).pooler_output)
    torch.testing.assert_close(soft, wanted, rtol=1e-4, atol=1e-5)


def test_a_packed_exchange_sees_what_it_sees_alone(tiny_parts: tuple[Any, Any]) -> None:
    """Several exchanges in one sequence get the logits that each gets from the model in a turn of its own."""
    from tiny_language import Packer, collate, embed
    from tiny_questions import Exchange
    from tiny_training import TextModel

    tokenizer, model = tiny_parts
    packer, soft = Packer(tokenizer), torch.randn(6, 256, generator=torch.Generator().manual_seed(1))
    asked = [
        Exchange("count", "How many cars?", (("2", ()),)),
        Exchange("caption", "What do you see?", (("A park by day.", ()),)),
    ]

    def states(exchanges: list[Exchange]) -> torch.Tensor:
        batch = collate([packer.pack([(2, 3)], exchanges, 96)], 96)
        mask = torch.zeros(batch.mask.shape).masked_fill_(~batch.mask, -1e9)
        with torch.inference_mode():
            embedded = embed(model, batch, soft[None], packer.image_id)
            out: torch.Tensor = TextModel(model)(embedded, mask, batch.position)[0][batch.weight > 0]
        return out

    together, alone = states(asked), torch.cat([states([exchange]) for exchange in asked])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["street", "night", "signs"])
def test_sample_videos_show_their_ground_truth(name: str) -> None:
    """The shipped clip is what the script draws: frames in the middle equal the drawing but for compression."""
    import av
    from make_sample_videos import RATE, SIZE, night, signs, street
    from scenes import draw, truth

    clip = {"street": street, "night": night, "signs": signs}[name]()
    told = json.loads((ROOT / "sample_videos" / f"{name}.json").read_text())
    assert len(told["frames"]) == round(clip.seconds * RATE)
    with av.open(str(ROOT / "sample_videos" / f"{name}.mp4")) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % 75 == 40:
                scene = clip.scene(index / RATE)
                assert told["frames"][index] == {"index": index, "time_seconds": index / RATE, **truth(scene)}
                drawn = draw(scene, SIZE).astype(np.int16)
                assert np.abs(frame.to_ndarray(format="rgb24") - drawn).mean() < 4
        assert index + 1 == len(told["frames"])
    assert (ROOT / "sample_videos" / f"{name}.mp4").stat().st_size < 3_000_000
