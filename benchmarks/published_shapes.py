"""The configurations of the published checkpoints, rebuilt from what is known of them; without audio. Nothing is
downloaded and nothing allocated: only their bytes can be counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, Gemma4Config

from streamer.gemma.quantise import BITS, pack_layers, weight_bytes

_SMALL_VISION = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 16, "num_attention_heads": 12}
_LARGE_VISION = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
_WIDE = {
    "attention_k_eq_v": True,
    "hidden_size_per_layer_input": 0,
    "sliding_window": 1024,
    "use_bidirectional_attention": "vision",
}
SHAPES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], int]] = {
    "E2B": (
        {"hidden_size": 1536, "num_hidden_layers": 35, "intermediate_size": 6144, "num_attention_heads": 8,
         "num_key_value_heads": 1, "num_kv_shared_layers": 20, "use_double_wide_mlp": True},
        _SMALL_VISION, 4,
    ),
    "E4B": (
        {"hidden_size": 2560, "num_hidden_layers": 42, "intermediate_size": 10_240, "num_attention_heads": 8,
         "num_key_value_heads": 2, "num_kv_shared_layers": 18},
        _SMALL_VISION, 5,
    ),
    "26B-A4B": (
        {"hidden_size": 2816, "num_hidden_layers": 30, "intermediate_size": 2112, "num_attention_heads": 16,
         "num_key_value_heads": 8, "num_global_key_value_heads": 2, "enable_moe_block": True, "num_experts": 128,
         "top_k_experts": 8, "moe_intermediate_size": 704, **_WIDE},
        _LARGE_VISION, 5,
    ),
    "31B": (
        {"hidden_size": 5376, "num_hidden_layers": 60, "intermediate_size": 21_504, "num_attention_heads": 32,
         "num_key_value_heads": 16, "num_global_key_value_heads": 4, **_WIDE},
        _LARGE_VISION, 5,
    ),
}  # fmt: skip
"""Of the text model, of the vision tower, and how many layers with a window come before a global one."""


def published(name: str, quantize: str | None) -> tuple[int, float]:
    """Bytes of the weights in bf16, or with packed layers; and which part of the numbers is not packed."""
    with torch.device("meta"):
        network = AutoModelForImageTextToText.from_config(configuration(name))
    total = sum(parameter.numel() for parameter in network.parameters())
    if quantize is not None:
        pack_layers(network, BITS[quantize])
    kept = sum(parameter.numel() for parameter in network.parameters())
    return weight_bytes(network, torch.bfloat16), kept / total


def configuration(name: str) -> Any:
    text, vision, local = SHAPES[name]
    layers = text["num_hidden_layers"]
    kinds = (["sliding_attention"] * local + ["full_attention"]) * layers
    heads = {"head_dim": 256, "global_head_dim": 512, "layer_types": kinds[:layers]}
    seen = {**vision, "num_key_value_heads": vision["num_attention_heads"], "global_head_dim": 64}
    tower = AutoConfig.for_model("gemma4_vision", **seen).to_dict()
    return Gemma4Config(text_config={**text, **heads}, vision_config=tower, audio_config=None)
