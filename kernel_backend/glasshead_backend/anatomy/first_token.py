"""Where a text begins in what a module is given: some models pad it, or put prompts before it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor

from glasshead_backend.running.forward import forward

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from jaxtyping import Float
    from torch import nn
    from transformers import PreTrainedModel


def first_token(
    model: PreTrainedModel,
    inputs: dict[str, Tensor],
    module: nn.Module,
    layers: Sequence[nn.Module],
) -> int | None:
    """Find the row of a module's input that belongs to the first token.

    A token that is changed changes one row of the first layer's input: that is its own. A row that
    is changed in the module's own layer changes one row of the module's input, for all that stands
    between the two (a norm, padding) works row by row.

    Parameters
    ----------
    model : PreTrainedModel
    inputs : dict
        A batch of one short sequence.
    module : nn.Module
        An attention module.
    layers : sequence of nn.Module
        The list of layers that it sits in.

    Returns
    -------
    int or None
        None when the rows of the module's input are no tokens.
    """
    layer = next(one for one in layers if any(inner is module for inner in one.modules()))
    plain = _taken_in(model, inputs, [layers[0], layer, module])
    ids = inputs["input_ids"]
    n_tokens = ids.shape[1]
    if module not in plain:
        return None
    if plain[module].shape[1] == n_tokens:
        return 0
    token = n_tokens // 2
    changed = ids.clone()
    changed[0, token] = ids[0, token - 1]
    other = _taken_in(model, {**inputs, "input_ids": changed}, [layers[0]])
    row = _only_change(plain[layers[0]], other[layers[0]])
    if row is None:
        return None
    with _changed_input(layer, _negated(row)):
        other = _taken_in(model, inputs, [module])
    its_row = _only_change(plain[module], other[module])
    return None if its_row is None or its_row < token else its_row - token


def first_row(
    model: PreTrainedModel, inputs: dict[str, Tensor], name: str, layer: nn.Module
) -> int | None:
    """Find the row of the first layer's input that belongs to the first token.

    Parameters
    ----------
    model : PreTrainedModel
    inputs : dict
        A batch of one short sequence.
    name : str
        Which of the inputs are the tokens.
    layer : nn.Module
        The first layer.

    Returns
    -------
    int or None
        None when a token is not one row there.
    """
    ids = inputs[name]
    token = ids.shape[1] // 2
    changed = ids.clone()
    changed[0, token] = ids[0, token - 1]
    before = _taken_in(model, inputs, [layer])[layer]
    after = _taken_in(model, {**inputs, name: changed}, [layer])[layer]
    row = _only_change(before, after)
    return None if row is None or row < token else row - token


def _taken_in(
    model: PreTrainedModel, inputs: dict[str, Tensor], modules: Sequence[nn.Module]
) -> dict[nn.Module, Float[Tensor, "batch row hidden"]]:
    """Run the model; the hidden states that modules are given the first time."""
    found: dict[nn.Module, Tensor] = {}
    batch = inputs["input_ids"].shape[0]

    def keep(module: nn.Module) -> Callable[[Tensor], Tensor]:
        def note(tensor: Tensor) -> Tensor:
            batch_first = tensor if tensor.shape[0] == batch else tensor.transpose(0, 1)
            found.setdefault(module, batch_first.clone())
            return tensor

        return note

    with ExitStack() as stack:
        for module in {id(one): one for one in modules}.values():
            stack.enter_context(_changed_input(module, keep(module)))
        forward(model, inputs)
    return found


def _only_change(
    before: Float[Tensor, "batch row hidden"], after: Float[Tensor, "batch row hidden"]
) -> int | None:
    """Return the one row that changed; None when it is none, or several."""
    if before.shape != after.shape:
        return None
    rows = (before != after).any(dim=-1)[0].nonzero()
    return int(rows[0]) if len(rows) == 1 else None


def _negated(row: int) -> Callable[[Tensor], Tensor]:
    """Turn one row round: no norm can hide that."""

    def negate(tensor: Tensor) -> Tensor:
        turned = tensor.clone()
        turned[:, row] = -turned[:, row]
        return turned

    return negate


@contextmanager
def _changed_input(
    module: nn.Module, change: Callable[[Tensor], Tensor]
) -> Generator[None, None, None]:
    """Let a module take in changed hidden states: the first tensor that it is given."""

    def hook(
        _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args and isinstance(args[0], Tensor):
            return (change(args[0]), *args[1:]), kwargs
        name = next((name for name in kwargs if name.endswith("hidden_states")), None)
        return args, kwargs if name is None else {**kwargs, name: change(kwargs[name])}

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
