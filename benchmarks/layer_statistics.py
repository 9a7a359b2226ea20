"""What the statistics cost, against the loops that a course notebook would write.

Run with ``python benchmarks/layer_statistics.py`` (``--json FILE`` writes the figures to a file;
``--threads N`` is for machines with nothing else to do).

Permutation test: 36 layers x 1,000 permutations x 1,024 tokens x 1,280 dimensions. The notebook's
loop takes the activations of the two groups, their log-norms, histograms and divergence for every
layer and permutation. It would run for minutes to hours: a sample of it is timed, and its time
multiplied. A kinder loop takes the norms of a layer once. Mutual information: 48 layers x 2 blocks
x 15 pairs of 6 positions x 1,600 dimensions, the whole loop over ``numpy.histogram2d`` timed.

All times are wall time of one thread, for both sides, taken in turns in one run, so that the ratios
hold on a busy machine, where two threads wait for each other: medians, behind a warm-up. What both
sides find is compared before anything is timed. Peak memory is taken in processes of their own,
above the activations (Linux).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import entropy, zscore

from glasshead_backend.statistics.information import pairwise_information
from glasshead_backend.statistics.permutation import (
    divergences,
    null_divergences,
    p_values,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

LAYERS, PERMUTATIONS, TOKENS, WIDTH = 36, 1000, 1024, 1280
SAMPLE_LAYERS, SAMPLE_PERMUTATIONS = 2, 20
GROUP_BINS = 30
MI_LAYERS, MI_BLOCKS, MI_TARGETS, MI_WIDTH = 48, 2, 6, 1600
MI_BINS, TRIM = 15, 4.0
REPETITIONS = 5
BARS = {
    "permutations: notebook / ours": 2000,
    "information: notebook / ours": 10,
    "permutations: peak MB": 1000,
    "information: peak MB": 1000,
}


def activations_and_labels() -> tuple[Tensor, Tensor]:
    """Activations ``[layers, tokens, hidden]``, and which tokens are predicted right."""
    generator = torch.Generator().manual_seed(0)
    activations = torch.randn(LAYERS, TOKENS, WIDTH, generator=generator)
    activations *= 1 + torch.rand(LAYERS, TOKENS, 1, generator=generator)
    return activations, torch.rand(TOKENS, generator=generator) < 0.4  # noqa: PLR2004


def target_activations() -> Tensor:
    """Activations of every layer and block at the places of a target."""
    values = np.random.default_rng(0).standard_t(4, (MI_LAYERS * MI_BLOCKS, MI_TARGETS, MI_WIDTH))
    return torch.from_numpy(values.astype(np.float32))


# --- the notebook ---------------------------------------------------------------------------------
def divergence_of(one: Tensor, other: Tensor) -> Tensor:
    """Jensen-Shannon divergence of two groups' histograms, as one writes it down."""
    both = torch.cat([one, other])
    span = (float(both.min()), float(both.max()))
    p, q = (torch.histogram(values, GROUP_BINS, range=span).hist for values in (one, other))
    p, q = p / p.sum(), q / q.sum()
    m = (p + q) / 2
    return (torch.xlogy(p, p) + torch.xlogy(q, q)).sum() / 2 - torch.xlogy(m, m).sum()


def notebook_layer(activations: Tensor, right: Tensor, permutations: int) -> Tensor:
    """Observed and permuted divergences of one layer."""
    found: list[Tensor] = []
    for permutation in range(permutations + 1):
        labels = right[torch.randperm(len(right))] if permutation else right
        one, other = activations[labels], activations[~labels]
        found.append(divergence_of(one.norm(dim=-1).log(), other.norm(dim=-1).log()))
    return torch.stack(found)


def kind_notebook_layer(activations: Tensor, right: Tensor, permutations: int) -> Tensor:
    """Compute the same with the norms taken once."""
    log_norms = activations.norm(dim=-1).log()
    found: list[Tensor] = []
    for permutation in range(permutations + 1):
        labels = right[torch.randperm(len(right))] if permutation else right
        found.append(divergence_of(log_norms[labels], log_norms[~labels]))
    return torch.stack(found)


def notebook_information(activations: Tensor) -> list[list[float]]:
    """Mutual information of every pair of positions, layer by layer."""
    found: list[list[float]] = []
    for layer in activations.numpy():
        of_layer: list[float] = []
        for i, j in combinations(range(len(layer)), 2):
            x, y = zscore(layer[i], ddof=1), zscore(layer[j], ddof=1)
            keep = (np.abs(x) <= TRIM) & (np.abs(y) <= TRIM)
            counts, _, _ = np.histogram2d(x[keep], y[keep], bins=MI_BINS)
            p = counts / counts.sum()
            of_layer.append(
                entropy(p.sum(axis=1), base=2)
                + entropy(p.sum(axis=0), base=2)
                - entropy(p.ravel(), base=2)
            )
        found.append(of_layer)
    return found


# --- ours -----------------------------------------------------------------------------------------
def log_norms_of(activations: Tensor) -> Tensor:
    """Log-norms ``[layers, tokens]``."""
    return activations.norm(dim=-1).double().log()


