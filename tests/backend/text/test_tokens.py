"""Tokens as text: real characters, and spans that index into the text."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from glasshead_backend.frames.strip import pieces
from glasshead_backend.text.spans import settle
from glasshead_backend.text.spelling import show_bytes
from glasshead_backend.text.tokens import Token, encode, tokenize, tokens_of_ids
from glasshead_backend.text.vocabulary import Piece
from glasshead_backend.text.words import group_words
from support import tokenizers
from support.lines_run import lines_run
from support.tokenizers import BUILDERS, SPELLING_OUT

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAGMENTS = [
    "The animal didn't cross the street because it was too tired.",
    "Hello", " ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u200b", "a\u200db",
    "café", "cafe\u0301", "ﬁne", "½ İstanbul ẞ Ǆ", "“quoted” – 'so' …", "ﷺ",
    "👨‍👩‍👧‍👦", "👍🏽", "🇫🇷🇩🇪", "1️⃣", "🦜🦖",
    "你好。世界", "日本語のテキスト", "한국어 문장", "각", "ภาษาไทยน้ำ", "မြန်မာ", "हिन्दी",
    "مرحبا بالعالم", "שלום צה״ל",
    "def f(x):\n    return x + 1  # a\n", "foo_bar", "3.14", "l'eau", "well-known", "U.S.A.",
    "</script><img src=x onerror=alert(1)>",
    "\u0085", "[CLS]", "[SEP]", "<s>", "</s>", "<unk>", "[MASK]", "<|endoftext|>", "<pad>",
    "Ġword", "▁word", "##ing", "word</w>", "wor@@", "<0x0A>", "Ã©", "⟨F0 9F⟩", "\x00", "\ufffd",
]  # fmt: skip
NASTY = [
    "",
    " leading and trailing  ",
    *FRAGMENTS,
    " ".join(FRAGMENTS),
    "".join(FRAGMENTS),
]
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=6), max_size=8).map("".join)
ESCAPES = {
    "&apos;": "'", "&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">", "&#91;": "[",
    "&#93;": "]", "&#124;": "|",
}  # fmt: skip
"""What sacremoses writes for these (MosesTokenizer.ESCAPE_XML)."""
families = pytest.mark.parametrize("family", BUILDERS)
pytestmark = [
    pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses"),
    pytest.mark.filterwarnings("ignore:This sequence already has </s>"),
]


def told(tokens: Sequence[Token]) -> list[tuple[str, int, int]]:
    return [(token.text, token.start, token.end) for token in tokens]


def spelled(tokens: Sequence[Token]) -> str:
    """Join the texts of tokens, bytes of split characters put together again."""
    parts = re.split(r"⟨((?:[0-9A-F]{2} ?)+)⟩", "".join(token.text for token in tokens))
    data = [
        bytes.fromhex(part) if number % 2 else part.encode() for number, part in enumerate(parts)
    ]
    return b"".join(data).decode()


def spells_itself(text: str) -> bool:
    """Leave out ▁, which is read as a space, and names around which ByT5 drops white space."""
    return not any(part in text for part in ("⟨", "▁", "<unk>", "<pad>", "</s>"))


def is_part_of_escape(token: Token, text: str) -> bool:
    """Whether a token holds a part of what stands for one character, ``&ap`` of ``&apos;``."""
    covered = text[token.start : token.end]
    return any(covered == sign and token.text in escape for escape, sign in ESCAPES.items())


def check_spans(tokens: Sequence[Token], text: str) -> None:
    before = Token(0, "", 0, 0, special=False)
    for token in tokens:
        assert 0 <= before.start <= token.start <= token.end <= len(text)
        assert before.end <= token.end
        if shared := text[token.start : before.end]:
            assert regex.fullmatch(r"\X", shared), f"{before} and {token} share {shared!r}"
        before = token


# --- laws that hold for every tokenizer and every text --------------------------------------------
@families
def test_spans_are_in_order_and_share_only_split_characters(family: str) -> None:
    for text in NASTY:
        check_spans(tokenize(BUILDERS[family](), text), text)


@families
@settings(max_examples=30, deadline=None)
@given(text=texts)
def test_spans_are_in_order_for_any_text(family: str, text: str) -> None:
    check_spans(tokenize(BUILDERS[family](), text), text)


@families
@pytest.mark.parametrize("special", [True, False])
def test_the_ids_are_those_of_the_tokenizer(family: str, special: bool) -> None:
    tokenizer = BUILDERS[family]()
    for text in NASTY:
        ids = tokenizer(text, add_special_tokens=special)["input_ids"]
        tokens = tokenize(tokenizer, text, add_special_tokens=special)
        assert [token.id for token in tokens] == ids


@pytest.mark.parametrize("family", SPELLING_OUT)
@settings(max_examples=30, deadline=None)
@given(text=texts.filter(spells_itself))
def test_token_texts_join_to_the_text_where_nothing_is_rewritten(family: str, text: str) -> None:
    tokens = tokenize(BUILDERS[family](), text)
    covering = [token for token in tokens if not token.special or token.start < token.end]
    assert spelled(covering) == text
    for token in covering:
        if "⟨" not in token.text:
            assert token.text == text[token.start : token.end]


@pytest.mark.parametrize("family", SPELLING_OUT)
@settings(max_examples=30, deadline=None)
@given(text=texts.filter(lambda text: "<unk>" not in text))  # which decoding leaves out
def test_ids_alone_spell_what_the_tokenizer_decodes(family: str, text: str) -> None:
    tokenizer = BUILDERS[family]()
    ids = tokenizer(text)["input_ids"]
    tokens, joined = tokens_of_ids(tokenizer, ids)
    assert joined == tokenizer.decode(ids, skip_special_tokens=True)
    check_spans(tokens, joined)


@families
@settings(max_examples=20, deadline=None)
@given(text=texts)
def test_tokens_of_ids_index_into_their_joined_text(family: str, text: str) -> None:
    tokenizer = BUILDERS[family]()
    tokens, joined = tokens_of_ids(tokenizer, tokenizer(text)["input_ids"])
    check_spans(tokens, joined)
    for token in tokens:
        if token.special:
            assert token.start == token.end
        elif "⟨" not in token.text and not is_part_of_escape(token, joined):
            assert token.text == joined[token.start : token.end]


@families
def test_no_mark_of_a_vocabulary_is_ever_shown(family: str) -> None:
    text = "The animal didn't cross\nthe café: naïve dogs 🦜 run"
    shown = "".join(token.text for token in tokenize(BUILDERS[family](), text))
    for mark in ("Ġ", "Ċ", "▁", "##", "</w>", "@@", "<0x", "Ã"):
        assert mark not in shown


@families
@pytest.mark.parametrize(
    "end", ["", " ", "</s>", "[SEP]", " <s> ", "<|endoftext|>", "<|end|>\n<|user|>\n", "<both>"]
)
def test_only_what_the_tokenizer_itself_appends_counts_as_appended(family: str, end: str) -> None:
    tokenizer, text = BUILDERS[family](), f"the dog{end}"
    ids = tokenizer(text)["input_ids"]
    own = tokenizer(text, add_special_tokens=False)["input_ids"]
    first = next(n for n in range(len(ids)) if ids[n : n + len(own)] == own)
    assert encode(tokenizer, text).n_appended == len(ids) - first - len(own)


@pytest.mark.parametrize(("family", "name", "n"), [("roberta", "<s>", 1), ("biogpt", "</s>", 0)])
def test_a_start_token_that_is_written_is_the_users(family: str, name: str, n: int) -> None:
    found = encode(BUILDERS[family](), name)
    assert [token.text for token in found.tokens[:2]] == [name, name]
    assert found.n_appended == n


# --- what each family says ------------------------------------------------------------------------
@pytest.mark.parametrize("family", ["gpt2", "roberta", "llama3", "llama2", "llama2_prepending"])
def test_a_leading_space_belongs_to_the_token_that_contains_it(family: str) -> None:
    tokens = tokenize(BUILDERS[family](), "run the  dog", add_special_tokens=False)
    assert (" the", 3, 7) in told(tokens)
    assert (" ", 7, 8) in told(tokens)


def test_the_space_that_the_tokenizer_makes_up_is_not_shown() -> None:
    tokens = tokenize(tokenizers.llama2(), "the dog")
    assert told(tokens) == [("<s>", 0, 0), ("the", 0, 3), (" dog", 3, 7)]
    tokens = tokenize(tokenizers.gpt2(add_prefix_space=True), "the dog")
    assert "".join(token.text for token in tokens) == "the dog"
    assert tokens[0].start == 0


@pytest.mark.parametrize("family", ["llama2", "llama2_prepending"])
def test_a_made_up_space_with_a_token_of_its_own_says_and_covers_nothing(family: str) -> None:
    tokens = tokenize(BUILDERS[family](), "\n", add_special_tokens=False)
    assert told(tokens) == [("", 0, 0), ("\n", 0, 1)]


@pytest.mark.parametrize("family", ["gpt2", "llama3", "llama2", "byt5"])
def test_bytes_of_a_split_character_are_shown_as_bytes_and_share_its_span(family: str) -> None:
    tokens = tokenize(BUILDERS[family](), "a🦜b", add_special_tokens=False)
    parrot = [token for token in tokens if "⟨" in token.text]
    assert [token.text for token in parrot] == ["⟨F0⟩", "⟨9F⟩", "⟨A6⟩", "⟨9C⟩"]
    assert {(token.start, token.end) for token in parrot} == {(1, 2)}


def test_bytes_are_shown_beside_the_whole_characters_of_their_token() -> None:
    assert show_bytes(b" a\xf0\x9f") == " a⟨F0 9F⟩"
    assert show_bytes(b"\xa6\x9cb\xc3\xa9") == "⟨A6 9C⟩bé"
    assert show_bytes(b"\xe2\x82\xf0\x9f") == "⟨E2 82 F0 9F⟩"


def test_a_lower_cased_token_covers_the_text_as_it_was_written() -> None:
    tokens = tokenize(tokenizers.bert(), "The CAFÉ")
    assert told(tokens[:2]) == [("[CLS]", 0, 0), ("the", 0, 3)]
    assert "".join(token.text for token in tokens[2:-1]) == "cafe"
    assert (tokens[2].start, tokens[-2].end) == (4, 8)
    assert told(tokens[-1:]) == [("[SEP]", 8, 8)]


def test_letters_that_one_character_was_taken_apart_into_share_its_span() -> None:
    tokens = tokenize(tokenizers.xlnet_like(), "ﬁne", add_special_tokens=False)
    assert told(tokens)[:3] == [("f", 0, 1), ("i", 0, 1), ("n", 1, 2)]


@pytest.mark.parametrize(
    ("family", "name"), [("roberta", "<s>"), ("bert", "[CLS]"), ("llama3", "<|end_of_text|>")]
)
def test_a_special_token_written_in_the_text_covers_what_was_written(
    family: str, name: str
) -> None:
    tokens = tokenize(BUILDERS[family](), f"the {name} dog", add_special_tokens=False)
    special = [token for token in tokens if token.special]
    assert told(special) == [(name, 4, 4 + len(name))]


def test_inserted_special_tokens_stand_at_their_place_and_cover_nothing() -> None:
    tokens = tokenize(tokenizers.roberta(), " the dog \n")
    assert told(tokens)[0] == ("<s>", 0, 0)
    assert told(tokens)[-1] == ("</s>", 10, 10)
    assert [token.special for token in tokens] == [True, *[False] * (len(tokens) - 2), True]


@pytest.mark.parametrize("family", ["bert", "word_level", "t5", "marian", "ctrl"])
def test_an_unknown_word_is_no_special_token(family: str) -> None:
    tokenizer = BUILDERS[family]()
    tokens = tokenize(tokenizer, "the 🦖", add_special_tokens=False)
    assert not any(token.special for token in tokens)
    assert told(tokens)[-1] == (tokenizer.unk_token, 4, 5)


def test_a_tokenizer_without_decoder_still_shows_text() -> None:
    tokens = tokenize(tokenizers.byte_level_without_decoder(), "the dog\n")
    assert spelled(tokens) == "the dog\n"


@pytest.mark.parametrize("family", ["byt5", "ctrl", "marian"])
def test_slow_tokenizers_get_spans_without_offsets(family: str) -> None:
    text = "the brown dog  ran over the cat"
    tokens = tokenize(BUILDERS[family](), text, add_special_tokens=False)
    for token in tokens:
        assert text[token.start : token.end].strip() == token.text.strip()
    assert tokens[-1].end == len(text)


def test_slow_tokenizers_find_their_way_again_behind_unknown_text() -> None:
    tokens = tokenize(tokenizers.ctrl(), "the 🦖🦜 dog “so” ran", add_special_tokens=False)
    assert ("the", 0, 3) in told(tokens)
    assert ("<unk>", 4, 5) in told(tokens)
    assert ("ran", 16, 19) in told(tokens)


def test_text_is_shown_as_it_is_however_it_looks() -> None:
    attack = "</script><img src=x onerror=alert(1)>"
    assert "".join(token.text for token in tokenize(tokenizers.gpt2(), attack)) == attack


# --- Moses' escapes -------------------------------------------------------------------------------
MOSES_WORDS = ["the", "dog", "happy", "I'm", "didn't", "well-known", "said"]
MOSES_SIGNS = [*"\"'&<>[]|()!?`", "''", "&&", "<<", "&amp;", "&apos;"]
moses_texts = st.lists(st.sampled_from(MOSES_WORDS + MOSES_SIGNS + [" "] * 6), max_size=14).map(
    "".join
)


@pytest.mark.parametrize("family", ["biogpt", "fsmt"])
@settings(max_examples=150, deadline=None)
@given(text=moses_texts)
def test_escapes_stand_for_the_characters_that_were_written(family: str, text: str) -> None:
    for token in tokenize(BUILDERS[family](), text, add_special_tokens=False):
        covered, shown = text[token.start : token.end].strip(), token.text
        if family == "fsmt":  # it makes quotes plain, and two single ones a double one
            covered, shown = (quotes.replace("`", "'") for quotes in (covered, shown))
            covered, shown = (quotes.replace('"', "''") for quotes in (covered, shown))
        part = any(covered == sign and shown in escape for escape, sign in ESCAPES.items())
        assert covered == shown or part, f"{token} covers {covered!r}"


@pytest.mark.parametrize("family", ["biogpt", "fsmt"])
def test_quotes_close_together_shift_nothing(family: str) -> None:
    tokens = tokenize(BUILDERS[family](), '"I\'m happy" the dog said', add_special_tokens=False)
    assert told(tokens) == [
        ('"', 0, 1), ("I", 1, 2), ("'m", 2, 4), ("happy", 5, 10), ('"', 10, 11),
        ("the", 12, 15), ("dog", 16, 19), ("said", 20, 24),
    ]  # fmt: skip


def test_signs_that_change_places_cover_one_another() -> None:
    # English rules of Moses: ", becomes ,"
    tokens = tokenize(tokenizers.fsmt(), 'the "dog", happy', add_special_tokens=False)
    assert told(tokens)[-3:] == [(",", 8, 9), ('"', 9, 10), ("happy", 11, 16)]


def test_escapes_are_only_read_where_the_tokenizer_writes_them() -> None:
    text = "a &apos; b &lt; c"
    tokens = tokenize(tokenizers.gpt2(), text)
    assert spelled(tokens) == text
    ids = tokenizers.biogpt()("I'm < the dog")["input_ids"]
    assert tokens_of_ids(tokenizers.biogpt(), ids)[1] == "I 'm < the dog"


# --- combining marks ------------------------------------------------------------------------------
DECOMPOSED = unicodedata.normalize("NFD", "déjà à Noël 각") + " हिन्दी ❤\ufe0f ﬁne a\u0332\u0301"


@pytest.mark.parametrize("form", ["NFC", "NFKC", "accents"])
def test_a_token_covers_its_characters_to_the_last_mark(form: str) -> None:
    tokenizer = word_level_behind(form)
    tokens = tokenize(tokenizer, DECOMPOSED)
    assert [DECOMPOSED[token.start : token.end] for token in tokens] == DECOMPOSED.split()
    words = group_words(tokens, DECOMPOSED)
    assert [word.text for word in words] == DECOMPOSED.split()


@pytest.mark.parametrize("form", ["NFC", "NFKC", "accents"])
def test_bytes_of_a_composed_character_all_cover_it(form: str) -> None:
    tokenizer = word_level_behind(form, byte_level=True)
    tokens = tokenize(tokenizer, DECOMPOSED)
    assert "".join(DECOMPOSED[a:b] for a, b in dict.fromkeys((t.start, t.end) for t in tokens))
    check_spans(tokens, DECOMPOSED)
    assert uncovered_marks(tokens, DECOMPOSED) == []


@families
@settings(max_examples=30, deadline=None)
@given(text=st.lists(st.sampled_from([*FRAGMENTS, *DECOMPOSED.split()]), max_size=6).map(" ".join))
def test_no_mark_is_left_over_from_a_character_that_a_token_covers(family: str, text: str) -> None:
    assert uncovered_marks(tokenize(BUILDERS[family](), text), text) == []


def uncovered_marks(tokens: Sequence[Token], text: str) -> list[str]:
    """Characters as the user sees them that are covered in part."""
    covered = set[int]()
    special = set[int]()
    for token in tokens:
        (special if token.special else covered).update(range(token.start, token.end))
    return [
        cluster[0]
        for cluster in regex.finditer(r"\X", text)
        if not any(character.isspace() for character in cluster[0])
        and covered & (here := set(range(*cluster.span())))
        and not here <= covered | special
    ]


def word_level_behind(form: str, *, byte_level: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer whose normaliser changes the length of a text."""
    made = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if byte_level:
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        made = Tokenizer(models.BPE({sign: id_ for id_, sign in enumerate(alphabet)}, []))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
    stripped = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
    made.normalizer = stripped if form == "accents" else getattr(normalizers, form)()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token=None if byte_level else "<unk>")


