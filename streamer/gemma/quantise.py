"""The text model's layers in 8 or 4 bits, packed tensor by tensor while the checkpoint is read.

Packed are the linear layers inside the text model's layers, a mixture's experts included. The vision tower, the
embeddings (per-layer ones too), the projector, the mixture's router, ``lm_head`` and the norms stay as they are.

bitsandbytes packs and unpacks: 64 numbers share one float32 scale; ``int8`` has even steps, ``int4`` those of NF4.
Transformers' own bitsandbytes quantiser is not used: it leaves the experts, nine tenths of the 26B-A4B, as they are
(https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1849).
"""

from __future__ import annotations

import logging
import warnings
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from transformers.core_model_loading import ConversionOps
from transformers.models.gemma4.modeling_gemma4 import Gemma4TextExperts
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from streamer.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from types import ModuleType

Quantize = Literal["int8", "int4"]
BITS: dict[str, int] = {"int8": 8, "int4": 4}
BLOCK = 64
"""Numbers that share a scale."""
_METHOD = "streamer"
_SCALES = "_scales"


def require_quantise(quantize: str, device: torch.device) -> None:
    """Raises `OptionError` for another word or another device, `MissingExtraError` without the library."""
    if quantize not in BITS:
        raise OptionError("quantize", quantize, "int8 or int4")
    if device.type not in ("cpu", "cuda"):
        raise OptionError("quantize", quantize, f"none on {device.type}: packed layers run on CUDA and on the CPU")
    _library()


def require_unpacked(quantize: str, config: Any) -> None:
    """Raises `OptionError` for a checkpoint that somebody has quantised before."""
    if getattr(config, "quantization_config", None) is not None:
        raise OptionError("quantize", quantize, "none: the checkpoint is quantised already")


def pack_layers(network: Any, bits: int) -> None:
    """Puts a packed layer, still empty, in the place of each layer that is packed; ``network`` is on ``meta``."""
    layers = network.model.language_model.layers
    for path, module in list(layers.named_modules()):
        if ".router." not in path and (packed := _packed(module, bits)) is not None:
            layers.set_submodule(path, packed)


def weight_bytes(network: Any, dtype: torch.dtype) -> int:
    """Bytes of the weights, packed ones as they are, all others in ``dtype``."""
    packed = [module for module in network.modules() if isinstance(module, PackedLinear | PackedExperts)]
    as_they_are = sum(buffer.nbytes for module in packed for buffer in module.buffers(recurse=False))
    kept = sum(int(parameter.numel()) for parameter in network.parameters())
    return as_they_are + dtype.itemsize * kept


