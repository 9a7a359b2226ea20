"""What a chart shows of mutual information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.chart import (
    Choice,
    LayerChart,
    Null,
    Range,
    Test,
    block_series,
    missing_blocks,
    quartiles,
)
from glasshead_backend.statistics.significance import (
    FEWEST_FOR_T,
    FEWEST_FOR_TAU,
    FEWEST_FOR_Z,
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
        test=None if too_few(found) else Test(tested, _words(found, "τ is not 0", _pairs(found))),
        help=_HELP,
        note=_note(found),
    )


def comparison_chart(found: PairInformation, target: Target, of: str) -> LayerChart:
    """How attention and MLP differ, by layer: t of the information (MLP − attention), or z of τ."""
    tested = found.t_test if of == "t" else found.z_test
    assert tested is not None
    even = torch.full_like(tested.statistic[None], _largest_by_chance(found, of))
    significant = benjamini_hochberg(tested.p) <= found.alpha
    marks = torch.where(tested.p.isnan(), 0, 1 + significant.int())
    what = "information" if of == "t" else "τ with distance"
    how = f"{'t' if of == 't' else 'z'}-test, {found.alternative if of == 'z' else 'two-sided'}"
    return LayerChart(
        title=f"Do attention and MLP differ in the {what} of {_called(target)}?",
        unit="t of MLP − attention" if of == "t" else "z of attention − MLP (Fisher’s z of τ)",
        layers=found.layers,
        series=[Choice("comparison", "MLP − attention" if of == "t" else "attention − MLP")],
        mean=tested.statistic[None],
        null=None
        if bool(tested.statistic.isnan().all())
        else Null(-even, torch.zeros_like(even), even, "95 % of such values where nothing differs"),
        test=None
        if bool(tested.p.isnan().all())
        else Test(marks[None].int(), _words(found, "they differ", f"{how}, {_pairs(found)} each")),
        help=_HELP,
        note=_note(found) or _no_z(found, of),
    )


def _largest_by_chance(found: PairInformation, of: str) -> float:
    """Size that 95 % of the statistics stay below where nothing differs."""
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415

    if of == "t":
        return float(stdtrit(max(1, 2 * found.n_pairs - 2), 0.975))
    return float(ndtri(0.975))


def _no_z(found: PairInformation, of: str) -> str:
    few = of == "z" and found.n_pairs < FEWEST_FOR_Z
    return f"{_pairs(found)} are too few for z: it needs {FEWEST_FOR_Z}." if few else ""


def _blocks_differ(found: PairInformation) -> Test | None:
    if found.t_test is None or found.attention_and_mlp is None or too_few(found):
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


def too_few(found: PairInformation) -> str:
    """Say why there are no tests, where there are none."""
    if found.n_pairs >= max(FEWEST_FOR_TAU, FEWEST_FOR_T):
        return ""
    return f"{len(found.positions)} places make {_pairs(found)}: too few for τ and for tests."


def _note(found: PairInformation) -> str:
    series = block_series(found.blocks)
    missing = missing_blocks(found.pairs, series, found.layers, found.unclear)
    return f"{missing} {too_few(found)}".strip()


def _called(target: Target) -> str:
    return f"“{target.strip()}”" if isinstance(target, str) else "the target"
