"""What a model is given: texts as checked sequences, or written by the model itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch

from glasshead_backend.answering import answered
from glasshead_backend.checks import at_least_one, positions
from glasshead_backend.checks import whole as whole_number
from glasshead_backend.running.forward import device_of, n_embeddings, start_of_decoder
from glasshead_backend.running.generation import NEW_TOKENS, generate, of_options, writing
from glasshead_backend.text.sequences import Sequence, Sides
from glasshead_backend.text.tokens import Encoded, Token, tokens_of_ids
from glasshead_backend.tracing.given import given, given_pair

if TYPE_CHECKING:
    from glasshead_backend.running.generation import Writing
    from glasshead_backend.tracing.given import Reading, Role
    from glasshead_backend.tracing.subject import Subject


def read(
    subject: Subject, text: object, target: object, max_new_tokens: int | None, reading: Reading
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
    first = _fitting(subject, text, "text", reading)
    if subject.family == "encoder-decoder":
        source = _sequence(subject, "source", first)
        if target is not None:
            return _with_decoder(subject, source, _fitting(subject, target, "target", reading))
        options = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
        return _with_generated(subject, source, of_options(subject.model, options))
    if max_new_tokens is not None:
        raise ValueError(
            f"{subject.name} writes no target, so max_new_tokens says nothing here. To let it "
            "continue the text use generate(prompt, max_new_tokens=...)."
        )
    if target is None:
        return Sides(_sequence(subject, "text", first))
    if subject.family == "decoder":
        raise ValueError(
            f"{subject.name} is not an encoder-decoder model: it takes one text. Use trace(text)."
        )
    pair = given_pair(subject, text, target, reading)
    _require_allowed(subject, len(pair.tokens), "pair")
    _require_known(subject, pair)
    _require_fits(subject, pair, "pair")
    return Sides(_sequence(subject, "text", pair))


def read_any_length(subject: Subject, text: object, reading: Reading) -> Sides:
    """Check a text of a decoder-only model that need not fit into its window."""
    return Sides(_sequence(subject, "text", _checked(subject, text, "text", reading)))


def write(subject: Subject, prompt: object, told: Writing, reading: Reading) -> Sides:
    """Let the model continue a prompt, or write the target of a source.

    Raises
    ------
    ValueError
        As :func:`read`; when the model cannot generate, or not as much as it is asked for.
    """
    own = _fitting(subject, prompt, "prompt", reading)
    if subject.family == "encoder":
        raise ValueError(f"{subject.name} is an encoder: it cannot generate. Use trace(text).")
    if subject.family == "encoder-decoder":
        return _with_generated(subject, _sequence(subject, "source", own), told)
    # A tokenizer that closes every text with an end token would stop the model right there.
    own = _cut(own, len(own.tokens) - own.n_appended)
    n_prompt, n_new = len(own.tokens), told.n_new(len(own.tokens))
    _require_allowed(subject, n_prompt + n_new, "prompt with what is to be written")
    if subject.window is not None and n_prompt + n_new > subject.window:
        raise ValueError(
            f"The prompt's {n_prompt:,} tokens and {n_new:,} new ones are more than {subject.name} "
            f"reads (its window: {subject.window:,}). Ask for max_new_tokens="
            f"{max(1, subject.window - n_prompt)} at most."
        )
    ids = generate(subject.model, [token.id for token in own.tokens], told, own.token_types)
    whole = _continued(subject, own, ids)
    _require_known(subject, whole)
    return Sides(_sequence(subject, "text", whole))


def write_from(
    subject: Subject, sides: Sides, position: int, token: int | str, max_new_tokens: int | None
) -> Sides:
    """Put a token at one place of a text or target, and let the model go on from there.

    Raises
    ------
    ValueError
        When there is no such place or token, nothing to write with, and no room to write in.
    """
    scored = sides.scored
    first = 1 if sides.decoder is None else 0
    position = _place(position, first, len(scored.tokens))
    chosen = token_id(subject, token)
    kept = scored.tokens[:position]
    types = None if scored.token_types is None else scored.token_types[:position]
    text = scored.text[: max((one.end for one in kept), default=0)]
    before = Encoded(text, kept, token_types=types)
    ids = _written(subject, sides, [*scored.ids[:position], chosen], types, max_new_tokens)
    whole = _continued(subject, before, ids)
    # The token was chosen by whoever asks: the model wrote what stands behind it.
    own = replace(whole.tokens[position], generated=False)
    whole = replace(whole, tokens=(*whole.tokens[:position], own, *whole.tokens[position + 1 :]))
    if sides.decoder is None:
        _require_known(subject, whole)
        return Sides(_sequence(subject, "text", whole))
    return _with_decoder(subject, sides.first, whole, sides.decoder.ids[0])


def _written(
    subject: Subject,
    sides: Sides,
    ids: list[int],
    types: tuple[int, ...] | None,
    max_new_tokens: int | None,
) -> list[int]:
    """Return the ids of a text or target with what the model writes behind them."""
    model = subject.model
    if max_new_tokens is not None:
        at_least_one(max_new_tokens, "max_new_tokens", "token")
    if subject.family == "encoder":
        raise ValueError(f"{subject.name} is an encoder: it cannot generate. Use trace(text).")
    ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    most = subject.window if sides.decoder is None else subject.target_window
    room = None if most is None else most - len(ids)
    if ids[-1] in (ends if isinstance(ends, list) else [ends]):
        return ids  # whoever chooses the end has it
    if room is not None and room < (max_new_tokens or 1):
        raise ValueError(
            f"{len(ids):,} tokens and {max_new_tokens or 1:,} new ones are more than "
            f"{subject.name} reads (its window: {most:,}). Continue from an earlier position"
            + (f", or ask for max_new_tokens={room} at most." if room > 0 else ".")
        )
    n_new = max_new_tokens or (NEW_TOKENS if room is None else min(NEW_TOKENS, room))
    _require_allowed(subject, len(ids) + n_new, "text with what is to be written")
    told = writing(model, max_new_tokens=n_new)
    if sides.decoder is None:
        types = None if types is None else (*types, types[-1])
        return generate(model, ids, told, types)
    start = [sides.decoder.ids[0], *ids]
    told.options["decoder_input_ids"] = torch.tensor([start], device=device_of(model))
    found = generate(model, sides.first.ids, told)
    # Models that begin with a token of their own have it put before what they are given (mBART).
    at = 0 if found[: len(start)] == start else 1
    return found[at + 1 :]


def _place(position: int, first: int, n_tokens: int) -> int:
    place = whole_number(position, "position")
    place = n_tokens if place == n_tokens else positions([place], n_tokens)[0]
    if place < first:
        raise ValueError(
            f"position {position} has nothing before it to continue. Positions are 1-{n_tokens}; "
            f"{n_tokens} is behind the last token."
        )
    return place


@answered
def token_id(subject: Subject, token: int | str) -> int:
    """Return the id of a token that is given as an id or as its text."""
    known = min(len(subject.tokenizer), n_embeddings(subject.model))
    if not isinstance(token, str):
        id_ = whole_number(token, "token")
        if not 0 <= id_ < known:
            raise ValueError(f"id {id_:,} is out of range: {subject.name} knows 0-{known - 1:,}.")
        return id_
    found = [id_ for id_, text in enumerate(subject.spelled(range(known))) if text == token]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{token!r} is the text of several tokens: give one of the ids {found}.")
    raise ValueError(
        f"{token!r} is no single token of {subject.name}. Give a token as trace.top_k(position) "
        "writes it, a space at its beginning included, or its id."
    )


def _cut(encoded: Encoded, n_tokens: int) -> Encoded:
    types = encoded.token_types
    return replace(
        encoded,
        tokens=encoded.tokens[:n_tokens],
        n_appended=0,
        token_types=None if types is None else types[:n_tokens],
    )


def _continued(subject: Subject, prompt: Encoded, ids: list[int]) -> Encoded:
    """Put what the model wrote behind the prompt, which stays as it was written."""
    n_prompt = len(prompt.tokens)
    tokens, spelled = tokens_of_ids(subject.tokenizer, ids, generated_from=n_prompt)
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


def _with_generated(subject: Subject, source: Sequence, told: Writing) -> Sides:
    _require_allowed(subject, len(source.tokens) + told.n_new(1), "source with its target")
    start, *ids = generate(subject.model, source.ids, told)
    labels, text = tokens_of_ids(subject.tokenizer, ids, generated_from=0)
    if not labels:
        raise ValueError(f"{subject.name} generated nothing for this source. Give a target.")
    return _with_decoder(subject, source, Encoded(text, tuple(labels)), start)


def _with_decoder(
    subject: Subject, source: Sequence, labels: Encoded, start: int | None = None
) -> Sides:
    """Add the decoder: its inputs are the labels shifted right behind the start token."""
    _require_allowed(subject, len(source.tokens) + len(labels.tokens), "source with its target")
    if start is None:
        start = start_of_decoder(subject.model, [token.id for token in labels.tokens])
    name = str(subject.tokenizer.convert_ids_to_tokens(start))
    first = Token(start, name, 0, 0, special=True)
    inputs = replace(labels, tokens=(first, *labels.tokens[:-1]))
    return Sides(source, _sequence(subject, "target", inputs), _sequence(subject, "target", labels))


def _sequence(
    subject: Subject, name: Literal["text", "source", "target"], own: Encoded
) -> Sequence:
    sequence = Sequence(name, own.text, own.tokens, subject.words, own.segments, own.token_types)
    if subject.words is not None:
        _ = sequence.words  # a segmentation that does not fit the text is refused here
    return sequence


def _checked(subject: Subject, value: object, role: Role, reading: Reading) -> Encoded:
    """Return the tokens of what was handed over, if it is something that the model can run on."""
    encoded = given(subject, value, role, reading)
    _require_allowed(subject, len(encoded.tokens), role)
    # Of a string, special tokens that the tokenizer put in do not count: they cover nothing.
    own = (not token.special or token.start < token.end for token in encoded.tokens)
    if not (any(own) if isinstance(value, str) else encoded.tokens):
        raise ValueError(
            f"The {role} is empty: {encoded.text!r} has no tokens to look at. "
            "Give at least one word."
        )
    _require_known(subject, encoded)
    return encoded


def _fitting(subject: Subject, value: object, role: Role, reading: Reading) -> Encoded:
    """Return the tokens of what was handed over, if the model reads them at once."""
    encoded = _checked(subject, value, role, reading)
    _require_fits(subject, encoded, role)
    return encoded


def _require_allowed(subject: Subject, n_tokens: int, what: str) -> None:
    """Refuse what is longer than whoever lent the model wants it to read."""
    most = subject.most_tokens
    if most is not None and n_tokens > most:
        raise ValueError(
            f"The {what} has {n_tokens:,} tokens, but this server lets {subject.name} read at most "
            f"{most:,}. Cut the text, or ask whoever runs the server for more: --max-tokens."
        )


def _require_known(subject: Subject, encoded: Encoded) -> None:
    """Refuse tokens that the model does not have."""
    known = n_embeddings(subject.model)
    unknown = next((token for token in encoded.tokens if token.id >= known), None)
    if unknown is not None:
        raise ValueError(
            f"Token {unknown.text!r} has id {unknown.id:,}, but the model has only "
            f"{known:,} embeddings: tokenizer and model do not belong together."
        )


def _require_fits(subject: Subject, encoded: Encoded, what: str) -> None:
    """Refuse what is longer than the model's window, and say what to do."""
    n_tokens = len(encoded.tokens)
    most = subject.target_window if what == "target" else subject.window
    if most is not None and n_tokens > most:
        ways = "Cut the text, or trace it in pieces."
        if what == "text" and subject.family == "decoder":
            ways += " Its predictions, without attention: score(text)."
        raise ValueError(
            f"The {what} has {n_tokens:,} tokens, but {subject.name} reads at most {most:,} "
            f"(its window). {ways}"
        )
