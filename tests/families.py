"""Small random checkpoints shaped like each member of the Gemma 4 family, as complete folders.

The weights are random but not degenerate: attention is spread out, the logits are far apart and the answers depend on
the picture, so that equal tokens mean equal arithmetic.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import (
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4UnifiedConfig,
    Gemma4UnifiedForConditionalGeneration,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

SPECIAL = (
    "<pad>",
    "<eos>",
    "<bos>",
    "<unk>",
    "<|turn>",
    "<turn|>",
    "<|image>",
    "<|image|>",
    "<image|>",
    "<|video|>",
    "<|audio>",
    "<|audio|>",
    "<audio|>",
    "<|tool_response>",
    "<|channel>",
    "<channel|>",
    "<|think|>",
)
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|turn>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<|image|>' }}"
    "{% else %}{{ part['text'] | trim }}{% endif %}{% endfor %}{% endif %}{{ '<turn|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn>model\\n' }}{% endif %}"
)
_TEXT: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "global_head_dim": 32,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "sliding_window": 24,
    "max_position_embeddings": 4096,
    "hidden_size_per_layer_input": 0,
    "final_logit_softcapping": 30.0,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "global_head_dim": 16,
    "position_embedding_size": 3456,
}
_SHAPES: dict[str, dict[str, Any]] = {
    "E2B": {
        "num_hidden_layers": 6,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
        "num_kv_shared_layers": 3,
        "num_key_value_heads": 1,
        "hidden_size_per_layer_input": 8,
        "use_double_wide_mlp": True,
    },
    "31B": {"use_bidirectional_attention": "vision", "attention_k_eq_v": True, "num_global_key_value_heads": 1},
    "26B-A4B": {
        "use_bidirectional_attention": "vision",
        "attention_k_eq_v": True,
        "num_global_key_value_heads": 1,
        "enable_moe_block": True,
        "num_experts": 6,
        "top_k_experts": 2,
        "moe_intermediate_size": 24,
    },
    "12B": {"use_bidirectional_attention": "vision", "attention_k_eq_v": True, "num_global_key_value_heads": 1},
}
FAMILIES: tuple[str, ...] = tuple(_SHAPES)


def build(family: str, folder: Path, *, seed: int = 1, change: Callable[[Any], None] | None = None) -> Path:
    """Writes a checkpoint of that shape in the hub's layout and returns its folder. ``change`` edits the network."""
    tokenizer = build_tokenizer()
    network = build_network(family, len(tokenizer), seed)
    if change is not None:
        change(network)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ends = [SPECIAL.index(token) for token in ("<eos>", "<turn|>", "<|tool_response>")]
    GenerationConfig(bos_token_id=2, eos_token_id=ends, pad_token_id=0).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    image: dict[str, Any] = {"do_rescale": True, "do_normalize": False, "patch_size": 16, "pooling_kernel_size": 3}
    image |= {"image_processor_type": "Gemma4ImageProcessor", "max_soft_tokens": 280, "rescale_factor": 1 / 255}
    processor = {"processor_class": "Gemma4Processor", "image_processor": image}
    (folder / "processor_config.json").write_text(json.dumps(processor))
    return folder


def build_tokenizer() -> Any:
    """Letters, digits, bytes, and Gemma 4's control tokens."""
    characters = sorted({chr(code) for code in range(33, 127)} | {"▁", "\n"})
    scores = [(token, 0.0) for token in SPECIAL]
    scores += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    scores += [(character, -5.0) for character in characters]
    scores += [(word, -4.0) for word in ("▁the", "▁car", "box_2d", "label", "```json", "▁and")]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=3, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>"
    )


def build_network(family: str, vocabulary: int, seed: int = 1) -> Any:
    """The random network in float32."""
    torch.manual_seed(seed)
    text = {**_TEXT, **_SHAPES[family], "vocab_size": vocabulary}
    ids = {
        "boi_token_id": SPECIAL.index("<|image>"),
        "image_token_id": SPECIAL.index("<|image|>"),
        "eoi_token_id": SPECIAL.index("<image|>"),
        "video_token_id": SPECIAL.index("<|video|>"),
        "audio_token_id": SPECIAL.index("<|audio|>"),
        "boa_token_id": SPECIAL.index("<|audio>"),
        "eoa_token_index": SPECIAL.index("<audio|>"),
    }
    if family == "12B":
        for absent in ("hidden_size_per_layer_input",):
            text.pop(absent)
        vision = {"mm_embed_dim": 48, "output_proj_dims": 48}
        network: Any = Gemma4UnifiedForConditionalGeneration(
            Gemma4UnifiedConfig(text_config=text, vision_config=vision, audio_config=None, **ids)
        )
    else:
        text["vocab_size_per_layer_input"] = vocabulary
        vision = {**_VISION, "standardize": family == "31B", "use_clipped_linears": family == "E2B"}
        network = Gemma4ForConditionalGeneration(
            Gemma4Config(text_config=text, vision_config=vision, audio_config=None, **ids)
        )
    _spread(network)
    return network.float().eval()


@torch.no_grad()
def _spread(network: Any) -> None:
    for name, parameter in network.named_parameters():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            parameter.fill_(2.5 * parameter.numel() ** -0.25)
        elif name.endswith(("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")):
            parameter.fill_(4.0)  # layers outweigh the token's own embedding, else the answer repeats one token
        elif "position_embedding_table" in name or "pos_embedding" in name:
            parameter.normal_(std=0.5)
        elif parameter.ndim > 1:
            parameter.normal_(std=parameter.shape[-1] ** -0.5)
    for name, buffer in network.named_buffers():
        if name.endswith("std_bias"):
            buffer.normal_(std=0.1)
        elif name.endswith("std_scale"):
            buffer.uniform_(0.5, 1.5)
