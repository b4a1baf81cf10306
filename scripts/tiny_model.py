"""The shape, tokenizer and files of `tiny`: Gemma 4's architecture and hub layout at a few million parameters."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from scenes import CLASSES, PLURALS, SIGN
from tiny_questions import CAPTION_PROMPTS, COMPARE_PROMPTS, NUMBER_WORDS, READ_PROMPTS, TIME_PROMPTS
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import Gemma4Config, Gemma4ForConditionalGeneration, GenerationConfig, PreTrainedTokenizerFast

SPECIAL = (
    "<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>",
    "<|tool_response>", "<|image>", "<|image|>", "<image|>", "<|video|>", "<|audio>", "<|audio|>", "<audio|>",
)  # fmt: skip
TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
<|turn>{{ role }}
{% if message['content'] is string -%}
{{- message['content'] | trim -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}<|image|>
{%- elif part['type'] == 'text' -%}{{- part['text'] | trim -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
<turn|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|turn>model
{% endif -%}
"""
"""Gemma 4's turn format for system, user and model turns of text and pictures."""
JSON_PIECES = ("```json", "```", '"},\n▁▁{"box_2d":▁[', '▁▁{"box_2d":▁[', '],▁"label":▁"', '"}', ",▁")
EXTRA_WORDS = (
    "a street park square beach by day at night with and no yes day night new gone nothing has changed there is sign "
    "user model system detect all objects output only the"
)


def vocabulary() -> list[tuple[str, float]]:
    """Pieces with scores, such that the fewest pieces win; whole numbers to 1000 are one piece each."""
    sentences = [*CAPTION_PROMPTS, *READ_PROMPTS, *COMPARE_PROMPTS, *TIME_PROMPTS, EXTRA_WORDS]
    sentences += [
        "How many are there Is there a Are there any Do you see a",
        "A Yes No New Gone Nothing There Day Night",
    ]
    sentences += [" ".join(NUMBER_WORDS), " ".join(CLASSES), " ".join(PLURALS.values()), SIGN]
    words = sorted({word.strip(".,?:`") for sentence in sentences for word in sentence.split()} - {""})
    pieces = [piece for word in words for piece in (word, "▁" + word)]
    pieces += [str(number) for number in range(1001)] + list(JSON_PIECES)
    pieces += ["\n", "▁"] + [chr(code) for code in range(33, 127)]
    scores = dict.fromkeys(pieces, -1.0)
    scored = [(token, 0.0) for token in SPECIAL] + list(scores.items())
    return scored + [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]


def build_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.Unigram(vocabulary(), unk_id=SPECIAL.index("<unk>"), byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", SPECIAL.index("<bos>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        mask_token="<mask>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE,
        extra_special_tokens={
            "image_token": "<|image|>",
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
        },
    )


def build_config(vocab_size: int) -> Gemma4Config:
    ids = {token: place for place, token in enumerate(SPECIAL)}
    text = {
        "vocab_size": vocab_size,
        "hidden_size": 256,
        "intermediate_size": 640,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "global_head_dim": 64,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
        "sliding_window": 1024,
        "max_position_embeddings": 8192,
        "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": vocab_size,
        "final_logit_softcapping": 30.0,
        "bos_token_id": ids["<bos>"],
        "eos_token_id": ids["<eos>"],
        "pad_token_id": ids["<pad>"],
        "dtype": "bfloat16",
    }
    vision = {
        "hidden_size": 160,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "global_head_dim": 64,
        "patch_size": 16,
        "pooling_kernel_size": 3,
        "position_embedding_size": 3456,
        "default_output_length": 280,
        "dtype": "bfloat16",
    }
    return Gemma4Config(
        text_config=text,
        vision_config=vision,
        audio_config=None,
        boi_token_id=ids["<|image>"],
        image_token_id=ids["<|image|>"],
        eoi_token_id=ids["<image|>"],
        video_token_id=ids["<|video|>"],
        boa_token_id=ids["<|audio>"],
        audio_token_id=ids["<|audio|>"],
        eoa_token_index=ids["<audio|>"],
        dtype="bfloat16",
    )


