"""Running the end of a model: its first layers hand out what they put out before.

Many runs that are alike up to some layer need those layers once only. The forward stays the model's
own: the layers are all called, in their order, and what stands between them runs as ever.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from glasshead_backend.running.hooks import first_tensor, here, with_first_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

LayerCall = tuple[nn.Module, Any]
"""A layer, and what it put out when it was called."""

_FLAT = 2


@contextmanager
def layer_calls(layers: Iterable[nn.Module]) -> Generator[list[LayerCall], None, None]:
    """Keep what layers put out while this context is open, in the order in which they run."""
    kept: list[LayerCall] = []

    def keep(layer: nn.Module, _: object, output: Any) -> None:
        states = first_tensor(output)
        # A copy: the model may write into its output later on.
        own = output if states is None else with_first_tensor(output, states.detach().clone())
        kept.append((layer, own))

    with ExitStack() as stack:
        for layer in dict.fromkeys(layers):
            stack.callback(layer.register_forward_hook(here(keep)).remove)
        yield kept


@contextmanager
def resumed(
    calls: Sequence[LayerCall], start: int, n_copies: int, *, tokens_first: bool = False
) -> Generator[None, None, None]:
    """Let the layers not compute anew what they put out before, for one forward.

    Hooks on the layers see what they hand out.

    Parameters
    ----------
    calls : sequence of (nn.Module, output)
        As :func:`layer_calls` kept them, of a run over one sequence.
    start : int
        The first of the calls that is computed.
    n_copies : int
        How many sequences the forward runs over: copies of that one.
    tokens_first : bool
        Whether hidden states are ``[tokens, batch, hidden]``.
    """
    known: dict[nn.Module, list[Any]] = {}
    for layer, output in calls[:start]:
        known.setdefault(layer, []).append(output)
    with ExitStack() as stack:
        for layer, outputs in known.items():
            again = _handing_out(outputs, n_copies, layer.forward, tokens_first=tokens_first)
            stack.enter_context(instead_of_forward(layer, again))
        yield


def _handing_out(
    outputs: list[Any], n_copies: int, forward: Callable[..., Any], *, tokens_first: bool
) -> Callable[..., Any]:
    """Return a forward that hands out some outputs first, and computes from then on."""
    runs: Counter[str] = Counter()

    def known_first(*args: Any, **kwargs: Any) -> Any:
        run = runs["begun"]
        runs["begun"] += 1
        if run >= len(outputs):
            return forward(*args, **kwargs)
        return copies_of(outputs[run], n_copies, tokens_first=tokens_first)

    return known_first


def copies_of(output: Any, n_copies: int, *, tokens_first: bool = False) -> Any:
    """Return what a layer would put out for copies of the one sequence that it was run over."""
    states = first_tensor(output)
    copied = _copied(output, n_copies)
    if states is None:
        return copied
    if states.dim() == _FLAT:  # some flatten the batch
        many = states.repeat(n_copies, 1)
    else:
        axis = 1 if tokens_first else 0
        sizes = [n_copies if i == axis else -1 for i in range(states.dim())]
        # The model may write into it.
        many = states.expand(sizes).clone()
    return with_first_tensor(copied, many)


def _copied(value: Any, n_copies: int) -> Any:
    """Copy what stands beside the hidden states where it is of one sequence (position biases)."""
    if isinstance(value, Tensor):
        alone = value.dim() > 0 and value.shape[0] == 1
        return value.expand(n_copies, *value.shape[1:]) if alone else value
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return type(named)({name: _copied(one, n_copies) for name, one in named.items()})
    if isinstance(value, (tuple, list)):
        listed = cast("list[Any]", value)
        return type(listed)([_copied(one, n_copies) for one in listed])
    return value


@contextmanager
def instead_of_forward(
    module: nn.Module, forward: Callable[..., Any]
) -> Generator[None, None, None]:
    """Let a module run something else than its forward; what it had of its own is put back.

    Written past ``__setattr__``: wrappers hand what is set over to the module that they wrap.
    """
    own = vars(module).get("forward")
    vars(module)["forward"] = forward
    try:
        yield
    finally:
        if own is None:
            del vars(module)["forward"]
        else:
            vars(module)["forward"] = own
