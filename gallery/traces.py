"""The traces that the gallery shows, each made once."""

from __future__ import annotations

import copy
import random
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from tokenizers import processors

from glasshead import HeadAtlas, Lens, head_atlas
from glasshead_backend.demo import DECODER_LONG_TEXT, DECODER_TEXT, SOURCE_TEXT, TARGET_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead_backend import Trace

RTL_TEXT = "The whale said: السلام عليكم, and the captain said: שלום."
CJK_TEXT = "The sailor wrote 白い鯨 in his book, and 海は静かだ below it 🐋."
HOSTILE_TEXT = "The token </script><img src=x onerror=alert(1)> is text, and the whale is a whale."
REPEATED_TEXT = "stone oil nine rope sea king lamp fish gold " * 2
LINES_TEXT = "Captain Ahab said:\n\n  The white whale,\n  the white whale!\n\nAnd all the men ran."


@cache
def decoder() -> Lens:
    """Return the demo language model."""
    return Lens.demo("decoder")


@cache
def translator() -> Lens:
    """Return the demo translation model."""
    return Lens.demo("encoder-decoder")


def untrained(n_layers: int, n_heads: int) -> Lens:
    """Return a language model of GPT-2's shape with random weights, for sizes the demos lack."""
    tokenizer = decoder().tokenizer
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=256,
        n_embd=8 * n_heads,
        n_layer=n_layers,
        n_head=n_heads,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=None,
    )
    return Lens(transformers.GPT2LMHeadModel(config).eval(), tokenizer)


def _texts(text: str) -> Callable[[], Trace]:
    return cache(lambda: decoder().trace(text))


short = _texts(DECODER_TEXT)
long = _texts(DECODER_LONG_TEXT)
one_token = _texts("whale")
rtl = _texts(RTL_TEXT)
cjk = _texts(CJK_TEXT)
repeated = _texts(REPEATED_TEXT.strip())
hostile = _texts(HOSTILE_TEXT)
lined = _texts(LINES_TEXT)
generated = cache(lambda: decoder().generate("Captain Ahab looked at the", max_new_tokens=24))
translated = cache(lambda: translator().trace(SOURCE_TEXT, TARGET_TEXT))
one_head = cache(lambda: untrained(2, 1).trace(DECODER_TEXT))
many_layers = cache(lambda: untrained(48, 2).trace(DECODER_TEXT))


# Texts of which one word, that comes again, is another.
_LINE = "stone oil nine rope sea {} lamp fish stone oil nine rope sea"
induction_pair = cache(lambda: _pair(decoder(), _LINE, "whale", "ship"))
deep_pair = cache(lambda: _pair(untrained(24, 2), _LINE, "whale", "ship"))
rtl_pair = cache(lambda: _pair(decoder(), f"sea {{}} {RTL_TEXT} sea", "whale", "ship"))
hostile_pair = cache(lambda: _pair(decoder(), f"sea {{}} {HOSTILE_TEXT} sea", "whale", "ship"))
translated_pair = cache(
    lambda: (
        translator().trace(SOURCE_TEXT, "le"),
        translator().trace(SOURCE_TEXT.replace("cat", "dog"), "le"),
    )
)


def _pair(lens: Lens, text: str, one: str, other: str) -> tuple[Trace, Trace]:
    return lens.trace(text.format(one)), lens.trace(text.format(other))


CORPUS = (Path(__file__).parent / "corpus.txt").read_text(encoding="utf-8").splitlines()
"""A text a line, in which much is said twice."""


def _doubled(n: int) -> list[str]:
    """Return texts of random words, each said twice over."""
    rng = random.Random(0)  # noqa: S311  no secret
    words = sorted({*REPEATED_TEXT.split(), "whale", "ship", "captain", "water", "night", "hand"})
    return [" ".join(2 * rng.choices(words, k=rng.randint(6, 12))) for _ in range(n)]


@cache
def atlas() -> HeadAtlas:
    """Return an atlas of the demo language model, over a corpus and doubled random words."""
    return head_atlas(decoder(), [*CORPUS, *_doubled(64)], progress=False)


@cache
def crossing_atlas() -> HeadAtlas:
    """Return an atlas of the demo translation model's cross attention."""
    texts = [SOURCE_TEXT, "the dog eats", "the black cat eats", "the cat does not see the dog"]
    return head_atlas(translator(), texts, progress=False)


@cache
def hostile_atlas() -> HeadAtlas:
    """Return an atlas of texts that are markup, or written from right to left, or in no spaces."""
    texts = [HOSTILE_TEXT, RTL_TEXT, CJK_TEXT, LINES_TEXT, "", *_doubled(4)]
    return head_atlas(decoder(), texts, progress=False)


@cache
def deep_atlas() -> HeadAtlas:
    """Return an atlas of a large model with random weights."""
    return head_atlas(untrained(24, 16), _doubled(6), metrics=["entropy", "sink"], progress=False)


@cache
def untrained_encoder() -> Lens:
    """Return an encoder with random weights; its tokenizer writes ``[CLS] A [SEP] B [SEP]``."""
    tokenizer: Any = copy.deepcopy(decoder().tokenizer)
    names = ("[CLS]", "[SEP]")
    tokenizer.add_special_tokens(dict(zip(("cls_token", "sep_token"), names, strict=True)))
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=list(zip(names, tokenizer.convert_tokens_to_ids(names), strict=True)),
    )
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        initializer_range=0.3,
    )
    return Lens(transformers.BertModel(config).eval(), tokenizer)


@cache
def encoder() -> Trace:
    """Return a trace of an encoder, which has no next-token prediction."""
    return untrained_encoder().trace(DECODER_TEXT)


@cache
def pair() -> Trace:
    """Return a trace of two sentences, of which the model knows which is which."""
    return untrained_encoder().trace("The whale swam away.", "Captain Ahab saw the whale again.")


def induction_weights(trace: Trace) -> tuple[list[int], torch.Tensor]:
    """Weights of layer 1 on the token that followed a token's last occurrence.

    Returns
    -------
    rows : list of int
        Positions of the tokens that occurred before.
    weights : Tensor
        ``[heads, rows]``.
    """
    ids = [token.id for token in trace.queries()]
    rows = [i for i in range(len(ids)) if ids[i] in ids[:i]]
    columns = [max(j for j in range(i) if ids[j] == ids[i]) + 1 for i in rows]
    return rows, trace.attention(1)[:, rows, columns]


def induction_head(trace: Trace) -> list[int]:
    """Return the head of layer 1 that does this most."""
    return [int(induction_weights(trace)[1].mean(dim=1).argmax())]


def induction_token(trace: Trace) -> int:
    """Return the token at which that head does it most."""
    rows, weights = induction_weights(trace)
    return rows[int(weights[weights.mean(dim=1).argmax()].argmax())]


WRONG_LAYER = "layer 7 is out of range: the demo decoder has layers 0-1."
