"""The lines of a picture as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.answering import answered
from glasshead_backend.data_frames import table
from glasshead_backend.frames.lines import FAINTEST, strongest_lines
from glasshead_backend.frames.sentences import between
from glasshead_backend.frames.sinks import SinksPart
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from glasshead_backend.asking import Selection
    from glasshead_backend.frames.lines import Rule
    from glasshead_backend.frames.sentences import Sentences
    from glasshead_backend.frames.sinks import Wanted
    from glasshead_backend.trace import Trace


@answered
def lines_table(
    trace: Trace, asked: Selection, sinks: Wanted, rule: Rule, sentences: Sentences = "all"
) -> pd.DataFrame:
    """Return the lines that are drawn, strongest first: who looks at what, with which weight.

    Parameters
    ----------
    trace : Trace
    asked : Selection
    sinks : {"auto", "aside", "shown", "hidden"}
    rule : Rule
    sentences : {"all", "AA", "BB", "AB", "BA"}

    Returns
    -------
    DataFrame
        ``source``, ``target``, ``head`` (-1 = several, combined), ``weight``, ``source_position``,
        ``target_position``, and where rows predict ``predicted``.
    """
    lines = strongest_lines(trace, asked, sinks, sentences)
    at = torch.nonzero(rule.drawn(lines.weights), as_tuple=True)
    of_map, row, _ = at
    return _table(trace, asked, of_map, row, lines.keys[at].long(), lines.weights[at])


@answered
def lit_lines_table(
    trace: Trace,
    asked: Selection,
    sinks: Wanted,
    rows: Sequence[int],
    columns: Sequence[int],
    sentences: Sentences = "all",
) -> pd.DataFrame:
    """Return the lines of some units only, of at least the weight that can be seen.

    Parameters
    ----------
    trace : Trace
    asked : Selection
    sinks : {"auto", "aside", "shown", "hidden"}
    rows, columns : sequence of int
        Units that look, and that are looked at.
    sentences : {"all", "AA", "BB", "AB", "BA"}
    """
    drawn = SinksPart(trace, asked, sinks).as_drawn()
    pair = between(trace, asked.kind, asked.unit, sentences, drawn.device)
    shape = (drawn.n_maps, drawn.n_rows, drawn.n_columns)
    parts: list[Tensor] = [torch.zeros(0, 4)]
    for row in rows:
        whole = drawn.whole([row])
        weights = (whole if pair is None else pair.of(whole, [row]))[:, 0]
        of_map, key = torch.nonzero(weights >= FAINTEST, as_tuple=True)
        parts.append(_cells(of_map, torch.full_like(key, row), key, weights[of_map, key]))
    for column in columns:
        weights = drawn.column([column])
        if pair is not None:
            weights = weights * (pair.rows & pair.columns[column])
        of_map, row = torch.nonzero(weights >= FAINTEST, as_tuple=True)
        parts.append(_cells(of_map, row, torch.full_like(row, column), weights[of_map, row]))
    found = torch.cat([part.cpu() for part in parts])
    of_map, row, key = found[:, :3].long().T
    # A line between two lit units is drawn once.
    _, name = torch.unique((of_map * shape[1] + row) * shape[2] + key, return_inverse=True)
    place = torch.arange(len(name))
    first = torch.full((int(name.max()) + 1 if len(name) else 0,), len(name))
    first.scatter_reduce_(0, name, place, "amin")
    return _table(trace, asked, of_map[first], row[first], key[first], found[first, 3].float())


def _cells(of_map: Tensor, row: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    return torch.stack([part.double() for part in (of_map, row, key, weight)], dim=1)


def _table(
    trace: Trace, asked: Selection, of_map: Tensor, row: Tensor, key: Tensor, weight: Tensor
) -> pd.DataFrame:
    run = run_of(trace)
    n_heads = run.call(asked.layer, asked.kind).n_heads
    numbers = torch.tensor(asked.heads or range(n_heads))
    if asked.aggregate is not None and len(numbers) > 1:
        numbers = torch.tensor([-1])
    order = weight.argsort(descending=True, stable=True)
    query, target = row[order].tolist(), key[order].tolist()
    sources = run.sides.labels("query", asked.kind, asked.unit)
    targets = run.sides.labels("key", asked.kind, asked.unit)
    frame = table(
        {
            "source": [sources[i] for i in query],
            "target": [targets[i] for i in target],
            "head": numbers[of_map[order].cpu()].tolist(),
            "weight": weight[order].tolist(),
            "source_position": query,
            "target_position": target,
        }
    )
    predicted = run.sides.predictions(asked.kind, asked.unit)
    if predicted is not None:
        frame.insert(1, "predicted", [predicted[i] for i in query])
    return frame
