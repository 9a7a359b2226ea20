"""What a model is given: texts as checked sequences, tokenized, or written by the model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from glasshead_backend.as_found import for_a_trace
from glasshead_backend.running import (
    each_token_reported,
    inputs_of,
    n_embeddings,
    start_of_decoder,
)
from glasshead_backend.sides import Sequence, Sides
from glasshead_backend.tokens import Token, tokenize, tokens_of_ids

if TYPE_CHECKING:
    from glasshead_backend.lens import Lens


def read(lens: Lens, text: str, target: str | None, max_new_tokens: int | None) -> Sides:
    """Tokenize and check what is to be traced; let the model write a target where none is given.

    Raises
    ------
    TypeError
        For something that is no text.
    ValueError
        For a text that is empty, too long or of unknown tokens; for a target that the model does
        not take.
    """
    tokens = _checked(lens, text, "text")
    if lens.family != "encoder-decoder":
        if max_new_tokens is not None:
            raise ValueError(
                f"{lens.name} writes no target, so max_new_tokens says nothing here. To let it "
                "continue the text use generate(prompt, max_new_tokens=...)."
            )
        if target is not None:
            raise ValueError(
                f"{lens.name} is not an encoder-decoder model: it takes one text. Use trace(text)."
            )
        return Sides(_sequence(lens, "text", text, tokens))
    source = _sequence(lens, "source", text, tokens)
    if target is None:
        options = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
        return _with_generated(lens, source, options)
    return _with_decoder(lens, source, _checked(lens, target, "target"), target)


def write(lens: Lens, prompt: str, options: dict[str, Any]) -> Sides:
    """Let the model continue a prompt, or write the target of a source.

    Parameters
    ----------
    lens : Lens
    prompt : str
    options : dict
        For the model's ``generate``.

    Raises
    ------
    ValueError
        As :func:`read`; when the model cannot generate, or is asked for several sequences.
    """
    tokens = _checked(lens, prompt, "prompt")
    if options.get("num_return_sequences", 1) != 1:
        raise ValueError(
            "A trace is of one text: leave out num_return_sequences. For several continuations "
            "call generate several times, with do_sample=True."
        )
    if lens.family == "encoder":
        raise ValueError(f"{lens.name} is an encoder: it cannot generate. Use trace(text).")
    if lens.family == "encoder-decoder":
        return _with_generated(lens, _sequence(lens, "source", prompt, tokens), options)
    # A tokenizer that closes every text with an end token would stop the model right there.
    while len(tokens) > 1 and tokens[-1].special:
        tokens.pop()
    new = options.get("max_new_tokens", 0)
    if lens.window is not None and len(tokens) + new > lens.window:
        raise ValueError(
            f"The prompt's {len(tokens):,} tokens and {new:,} new ones are more than {lens.name} "
            f"reads (its window: {lens.window:,}). Ask for max_new_tokens="
            f"{max(1, lens.window - len(tokens))} at most."
        )
    ids = _generate(lens.model, [token.id for token in tokens], options)
    whole, text = tokens_of_ids(lens.tokenizer, ids, generated_from=len(tokens))
    _require_runnable(lens, whole, text, "text")
    return Sides(_sequence(lens, "text", text, whole))


def _with_generated(lens: Lens, source: Sequence, options: dict[str, Any]) -> Sides:
    start, *ids = _generate(lens.model, source.ids, options)
    labels, text = tokens_of_ids(lens.tokenizer, ids, generated_from=0)
    if not labels:
        raise ValueError(f"{lens.name} generated nothing for this source. Give a target.")
    return _with_decoder(lens, source, labels, text, start)


def _generate(model: Any, ids: list[int], options: dict[str, Any]) -> list[int]:
    """Run the model's own generation; return all ids that the decoder saw or wrote."""
    inputs = inputs_of(model, ids)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    total = options.get("max_new_tokens") or model.generation_config.max_length or 1
    with for_a_trace(model), each_token_reported(options, total) as reported:
        written = model.generate(**inputs, **reported)
    return getattr(written, "sequences", written)[0].tolist()


def _with_decoder(
    lens: Lens, source: Sequence, labels: list[Token], text: str, start: int | None = None
) -> Sides:
    """Add the decoder: its inputs are the labels shifted right behind the start token."""
    if start is None:
        start = start_of_decoder(lens.model, [token.id for token in labels])
    name = str(lens.tokenizer.convert_ids_to_tokens(start))
    first = Token(start, name, 0, 0, special=True)
    inputs = _sequence(lens, "target", text, [first, *labels[:-1]])
    return Sides(source, inputs, _sequence(lens, "target", text, labels))


def _sequence(
    lens: Lens, name: Literal["text", "source", "target"], text: str, tokens: list[Token]
) -> Sequence:
    sequence = Sequence(name, text, tuple(tokens), lens.words)
    if lens.words is not None:
        _ = sequence.words  # a segmentation that does not fit the text is refused here
    return sequence


def _checked(lens: Lens, text: object, what: Literal["text", "target", "prompt"]) -> list[Token]:
    """Tokenize a text, if it is one that the model can run on."""
    if not isinstance(text, str):
        raise TypeError(f"A trace is made of one text, a str; got {type(text).__name__}.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(
            f"The {what} holds half of a character (a lone surrogate), which no tokenizer reads. "
            "Read the file with its right encoding, or with errors='replace'."
        )
    tokens = tokenize(lens.tokenizer, text, target=what == "target")
    _require_runnable(lens, tokens, text, what)
    return tokens


def _require_runnable(lens: Lens, tokens: list[Token], text: str, what: str) -> None:
    """Refuse what the model cannot run on, and say what to do."""
    if not any(not token.special for token in tokens):
        raise ValueError(
            f"The {what} is empty: {text!r} has no tokens to look at. Give at least one word."
        )
    known = n_embeddings(lens.model)
    unknown = next((token for token in tokens if token.id >= known), None)
    if unknown is not None:
        raise ValueError(
            f"Token {unknown.text!r} has id {unknown.id:,}, but the model has only "
            f"{known:,} embeddings: tokenizer and model do not belong together."
        )
    most = lens.window
    if most is not None and len(tokens) > most:
        raise ValueError(
            f"The {what} has {len(tokens):,} tokens, but {lens.name} reads at most {most:,} "
            "(its window). Cut the text, or trace it in pieces."
        )
