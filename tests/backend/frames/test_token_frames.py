"""How a text splits, as it travels to TokenTable: against what the tokenizers themselves say."""

from __future__ import annotations

import copy
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest
from transformers import AddedToken

from backend.tracing.test_given_texts import FIRST, SECOND, with_pairs
from glasshead_backend import Lens
from glasshead_backend.frames.tokens import KINDS, split_as, split_text, tokens_frame
from support import tokenizers
from support.tiny_models import build
from widgets.frames import unpack

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEXT = "Don't stop: the naïve whale 🐋 said 안녕, twice."


def lens_with(tokenizer: PreTrainedTokenizerBase) -> Lens:
    lens = Lens(build("llama", vocab_size=2048), tokenizer)
    lens.model.forward = must_not_run
    return lens


def must_not_run(*_: object, **__: object) -> None:
    raise AssertionError("a text is split without the model")


def bytes_of_byte_level(own: str) -> bytes:
    """What a name in a byte-level vocabulary stands for; GPT-2's table, from its paper's code."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    table |= {chr(256 + n): byte for n, byte in enumerate(others)}
    return bytes(table[character] for character in own)


@pytest.mark.parametrize("name", tokenizers.BUILDERS)
def test_ids_and_own_strings_are_the_tokenizers(name: str) -> None:
    tokenizer = tokenizers.BUILDERS[name]()
    frame = tokens_frame(split_text(lens_with(tokenizer), TEXT), None)
    ids = tokenizer(TEXT)["input_ids"]
    assert unpack(frame["ids"]).tolist() == ids
    if name == "fsmt":  # names ids by its target's vocabulary, of a source too
        names: Any = {id_: piece for piece, id_ in tokenizer.get_src_vocab().items()}
        assert frame["own"] == [names[id_] for id_ in ids]
    else:
        assert frame["own"] == tokenizer.convert_ids_to_tokens(ids)
    assert [len(frame[part]) for part in ("texts", "own")] == [len(ids)] * 2
    assert unpack(frame["spans"]).shape == (len(ids), 2)


@pytest.mark.parametrize("name", ["gpt2", "llama3", "bert"])
def test_spans_are_the_tokenizers_offsets(name: str) -> None:
    tokenizer = tokenizers.BUILDERS[name]()
    text = "Don't stop: the whale said it twice."
    frame = tokens_frame(split_text(lens_with(tokenizer), text), None)
    encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    own = [i for i, special in enumerate(encoding["special_tokens_mask"]) if not special]
    found = unpack(frame["spans"])[own]
    # A span has the space that a token starts with; WordPiece's tokens have none.
    offsets = [list(encoding["offset_mapping"][i]) for i in own]
    assert found.tolist() == offsets


@pytest.mark.parametrize("name", ["gpt2", "llama3"])
def test_tokens_that_hold_parts_of_a_character_are_bytes_and_the_characters_are_counted(
    name: str,
) -> None:
    tokenizer = tokenizers.BUILDERS[name]()
    split = split_text(lens_with(tokenizer), TEXT, add_special_tokens=False)
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    data = [bytes_of_byte_level(own) for own in tokenizer.convert_ids_to_tokens(ids)]
    assert b"".join(data) == TEXT.encode()

    def is_whole(chunk: bytes) -> bool:
        return chunk == chunk.decode(errors="ignore").encode()

    assert split.kinds == ["piece" if is_whole(chunk) else "byte" for chunk in data]
    # A character is split where a token ends between its first byte and its last.
    ends = set(accumulate(map(len, data)))
    starts = list(accumulate((len(c.encode()) for c in TEXT), initial=0))
    n_split = sum(
        any(start < end < start + len(c.encode()) for end in ends)
        for c, start in zip(TEXT, starts, strict=False)
    )
    assert n_split > 0
    assert split.n_split == n_split


def test_a_byte_fallback_is_shown_as_its_byte() -> None:
    split = split_text(lens_with(tokenizers.llama2()), "whale 🐋")
    at = split.own.index("<0xF0>")
    assert split.own[at : at + 4] == ["<0xF0>", "<0x9F>", "<0x90>", "<0x8B>"]
    assert split.kinds[at : at + 4] == ["byte"] * 4
    assert [t.text for t in split.encoded.tokens[at : at + 2]] == ["⟨F0⟩", "⟨9F⟩"]
    assert split.n_split == 1


def test_added_special_and_unknown_tokens_are_told_apart() -> None:
    tokenizer: Any = copy.deepcopy(tokenizers.bert())
    tokenizer.add_tokens(["whalish", AddedToken("[END]", special=True)])
    split = split_text(lens_with(tokenizer), "the whalish dog 🐋 [END]")
    kinds = dict(zip(split.own, split.kinds, strict=True))
    assert kinds["whalish"] == "added"
    assert kinds[tokenizer.unk_token] == "unknown"
    assert kinds["[END]"] == kinds["[CLS]"] == kinds["[SEP]"] == "special"
    assert set(split.kinds) <= set(KINDS)


def test_a_rewritten_text_keeps_its_own_words_and_spans() -> None:
    # An uncased vocabulary, and é written as two characters: NFD here, one letter there.
    text = "Hello CAFE\u0301 now"
    split = split_text(lens_with(tokenizers.bert()), text)
    words = [word.text for word in split.words if split.kinds[word.tokens[0]] != "special"]
    assert words == ["Hello", "CAFE\u0301", "now"]
    assert split.n_words == 3
    spelled = "".join(token.text for token in split.encoded.tokens if not token.special)
    assert spelled == spelled.lower(), "the model reads small letters"


def test_a_text_that_moses_escapes_is_counted_as_it_was_written() -> None:
    text = "the dog's [old] bone"
    split = split_text(lens_with(tokenizers.biogpt()), text)
    assert any("&apos;" in own or "&" in own for own in split.own), "the vocabulary is escaped"
    assert split.encoded.text == text
    assert [word.text for word in split.words if word.text.strip("</s>")] == [
        *("the", "dog's", "[", "old", "]", "bone")
    ]


def test_a_pair_says_which_sentence_each_token_is_of() -> None:
    tokenizer = with_pairs()
    lens = Lens(build("bert"), tokenizer)
    frame = tokens_frame(split_text(lens, FIRST, SECOND), None)
    encoding = tokenizer(FIRST, SECOND)
    assert unpack(frame["ids"]).tolist() == encoding["input_ids"]
    assert unpack(frame["segments"]).tolist() == encoding["token_type_ids"]
    assert tokens_frame(split_text(lens, FIRST), None)["segments"] is None


def test_ids_that_no_text_was_given_for_spell_theirs() -> None:
    tokenizer = tokenizers.gpt2()
    ids = tokenizer("the whale")["input_ids"]
    split = split_text(lens_with(tokenizer), ids)
    assert split.encoded.text == "the whale"
    assert [token.id for token in split.encoded.tokens] == ids


def test_line_breaks_and_special_tokens_are_no_words() -> None:
    split = split_text(lens_with(tokenizers.llama3()), "the dog\n\nthe cat")
    assert split.n_words == 4
    assert "special" in split.kinds


def test_another_tokenizer_splits_the_same_text() -> None:
    lens, other = lens_with(tokenizers.gpt2()), tokenizers.bert()
    first = split_text(lens, TEXT)
    second = split_as(other, TEXT, lens.words, add_special_tokens=True)
    frame = tokens_frame(first, second)
    assert unpack(frame["other"]["ids"]).tolist() == other(TEXT)["input_ids"]
    assert frame["other"]["n_characters"] == frame["n_characters"] == len(TEXT)
    assert second.name == type(other).__name__


def test_no_numbers_travel_as_json() -> None:
    frame = tokens_frame(split_text(lens_with(tokenizers.gpt2()), TEXT), None)
    arrays = {name: frame[name]["dtype"] for name in ("ids", "spans", "kinds", "word")}
    assert arrays == {"ids": "uint32", "spans": "uint32", "kinds": "uint8", "word": "uint32"}
    lists = [value for value in frame.values() if isinstance(value, list)]
    assert all(isinstance(one, str) for value in lists for one in value)