def permutation_test(log_norms: Tensor, right: Tensor) -> Tensor:
    """p-values of all layers."""
    null = null_divergences(log_norms, right, bins=GROUP_BINS, permutations=PERMUTATIONS, seed=0)
    return p_values(divergences(log_norms, right, GROUP_BINS), null)


def information(activations: Tensor) -> Tensor:
    """Mutual information of every layer and pair."""
    return pairwise_information(activations, bins=MI_BINS, trim=TRIM)


# --- measuring ------------------------------------------------------------------------------------
def wall_seconds(work: Callable[[], Any]) -> float:
    """Wall time of doing something once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median wall seconds of each work, done in turns, behind one round that does not count."""
    rounds = [
        {name: wall_seconds(work) for name, work in works.items()} for _ in range(REPETITIONS + 1)
    ]
    return {name: median(one[name] for one in rounds[1:]) for name in works}


def permutations() -> dict[str, float]:
    """Time the permutation test."""
    activations, right = activations_and_labels()
    log_norms = log_norms_of(activations)
    sample = activations[:SAMPLE_LAYERS]
    observed = torch.stack([notebook_layer(layer, right, 0)[0] for layer in sample])
    ours = divergences(log_norms[:SAMPLE_LAYERS], right, GROUP_BINS)
    # float32 norms and edges: now and then a value falls into the next bin.
    torch.testing.assert_close(observed.double(), ours, rtol=0, atol=2e-3)
    seconds = medians(
        {
            "notebook": lambda: [notebook_layer(x, right, SAMPLE_PERMUTATIONS) for x in sample],
            "kind": lambda: [kind_notebook_layer(x, right, SAMPLE_PERMUTATIONS) for x in sample],
            "ours": lambda: permutation_test(log_norms_of(activations), right),
            "norms": lambda: log_norms_of(activations),
            "ours, from norms": lambda: permutation_test(log_norms, right),
        }
    )
    scale = LAYERS / SAMPLE_LAYERS * (PERMUTATIONS + 1) / (SAMPLE_PERMUTATIONS + 1)
    notebook, kind = scale * seconds["notebook"], scale * seconds["kind"]
    return {
        "permutations: notebook s": notebook,
        "permutations: notebook, norms once s": kind,
        "permutations: ours s": seconds["ours"],
        "permutations: ours, norms alone s": seconds["norms"],
        "permutations: ours, from norms s": seconds["ours, from norms"],
        "permutations: notebook / ours": notebook / seconds["ours"],
        "permutations: notebook / ours, from norms": notebook / seconds["ours, from norms"],
        "permutations: notebook, norms once / ours": kind / seconds["ours"],
        "permutations: notebook, norms once / ours, from norms": kind / seconds["ours, from norms"],
    }


def informations() -> dict[str, float]:
    """Time mutual information."""
    activations = target_activations()
    exact = torch.tensor(notebook_information(activations.double()), dtype=torch.float64)
    torch.testing.assert_close(information(activations), exact, rtol=0, atol=1e-9)
    seconds = medians(
        {
            "notebook": lambda: notebook_information(activations),
            "ours": lambda: information(activations),
        }
    )
    return {
        "information: notebook s": seconds["notebook"],
        "information: ours s": seconds["ours"],
        "information: notebook / ours": seconds["notebook"] / seconds["ours"],
    }


# --- memory ---------------------------------------------------------------------------------------
def memory_kb(name: str) -> int:
    """Read a figure of this process's memory."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


def print_peak(what: str) -> None:
    """Do it once, and print the peak above what stood before it in MB."""
    activations, right = activations_and_labels()
    targets = target_activations()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = memory_kb("VmRSS")
    if what == "permutations":
        permutation_test(log_norms_of(activations), right)
    else:
        information(targets)
    print((memory_kb("VmHWM") - before) * 1024 / 1e6)


def peak_memory(what: str) -> float:
    """Peak memory above the activations, MB, in a process of its own."""
    command = [sys.executable, __file__, "--peak", what]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(out.stdout.strip().splitlines()[-1])


# --- report ---------------------------------------------------------------------------------------
def report(figures: dict[str, float]) -> None:
    """Print all figures, and the bars that they are held against."""
    print(
        f"Threads: {torch.get_num_threads()}. Wall time, medians of {REPETITIONS}.\n"
        f"The notebook's permutation loops are timed over {SAMPLE_LAYERS} layers x "
        f"{SAMPLE_PERMUTATIONS} permutations and multiplied up to {LAYERS} x {PERMUTATIONS:,}."
    )
    for name, figure in figures.items():
        unit = "x" if "/" in name else name.rsplit(" ", maxsplit=1)[-1]
        bar = BARS.get(name)
        sign = "at most" if unit == "MB" else "at least"
        beside = "" if bar is None else f"   ({sign} {bar:,})"
        shown = f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"  # noqa: PLR2004
        print(f"  {name.removesuffix(f' {unit}'):56} {shown:>9} {unit}{beside}")


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak", choices=["permutations", "information"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.peak:
        print_peak(asked.peak)
        return
    figures = permutations() | informations()
    for what in ("permutations", "information"):
        figures[f"{what}: peak MB"] = peak_memory(what)
    report(figures)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
