"""One layer of mutual information in detail: pairs, their matrices, two places' activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.chart import BLOCK_LABELS, Choice, block_series, number
from glasshead_backend.statistics.mutual_information_chart import too_few
from glasshead_backend.statistics.panels import Grid, Scatter

if TYPE_CHECKING:
    from jaxtyping import Bool, Int
    from torch import Tensor

    from glasshead_backend.statistics.pair_information import PairInformation
    from glasshead_backend.statistics.panels import Panel

_FEWEST_FOR_MATRIX = 3
"""Places: of two there is one pair."""

_MOST_POINTS = 1000
"""Components that are drawn of two activations; a picture of more says no more."""

_NOT_KEPT = (
    "The activations of two places are not drawn: together they take more than 64 MB; take fewer "
    "places."
)


def pair_panels(
    found: PairInformation, layer: int, chosen: tuple[int, int] | None = None
) -> list[Panel]:
    """Information against distance, the matrices of all pairs, and the activations of one.

    Parameters
    ----------
    found : PairInformation
    layer : int
    chosen : tuple of int, optional
        Two positions of the target; default those with most information in this layer.
    """
    if layer not in found.layers:
        return []
    at = found.layers.index(layer)
    is_there = ~found.pairs[:, at].isnan().all(dim=-1)
    there: list[int] = is_there.nonzero()[:, 0].tolist()
    if not there:
        return []
    pair = _strongest(found, at) if chosen is None else (min(chosen), max(chosen))
    return [
        _against_distance(found, layer, there),
        *(_matrices(found, layer, there, pair) if _has_matrices(found) else []),
        *(_activations(found, layer, there, pair) if found.vectors else []),
    ]


def _has_matrices(found: PairInformation) -> bool:
    return len(found.positions) >= _FEWEST_FOR_MATRIX


def _against_distance(found: PairInformation, layer: int, there: list[int]) -> Scatter:
    """Information against distance, pair by pair, with the tests of this layer in words."""
    at = found.layers.index(layer)
    series = block_series([found.blocks[i] for i in there])
    tests = [
        (f"{one.label}: τ", found.tau.statistic[i, at], found.tau.p[i, at])
        for i, one in zip(there, series, strict=True)
    ]
    if found.t_test is not None and found.z_test is not None:
        tests.append(("MLP − attention: t", found.t_test.statistic[at], found.t_test.p[at]))
        tests.append(("attention − MLP: z of τ", found.z_test.statistic[at], found.z_test.p[at]))
    words = [
        f"{name} = {number(float(value))}, p = {number(float(p))}"
        for name, value, p in tests
        if not value.isnan()
    ]
    # Pairs that are still being computed are no points yet.
    row, pair = (~found.pairs[there, at].isnan()).nonzero().T
    return Scatter(
        title=f"Layer {layer}: information and distance",
        x="distance (tokens)",
        y=found.unit,
        series=series,
        points_x=found.distance[pair],
        points_y=found.pairs[there, at][row, pair],
        points_series=row,
        words=" ".join(filter(None, [_tests(found, words), "" if found.vectors else _NOT_KEPT])),
    )


def _tests(found: PairInformation, words: list[str]) -> str:
    return "; ".join(words) + " (p not adjusted)." if words else too_few(found)


def _strongest(found: PairInformation, at: int) -> tuple[int, int]:
    """The pair of places with most information, in any block."""
    best = int(found.pairs[:, at].nan_to_num(-1.0).amax(dim=0).argmax())
    first, second = torch.triu_indices(len(found.positions), len(found.positions), offset=1)
    return found.positions[int(first[best])], found.positions[int(second[best])]


def _matrices(
    found: PairInformation, layer: int, there: list[int], pair: tuple[int, int]
) -> list[Grid]:
    """Two blocks share a matrix, which are symmetric: one above the diagonal, one below."""
    row, column = (found.positions.index(one) for one in pair)
    grids: list[Grid] = []
    for start in range(0, len(there), 2):
        blocks = [found.blocks[i] for i in there[start : start + 2]]
        above, below = (found.matrix(block, layer) for block in (blocks[0], blocks[-1]))
        names = [BLOCK_LABELS[block] for block in blocks]
        two = len(blocks) > 1
        grids.append(
            Grid(
                title=f"Layer {layer}: information of all pairs",
                unit=found.unit,
                positions=found.positions,
                values=(above.triu(1) + below.tril(-1)).fill_diagonal_(torch.nan),
                pair=(row, column),
                words=f"above the diagonal {names[0]}, below it {names[1]}" if two else names[0],
            )
        )
    distance = Grid(
        title="Distance of all pairs",
        unit="tokens",
        positions=found.positions,
        values=found.distances,
        pair=(row, column),
    )
    return [*grids, distance]


def _shown(trimmed: Bool[Tensor, " hidden"]) -> Int[Tensor, " shown"]:
    """The components that are drawn: all that are trimmed, of the others some evenly where many."""
    counted = (~trimmed).nonzero()[:, 0]
    step = -(-len(counted) // _MOST_POINTS)
    return torch.cat([counted[:: max(1, step)], trimmed.nonzero()[:, 0]])


def _activations(
    found: PairInformation, layer: int, there: list[int], pair: tuple[int, int]
) -> list[Panel]:
    """Component by component, what the activation is at one place and at the other."""
    panels: list[Panel] = []
    for block in (found.blocks[i] for i in there):
        (x, y), trimmed = found.two_places(block, layer, pair)
        row, column = (found.positions.index(one) for one in pair)
        information = found.matrix(block, layer)[row, column]
        n = int(trimmed.sum())
        shown = _shown(trimmed)
        series = [Choice(block, "counted")] + ([Choice("trimmed", f"trimmed ({n})")] if n else [])
        of_trim = f", {n} beyond {found.trim or 0:g} standard deviations"
        beyond = "components" if found.trim is None else f"components{of_trim}"
        some = "" if len(shown) == len(x) else f"; {len(shown):,} of them are drawn"
        panels.append(
            Scatter(
                title=f"Layer {layer}, {BLOCK_LABELS[block]}: components at two places",
                x=f"at position {pair[0]}",
                y=f"at position {pair[1]}",
                series=series,
                points_x=x[shown],
                points_y=y[shown],
                points_series=trimmed[shown].int(),
                words=f"{number(float(information))} {found.unit}; {len(x)} {beyond}{some}",
            )
        )
    return panels
