"""A checkpoint read into memory: ``tiny``, a local folder or a hub id, all by the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer
from transformers.utils import logging as transformers_logging

from streamer.errors import ModelError, ModelMemoryError, OptionError
from streamer.fingerprint import fingerprint
from streamer.gemma.devices import pick_device, pick_dtype
from streamer.gemma.fetch import Location, Progress, locate, read_json
from streamer.gemma.memory import Packed, available_bytes, require_memory
from streamer.gemma.preprocess import ImageSettings
from streamer.gemma.prompts import PictureTokens
from streamer.gemma.quantise import (
    BITS,
    PackConfig,
    Quantize,
    pack_layers,
    require_quantise,
    require_unpacked,
    weight_bytes,
)
from streamer.gemma.threads import limit_threads

MODEL_TYPES = ("gemma4", "gemma4_unified")
ATTENTION = ("sdpa", "eager")


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A model ready to run, with what belongs to it."""

    name: str
    """As the user named it; for a folder its last part."""
    model: Any
    """``Gemma4ForConditionalGeneration`` or ``Gemma4UnifiedForConditionalGeneration``, in evaluation mode."""
    tokenizer: Any
    images: ImageSettings
    pictures: PictureTokens
    device: torch.device
    """Where inputs go; a model spread over several GPUs moves them on by itself."""
    dtype: torch.dtype
    attention: str
    end_ids: frozenset[int]
    """Any of these ends an answer (1, 106 and 50 for the published checkpoints)."""
    pad_id: int
    suppressed_ids: tuple[int, ...] = ()
    """Tokens that the generation config forbids."""
    revision: str | None = None
    """The commit on the hub, or the fingerprint of a folder."""


def load(
    model: str = "tiny",
    *,
    device: str = "auto",
    dtype: str = "auto",
    quantize: Quantize | None = None,
    attn: str = "sdpa",
    revision: str | None = None,
    progress: Progress | None = None,
) -> Checkpoint:
    """Reads a Gemma 4 checkpoint: ``tiny``, a folder in the hub's layout, or a hub id.

    ``device``: ``auto`` (CUDA, all GPUs together where one is too small; MPS; CPU), or a device's name.
    ``dtype``: ``auto`` (bf16 on a GPU; on a CPU what is measured to be faster), ``bf16`` or ``fp32``.
    ``quantize``: ``int8`` or ``int4`` packs the text model's layers (see `streamer.gemma.quantise`); it saves memory,
    on a CPU not time. ``attn``: ``sdpa`` or ``eager``. ``progress``: called while it downloads and loads.

    Raises `OptionError` for options that cannot be used here, `MissingExtraError` where ``quantize`` lacks its
    library, `ModelMemoryError` before anything is loaded where memory does not suffice, and `ModelError` for
    everything else that keeps the checkpoint from being read.
    """
    report = progress or _silent
    if attn not in ATTENTION:
        raise OptionError("attn", attn, "sdpa or eager (heads of 512 are too wide for flash attention)")
    chosen_device = pick_device(device)
    if quantize is not None:
        require_quantise(quantize, chosen_device)
    location = locate(model, revision)
    report(f"reading {model}", None)
    folder = location.description(report)
    _check_architecture(model, folder)
    config = _config(model, folder)
    chosen_dtype = pick_dtype(dtype, chosen_device, config.get_text_config().hidden_size)
    available = available_bytes(chosen_device)
    where = "CPU" if chosen_device.type == "cpu" else "GPU"
    packed = None if quantize is None else _packed(config, quantize, chosen_dtype)
    require_memory(model, count_parameters(config), chosen_dtype, available, where, packed)
    folder = location.complete(report)
    report(f"loading {model}", None)
    if chosen_device.type == "cpu":
        limit_threads(config.get_text_config().hidden_size)
    network = _weights(model, folder, chosen_device, chosen_dtype, attn, quantize)
    report(f"loading {model}", 1.0)
    name = folder.resolve().name if location.folder is not None and model != "tiny" else model
    return _assemble(name, folder, network, chosen_dtype, attn, _revision(location, folder))


def count_parameters(config: Any) -> int:
    """Parameters of the model that ``config`` describes, tied ones once; nothing is allocated."""
    return sum(parameter.numel() for parameter in _outline(config).parameters())


def _outline(config: Any) -> Any:
    """The network without its numbers."""
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)


