"""What moved the model to say a token: the text in pieces, a value for each; outputs by inputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.frames.drawn import TILE
from glasshead_backend.frames.pack import SIGNED_ZERO, pack, quantise_signed_rows
from glasshead_backend.frames.strip import pieces, split_characters, unwritten
from glasshead_backend.maps.pooling import Pooling
from glasshead_backend.questions.attribution import attribution_of, attributions, over_words
from glasshead_backend.questions.integrated_gradients import padding_token
from glasshead_backend.questions.predictions import predictions
from glasshead_backend.questions.target import target_of
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Unit
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.questions.attribution import (
        Attribution,
        AttributionMatrix,
        Baseline,
        Method,
    )
    from glasshead_backend.questions.target import Quantity, Target
    from glasshead_backend.text.sequences import Sequence as TokenSequence
    from glasshead_backend.trace import Trace
    from glasshead_backend.tracing.run import Run

_EXACT_CELLS = 64 * 64
"""A matrix with at most so many cells travels with all its numbers."""
MOST_EXACT = 128
"""Most cells on an axis that are handed out exactly at once."""
_N_LARGEST = 10
PAGE_TOKENS = 64
"""Texts of so many tokens are explained token by token on a page without a kernel."""


@travels
@dataclass(frozen=True)
class AttributionAsked:
    """What AttributionStrip is asked for, as its traits are.

    Attributes
    ----------
    method, position, token, against, quantity, baseline, steps
        As for :meth:`Trace.attribution`.
    targets : tuple of int
        Positions that are explained beside.
    show : {"strip", "matrix"}
    unit : {"token", "word"}
    """

    method: Method = "gradient_x_input"
    position: int | None = None
    token: int | str | None = None
    against: int | str | None = None
    quantity: Quantity = "log_probability"
    baseline: Baseline = "pad"
    steps: int = 50
    targets: tuple[int, ...] = ()
    show: str = "strip"
    unit: Unit = "token"

    @property
    def key(self) -> dict[str, Any]:
        """The state that a frame answers."""
        return {**asdict(self), "targets": list(self.targets)}

    def of(self, run: Run) -> tuple[list[Target], int]:
        """Return all targets that are explained, and which of them is the current one."""
        current = target_of(run, self.position, self.token, self.against, self.quantity)
        found = [target_of(run, one, quantity=self.quantity) for one in self.targets]
        if current not in found:
            found.append(current)
        return found, found.index(current)


@answered
def attribution_frame(trace: Trace, asked: AttributionAsked) -> dict[str, Any]:
    """Make the frame of AttributionStrip; what it has is told in ``js/attribution_strip/state.ts``.

    Parameters
    ----------
    trace : Trace
    asked : AttributionAsked

    Returns
    -------
    dict
        ``values`` of each input: ``[targets, units]`` float32 in the target's unit; ``share``:
        their sizes as a share of the sizes of all inputs' values.
    """
    run = run_of(trace)
    targets, current = asked.of(run)
    found = [
        attribution_of(run, one, asked.method, baseline=asked.baseline, steps=asked.steps)
        for one in targets
    ]
    values = [
        _in_units([one.values[s.name] for one in found], s, asked.unit) for s in run.sides.all
    ]
    sizes = torch.cat([one.abs() for one in values], dim=1).sum(dim=1, keepdim=True)
    bound = max(float(one.abs().max()) for one in values if one.numel())
    first, last = _places(run)
    return {
        "key": asked.key,
        "kind": "attribution",
        "offset": _offset(run),
        "places": [first, last],
        "targets": [_target(run, one) for one in found],
        "current": current,
        "inputs": [
            _input(sequence, asked.unit, one, one.abs() / sizes)
            for sequence, one in zip(run.sides.all, values, strict=True)
        ],
        "bound": bound,
        "how": _how(run, found[current]),
        "matrix": _matrix(run, asked) if asked.show == "matrix" else None,
    }


@answered
def page_frames(trace: Trace, asked: AttributionAsked) -> list[dict[str, Any]]:
    """Return the frames that a page without a kernel has.

    What is shown, by tokens and by words; and of gradient × input of a short text the same for
    every place that can be asked.
    """
    run = run_of(trace)
    states = [asked]
    n_tokens = sum(len(one.tokens) for one in run.sides.all)
    if asked.method == "gradient_x_input" and n_tokens <= PAGE_TOKENS:
        first, last = _places(run)
        positions = range(first + _offset(run), last + 1 + _offset(run))
        plain = replace(asked, token=None, against=None)
        states += [replace(plain, position=one) for one in (None, *positions)]
    by_unit = [replace(one, unit=unit) for one in states for unit in ("token", "word")]
    return [attribution_frame(trace, one) for one in dict.fromkeys(by_unit)]


@answered
def attribution_tile(
    trace: Trace,
    asked: AttributionAsked,
    sequence: str,
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> dict[str, Any]:
    """One viewport of a matrix, at the best resolution that fits 512 x 512."""
    values = _map_of(run_of(trace), asked, sequence)
    return _picture(values[slice(*rows), slice(*columns)])


@answered
def attribution_cells(
    trace: Trace,
    asked: AttributionAsked,
    sequence: str,
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> Float[Tensor, "row column"]:
    """Some cells of a matrix exactly; of each side at most 128.

    Raises
    ------
    ValueError
        For more cells than that.
    """
    if max(rows[1] - rows[0], columns[1] - columns[0]) > MOST_EXACT:
        raise ValueError(f"Too many cells at once: at most {MOST_EXACT} of each side. Zoom in.")
    return _map_of(run_of(trace), asked, sequence)[slice(*rows), slice(*columns)]


def _offset(run: Run) -> int:
    """What is added to the place of a decoder's input for the position of what stands there."""
    return -1 if run.sides.predicted is not None else 0


