"""What a model is given: texts as checked sequences, or written by the model itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from glasshead_backend.running.forward import n_embeddings, start_of_decoder
from glasshead_backend.running.generation import generate, of_options
from glasshead_backend.text.sequences import Sequence, Sides
from glasshead_backend.text.tokens import Encoded, Token, tokens_of_ids
from glasshead_backend.tracing.given import given, given_pair

if TYPE_CHECKING:
    from glasshead_backend.lens import Lens
    from glasshead_backend.running.generation import Writing
    from glasshead_backend.tracing.given import Reading, Role


def read(
    lens: Lens, text: object, target: object, max_new_tokens: int | None, reading: Reading
) -> Sides:
    """Check what is to be traced; let the model write a target where none is given.

    Raises
    ------
    TypeError
        For something that is no text.
    ValueError
        For a text that is empty, too long or of unknown tokens; for a target that the model does
        not take.
    """
    first = _checked(lens, text, "text", reading)
    if lens.family == "encoder-decoder":
        source = _sequence(lens, "source", first)
        if target is not None:
            return _with_decoder(lens, source, _checked(lens, target, "target", reading))
        options = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
        return _with_generated(lens, source, of_options(lens.model, options))
    if max_new_tokens is not None:
        raise ValueError(
            f"{lens.name} writes no target, so max_new_tokens says nothing here. To let it "
            "continue the text use generate(prompt, max_new_tokens=...)."
        )
    if target is None:
        return Sides(_sequence(lens, "text", first))
    if lens.family == "decoder":
        raise ValueError(
            f"{lens.name} is not an encoder-decoder model: it takes one text. Use trace(text)."
        )
    pair = given_pair(lens, text, target, reading)
    _require_runnable(lens, pair, "pair")
    return Sides(_sequence(lens, "text", pair))


def write(lens: Lens, prompt: object, told: Writing, reading: Reading) -> Sides:
    """Let the model continue a prompt, or write the target of a source.

    Raises
    ------
    ValueError
        As :func:`read`; when the model cannot generate, or not as much as it is asked for.
    """
    own = _checked(lens, prompt, "prompt", reading)
    if lens.family == "encoder":
        raise ValueError(f"{lens.name} is an encoder: it cannot generate. Use trace(text).")
    if lens.family == "encoder-decoder":
        return _with_generated(lens, _sequence(lens, "source", own), told)
    # A tokenizer that closes every text with an end token would stop the model right there.
    own = _cut(own, len(own.tokens) - own.n_appended)
    n_prompt, n_new = len(own.tokens), told.n_new(len(own.tokens))
    if lens.window is not None and n_prompt + n_new > lens.window:
        raise ValueError(
            f"The prompt's {n_prompt:,} tokens and {n_new:,} new ones are more than {lens.name} "
            f"reads (its window: {lens.window:,}). Ask for max_new_tokens="
            f"{max(1, lens.window - n_prompt)} at most."
        )
    ids = generate(lens.model, [token.id for token in own.tokens], told, own.token_types)
    whole = _continued(lens, own, ids)
    _require_runnable(lens, whole, "text")
    return Sides(_sequence(lens, "text", whole))


def _cut(encoded: Encoded, n_tokens: int) -> Encoded:
    types = encoded.token_types
    return replace(
        encoded,
        tokens=encoded.tokens[:n_tokens],
        n_appended=0,
        token_types=None if types is None else types[:n_tokens],
    )


def _continued(lens: Lens, prompt: Encoded, ids: list[int]) -> Encoded:
    """Put what the model wrote behind the prompt, which stays as it was written."""
    n_prompt = len(prompt.tokens)
    tokens, spelled = tokens_of_ids(lens.tokenizer, ids, generated_from=n_prompt)
    types = prompt.token_types
    if types is not None:  # what is written belongs to the last sentence, as in generate()
        types = (*types, *[types[-1]] * (len(ids) - n_prompt))
    written = tokens[n_prompt:]
    seam = max((token.end for token in tokens[:n_prompt]), default=0)
    if written and written[0].start < seam:  # the prompt's ids end inside a character
        return Encoded(spelled, tuple(tokens), token_types=types)
    if written and prompt.text[-1:].isspace():
        seam = written[0].start  # without the space that would stand between two words
    shift = len(prompt.text) - seam
    moved = [replace(t, start=t.start + shift, end=t.end + shift) for t in written]
    return Encoded(prompt.text + spelled[seam:], (*prompt.tokens, *moved), token_types=types)


def _with_generated(lens: Lens, source: Sequence, told: Writing) -> Sides:
    start, *ids = generate(lens.model, source.ids, told)
    labels, text = tokens_of_ids(lens.tokenizer, ids, generated_from=0)
    if not labels:
        raise ValueError(f"{lens.name} generated nothing for this source. Give a target.")
    return _with_decoder(lens, source, Encoded(text, tuple(labels)), start)


def _with_decoder(lens: Lens, source: Sequence, labels: Encoded, start: int | None = None) -> Sides:
    """Add the decoder: its inputs are the labels shifted right behind the start token."""
    if start is None:
        start = start_of_decoder(lens.model, [token.id for token in labels.tokens])
    name = str(lens.tokenizer.convert_ids_to_tokens(start))
    first = Token(start, name, 0, 0, special=True)
    inputs = replace(labels, tokens=(first, *labels.tokens[:-1]))
    return Sides(source, _sequence(lens, "target", inputs), _sequence(lens, "target", labels))


def _sequence(lens: Lens, name: Literal["text", "source", "target"], own: Encoded) -> Sequence:
    sequence = Sequence(name, own.text, own.tokens, lens.words, own.segments, own.token_types)
    if lens.words is not None:
        _ = sequence.words  # a segmentation that does not fit the text is refused here
    return sequence


def _checked(lens: Lens, value: object, role: Role, reading: Reading) -> Encoded:
    """Return the tokens of what was handed over, if it is something that the model can run on."""
    encoded = given(lens, value, role, reading)
    # Of a string, special tokens that the tokenizer put in do not count: they cover nothing.
    own = (not token.special or token.start < token.end for token in encoded.tokens)
    if not (any(own) if isinstance(value, str) else encoded.tokens):
        raise ValueError(
            f"The {role} is empty: {encoded.text!r} has no tokens to look at. "
            "Give at least one word."
        )
    _require_runnable(lens, encoded, role)
    return encoded


def _require_runnable(lens: Lens, encoded: Encoded, what: str) -> None:
    """Refuse what the model cannot run on, and say what to do."""
    tokens = encoded.tokens
    known = n_embeddings(lens.model)
    unknown = next((token for token in tokens if token.id >= known), None)
    if unknown is not None:
        raise ValueError(
            f"Token {unknown.text!r} has id {unknown.id:,}, but the model has only "
            f"{known:,} embeddings: tokenizer and model do not belong together."
        )
    most = lens.target_window if what == "target" else lens.window
    if most is not None and len(tokens) > most:
        raise ValueError(
            f"The {what} has {len(tokens):,} tokens, but {lens.name} reads at most {most:,} "
            "(its window). Cut the text, or trace it in pieces."
        )
