"""One entropy of a row of attention, whatever part of it a sink takes."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import entropy

from glasshead_backend.maps.entropy import row_entropy


def test_entropy_is_of_the_row_as_a_distribution_over_its_keys() -> None:
    torch.manual_seed(0)
    full = torch.randn(3, 5, 7).softmax(-1)
    kept = 0.3 * full  # a sink takes the rest
    # scipy divides by the sum itself.
    expected = torch.tensor(entropy(full.double().numpy(), base=2, axis=-1)).float()
    torch.testing.assert_close(row_entropy(full), expected)
    torch.testing.assert_close(row_entropy(kept), expected)


@pytest.mark.parametrize("weight", [1.0, 0.3, 1e-20])
def test_a_row_with_one_key_has_exactly_none(weight: float) -> None:
    row = torch.tensor([0.0, weight, 0.0])
    assert float(row_entropy(row)) == 0.0
    assert math.copysign(1, float(row_entropy(row))) == 1, "and no minus before it"


def test_a_row_without_weight_or_undefined_has_none() -> None:
    rows = torch.tensor([[0.0, 0.0], [torch.nan, torch.nan], [0.5, 0.5]])
    assert row_entropy(rows).isnan().tolist() == [True, True, False]
    assert float(row_entropy(rows)[2]) == 1.0
