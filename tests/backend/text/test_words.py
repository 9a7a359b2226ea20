"""Words from tokens: the units of fused attention."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings

from backend.text.test_tokens import NASTY, spells_itself, texts
from glasshead_backend import Lens
from glasshead_backend.text.tokens import Token, tokenize, tokens_of_ids
from glasshead_backend.text.words import Cut, Word, group_words, token_to_word
from support import tokenizers
from support.lines_run import lines_run
from support.tiny_models import build
from support.tiny_models import tokenizer as tiny_tokenizer
from support.tokenizers import BUILDERS, SPELLING_OUT

families = pytest.mark.parametrize("family", BUILDERS)
pytestmark = [
    pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses"),
    pytest.mark.filterwarnings("ignore:This sequence already has </s>"),
]


def words_of(text: str, family: str = "gpt2") -> list[str]:
    """Return the words of a text, without the special tokens that the tokenizer puts in."""
    tokens = tokenize(BUILDERS[family](), text, add_special_tokens=False)
    return [word.text for word in group_words(tokens, text)]


def check_laws(tokens: list[Token], text: str, cut: Cut | None = None) -> list[Word]:
    words = group_words(tokens, text, cut)
    assert [position for word in words for position in word.tokens] == list(range(len(tokens)))
    assert all(word.tokens for word in words)
    rebuilt, at = "", 0
    for word in words:
        assert at <= word.start <= word.end
        special = tokens[word.tokens[0]].special
        assert not special or len(word.tokens) == 1
        assert word.text == (
            tokens[word.tokens[0]].text if special else text[word.start : word.end]
        )
        rebuilt += text[at : word.start] + text[word.start : word.end]
        at = word.end
    assert rebuilt + text[at:] == text
    return words


def as_tokens(words: list[Word], tokens: list[Token]) -> list[Token]:
    return [
        Token(0, word.text, word.start, word.end, tokens[word.tokens[0]].special) for word in words
    ]


# --- laws -----------------------------------------------------------------------------------------
@families
def test_words_and_gaps_give_the_text_back(family: str) -> None:
    for text in NASTY:
        check_laws(tokenize(BUILDERS[family](), text), text)


@families
@settings(max_examples=30, deadline=None)
@given(text=texts)
def test_every_token_is_in_one_word_and_grouping_twice_is_grouping_once(
    family: str, text: str
) -> None:
    tokens = tokenize(BUILDERS[family](), text)
    words = check_laws(tokens, text)
    again = group_words(as_tokens(words, tokens), text)
    assert [(w.text, w.start, w.end) for w in again] == [(w.text, w.start, w.end) for w in words]
    assert [word.tokens for word in again] == [(position,) for position in range(len(words))]


@pytest.mark.parametrize("family", SPELLING_OUT)
@settings(max_examples=30, deadline=None)
@given(text=texts.filter(spells_itself))
def test_gaps_hold_only_white_space_where_nothing_is_dropped(family: str, text: str) -> None:
    at = 0
    for word in group_words(tokenize(BUILDERS[family](), text), text):
        assert not text[at : word.start].strip()
        at = word.end
    assert not text[at:].strip()


@families
@settings(max_examples=20, deadline=None)
@given(text=texts)
def test_generated_ids_group_into_words_as_well(family: str, text: str) -> None:
    tokenizer = BUILDERS[family]()
    check_laws(*tokens_of_ids(tokenizer, tokenizer(text)["input_ids"]))


# --- words as people write them -------------------------------------------------------------------
@families
def test_every_family_finds_the_same_words(family: str) -> None:
    text = "the brown dog ran over the lazy white cat, and the cat ran away"
    assert words_of(text, family) == text.replace(",", " ,").split()


@pytest.mark.parametrize("family", ["gpt2", "llama3", "llama2", "byt5"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("didn't", ["didn't"]),
        ("aujourd'hui dans l'eau", ["aujourd'hui", "dans", "l'eau"]),
        ("3.14, 10,000!", ["3.14", ",", "10,000", "!"]),
        ("well-known", ["well", "-", "known"]),
        ("foo_bar + x", ["foo_bar", "+", "x"]),
        ("a?!", ["a", "?", "!"]),
        ("👨‍👩‍👧‍👦👍🏽 🇫🇷🇩🇪 1️⃣", ["👨‍👩‍👧‍👦", "👍🏽", "🇫🇷", "🇩🇪", "1️⃣"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("你好", ["你", "好"]),
    ],
)
def test_words_end_where_unicode_ends_them(family: str, text: str, words: list[str]) -> None:
    assert words_of(text, family) == words


def test_a_boundary_inside_a_visible_character_does_not_count() -> None:
    assert words_of("น้ำ", "byt5") == ["น้ำ"]


def test_the_words_of_a_lower_cased_vocabulary_are_slices_of_the_text() -> None:
    assert words_of("The CAFÉ, Didn't", "bert") == ["The", "CAFÉ", ",", "Didn't"]


def test_an_unknown_word_reads_as_it_was_written() -> None:
    assert words_of("the Zyxw 🦖 dog", "word_level") == ["the", "Zyxw", "🦖", "dog"]


@pytest.mark.parametrize("family", ["biogpt", "fsmt"])
def test_words_keep_their_tokens_between_quotes(family: str) -> None:
    text = '"I\'m happy" the dog said'
    assert words_of(text, family) == ['"', "I'm", "happy", '"', "the", "dog", "said"]
    assert words_of("the [dog] & <I'm> ''happy''", family)[:9] == [
        "the", "[", "dog", "]", "&", "<", "I'm", ">", "''" if family == "fsmt" else "'",
    ]  # fmt: skip


def test_markup_in_the_text_is_words_and_marks() -> None:
    assert words_of("</script><img>") == ["<", "/", "script", ">", "<", "img", ">"]


# --- words of the user's own ---------------------------------------------------------------------
DICTIONARY = {
    "日本語の": ["日本語", "の"],
    "ไปโรงเรียน": ["ไป", "โรงเรียน"],
    "北京大学": ["北京", "大学"],
}


@pytest.mark.parametrize("family", ["byt5", "gpt2", "llama2"])
@pytest.mark.parametrize("text", DICTIONARY)
def test_a_segmentation_by_dictionary_takes_the_place_of_boundaries(family: str, text: str) -> None:
    tokens = tokenize(BUILDERS[family](), text, add_special_tokens=False)
    words = group_words(tokens, text, DICTIONARY.__getitem__)
    assert [word.text for word in words] == DICTIONARY[text]


@families
def test_words_of_any_segmentation_keep_the_laws(family: str) -> None:
    for text in NASTY:
        tokens = tokenize(BUILDERS[family](), text)
        every_third = [(at, min(at + 3, len(text))) for at in range(0, len(text), 3)]
        check_laws(tokens, text, lambda _, spans=every_third: spans)
        check_laws(tokens, text, str.split)


def test_words_may_hold_spaces_and_leave_out_what_is_between() -> None:
    text = "I saw New York, twice."
    tokens = tokenize(tokenizers.gpt2(), text)
    words = group_words(tokens, text, lambda _: ["I", "saw", "New York", "twice"])
    assert [word.text for word in words] == ["I", "saw", "New York", ",", "twice", "."]
    spans = [(0, 1), (2, 5), (6, 14), (16, 21)]
    assert group_words(tokens, text, lambda _: spans) == words


@pytest.mark.parametrize("wrong", [["dog", "the"], ["cat"], [(2, 5), (0, 1)], [(0, 99)]])
def test_a_segmentation_of_another_text_is_refused_when_it_is_traced(wrong: list[object]) -> None:
    lens = Lens(build("gpt2"), tiny_tokenizer(), words=lambda _: wrong)
    with pytest.raises(ValueError, match="must return the text's own words in order"):
        lens.trace("the dog")


def test_fused_attention_follows_the_users_words() -> None:
    lens = Lens(build("gpt2"), tiny_tokenizer(), words=lambda _: ["the quick", "fox runs"])
    trace = lens.trace("the quick fox runs")
    assert [word.text for word in trace.words()] == ["the quick", "fox runs"]
    by_token = trace.attention(1)
    expected = by_token.unflatten(2, (2, 2)).sum(3).unflatten(1, (2, 2)).mean(2)
    torch.testing.assert_close(trace.attention(1, unit="word"), expected)


# --- special tokens, white space ------------------------------------------------------------------
def test_special_tokens_are_units_of_their_own() -> None:
    text = "the dog"
    words = group_words(tokenize(tokenizers.roberta(), text), text)
    assert [word.text for word in words] == ["<s>", "the", "dog", "</s>"]
    assert [(word.start, word.end) for word in words] == [(0, 0), (0, 3), (4, 7), (7, 7)]


def test_a_token_right_behind_a_special_token_starts_a_new_word() -> None:
    assert words_of("foo<s>bar", "roberta") == ["foo", "<s>", "bar"]


@pytest.mark.parametrize("family", ["gpt2", "byt5"])
def test_spaces_belong_to_the_next_word_and_line_breaks_to_themselves(family: str) -> None:
    text = "if x:\n    run "
    tokens = tokenize(BUILDERS[family](), text, add_special_tokens=False)
    words = group_words(tokens, text)
    assert [word.text for word in words] == ["if", "x", ":", "\n", "run"]
    before_run = words[3].tokens[-1] + 1
    assert text[tokens[before_run].start : tokens[before_run].end].isspace()
    assert words[-1].tokens == tuple(range(before_run, len(tokens)))


def test_a_token_of_several_words_makes_them_one() -> None:
    text = "in the house"
    spans = [(0, 6), (6, 9), (9, 12)]
    tokens = [Token(0, text[start:end], start, end, special=False) for start, end in spans]
    assert [word.text for word in group_words(tokens, text)] == ["in the", "house"]


def test_a_text_of_nothing_but_space_is_one_unit() -> None:
    assert words_of("  ") == ["  "]
    assert words_of("") == []


# --- the map from tokens to words -----------------------------------------------------------------
def test_token_to_word_names_the_word_of_every_token() -> None:
    words = [Word("a", 0, 1, (0,)), Word("bcd", 2, 5, (1, 2, 3)), Word("e", 6, 7, (4,))]
    index = token_to_word(words, 5)
    assert index.dtype == torch.int64
    assert index.tolist() == [0, 1, 1, 1, 2]
    assert token_to_word([], 0).tolist() == []


@pytest.mark.parametrize("n_tokens", [1, 3])
def test_words_that_do_not_cover_the_tokens_are_refused(n_tokens: int) -> None:
    with pytest.raises(ValueError, match="1 words hold 2 token positions"):
        token_to_word([Word("ab", 0, 2, (0, 1))], n_tokens)


def test_long_texts_are_grouped_with_work_in_proportion() -> None:
    text = "The animal didn't cross the café 🦜 because \n it was tired. "
    tokens = [tokenize(tokenizers.gpt2(), text * n) for n in (20, 160)]
    short, long = (
        lines_run(lambda t=t, n=n: token_to_word(group_words(t, text * n), len(t)))
        for t, n in zip(tokens, (20, 160), strict=True)
    )
    assert 0 < long < 9 * short