# --- added tokens that swallow space --------------------------------------------------------------
def test_an_added_token_gives_back_the_space_that_it_swallows() -> None:
    tokenizer = tokenizers.phi3_like()
    text = "the  <both>  dog <|user|>\n\n the"
    tokens = tokenize(tokenizer, text, add_special_tokens=False)
    assert ("<both>", 5, 11) in told(tokens)
    assert ("<|user|>", 17, 25) in told(tokens)
    for token in tokens:
        assert token.text == text[token.start : token.end]
    texts, gaps = pieces(tokens, text)
    assert "".join(gap + shown for gap, shown in zip(gaps, [*texts, ""], strict=True)) == text


def test_an_added_token_of_spaces_keeps_them() -> None:
    tokens = tokenize(tokenizers.phi3_like(), "a   <both> the", add_special_tokens=False)
    assert told(tokens)[:3] == [("a", 0, 1), ("   ", 1, 4), ("<both>", 4, 10)]


# --- two vocabularies -----------------------------------------------------------------------------
def test_source_and_target_are_read_with_their_own_vocabulary() -> None:
    tokenizer = tokenizers.marian(separate=True)
    source = tokenize(tokenizer, "the street")
    assert "".join(token.text for token in source[:-1]) == "the street"
    target = tokenize(tokenizer, "le chien", target=True)
    assert "".join(token.text for token in target[:-1]) == "le chien"
    assert [token.id for token in target] == tokenizer(text_target="le chien")["input_ids"]
    again, text = tokens_of_ids(tokenizer, [token.id for token in target])
    assert text == "le chien"
    assert [token.text for token in again] == [token.text for token in target]


