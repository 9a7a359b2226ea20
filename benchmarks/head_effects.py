"""What switching every head off costs, beside as many plain forwards.

Run with ``python benchmarks/head_effects.py [tokens]`` (default 64). The model has SmolLM2-135M's
shape, 30 layers of 9 heads, with random weights: ``trace.head_effects()`` answers for 270 heads in
one call. Times are CPU seconds, forwards before and after, so that both see the same machine.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from glasshead_backend import Lens

if TYPE_CHECKING:
    from collections.abc import Callable

BAR = 0.35
FORWARDS = 10


def build() -> LlamaForCausalLM:
    """Return a model of SmolLM2-135M's shape."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def seconds(call: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of one of several calls."""
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


@torch.no_grad()
def main() -> None:
    """Compare, and say whether the bar is held."""
    n_tokens = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    model = build()
    lens = Lens(model, Lens.demo("decoder").tokenizer)
    ids = torch.randint(4, 1500, (n_tokens,)).tolist()
    trace = lens.trace(ids)
    row = torch.tensor([ids])

    def forward() -> None:
        model(row, use_cache=False)

    trace.head_effects(position=2)  # finds the heads, once a model
    seconds(forward, 3)
    before = seconds(forward, FORWARDS)
    found: list[int] = []
    effects = seconds(lambda: found.append(int((~trace.head_effects().values.isnan()).sum())))
    plain = (before + seconds(forward, FORWARDS)) / 2
    (n_heads,) = found
    ratio = effects / (n_heads * plain)
    print(
        f"{n_heads} heads, {n_tokens} tokens: {effects:.1f} s, {n_heads} plain forwards "
        f"{n_heads * plain:.1f} s; ratio {ratio:.2f} ({'within' if ratio <= BAR else 'over'} {BAR})"
    )


if __name__ == "__main__":
    main()
