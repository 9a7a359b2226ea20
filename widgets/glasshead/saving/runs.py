"""Other runs that a page has beside the one that it opens with: heads on again, or others off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glasshead.saving import contents as parts
from glasshead.saving.weights import StoredLayer, same_weights, squeezed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead.explorer import Explorer
    from glasshead.saving.weights import StoredWeights
    from glasshead.switches import Without
    from glasshead_backend import Trace


@dataclass(frozen=True)
class StoredRun:
    """Another run as the page carries it.

    Attributes
    ----------
    layers : list of StoredLayer
        Those that are not the same as in the run that the page opens with.
    contents : dict
        What the page must know of it.
    """

    layers: list[StoredLayer]
    contents: dict[str, Any]

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes of a page."""
        known = len(squeezed(parts.as_json(self.contents)))
        return known + sum(len(layer.text) for layer in self.layers)


def run_words(without: Without | None) -> str:
    """Name a run that was left out."""
    return (
        f"the run with {without.words[:1].lower()}{without.words[1:]}"
        if without
        else ("the run of the whole model")
    )


def stored_runs(
    view: Explorer,
    shown: StoredWeights,
    told: Sequence[dict[str, Any]],
    runs: Sequence[tuple[Trace, Without | None]],
    room: int,
) -> tuple[list[StoredRun], list[str]]:
    """Write runs of the same text as the page's own, as many as there is room for.

    Their attention is written as truly as the page's own, of the same layers.

    Returns
    -------
    (list of StoredRun, list of str)
        The runs, and in words those for which there was no room.
    """
    kept: list[StoredRun] = []
    left_out: list[str] = []
    for number, (trace, without) in enumerate(runs, start=1):
        found = _stored(view, shown, told, trace, without, number)
        if found.n_bytes <= room:
            room -= found.n_bytes
            kept.append(found)
        else:
            left_out.append(run_words(without))
    return kept, left_out


def _stored(
    view: Explorer,
    shown: StoredWeights,
    told: Sequence[dict[str, Any]],
    trace: Trace,
    without: Without | None,
    number: int,
) -> StoredRun:
    layers = same_weights(trace, shown, f"gh-run-{number}")
    contents = {
        "off": [] if without is None else without.off,
        "how": "" if without is None else without.how,
        "without": None if without is None else without.as_json(),
        "layers": [layer.about for layer in layers],
        "heads": parts.heads(trace, view.finder.more_metrics),
        "strip": {**parts.strip(trace), **view.strip.compared_part(trace)},
        # Those of the page's own run would be another run's numbers.
        "readings": [],
        **parts.charts(view.chart, told, trace),
    }
    own = {layer.about["element"] for layer in shown.layers}
    return StoredRun([one for one in layers if one.about["element"] not in own], contents)
