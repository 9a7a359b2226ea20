"""Reporting progress while a model runs: layer by layer, or token by token."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import transformers

from glasshead_backend.progress import is_listened_to, steps
from glasshead_backend.running.hooks import on_input

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from torch import Tensor, nn


@contextmanager
def layers_reported(stacks: Iterable[Sequence[nn.Module]]) -> Generator[None, None, None]:
    """Report progress layer by layer while the model runs, where somebody listens."""
    layers = [layer for stack in stacks for layer in stack]
    if not is_listened_to():
        yield
        return
    run = steps(layers, "running the model", len(layers))

    def step(_: nn.Module, __: Tensor) -> None:
        next(run, None)

    try:
        with on_input(layers, step):
            yield
        next(run, None)  # the last layer is done as well
    finally:
        run.close()


@contextmanager
def each_token_reported(
    options: dict[str, Any], total: int
) -> Generator[dict[str, Any], None, None]:
    """Add to the options of ``generate`` what reports progress after every token."""
    if not is_listened_to():
        yield options
        return
    tokens = steps(range(total), "generating", total)

    class Report(transformers.StoppingCriteria):
        def __call__(self, input_ids: Tensor, *_: object, **__: object) -> Any:
            """Stop nothing."""
            next(tokens, None)
            return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    criteria = transformers.StoppingCriteriaList(
        [*(options.get("stopping_criteria") or ()), Report()]
    )
    try:
        yield {**options, "stopping_criteria": criteria}
    finally:
        tokens.close()
