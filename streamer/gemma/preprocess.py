"""Pictures to patches, on the device, as the checkpoint's own image processor makes them; torchvision not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch.nn import functional

from streamer.errors import ModelError, OptionError
from streamer.gemma.budget import is_target_size, size_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What a checkpoint's processor configuration says about pictures."""

    patch_pixels: int = 16
    pooling: int = 3
    """Patches along each side of one soft token."""
    scale: float = 1 / 255
    """A pixel's 0..255 times this is what the model sees."""
    merged: bool = False
    """True for ``gemma4_unified``: the patches of one soft token reach the model as one patch of 48 x 48 pixels."""

    @classmethod
    def from_config(cls, model: str, config: Mapping[str, Any], *, merged: bool = False) -> Self:
        """From the image part of ``processor_config.json`` or from ``preprocessor_config.json``.

        Raises `ModelError` where it asks for something that Gemma 4's processors do not do.
        """
        unusual = [key for key in ("do_normalize", "do_pad", "do_center_crop") if config.get(key)]
        if unusual or not config.get("do_rescale", True) or not config.get("do_resize", True):
            raise ModelError(model, f"its image processor is not Gemma 4's ({', '.join(unusual) or 'no resizing'})")
        return cls(
            patch_pixels=int(config.get("patch_size") or 16),
            pooling=int(config.get("pooling_kernel_size") or 3),
            scale=float(config.get("rescale_factor") or 1 / 255),
            merged=merged,
        )

    @property
    def unit(self) -> int:
        """Side of one soft token, in pixels."""
        return self.patch_pixels * self.pooling

    @property
    def model_patch(self) -> int:
        """Side of the patches that the model takes, in pixels."""
        return self.unit if self.merged else self.patch_pixels

    @property
    def patches_per_token(self) -> int:
        return 1 if self.merged else self.pooling**2


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """One picture as the vision tower takes it, without padding."""

    values: torch.Tensor
    """``(patches, side * side * 3)`` float32, each patch flattened as (y, x, channel), row by row."""
    positions: torch.Tensor
    """``(patches, 2)`` int64: column and row of each patch."""
    soft_tokens: int


def preprocess(
    image: NDArray[np.uint8],
    budget: int,
    settings: ImageSettings | None = None,
    device: torch.device | str = "cpu",
) -> Patches:
    """Cuts ``(H, W, 3)`` uint8 RGB into patches, resized first unless it has a size of the budget already.

    The bytes travel to the device before anything is done with them. Raises `OptionError` for another shape, type
    or budget.
    """
    settings = settings or ImageSettings()
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype.name != "uint8" or 0 in image.shape:
        raise OptionError("picture", f"{image.dtype} {image.shape}", "uint8 RGB of the shape (height, width, 3)")
    width, height = size = (image.shape[1], image.shape[0])
    pixels = _on(_tensor(image), torch.device(device))
    if not is_target_size(size, budget, patch_pixels=settings.patch_pixels, pooling=settings.pooling):
        width, height = size_for(size, budget, patch_pixels=settings.patch_pixels, pooling=settings.pooling)
        pixels = _resized(pixels, width, height)
    side = settings.model_patch
    rows, columns = height // side, width // side
    cut = pixels.reshape(rows, side, columns, side, 3).transpose(1, 2).reshape(rows * columns, side * side * 3)
    return Patches(
        _scaled(cut, settings.scale),
        _positions(rows, columns, pixels.device),
        rows * columns // settings.patches_per_token,
    )


def stack(patches: Sequence[Patches], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``pixel_values (n, length, side * side * 3)`` and ``image_position_ids (n, length, 2)``.

    Padded behind each picture's own patches with zeros and positions of -1, as the image processors do.
    """
    values = [functional.pad(one.values, (0, 0, 0, length - len(one.values))) for one in patches]
    positions = [functional.pad(one.positions, (0, 0, 0, length - len(one.positions)), value=-1) for one in patches]
    return torch.stack(values), torch.stack(positions)


def _tensor(image: NDArray[np.uint8]) -> torch.Tensor:
    """The array's bytes where torch can share them; a copy where it cannot (read-only, negative strides)."""
    if image.flags.writeable and min(image.strides) >= 0:
        return torch.from_numpy(image)
    return torch.from_numpy(image.copy())


def _on(pixels: torch.Tensor, device: torch.device) -> torch.Tensor:
    """On its way to the device, by memory that a GPU reads by itself."""
    return (pixels.pin_memory() if device.type == "cuda" else pixels).to(device, non_blocking=True)


def _resized(pixels: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """``(H, W, 3)`` uint8 resized: bicubic with antialias, rounded to whole levels like the processors' own."""
    planes = pixels.permute(2, 0, 1)[None]
    if pixels.device.type != "cpu":
        planes = planes.float()
    planes = functional.interpolate(planes, (height, width), mode="bicubic", antialias=True)
    if planes.dtype != torch.uint8:
        planes = planes.round_().clamp_(0, 255).to(torch.uint8)
    return planes[0].permute(1, 2, 0)


def _scaled(pixels: torch.Tensor, scale: float) -> torch.Tensor:
    """Float32, equal to the last bit to a product in double precision (for 1/255 a float32 division is)."""
    if scale == 1 / 255:
        return pixels.float().div_(255)
    levels = (torch.arange(256, dtype=torch.float64) * scale).float().to(pixels.device)
    return levels[pixels.int()]


def _positions(rows: int, columns: int, device: torch.device) -> torch.Tensor:
    number = torch.arange(rows * columns, device=device)
    return torch.stack((number % columns, number // columns), dim=-1)
