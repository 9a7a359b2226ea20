"""Which two runs can be put into each other, and what is looked at where nothing is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from glasshead_backend.questions.interventions import require_whole_text
from glasshead_backend.questions.predictions import first_alternatives, logits_row, predictions
from glasshead_backend.questions.target import target_of

if TYPE_CHECKING:
    from glasshead_backend.questions.target import Quantity, Target
    from glasshead_backend.tracing.run import Run


def require_alike(clean: Run, corrupted: Run) -> None:
    """Refuse two runs that are not of one model, or not of as many tokens.

    Raises
    ------
    ValueError
        The message names both lengths, and where the texts begin to differ.
    ModelNeededError
        For a run without a model.
    """
    for run in (clean, corrupted):
        require_whole_text(run)
    if clean.subject.model is not corrupted.subject.model:
        raise ValueError(
            f"The clean text was traced with {clean.subject.name}, the corrupted one with another "
            f"model, {corrupted.subject.name}: trace both with one lens."
        )
    for one, other in zip(clean.sides.all, corrupted.sides.all, strict=True):
        n_clean, n_corrupted = len(one.tokens), len(other.tokens)
        if n_clean == n_corrupted:
            continue
        pairs = enumerate(zip(one.tokens, other.tokens, strict=False))
        first = next((i for i, (a, b) in pairs if a.id != b.id), min(n_clean, n_corrupted))
        texts = [of.tokens[first].text if first < len(of.tokens) else "" for of in (one, other)]
        raise ValueError(
            f"The two {one.name}s have {n_clean} and {n_corrupted} tokens: what is at one place is "
            "put in at the same place, so they must be of one length. They differ from token "
            f"{first} on, {texts[0]!r} and {texts[1]!r}; lens.tokenize(text) shows the tokens."
        )


def patching_target(
    clean: Run,
    corrupted: Run,
    position: int | None = None,
    token: int | str | None = None,
    against: int | str | None = None,
    quantity: Quantity = "log_probability",
) -> tuple[Target, str]:
    """Fill in what is looked at; see :func:`glasshead.patch`.

    Returns
    -------
    (Target, str)
        And what was chosen by itself, in words.
    """
    place = _first_difference(clean, corrupted) if position is None else position
    asked = target_of(clean, place, token, against, quantity)
    if token is not None:
        return asked, ""
    ours, theirs = (int(logits_row(run, asked.row).argmax()) for run in (clean, corrupted))
    one, other = (text.strip() or text for text in clean.subject.spelled([ours, theirs]))
    if against is not None:
        if ours == asked.against:
            raise ValueError(
                f"against {one!r} is what the clean run expects itself: their difference is always "
                "0. Name a token."
            )
        return replace(asked, token=ours), f"“{one}” is what the clean run expects most."
    if ours == theirs:
        note = f"“{one}” is what both runs expect most."
        return replace(asked, token=ours), note
    note = f"“{one}” is what the clean run expects most, “{other}” what the corrupted one does."
    return replace(asked, token=ours, against=theirs, quantity="logit"), note


def _first_difference(clean: Run, corrupted: Run) -> int | None:
    """Return where the runs of two targets first expect different tokens; None = the default."""
    if clean.shift:
        return None
    n_tokens = len(predictions(clean).tokens)
    firsts = [first_alternatives(run, n_tokens, 1) for run in (clean, corrupted)]
    ids = [found[0][:, 0].tolist() for found in firsts if found is not None]
    pairs = enumerate(zip(*ids, strict=True)) if len(ids) > 1 else ()
    return next((i for i, (one, other) in pairs if one != other), None)
