"""The demo models do what their cards say, measured on data that nobody has seen before."""

from __future__ import annotations

import csv
import logging
import re
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from glasshead_backend import demo
from glasshead_backend.demo import scores, toy_french, toy_french_words

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20_000  # far from the seeds of training and of the cards


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def decoder() -> tuple[Any, Any]:
    folder = demo.demo_path("decoder")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def translator() -> tuple[Any, Any]:
    folder = demo.demo_path("encoder-decoder")
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def unseen() -> list[toy_french.SentencePair]:
    return toy_french.distinct_pairs("held-out", 300, seed=SEED)


@pytest.fixture(scope="module")
def translated(translator: tuple[Any, Any], unseen: list[Any]) -> scores.TranslationScores:
    return scores.translation_scores(*translator, unseen)


def repeats_score(decoder: tuple[Any, Any], length: int) -> scores.DecoderScores:
    model, tokenizer = decoder
    ids = [i for i in range(len(tokenizer)) if i not in tokenizer.all_special_ids]
    repeats = scores.repeated_random_tokens(
        ids, length=length, count=16, seed=SEED, start=tokenizer.bos_token_id
    )
    return scores.decoder_scores(model, repeats, length)


def card_number(name: demo.DemoName, row: str) -> float:
    card = (demo.demo_path(name) / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| {row} \| ([\d.]+) \|", card, flags=re.MULTILINE)
    assert found is not None, f"the card of {name} has no row {row!r}"
    return float(found[1])


class _Keeper(logging.Handler):
    """Keeps warnings of transformers, whose log does not reach pytest's."""

    def __init__(self, kept: list[logging.LogRecord]) -> None:
        super().__init__(logging.WARNING)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record)


# --- The folders -----------------------------------------------------------------------------


def test_both_models_together_stay_small() -> None:
    files = [file for name in demo.DEMO_NAMES for file in demo.demo_path(name).iterdir()]
    assert sum(file.stat().st_size for file in files) <= 8e6


def test_an_unknown_demo_model_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(ValueError, match='"decoder" and "encoder-decoder"'):
        demo.demo_path("gpt-5")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", demo.DEMO_NAMES)
def test_every_model_says_that_it_is_a_toy(name: demo.DemoName) -> None:
    card = (demo.demo_path(name) / "README.md").read_text(encoding="utf-8")
    assert "toy" in demo.TOY_NOTICE[name]
    assert demo.TOY_NOTICE[name] in card


