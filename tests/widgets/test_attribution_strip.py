"""AttributionStrip: its targets, its pictures, what goes on beside the notebook, its pages."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from traitlets import TraitError

from glasshead import AttributionStrip, Lens, attribution_strip
from glasshead_backend.frames import attribution as frames
from glasshead_backend.questions import attribution as ask
from widgets.test_saved_pages import Elements

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead import Trace
    from glasshead_backend.questions.attribution import Attribution


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Lens.demo("decoder").trace("Unfathomable whales. The white whale")


@pytest.fixture(scope="module")
def pair() -> Trace:
    return Lens.demo("encoder-decoder").trace("the white cat sleeps", "le chat blanc dort")


def array(packed: Any) -> np.ndarray[Any, Any]:
    return np.frombuffer(packed["data"], packed["dtype"]).reshape(packed["shape"])


def values(view: AttributionStrip, place: int = 0) -> np.ndarray[Any, Any]:
    return array(view.frame["inputs"][place]["values"])


def target(view: AttributionStrip) -> dict[str, Any]:
    return view.frame["targets"][view.frame["current"]]


# --- what is explained ----------------------------------------------------------------------------
def test_at_first_it_explains_what_the_model_would_say_next(trace: Trace) -> None:
    view = AttributionStrip(trace)
    n_tokens, best = len(trace.tokens), trace.next_token(1)
    assert (view.position, view.frame["places"]) == (None, [1, n_tokens])
    assert target(view)["place"] == n_tokens
    assert target(view)["token"] == {"id": best["id"][0], "text": best["token"][0]}
    assert target(view)["value"] == pytest.approx(np.log(best["probability"][0]), abs=1e-4)
    assert not target(view)["came"]
    np.testing.assert_array_equal(values(view)[0], trace.attribution().values["text"])


def test_a_click_on_a_token_asks_why_it_was_predicted(trace: Trace) -> None:
    view = AttributionStrip(trace)
    clicked = {"position": 5, "token": None, "against": None}
    message = {"content": {"data": {"method": "update", "state": clicked}}, "buffers": []}
    view._handle_msg(message)
    assert (target(view)["position"], target(view)["came"]) == (5, True)
    assert target(view)["token"]["text"] == trace.tokens[5].text
    assert view.frame["key"]["position"] == 5
    np.testing.assert_array_equal(values(view)[0], trace.attribution(position=5).values["text"])
    assert not values(view)[0, 5:].any()
    with pytest.raises(TraitError, match="no prediction at position 0"):
        view.position = 0
    view.position = -1
    assert view.position == len(trace.tokens) - 1


def test_one_token_rather_than_another(trace: Trace) -> None:
    view = AttributionStrip(trace, position=5, token=" white", against=" great")
    assert (target(view)["unit"], target(view)["quantity"]) == ("logits", "logit")
    assert target(view)["words"] == "logit of “ white” minus that of “ great”"
    expected = trace.attribution(position=5, token=" white", against=" great")
    np.testing.assert_array_equal(values(view)[0], expected.values["text"])
    view.against = " white"
    assert "their difference is always 0" in view.error
    assert target(view)["against"]["text"] == " great"  # the last picture stays


def test_pinned_targets_have_a_strip_each_on_one_scale(trace: Trace) -> None:
    view = AttributionStrip(trace, targets=[6, 4, 6], position=4)
    assert view.targets == [6, 4]
    assert [one["position"] for one in view.frame["targets"]] == [6, 4]
    assert view.frame["current"] == 1
    view.position = None
    assert [one["position"] for one in view.frame["targets"]] == [6, 4, len(trace.tokens)]
    assert view.frame["current"] == 2
    assert view.frame["bound"] == pytest.approx(np.abs(values(view)).max())
    share = array(view.frame["inputs"][0]["share"])
    np.testing.assert_allclose(share.sum(axis=1), 1, atol=1e-5)


def test_words_have_their_tokens_together(trace: Trace) -> None:
    view = AttributionStrip(trace, position=5, unit="word")
    (part,) = view.frame["inputs"]
    words = [word.text for word in trace.words()]
    assert part["labels"] == words
    assert len(words) < len(part["texts"])
    of = array(part["unit_of_token"])
    by_token = trace.attribution(position=5).values["text"].numpy()
    np.testing.assert_allclose(values(view)[0], np.bincount(of, by_token), atol=1e-6)
    assert view.to_frame()["word"].tolist() == words


def test_source_and_target_are_explained_for_a_label(pair: Trace) -> None:
    view = AttributionStrip(pair, position=2)
    assert pair.labels is not None
    assert (view.frame["offset"], view.frame["places"]) == (-1, [1, len(pair.labels)])
    assert target(view)["token"]["text"] == pair.labels[2].text
    assert target(view)["place"] == 3
    source, own = (part["sequence"] for part in view.frame["inputs"])
    assert (source, own) == ("source", "target")
    expected = pair.attribution(position=2).values
    np.testing.assert_array_equal(values(view, 0)[0], expected["source"])
    np.testing.assert_array_equal(values(view, 1)[0], expected["target"])
    assert not values(view, 1)[0, 3:].any()


# --- outputs by inputs ----------------------------------------------------------------------------
@pytest.mark.parametrize("unit", ["token", "word"])
def test_the_matrix_has_a_row_for_every_prediction(unit: str, trace: Trace) -> None:
    view = AttributionStrip(trace, show="matrix", unit=unit)
    matrix, found = view.frame["matrix"], trace.attributions()
    (drawn,) = matrix["maps"]
    rows, expected = (
        ([t.position for t in found.targets], found.values["text"])
        if unit == "token"
        else (found.by_word()[0], found.by_word()[1]["text"])
    )
    np.testing.assert_array_equal(array(drawn["exact"]), expected)
    steps = array(drawn["values"]).astype(float) - drawn["zero"]
    back = steps * array(drawn["row_scale"])[:, None]
    np.testing.assert_allclose(back, expected, atol=drawn["max"] / 200)
    assert matrix["rows"] == len(rows)
    for row, place in enumerate(array(matrix["places"])):
        assert not expected[row, place:].any()
        assert expected[row, :place].any()
    largest = {name: array(one) for name, one in matrix["largest"].items()}
    at = largest["row"], largest["column"]
    np.testing.assert_array_equal(expected.numpy()[at], largest["value"])
    assert abs(largest["value"][0]) == pytest.approx(drawn["max"])
    assert view.to_frame().shape == found.to_frame().shape


def test_cells_and_parts_of_the_matrix_can_be_asked_for(pair: Trace) -> None:
    view = AttributionStrip(pair, show="matrix")
    assert [one["sequence"] for one in view.frame["matrix"]["maps"]] == ["source", "target"]
    about, arrays = view.cells("source", 1, 3, 0, 2)
    expected = pair.attributions().values["source"][1:3, 0:2]
    np.testing.assert_array_equal(array(arrays["values"]), expected)
    assert about == {"sequence": "source", "row0": 1, "row1": 3, "column0": 0, "column1": 2}
    _, arrays = view.tile("target", 0, 4, 0, 5)
    assert arrays["values"]["shape"] == [4, 5]
    with pytest.raises(ValueError, match="at most 128"):
        view.cells("source", 0, 129, 0, 1)


def test_what_else_could_have_come_is_told(trace: Trace) -> None:
    view = AttributionStrip(trace)
    result, arrays = view.top_k(5, 8)
    top = trace.top_k(5, 8)
    assert result["ids"] == top["id"].tolist()
    assert result["tokens"] == top["token"].tolist()
    came = trace.tokens[5].id
    assert result["came"] == (result["ids"].index(came) if came in result["ids"] else None)
    np.testing.assert_allclose(array(arrays["probability"]), top["probability"], atol=1e-6)
    assert view.top_k(len(trace.tokens), 2)[0]["came"] is None


# --- integrated gradients -------------------------------------------------------------------------
def test_integrated_gradients_say_how_well_they_add_up(trace: Trace) -> None:
    view = AttributionStrip(trace, method="integrated_gradients", steps=8, position=4)
    view._finish()
    told, found = target(view)["completeness"], cast("Attribution", view.result)
    assert view.frame["how"].startswith("integrated gradients from the embedding of “<pad>”, ")
    assert told["error"] == pytest.approx(found.completeness_error)
    assert told["words"] == found.in_words()
    assert told["too_large"] == (told["relative"] > 0.01)
    assert told["words"] in view.in_words()
    assert view.code() == (
        'trace.attribution(position=4, method="integrated_gradients", steps=8).to_frame()'
    )


def test_long_work_can_be_cancelled_and_the_last_picture_stays(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = AttributionStrip(trace, position=4)
    frame, begun, go_on = view.frame, threading.Event(), threading.Event()
    monkeypatch.setattr(attribution_strip, "_BUSY_OPERATIONS", 0)
    make: Callable[..., Any] = ask.integrated

    def slow(*args: Any, **kwargs: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return make(*args, **kwargs)

    monkeypatch.setattr(ask, "integrated", slow)
    view.method = "integrated_gradients"
    assert begun.wait(30)
    assert view.busy == "tracing predictions back to the text"
    view.cancel()
    go_on.set()
    view._finish()
    assert (view.method, view.busy, view.error) == ("gradient_x_input", "", "")
    assert view.frame is frame


def test_another_trace_keeps_of_the_question_what_it_can(trace: Trace, pair: Trace) -> None:
    view = AttributionStrip(trace, position=8, token=" white", targets=[3, 8])
    view.trace = Lens.demo("decoder").trace("The white whale")
    assert (view.position, view.token, view.targets) == (None, " white", [3])
    view.trace = pair
    assert (view.error, view.token, view.targets) == ("", None, [3])
    assert target(view)["position"] == len(pair.labels or ()) - 1


# --- without a kernel -----------------------------------------------------------------------------
def test_state_and_code_bring_the_picture_back(trace: Trace) -> None:
    view = AttributionStrip(trace, position=5, token=" white", targets=[4], unit="word")
    again = AttributionStrip(trace, **view.state())
    assert again.frame == view.frame
    numbers = eval(view.code(), {"trace": trace})  # noqa: S307  what the view says itself
    assert numbers.equals(view.to_frame())
    view.show = "matrix"
    assert view.code() == "trace.attributions().to_frame()"


def test_a_page_of_a_short_text_explains_every_token(trace: Trace) -> None:
    view = AttributionStrip(trace, position=5, token=" white")
    frames_of = Elements(view.to_html()).contents()["attribution"]
    keys = [one["frame"]["key"] for one in frames_of]
    places = {key["position"] for key in keys if key["token"] is None and key["unit"] == "word"}
    assert places == {None, *range(1, len(trace.tokens) + 1)}
    assert view.frame["key"] in keys
    view.method, view.steps = "integrated_gradients", 4
    view._finish()
    assert len(Elements(view.to_html()).contents()["attribution"]) == 2  # by tokens and by words


def test_a_poster_is_coloured_as_the_view_is(trace: Trace) -> None:
    view = AttributionStrip(trace, position=5)
    html = view.static("poster").html
    assert f"What moved the {target(view)['words']}" in html
    assert "gradient × input" in html
    assert html.count("<img") == 1


def test_frames_of_long_texts_are_pooled() -> None:
    wide = torch.linspace(-1, 1, 600 * 700).view(600, 700)
    picture = frames._picture(wide)
    assert (picture["pooled"], picture["cells_per_pixel"]) == ("max", 2)
    assert picture["values"]["shape"] == [300, 350]
