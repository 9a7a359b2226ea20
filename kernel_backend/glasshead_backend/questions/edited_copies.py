"""One number of a text's run, in many copies that are edited: batched, behind what they share."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.questions.predictions import logits_row
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.body import difference, short_unembedding, unembedding_of
from glasshead_backend.running.edits import edited
from glasshead_backend.running.forward import device_of, forward
from glasshead_backend.running.resumed import layer_calls, resumed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor, nn

    from glasshead_backend.asking import Stack
    from glasshead_backend.questions.target import Target
    from glasshead_backend.running.edits import Edit
    from glasshead_backend.running.resumed import LayerCall
    from glasshead_backend.tracing.run import Run

_TOKENS_AT_ONCE = 4096
"""Of all copies together on a CPU, where more are no faster ..."""
_TOKENS_ON_ACCELERATOR = 32_768
"""... and elsewhere."""

_WIDTHS = 24
"""Hidden states that a token takes while a layer runs, the wide ones of an MLP among them."""

_TOLERANCE = {torch.float16: 2e-2, torch.bfloat16: 1e-1}
_FLOAT32 = 1e-3
"""Largest difference of logits, relative to the largest, between two ways that mean the same."""


@dataclass(frozen=True, eq=False)
class Copies:
    """Copies of a recorded text, ready to be run with edits.

    Attributes
    ----------
    run : Run
    target : Target
        The number that is looked at.
    calls : list of (nn.Module, output)
        What the layers put out when nothing more is edited than in the run itself.
    resumes : bool
        Whether the layers may hand that out again. Not where later ones read more of earlier ones
        than what they put out.
    cuts : bool
        Whether logits of one row alone are what they are among all rows.
    """

    run: Run
    target: Target
    calls: list[LayerCall]
    resumes: bool = False
    cuts: bool = True

    @classmethod
    def of(cls, run: Run, target: Target) -> Copies:
        """Run the text once more, and see in which ways its copies can be run."""
        known = logits_row(run, target.row)
        stacks = run.anatomy.structure.stacks.values()
        with run.model_again() as model, for_a_trace(model):
            with (
                layer_calls(layer for stack in stacks for layer in stack) as calls,
                edited(model, run.edits),
            ):
                forward(model, run.inputs)
            plain = cls(run, target, calls)
            plain = replace(plain, cuts=plain.agrees(known, model))
            last = replace(plain, resumes=True)
            return last if last.agrees(known, model) else plain

    def agrees(self, known: Float[Tensor, " vocabulary"], model: Any) -> bool:
        """Whether a copy puts out what the run itself does, its last layer computed only."""
        start = len(self.calls) - 1 if self.resumes else 0
        try:
            logits = self._logits(model, 2, (), start)
        except (LookupError, RuntimeError, AttributeError, TypeError, ValueError):
            return False  # a later layer reads more of the earlier ones
        return difference(logits[-1].float(), known) <= _TOLERANCE.get(model.dtype, _FLOAT32)

    def place(self, layer: nn.Module, turn: int) -> int:
        """Return where a layer stands in the order of all calls, in its n-th run."""
        there = [i for i, (one, _) in enumerate(self.calls) if one is layer]
        return there[turn]

    def place_of(self, stack: Stack, layer: int) -> int:
        """Return where a layer, by its number, stands in the order of all calls."""
        layers = self.run.anatomy.structure.stacks[stack]
        own = layers[layer]
        return self.place(own, sum(one is own for one in layers[:layer]))

    @property
    def at_once(self) -> int:
        """How many copies may run together.

        Raises
        ------
        MemoryBudgetError
            When a single one takes more memory than it may.
        """
        run, model = self.run, self.run.subject.model
        device = device_of(model)
        n_tokens = sum(len(sequence.tokens) for sequence in run.sides.all)
        hidden = model.get_input_embeddings().weight.shape[-1]
        n_heads = max((c.n_heads for of in run.calls.values() for c in of.values()), default=1)
        n_rows = 1 if self.cuts else len(run.sides.all[-1].tokens)
        logits = 0 if run.logits is None else n_rows * run.logits.n_vocabulary
        of_tokens = n_tokens * (_WIDTHS * hidden * model.dtype.itemsize + 8 * n_heads * n_tokens)
        one = of_tokens + 8 * logits
        kept = len(self.calls) * n_tokens * hidden * model.dtype.itemsize
        allowed = budget_on(device, run.subject.memory_budget)
        require_room(
            one + kept,
            allowed,
            f"Running {n_tokens:,} tokens once more, with what the layers put out kept,",
            ["Trace a shorter text."],
        )
        tokens = _TOKENS_AT_ONCE if device.type == "cpu" else _TOKENS_ON_ACCELERATOR
        return max(1, min((allowed - kept) // one, tokens // n_tokens))

    def targets(
        self, n_copies: int, edits: Sequence[Edit], start: int = 0, *, tokens_first: bool = False
    ) -> Float[Tensor, " copy"]:
        """Run copies with edits beside those of the run, and return the target of each.

        Parameters
        ----------
        n_copies : int
        edits : sequence of Edit
            None of them in front of `start`.
        start : int
            The first call of a layer that differs from the run's; those in front are not computed
            again where that is possible.
        tokens_first : bool
            As for :func:`glasshead_backend.running.resumed.resumed`.
        """
        with self.run.model_again() as model, for_a_trace(model):
            first = start if self.resumes else 0
            logits = self._logits(model, n_copies, edits, first, tokens_first=tokens_first)
            return self.target.of(logits)

    def _logits(
        self,
        model: Any,
        n_copies: int,
        edits: Sequence[Edit],
        start: int,
        *,
        tokens_first: bool = False,
    ) -> Float[Tensor, "copy vocabulary"]:
        inputs = {
            name: one.repeat(n_copies, *[1] * (one.dim() - 1))
            for name, one in self.run.inputs.items()
        }
        unembedding, row = unembedding_of(model) if self.cuts else None, self.target.row
        with ExitStack() as stack:
            stack.enter_context(edited(model, [*self.run.edits, *edits]))
            if start:
                again = resumed(self.calls, start, n_copies, tokens_first=tokens_first)
                stack.enter_context(again)
            if unembedding is None:
                return forward(model, inputs).logits[:, row]
            stack.enter_context(short_unembedding(unembedding, row))
            return forward(model, inputs).logits[:, 0]
