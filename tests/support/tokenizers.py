"""Small tokenizers of every family, built on the spot from a few sentences.

Each builder returns a transformers tokenizer like those that real models come with; nothing is
downloaded. `BUILDERS` names them all.
"""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import sentencepiece
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer, UnigramTrainer, WordLevelTrainer, WordPieceTrainer
from transformers import (
    AddedToken,
    BertTokenizer,
    BioGptTokenizer,
    ByT5Tokenizer,
    CTRLTokenizer,
    FSMTTokenizer,
    GPT2Tokenizer,
    LlamaTokenizer,
    MarianTokenizer,
    PreTrainedTokenizerFast,
    T5Tokenizer,
)

from support.versions import older_than

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedTokenizerBase

# transformers 4 makes its tokenizers from files, 5 from vocabularies.
_FROM_FILES = older_than("5")

SENTENCES = [
    "The animal didn't cross the street because it was too tired.",
    "the brown dog ran over the lazy white cat, and the cat ran away",
    "Call me Ishmael. Some years ago - never mind how long precisely -",
    "le chien brun a couru aujourd'hui dans l'eau, déjà vu à Noël",
    "def f(x):\n    return x + 1  # a comment\n",
    "Привет, мир! 你好。世界 日本語のテキスト 한국어 문장 مرحبا بالعالم שלום עולם",
    "3.14 and 10,000 and 42; foo_bar <s> http://example.com/a?b=c",
]


# With a limited alphabet, which of the rare characters get in would be left to chance.
LATIN_SENTENCES = [sentence for sentence in SENTENCES if max(sentence) < "\u0250"]


def _bpe(
    tokenizer: Tokenizer, sentences: list[str] = SENTENCES, **options: Any
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    tokenizer.train_from_iterator(sentences, BpeTrainer(show_progress=False, **options))
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


@cache
def gpt2(*, add_prefix_space: bool = False) -> PreTrainedTokenizerBase:
    """Byte-level BPE; offsets with the space that a token starts with."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocab, merges = _bpe(
        tokenizer,
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    if _FROM_FILES:
        files = _written(vocab, merges)
        return transformers.GPT2TokenizerFast(*files, add_prefix_space=add_prefix_space)
    return GPT2Tokenizer(vocab=vocab, merges=merges, add_prefix_space=add_prefix_space)


def _written(vocab: dict[str, int], merges: list[tuple[str, str]]) -> tuple[str, str]:
    """Write a vocabulary and merges as tokenizers are published."""
    folder = Path(mkdtemp())
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    return str(folder / "vocab.json"), str(folder / "merges.txt")


@cache
def roberta() -> PreTrainedTokenizerBase:
    """Byte-level BPE whose offsets leave out spaces (``trim_offsets``), ``<s>`` … ``</s>``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    _bpe(
        tokenizer,
        vocab_size=420,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.decoder = decoders.ByteLevel()
    # Called "cls" up to tokenizers 0.22, "cls_token" since.
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
    )


@cache
def llama3() -> PreTrainedTokenizerBase:
    """Byte-level BPE behind a splitting pattern, with a start token and reserved ones."""
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    pattern += r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    _bpe(
        tokenizer,
        vocab_size=400,
        special_tokens=["<|begin_of_text|>", "<|end_of_text|>", "<|reserved|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>"
    )


def _metaspace_bpe() -> tuple[dict[str, int], list[tuple[str, str]]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    special = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)]]
    return _bpe(tokenizer, LATIN_SENTENCES, vocab_size=500, special_tokens=special)


