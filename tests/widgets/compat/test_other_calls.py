"""CircuitsVis' and Inspectus' calls; and that none of their libraries is imported for them."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import bertviz
import bertviz.neuron_view
import circuitsvis
import inspectus
import numpy as np
import pytest
import torch
from inspectus.attention_viz import parse_attn

from glasshead import AttentionLines, FusedAttentionMatrix, HeadFinder
from glasshead.compat import bertviz as our_bertviz
from glasshead.compat import circuitsvis as our_circuitsvis
from glasshead.compat import inspectus as our_inspectus

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENS = ["the", " old", " whale"]
WEIGHTS = np.tril(np.arange(1.0, 19.0).reshape(2, 3, 3))
WEIGHTS /= WEIGHTS.sum(axis=-1, keepdims=True)


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    monkeypatch.setattr(our_inspectus, "display", seen.append)
    return seen


CALLS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (bertviz.head_view, our_bertviz.head_view),
    (bertviz.model_view, our_bertviz.model_view),
    (bertviz.neuron_view.show, our_bertviz.show),
    (circuitsvis.attention.attention_patterns, our_circuitsvis.attention_patterns),
    (circuitsvis.attention.attention_heads, our_circuitsvis.attention_heads),
    (circuitsvis.attention.attention_pattern, our_circuitsvis.attention_pattern),
    (inspectus.attention, our_inspectus.attention),
]


@pytest.mark.parametrize(("theirs", "ours"), CALLS)
def test_parameters_are_theirs_in_their_order(
    theirs: Callable[..., Any], ours: Callable[..., Any]
) -> None:
    parameters = [inspect.signature(one).parameters.values() for one in (theirs, ours)]
    names = [[(one.name, one.kind, one.default is one.empty) for one in of] for of in parameters]
    assert names[0] == names[1]


@pytest.mark.parametrize("to", [list, np.asarray, torch.as_tensor])
def test_circuitsvis_patterns_are_those_of_the_heads(to: Callable[[Any], Any]) -> None:
    view = our_circuitsvis.attention_patterns(TOKENS, to(WEIGHTS.tolist()))
    assert isinstance(view, HeadFinder)
    assert [token.text for token in view.trace.tokens] == TOKENS
    assert np.allclose(view.trace.attention(0), WEIGHTS, atol=1e-6)
    again = our_circuitsvis.attention_heads(to(WEIGHTS.tolist()), TOKENS, positive_color="red")
    assert np.array_equal(again.trace.attention(0), view.trace.attention(0))


def test_a_single_pattern_of_circuitsvis_is_a_matrix() -> None:
    view = our_circuitsvis.attention_pattern(TOKENS, WEIGHTS[1].tolist())
    assert isinstance(view, FusedAttentionMatrix)
    assert np.allclose(view.trace.attention(0)[0], WEIGHTS[1], atol=1e-6)


@pytest.mark.parametrize(
    "given",
    [
        WEIGHTS[0],
        WEIGHTS,
        np.stack([WEIGHTS, WEIGHTS[::-1]]),
        (torch.as_tensor(WEIGHTS)[None], torch.as_tensor(WEIGHTS)[None]),
    ],
    ids=["one head", "heads", "layers", "transformers"],
)
def test_inspectus_arrays_are_what_inspectus_reads(given: Any, displayed: list[Any]) -> None:
    assert our_inspectus.attention(given, TOKENS, theme="dark") is None
    (view,) = displayed
    assert isinstance(view, FusedAttentionMatrix)
    assert view.theme == "dark"
    maps, _ = parse_attn(given)
    own = [
        head for layer in view.trace.layers() for head in view.trace.attention(layer).unbind(dim=0)
    ]
    assert len(maps) == len(own)
    for theirs, ours in zip(maps, own, strict=True):
        assert np.allclose(theirs.matrix, ours, atol=1e-6)


def test_inspectus_takes_other_tokens_for_keys(displayed: list[Any]) -> None:
    our_inspectus.attention(WEIGHTS[:, 1:], TOKENS[1:], TOKENS, chart_types=["line_grid"])
    (view,) = displayed
    assert isinstance(view, AttentionLines)
    assert [token.text for token in view.trace.keys("cross")] == TOKENS
    assert np.allclose(view.trace.attention(0, kind="cross"), WEIGHTS[:, 1:], atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: our_circuitsvis.attention_patterns(TOKENS[1:], WEIGHTS),
        lambda: our_circuitsvis.attention_pattern(TOKENS[1:], WEIGHTS[0]),
        lambda: our_inspectus.attention(WEIGHTS, TOKENS[1:]),
    ],
)
def test_wrong_lengths_are_named_with_both_numbers(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="has 3 rows, but there are 2 tokens"):
        call()


def test_no_library_is_imported_that_is_stood_in_for() -> None:
    code = (
        "import sys, glasshead\n"
        "assert not [name for name in sys.modules if name.startswith('glasshead.compat')]\n"
        "from glasshead.compat import bertviz, circuitsvis, inspectus\n"
        "assert not {'bertviz', 'circuitsvis', 'inspectus'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
