"""Patches are those of transformers' own processor, which cuts on the CPU with PIL."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamer.errors import ModelError, OptionError
from streamer.gemma.budget import size_for, token_count
from streamer.gemma.preprocess import ImageSettings, preprocess, stack
from streamer.models.base import BUDGETS

MERGED = ImageSettings(merged=True)


def theirs(image: NDArray[np.uint8], budget: int, **options: Any) -> Any:
    from transformers import Gemma4ImageProcessorPil

    return Gemma4ImageProcessorPil()([image], max_soft_tokens=budget, return_tensors="pt", **options)


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture as cameras make them: no detail finer than a few pixels."""
    small = noise(max(2, width // 12), max(2, height // 12), seed)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("budget", BUDGETS[:4])
@pytest.mark.parametrize("source", [(1920, 1080), (480, 640), (500, 500)])
def test_a_picture_of_the_budgets_size_is_cut_without_any_difference(source: tuple[int, int], budget: int) -> None:
    image = noise(*size_for(source, budget))
    expected = theirs(image, budget, do_resize=False)
    patches = preprocess(image, budget)
    values, positions = stack([patches], budget * 9)
    assert torch.equal(values, expected["pixel_values"])
    assert torch.equal(positions, expected["image_position_ids"])
    assert patches.soft_tokens == int(expected["num_soft_tokens_per_image"][0]) == token_count(source, budget)


@pytest.mark.parametrize("source", [(640, 360), (1280, 720), (333, 777), (100, 40), (1001, 33)])
@pytest.mark.parametrize("budget", [70, 280])
def test_a_resized_picture_differs_by_rounding_only(source: tuple[int, int], budget: int) -> None:
    image = smooth(*source)
    expected = theirs(image, budget)
    values, positions = stack([preprocess(image, budget)], budget * 9)
    assert torch.equal(positions, expected["image_position_ids"])
    difference = (values - expected["pixel_values"]).abs() * 255
    assert difference.max() < 2.5
    assert difference.mean() < 0.1


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 700), st.integers(8, 700), st.sampled_from([70, 140]))
def test_any_size_gives_their_positions_and_counts(width: int, height: int, budget: int) -> None:
    image = smooth(width, height)
    expected = theirs(image, budget)
    patches = preprocess(image, budget)
    assert torch.equal(stack([patches], budget * 9)[1], expected["image_position_ids"])
    assert patches.soft_tokens == int(expected["num_soft_tokens_per_image"][0])


def test_the_unified_model_gets_one_patch_a_soft_token() -> None:
    """Its processor cuts 16-pixel patches and merges 3 x 3 of them; the result is the 48-pixel square itself."""
    image = noise(528, 288)
    patches = preprocess(image, 70, MERGED)
    assert patches.values.shape == (66, 48 * 48 * 3)
    assert patches.soft_tokens == 66
    square = image[48:96, 96:144].reshape(-1)
    number = 1 * 11 + 2
    assert patches.positions[number].tolist() == [2, 1]
    assert torch.equal(patches.values[number], torch.from_numpy(square.astype(np.float64) / 255).float())


def test_a_read_only_or_mirrored_array_is_taken_as_it_is() -> None:
    image = noise(528, 288)
    frozen = image.copy()
    frozen.setflags(write=False)
    mirrored = image[:, ::-1]
    assert torch.equal(preprocess(frozen, 70).values, preprocess(image, 70).values)
    assert torch.equal(preprocess(mirrored, 70).values, preprocess(mirrored.copy(), 70).values)


def test_the_picture_is_left_as_it_was() -> None:
    image = noise(528, 288)
    before = image.copy()
    preprocess(image, 70)
    np.testing.assert_array_equal(image, before)


def test_every_level_is_scaled_as_in_double_precision() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(48 * 48 * 3 * 66 // 256 + 1)[: 528 * 288 * 3].reshape(288, 528, 3)
    for scale in (1 / 255, 1 / 256, 0.00392):
        values = preprocess(levels, 70, ImageSettings(scale=scale)).values
        expected = torch.from_numpy((np.arange(256) * scale).astype(np.float32))
        assert set(values.flatten().tolist()) <= set(expected.tolist())


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((48, 48), np.uint8),
        np.zeros((48, 48, 4), np.uint8),
        np.zeros((48, 48, 3), np.float32),
        np.zeros((0, 48, 3), np.uint8),
    ],
)
def test_another_array_is_refused(image: NDArray[Any]) -> None:
    with pytest.raises(OptionError, match="uint8 RGB"):
        preprocess(image, 70)


def test_settings_come_from_the_processors_configuration() -> None:
    config = {"patch_size": 14, "pooling_kernel_size": 2, "rescale_factor": 0.5, "do_normalize": False}
    assert ImageSettings.from_config("m", config) == ImageSettings(14, 2, 0.5)
    assert ImageSettings.from_config("m", {}) == ImageSettings()
    with pytest.raises(ModelError, match="do_normalize"):
        ImageSettings.from_config("m", {"do_normalize": True})