@cache
def llama2() -> PreTrainedTokenizerBase:
    """SentencePiece-style BPE with byte fallback and a start token."""
    vocab, merges = _metaspace_bpe()
    tokenizer = _llama(vocab, merges)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def _llama(vocab: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    """Llama's tokenizer; for transformers 4 what its converter makes of a SentencePiece model."""
    if not _FROM_FILES:
        return LlamaTokenizer(vocab=vocab, merges=merges)
    backend = Tokenizer(
        models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


@cache
def llama2_prepending() -> PreTrainedTokenizerBase:
    """The older form of the same: a normaliser puts ▁ before the text and for every space."""
    vocab, merges = _metaspace_bpe()
    tokenizer = Tokenizer(
        models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def _unigram_vocabulary() -> list[tuple[str, float]]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = UnigramTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return [tuple(entry) for entry in json.loads(tokenizer.to_str())["model"]["vocab"]]


@cache
def t5() -> PreTrainedTokenizerBase:
    """Unigram behind white-space splitting, ``</s>`` at the end."""
    vocabulary = _unigram_vocabulary()
    if not _FROM_FILES:
        return T5Tokenizer(vocab=vocabulary, extra_ids=2)
    backend = Tokenizer(models.Unigram(vocabulary, 2, False))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return transformers.T5TokenizerFast(tokenizer_object=backend, extra_ids=2)


@cache
def xlnet_like() -> PreTrainedTokenizerBase:
    """Unigram behind NFKC, lower-casing and collapsed spaces: texts change their length."""
    tokenizer = Tokenizer(models.Unigram(_unigram_vocabulary(), 2, False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.NFD(),
            normalizers.StripAccents(),
            normalizers.Replace(Regex(r"\s+"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


@cache
def bert(*, lower_case: bool = True) -> PreTrainedTokenizerBase:
    """WordPiece, ``[CLS]`` … ``[SEP]``; lower-cased and without accents unless said otherwise."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower_case)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = WordPieceTrainer(
        vocab_size=260,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(LATIN_SENTENCES, trainer)
    vocab = tokenizer.get_vocab()
    if not _FROM_FILES:
        return BertTokenizer(vocab=vocab, do_lower_case=lower_case)
    file = Path(mkdtemp()) / "vocab.txt"
    file.write_text("\n".join(sorted(vocab, key=vocab.__getitem__)), encoding="utf-8")
    return transformers.BertTokenizerFast(str(file), do_lower_case=lower_case)


def bert_cased() -> PreTrainedTokenizerBase:
    """WordPiece that keeps case and accents."""
    return bert(lower_case=False)


@cache
def word_level() -> PreTrainedTokenizerBase:
    """Whole words, no decoder, ``</s>`` at the end: what a toy translation model has."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = WordLevelTrainer(
        special_tokens=["<pad>", "</s>", "<unk>"], vocab_size=80, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


@cache
def byte_level_without_decoder() -> PreTrainedTokenizerBase:
    """Byte-level BPE whose maker forgot the decoder."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _bpe(tokenizer, vocab_size=380, special_tokens=["<s>"], initial_alphabet=alphabet)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")


@cache
def clip_like() -> PreTrainedTokenizerBase:
    """BPE with ``</w>`` at word ends, lower-cased."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    _bpe(
        tokenizer,
        LATIN_SENTENCES,
        vocab_size=300,
        special_tokens=["<s>", "</s>", "<unk>"],
        end_of_word_suffix="</w>",
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


@cache
def byt5() -> PreTrainedTokenizerBase:
    """Slow: every byte is a token."""
    return ByT5Tokenizer(extra_ids=2)


@cache
def ctrl() -> PreTrainedTokenizerBase:
    """Slow: ``@@`` at the end of pieces that do not end a word."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    _, merges = _bpe(tokenizer, vocab_size=250, special_tokens=["<unk>"], end_of_word_suffix="</w>")
    merges = merges[:120]
    letters = sorted({letter for sentence in SENTENCES[:4] for letter in sentence if letter != " "})
    whole = [*letters, *("".join(merge) for merge in merges)]
    pieces = {piece.removesuffix("</w>") for piece in whole}
    names = ["<unk>", *sorted(pieces), *sorted(f"{piece}@@" for piece in pieces)]
    vocab = {name: number for number, name in enumerate(names)}
    return CTRLTokenizer(*_written(vocab, merges))


MOSES_SENTENCES = [
    "&quot; I &apos;m happy &quot; the dog said &amp; ran &lt; away &gt; twice",
    "the animal didn &apos;t cross the street &#91; it was tired &#93; well @-@ known",
]


def _moses_files(sentences: list[str]) -> tuple[str, str]:
    """Files of a vocabulary whose pieces may hold a part of an escape, ``</w>`` at word ends."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = sorted({chr(code) for code in range(33, 127)} | set("éàëùœ"))
    vocab, merges = _bpe(
        tokenizer,
        sentences * 2,
        vocab_size=2 * len(letters) + 140,
        special_tokens=special,
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
    )
    for letter in letters:
        vocab.setdefault(f"{letter}</w>", len(vocab))
    folder = Path(mkdtemp())
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    return str(folder / "vocab.json"), str(folder / "merges.txt")


@cache
def biogpt() -> PreTrainedTokenizerBase:
    """Slow: words cut by Moses, which escapes quotes and brackets; ``</s>`` at the start."""
    return BioGptTokenizer(*_moses_files(MOSES_SENTENCES))


@cache
def fsmt() -> PreTrainedTokenizerBase:
    """Slow: Moses with punctuation made plain, and a vocabulary for each language."""
    source, merges = _moses_files(MOSES_SENTENCES)
    target, _ = _moses_files(MOSES_SENTENCES[::-1] + SENTENCES[3:4])
    names = [*json.loads(Path(target).read_text(encoding="utf-8"))]
    names = [*names[:4], *reversed(names[4:])]  # so that no id means the same in both
    other = Path(target).with_name("target.json")
    other.write_text(json.dumps({name: id_ for id_, name in enumerate(names)}), encoding="utf-8")
    return FSMTTokenizer(
        langs=["en", "de"],
        src_vocab_file=source,
        tgt_vocab_file=str(other),
        merges_file=merges,
    )


@cache
def phi3_like() -> PreTrainedTokenizerBase:
    """SentencePiece-style BPE with added tokens that swallow the space beside them."""
    vocab, merges = _metaspace_bpe()
    tokenizer = _llama(vocab, merges)
    ends = [AddedToken(name, rstrip=True, special=True) for name in ("<|user|>", "<|end|>")]
    tokenizer.add_tokens(ends, special_tokens=True)
    tokenizer.add_tokens(
        [
            AddedToken("<both>", lstrip=True, rstrip=True, special=False),
            AddedToken("   ", special=False, normalized=False),
        ]
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


@cache
def marian(*, separate: bool = False) -> PreTrainedTokenizerBase:
    """Slow: SentencePiece with NFKC, one vocabulary for both languages or one for each."""
    folder = Path(mkdtemp())
    vocabularies: dict[str, dict[str, int]] = {}
    for side, sentences in (("source", SENTENCES[:3]), ("target", SENTENCES[3:4] * 3)):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            vocab_size=60,
            hard_vocab_limit=False,
            minloglevel=3,
        )
        (folder / f"{side}.spm").write_bytes(model.getvalue())
        spm = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        pieces = [spm.id_to_piece(number) for number in range(3, spm.get_piece_size())]
        vocabularies[side] = {
            piece: number for number, piece in enumerate(["</s>", "<unk>", *pieces, "<pad>"])
        }
    if not separate:
        names = [*dict.fromkeys([*vocabularies["source"], *vocabularies["target"]])]
        vocabularies["source"] = {name: number for number, name in enumerate(names)}
    for side, vocab in vocabularies.items():
        (folder / f"{side}.json").write_text(json.dumps(vocab), encoding="utf-8")
    return MarianTokenizer(
        str(folder / "source.spm"),
        str(folder / "target.spm"),
        str(folder / "source.json"),
        target_vocab_file=str(folder / "target.json"),
        separate_vocabs=separate,
    )


BUILDERS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    builder.__name__: builder
    for builder in (
        gpt2,
        roberta,
        llama3,
        llama2,
        llama2_prepending,
        t5,
        xlnet_like,
        bert,
        bert_cased,
        word_level,
        byte_level_without_decoder,
        clip_like,
        byt5,
        ctrl,
        biogpt,
        fsmt,
        phi3_like,
        marian,
    )
}
SPELLING_OUT = ("gpt2", "roberta", "llama3", "llama2", "llama2_prepending", "byt5")
"""Tokenizers whose ordinary tokens spell the text exactly."""
