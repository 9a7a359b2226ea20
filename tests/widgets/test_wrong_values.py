"""Whatever is given wrongly is named, with what can be given; nothing of traitlets' own words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from traitlets import TraitError

from glasshead import (
    ActivationMap,
    AttentionLines,
    AttributionStrip,
    Explorer,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    QueryKeyView,
    TokenTable,
    explore,
    link_views,
)
from glasshead.explorer import PANES
from glasshead.names import settable_traits
from glasshead.pane import Carried
from glasshead.view import View

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from glasshead import Trace

VIEWS: tuple[type[Any], ...] = (
    ActivationMap,
    AttentionLines,
    AttributionStrip,
    FusedAttentionMatrix,
    HeadFinder,
    PerplexityStrip,
    LayerStatsChart,
    QueryKeyView,
    Explorer,
)
WHOLES = "is a list of whole numbers"
ON_ALL = [
    ("layer", "x", "layer is a whole number; got 'x'. Layer shown, by the model's own number."),
    ("layer", 1.5, "layer is a whole number; got 1.5."),
    ("layer", None, "layer is a whole number; got None."),
    ("layer", 99, "layer 99 is out of range: llama has layers 0-2"),
    ("heads", ["a"], f"heads {WHOLES}; got ['a']. 'a' is none of them."),
    ("heads", [0, 1.5], f"heads {WHOLES}; got [0, 1.5]. 1.5 is none of them."),
    ("heads", 3, f"heads {WHOLES}; got 3. Did you mean [3]?"),
    ("heads", None, f"heads {WHOLES}; got None."),
    ("heads", [99], "head 99 is out of range: layer 0 of llama has heads 0-3."),
    ("kind", "foo", "kind 'foo' is not there: llama has 'self'."),
    ("kind", 3, 'kind is a str; got 3. Attention shown: "self", or'),
    ("unit", "x", 'unit is "token" or "word"; got \'x\'.'),
    ("unit", "words", "unit is \"token\" or \"word\"; got 'words'. Did you mean 'word'?"),
    ("theme", "x", 'theme is "auto", "light" or "dark"; got \'x\'.'),
    ("height", -1, "height is a whole number of at least 0; got -1. Height in pixels"),
    ("height", "9", "height is a whole number of at least 0; got '9'."),
    ("selected", "x", f"selected {WHOLES}; got 'x'."),
    ("selected", 3, f"selected {WHOLES}; got 3. Did you mean [3]?"),
    ("selected", [-1], "selected -1 is out of range: this trace has positions 0-19."),
    ("hovered", "x", "hovered is a whole number, or None; got 'x'."),
    ("hovered", 99, "hovered 99 is out of range"),
    ("selected_source", [0], "this trace has no source text"),
    ("hovered_source", 1, "this trace has no source text"),
    ("layout", 3, 'layout is a dict like {"width": "50%"} or an ipywidgets.Layout; got 3.'),
]
ON_MAPS = [
    ("aggregate", "x", 'aggregate is "mean", "max" or "separate"; got \'x\'.'),
    ("sinks", "x", 'sinks is "auto", "aside", "shown" or "hidden"; got \'x\'.'),
]
OWN: list[tuple[str, str, object, str]] = [
    ("lines", "top_k", -1, "top_k is a whole number of at least 1, or None; got -1."),
    ("lines", "top_k", 1.5, "top_k is a whole number of at least 1, or None; got 1.5."),
    ("lines", "threshold", 2, "threshold is a number from 0 to 1, or None; got 2. Only lines of"),
    ("lines", "threshold", float("nan"), "threshold is a number from 0 to 1, or None; got nan."),
    ("lines", "threshold", "x", "threshold is a number from 0 to 1, or None; got 'x'."),
    ("lines", "blank", "no", "blank is True or False; got 'no'."),
    ("lines", "sentences", "AC", 'sentences is "all", "AA", "BB", "AB" or "BA"; got \'AC\'.'),
    ("lines", "sentences", "AB", "sentences='AB' is of sentence pairs, and this trace is not of"),
    ("lines", "orientation", "x", 'orientation is "vertical" or "horizontal"; got \'x\'.'),
    ("matrix", "scale", "x", 'scale is "sqrt", "linear" or "log"; got \'x\'.'),
    ("matrix", "value_range", 1, 'value_range is "data" or "fixed"; got 1.'),
    ("matrix", "normalise", 3, "normalise is True or False; got 3."),
    ("matrix", "hide_special", "x", "hide_special is True or False; got 'x'."),
    ("matrix", "scores", "x", "scores is True or False; got 'x'."),
    ("matrix", "compare", "x", "compare is a dict, or None; got 'x'."),
    ("matrix", "compare", {"foo": 1}, "compare has no 'foo'. It takes: layer, heads"),
    ("matrix", "compare", {"layer": "x"}, "compare: layer 'x' is out of range"),
    ("matrix", "compare", {"heads": 3}, f"compare: heads {WHOLES}; got 3. Did you mean [3]?"),
    ("matrix", "compare", {"heads": ["a"]}, f"compare: heads {WHOLES}; got ['a']. 'a' is none"),
    ("matrix", "pinned", [1], "pinned [1] is no cell: give the token positions of its row and"),
    ("matrix", "pinned", ["a", "b"], f"pinned {WHOLES}; got ['a', 'b']. 'a' is none of them."),
    ("finder", "mode", "x", 'mode is "patterns", "metric" or "scatter"; got \'x\'.'),
    ("finder", "metric", "x", "metric 'x' is not there: heads of self attention have 'entropy'"),
    ("finder", "metric", 3, "metric is a str; got 3. Metric of heads that is drawn"),
    ("finder", "second_metric", "x", "second_metric 'x' is not there"),
    ("finder", "sort", "x", 'sort is "layer", "highest" or "lowest"; got \'x\'.'),
    ("finder", "at_least", "x", "at_least is a number, or None; got 'x'."),
    ("finder", "at_most", float("nan"), "at_most is a number, or None; got nan."),
    ("finder", "only_layers", ["x"], f"only_layers {WHOLES}; got ['x']. 'x' is none of them."),
    ("finder", "only_layers", [99], "layer 99 is out of range"),
    ("finder", "only_heads", [99], "head 99 is out of range"),
    ("strip", "measure", "x", 'measure is "surprisal", "perplexity", "probability", "rank" or'),
    ("strip", "k", 11, "k is a whole number from 1 to 10; got 11."),
    ("chart", "metric", "x", "metric 'x' is not there: 'norm'"),
    ("chart", "metric", 3, "metric is a name, a metric such as Induction(), or a function"),
    ("chart", "quantity", "x", "quantity 'x' is not there: Norm has"),
    ("chart", "quantity", 3, "quantity is a str; got 3."),
    ("chart", "scale", "x", 'scale is "auto", "linear" or "log"; got \'x\'.'),
]
ON_ATTRIBUTION = [
    ("method", "x", 'method is "gradient_x_input" or "integrated_gradients"; got \'x\'.'),
    ("position", "x", "position is a whole number, or None; got 'x'. Place of the predicted"),
    ("position", 0, "position: There is no prediction at position 0."),
    ("position", 99, "position: position 99 is out of range: there are 20 (0-19)."),
    ("token", "no such", "token: 'no such' is no single token of llama. Give a token as"),
    ("against", 1.5, "against is the id of a token, its text, or None; got 1.5."),
    ("token", 999, "token: id 999 is out of range: llama knows 0-"),
    ("quantity", "x", 'quantity is "log_probability" or "logit"; got \'x\'.'),
    ("baseline", "x", 'baseline is "pad" or "zero"; got \'x\'.'),
    ("steps", 0, "steps is a whole number from 1 to 1000; got 0."),
    ("targets", 3, f"targets {WHOLES}; got 3. Did you mean [3]?"),
    ("targets", [0], "targets: There is no prediction at position 0."),
    ("show", "x", 'show is "strip" or "matrix"; got \'x\'.'),
]
PANES_ARE = 'panes is a list of "lines", "matrix", "strip", "chart" or "finder"'
ON_EXPLORER = [
    ("panes", ["foo"], f"{PANES_ARE}; got ['foo']. 'foo' is none of them."),
    ("panes", "lines", f"{PANES_ARE}; got 'lines'. Did you mean ['lines']?"),
    ("panes", 3, f"{PANES_ARE}; got 3."),
    ("large", "foo", 'large is "", "lines", "matrix", "strip", "chart" or "finder"; got \'foo\'.'),
]
CASES = [
    *((view, *case) for view in VIEWS for case in ON_ALL),
    *(
        (view, *case)
        for view in (AttentionLines, FusedAttentionMatrix, Explorer)
        for case in ON_MAPS
    ),
    *((PANES[pane], name, value, says) for pane, name, value, says in OWN),
    *((AttributionStrip, *case) for case in ON_ATTRIBUTION),
    *((Explorer, *case) for case in ON_EXPLORER),
]


@pytest.fixture(scope="module")
def shown(decoder_trace: Trace) -> dict[type, Any]:
    return {view: view(decoder_trace) for view in VIEWS}


@pytest.mark.parametrize(("view", "name", "value", "says"), CASES)
def test_a_wrong_value_is_refused_in_plain_words(
    shown: dict[type, Any],
    decoder_trace: Trace,
    view: type[Any],
    name: str,
    value: object,
    says: str,
) -> None:
    before = getattr(shown[view], name)
    with pytest.raises(TraitError, match=re.escape(says)):
        setattr(shown[view], name, value)
    assert getattr(shown[view], name) == before
    if view is not Explorer:  # five views each: by keyword below
        with pytest.raises(TraitError, match=re.escape(says)):
            view(decoder_trace, **{name: value})


@pytest.mark.parametrize(("pane", "name", "value", "says"), OWN)
def test_an_explorer_names_what_is_a_panes_as_it_is_called_there(
    shown: dict[type, Any], pane: str, name: str, value: object, says: str
) -> None:
    typed = says.startswith(f"{name} is a") and not isinstance(value, dict)
    with pytest.raises(TraitError) as refused:
        setattr(shown[Explorer], f"{pane}_{name}", value)
    if typed and pane != "chart":
        says = f"{pane}_{says}"
    assert says in str(refused.value)


@pytest.mark.parametrize(("name", "value", "says"), [*ON_MAPS, *ON_EXPLORER])
def test_explore_refuses_by_keyword_what_it_refuses_later(
    decoder_trace: Trace, name: str, value: Any, says: str
) -> None:
    with pytest.raises(TraitError, match=re.escape(says)):
        explore(decoder_trace, **{name: value})


def test_explore_names_a_panes_trait_that_it_was_given(decoder_trace: Trace) -> None:
    with pytest.raises(TraitError, match="lines_threshold is a number from 0 to 1, or None; got 2"):
        explore(decoder_trace, lines_threshold=2)


@pytest.mark.parametrize("view", [*VIEWS, TokenTable])
def test_no_trait_has_an_error_of_traitlets_own(
    shown: dict[type, Any], demo_table: TokenTable, view: type[Any]
) -> None:
    one = demo_table if view is TokenTable else shown[view]
    wrong = object()
    for name in sorted(settable_traits(view, View)):
        trait = getattr(view, name)
        called = str(trait.like.name) if isinstance(trait, Carried) else name
        with pytest.raises(TraitError) as refused:
            setattr(one, name, wrong)
        words = str(refused.value)
        assert words.startswith((name, called)), words
        assert " trait" not in words
        assert "got <object object" in words
    for name in ("frame", "scene"):
        with pytest.raises(TraitError, match=f"^{name} is read-only: the view itself sets it"):
            setattr(one, name, {})


def test_a_wrong_value_of_the_page_is_said_in_the_same_words(decoder_trace: Trace) -> None:
    view = AttentionLines(decoder_trace)
    view.set_state({"threshold": 3})
    assert view.error.startswith("threshold is a number from 0 to 1, or None; got 3.")


@pytest.mark.parametrize(
    "heads", [(0, 2), range(0, 3, 2), np.array([0, 2]), torch.tensor([0, 2]), [np.int64(0), 2]]
)
def test_what_is_a_list_in_all_but_name_is_taken(decoder_trace: Trace, heads: Any) -> None:
    assert AttentionLines(decoder_trace, heads=heads).heads == [0, 2]


def test_a_method_is_not_overwritten_by_a_value_that_was_meant_for_something_else(
    decoder_trace: Trace,
) -> None:
    strip = PerplexityStrip(decoder_trace)
    with pytest.raises(AttributeError, match="top_k is a part of PerplexityStrip, and cannot be"):
        strip.top_k = 3  # type: ignore[method-assign]
    explorer = explore(decoder_trace, panes=["strip"])
    with pytest.raises(AttributeError, match="lines is a part of Explorer, and cannot be set"):
        explorer.lines = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"scale": "x"}, "scale is a number, got 'x'."),
        ({"scale": 0}, "scale is the pixels for one of the page, above 0 and up to 10, got 0."),
        ({"theme": 3}, 'theme is "light" or "dark", got 3.'),
        ({"transparent": "no"}, "transparent is True or False, got 'no'."),
        ({"wait": "no"}, "wait is True or False, got 'no'."),
        ({"timeout": "x"}, "timeout is a number, got 'x'."),
        ({"timeout": -1}, "timeout is in seconds, above 0, got -1."),
        ({"path": 3}, "path is a str or Path, got 3."),
        ({"path": "picture.svg"}, "The file's name ends in .png, got 'picture.svg'."),
    ],
)
def test_saving_says_which_argument_is_wrong(
    shown: dict[type, Any], tmp_path: Path, args: dict[str, Any], says: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(says)):
        shown[AttentionLines].save_png(**{"path": tmp_path / "picture.png", **args})
    if "scale" not in args and args.get("path") != "picture.svg":
        with pytest.raises((TypeError, ValueError), match=re.escape(says)):
            shown[AttentionLines].save_svg(**{"path": tmp_path / "picture.svg", **args})


def _calls(trace: Trace) -> dict[str, tuple[Callable[[], object], str]]:
    matrix, table = FusedAttentionMatrix(trace), Lens.demo("decoder")
    wrong: Any = "x"
    lines: Any = [matrix, matrix]
    return {
        "explore": (lambda: explore(wrong), "Explorer shows a trace, got str. Make one with"),
        "link_views": (lambda: link_views(lines), "got list. Pass them one by one: link_views("),
        "compare_to layer": (lambda: matrix.compare_to(trace, layer=wrong), "compare: layer 'x'"),
        "compare_to heads": (
            lambda: matrix.compare_to(trace, heads=wrong),
            f"compare: heads {WHOLES}; got 'x'.",
        ),
        "set": (lambda: matrix.set(layer=1, scale=wrong), 'scale is "sqrt", "linear" or "log"'),
        "tokens": (
            lambda: TokenTable(table, "a b", add_special_tokens=wrong),
            "add_special_tokens is True or False, got 'x'.",
        ),
    }


@pytest.mark.parametrize(
    "what", ["explore", "link_views", "compare_to layer", "compare_to heads", "set", "tokens"]
)
def test_functions_say_which_argument_is_wrong(decoder_trace: Trace, what: str) -> None:
    work, says = _calls(decoder_trace)[what]
    with pytest.raises((TypeError, ValueError, TraitError), match=re.escape(says)):
        work()


@pytest.fixture(scope="module")
def demo_table() -> TokenTable:
    return TokenTable(Lens.demo("decoder"), "The white whale")
