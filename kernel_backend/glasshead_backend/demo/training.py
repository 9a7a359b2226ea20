"""What both training scripts share: seeds, the learning rate, the curve and the saved files."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def parse_arguments(description: str, *, steps: int) -> argparse.Namespace:
    """The command line of a training script: `--out`, `--seed`, `--steps`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=steps, help="fewer for a quick try")
    return parser.parse_args()


def prepare(seed: int) -> None:
    """Seed everything and use one thread: models this small only lose time with more."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)


def rate_at(step: int, *, steps: int, warmup: int) -> float:
    """Share of the peak learning rate: a straight warm-up, then a cosine down to a twentieth."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Trainer:
    """AdamW with warm-up and cosine, gradient clipping, and a CSV of how training went.

    Attributes
    ----------
    curve
        One row per call of `note`: step, CPU seconds (evaluation left out), mean loss since the
        last row, and the scores given.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        rate: float,
        steps: int,
        warmup: int,
        decay: float = 0.01,
    ) -> None:
        self.model = model
        self.step = 0
        self.seconds = 0.0
        self.curve: list[dict[str, Any]] = []
        self._rate, self._steps, self._warmup = rate, steps, warmup
        self._losses: list[float] = []
        self._clock = time.process_time()
        self._optimizer = torch.optim.AdamW(
            model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=decay
        )

    @property
    def done(self) -> bool:
        """Whether all steps of the schedule are taken."""
        return self.step >= self._steps

    def learn(self, loss: torch.Tensor) -> None:
        """One step of the optimizer."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * rate_at(self.step, steps=self._steps, warmup=self._warmup)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self._losses.append(float(loss.detach()))
        self.step += 1

    def pause(self) -> None:
        """Stop the clock, so that evaluation does not count as training."""
        self.seconds += time.process_time() - self._clock

    def note(self, scores: Mapping[str, Any]) -> None:
        """Add a row to the curve, print it, and start the clock again."""
        loss = sum(self._losses) / max(1, len(self._losses))
        row = {
            "step": self.step,
            "cpu_seconds": round(self.seconds, 1),
            "loss": round(loss, 4),
            **{k: round(v, 4) if isinstance(v, float) else v for k, v in scores.items()},
        }
        self.curve.append(row)
        print(row, flush=True)
        self._losses.clear()
        self.model.train()
        self._clock = time.process_time()


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Write float16 weights, configuration and tokenizer."""
    out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    # transformers 5 writes its own new class name here, which transformers 4 does not know;
    # both know the old one.
    path = out / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    # transformers 4 would make token types as well, which neither model takes.
    settings["model_input_names"] = ["input_ids", "attention_mask"]
    path.write_text(
        json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes files that only their owner may read


def write_curve(curve: list[dict[str, Any]], path: Path) -> None:
    """Write the rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(curve[0]))
        writer.writeheader()
        writer.writerows(curve)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def how_trained(trainer: Trainer, *, module: str, seed: int) -> str:
    """The paragraph of a model card that says how the weights came about, and how to redo it."""
    size = sum(parameter.numel() for parameter in trainer.model.parameters())
    versions = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
    return f"""{size:,} parameters, saved as float16. Seed {seed}, {trainer.step:,} steps,
{trainer.seconds / 60:.1f} CPU minutes on one thread; AdamW, warm-up and cosine. Versions:
{versions}. `training_curve.csv` has the loss and the scores along the way. To train it again:

    python -m glasshead_backend.demo.{module} --out DIR

The same seed gives the same numbers on the same machine; another processor or another version of
torch rounds differently, and heads can then end up at other places."""
