"""Exact weights from the query and key that a model handed to its attention function.

``A = softmax(scale * q k^T -> soft-cap -> + bias -> mask)``, with a sink column dropped where the
layer has one. The model's own eager function is the oracle: where our arithmetic differs from it
(an unknown kind of sink, say) or where the model computes in half precision, it is the one used.
A model in float64 is followed in float64, everything else in float32.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasshead_backend.capture.call import AttentionCall, answer_dtype
from glasshead_backend.capture.masks import hides, later_keys, may_look
from glasshead_backend.capture.relative_bias import MAP_DIMS, RelativeBias

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from contextlib import AbstractContextManager

    from jaxtyping import Bool, Float
    from torch import nn
    from typing_extensions import Self

    from glasshead_backend.asking import Precision
    from glasshead_backend.capture.call import Path
    from glasshead_backend.running.same_model import ModelState

    AttentionFunction = Callable[..., tuple[Tensor, Tensor | None]]

SINK_NAMES = ("s_aux", "sinks")
"""Names that architectures give to the extra scores of attention sinks."""

_SMALL = 1 << 16
"""Most values of a parameter that is copied with every call."""


@dataclass(eq=False)
class CapturedCall(AttentionCall):
    """What one attention module fed into its softmax, by reference.

    Parameters
    ----------
    module : nn.Module
        The module that made the call.
    query : Tensor
        ``[batch, heads, queries, head_dim]``, after rotary embedding.
    key : Tensor
        ``[batch, key_heads, keys, head_dim]``; key heads are not repeated for grouped queries.
    mask : Tensor or None
        As the model gave it: boolean (True = may look) or additive, broadcastable to
        ``[batch, heads, queries, keys]``.
    causal : bool
        True when the attention function itself hides the keys right of the query.
    scaling : float
        Factor on the dot products.
    eager : callable
        The model file's own eager attention function.
    options : dict
        The remaining keyword arguments of the call (soft-cap, position bias, sinks, ...).
    difference : float
        Largest difference between our own arithmetic and `eager` on a few rows, as a multiple of
        what rounding explains: see :mod:`glasshead_backend.capture.oracle`.
    unexplained : str
        Why the weights are not known, in words; empty where they are.
    as_it_was : nn.Module, optional
        The module without what is inside it, with copies of its own small parameters (sinks): what
        eager functions read of it. Made of `module` when it is left out.
    model : ModelState, optional
        The model that was recorded, for functions that read more of the module than that.
    autocast : callable
        Makes the state of autocast that the call was made in.
    """

    module: nn.Module
    query: Tensor
    key: Tensor
    mask: Tensor | None
    causal: bool
    scaling: float
    eager: AttentionFunction
    options: dict[str, Any] = field(repr=False)
    difference: float = 0.0
    unexplained: str = ""
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext
    as_it_was: nn.Module | None = field(default=None, repr=False)
    model: ModelState | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.as_it_was is None:
            self.as_it_was = _alone(self.module)

    def belongs_to(self, model: ModelState, storages: Container[int]) -> None:
        """Note the model that was recorded; copy what lies in the storages of its parameters."""

        def own(value: Any) -> Any:
            shared = isinstance(value, Tensor) and value.untyped_storage().data_ptr() in storages
            return value.clone() if shared else value

        self.model, self.mask = model, own(self.mask)
        self.options = {name: own(option) for name, option in self.options.items()}

    @property
    def own_math(self) -> bool:
        """Whether our own arithmetic reproduces `eager` on this call."""
        return self.difference <= 1

    @property
    def path(self) -> Path:
        """How the weights are computed."""
        return "capture" if self.own_math else "eager"

    @property
    def n_heads(self) -> int:
        """Number of query heads."""
        return self.query.shape[1]

    @property
    def n_queries(self) -> int:
        """Number of tokens that look."""
        return self.query.shape[2]

    @property
    def n_keys(self) -> int:
        """Number of tokens that are looked at."""
        return self.key.shape[2]

    @property
    def device(self) -> torch.device:
        """Where query and key lie."""
        return self.query.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are given in."""
        return answer_dtype(self.query.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes held by this call's query and key."""
        return self.query.nbytes + self.key.nbytes

    @property
    def softcap(self) -> float | None:
        """Bound of the scores by ``softcap * tanh(score / softcap)``, if the layer has one."""
        return self.options.get("softcap")

    @property
    def sinks(self) -> Tensor | None:
        """Extra score per head that takes part in the softmax and is dropped, ``[heads]``."""
        for name in SINK_NAMES:
            if self.options.get(name) is not None:
                return self.options[name]
        return None

    @property
    def computes_all_heads(self) -> bool:
        """The model's own eager function does."""
        return not self.own_math or self.query.dtype != self.dtype

    @property
    def remainder(self) -> str:
        """What takes the share that a row's weights lack to 1; empty = nothing."""
        return "" if self.sinks is None else "attention sinks"

    def visible_weights(
        self,
        heads: Sequence[int],
        rows: Sequence[int],
        *,
        scores: bool = False,
        precision: Precision = "model",
    ) -> Float[Tensor, "head query visible"]:
        """Weights or scores of some heads and rows of the first sequence; see the base class."""
        if self.unexplained:
            raise ValueError(self.unexplained)
        if scores:
            return _scores(self, heads, rows)[0]
        as_computed = precision == "model" and self.query.dtype != self.dtype
        if self.own_math and not as_computed:
            return own_weights(self, heads, rows)[0]
        computed = eager_rows(self, rows)[0, list(heads)].to(self.dtype)
        blind = blind_rows(self, heads, rows)
        return computed if blind is None else computed.masked_fill(blind[0, ..., None], torch.nan)

    def of_sequence(self, index: int, queries: range, keys: range) -> Self:
        """Return views of one sequence's part; without padding there is nothing left to mask."""
        row, column = slice(queries.start, queries.stop), slice(keys.start, keys.stop)
        options = {
            name: _part(option, index, queries, keys) if _is_map(self, option) else option
            for name, option in self.options.items()
        }
        mask = self.mask
        return replace(
            self,
            query=self.query[index : index + 1, :, row],
            key=self.key[index : index + 1, :, column],
            mask=None if mask is None else _part(mask[..., : self.n_keys], index, queries, keys),
            options=options,
        )


def eager_rows(call: CapturedCall, rows: Sequence[int]) -> Float[Tensor, "batch head query key"]:
    """Attention weights of some query rows by the model's own eager function, for all heads.

    Returns
    -------
    Tensor
        ``[batch, heads, rows, keys]`` in the dtype that the model computes in.
    """
    # The values do not enter the weights: the keys stand in for them, so none need be kept.
    return attend_again(call, call.eager, rows, call.key)[1]


@torch.no_grad()
def attend_again(
    call: CapturedCall, function: AttentionFunction, rows: Sequence[int], value: Tensor
) -> tuple[Float[Tensor, "batch query head size"], Float[Tensor, "batch head query key"]]:
    """Call an attention function as the model did, for some query rows: its output and weights."""
    options = {
        name: option_rows(call, option, rows) if _is_map(call, option) else option
        for name, option in call.options.items()
    }
    query = call.query[:, :, row_index(rows, call.device)]
    given = query, call.key, value, _additive_mask(call, rows)
    options |= {"scaling": call.scaling, "dropout": 0.0}
    with call.autocast():
        try:
            output, weights = function(call.as_it_was, *given, **options)
        except AttributeError:  # it reads what is inside the module
            if call.model is not None:
                call.model.require_same()
            output, weights = function(call.module, *given, **options)
    if weights is None:
        raise RuntimeError(
            f"{type(call.module).__name__}'s own eager attention function returns no weights; "
            "Glasshead cannot show attention of this model."
        )
    return output, weights


def _alone(module: nn.Module) -> nn.Module:
    """Copy a module with its plain attributes and small parameters, without what is inside it."""
    alone, own = object.__new__(type(module)), vars(module)
    small = {
        name: tensor.detach().clone()
        for name, tensor in (*own["_parameters"].items(), *own["_buffers"].items())
        if tensor is not None and tensor.numel() <= _SMALL
    }
    # As buffers: a parameter would have to be a Parameter again.
    vars(alone).update(own, _parameters={}, _buffers=small, _modules={})
    return alone


def row_index(rows: Sequence[int], device: torch.device) -> slice | Tensor:
    """Index for some rows: a slice (a view, no copy) where they are a plain range."""
    if isinstance(rows, range) and rows.step == 1:
        return slice(rows.start, rows.stop)
    return torch.as_tensor(list(rows), device=device)


def own_weights(
    call: CapturedCall, heads: Sequence[int], rows: Sequence[int]
) -> Float[Tensor, "batch head query visible"]:
    """Attention weights of some heads and rows by our own arithmetic, for the keys they see."""
    scores = _scores(call, heads, rows)
    if call.sinks is None:
        return torch.softmax(scores, dim=-1, out=scores)
    sink = call.sinks.to(call.dtype).reshape(-1)[list(heads)].view(1, -1, 1, 1)
    scores = torch.cat([scores, sink.expand(len(scores), -1, len(rows), 1)], dim=-1)
    return scores.softmax(dim=-1)[..., :-1]


def _scores(
    call: CapturedCall, heads: Sequence[int], rows: Sequence[int]
) -> Float[Tensor, "batch head query visible"]:
    """Everything up to the softmax, for the keys that these rows can see."""
    n_visible = _n_visible(call, rows)
    # In place from here on: nobody else holds these scores.
    scores = _products(call, heads, rows, n_visible)
    if call.softcap is not None:
        scores.div_(call.softcap).tanh_().mul_(call.softcap)
    bias = call.options.get("position_bias")
    if bias is not None:
        bias = option_rows(call, bias, rows, n_visible)
        scores += bias[:, list(heads)] if bias.shape[1] > 1 else bias
    if call.mask is None:
        if call.causal:
            # All of these rows see what lies left of the first of them.
            scores[..., min(rows) :].add_(
                later_keys(rows, n_visible, dtype=call.dtype, device=call.device)
            )
        return scores
    return scores.add_(_hiding(mask_rows(call, heads, rows), call.dtype))


def _hiding(mask: Tensor, dtype: torch.dtype) -> Float[Tensor, "#batch #head #query key"]:
    """Return what is added to scores: minus infinity where a mask hides a key.

    Models write the dtype's minimum for "hidden"; as -inf a row that sees nothing becomes NaN
    (undefined) instead of a uniform row that the model never meant. A mask is mostly one for all
    heads: to add it is many times faster than to fill their scores by it.
    """
    if mask.dtype != torch.bool:
        return mask.masked_fill(hides(mask), -torch.inf)
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)


