"""Whether two answers are the same: bit for bit, or to a rounding where the host says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from glasshead_backend import Trace
from glasshead_backend.maps.attention_map import AttentionMap


def require_same(one: Any, other: Any, where: str = "") -> None:  # noqa: C901, PLR0912
    """Compare answers of any shape: tensors, tables, traces, results, and what holds them."""
    assert type(one) is type(other), f"{where}: {type(one)} and {type(other)}"
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, where
        torch.testing.assert_close(other.cpu(), one.cpu(), rtol=0, atol=0, equal_nan=True)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(other, one)
    elif isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(other, one, check_exact=True)
    elif isinstance(one, Trace):
        for kind in one.kinds:
            for layer in one.layers(kind):
                require_same(
                    one.attention(layer, kind=kind), other.attention(layer, kind=kind), where
                )
        require_same(one.sequences, other.sequences, where)
        require_same(one.ablated, other.ablated, where)
        require_same(one.predictions(), other.predictions(), where)
    elif isinstance(one, AttentionMap):
        require_same(one.whole(), other.whole(), where)
    elif is_dataclass(one):
        for own in fields(one):
            name = f"{where}.{own.name}"
            require_same(getattr(one, own.name), getattr(other, own.name), name)
    elif isinstance(one, Mapping):
        assert list(one) == list(other), where
        for key in one:
            require_same(one[key], other[key], f"{where}[{key!r}]")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for i, pair in enumerate(zip(one, other, strict=True)):
            require_same(*pair, f"{where}[{i}]")
    elif callable(one) and one is not other:  # spells tokens
        assert one([5, 7]) == other([5, 7]), where
    else:
        assert one == other or (one != one and other != other), f"{where}: {one} and {other}"  # noqa: PLR0124
