"""What attention costs: recording it, and computing on demand what is looked at.

Run with ``python benchmarks/attention.py [tokens ...]`` (default 512 2048 8192; ``--json FILE``
writes the figures to a file). The model has SmolLM2-135M's shape (30 layers, 9 heads of size 64, 3
key/value heads, width 576) and random weights, which change nothing about the cost. All times are
CPU seconds of one thread, medians, modes interleaved in one run, so that the ratios hold on a busy
machine. Peak memory is taken in processes of their own, from when the model is loaded (Linux). The
reference is what other tools do: eager attention with ``output_attentions=True``; beyond 2,048
tokens it is left out (4 bytes x 30 layers x 9 heads x T x T: 18 GB at 4,096, 72 GB at 8,192).

``--device cuda`` runs the model on a GPU: times are then those of the clock, with the device waited
for, and memory is the device's.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from glasshead import Lens

if TYPE_CHECKING:
    from collections.abc import Callable

LAYER, HEAD = 15, 4
LONGEST_EAGER = 2048
MODES = ("idle", "plain", "trace", "eager")


def smollm2_shape(device: str) -> Lens:
    """Build a model of SmolLM2-135M's shape with random weights."""
    tokenizer = Lens.demo("decoder").tokenizer
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    return Lens(LlamaForCausalLM(config).eval().to(device), tokenizer)


def text_of(lens: Lens, n_tokens: int) -> str:
    """Return an arbitrary text of exactly so many tokens."""
    some = "The whale swam along the shores while unforeseeable weather gathered above them, "
    text = some * (n_tokens // 8)
    return text[: lens.tokenize(text)[n_tokens - 1].end]


def ids_of(lens: Lens, text: str) -> torch.Tensor:
    """Token ids of a text, ``[1, tokens]``."""
    ids = [[token.id for token in lens.tokenize(text)]]
    return torch.tensor(ids, device=lens.model.device)


@torch.no_grad()
def plain(lens: Lens, ids: torch.Tensor) -> Any:
    """Run the model as it is, with its fast attention; logits of the last position only."""
    return lens.model(ids, use_cache=False, logits_to_keep=1)


@torch.no_grad()
def eager(model: LlamaForCausalLM, ids: torch.Tensor) -> Any:
    """Run the model in eager mode and keep every weight."""
    return model(ids, use_cache=False, logits_to_keep=1, output_attentions=True)


def bare_head(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Compute one causal head as one writes it down."""
    return (query @ key.T * query.shape[-1] ** -0.5 + mask).softmax(dim=-1)


def seconds_of(work: Callable[[], Any]) -> float:
    """CPU time of doing something once; where there is a GPU in use, time of the clock."""
    if not torch.cuda.is_initialized():
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def medians(works: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, float]:
    """Median seconds of each work, done in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repetitions):
        for name, work in works.items():
            seconds[name].append(seconds_of(work))
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def record_and_ask(lens: Lens, n_tokens: int) -> dict[str, float]:
    """Measure recording and every question at one length; return seconds and ratios."""
    text = text_of(lens, n_tokens)
    ids = ids_of(lens, text)
    _ = lens.anatomy
    repetitions = 5 if n_tokens <= 1024 else 3 if n_tokens <= LONGEST_EAGER else 1  # noqa: PLR2004
    # A few seconds of warming up: the first pass over new pages is slower than all others.
    plain(lens, ids)
    figures = medians(
        {"plain": lambda: plain(lens, ids), "trace": lambda: lens.trace(text).close()}, repetitions
    )
    if n_tokens <= LONGEST_EAGER:
        model = copy.deepcopy(lens.model)
        model.set_attn_implementation("eager")
        figures |= medians({"eager": lambda: eager(model, ids)}, min(2, repetitions))
        del model
        figures["eager / trace"] = figures["eager"] / figures["trace"]
    figures["trace / plain"] = figures["trace"] / figures["plain"]
    with lens.trace(text) as trace:
        query, key = torch.randn(2, n_tokens, 64, device=lens.model.device)
        mask = torch.full((n_tokens, n_tokens), -torch.inf, device=query.device).triu(1)
        figures |= medians(
            {
                "bare head": lambda: bare_head(query, key, mask),
                "head": lambda: trace.attention(LAYER, HEAD),
                "words": lambda: trace.attention(LAYER, HEAD, unit="word"),
                "row": lambda: trace.token_attention(n_tokens - 1),
                "picture": lambda: trace.pooled_attention(LAYER, HEAD),
            },
            15 if n_tokens <= LONGEST_EAGER else 5,
        )
        figures["held MB"] = trace.nbytes / 1e6
    figures["head / bare head"] = figures["head"] / figures["bare head"]
    figures["row of all heads / head"] = figures["row"] / figures["head"]
    figures["words / head"] = figures["words"] / figures["head"]
    figures["picture / head"] = figures["picture"] / figures["head"]
    return figures


def peak_memory(mode: str, n_tokens: int, device: str) -> float:
    """Peak memory, MB, of a process that runs one mode once."""
    command = [sys.executable, __file__, "--device", device, "--peak", mode, str(n_tokens)]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(out.stdout.strip().splitlines()[-1])


def forget_peak() -> None:
    """Give freed memory back, and start counting the peak from here."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def run_once(mode: str, n_tokens: int, device: str) -> None:
    """Run one mode and print the process's peak memory in MB."""
    lens = smollm2_shape(device)
    text = text_of(lens, n_tokens)
    ids = ids_of(lens, text)
    _ = lens.anatomy
    forget_peak()
    if mode == "plain":
        plain(lens, ids)
    elif mode == "trace":
        trace = lens.trace(text)
        assert trace.nbytes > 0
    elif mode == "eager":
        lens.model.set_attn_implementation("eager")
        eager(lens.model, ids)
    if torch.cuda.is_initialized():
        print(torch.cuda.max_memory_allocated() / 1e6)
        return
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) * 1024 / 1e6)


def report(n_tokens: int, figures: dict[str, float]) -> None:
    """Print the figures of one length."""
    print(f"\n{n_tokens:,} tokens")
    for name, figure in figures.items():
        unit = "MB" if "MB" in name else "x" if "/" in name else "s"
        print(f"  {name.removesuffix(' MB'):32} {figure:10.3g} {unit}")


def main() -> None:
    """Measure all lengths asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokens", type=int, nargs="*", default=[512, 2048, 8192])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cpu", help="where the model lies: cpu or cuda")
    parser.add_argument("--peak", nargs=2, metavar=("MODE", "TOKENS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.peak:
        run_once(asked.peak[0], int(asked.peak[1]), asked.device)
        return
    lens = smollm2_shape(asked.device)
    everything: dict[int, dict[str, float]] = {}
    for n_tokens in asked.tokens:
        figures = record_and_ask(lens, n_tokens)
        modes = MODES if n_tokens <= LONGEST_EAGER else MODES[:-1]
        peaks = {f"peak {mode} MB": peak_memory(mode, n_tokens, asked.device) for mode in modes}
        figures |= peaks
        weights = peaks["peak idle MB"]
        figures["peak trace / peak plain"] = peaks["peak trace MB"] / peaks["peak plain MB"]
        if "peak eager MB" in peaks:
            above = (peaks["peak eager MB"] - weights) / figures["held MB"]
            figures["eager / trace, held above the weights"] = above
        everything[n_tokens] = figures
        report(n_tokens, figures)
    if asked.json:
        asked.json.write_text(json.dumps(everything, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