def _n_visible(call: CapturedCall, rows: Sequence[int]) -> int:
    """How many keys these rows can see by the causal flag alone."""
    return min(max(rows) + 1, call.n_keys) if call.causal and call.mask is None else call.n_keys


def _products(
    call: CapturedCall, heads: Sequence[int], rows: Sequence[int], n_visible: int
) -> Float[Tensor, "batch head query visible"]:
    """Scaled dot products of queries and keys. Keys that heads share are never repeated."""
    n_groups = call.key.shape[1]
    per_group = call.n_heads // n_groups
    index = row_index(rows, call.device)
    chosen = list(heads)
    if chosen == list(range(call.n_heads)):
        # The few queries are scaled, not their many products.
        query = call.query[:, :, index].to(call.dtype) * call.scaling
        query = query.unflatten(1, (n_groups, per_group)).flatten(2, 3)
        products = query @ call.key[:, :, :n_visible].to(call.dtype).transpose(-1, -2)
        return products.unflatten(2, (per_group, len(rows))).flatten(1, 2)
    groups = [head // per_group for head in chosen]
    query = _of_heads(call.query, chosen)[:, :, index]
    key = _of_heads(call.key, groups if len(set(groups)) > 1 else groups[:1])[:, :, :n_visible]
    return (query.to(call.dtype) * call.scaling) @ key.to(call.dtype).transpose(-1, -2)


def _of_heads(
    tensor: Float[Tensor, "batch head token size"], heads: list[int]
) -> Float[Tensor, "batch chosen token size"]:
    """Some heads; of a single one a view."""
    return tensor[:, heads[0] : heads[0] + 1] if len(heads) == 1 else tensor[:, heads]


def _additive_mask(call: CapturedCall, rows: Sequence[int]) -> Tensor | None:
    """Rows of a call's mask as eager functions expect it: 0 = may look, dtype's minimum = not."""
    query = call.query
    if call.mask is None:
        if not call.causal:
            return None
        seen = may_look(rows, range(call.n_keys), call.device)[None, None]
    else:
        mask = call.mask[..., : call.n_keys]
        mask = mask[:, :, row_index(rows, query.device)] if mask.shape[2] > 1 else mask
        if mask.dtype != torch.bool:
            return mask
        seen = mask
    nothing = torch.zeros(seen.shape, dtype=query.dtype, device=query.device)
    return nothing.masked_fill(~seen, torch.finfo(query.dtype).min)


def mask_rows(
    call: CapturedCall, heads: Sequence[int], rows: Sequence[int]
) -> Bool[Tensor, "#batch #head #query key"] | Float[Tensor, "#batch #head #query key"]:
    """Rows of a call's mask, as the model gave it, for its own keys."""
    assert call.mask is not None
    mask = call.mask[..., : call.n_keys]
    mask = mask[:, list(heads)] if mask.shape[1] > 1 else mask
    return mask[:, :, row_index(rows, mask.device)] if mask.shape[2] > 1 else mask


def blind_rows(
    call: CapturedCall, heads: Sequence[int], rows: Sequence[int]
) -> Bool[Tensor, "#batch #head query"] | None:
    """Rows whose mask hides every key; None when no mask is given."""
    if call.mask is None:
        return None
    mask = mask_rows(call, heads, rows)
    hidden = ~mask if mask.dtype == torch.bool else hides(mask)
    return hidden.all(dim=-1)


def _is_map(call: CapturedCall, option: object) -> bool:
    """Whether an option of the call has a row for every query."""
    if isinstance(option, RelativeBias):
        return True
    return (
        isinstance(option, Tensor)
        and option.dim() == MAP_DIMS
        and option.shape[2] in (1, call.n_queries)
        and option.shape[0] in (1, call.query.shape[0])
    )


def option_rows(
    call: CapturedCall,
    option: Tensor | RelativeBias,
    rows: Sequence[int],
    n_keys: int | None = None,
) -> Tensor:
    """Rows of an option that :func:`_is_map`."""
    if isinstance(option, RelativeBias):
        return option.rows(rows, n_keys or call.n_keys)
    picked = option[:, :, row_index(rows, option.device)] if option.shape[2] > 1 else option
    return picked if n_keys is None else picked[..., :n_keys]


def _part(
    option: Tensor | RelativeBias, index: int, queries: range, keys: range
) -> Tensor | RelativeBias:
    """One sequence's part of a mask, a bias or the like."""
    if isinstance(option, RelativeBias):
        return replace(
            option,
            first_query=option.first_query + queries.start,
            first_key=option.first_key + keys.start,
        )
    part = option[index : index + 1] if option.shape[0] > 1 else option
    part = part[:, :, queries.start : queries.stop] if part.shape[2] > 1 else part
    return part[..., keys.start : keys.stop] if part.shape[3] > 1 else part


def default_scaling(query: Tensor) -> float:
    """Return the factor that attention functions apply when they are given none."""
    return 1 / math.sqrt(query.shape[-1])
