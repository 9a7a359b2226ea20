"""What FusedAttentionMatrix draws: compared, normalised, without specials, with sinks aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import traitlets
import transformers

from glasshead import FusedAttentionMatrix, Lens, link_views
from glasshead.messages import reply
from glasshead_backend.frames import matrix as matrix_module
from support import tokenizers
from support.tiny_models import TEXT, build, eager_attentions, tokenizer
from widgets.frames import unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead import Trace


@pytest.fixture(scope="session")
def eager(decoder_trace: Trace) -> Callable[[int], np.ndarray]:
    """Weights as transformers' own eager attention gives them."""
    model: Any = build("llama").eval()
    model.set_attn_implementation("eager")
    ids = torch.tensor([[token.id for token in decoder_trace.queries()]])
    with torch.no_grad():
        layers = model(ids, output_attentions=True).attentions
    return lambda layer: layers[layer][0].numpy()


@pytest.fixture(scope="module")
def framed() -> Trace:
    """Return a text between two special tokens, ``[CLS] ... [SEP]``."""
    torch.manual_seed(0)
    spelled = tokenizers.bert()
    config = transformers.BertConfig(
        vocab_size=len(spelled),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.3,
    )
    return Lens(transformers.BertModel(config).eval(), spelled).trace(TEXT)


def state_from_browser(view: FusedAttentionMatrix, **state: Any) -> None:
    view._handle_msg({"content": {"data": {"method": "update", "state": state}}, "buffers": []})


def drawn(frame: dict[str, Any]) -> np.ndarray:
    """Read the picture back."""
    steps = unpack(frame["values"]).astype(int) - frame["zero"]
    return steps * unpack(frame["row_scale"])[:, None]


def ask(view: FusedAttentionMatrix, question: str, **args: int) -> tuple[dict[str, Any], list[Any]]:
    answered = reply(view, {"kind": "ask", "id": 1, "question": question, "args": args})
    assert answered is not None
    message, buffers = answered
    assert message["ok"], message
    return message["result"], [
        np.frombuffer(data, part["dtype"]).reshape(part["shape"])
        for data, part in zip(buffers, message["layout"], strict=True)
    ]


def ask_cell(view: FusedAttentionMatrix, query: int, key: int) -> dict[str, Any]:
    """Return what is said of a cell; ``weights`` are those of its heads."""
    asked = {"query": query, "key": key}
    answered = reply(view, {"kind": "ask", "id": 1, "question": "cell", "args": asked})
    assert answered is not None
    names = [part["name"] for part in answered[0]["layout"]]
    _, arrays = ask(view, "cell", **asked)
    of_row = {"n", "row_sum"}
    return {
        name: array[0] if name in of_row else array[0, 0]
        for name, array in zip(names, arrays, strict=True)
        if name != "heads"
    }


# ---- comparisons ---------------------------------------------------------------------------------


def test_two_heads_are_compared_as_one_minus_the_other(
    decoder_trace: Trace, eager: Callable[[int], np.ndarray]
) -> None:
    view = FusedAttentionMatrix(
        decoder_trace, layer=1, heads=[0], unit="token", sinks="shown", compare={"heads": [2]}
    )
    true = eager(1)[0] - eager(1)[2]
    np.testing.assert_allclose(view.to_frame().to_numpy(), true, atol=1e-6)
    frame = view.frame
    step = np.abs(true).max(axis=1, keepdims=True) / 254
    assert (np.abs(drawn(frame) - true) <= step + 1e-6).all()
    np.testing.assert_allclose(unpack(frame["exact"]), true, atol=1e-6)
    apart = unpack(frame["compare"]["row_distance"])
    np.testing.assert_allclose(apart, np.abs(true).sum(axis=1) / 2, atol=1e-6)
    change = unpack(frame["compare"]["column_change"])
    np.testing.assert_allclose(change, true.mean(axis=0), atol=1e-6)
    largest = unpack(frame["largest"]["weight"])
    order = np.sort(np.abs(true[1:]).flatten())[::-1][:12]
    np.testing.assert_allclose(np.abs(largest), order, atol=1e-6)