def _places(run: Run) -> tuple[int, int]:
    """The first and the last place of the last sequence that can be asked: behind all tokens."""
    n_predicted = len(predictions(run).tokens)
    first, offset = run.shift, _offset(run)
    return first - offset, (n_predicted if run.shift else n_predicted - 1) - offset


def _in_units(
    values: Sequence[Float[Tensor, " token"]], sequence: TokenSequence, unit: Unit
) -> Float[Tensor, "target unit"]:
    whole = torch.stack(list(values))
    return over_words(whole, sequence, dim=1) if unit == "word" else whole


def _input(sequence: TokenSequence, unit: Unit, values: Tensor, share: Tensor) -> dict[str, Any]:
    texts, gaps = pieces(sequence.tokens, sequence.text)
    units = sequence.words if unit == "word" else sequence.tokens
    of_token = sequence.word_of_token if unit == "word" else torch.arange(len(texts))
    return {
        "sequence": sequence.name,
        "texts": texts,
        "gaps": gaps,
        "split": split_characters(sequence.tokens, sequence.text),
        "unwritten": unwritten(sequence.tokens),
        "special": pack(torch.tensor([one.special for one in sequence.tokens]), torch.uint8),
        "generated": pack(torch.tensor([one.generated for one in sequence.tokens]), torch.uint8),
        "units": len(units),
        "labels": [one.text for one in units],
        "unit_of_token": pack(of_token, torch.uint32),
        "values": pack(values, torch.float32),
        "share": pack(share, torch.float32),
    }


def _target(run: Run, found: Attribution) -> dict[str, Any]:
    target = found.target
    scored = predictions(run).tokens

    def named(id_: int) -> dict[str, Any]:
        return {"id": id_, "text": run.subject.spelled([id_])[0]}

    came = target.position < len(scored) and scored[target.position].id == target.token
    return {
        "position": target.position,
        "place": target.position - _offset(run),
        "row": target.row,
        "token": named(target.token),
        "against": None if target.against is None else named(target.against),
        "came": came,
        "quantity": target.quantity,
        "unit": target.unit,
        "words": found.words,
        "value": found.value,
        "sum": found.total,
        "completeness": None
        if found.baseline_value is None
        else {
            "baseline": found.baseline_value,
            "error": found.completeness_error,
            "relative": found.relative_error,
            "too_large": not found.is_complete,
            "words": found.in_words(),
        },
    }


