"""BertViz' calls. Change the import: ``from glasshead.compat.bertviz import head_view``.

Parameters are BertViz' own, in its order. Weights may be those of any library, layers may be left
out (None), encoder and decoder may differ in depth, and a page fetches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from glasshead.attention_lines import AttentionLines
from glasshead.compat.showing import shown
from glasshead.head_finder import HeadFinder
from glasshead.query_key_view import QueryKeyView
from glasshead_backend import Lens, Trace
from glasshead_backend.tracing.given_arrays import arrays_by_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from IPython.display import HTML
    from torch import Tensor

    from glasshead.compat.showing import HtmlAction
    from glasshead_backend.tracing.given_arrays import Attentions

_MOST_COLOURS = 6

DisplayMode = Literal["dark", "light", "auto"]


def head_view(
    attention: Attentions | None = None,
    tokens: Sequence[str] | None = None,
    sentence_b_start: int | None = None,
    prettify_tokens: bool = True,
    layer: int | None = None,
    heads: Sequence[int] | None = None,
    encoder_attention: Attentions | None = None,
    decoder_attention: Attentions | None = None,
    cross_attention: Attentions | None = None,
    encoder_tokens: Sequence[str] | None = None,
    decoder_tokens: Sequence[str] | None = None,
    include_layers: Sequence[int] | None = None,
    html_action: HtmlAction = "view",
) -> HTML | None:
    """Show BertViz' head view as :class:`~glasshead.AttentionLines`.

    Parameters
    ----------
    attention : Attentions, optional
        Of a model with one text: ``model(..., output_attentions=True).attentions``, see
        :meth:`Trace.from_attentions`.
    tokens : sequence of str, optional
        Its tokens.
    sentence_b_start : int, optional
        Of a sentence pair, the first token of the second sentence.
    prettify_tokens : bool
        Read the marks of tokenizers (``Ġ``, ``▁``, ``##``); False shows strings as they are.
    layer : int, optional
        The layer that is shown first; default the first one.
    heads : sequence of int, optional
        The heads that are shown first; default all. Up to six have colours, of more the mean is
        drawn; *Each* in the header draws them by themselves.
    encoder_attention, decoder_attention, cross_attention : Attentions, optional
        Of an encoder-decoder model.
    encoder_tokens, decoder_tokens : sequence of str, optional
        Its tokens.
    include_layers : sequence of int, optional
        Only these layers; default all.
    html_action : {"view", "return"}
        "return" gives the view as a page, ``.data`` is its HTML; it needs no network.

    Returns
    -------
    IPython.display.HTML or None

    Raises
    ------
    ValueError
        When tokens are missing, lengths do not fit (the message names both), or the layer is not
        included.
    """
    given = _Given(
        *(attention, encoder_attention, decoder_attention, cross_attention),
        *(tokens, encoder_tokens, decoder_tokens),
    )
    trace = given.trace(include_layers, sentence_b_start, read_marks=prettify_tokens)
    kind = trace.kinds[0]
    there = trace.layers(kind)
    if layer is not None and layer not in there:
        raise ValueError(f"layer {layer} is not among those that are shown: {there}.")
    first = there[0] if layer is None else layer
    chosen = [] if heads is None else list(heads)
    state: dict[str, Any] = {"kind": kind, "layer": first, "heads": chosen}
    # More heads than have a colour of their own are told apart by nobody: their mean is drawn.
    few = (len(chosen) or trace.n_heads(first, kind)) <= _MOST_COLOURS
    each = "separate" if few else "mean"
    return shown(AttentionLines(trace, aggregate=each, **state), html_action)


def model_view(
    attention: Attentions | None = None,
    tokens: Sequence[str] | None = None,
    sentence_b_start: int | None = None,
    prettify_tokens: bool = True,
    display_mode: DisplayMode = "auto",
    encoder_attention: Attentions | None = None,
    decoder_attention: Attentions | None = None,
    cross_attention: Attentions | None = None,
    encoder_tokens: Sequence[str] | None = None,
    decoder_tokens: Sequence[str] | None = None,
    include_layers: Sequence[int] | None = None,
    include_heads: Sequence[int] | None = None,
    html_action: HtmlAction = "view",
) -> HTML | None:
    """Show BertViz' model view as :class:`~glasshead.HeadFinder`.

    Parameters
    ----------
    attention, tokens, sentence_b_start, prettify_tokens
        As for :func:`head_view`.
    display_mode : {"auto", "dark", "light"}
        "auto" (BertViz: "dark") follows the notebook.
    encoder_attention, decoder_attention, cross_attention, encoder_tokens, decoder_tokens
        As for :func:`head_view`.
    include_layers, include_heads : sequence of int, optional
        Only these layers and heads, with their numbers; default all.
    html_action : {"view", "return"}
        As for :func:`head_view`.

    Returns
    -------
    IPython.display.HTML or None

    Raises
    ------
    ValueError
        As :func:`head_view`.
    """
    given = _Given(
        *(attention, encoder_attention, decoder_attention, cross_attention),
        *(tokens, encoder_tokens, decoder_tokens),
    )
    trace = given.trace(include_layers, sentence_b_start, read_marks=prettify_tokens)
    state: dict[str, Any] = {
        "kind": trace.kinds[0],
        "theme": display_mode,
        "only_heads": list(include_heads or []),
    }
    return shown(HeadFinder(trace, **state), html_action)


def neuron_view(
    model: Any,
    model_type: str | None,
    tokenizer: Any,
    sentence_a: str,
    sentence_b: str | None = None,
    display_mode: DisplayMode = "auto",
    layer: int | None = None,
    head: int | None = None,
    html_action: HtmlAction = "view",
) -> HTML | None:
    """Show BertViz' neuron view, ``bertviz.neuron_view.show``, as :class:`~glasshead.QueryKeyView`.

    The model is any of transformers' own, not one of BertViz' copies.

    Parameters
    ----------
    model : PreTrainedModel
    model_type : str or None
        What BertViz asks for ("bert", "gpt2" ...); the model says it itself.
    tokenizer : PreTrainedTokenizerBase
    sentence_a : str
    sentence_b : str, optional
        The second sentence of a pair; the target of an encoder-decoder model.
    display_mode : {"auto", "dark", "light"}
        "auto" (BertViz: "dark") follows the notebook.
    layer, head : int, optional
        What is shown first; default the first ones.
    html_action : {"view", "return"}
        As for :func:`head_view`.

    Returns
    -------
    IPython.display.HTML or None

    Raises
    ------
    TypeError
        For BertViz' own copies of models.
    """
    del model_type
    if type(model).__module__.partition(".")[0] == "bertviz":
        raise TypeError(
            f"{type(model).__name__} is BertViz' own copy of a model, which nothing else reads. "
            "Load it with transformers, AutoModel.from_pretrained(...): any architecture will do."
        )
    trace = Lens(model, tokenizer).trace(sentence_a, sentence_b)
    state: dict[str, Any] = {"theme": display_mode, "heads": [head or 0]}
    if layer is not None:
        state["layer"] = layer
    return shown(QueryKeyView(trace, **state), html_action)


show = neuron_view
"""What BertViz calls it: ``from bertviz.neuron_view import show``."""


@dataclass(frozen=True)
class _Given:
    """What was handed over."""

    attention: Attentions | None
    encoder: Attentions | None
    decoder: Attentions | None
    cross: Attentions | None
    tokens: Sequence[str] | None
    encoder_tokens: Sequence[str] | None
    decoder_tokens: Sequence[str] | None

    def trace(
        self, layers: Sequence[int] | None, sentence_b_start: int | None, *, read_marks: bool
    ) -> Trace:
        """Make a trace of it."""
        options: dict[str, Any] = {"read_marks": read_marks, "name": "Attention"}
        two = (self.encoder, self.decoder, self.cross, self.encoder_tokens, self.decoder_tokens)
        if self.attention is not None:
            if any(one is not None for one in two):
                raise ValueError(
                    "attention is of a model with one text: leave out what is of an encoder and a "
                    "decoder, or give all of it as encoder_attention, decoder_attention, "
                    "cross_attention."
                )
            tokens = _required(self.tokens, "tokens", "attention")
            alone = _included({"attention": self.attention}, layers)["attention"]
            return Trace.from_attentions(
                alone, tokens, sentence_b_start=sentence_b_start, **options
            )
        named = {
            "encoder_attention": self.encoder,
            "decoder_attention": self.decoder,
            "cross_attention": self.cross,
        }
        known = {name: one for name, one in named.items() if one is not None}
        if not known:
            raise ValueError(
                "There are no attention weights: give attention, or encoder_attention, "
                "decoder_attention, cross_attention."
            )
        found = _included(known, layers)
        if "encoder_attention" in known or "cross_attention" in known:
            _required(self.encoder_tokens, "encoder_tokens", next(iter(known)))
        if list(known) == ["encoder_attention"]:
            tokens = _required(self.encoder_tokens, "encoder_tokens", "encoder_attention")
            return Trace.from_attentions(found["encoder_attention"], tokens, **options)
        own = _required(self.decoder_tokens, "decoder_tokens", list(known)[-1])
        if list(known) == ["decoder_attention"]:
            return Trace.from_attentions(found["decoder_attention"], own, **options)
        return Trace.from_attentions(
            found.get("decoder_attention"),
            own,
            cross=found.get("cross_attention"),
            encoder=found.get("encoder_attention"),
            source_tokens=self.encoder_tokens,
            **options,
        )


def _required(tokens: Sequence[str] | None, name: str, of: str) -> Sequence[str]:
    if tokens is None:
        raise ValueError(f"{name} is missing: a token for every position of {of}.")
    return tokens


def _included(
    named: dict[str, Attentions], layers: Sequence[int] | None
) -> dict[str, dict[int, Tensor]]:
    """Keep of each what is included; of stacks that differ in depth what each has."""
    found = {name: arrays_by_layer(arrays, name) for name, arrays in named.items()}
    if layers is None:
        return found
    wanted = list(layers)
    kept = {
        name: {n: weights for n, weights in by_layer.items() if n in wanted}
        for name, by_layer in found.items()
    }
    missing = [n for n in wanted if not any(n in by_layer for by_layer in found.values())]
    if missing or not all(kept.values()):
        there = {name: list(by_layer) for name, by_layer in found.items()}
        raise ValueError(f"include_layers {wanted}: there are the layers {there}.")
    return kept