def _packed(config: Any, quantize: Quantize, dtype: torch.dtype) -> Packed:
    require_unpacked(quantize, config)
    outline = _outline(config)
    pack_layers(outline, BITS[quantize])
    return Packed(quantize, weight_bytes(outline, dtype))


def _silent(sentence: str, part: float | None) -> None:
    """Progress that nobody watches."""


def _check_architecture(model: str, folder: Path) -> None:
    found = read_json(model, folder, "config.json")
    kind = found.get("model_type")
    if kind not in MODEL_TYPES:
        expected = "a Gemma 4 that sees pictures (gemma4 or gemma4_unified)"
        raise ModelError(
            model, f"it is a {kind or 'nameless'} model; expected is {expected}", "try google/gemma-4-E2B-it"
        )
    if found.get("vision_config") is None:
        raise ModelError(model, "it has no part that sees pictures", "use the complete checkpoint")


def _config(model: str, folder: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(folder)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(model, f"its config.json does not describe a model: {error}") from error


def _weights(
    model: str, folder: Path, device: torch.device, dtype: torch.dtype, attn: str, quantize: Quantize | None
) -> Any:
    """The network; with ``cuda`` and no number, spread over the GPUs as accelerate sees fit."""
    if not any(folder.glob("*.safetensors")):
        raise ModelError(model, f"no *.safetensors in {folder}", "fetch the checkpoint's weights too")
    spread = device.type == "cuda" and device.index is None
    # What is packed is read straight to its device, as packing is much arithmetic: on a CPU core 20 million numbers/s.
    placement = "auto" if spread else None if quantize is None else {"": device}
    transformers_logging.disable_progress_bar()
    try:
        network, info = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=dtype,
            device_map=placement,
            attn_implementation=attn,
            quantization_config=None if quantize is None else PackConfig(BITS[quantize]),
            output_loading_info=True,
            local_files_only=True,
        )
    except SafetensorError as error:
        raise ModelError(model, f"its weights are damaged: {error}", "fetch the *.safetensors again") from error
    except torch.OutOfMemoryError as error:
        raise ModelMemoryError(model, "it does not fit into the GPU's memory", "use a smaller model") from error
    except (OSError, RuntimeError, ValueError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(model, f"its weights cannot be read: {first_line}", "is the checkpoint complete?") from error
    finally:
        transformers_logging.enable_progress_bar()
    _check_complete(model, info)
    if not spread:
        network = network.to(device)
    return network.eval()


def _check_complete(model: str, info: Mapping[str, Any]) -> None:
    missing = sorted(map(str, info["missing_keys"]))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(model, f"weights are missing: {missing[0]}{more}", "fetch the checkpoint again")


def _revision(location: Location, folder: Path) -> str:
    """The hub's client calls a snapshot's folder by its commit."""
    if location.folder is None:
        return folder.name
    return fingerprint(sorted((*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.jinja"))))


def _assemble(name: str, folder: Path, network: Any, dtype: torch.dtype, attn: str, revision: str | None) -> Checkpoint:
    config, generation = network.config, network.generation_config
    tokenizer = _tokenizer(name, folder)
    return Checkpoint(
        name=name,
        model=network,
        tokenizer=tokenizer,
        images=ImageSettings.from_config(
            name, _image_config(name, folder), merged=config.model_type == "gemma4_unified"
        ),
        pictures=PictureTokens(config.boi_token_id, config.image_token_id, config.eoi_token_id),
        device=network.get_input_embeddings().weight.device,
        dtype=dtype,
        attention=attn,
        end_ids=_ids(generation.eos_token_id) or _ids(config.get_text_config().eos_token_id),
        pad_id=config.get_text_config().pad_token_id or 0,
        suppressed_ids=tuple(sorted(_ids(getattr(generation, "suppress_tokens", None)))),
        revision=revision,
    )


def _tokenizer(model: str, folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(model, f"its tokenizer cannot be read: {error}", "fetch the checkpoint again") from error


def _image_config(model: str, folder: Path) -> Mapping[str, Any]:
    """What the checkpoint says about pictures; empty, for Gemma 4's own values, where it says nothing."""
    whole = read_json(model, folder, "processor_config.json", required=False)
    part = whole.get("image_processor")
    if isinstance(part, dict):
        return part
    return read_json(model, folder, "preprocessor_config.json", required=False)


def _ids(value: int | list[int] | None) -> frozenset[int]:
    if value is None:
        return frozenset()
    return frozenset([value] if isinstance(value, int) else value)
