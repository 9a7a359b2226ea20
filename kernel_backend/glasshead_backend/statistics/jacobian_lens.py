"""The Jacobian lens: what the layers above do to a hidden state, to first order and on average."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.anatomy.contributions import Rows
from glasshead_backend.progress import steps
from glasshead_backend.questions.readout import predicting_layers, states_behind
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.body import shortened
from glasshead_backend.running.forward import forward
from glasshead_backend.running.hooks import first_tensor, here, with_first_tensor

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from jaxtyping import Float, Int
    from torch import Tensor, nn

    from glasshead_backend.statistics.tuned_lens import Runs, Translators
    from glasshead_backend.tracing.run import Run


def fit_jacobian(
    runs: Runs,
    texts: Sequence[int],
    start: Translators,
    *,
    n_samples: int,
    generator: torch.Generator,
) -> Translators:
    """Average ``J = dh_last[t] / dh[t]`` of each layer over the positions ``t`` of the texts.

    A layer is then read as ``J h + b`` with ``b`` the mean of ``h_last - J h``: the first two terms
    of what the layers above make of it. ``J`` is of one position: what a hidden state does to later
    positions is not in it. The last layer's is the identity, exactly.

    One backward pass gives one row of ``J`` at every position: position ``t`` asks for coordinate
    ``c(t)``, with a random sign by which the influence on other positions averages out.

    Parameters
    ----------
    runs : callable
        Runs the model on some texts, by their numbers.
    texts : sequence of int
        All of them, by number.
    start : tuple of Tensor
        ``J`` minus the identity, and ``b``, of every layer; all 0.
    n_samples : int
        Positions that each row of ``J`` is the mean of, about; every text gives as many.
    generator : torch.Generator
        Draws coordinates and signs.
    """
    change, bias = start
    n_layers, hidden = bias.shape
    counts = torch.zeros(hidden)
    means = torch.zeros(n_layers, hidden, dtype=torch.float64)
    drawn = _Coordinates(hidden, generator)
    n_tokens = 0
    found = runs(texts)
    for _ in steps(range(len(texts)), "fitting the Jacobian lens", len(texts)):
        run = next(found)
        with _linked(run) as text:
            n_tokens += text.n_rows
            for layer, state in enumerate(text.states):
                means[layer] += text.own(state.detach()).double().sum(dim=0).cpu()
            for _ in range(math.ceil(n_samples * hidden / len(texts) / text.n_rows)):
                at = drawn.next(text.n_rows)
                counts.index_add_(0, at, torch.ones(text.n_rows))
                _add_rows(change, text, at, generator)
    # Not every coordinate was asked for where there is very little text: no row is the identity's.
    asked = counts.clamp_min(1)[:, None].to(change.device)
    change /= asked
    change -= torch.diag((counts > 0).float()).to(change)
    means /= n_tokens
    for layer in range(n_layers - 1):
        moved = means[layer] + change[layer].cpu().double() @ means[layer]
        bias[layer] = (means[-1] - moved).float()
    return change, bias


class _Coordinates:
    """Coordinates of hidden states in random order, each as often as every other."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self._n = n
        self._generator = generator
        self._left = torch.zeros(0, dtype=torch.long)

    def next(self, n: int) -> Int[Tensor, " n"]:
        """Draw some."""
        while len(self._left) < n:
            more = torch.randperm(self._n, generator=self._generator)
            self._left = torch.cat([self._left, more])
        found, self._left = self._left[:n], self._left[n:]
        return found


def _add_rows(
    change: Float[Tensor, "layer hidden hidden"],
    text: _Linked,
    at: Int[Tensor, " row"],
    generator: torch.Generator,
) -> None:
    """Add the row of each position's Jacobian that belongs to its coordinate."""
    *states, last = text.states
    signs = torch.randint(0, 2, (len(at), 1), generator=generator) * 2.0 - 1
    asked = torch.zeros_like(last)
    text.own(asked).scatter_(1, at.to(last.device)[:, None], signs.to(last))
    try:
        gradients = torch.autograd.grad(last, states, asked, retain_graph=True)
    except RuntimeError as error:
        raise ValueError(
            f"{text.name}: what its last layer puts out cannot be differentiated with respect to "
            f"the layers below it ({error}). The Jacobian lens needs that; kind='tuned' does not."
        ) from error
    for layer, gradient in enumerate((*gradients, asked)):
        rows = text.own(gradient).to(change) * signs.to(change.device)
        change[layer].index_add_(0, at.to(change.device), rows)


@dataclass(frozen=True, eq=False)
class _Linked:
    """A text's hidden states, each made from the one below.

    Attributes
    ----------
    name : str
        The model's class.
    states : list of Tensor
        Behind each layer, as it puts them out.
    rows : Rows
        Where the text's tokens are in them.
    n_rows : int
    """

    name: str
    states: list[Tensor]
    rows: Rows
    n_rows: int

    def own(self, state: Tensor) -> Float[Tensor, "row hidden"]:
        """Return the text's own rows of hidden states; of contiguous ones a view."""
        return self.rows.of(state, 1)[0, : self.n_rows]


@contextmanager
def _linked(run: Run) -> Generator[_Linked, None, None]:
    """Keep what stands behind each layer such that gradients flow from the last to the first.

    They begin behind the first layer, and no weight gets one.
    """
    layers = predicting_layers(run)
    kept: dict[nn.Module, list[Any]] = {}

    def link(layer: nn.Module, _: object, output: Any) -> Any:
        state = first_tensor(output)
        if state is None:
            return None
        if not kept:
            state = state.detach().requires_grad_()
        kept.setdefault(layer, []).append(state)
        # A copy goes on: the next layer may write into what it is given.
        return with_first_tensor(output, state.clone())

    stack_name = "decoder" if "decoder" in run.anatomy.structure.stacks else "self"
    embeddings = run.anatomy.structure.contributions.embeddings
    with run.model_again() as model, for_a_trace(model), torch.enable_grad(), ExitStack() as stack:
        for layer in dict.fromkeys(layers):
            stack.callback(layer.register_forward_hook(here(link)).remove)
        # No logits are wanted; what is cut short has to be the unembedding, and nothing else.
        with shortened(model) if run.anatomy.plain_unembedding else nullcontext():
            forward(model, run.inputs)
        yield _Linked(
            name=type(model).__name__,
            states=list(states_behind(kept, layers)),
            rows=embeddings[stack_name][1] if stack_name in embeddings else Rows(),
            n_rows=len(run.sides.all[-1].tokens),
        )
