"""What a chart shows of linear probes: their accuracy by layer, and a layer by label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.chart import (
    BLOCK_LABELS,
    Choice,
    LayerChart,
    Null,
    Range,
    number,
)
from glasshead_backend.statistics.panels import Bars, Table

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.statistics.probe_answers import ProbeAnswers

_MOST_CLASSES = 12
"""Labels up to which a table says what each was taken for."""

_NAMED = 4
_MOST_LETTERS = 24

_HELP = (
    (
        "Can a label be read in a layer? A linear probe (logistic regression) is fitted to the "
        "activations of some texts and tested on others; the height says how often it is right "
        "there."
    ),
    (
        "The hatched band is the control: the same probe with the same labels shuffled. The flat "
        "line is who always says the most frequent label. A probe that is not above both reads "
        "nothing."
    ),
    (
        "That a probe can read a label does not say that the model uses it, nor that the layer has "
        "worked it out: often the word itself tells, and layer 0 knows already."
    ),
)


def accuracy_chart(found: ProbeAnswers) -> LayerChart:
    """Accuracy by layer with its interval, the control as what chance gives, and the majority."""
    majority, share = found.majority
    flat = torch.full((1, len(found.layers)), share, dtype=torch.float64)
    control = found.control
    return LayerChart(
        title=_title(found),
        unit=f"accuracy on other {_groups(found)}",
        layers=found.layers,
        series=[_series(found), Choice("majority", f"always {_named(majority)}")],
        mean=torch.cat([found.accuracy.mean[None], flat]),
        middle="accuracy",
        interval=Range(
            _beside(found.accuracy.low),
            _beside(found.accuracy.high),
            f"{_percent(found)} Wilson interval by {_groups(found)}; {_sizes(found)}",
        ),
        null=None
        if control is None
        else Null(
            _beside(control.low),
            _beside(control.mean),
            _beside(control.high),
            f"the same with shuffled labels, and its {_percent(found)} interval",
        ),
        help=_HELP,
        note=_note(found),
    )


def above_control_chart(found: ProbeAnswers) -> LayerChart:
    """Accuracy minus that of shuffled labels, by layer."""
    control = found.accuracy if found.control is None else found.control
    return LayerChart(
        title=_title(found),
        unit="accuracy minus that with shuffled labels",
        layers=found.layers,
        series=[_series(found)],
        mean=(found.accuracy.mean - control.mean)[None],
        middle="difference",
        help=_HELP,
        note=_note(found),
    )


def layer_panels(found: ProbeAnswers, layer: int) -> list[Panel]:
    """How often each label was said rightly in a layer, and what it was taken for."""
    if bool((found.predicted[found.layers.index(layer)] < 0).any()):
        return []
    confusion = found.confusion(layer)
    names = [_short(name) for name in found.classes]
    counts = confusion.sum(dim=1)
    panels: list[Panel] = [
        Bars(
            title=f"Layer {layer}: said rightly, by label",
            y=f"share of its {found.unit}s",
            labels=names,
            values=confusion.diagonal().double() / counts,
            x="label",
        )
    ]
    if len(names) <= _MOST_CLASSES:
        rows = [[name, *map(str, own)] for name, own in zip(names, confusion.tolist(), strict=True)]
        panels.append(
            Table(
                title=f"Layer {layer}: label, and what a probe said it was",
                columns=["label", *names],
                rows=rows,
                words=f"a row: the {found.unit}s that have the label",
            )
        )
    return panels


def _series(found: ProbeAnswers) -> Choice:
    block = found.block
    return Choice(block, f"probe of {_BLOCKS.get(block, block)}")


_BLOCKS = BLOCK_LABELS | {"embedding": "embeddings"}


def _title(found: ProbeAnswers) -> str:
    names = [_named(name) for name in found.classes]
    listed = " or ".join(names) if len(names) <= _NAMED else f"{len(names)} labels"
    return f"What a linear probe reads: {listed}"


def _named(name: object) -> str:
    return f"“{_short(name)}”"


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"


def _groups(found: ProbeAnswers) -> str:
    return "groups of texts" if found.grouped else "texts"


def _sizes(found: ProbeAnswers) -> str:
    n, unit = len(found.labels), found.unit
    texts = f"{found.n_groups:,} {_groups(found)}"
    return texts if unit == "text" and not found.grouped else f"{n:,} {unit}s in {texts}"


def _percent(found: ProbeAnswers) -> str:
    return f"{number(100 * found.confidence)} %"


def _beside(values: Float[Tensor, " layer"]) -> Float[Tensor, "2 layer"]:
    """Values of the probe; the majority's line has none."""
    return torch.stack([values, torch.full_like(values, torch.nan)])


def _note(found: ProbeAnswers) -> str:
    if not found.unsettled:
        return ""
    layers = ", ".join(map(str, found.unsettled))
    return (
        f"Layer {layers}: a fit was stopped before it had come to its end; a smaller C settles "
        "sooner."
    )
