"""A checkpoint of E2B's shape with random weights, as large as wanted; tokenizer and vision tower are like tiny's."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from common import ROOT
from transformers import AutoConfig, Gemma4ForConditionalGeneration

TINY = ROOT / "streamer" / "gemma" / "tiny"


def write_random_e2b(folder: Path, *, million: int = 300, seed: int = 0) -> int:
    """Writes it in the hub's layout and returns its number of parameters, about ``million`` millions."""
    wide = 1024 if million >= 200 else 320
    config = AutoConfig.from_pretrained(TINY)
    text = config.text_config
    text.update(
        {
            "hidden_size": wide,
            "intermediate_size": 4 * wide,
            "num_hidden_layers": 15,
            "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 3,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
            "head_dim": 128,
            "global_head_dim": 256,
            "sliding_window": 512,
            "num_kv_shared_layers": 8,
            "use_double_wide_mlp": True,
            "hidden_size_per_layer_input": 64,
        }
    )
    torch.manual_seed(seed)
    network = Gemma4ForConditionalGeneration(config).float()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("q_norm.weight", "k_norm.weight")):
                parameter.fill_(2.5 * parameter.numel() ** -0.25)
            elif name.endswith(("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")):
                parameter.fill_(4.0)
            elif parameter.ndim > 1:
                parameter.normal_(std=parameter.shape[-1] ** -0.5)
    network.to(torch.bfloat16).save_pretrained(folder)
    for path in TINY.iterdir():
        if path.name not in ("config.json", "model.safetensors", "README.md"):
            shutil.copy(path, folder)
    return sum(parameter.numel() for parameter in network.parameters())
