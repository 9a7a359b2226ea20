"""What statistics over a corpus cost, beside the model's bare forward over the same texts.

Run with ``python benchmarks/corpora.py`` (``--texts N``, ``--threads N``; ``--json FILE`` writes
the figures to a file; ``--workers 1 2 4`` measures with so many processes as well).

2,000 texts, each some clauses of the demo model's own text in an order of their own, 75 tokens on
average, read by the demo decoder in batches of 16. *Bare*: tokenised batch by batch as they come,
padded, one forward with the logits of all positions. *Tracing*: ``lens.trace_many``. *A statistic*:
``over_texts`` of norms. *Heads*: ``head_atlas`` with all its metrics. Ours read the very same
texts; what they come to is compared before anything is timed: logits of some texts, and the atlas'
means with those of ``head_statistics`` text by text.

Times are CPU seconds of this process, all works taken in turns slice by slice of the corpus, so
that the ratios hold on a busy machine. With workers it is wall time, and the atlas has to be the
same.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend import Lens, head_atlas, head_statistics, over_texts
from glasshead_backend.demo import DECODER_LONG_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from glasshead_backend import HeadAtlas

BATCH = 16
SLICES = 5
COMPARED = 24
BARS = {"tracing": 0.9, "heads": 0.6}
"""Least throughput, as a share of the bare forward's. (A statistic costs what it is itself.)"""


def corpus(n: int) -> list[str]:
    """Texts of 2 to 12 clauses each."""
    clauses = re.split(r"(?<=[.!?;,])\s+", DECODER_LONG_TEXT)
    rng = random.Random(0)  # noqa: S311  nothing secret
    return [" ".join(rng.sample(clauses, rng.randint(2, len(clauses)))) for _ in range(n)]


@torch.inference_mode()
def bare_logits(lens: Lens, texts: list[str]) -> Tensor:
    """Logits of all positions of one batch."""
    tokenizer: Any = lens.tokenizer
    encoding = tokenizer(texts, padding=True, return_tensors="pt")
    ids, mask = encoding["input_ids"], encoding["attention_mask"]
    return lens.model(input_ids=ids, attention_mask=mask, use_cache=False).logits


def bare(lens: Lens, texts: list[str]) -> None:
    """Run the model over all texts, and keep nothing."""
    for start in range(0, len(texts), BATCH):
        bare_logits(lens, texts[start : start + BATCH])


def trace(lens: Lens, texts: list[str]) -> None:
    """Trace all texts, and let each go."""
    for one in lens.trace_many(texts, batch_size=BATCH):
        one.close()


WORKS: dict[str, Callable[[Lens, list[str]], object]] = {
    "bare": bare,
    "tracing": trace,
    "a statistic": lambda lens, texts: over_texts(lens, texts, "norm", batch_size=BATCH),
    "heads": lambda lens, texts: head_atlas(lens, texts, batch_size=BATCH),
}


def require_same_work(lens: Lens, texts: list[str]) -> None:
    """Compare what both sides come to."""
    logits = bare_logits(lens, texts)
    traces = list(lens.trace_many(texts))
    for row, one in zip(logits, traces, strict=True):
        ours = one.logits(range(len(one.tokens)))
        torch.testing.assert_close(ours, row[: len(ours)].float(), rtol=1e-4, atol=1e-3)
    atlas = head_atlas(lens, texts)
    each = [head_statistics(one) for one in traces]
    for i, metric in enumerate(atlas.metrics):
        if hasattr(each[0], metric.name):
            mean = torch.stack([getattr(one, metric.name) for one in each]).double().nanmean(dim=0)
            torch.testing.assert_close(atlas.mean[i], mean, rtol=1e-6, atol=1e-5)


def cpu_seconds(lens: Lens, texts: list[str]) -> dict[str, float]:
    """CPU seconds of each work over all texts, slice by slice in turns."""
    seconds = dict.fromkeys(WORKS, 0.0)
    size = -(-len(texts) // SLICES)
    for work in WORKS.values():
        work(lens, texts[: 2 * BATCH])
    for start in range(0, len(texts), size):
        for name, work in WORKS.items():
            begun = time.process_time()
            work(lens, texts[start : start + size])
            seconds[name] += time.process_time() - begun
    return seconds


def with_workers(lens: Lens, texts: list[str], n: int, expected: HeadAtlas) -> float:
    """Wall seconds of the atlas with so many processes, once these have loaded their models."""
    with ProcessPoolExecutor(n, mp_context=get_context("spawn")) as executor:
        head_atlas(lens, texts[: 64 * n], executor=executor)
        begun = time.perf_counter()
        found = head_atlas(lens, texts, executor=executor)
        seconds = time.perf_counter() - begun
    if not torch.equal(found.rows, expected.rows) or not torch.equal(found.n, expected.n):
        raise RuntimeError(f"{n} workers count other rows than one.")
    torch.testing.assert_close(found.mean, expected.mean, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.low, expected.low, rtol=0, atol=1e-10)
    return seconds


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    lens, texts = Lens.demo("decoder"), corpus(asked.texts)
    n_tokens = sum(len(ids) for ids in lens.tokenizer(texts)["input_ids"])
    require_same_work(lens, texts[:COMPARED])
    print(f"{len(texts):,} texts, {n_tokens:,} tokens; threads: {asked.threads}. CPU seconds.")
    seconds = cpu_seconds(lens, texts)
    figures = {f"{name} s": one for name, one in seconds.items()}
    for name, one in seconds.items():
        ratio = seconds["bare"] / one
        figures[f"{name}: throughput / bare"] = ratio
        bar = f"   (at least {BARS[name]})" if name in BARS else ""
        print(f"  {name:14} {one:7.2f} s   {n_tokens / one:9,.0f} tokens/s   {ratio:5.2f} x{bar}")
    if asked.workers:
        expected = head_atlas(lens, texts)
        for n in asked.workers:
            wall = with_workers(lens, texts, n, expected)
            figures[f"heads, {n} workers: wall s"] = wall
            print(f"  heads, {n} workers: {wall:.2f} s (wall), the same atlas")
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
