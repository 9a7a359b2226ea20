"""Query and key of modules that compute their scores by themselves, seen while they run once more.

BLOOM, MPT, GPT-J, RoFormer ... multiply query and key somewhere inside, scale, add what they add,
and take the softmax. Which of their matrix products that is, by which factor it enters the scores
and what is added there is found by doing: with a product twice as large, the scores of a module
that only scales it and adds to it differ by just that product times the factor. What the scores
have beside it is then the bias, whatever it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from glasshead_backend.capture.oracle import plain_attention
from glasshead_backend.capture.softmax import CapturedCall
from glasshead_backend.capture.tap import SoftmaxTap, arrange, layout_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float
    from torch import nn

_PRODUCTS = (
    *(torch.matmul, Tensor.matmul, Tensor.__matmul__),
    *(torch.bmm, Tensor.bmm),
)
_ADDED_PRODUCTS = (torch.baddbmm, Tensor.baddbmm)
_AS_LARGE = 1e-4
"""How far the scores' difference may be from a multiple of the product, as a share of it."""
_ROUNDING = 1e-5
"""What is less of the scores is no bias."""


class Inside(NamedTuple):
    """A module that can be run on the inputs it had, and the size of its map.

    Attributes
    ----------
    module : nn.Module
    run : callable
        Runs it on these inputs.
    batch, n_queries, n_keys : int
        Sequences, rows and columns of the map.
    """

    module: nn.Module
    run: Callable[[], Any]
    batch: int
    n_queries: int
    n_keys: int


@dataclass(frozen=True)
class _Product:
    """One matrix product that has the size of a map."""

    query: Float[Tensor, "batch head query dim"]
    key: Float[Tensor, "batch head key dim"]

    @property
    def values(self) -> Float[Tensor, "batch head query key"]:
        return self.query @ self.key.transpose(-1, -2)


def seen_products(
    inside: Inside,
    scores: Float[Tensor, "batch head query key"],
    hidden: Bool[Tensor, "batch head query key"],
) -> CapturedCall | None:
    """Return the call whose query and key make the scores of a module.

    Parameters
    ----------
    inside : Inside
    scores : Tensor
        ``[batch, heads, queries, keys]``, what enters its softmax.
    hidden : Tensor
        Which of them are of keys that are hidden.

    Returns
    -------
    CapturedCall or None
        None where no product enters the scores as it is, scaled; scores in half precision, which
        are rounded on the way, tell nothing.
    """
    if scores.dtype.itemsize < torch.float32.itemsize:
        return None
    tap = _ProductTap(inside)
    with tap:
        inside.run()
    for place, product in enumerate(tap.seen):
        if product.query.dtype.itemsize < torch.float32.itemsize:
            continue
        scaling = _scaling(inside, place, product, scores, hidden)
        if scaling is not None:
            return _call(inside.module, product, scaling, scores, hidden)
    return None


def _scaling(
    inside: Inside, place: int, product: _Product, scores: Tensor, hidden: Tensor
) -> float | None:
    """Return the factor by which a product enters the scores; None if it does in another way."""
    twice: list[Tensor] = []

    def keep(changed: Tensor, _: Tensor) -> None:
        layout = layout_of(changed.shape, inside.batch, inside.n_queries, inside.n_keys)
        if layout is not None and not twice:
            twice.append(arrange(changed, layout[0], inside.batch))

    with SoftmaxTap(keep, lambda _: None), _ProductTap(inside, doubled=place):
        inside.run()
    values = product.values
    if not twice or twice[0].shape != scores.shape or values.shape != scores.shape:
        return None
    more = (twice[0] - scores).masked_fill(hidden, 0.0)
    once = values.masked_fill(hidden, 0.0)
    factor = float((more * once).sum() / once.square().sum().clamp_min(1e-30))
    off = float((more - factor * once).abs().amax())
    largest = float((factor * once).abs().amax())
    return factor if largest > 0 and off <= _AS_LARGE * largest else None


def _call(
    module: nn.Module, product: _Product, scaling: float, scores: Tensor, hidden: Tensor
) -> CapturedCall:
    bias = (scores - scaling * product.values).masked_fill(hidden, 0.0)
    largest = scores.masked_fill(hidden, 0.0).abs().amax()
    is_biased = bool(bias.abs().amax() > _ROUNDING * (1 + largest))
    return CapturedCall(
        module=module,
        query=product.query,
        key=product.key,
        mask=~hidden,
        causal=False,
        scaling=scaling,
        eager=plain_attention,
        options={"position_bias": bias} if is_biased else {},
    )


class _ProductTap(TorchFunctionMode):
    """While open, keeps the factors of every matrix product of the size of a map.

    Parameters
    ----------
    inside : Inside
    doubled : int, optional
        Which of them is made twice as large.
    """

    def __init__(self, inside: Inside, doubled: int | None = None) -> None:
        super().__init__()
        self.seen: list[_Product] = []
        self._inside, self._doubled = inside, doubled

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the function as it is, then note the product."""
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        factors = _factors(func, args, kwargs)
        if factors is None or not self._note(*factors[:2], result):
            return result
        left, right, factor = factors
        is_doubled = len(self.seen) - 1 == self._doubled
        return result + factor * (left @ right) if is_doubled else result

    def _note(self, left: Tensor, right: Tensor, result: Tensor) -> bool:
        """Keep a product, if it has the size of a map."""
        inside = self._inside
        layout = layout_of(result.shape, inside.batch, inside.n_queries, inside.n_keys)
        if layout is None or layout[0] not in ("bhqk", "(bh)qk"):
            return False
        query, key = (
            arrange(one.expand(*result.shape[:-2], *one.shape[-2:]), layout[0], inside.batch)
            for one in (left, right.transpose(-1, -2))
        )
        self.seen.append(_Product(query.detach(), key.detach()))
        return True


def _factors(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, Tensor, float] | None:
    """Return what a matrix product is made of, as ``left @ right``, and the factor on it."""
    if func in _PRODUCTS and len(args) == len(("left", "right")):
        return *args, 1.0
    if func in _ADDED_PRODUCTS:
        names = ("input", "batch1", "batch2")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        return given["batch1"], given["batch2"], float(given.get("alpha", 1.0))
    return _of_einsum(*args) if func is torch.einsum else None


def _of_einsum(equation: object, *factors: Any) -> tuple[Tensor, Tensor, float] | None:
    """Read ``einsum("ibnd,jbnd->bnij", q, k)`` as a matrix product; None where it is another."""
    found = re.fullmatch(r"(\w{4}),(\w{4})->(\w{4})", str(equation).replace(" ", ""))
    if found is None or len(factors) != len(("left", "right")):
        return None
    left, right, made = found.groups()
    summed = (set(left) & set(right)) - set(made)
    lead, row, column = made[:2], made[2], made[3]
    if len(summed) != 1 or row not in left or column not in right:
        return None
    orders = (left, f"{lead}{row}{(over := summed.pop())}"), (right, f"{lead}{over}{column}")
    if any(sorted(given) != sorted(wanted) for given, wanted in orders):
        return None
    turned = [
        factor.permute(*map(given.index, wanted))
        for factor, (given, wanted) in zip(factors, orders, strict=True)
    ]
    return turned[0], turned[1], 1.0
