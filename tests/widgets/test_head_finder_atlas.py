"""HeadFinder over many texts: an atlas alone, without a model, and beside a trace."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from traitlets import TraitError

from glasshead import (
    AttentionLines,
    HeadAtlas,
    HeadFinder,
    Lens,
    LogitContribution,
    Trace,
    explore,
    head_atlas,
    link_views,
)
from support.tiny_models import TEXT
from widgets.frames import unpack
from widgets.test_frames import ask
from widgets.test_saved_pages import Elements
from widgets.test_state import state_from_browser

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    *(TEXT, f"{TEXT} {TEXT}", "the fox runs over the lazy dog, the dog runs over the fox"),
    *("a quick fox", "the dog and the fox and the dog", "the lazy dog sleeps"),
]


@pytest.fixture(scope="module")
def atlas(decoder_trace: Trace) -> HeadAtlas:
    return head_atlas(_lens(decoder_trace), TEXTS, progress=False)


def _lens(trace: Trace) -> Lens:
    lens: Any = trace.lens
    return Lens(lens.model, lens.tokenizer)


@pytest.fixture
def finder(atlas: HeadAtlas) -> HeadFinder:
    return HeadFinder(atlas)


def test_a_file_is_enough_where_no_model_is(atlas: HeadAtlas, tmp_path: Path) -> None:
    atlas.save(tmp_path / "heads.safetensors")
    loaded = HeadAtlas.load(tmp_path / "heads.safetensors")
    finder = HeadFinder(loaded, metric="induction")
    assert (finder.kind, finder.mode, finder.axes) == ("self", "metric", {})
    assert finder.scene["model"] == "llama · 3 layers × 4 heads"
    assert finder.frame["corpus"]["words"] == "6 texts, 95 % bootstrap intervals"
    assert finder.to_frame().equals(atlas.to_frame())
    assert finder.typical["key"]["metric"] == "induction"
    said = "Means over 6 texts, 95 % bootstrap intervals (4 of them have this number)"
    assert finder.in_words()[0] == said
    assert "[" in finder.in_words()[1]


def test_rows_are_of_the_head_that_is_selected_else_of_the_highest(
    finder: HeadFinder, atlas: HeadAtlas
) -> None:
    table = atlas.to_frame()
    best = table.sort_values("previous_token").iloc[-1]
    of = finder.typical["key"]
    assert (of["layer"], of["head"]) == (best["layer"], best["head"])
    finder.set(layer=2, heads=[3, 1])
    assert finder.typical["key"] == {
        "kind": "self",
        "layer": 2,
        "head": 1,
        "metric": "previous_token",
    }
    rows = atlas.examples(2, 1, "previous_token")
    assert finder.typical["queries"] == [row.token for row in rows]
    finder.metric = "entropy"
    assert finder.typical["key"]["metric"] == "entropy"
    finder.heads = []
    worst = table.sort_values("entropy").iloc[-1]
    assert finder.typical["key"]["head"] == worst["head"]
    # Only heads that are shown can stand out.
    finder.at_most = float(table.entropy.min())
    least = table.sort_values("entropy").iloc[0]
    assert (finder.typical["key"]["layer"], finder.typical["key"]["head"]) == (
        *(least["layer"], least["head"]),
    )
    finder.at_most = -1.0
    assert (finder.typical, len(finder.to_frame())) == ({}, 0)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"metric": "punctuation", "sort": "highest", "by": "low", "only_layers": [0, 2]},
        {"metric": "same_token", "sort": "lowest", "by": "high", "at_most": 0.2},
    ],
)
def test_its_code_gives_the_numbers_that_are_shown(atlas: HeadAtlas, state: dict[str, Any]) -> None:
    finder = HeadFinder(atlas, **state)
    found = eval(finder.code(), {"atlas": atlas})  # noqa: S307  our own
    assert found.reset_index(drop=True).equals(finder.to_frame())
    assert len(found) > 1
    *_, rows = finder.code().partition("# The rows below: ")
    of = finder.typical["key"]
    expected = atlas.examples_frame(of["layer"], of["head"], finder.metric)
    assert eval(rows, {"atlas": atlas}).equals(expected)  # noqa: S307


def test_beside_a_text_it_has_patterns_intervals_and_what_the_text_has(
    decoder_trace: Trace, atlas: HeadAtlas
) -> None:
    finder = HeadFinder(decoder_trace, atlas=atlas, metric=LogitContribution())
    alone = HeadFinder(decoder_trace)
    assert finder.frame["patterns"] == alone.frame["patterns"]
    names = [one["name"] for one in finder.frame["metrics"]]
    assert names == [*(one.name for one in atlas.metrics), "logit_contribution"]
    assert finder.typical == {}  # rows are of the atlas' metrics
    imports, _, expression = finder.code().partition("\n\n")
    given: dict[str, Any] = {"trace": decoder_trace, "atlas": atlas}
    exec(imports, given)  # noqa: S102  our own
    assert eval(expression, given).equals(finder.to_frame())  # noqa: S307
    finder.metric = "sink"
    assert finder.typical["key"]["metric"] == "sink"
    lines = AttentionLines(decoder_trace)
    link_views(finder, lines)
    state_from_browser(finder, layer=1, heads=[3])
    assert (lines.layer, lines.heads) == (1, [3])
    assert finder.typical["key"]["head"] == 3
    answer, arrays = ask(finder, "pattern", layer=1, head=3)
    assert answer["ok"]
    assert arrays["values"].shape == (20, 20)


def test_an_atlas_takes_a_text_in_later(decoder_trace: Trace, finder: HeadFinder) -> None:
    finder.set(layer=1, heads=[2])
    finder.trace = decoder_trace
    assert finder.error == ""
    assert unpack(finder.frame["patterns"]).shape[2] > 0
    assert finder.frame["corpus"]
    finder.mode = "patterns"
    assert (finder.layer, finder.heads) == (1, [2])


def test_another_kind_of_attention_has_the_numbers_of_the_text(translation: Trace) -> None:
    texts, targets = [TEXT, "the dog"], ["a fox runs", "a lazy fox"]
    across = head_atlas(_lens(translation), texts, targets=targets, progress=False)
    finder = HeadFinder(translation, atlas=across, metric="sink", by="low")
    assert finder.kind == "cross"
    assert finder.typical["queries"]
    finder.kind = "decoder"
    assert "corpus" not in finder.frame
    assert "The atlas is of cross attention" in finder.frame["note"]
    assert (finder.typical, finder.metric) == ({}, "sink")
    finder.sort = "highest"
    assert finder.to_frame()["sink"].is_monotonic_decreasing
    finder.kind = "cross"
    assert finder.frame["corpus"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("mode", "patterns", 'mode "patterns" draws the heads on a text: HeadFinder.trace, atlas'),
        ("metric", "charm", "metric 'charm' is not there: heads of self attention have 'entropy'"),
        ("more_metrics", [LogitContribution()], "more_metrics are measured on a text"),
        ("layer", 7, "layer 7 is out of range: the atlas of llama has layers 0, 1, 2"),
        ("only_layers", [0, 9], "layer 9 is out of range"),
        ("heads", [4], "head 4 is out of range: layer 0 of llama has heads 0-3"),
        ("only_heads", [9], "head 9 is out of range: llama has heads 0-3"),
        ("by", "middle", "by"),
        ("selected", [0], "selected 0 is out of range: this trace has no text"),
    ],
)
def test_a_wrong_value_is_named_and_the_picture_stays(
    name: str, value: Any, says: str, finder: HeadFinder, atlas: HeadAtlas
) -> None:
    before = (finder.frame, finder.typical)
    with pytest.raises(TraitError, match=says):
        setattr(finder, name, value)
    with pytest.raises(TraitError, match=says):
        HeadFinder(atlas, **{name: value})
    assert before == (finder.frame, finder.typical)


def test_what_is_no_atlas_or_one_of_another_model_is_refused(
    decoder_trace: Trace, atlas: HeadAtlas
) -> None:
    wrong: Any = "heads.safetensors"
    with pytest.raises(TypeError, match=r"atlas is a HeadAtlas, got str.*HeadAtlas\.load"):
        HeadFinder(decoder_trace, atlas=wrong)
    with pytest.raises(TypeError, match="shown alone, or beside a trace"):
        HeadFinder(atlas, atlas=atlas)
    other = Lens.demo("decoder").trace("the whale")
    with pytest.raises(ValueError, match="has other heads"):
        HeadFinder(other, atlas=atlas)
    finder = HeadFinder(decoder_trace, atlas=atlas)
    with pytest.raises(ValueError, match="has other heads"):
        finder.trace = other
    assert finder.trace is decoder_trace
    with pytest.raises(TraitError, match="by='low' is an end of an interval over many texts"):
        HeadFinder(decoder_trace, by="low")
    with pytest.raises(ValueError, match="cannot be linked"):
        link_views(HeadFinder(atlas), AttentionLines(decoder_trace))
    with pytest.raises(TypeError, match="has no 'atlas'"):
        explore(decoder_trace, atlas=atlas)


def test_it_is_restored_from_its_state(atlas: HeadAtlas) -> None:
    finder = HeadFinder(atlas, layer=2, heads=[1], metric="sink", mode="scatter", by="high")
    restored = HeadFinder(atlas, **json.loads(json.dumps(finder.state())))
    assert restored.state() == finder.state()
    assert restored.typical["key"] == finder.typical["key"]
    finder.close()
    with pytest.raises(ValueError, match="This view is closed"):
        finder.to_frame()


def test_a_page_of_it_carries_the_rows_of_all_heads(finder: HeadFinder, tmp_path: Path) -> None:
    finder.set(layer=1, heads=[2], metric="sink")
    saved = finder.save_html(tmp_path / "page.html")
    assert saved.left_out == ()
    page = Elements(saved.path.read_text("utf-8"))
    contents = page.contents()
    keys = [tuple(one["key"].values()) for one in contents["rows"]]
    assert len(keys) == len(set(keys)) == 12 * 7
    assert contents["rows"][0]["key"] == finder.typical["key"]
    assert "HeadFinder(HeadAtlas.load(path))" in saved.path.read_text("utf-8")


def test_a_small_page_has_the_rows_of_what_is_drawn_and_says_what_is_missing(
    finder: HeadFinder, tmp_path: Path
) -> None:
    finder.set(metric="sink", second_metric="entropy")
    saved = finder.save_html(tmp_path / "page.html", max_bytes=170_000)
    assert saved.bytes <= 170_000
    rows = Elements(saved.path.read_text("utf-8")).contents()["rows"]
    assert {one["key"]["metric"] for one in rows} >= {"sink"}
    assert any(words.startswith("rows by induction of") for words in saved.left_out)
    assert "rows by induction" in saved.path.read_text("utf-8")


def test_beside_a_text_a_page_has_both(
    decoder_trace: Trace, atlas: HeadAtlas, tmp_path: Path
) -> None:
    saved = HeadFinder(decoder_trace, atlas=atlas).save_html(tmp_path / "page.html")
    contents = Elements(saved.path.read_text("utf-8")).contents()
    assert saved.layers == {"self": (0, 1, 2)}
    assert contents["heads"]["self"]["corpus"]["texts"] == 6
    assert len(contents["rows"]) == 12 * 7


def test_the_atlas_of_another_model_with_as_many_heads_is_refused(
    decoder_trace: Trace, atlas: HeadAtlas
) -> None:
    other = replace(atlas, model="gpt2", model_class="GPT2LMHeadModel")
    with pytest.raises(ValueError, match=r"is of gpt2, a GPT2LMHeadModel; .* a LlamaForCausalLM"):
        HeadFinder(decoder_trace, atlas=other)


def test_words_are_of_the_texts_that_have_the_metric(
    decoder_trace: Trace, atlas: HeadAtlas
) -> None:
    beside = HeadFinder(decoder_trace, atlas=atlas, metric=LogitContribution())
    assert not any("Means over" in one for one in beside.in_words())
    n = int(atlas.n[[one.name for one in atlas.metrics].index("induction")].max())
    assert n < atlas.n_texts
    assert f"({n} of them have this number)" in HeadFinder(atlas, metric="induction").in_words()[0]
    few = head_atlas(_lens(decoder_trace), ["a quick fox"], progress=False)
    assert HeadFinder(few, metric="punctuation").in_words() == ["Punctuation: no text has it"]
    assert not any("nan" in one for one in HeadFinder(few, metric="sink").in_words())
