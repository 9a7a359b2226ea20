"""A run that no lens made: attention weights, and what else somebody has, without a model."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch

from glasshead_backend.anatomy.contributions import Contributions
from glasshead_backend.anatomy.examine import Anatomy
from glasshead_backend.anatomy.padding import Padding
from glasshead_backend.anatomy.structure import Structure
from glasshead_backend.capture.given_weights import GivenWeights
from glasshead_backend.checks import several
from glasshead_backend.running.logits import NextTokenLogits
from glasshead_backend.text.sequences import Sequence, Sides
from glasshead_backend.text.strings import tokens_of_strings
from glasshead_backend.text.tokens import tokens_of_ids
from glasshead_backend.tracing.given_arrays import weights_by_layer
from glasshead_backend.tracing.run import Run
from glasshead_backend.tracing.scores import prediction_shift, scores_of
from glasshead_backend.tracing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from glasshead_backend.asking import ActivationBlock, Family, Kind, Side, Stack
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.running.same_model import ModelState
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.tracing.given_arrays import Attentions

    Activations = Mapping[tuple[Stack, ActivationBlock], Mapping[int, Tensor]]


_WHAT: dict[Kind, str] = {
    "self": "attentions",
    "decoder": "attentions",
    "cross": "cross",
    "encoder": "encoder",
}


class ModelNeededError(ValueError):
    """What was asked takes a model, and the trace is of arrays that somebody gave."""


class Missing:
    """Stands where a model or a tokenizer would: asked for anything, it says that there is none.

    Parameters
    ----------
    words : str
        What it says.
    error : type, optional
        As what.
    """

    def __init__(self, words: str, error: type[ValueError] = ModelNeededError) -> None:
        object.__setattr__(self, "_words", words)
        object.__setattr__(self, "_error", error)

    def __getattribute__(self, name: str) -> Any:
        # What Python itself looks up (copying, printing) is answered as ever.
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        raise object.__getattribute__(self, "_error")(object.__getattribute__(self, "_words"))


class WithoutModel(Subject):
    """What given arrays are of: a name, a family, perhaps a tokenizer.

    Parameters
    ----------
    name : str
    anatomy : Anatomy
    tokenizer : PreTrainedTokenizerBase, optional
    """

    def __init__(
        self, name: str, anatomy: Anatomy, tokenizer: PreTrainedTokenizerBase | None
    ) -> None:
        self.name, self.notice, self.words = name, "", None
        self._memory_budget = None
        self._of_arrays = anatomy
        self.model = Missing(
            f"{name}: this trace is of arrays that were given, so there is no model that could be "
            "asked. Trace the text with it: Lens(model, tokenizer).trace(text)."
        )
        missing: Any = Missing(
            f"{name}: this trace is of arrays that were given without a tokenizer. Give it along: "
            "tokenizer=tokenizer."
        )
        self.tokenizer = missing if tokenizer is None else tokenizer

    @property
    def anatomy(self) -> Anatomy:
        """What the arrays tell."""
        return self._of_arrays


def text_of(
    tokens: Any,
    name: Literal["text", "source", "target"],
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    second_from: int | None = None,
    read_marks: bool = True,
) -> Sequence:
    """Return the sequence that somebody's tokens are.

    Parameters
    ----------
    tokens : sequence of str, or ids
        Ids (a list, array or tensor, ``[n]`` or ``[1, n]``) take a tokenizer.
    name : {"text", "source", "target"}
    tokenizer : PreTrainedTokenizerBase, optional
    second_from : int, optional
        Of a sentence pair, the first token of the second sentence.
    read_marks : bool
        Whether strings are read by the marks that they carry, or stand as they are.

    Raises
    ------
    TypeError
        For what is neither; the message says so.
    ValueError
        For no tokens, ids without their tokenizer, and a second sentence that is not there.
    """
    if isinstance(tokens, str):
        raise TypeError(
            f"tokens is one string, {tokens[:40]!r}: give a list with one string per token, as "
            "tokenizer.convert_ids_to_tokens(ids) returns it."
        )
    listed: list[Any] = list(tokens)
    if len(listed) == 1 and getattr(listed[0], "ndim", isinstance(listed[0], list)):
        listed = list(listed[0])  # a batch of one
    if not listed:
        raise ValueError("There are no tokens: give one for every row of the attention weights.")
    if all(isinstance(one, str) for one in listed):
        known = tokenizer if read_marks else None
        found, spelled = _of_strings(listed, known, read_marks=read_marks)
    elif tokenizer is None:
        raise ValueError("Token ids say nothing without their tokenizer: give tokenizer=tokenizer.")
    else:
        ids = several(listed, "token")
        found, spelled = tokens_of_ids(tokenizer, ids, source=name == "source")
    if second_from is None:
        return Sequence(name, spelled, tuple(found))
    if not 0 < second_from < len(found):
        raise ValueError(
            f"sentence_b_start {second_from} is out of range: there are {len(found)} tokens, and "
            "both sentences have some."
        )
    segments = (0,) * second_from + (1,) * (len(found) - second_from)
    return Sequence(name, spelled, tuple(found), segments=segments)


def _of_strings(
    strings: list[str], tokenizer: PreTrainedTokenizerBase | None, *, read_marks: bool
) -> tuple[list[Token], str]:
    """Read strings with their tokenizer, where it calls its tokens so; else by their marks."""
    if tokenizer is not None:
        its = cast("Any", tokenizer)
        ids = its.convert_tokens_to_ids(strings)
        if None not in ids and its.convert_ids_to_tokens(ids) == strings:
            return tokens_of_ids(tokenizer, ids)
    return tokens_of_strings(strings, read_marks=read_marks)


def run_of_attentions(
    attentions: Attentions | None,
    tokens: Any,
    *,
    cross: Attentions | None,
    encoder: Attentions | None,
    source_tokens: Any,
    sentence_b_start: int | None,
    tokenizer: PreTrainedTokenizerBase | None,
    read_marks: bool,
    name: str,
) -> Run:
    """Make a run of attention weights alone; see :meth:`Trace.from_attentions`."""
    two = source_tokens is not None
    given: dict[Kind, Attentions | None] = (
        {"encoder": encoder, "decoder": attentions, "cross": cross} if two else {"self": attentions}
    )
    if not two and (cross is not None or encoder is not None):
        raise ValueError(
            "Cross-attention and an encoder's attention look at source tokens: give source_tokens. "
            "An encoder alone is given as attentions."
        )
    if two and sentence_b_start is not None:
        raise ValueError("A sentence pair is one text: leave source_tokens out.")
    read = partial(text_of, tokenizer=tokenizer, read_marks=read_marks)
    own = read(tokens, "target" if two else "text", second_from=sentence_b_start)
    source = read(source_tokens, "source") if two else None
    sides = Sides(own) if source is None else Sides(source, own)
    calls: dict[Kind, dict[int, AttentionCall]] = {
        kind: calls_of(weights_by_layer(arrays, _WHAT[kind]), sides, kind)
        for kind, arrays in given.items()
        if arrays is not None
    }
    if not calls:
        raise ValueError("There are no attention weights: give attentions, cross or encoder.")
    return given_run(name, sides, calls, tokenizer=tokenizer)


def calls_of(
    weights: Mapping[int, Tensor],
    sides: Sides,
    kind: Kind,
    scores: Mapping[int, Tensor] | None = None,
) -> dict[int, AttentionCall]:
    """Return the attention calls of given weights, checked against the tokens of both sides.

    Raises
    ------
    ValueError
        When they are of other numbers of tokens; the message names both.
    """
    for layer, of in weights.items():
        _require_length(sides, "query", kind, layer, of.shape[1])
        _require_length(sides, "key", kind, layer, of.shape[2])
        own = None if scores is None else scores.get(layer)
        if own is not None and own.shape != of.shape:
            raise ValueError(
                f"The scores of layer {layer} have the shape {list(own.shape)}, its weights "
                f"{list(of.shape)}."
            )
    return {
        layer: GivenWeights(of, None if scores is None else scores.get(layer))
        for layer, of in weights.items()
    }


def _require_length(sides: Sides, side: Side, kind: Kind, layer: int, n_given: int) -> None:
    sequence = sides.of(side, kind)
    n_tokens = len(sequence.tokens)
    if n_given != n_tokens:
        noun = "rows" if side == "query" else "columns"
        of_text = "" if sequence.name == "text" else f" of the {sequence.name}"
        raise ValueError(
            f"{kind} attention of layer {layer} has {n_given} {noun}, but there are {n_tokens} "
            f"tokens{of_text}: give one token for each."
        )


@torch.no_grad()
def given_run(
    name: str,
    sides: Sides,
    calls: dict[Kind, dict[int, AttentionCall]],
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    logits: Tensor | None = None,
    activations: Activations | None = None,
) -> Run:
    """Make a run of what somebody has of a model that is not here.

    Parameters
    ----------
    name : str
        What the model is called.
    sides : Sides
    calls : dict
        ``{kind: {layer: call}}``.
    tokenizer : PreTrainedTokenizerBase, optional
        Spells alternatives.
    logits : Tensor, optional
        ``[positions, vocabulary]``, a row for every token of the text (or of the decoder's inputs).
    activations : mapping, optional
        ``{(stack, block): {layer: [tokens, hidden]}}``.
    """
    subject = WithoutModel(name, _anatomy(sides, calls), tokenizer)
    kept = None if logits is None else NextTokenLogits(logits=logits, n_vocabulary=logits.shape[-1])
    ids = [token.id for token in sides.scored.tokens[prediction_shift(sides) :]]
    run = Run(
        subject=subject,
        model_class=name,
        state=cast("ModelState", subject.model),
        anatomy=subject.anatomy,
        sides=sides,
        calls=calls,
        logits=kept,
        scores=None if kept is None else scores_of(kept, ids),
        norms={
            (stack, layer, block): rows.norm(dim=-1, dtype=torch.float32)
            for (stack, block), by_layer in (activations or {}).items()
            if block not in ("residual", "embedding")
            for layer, rows in by_layer.items()
        },
        inputs={},
        autocast=nullcontext,
        given=True,
    )
    for (stack, block), by_layer in (activations or {}).items():
        run.store.keep(("activations", stack, block), dict(by_layer))
    return run


def _anatomy(sides: Sides, calls: dict[Kind, dict[int, AttentionCall]]) -> Anatomy:
    nothing = Structure(
        stacks={},
        cross_modules=frozenset(),
        readers=(),
        unreadable={},
        contributions=Contributions([], [], {}, {}),
        layers={kind: tuple(by_layer) for kind, by_layer in calls.items()},
        token_bytes=0,
    )
    family = _family(sides, calls)
    return Anatomy(nothing, family, False, None, None, Padding.of(may_be_left=False))


def _family(sides: Sides, calls: dict[Kind, dict[int, AttentionCall]]) -> Family:
    """Tell from the weights: where no row looks ahead, it was a decoder."""
    if sides.decoder is not None:
        return "encoder-decoder"
    given = [call for by_layer in calls.values() for call in by_layer.values()]
    looks_ahead = any(
        bool(call.given.triu(1).nan_to_num().any())
        for call in given
        if isinstance(call, GivenWeights)
    )
    return "encoder" if looks_ahead else "decoder"