def build_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> Gemma4ForConditionalGeneration:
    """A fresh model in float32, started so that it learns to look (see the comments)."""
    torch.manual_seed(seed)
    config = build_config(len(tokenizer))
    config._attn_implementation = "sdpa"
    model = Gemma4ForConditionalGeneration(config).float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("q_norm.weight", "k_norm.weight")):
                # Gemma 4 does not divide by sqrt(head_dim): with weight 1, fresh attention is nearly one-hot.
                parameter.fill_(parameter.numel() ** -0.25)
            elif name.endswith(("proj.weight", ".linear.weight")):
                parameter.normal_(std=parameter.shape[1] ** -0.5)
        _start_positions(model)
        _start_numbers(model, tokenizer)
    return model


def _start_positions(model: Gemma4ForConditionalGeneration) -> None:
    """Sines and cosines of the patch's place, x and y in different channels, small beside the pixels."""
    table = model.model.vision_tower.patch_embedder.position_embedding_table
    _, places, width = table.shape
    quarter = width // 4
    frequency = 2 * math.pi / 8 ** torch.linspace(0.5, 2.6, quarter)
    angle = torch.arange(places).float()[:, None] * frequency
    table.zero_()
    table[0, :, :quarter], table[0, :, quarter : 2 * quarter] = angle.sin() * 0.3, angle.cos() * 0.3
    table[1, :, 2 * quarter : 3 * quarter], table[1, :, 3 * quarter :] = angle.sin() * 0.3, angle.cos() * 0.3


def _start_numbers(model: Gemma4ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    """Neighbouring numbers get neighbouring embeddings, so that a coordinate learnt helps those beside it."""
    weight = model.model.language_model.embed_tokens.weight
    width = weight.shape[1]
    weight.normal_(std=width**-0.5)
    pairs = 24
    frequency = 2 * math.pi / 1000 * 1.32 ** torch.arange(pairs)  # periods from 1000 down to about 2 units
    angle = torch.arange(1001).float()[:, None] * frequency
    decay = 0.93 ** torch.arange(pairs)
    code = torch.cat([angle.sin() * decay, angle.cos() * decay], dim=1)
    basis = torch.linalg.qr(torch.randn(width, 2 * pairs))[0]
    code = code @ basis.T
    ids = number_ids(tokenizer)
    weight[ids] = code / code.norm(dim=1, keepdim=True) + 0.25 * weight[ids]


def number_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Token ids of the numbers 0 to 1000."""
    vocabulary_ids = tokenizer.get_vocab()
    return [vocabulary_ids[str(number)] for number in range(1001)]


def save(model: Gemma4ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """The hub's layout: config, bf16 weights, tokenizer, chat template, processor and generation configs."""
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    GenerationConfig(
        bos_token_id=SPECIAL.index("<bos>"),
        eos_token_id=[SPECIAL.index("<eos>"), SPECIAL.index("<turn|>"), SPECIAL.index("<|tool_response>")],
        pad_token_id=SPECIAL.index("<pad>"),
        do_sample=True,
        temperature=1.0,
        top_p=0.95,
        top_k=64,
    ).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    for name, values in processor_files().items():
        (folder / name).write_text(json.dumps(values, indent=2) + "\n")


def processor_files() -> dict[str, dict[str, Any]]:
    """What Gemma 4's processors are told, by file. (There is no audio tower; the processor wants the entry.)"""
    pictures = {
        "do_convert_rgb": True,
        "do_normalize": False,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.0, 0.0, 0.0],
        "image_std": [1.0, 1.0, 1.0],
        "patch_size": 16,
        "pooling_kernel_size": 3,
        "resample": 3,
        "rescale_factor": 1 / 255,
    }
    image = {
        "image_processor_type": "Gemma4ImageProcessor",
        "max_soft_tokens": 280,
        "image_seq_length": 280,
        **pictures,
    }
    video = {"video_processor_type": "Gemma4VideoProcessor", "max_soft_tokens": 70, "num_frames": 32, **pictures}
    audio = {"feature_extractor_type": "Gemma4AudioFeatureExtractor", "feature_size": 128, "sampling_rate": 16000}
    processor = {
        "processor_class": "Gemma4Processor",
        "image_seq_length": 280,
        "image_processor": image,
        "video_processor": video,
        "feature_extractor": audio,
    }
    return {"processor_config.json": processor, "preprocessor_config.json": image}
