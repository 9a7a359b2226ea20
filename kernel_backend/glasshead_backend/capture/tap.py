"""Seeing the softmaxes inside a module that keeps its attention to itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode,  # pyright: ignore[reportPrivateUsage]
    _pop_mode_temporarily,  # pyright: ignore[reportPrivateUsage]
)

from glasshead_backend.capture.oracle import plain_attention
from glasshead_backend.capture.softmax import CapturedCall, default_scaling

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from jaxtyping import Float

Layout = Literal["bhqk", "bqhk", "qbhk", "(bh)qk"]
"""Order of batch, heads, queries and keys, once the keys are moved to the end."""

# F.softmax has to be listed by itself: while it runs, the mode is off for what it calls.
SOFTMAXES = (nn.functional.softmax, torch.softmax, Tensor.softmax)
_SELECTIONS = (torch.topk, Tensor.topk)
FUSED, _LOOKUP = nn.functional.scaled_dot_product_attention, nn.functional.embedding
_HEEDED = frozenset({*SOFTMAXES, *_SELECTIONS, FUSED, _LOOKUP})
_MAP_DIMS, _FLAT_DIMS = 4, 3


class SoftmaxTap(TorchFunctionMode):
    """While open, hands over every softmax, and every call of torch's fused attention.

    Parameters
    ----------
    on_softmax : callable
        Gets ``(scores, weights)``, both with the axis of the softmax moved to the end.
    on_fused : callable
        Gets the arguments of ``scaled_dot_product_attention`` as a call that weights can be
        computed from.
    on_lookup : callable, optional
        Gets ``(ids, table)`` of every embedding that is looked up.
    on_selection : callable, optional
        Gets the length of the axis that the largest are selected from, of every ``topk``.
    """

    def __init__(
        self,
        on_softmax: Callable[[Tensor, Tensor], None],
        on_fused: Callable[[FusedAttention], None],
        on_lookup: Callable[[Tensor, Tensor], None] | None = None,
        on_selection: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__()
        self._on_softmax = on_softmax
        self._on_fused = on_fused
        self._on_lookup = on_lookup
        self._on_selection = on_selection

    @contextmanager
    def aside(self) -> Generator[None, None, None]:
        """See nothing of what is done in this context: each function seen costs its time."""
        if _get_current_function_mode() is not self:
            yield
            return
        with _pop_mode_temporarily():
            yield

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the function as it is, then hand over what was asked for."""
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func not in _HEEDED:
            return result
        if func in SOFTMAXES:
            scores = args[0] if args else kwargs["input"]
            axis = args[1] if len(args) > 1 else kwargs.get("dim")
            axis = -1 if axis is None else axis
            self._on_softmax(scores.movedim(axis, -1), result.movedim(axis, -1))
        elif func is FUSED:
            self._on_fused(FusedAttention(*args, **kwargs))
        elif func is _LOOKUP and self._on_lookup is not None:
            given = {**dict(zip(("input", "weight"), args, strict=False)), **kwargs}
            self._on_lookup(given["input"], given["weight"])
        elif func in _SELECTIONS and self._on_selection is not None:
            given = {**dict(zip(("input", "k", "dim"), args, strict=False)), **kwargs}
            self._on_selection(given["input"].shape[given.get("dim", -1)])
        return result


class FusedAttention:
    """The arguments of one ``torch.nn.functional.scaled_dot_product_attention``."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> None:
        del value, dropout_p, enable_gqa
        self.query, self.key, self.mask = query, key, attn_mask
        self.causal = is_causal
        self.scaling = default_scaling(query) if scale is None else scale

    def of(self, module: nn.Module) -> CapturedCall:
        """Return the call of the module that weights are computed from."""
        return CapturedCall(
            module=module,
            query=self.query.detach(),
            key=self.key.detach(),
            mask=self.mask,
            causal=self.causal and self.query.shape[2] > 1,
            scaling=self.scaling,
            eager=plain_attention,
            options={},
        )


def layout_of(
    shape: Sequence[int], batch: int, n_queries: int, n_keys: int
) -> tuple[Layout, int] | None:
    """Layout and number of heads of an attention map of this shape; None when it is none."""
    if not shape or shape[-1] != n_keys:
        return None
    if len(shape) == _FLAT_DIMS and shape[1] == n_queries and shape[0] % batch == 0:
        return "(bh)qk", shape[0] // batch
    for layout in get_args(Layout)[:3]:
        named = dict(zip(layout, shape, strict=False))
        if len(shape) == _MAP_DIMS and (named["b"], named["q"]) == (batch, n_queries):
            return layout, named["h"]
    return None


def arrange(tensor: Tensor, layout: Layout, batch: int) -> Float[Tensor, "batch head query key"]:
    """Bring a tensor of a known layout into the usual order."""
    if layout == "(bh)qk":
        return tensor.unflatten(0, (batch, -1))
    return tensor.permute(*(layout.index(axis) for axis in "bhqk"))