@pytest.mark.parametrize("family", ["t5", "word_level"])
def test_a_target_works_with_one_vocabulary_too(family: str) -> None:
    tokenizer = BUILDERS[family]()
    assert tokenize(tokenizer, "the dog", target=True) == tokenize(tokenizer, "the dog")


# --- generated ids --------------------------------------------------------------------------------
def test_generated_tokens_are_marked() -> None:
    tokenizer = tokenizers.gpt2()
    ids = tokenizer("the dog")["input_ids"]
    tokens, _ = tokens_of_ids(tokenizer, ids, generated_from=1)
    assert [token.generated for token in tokens] == [False, *[True] * (len(ids) - 1)]
    assert not any(token.generated for token in tokens_of_ids(tokenizer, ids)[0])


@pytest.mark.parametrize("family", ["word_level", "bert", "clip_like", "ctrl"])
def test_words_of_a_vocabulary_without_spaces_are_joined_by_spaces(family: str) -> None:
    tokenizer = BUILDERS[family]()
    ids = tokenizer("the dog ran away")["input_ids"]
    tokens, text = tokens_of_ids(tokenizer, ids)
    assert text == tokenizer.decode(ids, skip_special_tokens=True)
    ordinary = [token for token in tokens if not token.special]
    assert [text[token.start : token.end] for token in ordinary] == [t.text for t in ordinary]


