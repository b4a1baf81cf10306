"""HDR pictures for eyes and models that know SDR: PQ and HLG in BT.2020 become 8-bit sRGB.

libswscale converts matrices but does not map tones, and PyAV's wheels lack FFmpeg's ``zscale``, so this runs in numpy
on the picture already scaled down. Light is taken relative to reference white (203 cd/m2, ITU-R BT.2408), moved to
BT.709's primaries, and what is brighter than white is compressed by the extended Reinhard curve up to `PEAK_NITS`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Transfer = Literal["pq", "hlg"]
WHITE_NITS = 203.0
PEAK_NITS = 1000.0
_CODES = 4096
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
"""Linear BT.2020 RGB to linear BT.709 RGB (ITU-R BT.2087)."""


def tone_map(image: NDArray[np.uint16], transfer: Transfer) -> NDArray[np.uint8]:
    """``(H, W, 3)`` uint16 non-linear BT.2020 RGB (full 16-bit range) to ``(H, W, 3)`` uint8 sRGB."""
    light = _to_light(transfer)[image >> 4]
    if transfer == "hlg":
        light *= _hlg_system_gamma(light)
    light = np.clip(light @ _TO_BT709.T, 0, None)
    peak = light.max(axis=2, keepdims=True)
    light *= _compressed(peak) / np.maximum(peak, 1e-6)
    codes = np.clip(light * (_CODES - 1) + 0.5, 0, _CODES - 1).astype(np.uint16)
    return np.asarray(_to_srgb()[codes], dtype=np.uint8)


def _compressed(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """[0, peak] to [0, 1], in multiples of reference white; nearly straight where it is dark."""
    peak = PEAK_NITS / WHITE_NITS
    return np.asarray(light * (1 + light / peak**2) / (1 + light), dtype=np.float32)


def _hlg_system_gamma(scene: NDArray[np.float32]) -> NDArray[np.float32]:
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
    relative = np.maximum(luminance * np.float32(WHITE_NITS / PEAK_NITS), 1e-6)
    return np.asarray(relative**0.2, dtype=np.float32)[..., None]


@lru_cache
def _to_light(transfer: Transfer) -> NDArray[np.float32]:
    """Light in multiples of reference white for each 12-bit code."""
    signal = np.linspace(0, 1, _CODES)
    nits = _pq_nits(signal) if transfer == "pq" else _hlg_scene(signal) * PEAK_NITS
    return (nits / WHITE_NITS).astype(np.float32)


def _pq_nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = signal ** (1 / m2)
    return 10000.0 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


def _hlg_scene(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """ARIB STD-B67: scene light in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


@lru_cache
def _to_srgb() -> NDArray[np.uint8]:
    light = np.linspace(0, 1, _CODES)
    signal = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(signal * 255), dtype=np.uint8)
