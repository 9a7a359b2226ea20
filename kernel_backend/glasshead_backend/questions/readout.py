"""What the model would predict if it stopped after some layer.

The model itself reads out: its forward runs with every layer replaced by what that layer has put
out before, and the last one by the hidden states to be read. So whatever stands behind the layers
(final norm, projections, scale, soft-cap, bias) is the model's own, in any architecture, and costs
no layer a second run.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.body import unembedding_of
from glasshead_backend.running.edits import unedited
from glasshead_backend.running.forward import forward
from glasshead_backend.running.hooks import first_tensor, here, with_first_tensor
from glasshead_backend.running.logits import run_for_logits
from glasshead_backend.running.resumed import instead_of_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from jaxtyping import Float

    from glasshead_backend.anatomy.structure import Structure
    from glasshead_backend.questions.fitted_lens import FittedLens
    from glasshead_backend.running.logits import NextTokenLogits
    from glasshead_backend.tracing.run import Run


def predicting_layers(run: Run) -> tuple[nn.Module, ...]:
    """Return the layers of the stack that predictions come from: the decoder's, if there is one."""
    run.require_model()
    stacks = run.anatomy.structure.stacks
    return stacks.get("decoder") or next(iter(stacks.values()))


def read_out_layers(
    run: Run, fitted: FittedLens | None = None
) -> Generator[NextTokenLogits, None, None]:
    """Yield the logits that the output of each layer would give, layer by layer.

    Parameters
    ----------
    run : Run
    fitted : FittedLens, optional
        What each layer's output is translated by before it is read out.

    Raises
    ------
    ValueError
        For a text that was scored, in windows, and not traced; and for a lens of another model.
    ModelChangedError
        When the model has changed since the text was traced, or changes meanwhile.
    """
    _require_traced(run)
    with run.model_again() as model:
        if fitted is not None:
            fitted.require_model(run)
        readouts = _read_out(
            model,
            run.anatomy.structure,
            predicting_layers(run),
            run.inputs,
            scored=range(len(run.sides.all[-1].tokens)),
            plain_unembedding=run.anatomy.plain_unembedding,
            fitted=fitted,
        )
        for logits in readouts:
            run.state.require_same(values=False)
            yield logits


def _require_traced(run: Run) -> None:
    run.require_model()
    if not run.inputs:
        raise ValueError(
            "This text was scored without its layers: trace a part of it to read them out."
        )


