"""What a first trace costs: from a loaded model that nobody has looked at to a trace of a text.

Run with ``python benchmarks/first_trace.py [tokens ...]`` (default 13 361; ``--model FOLDER`` takes
a model of your own). The model is SmolLM2-135M-Instruct where ``.models/`` has it, else one of
GPT-2-small's shape with random weights (``--shape`` asks for that one), which change nothing about
the cost. All times are CPU seconds of one thread, medians, interleaved in one run, so that the
ratios hold on a busy machine. The reference is the model itself, run over the same tokens. Beside
that, in processes of their own: what ``import glasshead`` costs behind ``import torch,
transformers``.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from glasshead import Lens

if TYPE_CHECKING:
    from collections.abc import Callable

SMOLLM2 = Path(__file__).parents[1] / ".models" / "smollm2-135m-instruct"
SHORT, REPETITIONS, FEWER_REPETITIONS = 100, 9, 3
IMPORTS = """
import time
import torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
start = time.process_time()
import glasshead
print(time.process_time() - start)
"""


def load(folder: Path | None) -> tuple[Any, Any]:
    """Load a model and its tokenizer from a folder; without one, make GPT-2-small's shape."""
    if folder is not None:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return model.eval(), AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=50257, bos_token_id=None, eos_token_id=None)
    return GPT2LMHeadModel(config).eval(), Lens.demo("decoder").tokenizer


def text_of(lens: Lens, n_tokens: int) -> str:
    """Return an arbitrary text of exactly so many tokens."""
    some = "The whale swam along the shores while unforeseeable weather gathered above them, "
    text = some * (n_tokens // 8 + 1)
    return text[: lens.tokenize(text)[n_tokens - 1].end]


@torch.no_grad()
def plain(model: Any, ids: torch.Tensor) -> None:
    """Run the model as one runs it."""
    model(ids)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of doing something once."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ratios(model: Any, tokenizer: Any, n_tokens: int) -> dict[str, float]:
    """Measure one text length: seconds of a plain forward, and multiples of it."""
    known = Lens(model, tokenizer)
    text = text_of(known, n_tokens)
    ids = torch.tensor([[token.id for token in known.tokenize(text)]], device=model.device)
    works: dict[str, Callable[[], object]] = {
        "plain": lambda: plain(model, ids),
        "first trace / plain": lambda: Lens(model, tokenizer).trace(text).close(),
        "anatomy / plain": lambda: Lens(model, tokenizer).anatomy,
        "next trace / plain": lambda: known.trace(text).close(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():  # the first of everything is slower
        work()
    for _ in range(REPETITIONS if n_tokens <= SHORT else FEWER_REPETITIONS):
        for name, work in works.items():
            seconds[name].append(cpu_seconds(work))
    medians = {name: statistics.median(some) for name, some in seconds.items()}
    return {
        name: some / (1 if name == "plain" else medians["plain"]) for name, some in medians.items()
    }


def seconds_of_import() -> float:
    """CPU seconds that our package adds to torch and transformers, median of three processes."""
    command = [sys.executable, "-c", IMPORTS]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(3)]
    return statistics.median(float(run.stdout.split()[-1]) for run in runs)


def main() -> None:
    """Measure all lengths asked for, and the import."""
    parser = argparse.ArgumentParser(description="What a first trace costs.")
    parser.add_argument("tokens", type=int, nargs="*", default=[13, 361])
    parser.add_argument("--model", type=Path, default=SMOLLM2 if SMOLLM2.is_dir() else None)
    parser.add_argument(
        "--shape", action="store_true", help="random weights of GPT-2-small's shape"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load(None if arguments.shape else arguments.model)
    print(type(model).__name__, "in CPU seconds of one thread")
    for n_tokens in arguments.tokens:
        print(f"\n{n_tokens:,} tokens")
        for name, figure in ratios(model, tokenizer, n_tokens).items():
            print(f"  {name:32} {figure:10.3g} {'x' if '/' in name else 's'}", flush=True)
    print(f"\nimport glasshead behind torch and transformers {seconds_of_import():.2f} s")


if __name__ == "__main__":
    main()
