"""The part of a model that reads tokens, what it takes, and what it makes of them.

Of a language model that is the whole. A head that predicts no tokens (a classifier's, say) is left
out: it asks for what attention does not need, such as a padding token before it takes two texts at
once, an end token in every text, or a source and a target of one length.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from glasshead_backend.running.hooks import first_tensor, here

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jaxtyping import Float


def unembedding_of(model: Any) -> nn.Module | None:
    """Return the module that makes logits of hidden states; None for models without such a head."""
    try:
        return model.get_output_embeddings()
    # Some classes have no such method, some have one that only says so.
    except (AttributeError, NotImplementedError):
        return None


def fills_masks(model: Any) -> bool:
    """Whether a model was made to say what stands at a masked place."""
    # The list of all models is loaded where it is needed, not with the package.
    from transformers.models.auto.modeling_auto import (  # noqa: PLC0415
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    made_for_it = set(MODEL_FOR_MASKED_LM_MAPPING_NAMES.values())
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return any(one.__name__ in made_for_it for one in type(inner).__mro__)


def body_of(model: Any) -> Any:
    """Return what is run: the model, without a head that predicts no tokens."""
    if unembedding_of(model) is not None:
        return model
    # Adapters (PEFT) stand around the model; what they changed lies inside.
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    # Heads stand around heads (DPR's reader), and around what takes no ids (Perceiver).
    base = getattr(inner, "base_model", inner)
    while base is not inner and "input_ids" in _arguments(base):
        inner, base = base, getattr(base, "base_model", base)
    return inner


def accepts(model: Any, name: str) -> bool:
    """Whether the forward of what is run has an argument of this name."""
    body = body_of(model)
    inner = body.get_base_model() if hasattr(body, "get_base_model") else body
    return any(name in _arguments(one) for one in (body, inner))


def _arguments(module: Any) -> frozenset[str]:
    # A forward of the module's own (accelerate) holds on to the module: it is not remembered.
    own = vars(module).get("forward")
    return (
        _names(type(module).forward)
        if own is None
        else frozenset(inspect.signature(own).parameters)
    )


@lru_cache(maxsize=256)
def _names(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def reads_pairs(model: Any) -> bool:
    """Whether a model reads a source and a target: its decoder is there, and it is run."""
    return bool(model.config.is_encoder_decoder) and accepts(model, "decoder_input_ids")


_DIMS = 3
"""Hidden states are ``[batch, tokens, hidden]``."""


@dataclass(eq=False)
class Outcome:
    """What one forward pass made of the tokens; of several passes that of the last one.

    Attributes
    ----------
    given : list of Tensor
        What the unembedding was given, each time that it was called.
    unembedded : Tensor or None
        A copy of what the unembedding put out for the last position, the last time.
    output : object
        What the body put out.
    """

    given: list[Tensor] = field(default_factory=list[Tensor])
    unembedded: Float[Tensor, "batch 1 vocabulary"] | None = None
    output: Any = None

    @property
    def logits(self) -> Float[Tensor, "batch token vocabulary"] | None:
        """The logits, where there are some."""
        return getattr(self.output, "logits", None)

    @property
    def is_short(self) -> bool:
        """Whether logits are of the last position, and the unembedding was given all of one text.

        ProphetNet's is given several streams of predictions at once.
        """
        logits = self.logits
        return (
            [one.dim() for one in self.given] == [_DIMS]
            and logits is not None
            and logits.shape[:2] == (self.given[0].shape[0], 1)
        )

    @property
    def hidden(self) -> Float[Tensor, "batch token hidden"] | None:
        """The hidden states that everything later is made from."""
        return self.given[0] if self.given else first_tensor(self.output)


@contextmanager
def outcome_of(model: Any, outcome: Outcome | None = None) -> Generator[Outcome, None, None]:
    """Keep what the forward passes in this context make of their tokens."""
    outcome = Outcome() if outcome is None else outcome
    body, unembedding = body_of(model), unembedding_of(model)

    def begin(*_: object) -> None:
        outcome.given.clear()

    def keep_given(_: nn.Module, args: tuple[Any, ...]) -> None:
        given = first_tensor(args)
        if given is not None:
            outcome.given.append(given.detach())

    def keep_unembedded(_: nn.Module, __: object, output: object) -> None:
        tensor = first_tensor(output)
        if tensor is not None and tensor.dim() > 1:
            outcome.unembedded = tensor.detach()[:, -1:].clone()

    def keep_output(_: nn.Module, __: object, output: Any) -> None:
        outcome.output = output

    with ExitStack() as stack:
        stack.callback(body.register_forward_pre_hook(here(begin)).remove)
        stack.callback(body.register_forward_hook(here(keep_output)).remove)
        if unembedding is not None:
            handle = unembedding.register_forward_pre_hook(here(keep_given))
            stack.callback(handle.remove)
            handle = unembedding.register_forward_hook(here(keep_unembedded))
            stack.callback(handle.remove)
        yield outcome


@contextmanager
def short_unembedding(unembedding: nn.Module, row: int = -1) -> Generator[list[Tensor], None, None]:
    """Keep what the unembedding is given, and let it compute one position only."""
    kept: list[Tensor] = []

    def shorten(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        kept.append(args[0].detach())
        return (args[0][:, row:][:, :1], *args[1:])

    handle = unembedding.register_forward_pre_hook(here(shorten))
    try:
        yield kept
    finally:
        handle.remove()


@contextmanager
def shortened(model: Any) -> Generator[None, None, None]:
    """Let the unembedding, if there is one, compute the last position only."""
    unembedding = unembedding_of(model)
    if unembedding is None:
        yield
    else:
        with short_unembedding(unembedding):
            yield


def difference(one: Tensor | None, other: Tensor | None) -> float:
    """Return the largest difference where both are defined, relative to the largest number.

    Infinite where the two are of different shapes, or different places are undefined.
    """
    if one is None or other is None:
        return 0.0 if one is other else float("inf")
    if one.shape != other.shape:
        return float("inf")
    one, other = one.float(), other.to(one.device).float()
    defined = one.isfinite()
    if not bool((defined == other.isfinite()).all()):
        return float("inf")
    one, other = one[defined], other[defined]
    if not one.numel():
        return 0.0
    return float((one - other).abs().max() / one.abs().max().clamp_min(1e-6))
