"""Integrated gradients, by Captum, on a way that is cut into pieces where it is steep.

The way goes straight from a baseline to the embeddings. Where a model norms its input, all that
happens may happen near a baseline of zeros: a norm undoes a scale, until there is nothing left of
the input. Gradients at evenly spread places miss that, and their sum is off by many times the
difference that they should add up to. So the way is cut in halves where its error is: each piece
is a way of its own, from its first place to its last, and what must come out there is known, ``f``
at its end less ``f`` at its beginning.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.memory import budget_on
from glasshead_backend.progress import steps as reported
from glasshead_backend.questions.gradients import differentiable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.questions.gradients import FromEmbeddings
    from glasshead_backend.questions.target import Target
    from glasshead_backend.tracing.run import Run

LARGEST_ERROR = 0.01
"""Share of the difference that errors may come to: more is said."""
_STEPS_OF_PIECE = 8
"""Gradients on a piece that was cut."""
_MOST = 16
"""Gradients taken in all, as a multiple of the steps asked for."""
_TOKENS_TOGETHER = 2048
"""Tokens in a batch: more are no faster, and progress is told between batches."""


@dataclass(frozen=True)
class Integrated:
    """Integrated gradients of one number.

    Attributes
    ----------
    values : list of Tensor
        ``[tokens]`` float32 on the CPU, for each sequence.
    value, baseline_value : float
        The number, and what it is at the baseline.
    steps : int
        Gradients taken.
    """

    values: list[Float[Tensor, " token"]]
    value: float
    baseline_value: float
    steps: int


@dataclass(frozen=True, eq=False)
class _Piece:
    """A part of the way: its ends, the number there, and what its gradients come to."""

    start: float
    end: float
    at_start: float
    at_end: float
    values: list[Tensor]

    @property
    def error(self) -> float:
        """How far the sum is from the difference of the number."""
        return abs(sum(float(one.sum()) for one in self.values) - (self.at_end - self.at_start))


def integrated(run: Run, target: Target, baseline: str, steps: int) -> Integrated:
    """Return integrated gradients of a target with respect to the input embeddings.

    Parameters
    ----------
    run : Run
    target : Target
    baseline : {"zero", "pad"}
    steps : int
        Places on the way at which gradients are taken. Where what comes out is more than 1 % off
        the way is cut, and up to 16 times as many are taken.

    Raises
    ------
    ImportError
        Where Captum is not installed.
    ValueError
        For a baseline of padding where there is no padding token, and as
        :func:`~glasshead_backend.questions.gradients.differentiable`.
    """
    captum = _captum()
    padding = None if baseline == "zero" else padding_token(run)
    with differentiable(run) as model:
        way = _Way(model, run, target, padding, captum)
        ends = [0.0, 1.0]
        known = dict(zip(ends, way.at(ends), strict=True))
        pieces = way.pieces([(0.0, 1.0)], known, steps)
        allowed = LARGEST_ERROR * abs(known[1.0] - known[0.0])
        while sum(one.error for one in pieces) > allowed:
            steep = [one for one in pieces if one.error > allowed / len(pieces)]
            if way.taken + 2 * _STEPS_OF_PIECE * len(steep) > _MOST * steps:
                break
            middles = [(one.start + one.end) / 2 for one in steep]
            known |= dict(zip(middles, way.at(middles), strict=True))
            halves = [(one.start, middle) for one, middle in zip(steep, middles, strict=True)]
            halves += [(middle, one.end) for one, middle in zip(steep, middles, strict=True)]
            even = [one for one in pieces if one not in steep]
            pieces = even + way.pieces(halves, known, _STEPS_OF_PIECE)
    sums = [torch.stack(of).sum(dim=0) for of in zip(*(one.values for one in pieces), strict=True)]
    values = [one.float() for one in sums]
    return Integrated(values, known[1.0], known[0.0], way.taken)


class _Way:
    """The straight way from the baseline, share 0, to the embeddings, share 1."""

    def __init__(
        self, model: FromEmbeddings, run: Run, target: Target, padding: int | None, captum: Any
    ) -> None:
        self._model, self._target = model, target
        model.logits([target.row])  # which makes the embeddings, and tells what a forward keeps
        n_tokens = sum(len(one.tokens) for one in run.sides.all)
        device = model.embeddings[0].device
        room = budget_on(device, run.subject.memory_budget) // max(1, model.n_bytes)
        self._together = max(1, min(room, _TOKENS_TOGETHER // n_tokens))
        self._ends = [one.detach() for one in model.embeddings]
        self._starts = model.baseline(padding)
        self._captum = captum.IntegratedGradients(self._numbers)
        self._told: Iterator[int] = iter(())
        self.taken = 0

    def _numbers(self, *embeddings: Tensor) -> Float[Tensor, " place"]:
        next(self._told, None)
        return self._target.of(self._model.logits([self._target.row], embeddings)[:, 0])

    @torch.no_grad()
    def _places(self, shares: Sequence[float]) -> tuple[Tensor, ...]:
        """Embeddings at places of the way, ``[places, tokens, hidden]``."""
        return tuple(
            start
            + torch.tensor(shares, dtype=end.dtype, device=end.device)[:, None, None]
            * (end - start)
            for start, end in zip(self._starts, self._ends, strict=True)
        )

    @torch.no_grad()
    def at(self, shares: Sequence[float]) -> list[float]:
        """Return the number at places of the way."""
        found: list[float] = []
        for first in range(0, len(shares), self._together):
            places = self._places(shares[first : first + self._together])
            found += self._numbers(*places).tolist()
        return found

    def pieces(
        self, ways: Sequence[tuple[float, float]], known: dict[float, float], n: int
    ) -> list[_Piece]:
        """Integrate over pieces of the way, each by gradients at `n` places (Gauss-Legendre)."""
        several = max(1, self._together // n)
        batches = range(0, len(ways), several)
        words, forwards = "integrating gradients", -(-n // self._together)
        if self.taken:
            words = f"integrating gradients where they are steep, {self.taken} so far"
        found: list[_Piece] = []
        total = len(batches) * forwards
        with closing(reported(range(total), words, total)) as self._told:
            for first in batches:
                some = ways[first : first + several]
                starts, ends = ([way[side] for way in some] for side in (0, 1))
                places = tuple(one.requires_grad_() for one in self._places(ends))
                gradients = self._captum.attribute(
                    places,
                    baselines=self._places(starts),
                    n_steps=n,
                    internal_batch_size=max(self._together, len(some)),
                )
                sums = [one.detach().sum(dim=-1).cpu().double() for one in gradients]
                found += [
                    _Piece(start, end, known[start], known[end], [one[i] for one in sums])
                    for i, (start, end) in enumerate(some)
                ]
        self._told = iter(())
        self.taken += n * len(ways)
        return found


def _captum() -> Any:
    try:
        from captum import attr  # noqa: PLC0415  loaded when it is needed
    except ImportError as error:
        raise ImportError(
            'Integrated gradients are taken by Captum: pip install "glasshead[attribution]". '
            'Without it there is method="gradient_x_input".'
        ) from error
    return attr


def padding_token(run: Run) -> int:
    """Return the id of the token that stands for nothing: that of padding, else the last of texts.

    Raises
    ------
    ValueError
        Where the tokenizer has neither.
    """
    subject = run.subject
    for name in ("pad_token_id", "eos_token_id"):
        id_ = getattr(subject.tokenizer, name, None)
        if isinstance(id_, int):
            return id_
    raise ValueError(
        f'{subject.name} has no padding token: use baseline="zero", or name one: '
        "tokenizer.pad_token = ..."
    )