@dataclass(frozen=True, eq=False)
class Opened:
    """A text's hidden states, and the model's way from such states to logits.

    Attributes
    ----------
    states : list of Tensor
        What stands behind each layer that predicts, as the layer puts it out.
    logits : callable
        ``logits(state, rows)``, ``[rows, vocabulary]``: gradients flow through it to the state.
    n_rows : int
        Rows that predict.
    n_vocabulary : int
    """

    states: list[Tensor]
    logits: Callable[[Tensor, Sequence[int]], Float[Tensor, "row vocabulary"]]
    n_rows: int
    n_vocabulary: int

    def log_probabilities(
        self, state: Tensor, rows: Sequence[int]
    ) -> Float[Tensor, "row vocabulary"]:
        """Return the log-probabilities of all tokens in float32, without a gradient."""
        with torch.no_grad():
            return self.logits(state, rows).float().log_softmax(dim=-1)

    def blocks(self) -> Iterator[range]:
        """Yield all rows, as many at a time as logits of 64 MB have."""
        size = max(1, _BLOCK_VALUES // self.n_vocabulary)
        for start in range(0, self.n_rows, size):
            yield range(start, min(start + size, self.n_rows))


@contextmanager
def opened(run: Run) -> Generator[Opened, None, None]:
    """Read out whatever is put behind the last layer, while this context is open.

    Raises
    ------
    ValueError, ModelChangedError
        As :func:`read_out_layers`.
    """
    _require_traced(run)
    layers = predicting_layers(run)
    with run.model_again() as model:
        outputs = _all_outputs(model, run.anatomy.structure, run.inputs)
        last = [layer for layer in layers if layer in outputs][-1]

        def logits(state: Tensor, rows: Sequence[int]) -> Float[Tensor, "row vocabulary"]:
            # A gradient is kept where the state has one, and none of the model's weights.
            wanted = torch.set_grad_enabled(state.requires_grad)
            with for_a_trace(model), unedited(), _replaced(outputs, last, state), wanted:
                return _logits_at(model, run, list(rows))

        yield Opened(
            list(states_behind(outputs, layers)),
            logits,
            n_rows=len(run.sides.all[-1].tokens),
            n_vocabulary=1 if run.logits is None else run.logits.n_vocabulary,
        )


def _logits_at(model: Any, run: Run, rows: list[int]) -> Float[Tensor, "row vocabulary"]:
    """Run the model for the logits of some rows; no others are computed where that can be."""
    unembedding = unembedding_of(model)
    if not run.anatomy.plain_unembedding or unembedding is None:
        return forward(model, run.inputs).logits[0, rows]

    def pick(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (args[0][:, rows], *args[1:])

    handle = unembedding.register_forward_pre_hook(here(pick))
    try:
        return forward(model, run.inputs).logits[0]
    finally:
        handle.remove()


_BLOCK_VALUES = 1 << 24
"""Most float32 logits in memory at once (64 MB)."""

_TOLERANCE = 1e-2
"""Largest difference (nats) between the last layer read out and the model's own prediction."""


def require_read_out(
    run: Run, surprisal: Float[Tensor, "*token"], known: Float[Tensor, "*token"]
) -> None:
    """Refuse a model that predicts from more than what its last layer puts out.

    Parameters
    ----------
    run : Run
    surprisal, known : Tensor
        Of the last layer read out, and of the model itself; nats, NaN where there is none.
    """
    allowed = _TOLERANCE * (1 if run.subject.model.dtype == torch.float32 else 100)
    off = (surprisal - known.to(surprisal.device)).abs().nan_to_num().max()
    if not off <= allowed:
        raise ValueError(
            f"{run.model_class} makes its predictions from more than what the last layer puts "
            "out: the logit lens cannot read it."
        )


def _read_out(
    model: Any,
    structure: Structure,
    layers: Sequence[nn.Module],
    inputs: dict[str, Tensor],
    *,
    scored: range,
    plain_unembedding: bool,
    fitted: FittedLens | None,
) -> Iterator[NextTokenLogits]:
    """Yield the logits that each layer's output would give, layer by layer.

    Parameters
    ----------
    model : PreTrainedModel
    structure : Structure
        Of the model.
    layers : sequence of nn.Module
        The stack that predicts.
    inputs : dict
        Keyword arguments of the model's forward, over one sequence.
    scored : range
        The positions that predict.
    plain_unembedding : bool
        As for :func:`glasshead_backend.running.logits.run_for_logits`.
    fitted : FittedLens, optional
        What each layer's output is translated by.
    """
    outputs = _all_outputs(model, structure, inputs)
    last = [layer for layer in layers if layer in outputs][-1]
    for number, state in enumerate(states_behind(outputs, layers)):
        state = state if fitted is None else fitted.translated(number, state)  # noqa: PLW2901
        # What was put in is in these outputs, where it belongs.
        with for_a_trace(model), unedited(), _replaced(outputs, last, state):
            (logits,) = run_for_logits(
                model, inputs, [scored], wanted=True, plain_unembedding=plain_unembedding
            )
        assert logits is not None
        yield logits


def _all_outputs(
    model: Any, structure: Structure, inputs: dict[str, Tensor]
) -> dict[nn.Module, list[Any]]:
    """What the layers of all stacks put out; without those that are passed over."""
    everything = [layer for stack in structure.stacks.values() for layer in stack]
    outputs = _outputs(model, everything, inputs)
    return {layer: of_layer for layer, of_layer in outputs.items() if of_layer}


def _outputs(
    model: Any, layers: Sequence[nn.Module], inputs: dict[str, Tensor]
) -> dict[nn.Module, list[Any]]:
    """Run the model and keep all that the layers put out; several where a layer runs repeatedly."""
    kept: dict[nn.Module, list[Any]] = {layer: [] for layer in layers}

    def keep(layer: nn.Module, _: object, output: Any) -> None:
        kept[layer].append(output)

    with for_a_trace(model), ExitStack() as stack:
        for layer in kept:
            stack.callback(layer.register_forward_hook(here(keep)).remove)
        forward(model, inputs)
    return kept


def states_behind(
    outputs: dict[nn.Module, list[Any]], layers: Sequence[nn.Module]
) -> Iterator[Tensor]:
    """Yield what stands behind each layer; one that is passed over changes nothing.

    Parameters
    ----------
    outputs : dict
        What each layer has put out, run by run.
    layers : sequence of nn.Module
    """
    turns: dict[nn.Module, int] = {}
    state = first_tensor(next(iter(outputs[layer] for layer in layers if layer in outputs))[0])
    for layer in layers:
        if layer in outputs:
            turn = turns.get(layer, 0)
            turns[layer] = turn + 1
            state = first_tensor(outputs[layer][min(turn, len(outputs[layer]) - 1)])
        assert state is not None
        yield state


@contextmanager
def _replaced(
    outputs: dict[nn.Module, list[Any]], last: nn.Module, state: Tensor
) -> Generator[None, None, None]:
    """Let every layer return what it did before, and the last one the state to be read."""
    with ExitStack() as stack:
        for layer, of_layer in outputs.items():
            result = with_first_tensor(of_layer[-1], state) if layer is last else of_layer[-1]
            stack.enter_context(instead_of_forward(layer, _constant(result)))
        yield


def _constant(result: Any) -> Callable[..., Any]:
    def forward_again(*_: object, **__: object) -> Any:
        return result

    return forward_again
