"""What a chart shows of mutual information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.chart import (
    LayerChart,
    Panel,
    Range,
    Scatter,
    Test,
    block_series,
    missing_blocks,
    number,
    quartiles,
)
from glasshead_backend.statistics.significance import (
    FEWEST_FOR_T,
    FEWEST_FOR_TAU,
    benjamini_hochberg,
)

if TYPE_CHECKING:
    from glasshead_backend.statistics.pair_information import PairInformation
    from glasshead_backend.statistics.targets import Target

_HELP = (
    (
        "Two activations of a layer, at two places of the target, are compared component by "
        "component: how much does one tell about the other? Each point is the mean over all pairs "
        "of places."
    ),
    (
        "Kendall’s τ says whether places farther apart in the text tell less (τ below 0) or more "
        "about each other. The panel shows the pairs of the current layer."
    ),
    (
        "Pairs share places, so they are not independent, as the tests take them to be: their p "
        "can be too small."
    ),
    "A histogram of few components overestimates: compare layers with each other, not with zero.",
)


def information_chart(found: PairInformation, target: Target) -> LayerChart:
    """Mean information by layer, a series for every block; marks: attention and MLP differ."""
    series = block_series(found.blocks)
    words = f"quartiles over {_pairs(found)} of {len(found.positions)} places"
    return LayerChart(
        title=f"Mutual information between the places of {_called(target)}",
        unit=found.unit,
        layers=found.layers,
        series=series,
        mean=found.mi,
        interval=Range(*quartiles(found.pairs), words) if found.n_pairs > 1 else None,
        test=_blocks_differ(found),
        help=_HELP,
        note=_note(found),
    )


def tau_chart(found: PairInformation, target: Target) -> LayerChart:
    """Kendall's τ with distance by layer; marks: it differs from 0."""
    series = block_series(found.blocks)
    tested = torch.where(found.tau.p.isnan(), 0, 1 + found.tau_significant.int())
    return LayerChart(
        title=f"Do places of {_called(target)} farther apart tell less about each other?",
        unit="Kendall’s τ-b of information and distance",
        layers=found.layers,
        series=series,
        mean=found.tau.statistic,
        test=None if _too_few(found) else Test(tested, _words(found, "τ is not 0", _pairs(found))),
        help=_HELP,
        note=_note(found),
    )


def scatter(found: PairInformation, layer: int) -> list[Panel]:
    """Information against distance, pair by pair, with the tests of this layer in words."""
    if layer not in found.layers:
        return []
    at = found.layers.index(layer)
    is_there = ~found.pairs[:, at].isnan().all(dim=-1)
    there: list[int] = is_there.nonzero()[:, 0].tolist()
    if not there:
        return []
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
    return [
        Scatter(
            title=f"Layer {layer}: information and distance",
            x="distance (tokens)",
            y=found.unit,
            series=series,
            points_x=found.distance[pair],
            points_y=found.pairs[there, at][row, pair],
            points_series=row,
            words="; ".join(words) + " (p not adjusted)." if words else _too_few(found),
        )
    ]


def _blocks_differ(found: PairInformation) -> Test | None:
    if found.t_test is None or found.attention_and_mlp is None or _too_few(found):
        return None
    adjusted = benjamini_hochberg(found.t_test.p)
    significant = torch.zeros(found.pairs.shape[:2], dtype=torch.int32)
    row = torch.where(adjusted.isnan(), 0, 1 + (adjusted <= found.alpha).int())
    significant[list(found.attention_and_mlp)] = row.int()
    how = f"t-test, {_pairs(found)} each"
    return Test(significant, _words(found, "attention and MLP differ", how))


def _words(found: PairInformation, what: str, how: str) -> str:
    return f"filled: {what}, p ≤ {found.alpha:g} after Benjamini-Hochberg ({how}); open: not"


def _pairs(found: PairInformation) -> str:
    return f"{found.n_pairs} pair{'' if found.n_pairs == 1 else 's'}"


def _too_few(found: PairInformation) -> str:
    """Say why there are no tests, where there are none."""
    if found.n_pairs >= max(FEWEST_FOR_TAU, FEWEST_FOR_T):
        return ""
    return f"{len(found.positions)} places make {_pairs(found)}: too few for τ and for tests."


def _note(found: PairInformation) -> str:
    series = block_series(found.blocks)
    missing = missing_blocks(found.pairs, series, found.layers, found.unclear)
    return f"{missing} {_too_few(found)}".strip()


def _called(target: Target) -> str:
    return f"“{target.strip()}”" if isinstance(target, str) else "the target"
