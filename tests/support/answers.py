"""Everything that a lens can be asked, as numbers: the same wherever the model's weights lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor

from glasshead_backend import fit_lens, head_atlas, over_texts, patch, probe
from support.tiny_models import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glasshead_backend import Lens, Trace

TARGET = "a lazy fox runs over the sea"
TEXTS = [
    "the old dog runs away from the sea",
    "a quick whale jumps over the brown fox and the dog",
    "the fox and the dog at sea",
    "the lazy whale runs over the old fox",
]


def questions(lens: Lens) -> dict[str, Callable[[], Any]]:
    """Return what can be asked, by name."""
    pairs = lens.family == "encoder-decoder"
    targets = [TARGET] * len(TEXTS) if pairs else None
    trace = lens.trace(TEXT, TARGET if pairs else None)

    def each(ask: Callable[..., Any]) -> list[Any]:
        return [ask(layer, kind=kind) for kind in trace.kinds for layer in trace.layers(kind)]

    found: dict[str, Callable[[], Any]] = {
        "attention": lambda: each(trace.attention),
        "attention of heads": lambda: each(trace.mean_attention) if pairs else trace.rollout(),
        "predictions": lambda: _scores(trace),
        "logits": trace.logits,
        "attention blocks": lambda: [trace.activations(i, "attention") for i in trace.layers()],
        "MLP blocks": lambda: [trace.activations(i, "mlp") for i in trace.layers()],
        "norms": trace.norms,
        "moved norms": lambda: each(trace.moved_norms),
        "query and key": lambda: trace.query_key(1, 4).products,
        "head outputs": lambda: trace.head_outputs(1),
        "logit contributions": lambda: trace.logit_contributions().to_frame(),
        "gradient x input": lambda: trace.attribution().to_frame(),
        "integrated gradients": lambda: trace.attribution(
            "integrated_gradients", steps=4
        ).to_frame(),
        "attention gradients": lambda: each(trace.attention_gradient),
        "a head switched off": lambda: trace.ablate({1: [0, 2]}).logits(),
        "a block at its mean": lambda: trace.ablate(blocks=[(1, "mlp")], how="mean").logits(),
        "every head switched off": lambda: trace.head_effects().to_frame(),
        "layers read out": lambda: trace.layer_readings(4).to_frame(),
        "many texts": lambda: [one.logits() for one in lens.trace_many(TEXTS, targets)],
        "patched": lambda: _patched(lens, trace),
        "over texts": lambda: over_texts(lens, TEXTS, "norm", targets=targets).to_frame(),
        "atlas": lambda: head_atlas(lens, TEXTS, targets=targets).to_frame(),
        "probed": lambda: probe(
            lens, TEXTS, [0, 1, 0, 1], unit="text", folds=2, targets=targets
        ).to_frame(),
        "tuned lens": lambda: _fitted(lens, targets, "tuned"),
        "Jacobian lens": lambda: _fitted(lens, targets, "jacobian"),
    }
    if not pairs:
        found["written"] = lambda: lens.generate(TEXT, max_new_tokens=4).logits()
    return found


GRADIENTS = {
    "logit contributions",
    "gradient x input",
    "integrated gradients",
    "attention gradients",
    "tuned lens",
    "Jacobian lens",
}
"""What differentiates."""


def answers(lens: Lens, leave_out: set[str] = frozenset()) -> dict[str, Tensor]:  # type: ignore[assignment]
    """Ask everything; all numbers of an answer in a row, float64."""
    return {
        name: torch.cat([torch.zeros(0), *_numbers(ask())])
        for name, ask in questions(lens).items()
        if name not in leave_out
    }


def _scores(trace: Trace) -> pd.DataFrame:
    return trace.predictions().to_frame().select_dtypes("number")


def _patched(lens: Lens, trace: Trace) -> list[pd.DataFrame]:
    target = TARGET if lens.family == "encoder-decoder" else None
    other = lens.trace(TEXT.replace("quick", "lazy"), target)
    return [patch(trace, other, what).to_frame() for what in ("residual", "attention", "mlp")]


def _fitted(lens: Lens, targets: list[str] | None, kind: Any) -> list[Tensor]:
    found = fit_lens(lens, TEXTS, kind, targets=targets, n_steps=2, n_tokens=8, n_samples=2)
    return [found.change, found.bias]


def _numbers(answer: Any) -> Iterator[Tensor]:
    if isinstance(answer, Tensor):
        yield answer.detach().cpu().double().flatten()
    elif isinstance(answer, pd.DataFrame):
        yield torch.from_numpy(answer.select_dtypes("number").to_numpy("float64").flatten())
    else:
        for one in answer.values() if isinstance(answer, dict) else answer:
            yield from _numbers(one)
