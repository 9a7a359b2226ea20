"""What the first picture costs: from a text to the first AttentionLines, at GPT-2-small's shape.

Run with ``python benchmarks/first_picture.py [tokens ...]`` (default 128 512). The model has random
weights, the text is arbitrary: neither changes what is computed or sent. Everything is measured in
one run, interleaved, as CPU seconds of one thread (medians), so that the ratios hold on a busy
machine. The reference is what other tools do: run the model in eager mode with
``output_attentions=True`` and write every weight into the page as JSON.
"""

from __future__ import annotations

import copy
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from glasshead import AttentionLines, Lens, Trace

if TYPE_CHECKING:
    from collections.abc import Callable

REPETITIONS = 5


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Run something once, and say how much CPU time it took."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def sent_bytes(view: AttentionLines) -> dict[str, int]:
    """Bytes that a page gets for a view: its arrays, its other state, and its code and styles."""
    state = view.get_state()
    code = sum(len(str(state.pop(name)).encode()) for name in ("_esm", "_css"))
    arrays = 0

    def without_arrays(value: Any) -> Any:
        nonlocal arrays
        if isinstance(value, dict):
            return {key: without_arrays(item) for key, item in value.items()}
        if isinstance(value, bytes):
            arrays += len(value)
            return None
        return value

    rest = len(json.dumps(without_arrays(state), default=str))
    return {"arrays": arrays, "other state": rest, "code": code}


def compare(lens: Lens, eager: GPT2LMHeadModel, n_tokens: int) -> None:
    """Measure one text length, and print bytes and ratios."""
    words = lens.tokenizer.decode(range(300, 320)).split()
    text = " ".join(words[i % len(words)] for i in range(n_tokens))
    text = lens.tokenizer.decode([token.id for token in lens.tokenize(text)][:n_tokens])
    ids = torch.tensor([[token.id for token in lens.tokenize(text)]])
    _ = lens.anatomy

    def plain() -> None:
        with torch.no_grad():
            lens.model(ids, use_cache=False)

    def everything_as_json() -> str:
        with torch.no_grad():
            attentions = eager(ids, use_cache=False, output_attentions=True).attentions
        return json.dumps([layer[0].tolist() for layer in attentions])

    def ours() -> tuple[Trace, AttentionLines]:
        trace = lens.trace(text)
        return trace, AttentionLines(trace)

    seconds: dict[str, list[float]] = {"plain": [], "json": [], "trace": [], "ours": []}
    for _ in range(REPETITIONS):
        seconds["plain"].append(cpu_seconds(plain)[0])
        seconds["trace"].append(cpu_seconds(lambda: lens.trace(text))[0])
        took, (_, view) = cpu_seconds(ours)
        seconds["ours"].append(took)
        took, page = cpu_seconds(everything_as_json)
        seconds["json"].append(took)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    sent = sent_bytes(view)
    total = sum(sent.values())
    parts = ", ".join(f"{name} {size / 1e3:.0f} kB" for name, size in sent.items())
    slower = median["json"] / median["ours"]
    print(f"{ids.shape[1]} tokens, 12 layers x 12 heads")
    print(f"  bytes sent      {total / 1e6:.3f} MB: {parts}")
    print(f"  all as JSON     {len(page) / 1e6:.1f} MB, {len(page) / total:,.0f} x ours")
    print(f"  first picture   {median['ours']:.3f} CPU-s (plain forward {median['plain']:.3f})")
    print(f"  eager + JSON    {median['json']:.2f} CPU-s, {slower:.1f} x ours")
    print(f"  trace / plain forward with all logits   {median['trace'] / median['plain']:.2f}")


def main() -> None:
    """Compare at the lengths given on the command line."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = Lens.demo("decoder").tokenizer
    model = GPT2LMHeadModel(GPT2Config(bos_token_id=None, eos_token_id=None)).eval()
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    lens = Lens(model, tokenizer)
    for n_tokens in [int(argument) for argument in sys.argv[1:]] or [128, 512]:
        compare(lens, eager, n_tokens)


if __name__ == "__main__":
    main()
