"""Packed layers: every family's shape loads and answers, what must stay as it is stays to the bit, memory shrinks."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText

import streamer
from streamer.analyzer import Analyzer, Job
from streamer.errors import MissingExtraError, ModelMemoryError, OptionError
from streamer.gemma import quantise
from streamer.gemma.checkpoint import Checkpoint, count_parameters, load
from streamer.gemma.memory import GIB, Packed, needed_bytes, require_memory
from streamer.gemma.quantise import PackedExperts, PackedLinear, Quantize, pack_layers, weight_bytes
from streamer.models.base import Request
from streamer.sources import open_source
from streamer.tasks import Task
from tests.families import FAMILIES
from tests.gemma.conftest import Reference, picture

KINDS: tuple[Quantize, ...] = get_args(Quantize)
STREET = Path(__file__).resolve().parents[2] / "sample_videos" / "street.mp4"
BYTES = {"int8": 1 + 4 / 64, "int4": 0.5 + 4 / 64}
"""Of a packed number: itself, and its part of a float32 scale."""

Loaded = Callable[[str, Quantize], Checkpoint]


@pytest.fixture(scope="module")
def packed_checkpoint(family_folder: Callable[[str], Path]) -> Loaded:
    """A family's checkpoint with packed layers in float32, loaded once."""
    loaded: dict[tuple[str, str], Checkpoint] = {}

    def checkpoint(family: str, kind: Quantize) -> Checkpoint:
        if (family, kind) not in loaded:
            where = family if family == "tiny" else str(family_folder(family))
            loaded[family, kind] = load(where, device="cpu", dtype="fp32", quantize=kind)
        return loaded[family, kind]

    return checkpoint


def packed_layers(network: Any) -> dict[str, PackedLinear | PackedExperts]:
    return {
        path: module for path, module in network.named_modules() if isinstance(module, PackedLinear | PackedExperts)
    }


def kept(network: Any) -> dict[str, torch.Tensor]:
    """Everything but the text model's matrices."""
    packed = packed_layers(network)
    return {name: value for name, value in network.state_dict().items() if name.rpartition(".")[0] not in packed}


def bytes_of(network: Any) -> int:
    return sum(tensor.nbytes for tensor in network.state_dict().values())


def unpacked(module: PackedLinear | PackedExperts, name: str) -> torch.Tensor:
    if isinstance(module, PackedLinear):
        return module.unpacked(name, torch.float32)
    experts = range(len(module.get_buffer(name)))
    return torch.stack([module.unpacked(name, torch.float32, expert) for expert in experts])