def test_what_a_comparison_does_not_name_is_the_views_own(
    decoder_trace: Trace, eager: Callable[[int], np.ndarray]
) -> None:
    view = FusedAttentionMatrix(decoder_trace, heads=[1], unit="token", compare={"layer": 2})
    np.testing.assert_allclose(view.to_frame(), eager(0)[1] - eager(2)[1], atol=1e-5)
    view.heads = [3]
    np.testing.assert_allclose(view.to_frame(), eager(0)[3] - eager(2)[3], atol=1e-5)
    view.compare = {"heads": []}
    view.layer = 2
    np.testing.assert_allclose(view.to_frame(), eager(2)[3] - eager(2).mean(axis=0), atol=1e-5)
    view.compare = None
    np.testing.assert_allclose(view.to_frame(), eager(2)[3], atol=1e-5)


def test_a_cell_of_a_comparison_says_both_values_and_its_rank(
    decoder_trace: Trace, eager: Callable[[int], np.ndarray]
) -> None:
    view = FusedAttentionMatrix(
        decoder_trace, layer=1, heads=[0], unit="token", compare={"heads": [2]}
    )
    result = ask_cell(view, 9, 4)
    first, second = eager(1)[0, 9], eager(1)[2, 9]
    assert result["weight"] == pytest.approx(first[4] - second[4], abs=1e-6)
    assert result["first"] == pytest.approx(first[4], abs=1e-6)
    assert result["second"] == pytest.approx(second[4], abs=1e-6)
    sizes = np.abs(first - second)
    assert result["rank"] == 1 + (sizes > sizes[4]).sum()


