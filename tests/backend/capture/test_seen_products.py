"""Which product inside a module makes its scores: found by doubling it, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from glasshead_backend.capture.seen_products import Inside, seen_products

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

N_QUERIES, N_KEYS = 5, 7
drawn = torch.Generator().manual_seed(0)
QUERY = torch.randn(1, 2, N_QUERIES, 4, generator=drawn)
KEY = torch.randn(1, 2, N_KEYS, 4, generator=drawn)
BIAS = torch.randn(1, 2, N_QUERIES, N_KEYS, generator=drawn)


def found(scores: Callable[[], Tensor]) -> tuple[Tensor, Tensor, float, Tensor | None] | None:
    """Query, key, factor and bias of a module that computes its scores so."""
    inside = Inside(nn.Identity(), lambda: scores().softmax(dim=-1), 1, N_QUERIES, N_KEYS)
    call = seen_products(inside, scores(), torch.zeros_like(BIAS, dtype=torch.bool))
    if call is None:
        return None
    return call.query, call.key, call.scaling, call.options.get("position_bias")


@pytest.mark.parametrize(
    "scores",
    [
        lambda: QUERY @ KEY.mT * 0.5 + BIAS,
        lambda: (torch.einsum("bhid,bhjd->bhij", QUERY, KEY) + 2 * BIAS) / 2,
        lambda: (
            torch.einsum("ibnd,jbnd->bnij", QUERY.permute(2, 0, 1, 3), KEY.permute(2, 0, 1, 3))
            * 0.5
            + BIAS
        ),
        lambda: torch.baddbmm(BIAS[0], QUERY[0], KEY[0].mT, alpha=0.5)[None],
        # A product that is no part of the scores comes first.
        lambda: QUERY @ KEY.mT * 0.5 + BIAS + 0 * (KEY.mT[..., :1].mT @ KEY.mT).sum(),
    ],
)
def test_the_product_its_factor_and_what_is_added_are_found(scores: Callable[[], Tensor]) -> None:
    one = found(scores)
    assert one is not None
    query, key, factor, bias = one
    assert torch.equal(query, QUERY)
    assert torch.equal(key, KEY)
    assert factor == pytest.approx(0.5, rel=1e-6)
    assert bias is not None
    assert torch.allclose(bias, BIAS, atol=1e-5)


@pytest.mark.parametrize(
    "scores",
    [
        lambda: 3 * (QUERY @ KEY.mT / 3).tanh() + BIAS,
        lambda: QUERY @ KEY.mT * BIAS,
        lambda: (QUERY @ KEY.mT).relu() + BIAS,
        lambda: torch.cdist(QUERY, KEY),
        lambda: (QUERY @ KEY.mT).roll(1, dims=-1) + BIAS,
    ],
)
def test_scores_that_are_no_multiple_of_a_product_are_none_of_its(
    scores: Callable[[], Tensor],
) -> None:
    assert found(scores) is None


def test_without_anything_added_there_is_no_bias() -> None:
    one = found(lambda: QUERY @ KEY.mT / 8)
    assert one is not None
    assert one[3] is None