def _how(run: Run, found: Attribution) -> str:
    if not found.baseline:
        return "gradient × input"
    start = "zero embeddings"
    if found.baseline == "pad":
        start = f"the embedding of “{run.subject.spelled([padding_token(run)])[0]}”"
    steps = "1 step" if found.steps == 1 else f"{found.steps:,} steps"
    return f"integrated gradients from {start}, {steps}"


def _all(run: Run, asked: AttributionAsked) -> AttributionMatrix:
    return attributions(
        run,
        method=asked.method,
        quantity=asked.quantity,
        baseline=asked.baseline,
        steps=asked.steps,
    )


def _map_of(run: Run, asked: AttributionAsked, sequence: str) -> Float[Tensor, "row column"]:
    found = _all(run, asked)
    name = run.sides.named(sequence).name
    return found.by_word()[1][name] if asked.unit == "word" else found.values[name]


def _matrix(run: Run, asked: AttributionAsked) -> dict[str, Any]:
    found = _all(run, asked)
    at = torch.tensor([one.position for one in found.targets])
    if asked.unit == "word":
        words, values = found.by_word()
        rows = torch.tensor(words)
        labels = [found.predicted.words[word].text for word in words]
        row_of = torch.searchsorted(rows, found.predicted.word_of_token[at])
    else:
        values, row_of = found.values, torch.arange(len(at))
        labels = [found.predicted.tokens[position].text for position in at.tolist()]
    n_rows = len(labels)
    value = torch.zeros(n_rows).index_add_(0, row_of, found.value)
    every = torch.arange(n_rows)  # rows come in the order of the text
    first = at[torch.searchsorted(row_of, every)]
    last = at[torch.searchsorted(row_of, every, right=True) - 1]
    inputs = run.sides.all[-1]
    unit = inputs.word_of_token if asked.unit == "word" else torch.arange(len(inputs.tokens))
    maps = [values[one.name] for one in run.sides.all]
    quantity = "log-probability" if asked.quantity == "log_probability" else "logit"
    return {
        "rows": n_rows,
        "labels": labels,
        "positions": pack(first, torch.uint32),
        # A target sees all inputs before its place.
        "places": pack(unit[last - _offset(run) - 1] + 1, torch.uint32),
        "value": pack(value, torch.float32),
        "words": quantity,
        "unit": found.unit,
        "maps": [
            {
                "sequence": sequence.name,
                "cols": one.shape[1],
                **_picture(one),
                "exact": pack(one, torch.float32) if one.numel() <= _EXACT_CELLS else None,
                "max": float(one.abs().max()) if one.numel() else 0.0,
            }
            for sequence, one in zip(run.sides.all, maps, strict=True)
        ],
        "largest": _largest(maps),
    }


def _picture(values: Float[Tensor, "row column"]) -> dict[str, Any]:
    """Pool a map to pixels: of each the value that is largest in size."""
    rows, columns = map(range, values.shape)
    pooling = Pooling(2, rows, columns, size=TILE, pool="max", like=values)
    pooling.add(slice(0, len(rows)), torch.stack([values.clamp_min(0), (-values).clamp_min(0)]))
    (above, below), per_pixel = pooling.result()
    stepped, scale = quantise_signed_rows(torch.where(above >= below, above, -below))
    return {
        "pooled": "max" if per_pixel > 1 else "exact",
        "cells_per_pixel": per_pixel,
        "zero": SIGNED_ZERO,
        "values": pack(stepped, torch.uint8),
        "row_scale": pack(scale, torch.float32),
    }


def _largest(maps: Sequence[Float[Tensor, "row column"]]) -> dict[str, Packed]:
    """The cells with the largest size, of all maps together."""
    flat = torch.cat([one.flatten() for one in maps])
    at = flat.abs().topk(min(_N_LARGEST, len(flat))).indices
    ends = torch.tensor([one.numel() for one in maps]).cumsum(0)
    which = torch.searchsorted(ends, at, right=True)
    widths = torch.tensor([one.shape[1] for one in maps])[which]
    within = at - torch.tensor([0, *ends.tolist()])[which]
    return {
        "row": pack(within // widths, torch.uint32),
        "sequence": pack(which, torch.uint8),
        "column": pack(within % widths, torch.uint32),
        "value": pack(flat[at], torch.float32),
    }
