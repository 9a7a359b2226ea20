"""All heads of a model at a glance."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, nan
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
import traitlets

from glasshead.atlas_view import AtlasView
from glasshead.chart_code import metric_code
from glasshead.messages import question
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend import Metric, Norm, Trace
from glasshead_backend.asking import Selection
from glasshead_backend.frames import pack
from glasshead_backend.frames.head_atlas import (
    atlas_frame,
    atlas_table,
    corpus_words,
    typical_rows,
    with_atlas,
)
from glasshead_backend.frames.heads import (
    Shown,
    head_metrics,
    heads_frame,
    heads_table,
    pattern,
)
from glasshead_backend.frames.metrics import chosen_metric, metric_state
from glasshead_backend.statistics import HeadAtlas, as_metric
from glasshead_backend.statistics.head_metrics import HeadMetric
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend.statistics.atlas_metrics import AtlasMetric

_WHICH = ("sort", "by", "at_least", "at_most", "only_layers", "only_heads")
"""Traits that say which heads are shown, and in which order."""

_BUSY_WEIGHTS = 20_000_000
"""From this many attention weights on, heads are computed beside the kernel's own thread."""


def _to_json(metrics: tuple[HeadMetric, ...], view: HeadFinder) -> list[dict[str, Any]]:
    return [metric_state(metric, view.trace) for metric in metrics]


def _from_json(state: list[dict[str, Any]], view: HeadFinder) -> tuple[HeadMetric, ...]:
    return _checked(state, view.trace)


def _checked(asked: Any, trace: Trace) -> tuple[HeadMetric, ...]:
    """Return the metrics that are asked for, by name, as such, or as a state has them.

    Raises
    ------
    TypeError, ValueError
        For what is no metric that the model runs for, and for one that is there twice.
    """
    if isinstance(asked, (str, Metric)):
        asked = [asked]
    if not isinstance(asked, Iterable):
        raise TypeError(
            "more_metrics is a list of metrics such as LogitContribution(token=...); "
            f"got {asked!r:.80}."
        )
    found: dict[str, HeadMetric] = {}
    for one in cast("Iterable[Any]", asked):
        metric = chosen_metric(one, Norm(), trace) if isinstance(one, dict) else as_metric(one)
        if not isinstance(metric, HeadMetric):
            raise ValueError(f"more_metrics: {metric.label} is no number of heads.")  # noqa: TRY004
        if not metric.takes_runs:
            raise ValueError(f"more_metrics: {metric.name!r} is there always; leave it out.")
        if metric.name in found:
            raise ValueError(f"more_metrics has {metric.name!r} twice: one of each at a time.")
        found[metric.name] = metric
    return tuple(found.values())


