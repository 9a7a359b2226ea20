"""Models larger than one device: over several, in memory or on disk, they answer as ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from accelerate import cpu_offload, disk_offload
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from glasshead_backend import Lens, UnsupportedModelError
from glasshead_backend.corpora.fingerprint import fingerprint
from support.answers import answers
from support.devices import THERE
from support.spread import PLACES
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

TESTS = Path(__file__).parents[2]
SOURCES = [TESTS, TESTS.parent / "kernel_backend", TESTS.parent / "widgets"]
TOLERANCE = 1e-6
AUTO: dict[str, Any] = {
    "llama": AutoModelForCausalLM,
    "t5": AutoModelForSeq2SeqLM,
    "bart": AutoModelForSeq2SeqLM,
}


def run_alone(*command: str) -> None:
    """Run Python in a process of its own."""
    paths = os.pathsep.join(map(str, SOURCES))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def plain(model_type: str) -> dict[str, Tensor]:
    return answers(Lens(build(model_type).double(), tokenizer()))


def require_same(expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    assert expected.keys() == found.keys()
    for name, own in expected.items():
        size = max(1.0, float(own.nan_to_num(0, 0, 0).abs().max()))
        off = (found[name].nan_to_num(0, 0, 0) - own.nan_to_num(0, 0, 0)).abs().max() / size
        assert float(off) <= TOLERANCE, f"{name}: {float(off):.1e}"
        assert torch.equal(found[name].isnan(), own.isnan()), name


def with_few_in_memory(model_type: str, folder: Path, *, share: float = 0.5) -> PreTrainedModel:
    """Load a model by ``device_map="auto"`` where only a part of it has room; the rest on disk."""
    model = build(model_type).double()
    n_bytes = sum(one.nbytes for one in model.parameters())
    model.save_pretrained(folder / "model")
    return AUTO[model_type].from_pretrained(
        folder / "model",
        dtype=torch.float64,
        device_map="auto",
        max_memory={"cpu": int(share * n_bytes)},
        offload_folder=folder / "rest",
    )


@pytest.mark.parametrize("model_type", ["llama", "bart"])
def test_layers_on_disk_answer_as_those_in_memory(model_type: str, tmp_path: Path) -> None:
    model: Any = with_few_in_memory(model_type, tmp_path)
    assert set(model.hf_device_map.values()) == {"cpu", "disk"}
    require_same(plain(model_type), answers(Lens(model, tokenizer())))


@pytest.mark.skipif(not THERE, reason="this torch lets nobody make up devices")
@pytest.mark.parametrize("model_type", PLACES)
def test_layers_on_two_devices_answer_as_those_on_one(model_type: str, tmp_path: Path) -> None:
    run_alone("-m", "support.spread", str(tmp_path / "found.pt"), model_type)
    require_same(plain(model_type), torch.load(tmp_path / "found.pt"))


@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
def test_workers_tell_a_model_again_that_is_offloaded(model_type: str, tmp_path: Path) -> None:
    whole = fingerprint(Lens(build(model_type), tokenizer()))
    in_memory, on_disk, other = build(model_type), build(model_type), build(model_type, seed=1)
    cpu_offload(in_memory, execution_device=torch.device("cpu"))
    disk_offload(on_disk, tmp_path / "whole", execution_device=torch.device("cpu"))
    disk_offload(other, tmp_path / "other", execution_device=torch.device("cpu"))
    assert fingerprint(Lens(in_memory, tokenizer())) == whole
    assert fingerprint(Lens(on_disk, tokenizer())) == whole
    assert fingerprint(Lens(other, tokenizer())) != whole


def test_a_trace_outlives_that_generate_puts_a_hook_on_the_encoder(tmp_path: Path) -> None:
    # transformers does so when a model is spread; accelerate's hooks change no number.
    model: Any = with_few_in_memory("bart", tmp_path)
    lens = Lens(model, tokenizer())
    trace = lens.trace(TEXT, "a fox")
    before = trace.logits()
    model.generate(torch.tensor([[5, 6, 7]]), max_new_tokens=2)
    assert torch.equal(trace.logits(), before)
    assert trace.activations(1, "mlp").isfinite().all()


@pytest.mark.slow
def test_a_model_cut_up_among_processes_runs_and_is_refused_in_words(tmp_path: Path) -> None:
    model = build("llama")
    model.save_pretrained(tmp_path / "model")
    launch = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--module")
    run_alone(*launch, "support.cut_up", str(tmp_path))
    whole = model(torch.arange(4, 20)[None]).logits
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found["rows"] == 16, "half of the heads"
        torch.testing.assert_close(found["logits"], whole, rtol=1e-4, atol=1e-4)
        assert "cut up among 2 processes" in found["said"]
        assert 'device_map="auto"' in found["said"]


def test_a_weight_with_a_mesh_is_refused_before_anything_runs() -> None:
    from torch.distributed import HashStore, destroy_process_group, init_process_group  # noqa: PLC0415
    from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415
    from torch.distributed.tensor import distribute_module  # noqa: PLC0415

    init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        model = distribute_module(build("llama"), init_device_mesh("cpu", (1,)))
        with pytest.raises(UnsupportedModelError, match="cut up among 1 process "):
            Lens(model, tokenizer())  # type: ignore[arg-type]
    finally:
        destroy_process_group()