def test_a_large_comparison_keeps_the_largest_of_each_pixel_with_its_sign(
    decoder_trace: Trace,
    eager: Callable[[int], np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matrix_module, "TILE", 8)
    view = FusedAttentionMatrix(
        decoder_trace, layer=1, heads=[0], unit="token", sinks="shown", compare={"heads": [2]}
    )
    true = np.pad(eager(1)[0] - eager(1)[2], (0, 1)).reshape(7, 3, 7, 3)
    above, below = true.max(axis=(1, 3)), true.min(axis=(1, 3))
    expected = np.where(above >= -below, above, below)
    assert view.frame["cells_per_pixel"] == 3
    np.testing.assert_allclose(drawn(view.frame), expected, atol=1 / 254)


def test_two_traces_of_the_same_tokens_are_compared(decoder_trace: Trace) -> None:
    torch.manual_seed(7)
    model: Any = build("llama")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    other = Lens(model, tokenizer()).trace(TEXT)
    view = FusedAttentionMatrix(decoder_trace, layer=1, unit="token", sinks="shown")
    view.compare_to(other, heads=[1])
    true = decoder_trace.attention(1).mean(dim=0) - other.attention(1, [1])[0]
    np.testing.assert_allclose(view.to_frame(), true, atol=1e-6)
    assert view.compare == {"trace": other.lens.name, "heads": [1]}
    assert view.frame["compare"]["trace"] == other.lens.name
    # Its layer can be chosen in the browser, too.
    state_from_browser(view, compare={**view.compare, "layer": 2})
    true = decoder_trace.attention(1).mean(dim=0) - other.attention(2, [1])[0]
    np.testing.assert_allclose(view.to_frame(), true, atol=1e-6)
    # The view's own layers can still be compared, and without the other trace it is named in vain.
    view.compare = {"layer": 0}
    true = decoder_trace.attention(1).mean(dim=0) - decoder_trace.attention(0).mean(dim=0)
    np.testing.assert_allclose(view.to_frame(), true, atol=1e-6)
    with pytest.raises(traitlets.TraitError, match=r"not there: call compare_to\(trace\)"):
        FusedAttentionMatrix(decoder_trace, compare={"trace": "gone"})


def test_a_comparison_with_another_trace_stays_as_long_as_the_tokens_are_the_same(
    decoder_trace: Trace,
) -> None:
    lens = decoder_trace.lens
    view = FusedAttentionMatrix(decoder_trace, layer=1, unit="token")
    view.compare_to(decoder_trace, layer=2)
    view.trace = lens.trace(TEXT)
    assert view.compare == {"trace": lens.name, "layer": 2}
    assert view.error == ""
    view.trace = lens.trace("the fox")
    assert view.compare is None
    assert view.frame["compare"] is None
    assert view.frame["rows"] == 2


def test_traces_of_other_tokens_are_refused_with_the_first_that_differs(
    decoder_trace: Trace, translation: Trace
) -> None:
    view = FusedAttentionMatrix(decoder_trace)
    other = decoder_trace.lens.trace(TEXT + " and more")
    with pytest.raises(ValueError, match="at position 20 of the text one has nothing"):
        view.compare_to(other)
    with pytest.raises(ValueError, match="one is of text, the other of source and target"):
        view.compare_to(translation)
    with pytest.raises(TypeError, match=r"view\.compare = \{'layer': 2"):
        view.compare_to(2)  # type: ignore[arg-type]
    assert view.compare is None


@pytest.mark.parametrize(
    ("compare", "said"),
    [
        ({"layer": 9}, "layer 9 is out of range"),
        ({"heads": [0, 7]}, "head 7 is out of range: layer 0 has heads 0-3"),
        ({"head": 1}, "compare has no 'head'"),
    ],
)
def test_a_comparison_with_what_is_not_there_is_refused(
    decoder_trace: Trace, compare: dict[str, Any], said: str
) -> None:
    view = FusedAttentionMatrix(decoder_trace)
    with pytest.raises(traitlets.TraitError, match=said):
        view.compare = compare
    assert view.compare is None


def test_a_comparison_with_itself_is_zero(decoder_trace: Trace) -> None:
    view = FusedAttentionMatrix(decoder_trace, compare={})
    assert view.frame["max"] == 0
    assert len(unpack(view.frame["largest"]["weight"])) == 0


# ---- special tokens, normalised rows -------------------------------------------------------------


def test_without_special_tokens_their_rows_and_columns_are_gone_and_nothing_else_changes(
    framed: Trace,
) -> None:
    view = FusedAttentionMatrix(framed, layer=1, unit="token", sinks="shown")
    whole = view.to_frame()
    special = np.array([token.special for token in framed.queries()])
    assert special.sum() == 2
    view.hide_special = True
    kept = whole.to_numpy()[~special][:, ~special]
    np.testing.assert_array_equal(view.to_frame().to_numpy(), kept)
    assert view.frame["hidden"] == {"rows": special.sum(), "cols": special.sum()}
    labels = [token.text for token in framed.queries()]
    kept_labels = [text for text, is_special in zip(labels, special, strict=True) if not is_special]
    assert view.axes["query"]["labels"] == kept_labels
    assert list(view.to_frame().index) == kept_labels
    places = unpack(view.axes["key"]["unit_of_token"])
    assert places[~special].tolist() == list(range(len(kept)))
    assert (places[special] == len(kept)).all()
    result = ask_cell(view, 3, 2)
    assert result["weight"] == pytest.approx(kept[3, 2], abs=1e-7)
    assert result["row_sum"] == pytest.approx(1, abs=1e-5)
    rows = np.flatnonzero(~special)
    true = framed.attention(1).numpy()[:, rows[3], rows[2]]
    np.testing.assert_allclose(result["weights"], true, atol=1e-7)


def test_normalised_rows_sum_to_one_over_what_is_shown(framed: Trace) -> None:
    view = FusedAttentionMatrix(framed, layer=1, unit="token", sinks="shown", hide_special=True)
    before = view.to_frame().to_numpy()
    assert before.sum(axis=1).max() < 1
    view.normalise = True
    expected = before / before.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(view.to_frame().to_numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(unpack(view.frame["exact"]), expected, rtol=1e-5)
    result = ask_cell(view, 3, 2)
    assert result["weight"] == pytest.approx(expected[3, 2], rel=1e-5)
    assert result["share"] == pytest.approx(before[3, 2], rel=1e-5)


# ---- sinks ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sinking(encoder_trace: Trace) -> tuple[FusedAttentionMatrix, np.ndarray, np.ndarray]:
    """Return a view with sinks set aside, its true weights, and which columns are sinks."""
    for layer in encoder_trace.layers():
        for head in range(encoder_trace.n_heads(layer)):
            columns = encoder_trace.sinks(layer, heads=[head], aggregate="mean")["position"]
            if len(columns):
                view = FusedAttentionMatrix(
                    encoder_trace, layer=layer, heads=[head], unit="token", sinks="aside"
                )
                true = encoder_trace.attention(layer)[head].numpy()
                sinks = np.zeros(true.shape[1], bool)
                sinks[columns] = True
                return view, true, sinks
    pytest.fail("no head of this model has a sink")


def test_sinks_set_aside_leave_every_number_as_it_is(
    sinking: tuple[FusedAttentionMatrix, np.ndarray, np.ndarray],
) -> None:
    view, true, sinks = sinking
    frame = view.frame
    assert frame["sinks"]["mode"] == "aside"
    assert unpack(frame["sinks"]["units"]).tolist() == np.flatnonzero(sinks).tolist()
    given = true[:, sinks].sum(axis=1)
    np.testing.assert_allclose(unpack(frame["sinks"]["to"])[0], given, rtol=1e-5)
    assert frame["sinks"]["share"] == pytest.approx(given.sum() / true.sum(), rel=1e-5)
    rest = np.where(sinks, 0, true)
    assert np.abs(drawn(frame) - rest).max() <= 1 / 510
    assert frame["max"] == rest.max()
    np.testing.assert_allclose(unpack(frame["exact"]), true, atol=1e-7)
    np.testing.assert_allclose(view.to_frame().to_numpy(), true, atol=1e-7)
    column = int(np.flatnonzero(sinks)[0])
    result = ask_cell(view, 5, column)
    assert result["weight"] == pytest.approx(true[5, column], abs=1e-7)
    assert result["rank"] == 1 + (true[5] > true[5, column]).sum()


def test_the_share_of_sinks_is_of_all_attention_also_where_special_tokens_are_hidden() -> None:
    trace = Lens(build("bert"), tokenizer()).trace(f"<s> {TEXT} </s>")
    special = np.array([token.special for token in trace.queries()])
    # From the weights of transformers' eager attention. Column 17 is a sink of this head, and so is
    # the special token 21, which is left out.
    ids = torch.tensor([[token.id for token in trace.queries()]])
    true = eager_attentions(build("bert"), input_ids=ids).attentions[2][0, 3].numpy()
    assert trace.sinks(2, heads=[3], aggregate="mean")["position"].tolist() == [17, 21]
    view = FusedAttentionMatrix(
        trace, layer=2, heads=[3], unit="token", sinks="aside", hide_special=True
    )
    assert unpack(view.frame["sinks"]["units"]).tolist() == [16]
    rows = true[~special]
    assert view.frame["sinks"]["share"] == pytest.approx(rows[:, 17].sum() / rows.sum(), rel=1e-5)


def test_a_cell_is_ranked_among_those_that_are_drawn(
    sinking: tuple[FusedAttentionMatrix, np.ndarray, np.ndarray],
) -> None:
    view, true, sinks = sinking
    hidden = FusedAttentionMatrix(
        view.trace, layer=view.layer, heads=view.heads, unit="token", sinks="hidden"
    )
    row = int(np.argmax(true[:, sinks].max(axis=1) - true[:, ~sinks].max(axis=1)))
    rest = np.where(sinks, 0, true[row])
    result = ask_cell(hidden, row, int(rest.argmax()))
    assert (result["rank"], result["n"]) == (1, (rest > 0).sum())


def test_hidden_sinks_are_gone_and_the_rest_sums_to_what_the_row_did(
    sinking: tuple[FusedAttentionMatrix, np.ndarray, np.ndarray],
) -> None:
    view, true, sinks = sinking
    hidden = FusedAttentionMatrix(
        view.trace, layer=view.layer, heads=view.heads, unit="token", sinks="hidden"
    )
    rest = np.where(sinks, 0, true)
    expected = rest * (true.sum(axis=1) / rest.sum(axis=1))[:, None]
    np.testing.assert_allclose(hidden.to_frame().to_numpy(), expected, atol=1e-6)
    assert np.abs(drawn(hidden.frame) - expected).max() <= 1 / 510 + 1e-6
    result = ask_cell(hidden, 5, 2)
    assert result["share"] == pytest.approx(true[5, 2], abs=1e-7)


# ---- parts ---------------------------------------------------------------------------------------


def test_the_numbers_of_a_part_are_exact_at_any_place(
    decoder_trace: Trace, eager: Callable[[int], np.ndarray]
) -> None:
    view = FusedAttentionMatrix(decoder_trace, layer=1, unit="token", sinks="shown")
    _, (values,) = ask(view, "cells", query0=11, query1=19, key0=3, key1=15)
    np.testing.assert_allclose(values, eager(1).mean(axis=0)[11:19, 3:15], atol=1e-6)
    answered = reply(
        view,
        {
            "kind": "ask",
            "id": 1,
            "question": "cells",
            "args": {"query0": 0, "query1": 500, "key0": 0, "key1": 5},
        },
    )
    assert answered is not None
    assert "at most 128 of each side" in answered[0]["error"]


def test_separate_heads_are_drawn_as_their_mean(
    decoder_trace: Trace, eager: Callable[[int], np.ndarray]
) -> None:
    view = FusedAttentionMatrix(decoder_trace, layer=1, unit="token", aggregate="separate")
    np.testing.assert_allclose(view.to_frame(), eager(1).mean(axis=0), atol=1e-6)
    assert view.frame["key"]["aggregate"] == "separate"
    assert view.frame["title"] == "mean of all 4 heads"


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"unit": "word", "heads": [1], "kind": "encoder"},
        {"hide_special": True},
        {"hide_special": True, "unit": "word", "normalise": True},
        {"normalise": True, "compare": {"layer": 0}},
        {"compare": {"heads": [1]}, "heads": [0], "aggregate": "max"},
        {"sinks": "hidden", "heads": [0]},
        {"sinks": "hidden", "compare": {"heads": [1]}},
    ],
    ids=str,
)
def test_the_code_gives_what_is_on_screen(
    framed: Trace, translation: Trace, state: dict[str, Any]
) -> None:
    trace = translation if "kind" in state else framed
    view = FusedAttentionMatrix(trace, **{"layer": 1, "unit": "token", **state})
    np.testing.assert_allclose(given_by(view), view.to_frame().to_numpy(), atol=1e-6)


