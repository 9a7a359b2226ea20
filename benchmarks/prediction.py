"""What scoring a text costs beside a plain forward and cross entropy on its full logits.

Run with ``python benchmarks/prediction.py [tokens]`` (default 2,048). The model has SmolLM2's
vocabulary (49,152) and shape, with random weights (``--layers``, default its 30: fewer make the
share of scoring larger). Times are CPU seconds, medians of runs that alternate; memory is
the peak of a process of its own above what it took when the model had run over a few tokens
(Linux).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from glasshead_backend import Lens

N_VOCABULARY, REPETITIONS = 49_152, 3
BARS = {"time": 1.1, "memory": 0.5}


def build(n_layers: int, n_tokens: int) -> Any:
    """Return a model of SmolLM2-135M's widths."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=N_VOCABULARY,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=n_layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=max(8192, n_tokens),
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


@torch.no_grad()
def plain(model: Any, ids: list[int]) -> float:
    """Perplexity by cross entropy on all logits."""
    row = torch.tensor([ids])
    logits = model(row, use_cache=False).logits[0, :-1].float()
    return float(functional.cross_entropy(logits, row[0, 1:]).exp())


def measured(lens: Lens, ids: list[int], way: str) -> float:
    """Perplexity by one of the two ways."""
    return (
        plain(lens.model, ids) if way == "plain" else lens.score(ids).predictions().mean_perplexity
    )


def peak(way: str, n_layers: int, n_tokens: int) -> int:
    """Bytes above the model at the peak, in a process of its own."""
    command = [sys.executable, __file__, str(n_tokens), "--layers", str(n_layers), "--peak", way]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def memory(name: str) -> int:
    """Bytes of this process, as Linux counts them: now (VmRSS) or at the peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def main() -> None:
    """Measure, and say how it compares with the bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokens", nargs="?", type=int, default=2048)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--peak", choices=["plain", "score"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    lens = Lens(build(asked.layers, asked.tokens), Lens.demo("decoder").tokenizer)
    ids = torch.randint(0, 500, (asked.tokens,)).tolist()
    for way in ("plain", "score"):
        measured(lens, ids[:16], way)
    if asked.peak:
        before = memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        measured(lens, ids, asked.peak)
        print(memory("VmHWM") - before)
        return
    seconds: dict[str, list[float]] = {"plain": [], "score": []}
    for _ in range(REPETITIONS):
        for way, found in seconds.items():
            start = time.process_time()
            measured(lens, ids, way)
            found.append(time.process_time() - start)
    times = {way: statistics.median(found) for way, found in seconds.items()}
    peaks = {way: peak(way, asked.layers, asked.tokens) for way in seconds}
    for what, found in (("time", times), ("memory", peaks)):
        ratio = found["score"] / found["plain"]
        numbers = f"plain {found['plain']:.3g}, score {found['score']:.3g}"
        print(f"{what}: {numbers}; ratio {ratio:.2f} (bar {BARS[what]})")


if __name__ == "__main__":
    main()