class HeadFinder(AtlasView):
    """All layers and heads: their patterns, a metric of them, or two metrics against each other.

    A click goes to a head: it sets ``layer`` and ``heads``, here and in every linked view. Of an
    atlas the metrics are means over its texts, with their intervals, and below are rows of the head
    that is selected: some of every bucket of the metric, the highest first.

    Parameters
    ----------
    trace : Trace or HeadAtlas
        A text; or an atlas of many, which needs no model: it has metrics and no patterns.
    atlas : HeadAtlas, optional
        Many texts that the metrics are of, beside the patterns of one.
    metric : str or HeadMetric, optional
        What is drawn, and sorted by. A metric that the model runs for is given as such:
        ``LogitContribution(token=" Rome")``; several of them as ``more_metrics=[...]``.
    **state
        Traits, e.g. ``mode``, ``sort``, ``kind``.

    Examples
    --------
    >>> from glasshead import HeadFinder, Lens
    >>> finder = HeadFinder(Lens.demo("decoder").trace("The whale, the whale!"), sort="highest")
    >>> list(finder.to_frame().columns)
    ['layer', 'head', 'entropy', 'distance', 'sink', 'previous_token', 'induction']
    """

    _esm = bundle("head_finder.js")
    _css = bundle("head_finder.css")

    mode = traitlets.Enum(
        ["patterns", "metric", "scatter"], default_value="patterns", help="What is shown of a head."
    ).tag(sync=True)
    metric = traitlets.Unicode(
        help="Metric of heads that is drawn, and by which they are sorted and filtered."
    ).tag(sync=True)
    more_metrics = traitlets.Any(
        (),
        help="Metrics that the model runs for, to be measured too: a list of such as "
        "LogitContribution(token=...).",
    ).tag(sync=True, to_json=_to_json, from_json=_from_json)
    second_metric = traitlets.Unicode(help="Metric of the vertical axis of a scatter.").tag(
        sync=True
    )
    sort = traitlets.Enum(
        ["layer", "highest", "lowest"],
        default_value="layer",
        help="By layer, or by the metric from its highest or its lowest value on.",
    ).tag(sync=True)
    at_least = traitlets.Float(
        None, allow_none=True, help="Only heads whose metric is at least this; None = all."
    ).tag(sync=True)
    at_most = traitlets.Float(
        None, allow_none=True, help="Only heads whose metric is at most this; None = all."
    ).tag(sync=True)
    only_layers = traitlets.List(
        traitlets.Int(), help="Only heads of these layers, ascending; empty = all."
    ).tag(sync=True)
    only_heads = traitlets.List(
        traitlets.Int(), help="Only heads with these numbers, ascending; empty = all."
    ).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "unit", "more_metrics")
    _patience: ClassVar[float | None] = 1.0

    page_parts: ClassVar[frozenset[str]] = frozenset({"weights", "heads"})

    def __init__(
        self,
        trace: Trace | HeadAtlas,
        *,
        atlas: HeadAtlas | None = None,
        metric: str | HeadMetric | None = None,
        **state: Any,
    ) -> None:
        if isinstance(trace, HeadAtlas):
            state.setdefault("mode", "metric")
        if isinstance(metric, HeadMetric) and metric.takes_runs:
            state["more_metrics"] = [*state.get("more_metrics", ()), metric]
        if metric is not None:
            state["metric"] = metric.name if isinstance(metric, HeadMetric) else metric
        super().__init__(trace, atlas=atlas, **state)
        self.observe(self._on_head, names=["layer", "heads", "metric", *_WHICH])

    def to_frame(self) -> pd.DataFrame:
        """Return layer, head and all metrics of the heads that are shown, in their order.

        Metrics in their units: see :class:`glasshead.HeadStatistics`. Of an atlas they are means
        over the texts, with ``_low`` and ``_high``: see :meth:`glasshead.HeadAtlas.to_frame`.
        """
        atlas = self._atlas_here
        if atlas is None:
            return heads_table(self.trace, self._kind, self._shown, self.more_metrics)
        return atlas_table(atlas, self._shown, self._of_text())

    def in_words(self) -> list[str]:
        """Return the heads that have most of the metric."""
        table = self.to_frame().dropna(subset=[self.metric])
        heads = table.sort_values(self.metric, ascending=False).head(N_SENTENCES)
        label = next(m.label for m in self._metrics if m.name == self.metric).lower()
        low, high = f"{self.metric}_low", f"{self.metric}_high"
        said = self._of_what(label)
        for row in heads.to_dict("records"):
            between = f" [{row[low]:.2f}, {row[high]:.2f}]" if row.get(low, nan) > -inf else ""
            where = f"Layer {row['layer']}, head {row['head']}"
            said.append(f"{where}: {label} {row[self.metric]:.2f}{between}")
        return said

    def _of_what(self, label: str) -> list[str]:
        """Say what the numbers of an atlas' metric are means over."""
        names, atlas = [one.name for one in self._of_many], self._atlas_here
        if atlas is None or self.metric not in names:
            return []
        n = int(atlas.n[names.index(self.metric)].max())
        if n == 0:
            return [f"{label.capitalize()}: no text has it"]
        of = f" ({n:,} of them have this number)" if n < atlas.n_texts else ""
        return [f"Means over {corpus_words(atlas)}{of}"]

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``.

        Or of an ``atlas``.
        """
        imported: list[str] = []
        if self._atlas_here is not None:
            table = "atlas.to_frame()"
        else:
            kind = "" if self.kind == self.trace.default_kind else f", {self.kind!r}"
            names = ["layer", "head", *(metric.name for metric in head_metrics(self._kind))]
            table = f"head_statistics(trace{kind}).to_frame()[{names}]".replace("'", '"')
            imported = ["head_statistics"]
        for metric in self.more_metrics:
            written, classes = metric_code(metric)
            table += (
                f'.merge(\n    {written}.measure(trace, "{self.kind}").heads_frame(), how="left"\n)'
            )
            imported = [*classes, *imported]
        if limits := self._limits():
            table += f".query({limits!r})".replace("'", '"')
        if self.sort != "layer":
            lowest = self.sort == "lowest"
            table += f'.sort_values("{self._shown.column}", ascending={lowest}, kind="stable")'
        if self.typical:
            of = self.typical["key"]
            rows = f'atlas.examples_frame({of["layer"]}, {of["head"]}, "{of["metric"]}")'
            table += f"\n# The rows below: {rows}"
        return (f"from glasshead import {', '.join(imported)}\n\n" if imported else "") + table

    def _limits(self) -> str:
        """Write which heads are shown; "" = all."""
        column = self._shown.column
        limits = [
            f"layer in {self.only_layers}" if self.only_layers else "",
            f"head in {self.only_heads}" if self.only_heads else "",
            "" if self.at_least is None else f"{column} >= {self.at_least!r}",
            "" if self.at_most is None else f"{column} <= {self.at_most!r}",
        ]
        return " and ".join(filter(None, limits))

    @property
    def _shown(self) -> Shown:
        """Which heads are shown, as the functions that make tables take it."""
        sort: Any = self.sort
        has_ends = any(one.name == self.metric for one in self._of_many)
        by: Any = self.by if has_ends else "mean"
        layers, heads = tuple(self.only_layers), tuple(self.only_heads)
        return Shown(self.metric, sort, self.at_least, self.at_most, layers, heads, by)

    @property
    def _metrics(self) -> list[HeadMetric | AtlasMetric]:
        """The metrics that there are to choose from."""
        more = _checked(self.more_metrics, self.trace)
        if self._atlas_here is not None:
            return [*self._of_many, *more]
        return [*head_metrics(self._kind, more)]

    def _of_text(self) -> pd.DataFrame | None:
        """Return the numbers that are of the text alone, whatever atlas there is."""
        if not self.more_metrics:
            return None
        whole = heads_table(self.trace, self._kind, Shown("layer"), self.more_metrics)
        return whole[["layer", "head", *(metric.name for metric in self.more_metrics)]]

    def _on_head(self, _: dict[str, Any]) -> None:
        with self._lock:
            self._on_picture()

    def _on_picture(self) -> None:
        """Show rows of the head that is selected, or of the one that has most of the metric."""
        atlas, typical = self._atlas_here, {}
        if atlas is not None and any(one.name == self.metric for one in atlas.metrics):
            place = (self.layer, self.heads[0]) if self.heads else self._highest()
            typical = typical_rows(atlas, *place, self.metric) if place else {}
        if typical.get("key") != self.typical.get("key"):
            self.set_trait("typical", typical)

    def _highest(self) -> tuple[int, int] | None:
        """Return the head that has most of the metric, of those that are shown."""
        heads = self.to_frame().sort_values(self._shown.column, ascending=False, kind="stable")
        if heads.empty:
            return None
        return int(heads["layer"].iloc[0]), int(heads["head"].iloc[0])

    def _make_frame(self) -> dict[str, Any]:
        if self._alone:
            return atlas_frame(self._alone.atlas)
        frame = heads_frame(self.trace, self._kind, self._unit, self.more_metrics)
        if self._atlas is None:
            return frame
        return with_atlas(frame, self._atlas, self._kind, [one.name for one in self.more_metrics])

    def _is_long(self) -> bool:
        if self._alone:
            return False
        run = run_of(self.trace)
        calls = [run.call(layer, self._kind) for layer in run.layers(self._kind)]
        n_weights = sum(one.n_heads * one.n_queries * one.n_keys for one in calls)
        return bool(self.more_metrics) or n_weights > _BUSY_WEIGHTS

    @property
    def _work(self) -> str:
        return "computing all heads"

    def _on_state(self, change: dict[str, Any]) -> None:
        with self._lock:
            if change["name"] == "more_metrics":
                self._fit()
        super()._on_state(change)

    def _fit(self) -> None:
        """Keep layers and metrics within what the kind of attention has."""
        super()._fit()
        names = [metric.name for metric in self._metrics]
        layers = self.trace.layers(self._kind)
        with self.hold_trait_notifications():
            self.only_layers = [layer for layer in self.only_layers if layer in layers]
            self.only_heads = [head for head in self.only_heads if head < self._most_heads]
            if self.metric not in names:
                # Its limits are of another metric.
                self.metric, self.at_least, self.at_most = self._first_metric(), None, None
            if self.second_metric not in names:
                self.second_metric = self._second_metric()

    @traitlets.default("metric")
    def _first_metric(self) -> str:
        return self._metric_like("entropy" if self.kind == "cross" else "previous_token", 0)

    @traitlets.default("second_metric")
    def _second_metric(self) -> str:
        return self._metric_like("sink" if self.kind == "cross" else "induction", -1)

    def _metric_like(self, usual: str, place: int) -> str:
        """Return the usual metric; an atlas may have only others."""
        names = [metric.name for metric in self._metrics]
        return usual if usual in names else names[place]

    @traitlets.validate("mode")
    def _valid_mode(self, proposal: dict[str, Any]) -> str:
        if proposal["value"] == "patterns" and self._alone:
            raise traitlets.TraitError(
                'mode "patterns" draws the heads on a text: HeadFinder(trace, atlas=atlas). An '
                'atlas alone has "metric" and "scatter".'
            )
        return proposal["value"]

    @traitlets.validate("metric", "second_metric")
    def _valid_metric(self, proposal: dict[str, Any]) -> str:
        names = [metric.name for metric in self._metrics]
        if proposal["value"] not in names:
            raise traitlets.TraitError(
                f"{proposal['trait'].name} {proposal['value']!r} is not there: heads of "
                f"{self.kind} attention have {', '.join(map(repr, names))}."
            )
        return proposal["value"]

    @traitlets.validate("more_metrics")
    def _valid_more_metrics(self, proposal: dict[str, Any]) -> tuple[HeadMetric, ...]:
        if proposal["value"] and self._alone:
            raise traitlets.TraitError(
                "more_metrics are measured on a text: HeadFinder(trace, atlas=atlas)."
            )
        try:
            return _checked(proposal["value"], self.trace)
        except (TypeError, ValueError) as error:
            raise traitlets.TraitError(str(error)) from None

    @traitlets.validate("only_layers")
    def _valid_layers(self, proposal: dict[str, Any]) -> list[int]:
        try:
            for layer in proposal["value"]:
                self._require_layer(layer)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return sorted(set(proposal["value"]))

    @traitlets.validate("only_heads")
    def _valid_only_heads(self, proposal: dict[str, Any]) -> list[int]:
        heads, most = sorted(set(proposal["value"])), self._most_heads
        wrong = [head for head in heads if not 0 <= head < most]
        if wrong:
            raise traitlets.TraitError(
                f"head {wrong[0]} is out of range: {self.trace.lens.name} has heads 0-{most - 1}."
            )
        return heads

    @property
    def _most_heads(self) -> int:
        """How many heads the layer with most of them has."""
        return max(self.trace.n_heads(i, self._kind) for i in self.trace.layers(self._kind))

    @question
    def pattern(self, layer: int, head: int) -> Answer:
        """Return one head, larger than it is in the frame."""
        if self._alone:
            raise ValueError("An atlas has no patterns: they are of a text.")
        drawn = pattern(self.trace, Selection(self._kind, layer, (head,), self._unit))
        state = {"kind": self.kind, "unit": self.unit, "layer": layer, "head": head}
        return {**state, "scale": float(drawn.scale[0])}, {
            "values": pack(drawn.values[0], torch.uint8),
            "sinks": pack(drawn.sinks[0], torch.uint8),
        }
