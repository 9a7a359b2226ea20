"""Scoring a text without its attention, however long it is: in windows that overlap.

Each token is scored once, by the first window that reads it: with all tokens of the window before
it, at least ``window - stride`` of them. A text that fits is read in one pass, and scored as a
trace scores it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from glasshead_backend.checks import at_least_one
from glasshead_backend.memory import budget_on
from glasshead_backend.progress import steps
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.forward import inputs_of
from glasshead_backend.running.logits import NextTokenLogits, run_for_logits
from glasshead_backend.tracing.scores import prediction_shift, scores_of
from glasshead_backend.tracing.unattended import scored_run

if TYPE_CHECKING:
    from typing import SupportsIndex

    from torch import Tensor

    from glasshead_backend.text.sequences import Sequence, Sides
    from glasshead_backend.tracing.run import Run
    from glasshead_backend.tracing.subject import Subject


@dataclass(frozen=True)
class Window:
    """A part of a text that is read at once.

    Attributes
    ----------
    tokens : range
        What it reads, behind the start tokens.
    rows : range
        The positions whose predictions are taken from it.
    """

    tokens: range
    rows: range


def windows_of(n_tokens: int, n_start: int, window: int, stride: int) -> list[Window]:
    """Cut a text into windows.

    Parameters
    ----------
    n_tokens : int
        Tokens of the text, the start tokens included.
    n_start : int
        Tokens that stand at the front of every window: a start token of the tokenizer's.
    window : int
        Most tokens of a window, the start tokens included.
    stride : int
        How much further each window begins than the one before.
    """
    room = window - n_start
    found: list[Window] = []
    begin, done = n_start, 0
    while not found or found[-1].tokens.stop < n_tokens:
        end = min(begin + room, n_tokens)
        # A row predicts the next token: of the last one nothing is left to be predicted here.
        last = end if end == n_tokens else end - 1
        found.append(Window(range(begin, end), range(done, last)))
        begin, done = begin + stride, last
    return found


def score_in_windows(
    subject: Subject,
    sides: Sides,
    *,
    window: SupportsIndex | None,
    stride: SupportsIndex | None,
) -> Run:
    """Score the text of a decoder-only model in windows that overlap.

    Raises
    ------
    ValueError
        For a window that the model does not have, and a stride that leaves no context.
    """
    text = sides.first
    n_start = start_tokens(text)
    most = _window(subject, window, n_start)
    n_tokens = len(text.tokens)
    if most is None:
        most = n_tokens if stride is None else _needs_window(subject)
    step = _stride(stride, most, n_start)
    return _score(subject, sides, windows_of(n_tokens, n_start, most, step), n_start)


def score_in_one_pass(subject: Subject, sides: Sides) -> Run:
    """Score the target of an encoder-decoder model."""
    rows = range(len(sides.all[-1].tokens))
    return _score(subject, sides, [Window(rows, rows)], 0)


def start_tokens(text: Sequence) -> int:
    """Return how many tokens the tokenizer itself put before the text."""
    own = (i for i, token in enumerate(text.tokens) if not token.special or token.end > token.start)
    return next(own, 0)


def _window(subject: Subject, window: SupportsIndex | None, n_start: int) -> int | None:
    most = subject.window
    if window is None:
        return most
    asked = at_least_one(window, "window", "token")
    if most is not None and asked > most:
        raise ValueError(f"window {asked:,} is too large: {subject.name} reads {most:,} tokens.")
    least = n_start + 2
    if asked < least:
        raise ValueError(f"window {asked} is too small: at least {least} tokens.")
    return asked


def _needs_window(subject: Subject) -> int:
    raise ValueError(
        f"{subject.name} has no window: it reads a text of any length at once, which needs no "
        "stride. To read it in parts all the same, say how long they are: window=."
    )


def _stride(stride: SupportsIndex | None, window: int, n_start: int) -> int:
    most = window - n_start - 1
    if stride is None:
        return max(1, window // 2 - n_start)
    asked = at_least_one(stride, "stride", "token")
    if asked > most:
        raise ValueError(
            f"stride {asked:,} is too large: windows of {window:,} tokens would not overlap, and "
            f"their first tokens be predicted from nothing. At most {most:,}."
        )
    return asked


def _score(subject: Subject, sides: Sides, windows: list[Window], n_start: int) -> Run:
    model = subject.model
    ids = [token.id for token in sides.scored.tokens[prediction_shift(sides) :]]
    plain, n_rows = subject.anatomy.plain_unembedding, len(sides.all[-1].tokens)
    parts: list[NextTokenLogits] = []
    scores: list[Tensor] = []
    with scored_run(subject, sides) as finish:
        for window in steps(windows, "scoring the text", len(windows)):
            inputs = _inputs(subject, sides, window, n_start)
            # Where the window's tokens stand in what is read.
            first = window.tokens.start - n_start
            rows = range(window.rows.start - first, window.rows.stop - first)
            with for_a_trace(model):
                found = run_for_logits(
                    model,
                    inputs,
                    [rows],
                    wanted=True,
                    plain_unembedding=plain,
                )[0]
                assert found is not None  # a model without an unembedding was refused
                if plain or _fit(found, n_rows, subject):
                    parts.append(found)
                scores.append(scores_of(found, ids[window.rows.start : window.rows.stop]))
        return finish(joined(parts) if parts else None, torch.cat(scores, dim=1))


def _fit(part: NextTokenLogits, n_rows: int, subject: Subject) -> bool:
    """Whether logits that cannot be made anew may be kept, those of all positions together."""
    needed = part.nbytes // max(1, part.n_rows) * n_rows
    return needed <= budget_on(part.device, subject.memory_budget)


def _inputs(subject: Subject, sides: Sides, window: Window, n_start: int) -> dict[str, Tensor]:
    if sides.decoder is not None:
        return inputs_of(subject.model, sides.first.ids, sides.decoder.ids)
    text, own = sides.first, slice(window.tokens.start, window.tokens.stop)
    types = text.token_types
    return inputs_of(
        subject.model,
        [*text.ids[:n_start], *text.ids[own]],
        token_types=None if types is None else [*types[:n_start], *types[own]],
    )


def joined(parts: list[NextTokenLogits]) -> NextTokenLogits:
    """Return the logits of several passes as those of one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    hidden = [part.hidden for part in parts if part.hidden is not None]
    logits = [part.logits for part in parts if part.logits is not None]
    return NextTokenLogits(
        torch.cat(hidden) if hidden else None,
        first.unembedding,
        torch.cat(logits) if logits else None,
        first.n_vocabulary,
    )
