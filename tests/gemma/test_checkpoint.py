"""Complete folders load; incomplete, damaged, foreign, unreachable and oversized ones say so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from streamer.errors import ModelError, ModelMemoryError, OptionError
from streamer.gemma import devices, threads
from streamer.gemma.checkpoint import count_parameters, load
from streamer.gemma.fetch import _bar_for, locate
from streamer.gemma.memory import GIB, available_bytes, needed_bytes, require_memory, smaller
from tests.families import FAMILIES


@pytest.fixture
def folder(family_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(family_folder("E2B"), tmp_path / "my-e2b"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_of_each_shape_loads(family_folder: Callable[[str], Path], family: str) -> None:
    said: list[tuple[str, float | None]] = []
    checkpoint = load(
        str(family_folder(family)), device="cpu", dtype="fp32", progress=lambda what, part: said.append((what, part))
    )
    assert checkpoint.name == family
    assert checkpoint.images.merged == (family == "12B")
    assert not checkpoint.model.training
    assert {parameter.dtype for parameter in checkpoint.model.parameters()} == {torch.float32}
    assert said[0][0].startswith("reading")
    assert said[-1][1] == 1.0
    real = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    assert count_parameters(checkpoint.model.config) == real


def test_the_older_file_of_the_processor_is_read_too(folder: Path) -> None:
    (folder / "processor_config.json").unlink()
    (folder / "preprocessor_config.json").write_text(json.dumps({"rescale_factor": 0.5}))
    assert load(str(folder), device="cpu", dtype="fp32").images.scale == 0.5


def test_a_name_that_is_nothing() -> None:
    for name in ("./nowhere", "/no/such/folder", "just-a-word", "a/b/c", ""):
        with pytest.raises(ModelError, match=r"no such folder.*google/gemma-4-E2B-it"):
            load(name or "  ")


def test_a_hub_id_needs_no_folder() -> None:
    location = locate("google/gemma-4-E2B-it", "main")
    assert (location.folder, location.revision) == (None, "main")


def test_without_a_network_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"google/gemma-4-E2B-it: the hub cannot be reached.*tiny"):
        load("google/gemma-4-E2B-it")


def test_downloads_are_reported_as_parts() -> None:
    said: list[tuple[str, float | None]] = []
    bar = _bar_for(lambda what, part: said.append((what, part)), "downloading it")(total=0, unit="B", desc="x")
    bar.total = 200
    bar.refresh()
    bar.update(100)
    bar.update(100)
    bar.close()
    assert said[0] == ("downloading it", 0.0)
    assert said[-1] == ("downloading it", 1.0)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no \*\.safetensors"):
        load(str(folder), device="cpu")


def test_damaged_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="damaged"):
        load(str(folder), device="cpu")


def test_weights_that_lack_a_tensor(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("q_proj.weight"))
    save_file({key: value for key, value in weights.items() if key != name}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="weights are missing"):
        load(str(folder), device="cpu")


def test_weights_of_another_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 80
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="cannot be read"):
        load(str(folder), device="cpu")


def test_no_configuration_and_a_damaged_one(folder: Path) -> None:
    (folder / "config.json").write_text("{ not json")
    with pytest.raises(ModelError, match=r"config\.json is damaged"):
        load(str(folder))
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="no object"):
        load(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load(str(folder))


def test_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="tokenizer cannot be read"):
        load(str(folder), device="cpu")


@pytest.mark.parametrize("kind", ["gemma3", "qwen2_vl", None])
def test_another_architecture_is_named(folder: Path, kind: str | None) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ModelError, match=rf"it is a {kind or 'nameless'} model; expected is a Gemma 4"):
        load(str(folder))


def test_a_gemma_4_without_eyes_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vision_config": None}))
    with pytest.raises(ModelError, match="no part that sees"):
        load(str(folder))


def test_options_that_cannot_be_used(folder: Path) -> None:
    with pytest.raises(OptionError, match=r"dtype.*fp16 overflows"):
        load(str(folder), device="cpu", dtype="fp16")
    with pytest.raises(OptionError, match="attn"):
        load(str(folder), attn="flash_attention_2")
    with pytest.raises(OptionError, match="device"):
        load(str(folder), device="toaster")
    with pytest.raises(OptionError, match="that this machine has: cpu"):
        load(str(folder), device="cuda:99")


def test_too_little_memory_is_told_before_loading() -> None:
    with pytest.raises(ModelMemoryError) as caught:
        require_memory("google/gemma-4-31B-it", 30_700_000_000, torch.bfloat16, 24 * GIB, "GPU")
    assert str(caught.value) == (
        "model google/gemma-4-31B-it: it needs 60.3 GiB as bfloat16, and 24.0 GiB are free on the GPU "
        "(use google/gemma-4-12B-it)"
    )
    with pytest.raises(ModelMemoryError, match="use dtype bf16"):
        require_memory("google/gemma-4-E2B-it", 5_100_000_000, torch.float32, 16 * GIB, "CPU")
    with pytest.raises(ModelMemoryError, match="use tiny"):
        require_memory("google/gemma-4-E2B-it", 5_100_000_000, torch.bfloat16, 4 * GIB, "CPU")
    require_memory("google/gemma-4-E2B-it", 5_100_000_000, torch.bfloat16, 16 * GIB, "CPU")
    assert smaller(30_700_000_000, torch.bfloat16, 60 * GIB) == "google/gemma-4-26B-A4B-it"


def test_a_model_that_cannot_fit_is_not_loaded(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {"hidden_size": 100_000, "intermediate_size": 1_000_000}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelMemoryError, match="GiB are free on the CPU"):
        load(str(folder), device="cpu", dtype="bf16")


def test_the_machine_is_measured_not_guessed() -> None:
    assert available_bytes(torch.device("cpu")) > GIB // 8
    assert needed_bytes(1e9, torch.bfloat16) > 2e9
    assert devices.bf16_is_fast(64) in (True, False)
    assert devices.pick_dtype("auto", torch.device("cuda"), 64) is torch.bfloat16
    assert devices.pick_dtype("auto", torch.device("cpu"), 64) in (torch.float32, torch.bfloat16)
    assert devices.pick_device("cpu") == torch.device("cpu")
    assert devices.usable_cpus() >= 1


def test_a_narrow_model_runs_on_one_thread(folder: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        threads.limit_threads(2048)
        assert torch.get_num_threads() == min(4, devices.usable_cpus())
        load(str(folder), device="cpu", dtype="fp32")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