def given_by(view: FusedAttentionMatrix) -> torch.Tensor:
    """Run the code of a view."""
    *before, last = view.code().rsplit("\n", 1)
    space: dict[str, Any] = {"trace": view.trace}
    exec("\n".join(before), space)  # noqa: S102  our own code
    return eval(last, space)  # noqa: S307


def test_the_code_leaves_in_what_is_all_special_as_the_picture_does() -> None:
    trace = Lens(build("t5"), tokenizer()).trace("the fox </s>", "fox")
    assert [token.special for token in trace.queries("cross")] == [True]  # the start token
    view = FusedAttentionMatrix(trace, kind="cross", layer=0, unit="token", hide_special=True)
    assert view.to_frame().shape == (1, 2)
    np.testing.assert_allclose(given_by(view), view.to_frame().to_numpy(), atol=1e-6)


def test_the_code_leaves_rows_of_nothing_at_zero_as_the_picture_does() -> None:
    trace = Lens(build("gpt_neox", seed=4), tokenizer()).trace(TEXT)
    # The first token is a sink of this head, and all that its own row can look at.
    assert trace.sinks(1, heads=[2], aggregate="mean")["position"].tolist() == [0]
    view = FusedAttentionMatrix(
        trace, layer=1, heads=[2], unit="token", sinks="hidden", normalise=True
    )
    assert view.to_frame().to_numpy()[0].tolist() == [0] * len(trace.queries())
    np.testing.assert_allclose(given_by(view), view.to_frame().to_numpy(), atol=1e-6)