class _Packed(nn.Module):
    """Holds packed tensors under their checkpoint's names, and the scales beside them."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.shapes: dict[str, tuple[int, ...]] = {}

    def add(self, name: str, shape: tuple[int, ...], device: torch.device) -> None:
        """Makes room for a tensor. Blocks do not reach from one expert, ``shape[:-2]``, to the next."""
        *experts, rows, columns = shape
        blocks = rows * columns // BLOCK
        self.shapes[name] = (rows, columns)
        packed = torch.empty((*experts, blocks, BLOCK * self.bits // 8), dtype=torch.uint8, device=device)
        self.register_buffer(name, packed)
        self.register_buffer(name + _SCALES, torch.empty((*experts, blocks), dtype=torch.float32, device=device))

    def pack(self, name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
        """``value`` packed, and its scales, under the names of this module."""
        packed, scales = _pack(value, self.bits)
        room, scales_room = getattr(self, name), getattr(self, name + _SCALES)
        return {name: packed.view(room.shape), name + _SCALES: scales.view(scales_room.shape)}

    def unpacked(self, name: str, dtype: torch.dtype, index: int | None = None) -> torch.Tensor:
        """``(rows, columns)`` of ``dtype``, of one expert where there are several."""
        packed, scales = getattr(self, name), getattr(self, name + _SCALES)
        if index is not None:
            packed, scales = packed[index], scales[index]
        return _unpack(packed, scales, self.bits, dtype).view(self.shapes[name])


class PackedLinear(_Packed):
    """Stands for an ``nn.Linear``."""

    def __init__(self, linear: nn.Linear, bits: int) -> None:
        super().__init__(bits)
        self.add("weight", tuple(linear.weight.shape), linear.weight.device)
        self.bias = linear.bias

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.bits == 4 and values.device.type == "cuda":
            return self._fused(values)
        return nn.functional.linear(values, self.unpacked("weight", values.dtype), self.bias)

    def _fused(self, values: torch.Tensor) -> torch.Tensor:
        """On a GPU 4-bit numbers are read by the kernel that multiplies."""
        weight, scales = self.get_buffer("weight"), self.get_buffer("weight" + _SCALES)
        state = _library().functional.QuantState(
            absmax=scales,
            shape=torch.Size(self.shapes["weight"]),
            blocksize=BLOCK,
            quant_type="nf4",
            dtype=values.dtype,
        )
        result: torch.Tensor = _library().matmul_4bit(values, weight.view(-1, 1), quant_state=state, bias=self.bias)
        return result


class PackedExperts(_Packed):
    """Stands for a mixture's experts; only those that a token is sent to are unpacked."""

    def __init__(self, experts: Any, bits: int) -> None:
        super().__init__(bits)
        for name in ("gate_up_proj", "down_proj"):
            self.add(name, tuple(getattr(experts, name).shape), getattr(experts, name).device)
        self.activation = experts.act_fn

    def forward(self, values: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """``values`` ``(tokens, hidden)``; ``chosen`` and ``weights`` ``(tokens, experts of a token)``."""
        result = torch.zeros_like(values)
        for expert in torch.unique(chosen).tolist():
            tokens, places = torch.where(chosen == expert)
            both = nn.functional.linear(values[tokens], self.unpacked("gate_up_proj", values.dtype, expert))
            gate, up = both.chunk(2, dim=-1)
            down = self.unpacked("down_proj", values.dtype, expert)
            out = nn.functional.linear(self.activation(gate) * up, down) * weights[tokens, places, None]
            result.index_add_(0, tokens, out.to(result.dtype))
        return result


def _packed(module: nn.Module, bits: int) -> PackedLinear | PackedExperts | None:
    """The packed stand-in; None for what stays: other modules, and matrices that do not fill whole blocks."""
    if isinstance(module, nn.Linear):
        return PackedLinear(module, bits) if module.weight.numel() % BLOCK == 0 else None
    if isinstance(module, Gemma4TextExperts):
        whole = all(prod(tensor.shape[1:]) % BLOCK == 0 for tensor in (module.gate_up_proj, module.down_proj))
        return PackedExperts(module, bits) if whole else None
    return None


def _pack(value: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    functional = _library().functional
    # In rows of one block: on CPUs with AVX-512, bitsandbytes 0.50.2 unpacks 4 bits wrongly where a block goes on in
    # the next row (measured: an error of 0.4 instead of 0.09 for rows of 48).
    rows = value.reshape(-1, BLOCK)
    if bits == 4:
        packed, state = functional.quantize_4bit(rows, blocksize=BLOCK, quant_type="nf4")
    else:
        packed, state = functional.quantize_blockwise(rows, code=_levels(value.device), blocksize=BLOCK)
    return packed, state.absmax


def _unpack(packed: torch.Tensor, scales: torch.Tensor, bits: int, dtype: torch.dtype) -> torch.Tensor:
    """Rows of one block."""
    functional = _library().functional
    if bits == 4:
        state = _nf4(scales, (scales.numel(), BLOCK), dtype)
        rows: torch.Tensor = functional.dequantize_4bit(packed.reshape(-1, 1), state)
    else:
        state = functional.QuantState(scales, code=_levels(packed.device), blocksize=BLOCK, dtype=dtype)
        rows = functional.dequantize_blockwise(packed, state)
    return rows


def _nf4(scales: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    size = torch.Size(shape)
    return _library().functional.QuantState(scales, shape=size, blocksize=BLOCK, quant_type="nf4", dtype=dtype)


@cache
def _levels(device: torch.device) -> torch.Tensor:
    """The 255 even steps from -1 to 1."""
    levels: torch.Tensor = _library().functional.create_linear_map().to(device)
    return levels


@cache
def _library() -> ModuleType:
    try:
        with warnings.catch_warnings():
            # torch 2.13 warns of what bitsandbytes 0.50.2's own imports do.
            warnings.filterwarnings("ignore", "`torch.jit.script_method` is deprecated", DeprecationWarning)
            # 0.50.2 complains that it cannot fetch a kernel for CPUs that is not used here.
            logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
            import bitsandbytes
    except ImportError as error:
        raise MissingExtraError("quantize", "bitsandbytes", "quantize") from error
    return bitsandbytes


@register_quantization_config(_METHOD)
class PackConfig(QuantizationConfigMixin):  # type: ignore[misc]
    """Given to transformers' ``from_pretrained``."""

    def __init__(self, bits: int) -> None:
        self.quant_method = _METHOD
        self.bits = bits


@register_quantizer(_METHOD)
class _Quantiser(HfQuantizer):  # type: ignore[misc]
    """Transformers' extension point: each tensor is packed as soon as it is read, so the whole is never there twice."""

    is_trainable = False

    def is_serializable(self) -> bool:
        return False

    def _process_model_before_weight_loading(self, model: Any, **kwargs: Any) -> None:
        pack_layers(model, self.quantization_config.bits)

    def param_needs_quantization(self, model: Any, param_name: str, **kwargs: Any) -> bool:
        module, name = _owner(model, param_name)
        return isinstance(module, _Packed) and name in module.shapes

    def get_quantize_ops(self) -> ConversionOps:
        return _Pack()


class _Pack(ConversionOps):  # type: ignore[misc]
    def convert(
        self, input_dict: dict[str, Any], *, model: Any, full_layer_name: str, **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        (value,) = input_dict.values()
        module, name = _owner(model, full_layer_name)
        assert isinstance(module, _Packed)
        made = module.pack(name, value[0] if isinstance(value, list) else value)
        return {full_layer_name.removesuffix(name) + key: tensor for key, tensor in made.items()}


def _owner(model: Any, parameter: str) -> tuple[nn.Module, str]:
    path, _, name = parameter.rpartition(".")
    return model.get_submodule(path), name