def logits(checkpoint: Checkpoint) -> torch.Tensor:
    ids = torch.randint(20, 300, (1, 24), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found: torch.Tensor = checkpoint.model(input_ids=ids, mm_token_type_ids=torch.zeros_like(ids)).logits
    return found.float()


def likeness(found: Checkpoint, full: Checkpoint) -> float:
    """Mean cosine between the logits of both."""
    return float(torch.cosine_similarity(logits(found), logits(full), dim=-1).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_shape_answers(packed_checkpoint: Loaded, family: str, kind: Quantize) -> None:
    request = Request((picture(3),), "What is there?", 70, 6)
    ids = Reference(packed_checkpoint(family, kind)).ids(request)
    assert 1 <= len(ids) <= 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_text_models_layers_are_packed(
    packed_checkpoint: Loaded, family_checkpoint: Callable[[str], Checkpoint], family: str, kind: Quantize
) -> None:
    """All its matrices but the router's; vision tower, projector, embeddings and norms are the same to the bit."""
    network, full = packed_checkpoint(family, kind).model, family_checkpoint(family).model
    packed = packed_layers(network)
    text = full.model.language_model.layers.named_modules(prefix="model.language_model.layers")
    linear = {path for path, module in text if isinstance(module, nn.Linear) and ".router." not in path}
    assert {path for path, module in packed.items() if isinstance(module, PackedLinear)} == linear
    assert len(packed) - len(linear) == (4 if family == "26B-A4B" else 0)
    same = kept(network)
    whole = full.state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in same.items())
    assert len([name for name in same if ".vision" in name or ".embed_vision" in name]) > 3
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(("kind", "error"), [("int8", 0.007), ("int4", 0.1)])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_numbers_are_near_the_real_ones(
    packed_checkpoint: Loaded, family_checkpoint: Callable[[str], Checkpoint], family: str, kind: Quantize, error: float
) -> None:
    """Each matrix by itself: 0.55 % off with 8 bits and 9.3 % with 4 for the normal numbers of these checkpoints."""
    whole = family_checkpoint(family).model.state_dict()
    for path, module in packed_layers(packed_checkpoint(family, kind).model).items():
        for name in module.shapes:
            real = whole[f"{path}.{name}"]
            found = unpacked(module, name)
            assert found.shape == real.shape
            assert (found - real).norm() / real.norm() < error, path


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_stay_near(
    packed_checkpoint: Loaded, family_checkpoint: Callable[[str], Checkpoint], family: str
) -> None:
    """Random networks blow differences up (measured: 0.977 to 0.996 and 0.64 to 0.69); trained ones do not (tiny)."""
    full = family_checkpoint(family)
    eight, four = (likeness(packed_checkpoint(family, kind), full) for kind in KINDS)
    assert eight > 0.95
    assert eight > four > 0.5


def test_a_trained_checkpoint_hardly_changes(packed_checkpoint: Loaded) -> None:
    """Measured: 0.9999 and 0.973."""
    full = load("tiny", device="cpu", dtype="fp32")
    assert likeness(packed_checkpoint("tiny", "int8"), full) > 0.999
    assert likeness(packed_checkpoint("tiny", "int4"), full) > 0.95


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_memory_shrinks_as_counted(kind: Quantize, dtype: str) -> None:
    full, small = (load("tiny", device="cpu", dtype=dtype, quantize=quantize).model for quantize in (None, kind))
    numbers = sum(tensor.numel() for name, tensor in full.state_dict().items() if name not in kept(small))
    left = (full.dtype.itemsize - BYTES[kind]) / full.dtype.itemsize * numbers / sum(map(torch.numel, _all(full)))
    ratio = bytes_of(small) / bytes_of(full)
    assert ratio == pytest.approx(1 - left, abs=0.01)
    assert (
        ratio
        < {("int8", "fp32"): 0.6, ("int4", "fp32"): 0.53, ("int8", "bf16"): 0.75, ("int4", "bf16"): 0.61}[kind, dtype]
    )


def _all(network: Any) -> list[torch.Tensor]:
    return list(network.state_dict().values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_bytes_are_known_before_loading(packed_checkpoint: Loaded, family: str, kind: Quantize) -> None:
    network = packed_checkpoint(family, kind).model
    with torch.device("meta"):
        outline = AutoModelForImageTextToText.from_config(network.config)
    pack_layers(outline, quantise.BITS[kind])
    layers = packed_layers(network).values()
    real = sum(tensor.nbytes for tensor in network.parameters())
    real += sum(tensor.nbytes for layer in layers for tensor in layer.buffers(recurse=False))
    assert weight_bytes(outline, torch.float32) == real


def test_the_gpus_way_of_multiplying_is_the_same(packed_checkpoint: Loaded) -> None:
    """Run on the CPU, where bitsandbytes has the same operator."""
    layers = packed_layers(packed_checkpoint("31B", "int4").model)
    layer = next(layer for path, layer in layers.items() if path.endswith("down_proj"))
    assert isinstance(layer, PackedLinear)
    values = torch.randn(3, 5, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(layer._fused(values), layer(values))


def test_a_matrix_without_whole_blocks_stays_and_a_bias_too() -> None:
    network = nn.Module()
    network.model = nn.Module()
    network.model.language_model = nn.Module()
    network.model.language_model.layers = nn.ModuleList([nn.Linear(10, 10), nn.Linear(64, 3)])
    pack_layers(network, 8)
    stays, packed = network.model.language_model.layers
    assert isinstance(stays, nn.Linear)
    assert isinstance(packed, PackedLinear)
    assert packed.bias is not None
    assert packed.bias.shape == (3,)


@pytest.mark.parametrize("kind", KINDS)
def test_tiny_still_sees_the_street(kind: Quantize) -> None:
    """Through the library's front door."""
    with (
        streamer.load("tiny", device="cpu", quantize=kind) as model,
        open_source(str(STREET), sampling="at 3", size_for=lambda size: model.size_for(size, 70)) as source,
    ):
        tasks = (Task.caption(), Task.check("Is there a car?"))
        (result,) = Analyzer(model).analyze([Job(frame, tasks, 70) for frame in source.frames()])
    assert result.caption is not None
    assert "by day" in result.caption
    assert result.answers["check"]["answer"] is True


def test_the_memory_asked_for_is_that_of_packed_weights() -> None:
    packed = Packed("int4", 20 * GIB)
    assert needed_bytes(31e9, torch.bfloat16, packed) < 24 * GIB < needed_bytes(31e9, torch.bfloat16)
    require_memory("google/gemma-4-31B-it", 30_700_000_000, torch.bfloat16, 24 * GIB, "GPU", packed)
    with pytest.raises(ModelMemoryError, match=r"needs 21\.3 GiB as bfloat16 with int4 layers, and 16\.0 GiB"):
        require_memory("google/gemma-4-31B-it", 30_700_000_000, torch.bfloat16, 16 * GIB, "GPU", packed)


def test_packed_weights_fit_where_full_ones_do_not(
    family_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(family_folder("26B-A4B"))
    full = needed_bytes(count_parameters(AutoConfig.from_pretrained(folder)), torch.float32)
    monkeypatch.setattr("streamer.gemma.checkpoint.available_bytes", lambda device: full - 100_000)
    with pytest.raises(ModelMemoryError, match="use dtype bf16"):
        load(folder, device="cpu", dtype="fp32")
    load(folder, device="cpu", dtype="fp32", quantize="int8")
    monkeypatch.setattr("streamer.gemma.checkpoint.available_bytes", lambda device: GIB // 4)
    with pytest.raises(ModelMemoryError, match="as float32 with int8 layers"):
        load(folder, device="cpu", dtype="fp32", quantize="int8")


def test_what_cannot_be_packed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    other: Any = "int3"
    with pytest.raises(OptionError, match="quantize: 'int3' cannot be used; expected int8 or int4"):
        load("tiny", quantize=other)
    with pytest.raises(OptionError, match="none on mps"):
        quantise.require_quantise("int8", torch.device("mps"))
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    quantise._library.cache_clear()
    with pytest.raises(MissingExtraError, match=r"bitsandbytes: pip install 'streamer\[quantize\]'"):
        load("tiny", quantize="int8")


def test_a_checkpoint_that_is_quantised_already(family_folder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(family_folder("E2B"), tmp_path / "packed"))
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(OptionError, match="none: the checkpoint is quantised already"):
        load(str(folder), device="cpu", quantize="int4")
