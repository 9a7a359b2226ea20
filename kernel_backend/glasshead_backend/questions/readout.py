"""What the model would predict if it stopped after some layer.

The model itself reads out: its forward runs with every layer replaced by what that layer has put
out before, and the last one by the hidden states to be read. So whatever stands behind the layers
(final norm, projections, scale, soft-cap, bias) is the model's own, in any architecture, and costs
no layer a second run.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.edits import unedited
from glasshead_backend.running.forward import forward
from glasshead_backend.running.hooks import first_tensor, here, with_first_tensor
from glasshead_backend.running.logits import run_for_logits
from glasshead_backend.running.resumed import instead_of_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from jaxtyping import Float

    from glasshead_backend.anatomy.structure import Structure
    from glasshead_backend.running.logits import NextTokenLogits
    from glasshead_backend.tracing.run import Run


def predicting_layers(run: Run) -> tuple[nn.Module, ...]:
    """Return the layers of the stack that predictions come from: the decoder's, if there is one."""
    run.require_model()
    stacks = run.anatomy.structure.stacks
    return stacks.get("decoder") or next(iter(stacks.values()))


def read_out_layers(run: Run) -> Generator[NextTokenLogits, None, None]:
    """Yield the logits that the output of each layer would give, layer by layer.

    Raises
    ------
    ValueError
        For a text that was scored, in windows, and not traced.
    ModelChangedError
        When the model has changed since the text was traced, or changes meanwhile.
    """
    run.require_model()
    if not run.inputs:
        raise ValueError(
            "This text was scored without its layers: trace a part of it to read them out."
        )
    with run.model_again() as model:
        readouts = _read_out(
            model,
            run.anatomy.structure,
            predicting_layers(run),
            run.inputs,
            scored=range(len(run.sides.all[-1].tokens)),
            plain_unembedding=run.anatomy.plain_unembedding,
        )
        for logits in readouts:
            run.state.require_same(values=False)
            yield logits


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
    off = (surprisal - known).abs().nan_to_num().max()
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
    """
    everything = [layer for stack in structure.stacks.values() for layer in stack]
    outputs = _outputs(model, everything, inputs)
    outputs = {layer: of_layer for layer, of_layer in outputs.items() if of_layer}
    last = [layer for layer in layers if layer in outputs][-1]
    for state in _states(outputs, layers):
        # What was put in is in these outputs, where it belongs.
        with for_a_trace(model), unedited(), _replaced(outputs, last, state):
            (logits,) = run_for_logits(
                model, inputs, [scored], wanted=True, plain_unembedding=plain_unembedding
            )
        assert logits is not None
        yield logits


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


def _states(outputs: dict[nn.Module, list[Any]], layers: Sequence[nn.Module]) -> Iterator[Tensor]:
    """Yield what stands behind each layer; one that is passed over changes nothing."""
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
