"""What a corpus and a larger model cost: the cost model of docs/scale.md, checked by measurement.

Run with ``python benchmarks/scale.py`` (``--json FILE`` writes the figures to a file). It has four
tables:

* bytes that a trace keeps, measured, against the formula, for the demo decoder, SmolLM2-135M's
  shape and Llama-3-8B's (two layers of it, in bfloat16);
* a corpus through an atlas of heads with 1, 2 and 4 worker processes: CPU seconds of a text, beside
  those of one worker in the same run, and the CPU seconds of a worker until it has read its first
  part. On a machine with fewer cores than workers the clock says nothing; CPU time does: what more
  workers cost;
* what a part's sums take, and merging them: what whoever asks has to do for each part;
* a trace of a model whose layers lie on disk, beside one in memory.

Then the model itself is written out, for 7- and 8-billion-parameter shapes: see `Machine`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch
from accelerate import disk_offload
from transformers import LlamaConfig, LlamaForCausalLM

from glasshead import Lens, head_atlas
from glasshead_backend.corpora.parts import parts
from glasshead_backend.demo import DECODER_LONG_TEXT
from glasshead_backend.statistics.atlas_metrics import NAMES
from glasshead_backend.statistics.atlas_task import HeadAtlasTask

SMOLLM2 = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
}
LLAMA_2_7B = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
}
LLAMA_3_8B = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}
N_REPLICATES = 1000
N_METRICS = len(NAMES)


def weights_of(config: LlamaConfig) -> int:
    """Number of weights that a token is multiplied with: all but the table of embeddings."""
    d, size = config.hidden_size, config.hidden_size // config.num_attention_heads
    attention = d * size * (2 * config.num_attention_heads + 2 * config.num_key_value_heads)
    mlp = 3 * d * config.intermediate_size
    return config.num_hidden_layers * (attention + mlp) + config.vocab_size * d


def kept_per_token(config: LlamaConfig, itemsize: int) -> int:
    """Bytes of a trace for each token.

    Query and key of every layer, the hidden state that logits are made from, two float32 norms of
    a layer (its attention and MLP block) and four float32 scores of a prediction.
    """
    size = config.hidden_size // config.num_attention_heads
    heads = config.num_attention_heads + config.num_key_value_heads
    layers = config.num_hidden_layers * (heads * size * itemsize + 2 * 4)
    return layers + config.hidden_size * itemsize + 4 * 4


def operations_per_token(config: LlamaConfig, n_tokens: int) -> float:
    """Floating-point operations of a forward pass over texts of so many tokens, for each token."""
    attention = 4 * config.num_hidden_layers * config.hidden_size * n_tokens
    return 2 * weights_of(config) + attention


def sums_of_a_part(config: LlamaConfig) -> int:
    """Bytes of the replicates of an atlas: what a part sends back, whatever its size."""
    heads = config.num_hidden_layers * config.num_attention_heads
    return 2 * N_REPLICATES * N_METRICS * heads * 8


@dataclass(frozen=True)
class Machine:
    """What is assumed of a GPU.

    Attributes
    ----------
    name : str
    peak : float
        Dense bfloat16 operations a second, of its data sheet.
    used : float
        Share of the peak that padded batches of some hundred tokens reach.
    memory : float
        Bytes.
    """

    name: str
    peak: float
    used: float
    memory: float


MACHINES = (Machine("A100 80 GB", 312e12, 0.4, 80e9), Machine("H100 80 GB", 989e12, 0.4, 80e9))
ATLAS = 0.6
"""Throughput of an atlas beside a bare forward pass (benchmarks/corpora.py holds it to that)."""
TEXT = 512
CORPUS = 1e9


def shape(sizes: dict[str, int], **changes: int) -> LlamaConfig:
    """Return the configuration of a shape, with some sizes changed."""
    return LlamaConfig(**{**sizes, "max_position_embeddings": 4096, **changes})  # type: ignore[arg-type]


def kept() -> dict[str, dict[str, float]]:
    """Measure what traces keep, and compare it with the formula."""
    demo = Lens.demo("decoder")
    small = shape(SMOLLM2)
    # Its layers are alike: two of them, with an MLP and a vocabulary that are never looked at.
    large = shape(LLAMA_3_8B, num_hidden_layers=2, intermediate_size=64, vocab_size=2048)
    lenses = {
        "demo decoder, float32": demo,
        "SmolLM2-135M's shape, float32": Lens(LlamaForCausalLM(small).eval(), demo.tokenizer),
        "Llama-3-8B's shape, 2 layers, bfloat16": Lens(
            LlamaForCausalLM(large).to(torch.bfloat16).eval(), demo.tokenizer
        ),
    }
    found: dict[str, dict[str, float]] = {}
    for name, lens in lenses.items():
        with lens.trace(DECODER_LONG_TEXT[:1200]) as trace:
            measured = trace.nbytes / len(trace.tokens)
        said = kept_per_token(lens.model.config, lens.model.dtype.itemsize)
        found[name] = {"measured": measured, "formula": said, "ratio": measured / said}
    return found


def texts_of(n: int) -> list[str]:
    """Return so many texts of some 60 tokens."""
    whole = DECODER_LONG_TEXT * 2
    starts = (i * 37 % len(DECODER_LONG_TEXT) for i in range(n))
    return [whole[start : start + 160 + start % 80] for start in starts]


def seconds_of_children() -> float:
    """CPU seconds that the processes of this one have taken so far."""
    children = psutil.Process().children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children)


def workers(counts: list[int], n_texts: int) -> dict[int, dict[str, float]]:
    """Measure a corpus with different numbers of workers."""
    lens = Lens.demo("decoder")
    found: dict[int, dict[str, float]] = {}
    for n in counts:
        with ProcessPoolExecutor(n, mp_context=get_context("spawn")) as pool:
            # Two parts for each: whoever starts gets one.
            head_atlas(lens, texts_of(2 * 64 * n), executor=pool)
            start = seconds_of_children()
            head_atlas(lens, texts_of(n_texts), executor=pool)
            per_text = (seconds_of_children() - start) / n_texts
        found[n] = {"CPU ms a text": 1e3 * per_text, "start": start / n}
    one = found[counts[0]]["CPU ms a text"]
    for figures in found.values():
        figures["beside the first"] = figures["CPU ms a text"] / one
    return found


def merging(n_texts: int = 64) -> dict[str, float]:
    """Measure the sums of a part: their bytes, and merging them beside making them."""
    lens = Lens.demo("decoder")
    task = HeadAtlasTask("self", NAMES, 0, 16)
    one, other = parts(texts_of(2 * n_texts), size=n_texts)
    first, second = task.of_part(lens, one), task.of_part(lens, other)
    making = _seconds(lambda: task.of_part(lens, other))
    adding = _seconds(lambda: first.merged(second))
    tensors, _ = first.to_state()
    n_bytes = sum(tensors[name].nbytes for name in ("weighted", "drawn"))
    said = sums_of_a_part(lens.model.config)
    return {
        "replicates MB": n_bytes / 1e6,
        "formula MB": said / 1e6,
        "merge / make": adding / making,
    }


def offloaded() -> dict[str, dict[str, float]]:
    """Measure traces of a model whose layers lie on disk, beside one in memory."""
    tokenizer = Lens.demo("decoder").tokenizer
    torch.manual_seed(0)
    whole = LlamaForCausalLM(shape(SMOLLM2)).eval()
    torch.manual_seed(0)
    other = LlamaForCausalLM(shape(SMOLLM2)).eval()
    found: dict[str, dict[str, float]] = {}
    with TemporaryDirectory() as folder:
        disk_offload(other, folder, execution_device=torch.device("cpu"))
        lenses = Lens(whole, tokenizer), Lens(other, tokenizer)
        for n_tokens in (64, 1024):
            text = (DECODER_LONG_TEXT * 4)[: 3 * n_tokens]
            plain, slow = (_seconds(partial(_trace, lens, text)) for lens in lenses)
            found[f"a trace of {n_tokens} tokens"] = {"disk / memory": slow / plain}
    return found


def _trace(lens: Lens, text: str) -> None:
    lens.trace(text).close()


def _seconds(work: Any) -> float:
    taken: list[float] = []
    for _ in range(3):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def predicted() -> list[dict[str, Any]]:
    """Write the model out for large shapes."""
    rows: list[dict[str, Any]] = []
    for name, sizes in (("Llama-2-7B", LLAMA_2_7B), ("Llama-3-8B", LLAMA_3_8B)):
        config = shape(sizes)
        n_weights = weights_of(config) + config.vocab_size * config.hidden_size
        for machine in MACHINES:
            forward = machine.used * machine.peak / operations_per_token(config, TEXT)
            for n_gpus in (1, 8):
                rate = ATLAS * forward * n_gpus
                rows.append(
                    {
                        "model": name,
                        "GPUs": f"{n_gpus} x {machine.name}",
                        "weights GB": 2 * n_weights / 1e9,
                        "kB kept a token": kept_per_token(config, 2) / 1e3,
                        "traces of 4,096 tokens beside it": int(
                            (0.9 * machine.memory - 2 * n_weights)
                            / (4096 * kept_per_token(config, 2))
                        ),
                        "forward tokens/s": forward * n_gpus,
                        "atlas tokens/s": rate,
                        "hours for 1e9 tokens": CORPUS / rate / 3600,
                        "MB of sums a part": sums_of_a_part(config) / 1e6,
                    }
                )
    return rows


def show(title: str, rows: dict[Any, dict[str, float]]) -> None:
    """Print a table."""
    print(f"\n{title}")
    for name, figures in rows.items():
        said = "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
        print(f"  {name!s:42} {said}")


def main() -> None:
    """Measure, compare, and predict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--texts", type=int, default=2000, help="texts that workers read")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {
        "kept": kept(),
        "merging": merging(),
        "offloaded": offloaded(),
        "predicted": predicted(),
    }
    if asked.workers:
        found["workers"] = workers(asked.workers, asked.texts)
    show("bytes kept a token", found["kept"])
    show("sums of a part", {"demo decoder": found["merging"]})
    show("layers on disk, SmolLM2-135M's shape", found["offloaded"])
    show(f"workers, {asked.texts:,} texts", found.get("workers", {}))
    print("\npredicted")
    for row in found["predicted"]:
        print(
            "  "
            + "  ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
            )
        )
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