def test_special_tokens_add_nothing_to_the_text_of_ids() -> None:
    tokenizer = tokenizers.word_level()
    ids = tokenizer("the dog")["input_ids"]
    tokens, text = tokens_of_ids(tokenizer, [0, *ids, 0])
    assert text == "the dog"
    assert told(tokens) == [
        ("<pad>", 0, 0), ("the", 0, 3), ("dog", 4, 7), ("</s>", 7, 7), ("<pad>", 7, 7)
    ]  # fmt: skip


@families
def test_ids_outside_of_the_vocabulary_are_named(family: str) -> None:
    tokens, text = tokens_of_ids(BUILDERS[family](), [10_000_000])
    assert text in ("", tokens[0].text)
    assert tokens[0].text != ""
    tokens, text = tokens_of_ids(tokenizers.gpt2(), [50_300])
    assert (text, told(tokens)) == ("", [("⟨id 50300⟩", 0, 0)])
    assert tokens[0].special


def test_a_broken_character_in_generated_ids_is_shown_and_counted_once() -> None:
    tokenizer = tokenizers.byt5()
    tokens, text = tokens_of_ids(tokenizer, [byte + 3 for byte in b"a\xf0\x9fb"])
    assert text == "a\ufffdb"
    assert told(tokens) == [("a", 0, 1), ("⟨F0⟩", 1, 2), ("⟨9F⟩", 1, 2), ("b", 2, 3)]


# --- cost -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("family", ["gpt2", "llama2", "bert", "byt5", "marian", "biogpt"])
def test_long_texts_cost_work_in_proportion(family: str) -> None:
    tokenizer = BUILDERS[family]()
    text = "The animal didn't cross the café 🦜 because \n it was tired. "
    tokenize(tokenizer, text)
    short, long = (lines_run(lambda n=n: tokenize(tokenizer, text * n)) for n in (20, 160))
    assert 0 < long < 9 * short


def test_a_character_that_no_token_stands_for_is_nobodys() -> None:
    # The tokenizer dropped the snowman; the accent belongs to the e that it folded away from.
    text = "e\u0301☃x"
    tokens = [Piece(i, one.encode(), one, special=False) for i, one in enumerate("ex")]
    assert settle(tokens, [(0, 1), (3, 4)], text) == [(0, 2, "e"), (3, 4, "x")]
