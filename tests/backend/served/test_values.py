"""What travels to a server and back: values come out as they went in, and only values."""

from __future__ import annotations

import json
import os
import pickle
from collections import UserDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from safetensors.torch import save

from glasshead import Lens, NotServedError, Token
from glasshead_backend.asking import Selection
from glasshead_backend.maps.attention_map import Strongest
from glasshead_backend.served.values import MalformedError, decode, encode
from support.same import require_same

if TYPE_CHECKING:
    from collections.abc import Callable

LEAVES = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.floats(),
    some.text(),
    some.binary(),
    some.builds(range, some.integers(-9, 9), some.integers(-9, 9), some.integers(1, 4)),
    some.builds(slice, some.none() | some.integers(), some.none() | some.integers()),
)
KEYS = some.one_of(
    some.text(), some.integers(), some.booleans(), some.none(), some.tuples(some.integers())
)
VALUES = some.recursive(
    LEAVES,
    lambda inner: some.one_of(
        some.lists(inner),
        some.lists(inner).map(tuple),
        some.dictionaries(KEYS, inner),
    ),
    max_leaves=12,
)
TOKENS = (Token(3, " whale", 0, 6, special=False), Token(4, "…", 6, 7, special=True))
WHOLE = [
    torch.arange(12).reshape(3, 4).T,
    torch.zeros(0, 5, dtype=torch.bfloat16),
    torch.tensor(3.5, dtype=torch.float64),
    {"a": torch.ones(2)[None].expand(3, 2)},
    np.arange(6, dtype="<i2").reshape(2, 3)[:, ::-1],
    np.arange(3, dtype=">f8"),
    np.array(["x", "yz", None], dtype=object),
    np.array("word"),
    frozenset({7, 15}),
    {3, 4},
    "half of a character: \ud83d",
    np.float32(0.1),
    np.int64(-7),
    np.bool_(True),
    TOKENS,
    list(TOKENS),
    Selection("self", 3, (1, 2), "word"),
    Strongest(torch.rand(1, 2, 3), torch.ones(1, 2, 3, dtype=torch.int64)),
    pd.DataFrame({"token": ["a", "é"], "n": [1, 2], "x": np.float32([0.1, np.nan])}),
    pd.DataFrame({"a": []}, index=pd.Index([], name="row")),
    pd.DataFrame([[1.0, 2.0]], columns=pd.RangeIndex(2, name="dimension")),
    pd.DataFrame({"a": [1, 2], "b": [True, False]}, index=["p", "q"]),
    pd.DataFrame({"n": pd.array([1, None], "Int64"), "is": pd.array([None, True], "boolean")}),
    pd.DataFrame(index=range(7)),
    pd.DataFrame({"o": pd.Series([1, "a", None], dtype=object)}),
]


@given(VALUES)
def test_plain_values_come_out_as_they_went_in(value: Any) -> None:
    again = decode(encode(value))
    assert repr(again) == repr(value)  # NaN is not equal to itself


@pytest.mark.parametrize("value", WHOLE, ids=lambda value: type(value).__name__)
def test_tensors_tables_and_our_own_types_come_out_as_they_went_in(value: Any) -> None:
    again = decode(encode(value))
    require_same(value, again)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_index_equal(again.columns, value.columns)
        pd.testing.assert_index_equal(again.index, value.index, exact="equiv")
        assert list(again.dtypes) == list(value.dtypes)


def test_what_stands_for_a_value_is_sent_as_that_value() -> None:
    assert decode(encode(UserDict({"input_ids": [3]}))) == {"input_ids": [3]}
    assert decode(encode(iter([1, 2]))) == [1, 2]
    assert decode(encode({3: "a"}.keys())) == [3]


@dataclass
class Mine:
    x: int = 1


@pytest.mark.parametrize(
    "value", [print, lambda: 1, Mine(), torch.nn.Linear(2, 2), object(), os, [Mine]], ids=repr
)
def test_functions_models_and_types_of_others_do_not_travel(value: object) -> None:
    with pytest.raises(NotServedError, match="does not travel"):
        encode(value)


def test_a_local_trace_does_not_travel() -> None:
    with pytest.raises(NotServedError):
        encode(Lens.demo("decoder").trace("a whale"))


class Trap:
    """Would leave a mark if anything unpickled it."""

    sprung = False

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return setattr, (Trap, "sprung", True)


def said(value: object, **tensors: torch.Tensor) -> bytes:
    return save(tensors, {"value": json.dumps(value)})


def table(*numbers: float) -> dict[str, Any]:
    column = {"of": list(numbers), "type": "float64"}
    index = {"name": None, "of": [0, 10**9, 1], "type": "range"}
    names = {"name": None, "of": [0, 1, 1], "type": "range"}
    return {"is": "table", "columns": [column], "index": index, "names": names}


def deep(n: int) -> object:
    value: object = 1
    for _ in range(n):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 8,
        b"GET / HTTP/1.1\r\n\r\n",
        (10**18).to_bytes(8, "little") + b"{}",
        pickle.dumps(Trap()),
        save({"0": torch.ones(2)}),
        encode(torch.ones(5))[:-3],
        save({}, {"value": "{"}),
        save({}, {"value": "[" * 100_000}),
        said(deep(200)),
        said({"is": "os.system", "of": "true"}),
        said({"of": 1}),
        said({"is": "own", "type": "os.path", "fields": []}),
        said({"is": "own", "type": "builtins.eval", "as": "1"}),
        said({"is": "own", "type": "lens.Lens", "fields": [1, 2]}),
        said({"is": "own", "type": "asking.Selection", "fields": [1, 2, 3, 4, 5, 6, 7]}),
        said({"is": "rows", "type": "text.tokens.Token", "columns": [[1]], "as": "list"}),
        said({"is": "tensor", "at": "0"}),
        # a tensor that is named again and again would take what it has not sent
        said([{"is": "tensor", "at": "0"}] * 2, **{"0": torch.ones(2)}),
        said({"is": "range", "of": [0, 10**12, 1]}),
        said([{"is": "range", "of": [0, 1 << 20, 1]}] * 9),  # each is short, all are not
        said(table([1.5])),  # a column of one number, and a long index
        said({**table(), "columns": []}),
        said({"is": "dict", "of": [[[], 1]]}),
        said({"is": "series", "name": None, "of": ["a"], "type": "category"}),
        said({"is": "float", "of": "__import__"}),
        said({"is": "handle", "run": "1"}),
    ],
)
def test_bytes_of_a_stranger_are_refused_in_words_and_run_nothing(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(data)
    assert not Trap.sprung
