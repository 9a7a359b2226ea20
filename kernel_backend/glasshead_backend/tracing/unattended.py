"""A run of which only the predictions are kept: no queries, no keys, no norms."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from glasshead_backend.running.as_found import autocast_now, lock_of
from glasshead_backend.running.body import unembedding_of
from glasshead_backend.running.forward import device_of
from glasshead_backend.running.same_model import ModelState
from glasshead_backend.tracing.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import Tensor

    from glasshead_backend.running.logits import NextTokenLogits
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.subject import Subject


@contextmanager
def scored_run(
    subject: Subject, sides: Sides, *, masked: bool = False
) -> Generator[Callable[[NextTokenLogits | None, Tensor], Run], None, None]:
    """Hold the model while a text is scored; yields what makes a run of logits and scores.

    Raises
    ------
    ValueError
        For a model that has nothing to predict with.
    """
    model = subject.model
    if unembedding_of(model) is None:
        raise ValueError(
            f"{type(model).__name__} has no language-model head, so there is nothing to score. "
            "Load the model with AutoModelForCausalLM, AutoModelForSeq2SeqLM or "
            "AutoModelForMaskedLM."
        )
    with lock_of(model):
        before = ModelState.of(model, values=False)

        def finish(logits: NextTokenLogits | None, scores: Tensor) -> Run:
            return Run(
                subject=subject,
                model_class=type(model).__name__,
                state=before.after_a_run(),
                anatomy=subject.anatomy,
                sides=sides,
                calls={},
                logits=logits,
                scores=scores,
                norms={},
                inputs={},
                autocast=autocast_now(device_of(model)),
                masked=masked,
            )

        yield finish
