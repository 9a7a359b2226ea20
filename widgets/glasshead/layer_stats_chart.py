"""One statistic per layer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import traitlets

from glasshead.chart_code import chart_code
from glasshead.messages import question
from glasshead.trace_view import TraceView
from glasshead.view import bundle
from glasshead_backend import HeadEntropy, Measured, Metric, Norm, OwnMetric, Probing, Trace
from glasshead_backend.frames import pack
from glasshead_backend.frames.chart import chart_frame, chart_key, detail_frame, token_values
from glasshead_backend.frames.metrics import catalogue, chosen_metric, metric_state
from glasshead_backend.statistics import as_metric

if TYPE_CHECKING:
    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend import Step

_MADE_OF = {Probing.name: "Probing(texts=..., labels=...)", OwnMetric.name: "your function"}
"""Statistics made of what no state holds."""

_PATIENCE = 1.0
_SECONDS_BETWEEN = 0.5
"""Between two pictures of results that stream in."""


def _to_json(metric: Metric, view: LayerStatsChart) -> dict[str, Any]:
    return metric_state(metric, view.trace)


def _first_metric(trace: Trace) -> Metric:
    return HeadEntropy() if Norm.lacks(trace) else Norm()


def _from_json(state: dict[str, Any], view: LayerStatsChart) -> Metric:
    return chosen_metric(state, view.metric, view.trace)


class LayerStatsChart(TraceView):
    """A statistic by layer: norms, mutual information, right and wrong predictions, heads ...

    What takes longer than a second goes on beside the notebook: results stream in, and the view has
    a Cancel button (:meth:`cancel` in Python).

    Parameters
    ----------
    trace : Trace
    metric : str, Metric, Measured or callable, optional
        A name ("norm", "logit_lens", "induction" ...), a metric with its parameters
        (``MutualInformation(target=" coffee")``, ``OverTexts(of="norm", texts=texts)``,
        ``Probing(texts=texts, labels=labels)``), a result that is there already, or a function
        ``(trace, layer) -> float or tensor`` of your own.
        Default: norms, or the entropy of heads where norms are not known.
    **state
        Traits, e.g. ``layer``, ``quantity``, ``scale``.

    Raises
    ------
    ValueError
        When this text or model does not have the statistic.
    """

    _esm = bundle("layer_stats_chart.js")
    _css = bundle("layer_stats_chart.css")

    metric = traitlets.Any(
        Norm(), help="The statistic and its parameters; reads as a Metric, see as_metric."
    ).tag(sync=True, to_json=_to_json, from_json=_from_json)
    quantity = traitlets.Unicode(
        "", help='What of the statistic is drawn ("jsd", "difference" ...); empty = the first.'
    ).tag(sync=True)
    scale = traitlets.Enum(
        ["auto", "linear", "log"],
        default_value="auto",
        help="Scale of the vertical axis; auto = logarithmic for norms and ranks.",
    ).tag(sync=True)
    metrics = traitlets.List(help="Statistics that can be chosen.", read_only=True).tag(sync=True)
    detail = traitlets.Dict(help="The current layer in detail.", read_only=True).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "metric", "quantity")
    _patience: ClassVar[float | None] = _PATIENCE

    page_parts: ClassVar[frozenset[str]] = frozenset({"chart"})

    def __init__(self, trace: Trace, metric: Any = None, **state: Any) -> None:
        if metric is None and isinstance(trace, Trace):  # pyright: ignore[reportUnnecessaryIsInstance]
            metric = _first_metric(trace)
        # What is known, and of what: a change of the quantity or the layer measures nothing anew.
        self._measured: Measured | None = metric if isinstance(metric, Measured) else None
        self._measured_of: tuple[Trace, Metric, str] | None = None
        # The same of the whole model's run, while heads are switched off in what is shown.
        self._of_whole: tuple[Measured, tuple[Trace, Metric, str]] | None = None
        self._streamed_at = 0.0
        super().__init__(trace, metric=metric, **state)
        self.observe(self._on_layer, names="layer")
        self.observe(self._on_tokens, names=["selected", "selected_source"])

    def _show_first(self) -> None:
        self.set_trait("metrics", catalogue(self.trace))
        if self._measured is not None:
            self._measured_of = self.trace, self.metric, self.kind
        super()._show_first()
        self._valid_quantity({"value": self.quantity})

    def _on_trace(self) -> None:
        self._keep_of_whole()
        self.set_trait("metrics", catalogue(self.trace))
        if self.metric.lacks(self.trace):
            self.metric = _first_metric(self.trace)

    @property
    def result(self) -> Measured:
        """What is drawn, with all its numbers; waits for it where it is being computed."""
        self._long_work.join()
        return self._measure()

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the picture; waits for them where they are being computed."""
        return self.result.to_frame()

    def in_words(self) -> list[str]:
        """Return which statistic is drawn, and of which layers."""
        chart = self.result.chart(self.quantity or self.result.quantities[0].name)
        layers = f"layers {chart.layers[0]}–{chart.layers[-1]}"
        unit = f", {chart.unit}" if chart.unit else ""
        return [f"{chart.title}{unit}: {layers}, {chart.middle}"]

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``."""
        return chart_code(self.metric, self.kind)

    # ---- measuring ----------------------------------------------------------------------------

    def _is_long(self) -> bool:
        return not self.metric.is_instant and not self._is_measured()

    def _is_measured(self) -> bool:
        return self._measured_of == (self.trace, self.metric, self.kind)

    @property
    def _work(self) -> str:
        return f"computing {self.metric.label}"

    def _keep_of_whole(self) -> None:
        """Keep what is known of the whole model's run: it is there again when heads are on."""
        measured, of, whole = self._measured, self._measured_of, self._whole
        if measured is not None and of is not None and of[0] is whole:
            self._of_whole = measured, of
        elif self._of_whole is not None and self._of_whole[1][0] is not whole:
            self._of_whole = None
        if self._of_whole is not None and whole is self.trace:
            self._measured, self._measured_of = self._of_whole

    def known(self, trace: Trace, metric: Metric, kind: str) -> Measured | None:
        """Return a statistic of a trace that is drawn, or was before heads were switched off."""
        asked = trace, metric, kind
        if asked == (self.trace, self.metric, self.kind):
            return self.result
        kept = self._of_whole
        return kept[0] if kept is not None and kept[1] == asked else None

    def _measure(self) -> Measured:
        trace, metric, kind = self.trace, self.metric, self._kind
        if self._measured is not None and self._is_measured():
            return self._measured
        measured = metric.measure(trace, kind)
        with self._lock:
            if (trace, metric, kind) == (self._trace, self.metric, self.kind):
                self._measured, self._measured_of = measured, (trace, metric, kind)
        return measured

    def _make_frame(self) -> dict[str, Any]:
        return chart_frame(self.trace, self._kind, self._measure(), self.quantity)

    def _tell(self, step: Step) -> None:
        """Show how far it is, and now and then what it has come to so far."""
        super()._tell(step)
        if time.monotonic() - self._streamed_at < _SECONDS_BETWEEN:
            return
        partial = step.partial()
        if not isinstance(partial, Measured):
            return
        self._streamed_at = time.monotonic()
        frame = chart_frame(self.trace, self._kind, partial, self.quantity, partial=str(step))
        with self._lock:
            if self._long_work.is_running:
                with self.hold_sync():
                    self.set_trait("frame", frame)
                    self.set_trait("detail", detail_frame(partial, self.layer, self.selected_here))

    def _on_layer(self, _: dict[str, Any]) -> None:
        with self._lock:
            self._on_picture()

    def _on_picture(self) -> None:
        """Show the current layer of what is drawn."""
        measured = self._measured if self._is_measured() else None
        self.set_trait("detail", detail_frame(measured, self.layer, self.selected_here))

    def _on_tokens(self, _: dict[str, Any]) -> None:
        """Show the pair of places that is selected, where the statistic is of pairs."""
        with self._lock:
            if self._measured is not None and self._measured.follows_tokens:
                self._on_picture()

    @property
    def selected_here(self) -> list[int]:
        """Selected tokens of the text that is measured."""
        of_source = len(self.trace.sequences) > 1 and self._kind == "encoder"
        return self.selected_source if of_source else self.selected

    # ---- traits and questions -----------------------------------------------------------------

    @traitlets.validate("metric")
    def _valid_metric(self, proposal: dict[str, Any]) -> Metric:
        asked = proposal["value"]
        try:
            metric = self._written_metric(asked) if isinstance(asked, dict) else as_metric(asked)
        except (TypeError, ValueError) as error:
            raise traitlets.TraitError(str(error)) from None
        if reason := metric.lacks(self.trace):
            raise traitlets.TraitError(reason)
        return metric

    @traitlets.validate("quantity")
    def _valid_quantity(self, proposal: dict[str, Any]) -> str:
        # Another metric has others: what is left of the last one's choice is its first.
        if self._measured is not None and self._is_measured():
            names = [name for name, _ in self._measured.quantities]
            if proposal["value"] not in ("", *names):
                raise traitlets.TraitError(
                    f"quantity {proposal['value']!r} is not there: {self.metric.label} has "
                    f"{', '.join(map(repr, names))}."
                )
        return proposal["value"]

    def _written_metric(self, state: dict[str, Any]) -> Metric:
        """Return a metric that :meth:`state` has written."""
        if state.get("over"):
            raise ValueError(
                f"metric was measured over {state['over']}, which a state does not hold: pass "
                "metric=OverTexts(of=..., texts=texts)."
            )
        if state.get("fitted"):
            raise ValueError(
                f"metric was read by the {state['fitted']}, which a state does not hold: pass "
                "metric=LogitLens(fitted=FittedLens.load(path))."
            )
        name = str(state.get("name"))
        if name not in _MADE_OF:
            return chosen_metric(state, Norm(), self.trace)
        # Not self.metric: while several traits are set together that is the state itself.
        shown = self._measured_of[1] if self._measured_of else None
        if shown is None or shown.name != name:
            raise ValueError(
                f"metric {state.get('label') or name!r} is made of what a state does not hold: "
                f"pass metric={_MADE_OF[name]}."
            )
        return chosen_metric(state, shown, self.trace)

    @question
    def token(self, position: int) -> Answer:
        """Values of one token in every layer."""
        measured = self._measure()
        about = chart_key(self._kind, measured, self.quantity)
        values = token_values(measured.chart(about["quantity"]), position)
        return {"position": position, "about": about}, {"values": pack(values, torch.float32)}