# ---- the pinned cell -----------------------------------------------------------------------------


def test_a_pinned_pair_selects_its_tokens_and_goes_when_others_are_selected(
    decoder_trace: Trace,
) -> None:
    view = FusedAttentionMatrix(decoder_trace, unit="token")
    state_from_browser(view, pinned=[9, 4], selected=[4, 9])
    assert (view.pinned, view.selected) == ([9, 4], [4, 9])
    view.pinned = [7, 2]
    assert view.selected == [2, 7]
    view.selected = [3]
    assert view.pinned == []
    with pytest.raises(traitlets.TraitError, match="positions of its row and its column"):
        view.pinned = [3]
    with pytest.raises(traitlets.TraitError, match="pinned 99 is out of range"):
        view.pinned = [3, 99]


def test_a_pinned_pair_of_cross_attention_is_of_both_texts(translation: Trace) -> None:
    view = FusedAttentionMatrix(translation, kind="cross", unit="token")
    view.pinned = [5, 8]
    assert (view.selected, view.selected_source) == ([5], [8])
    view.kind = "encoder"
    assert view.pinned == []


def test_a_linked_view_hears_of_the_pinned_tokens(decoder_trace: Trace) -> None:
    first, second = (FusedAttentionMatrix(decoder_trace, unit="token") for _ in range(2))
    link_views(first, second)
    first.pinned = [9, 4]
    assert second.selected == [4, 9]