@pytest.mark.parametrize("name", demo.DEMO_NAMES)
def test_every_model_loads_and_generates_without_a_warning(name: demo.DemoName) -> None:
    auto = AutoModelForCausalLM if name == "decoder" else AutoModelForSeq2SeqLM
    logged: list[logging.LogRecord] = []
    handler = _Keeper(logged)
    logging.getLogger("transformers").addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model: Any = auto.from_pretrained(demo.demo_path(name), dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(demo.demo_path(name))
            inputs = tokenizer("the dog", return_tensors="pt")
            model.generate(**inputs, max_new_tokens=2)
    finally:
        logging.getLogger("transformers").removeHandler(handler)
    assert not [record.getMessage() for record in logged]
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert tokenizer.is_fast


# --- The decoder: induction ------------------------------------------------------------------


@pytest.mark.parametrize("length", [30, 100])
def test_the_induction_head_looks_behind_the_earlier_occurrence(
    decoder: tuple[Any, Any], length: int
) -> None:
    found = repeats_score(decoder, length)
    assert found.induction >= 0.5
    assert found.second_copy_accuracy >= 0.9


def test_the_previous_token_head_sits_below_the_induction_head(decoder: tuple[Any, Any]) -> None:
    found = repeats_score(decoder, 30)
    assert found.previous_token >= 0.5
    assert found.previous_token_head[0] < found.induction_head[0]


def test_without_the_previous_token_head_copying_breaks(decoder: tuple[Any, Any]) -> None:
    whole = repeats_score(decoder, 30)
    with scores.without_head(decoder[0], whole.previous_token_head):
        cut = repeats_score(decoder, 30)
    assert cut.second_copy_accuracy < whole.second_copy_accuracy / 2
    assert repeats_score(decoder, 30) == whole, "the head is back afterwards"


def test_phrases_that_come_back_in_the_example_text_light_up_the_induction_head(
    decoder: tuple[Any, Any],
) -> None:
    weight, (layer, _) = scores.echo(*decoder, demo.DECODER_TEXT)
    assert weight >= 0.4
    assert layer == repeats_score(decoder, 30).induction_head[0]


def test_a_text_without_echoes_has_no_echo_score(decoder: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="No phrase comes back"):
        scores.echo(*decoder, "Call me Ishmael.")


@pytest.mark.parametrize("row", ["induction", "previous token", "second copy accuracy"])
def test_the_card_of_the_decoder_states_what_is_measured(
    decoder: tuple[Any, Any], row: str
) -> None:
    measured = getattr(repeats_score(decoder, 30), row.replace(" ", "_"))
    assert measured == pytest.approx(card_number("decoder", row), abs=0.03)


def test_any_text_comes_back_from_the_decoders_tokens(decoder: tuple[Any, Any]) -> None:
    _, tokenizer = decoder
    for text in (demo.DECODER_TEXT, demo.DECODER_LONG_TEXT, "naïve café 🐋 \n\t»白鯨«"):
        ids = tokenizer(text).input_ids
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_example_texts_have_the_length_that_views_want(decoder: tuple[Any, Any]) -> None:
    _, tokenizer = decoder
    assert 45 <= len(tokenizer(demo.DECODER_TEXT).input_ids) <= 70
    assert 115 <= len(tokenizer(demo.DECODER_LONG_TEXT).input_ids) <= 140


def test_text_is_better_than_chance_even_when_it_is_long(decoder: tuple[Any, Any]) -> None:
    model, tokenizer = decoder
    ids = tokenizer(" ".join([demo.DECODER_LONG_TEXT] * 2), return_tensors="pt").input_ids
    assert ids.shape[1] > 200
    assert scores.perplexity(model, ids) < len(tokenizer) / 10


# --- The encoder-decoder: translation and alignment ------------------------------------------


def test_unseen_sentences_are_translated_to_the_letter(
    translated: scores.TranslationScores,
) -> None:
    assert translated.exact_match >= 0.99


def test_one_cross_attention_head_finds_the_source_word(
    translated: scores.TranslationScores,
) -> None:
    assert translated.alignment >= 0.9
    assert translated.alignment_reordered >= 0.9


def test_other_heads_do_not_align(translated: scores.TranslationScores) -> None:
    assert min(min(row) for row in translated.alignment_by_head) < 0.5


def test_rows_are_named_by_the_token_they_predict(
    translator: tuple[Any, Any], unseen: list[toy_french.SentencePair]
) -> None:
    everywhere, _ = scores.alignment_accuracy(*translator, unseen[:100])
    late = [
        toy_french.SentencePair(
            pair.source,
            pair.target,
            pair.source_tokens,
            pair.target_tokens,
            # Row i held against the source of the token that it was fed, not that it predicts.
            (frozenset({0}), *pair.alignment[:-1]),
        )
        for pair in unseen[:100]
    ]
    off_by_one, _ = scores.alignment_accuracy(*translator, late)
    assert float(off_by_one.max()) < float(everywhere.max()) - 0.2


@pytest.mark.parametrize("row", ["exact match", "alignment", "alignment of reordered tokens"])
def test_the_card_of_the_translator_states_what_is_measured(
    translated: scores.TranslationScores, row: str
) -> None:
    key = "alignment_reordered" if "reordered" in row else row.replace(" ", "_")
    assert getattr(translated, key) == pytest.approx(card_number("encoder-decoder", row), abs=0.02)


def test_the_hero_sentence_is_translated(translator: tuple[Any, Any]) -> None:
    assert scores.translate(*translator, [demo.SOURCE_TEXT]) == [demo.TARGET_TEXT]


def test_the_full_stop_and_capitals_do_not_matter(translator: tuple[Any, Any]) -> None:
    sources = ["the brown dog ran", "the brown dog ran .", "The brown dog ran."]
    assert scores.translate(*translator, sources) == [
        "le chien brun a couru",
        "le chien brun a couru .",
        "le chien brun a couru .",
    ]


def test_elided_words_are_tokens_as_written_and_join_without_a_gap(
    translator: tuple[Any, Any],
) -> None:
    _, tokenizer = translator
    text = "l'arbre n'aime pas aujourd'hui ."
    encoded = tokenizer(text, return_offsets_mapping=True)
    pieces = [text[start:end] for start, end in encoded["offset_mapping"][:-1]]
    assert pieces == ["l'", "arbre", "n'", "aime", "pas", "aujourd'hui", "."]
    assert [tokenizer.decode([i]) for i in encoded.input_ids[:-1]] == pieces
    assert tokenizer.decode(encoded.input_ids, skip_special_tokens=True) == text


def test_sentences_end_with_the_end_token_and_the_decoder_starts_from_padding(
    translator: tuple[Any, Any],
) -> None:
    model, tokenizer = translator
    ids = tokenizer(demo.SOURCE_TEXT).input_ids
    assert ids[-1] == model.config.eos_token_id == tokenizer.eos_token_id
    assert model.config.decoder_start_token_id == tokenizer.pad_token_id


# --- The grammar -----------------------------------------------------------------------------


def test_no_held_out_sentence_is_ever_trained_on() -> None:
    trained = {pair.source for pair in toy_french.distinct_pairs("train", 1000, seed=0)}
    held_out = {pair.source for pair in toy_french.distinct_pairs("held-out", 300, seed=0)}
    assert not trained & held_out
    for source in toy_french.EXAMPLES:
        assert toy_french.split_of(source) == "held-out"
        assert toy_french.split_of(source.removesuffix(" .")) == "held-out"


def test_every_french_token_has_its_english_tokens(unseen: list[toy_french.SentencePair]) -> None:
    words = set(toy_french_words.vocabulary())
    for pair in unseen:
        assert len(pair.alignment) == len(pair.target_tokens)
        assert all(pair.alignment), "no token comes from nowhere"
        assert max(max(sources) for sources in pair.alignment) < len(pair.source_tokens)
        assert words.issuperset(pair.source_tokens + pair.target_tokens)
        assert re.findall(toy_french.TOKEN_PATTERN, pair.target) == list(pair.target_tokens)


def test_adjective_and_noun_change_places_in_the_true_alignment() -> None:
    pair = next(
        pair
        for pair in toy_french.pairs("train", seed=1)
        if pair.source_tokens[:3] == ("the", "black", "cat")
    )
    assert pair.target_tokens[:3] == ("le", "chat", "noir")
    assert pair.alignment[:3] == (frozenset({0}), frozenset({2}), frozenset({1}))
    assert pair.reordered()[:3] == (False, True, True)


# --- The curve: how the heads came about -----------------------------------------------------


def test_the_curve_of_the_decoder_shows_the_induction_head_appear() -> None:
    path = demo.demo_path("decoder") / "training_curve.csv"
    with path.open(encoding="utf-8", newline="") as file:
        induction = [float(row["induction"]) for row in csv.DictReader(file)]
    assert induction[0] < 0.1
    assert induction[-1] > 0.5
