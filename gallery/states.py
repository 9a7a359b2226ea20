"""The states that the gallery shows: about ten of every view, each with a name."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import torch
import transformers
from tokenizers import processors

from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
)
from glasshead_backend.demo import DECODER_LONG_TEXT, DECODER_TEXT, SOURCE_TEXT, TARGET_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead.trace_view import TraceView
    from glasshead_backend import Trace

Status = Literal["ready", "no kernel"]


@dataclass(frozen=True)
class State:
    """One picture of the gallery.

    Parameters
    ----------
    name : str
        Names the picture's file and its place on the page.
    view : type of TraceView
    trace : callable
        Makes the trace; called once for all states that share it.
    traits : dict
        Initial traits of the view, or functions that find them in the trace.
    set : dict
        Traits set afterwards without the view's validation: errors, busy words, a wrong layer.
    width : int
        Pixels.
    pictures : bool
        Whether the other pictures that its controls lead to are recorded too.
    status : str
        What the host says about the kernel.
    note : str
        What to look for.
    """

    name: str
    view: type[TraceView]
    trace: Callable[[], Trace]
    traits: dict[str, Any] = field(default_factory=dict)
    set: dict[str, Any] = field(default_factory=dict)
    width: int = 900
    pictures: bool = False
    status: Status = "ready"
    note: str = ""


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
_MAPS: list[dict[str, Any]] = [
    {
        "name": "tokens",
        "trace": short,
        "traits": {"layer": 1, "unit": "token"},
        "pictures": True,
        "note": "All layers, heads and units are recorded here: try the controls.",
    },
    {
        "name": "induction-head",
        "trace": repeated,
        "traits": {
            "layer": 1,
            "heads": induction_head,
            "unit": "token",
            "hovered": induction_token,
        },
        "note": "A head that looks at what came after the same token last time.",
    },
    {"name": "many-tokens", "trace": long, "traits": {"layer": 1, "unit": "token"}, "width": 1200},
    {"name": "words", "trace": short, "traits": {"layer": 1, "unit": "word", "selected": [9]}},
    {"name": "one-head", "trace": one_head, "traits": {"layer": 1, "unit": "word"}},
    {
        "name": "cross-attention",
        "trace": translated,
        "traits": {"kind": "cross", "layer": 1, "heads": [1], "selected": [3]},
        "pictures": True,
        "note": "Rows are named by the word that they predict.",
    },
    {"name": "encoder", "trace": translated, "traits": {"kind": "encoder", "hovered_source": 2}},
    {"name": "sentence-pair", "trace": pair, "traits": {"unit": "word"}, "width": 700},
    {"name": "right-to-left", "trace": rtl, "traits": {"layer": 1, "unit": "word"}},
    {"name": "cjk", "trace": cjk, "traits": {"layer": 1, "unit": "word"}},
    {"name": "untrusted-text", "trace": hostile, "traits": {"layer": 1, "unit": "word"}},
    {"name": "narrow", "trace": short, "traits": {"layer": 1, "unit": "word"}, "width": 420},
    {"name": "one-token", "trace": one_token, "width": 600},
    {"name": "error", "trace": translated, "set": {"error": WRONG_LAYER}, "width": 600},
    {"name": "busy", "trace": translated, "set": {"busy": "computing layer 1"}, "width": 600},
    {"name": "no-kernel", "trace": translated, "status": "no kernel", "width": 600},
]
_STRIPS: list[dict[str, Any]] = [
    {"name": "tokens", "trace": short},
    {"name": "hovered", "trace": short, "traits": {"hovered": 3}},
    {"name": "pinned-rank", "trace": short, "traits": {"measure": "rank", "selected": [3]}},
    {"name": "first-token", "trace": short, "traits": {"hovered": 0}, "width": 700},
    {"name": "many-tokens", "trace": long, "traits": {"measure": "perplexity"}, "width": 1200},
    {"name": "lines", "trace": lined, "traits": {"measure": "probability"}, "width": 700},
    {"name": "generated", "trace": generated, "traits": {"measure": "entropy"}},
    {
        "name": "cross-attention",
        "trace": translated,
        "traits": {"kind": "cross", "layer": 1, "heads": [1], "hovered": 3},
        "pictures": True,
        "note": "The hovered word of the target lights the source words that its row looks at.",
    },
    {"name": "words", "trace": short, "traits": {"unit": "word", "selected": [9]}},
    {"name": "right-to-left", "trace": rtl, "traits": {"hovered": 12}, "width": 700},
    {"name": "cjk", "trace": cjk, "traits": {"hovered": 12}, "width": 700},
    {"name": "untrusted-text", "trace": hostile, "traits": {"hovered": 5}, "width": 700},
    {"name": "encoder", "trace": encoder, "width": 700},
    {"name": "sentence-pair", "trace": pair, "width": 700},
    {"name": "one-token", "trace": one_token, "width": 600},
    {"name": "narrow", "trace": short, "traits": {"selected": [3]}, "width": 420},
    {"name": "error", "trace": short, "set": {"error": WRONG_LAYER}, "width": 700},
    {"name": "busy", "trace": short, "set": {"busy": "scoring window 2 of 5"}, "width": 700},
    {"name": "no-kernel", "trace": short, "status": "no kernel", "width": 700},
]
_CHARTS: list[dict[str, Any]] = [
    {"name": "two-layers", "trace": short, "width": 600},
    {"name": "two-layers-hovered", "trace": short, "traits": {"hovered": 3}, "width": 600},
    {"name": "twelve-layers", "trace": cache(lambda: untrained(12, 12).trace(DECODER_TEXT))},
    {"name": "many-layers", "trace": many_layers, "traits": {"layer": 17}, "width": 1200},
    {"name": "many-layers-log", "trace": many_layers, "traits": {"layer": 17, "scale": "log"}},
    {"name": "many-layers-token", "trace": many_layers, "traits": {"layer": 3, "selected": [0]}},
    {
        "name": "decoder-with-cross",
        "trace": translated,
        "traits": {"kind": "cross", "layer": 1},
        "pictures": True,
    },
    {"name": "narrow", "trace": translated, "traits": {"kind": "cross"}, "width": 420},
    {"name": "narrow-many", "trace": many_layers, "traits": {"layer": 17}, "width": 420},
    {"name": "error", "trace": short, "set": {"error": WRONG_LAYER}, "width": 600},
    {"name": "busy", "trace": short, "set": {"busy": "computing norms"}, "width": 600},
    {"name": "no-kernel", "trace": short, "status": "no kernel", "width": 600},
]

STATES: list[State] = [
    State(view=view, **described)
    for view, states in (
        (AttentionLines, _MAPS),
        (FusedAttentionMatrix, _MAPS),
        (PerplexityStrip, _STRIPS),
        (LayerStatsChart, _CHARTS),
    )
    for described in states
]
