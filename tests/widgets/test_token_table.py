"""TokenTable: made of whatever `lens.tokenize` takes, without the model; its state; its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import traitlets
from traitlets import TraitError

from backend.tracing.test_given_texts import FIRST, MESSAGES, SECOND, chatting, with_pairs
from glasshead import Lens, PerplexityStrip, TokenTable, link_views
from support import tokenizers
from support.tiny_models import build
from widgets.frames import unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead import Trace

TEXT = "the white whale, the naïve whale"


@pytest.fixture(scope="module")
def lens() -> Lens:
    made = Lens(build("llama", vocab_size=2048), tokenizers.gpt2())

    def must_not_run(*_: object, **__: object) -> None:
        raise AssertionError("a text is split without the model")

    made.model.forward = must_not_run
    return made


def test_it_shows_itself_without_a_run_of_the_model(lens: Lens) -> None:
    view = TokenTable(lens, TEXT, hovered=1, selected=[2, 0, 2], theme="dark", height=300)
    assert (view.hovered, view.selected, view.theme, view.height) == (1, [0, 2], "dark", 300)
    assert view.frame["kind"] == "tokens"
    assert view.scene["model"] == f"llama · vocabulary of {len(lens.tokenizer):,}"
    assert (view.error, view.busy) == ("", "")


def test_its_table_is_what_tokenize_and_the_tokenizer_say(lens: Lens) -> None:
    table = TokenTable(lens, TEXT).to_frame()
    tokens = lens.tokenize(TEXT)
    assert table["position"].tolist() == list(range(len(tokens)))
    assert table["id"].tolist() == lens.tokenizer(TEXT)["input_ids"]
    assert table["own"].tolist() == lens.tokenizer.convert_ids_to_tokens(table["id"].tolist())
    for column, attribute in {"token": "text", "start": "start", "end": "end"}.items():
        assert table[column].tolist() == [getattr(token, attribute) for token in tokens]
    assert table["word_text"].unique().tolist() == ["the", "white", "whale", ",", "naïve"]


@pytest.mark.parametrize(
    "of",
    [
        lambda tokenizer: tokenizer(FIRST)["input_ids"],
        lambda tokenizer: tokenizer(FIRST),
        lambda tokenizer: tokenizer(FIRST, return_tensors="pt"),
    ],
    ids=["ids", "encoding", "tensors"],
)
def test_it_takes_what_tokenize_takes(of: Callable[[Any], Any]) -> None:
    tokenizer = with_pairs()
    lens = Lens(build("bert"), tokenizer)
    view = TokenTable(lens, of(tokenizer))
    assert unpack(view.frame["ids"]).tolist() == tokenizer(FIRST)["input_ids"]


def test_messages_stand_as_the_template_writes_them() -> None:
    tokenizer = chatting()
    options = {"add_generation_prompt": True}
    view = TokenTable(Lens(build("llama"), tokenizer), MESSAGES, template_options=options)
    ids = tokenizer.apply_chat_template(MESSAGES, return_dict=True, **options)["input_ids"]
    assert unpack(view.frame["ids"]).tolist() == ids
    assert view.to_frame()["kind"].tolist().count("special") == ids.count(1) + ids.count(2) + 3


def test_a_pair_has_its_sentences_and_special_tokens_can_be_left_out() -> None:
    tokenizer = with_pairs()
    lens = Lens(build("bert"), tokenizer)
    table = TokenTable(lens, FIRST, SECOND).to_frame()
    assert table["sentence"].tolist() == tokenizer(FIRST, SECOND)["token_type_ids"]
    plain = TokenTable(lens, FIRST, add_special_tokens=False).to_frame()
    assert "special" not in plain["kind"].tolist()


def test_two_tokenizers_stand_side_by_side(lens: Lens) -> None:
    other = tokenizers.bert()
    view = TokenTable(lens, TEXT, other=other)
    table = view.to_frame()
    parts = {name: rows["id"].tolist() for name, rows in table.groupby("tokenizer")}
    assert parts == {
        "llama": lens.tokenizer(TEXT)["input_ids"],
        type(other).__name__: other(TEXT)["input_ids"],
    }
    demo = TokenTable(lens, TEXT, other=Lens.demo("decoder"))
    assert demo.frame["other"]["name"] == "demo decoder"
    assert view.frame["other"]["n_words"] == view.frame["n_words"] == 7


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((tokenizers.gpt2(), "whale"), {}, r"tokenizer of a lens.*TokenTable\(Lens\(model"),
        ((None, "whale"), {}, "got NoneType"),
        (("lens", 3.5), {}, "one text, a str; got float"),
        (("lens", ["a", "b"]), {}, "one text, a str; got list of 2 str"),
        (("lens", "whale"), {"hoverd": 1}, "no 'hoverd'.*Did you mean 'hovered'"),
        (("lens", "whale"), {"layer": 1}, "TokenTable has no 'layer'. It takes: height, hovered"),
        (("lens", "whale"), {"other": "gpt2"}, "other is a lens or a transformers tokenizer"),
        (("lens", [1, 2]), {"other": tokenizers.bert()}, "compared on one text, a str; got list"),
        (("lens", "a", "b"), {"other": tokenizers.bert()}, "one text, a str; got a pair"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_words(
    lens: Lens, arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    given = [lens if one == "lens" else one for one in arguments]
    with pytest.raises(TypeError, match=message):
        TokenTable(*given, **options)


def test_ids_out_of_range_are_named(lens: Lens) -> None:
    with pytest.raises(ValueError, match=r"id 99,999 is out of range: llama knows ids 0-2,047"):
        TokenTable(lens, [3, 99_999])


@pytest.mark.parametrize(("name", "value"), [("hovered", 99), ("selected", [0, 99])])
def test_a_position_that_is_not_there_is_refused_and_changes_nothing(
    lens: Lens, name: str, value: object
) -> None:
    view = TokenTable(lens, TEXT)
    n = len(lens.tokenize(TEXT))
    with pytest.raises(
        TraitError, match=f"{name} 99 is out of range: this text has tokens 0-{n - 1}"
    ):
        setattr(view, name, value)
    assert (view.hovered, view.selected) == (None, [])
    view.set_state({name: value})  # as the browser sets it
    assert "99 is out of range" in view.error
    with pytest.raises(TraitError, match="99 is out of range"):
        TokenTable(lens, TEXT, **{name: value})


def test_single_traits_of_it_and_a_strip_can_be_linked_but_not_what_only_a_trace_has(
    demo_decoder_trace: Trace,
) -> None:
    text = demo_decoder_trace.sequences[0].text
    table, strip = TokenTable(Lens.demo("decoder"), text), PerplexityStrip(demo_decoder_trace)
    traitlets.link((table, "hovered"), (strip, "hovered"))
    strip.hovered = 4
    assert table.hovered == 4
    assert table.to_frame()["token"][4] == demo_decoder_trace.queries()[4].text
    with pytest.raises(TypeError, match=r"views of a trace, got TokenTable.*ipywidgets\.link"):
        link_views(strip, table)  # type: ignore[arg-type]


def test_sixteen_thousand_tokens_travel_in_under_a_megabyte(lens: Lens) -> None:
    view = TokenTable(lens, "the white whale, the naïve whale; " * 700)
    state = view.get_state()["frame"]
    arrays = [state[name]["data"] for name in ("ids", "spans", "kinds", "word")]
    words = [state[name] for name in ("texts", "gaps", "own", "words")]
    n_tokens = len(state["texts"])
    assert n_tokens > 16_000
    assert sum(map(len, arrays)) == n_tokens * (4 + 8 + 1 + 4)
    assert sum(map(len, arrays)) + len(str(words).encode()) < 1_000_000
