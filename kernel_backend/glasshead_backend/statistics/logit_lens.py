"""What the model would predict after each layer: the logit lens."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import at_least_one
from glasshead_backend.data_frames import table
from glasshead_backend.progress import reporting, steps
from glasshead_backend.questions.fitted_lens import label_of
from glasshead_backend.questions.predictions import score, top_alternatives
from glasshead_backend.questions.readout import (
    predicting_layers,
    read_out_layers,
    require_read_out,
)
from glasshead_backend.statistics.chart import Choice, LayerChart, median, middle_of
from glasshead_backend.statistics.metric import Measured, Metric, parameter
from glasshead_backend.statistics.panels import Table
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.scores import prediction_shift

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.questions.fitted_lens import FittedLens
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.trace import Trace

__all__ = ["LogitLens", "LogitLensResult", "logit_lens"]

_MOST_ROWS = 300
_HELP = (
    (
        "What would the model predict if it stopped after this layer? Its own final norm and "
        "unembedding are applied to the residual stream behind the layer. The last point is what "
        "the model does predict."
    ),
    (
        "Point at a token in a linked view, or pin one, to see its own surprisal as a dashed line. "
        "The panel lists what each place of the text would be followed by."
    ),
    (
        "Early layers need not speak the language of the last one: that the lens reads nothing "
        "there does not say that nothing is known."
    ),
)


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class LogitLens(Metric):
    """Prediction read out behind every layer.

    Parameters
    ----------
    k : int
        How many of the most probable tokens are kept.
    fitted : FittedLens, optional
        A lens that was fitted to the model, in place of the logit lens: see :func:`fit_lens`.
    """

    name: ClassVar[str] = "logit_lens"
    label: ClassVar[str] = "Logit lens"

    k: int = parameter(5, label="Words", kind="int", min=1, max=20)
    fitted: FittedLens | None = None

    def __post_init__(self) -> None:
        at_least_one(self.k, "k", "token")

    def _written(self, name: str) -> str:
        known = name == "fitted" and self.fitted is not None
        return f"<{label_of(self.fitted)}>" if known else super()._written(name)

    @classmethod
    def lacks(cls, trace: Trace) -> str:
        """Encoders predict no next token."""
        predictions = trace.predictions()
        return "" if predictions.n_scored else predictions.reason

    @answered
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> LogitLensResult:
        """Compute it for one text."""
        if reason := self.lacks(trace):
            raise ValueError(reason)
        if kind == "encoder":
            raise ValueError("The encoder predicts no token: ask for the decoder (kind='decoder').")
        with reporting(progress):
            return self._measure(trace)

    def _measure(self, trace: Trace) -> LogitLensResult:
        predictions = trace.predictions()
        run = run_of(trace)
        tokens, shift = predictions.tokens, prediction_shift(run.sides)
        readouts = read_out_layers(run, self.fitted)
        n_layers, n_scored = len(predicting_layers(run)), len(tokens) - shift
        shape = (n_layers, len(tokens))
        surprisal = torch.full(shape, torch.nan, dtype=torch.float32)
        rank, correct = surprisal.clone(), surprisal.clone()
        top_ids = torch.full((*shape, self.k), -1)

        def result() -> LogitLensResult:
            return LogitLensResult(
                metric=self,
                layers=tuple(range(n_layers)),
                tokens=tokens,
                surprisal=surprisal.clone(),
                rank=rank.clone(),
                correct=correct.clone(),
                top_ids=top_ids.clone(),
                words=run.subject.spelled,
            )

        for layer in steps(range(n_layers), "reading out layers", n_layers, result):
            logits = next(readouts)
            found = score(logits, tokens, shift, predictions.reason)
            surprisal[layer], rank[layer], correct[layer] = (
                found.surprisal,
                found.rank,
                found.correct,
            )
            ids, _ = top_alternatives(logits, n_scored, self.k)
            top_ids[layer, shift:, : ids.shape[-1]] = ids
        require_read_out(run, surprisal[-1], predictions.surprisal)
        return result()


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LogitLensResult(Measured):
    """What was found.

    Attributes
    ----------
    metric : LogitLens
        What was asked for.
    layers : tuple of int
    tokens : tuple of Token
        The predicted tokens.
    surprisal : Tensor
        ``[layers, tokens]`` float32, nats; NaN where there is no prediction.
    rank : Tensor
        ``[layers, tokens]`` float32, 1 = best; NaN where there is no prediction.
    correct : Tensor
        ``[layers, tokens]`` float32, 0 or 1; NaN where there is no prediction.
    top_ids : Tensor
        ``[layers, tokens, k]`` int64, best first.
    words : callable
        Spells token ids.
    """

    metric: LogitLens
    layers: tuple[int, ...]
    tokens: tuple[Token, ...]
    surprisal: Float[Tensor, "layer token"]
    rank: Float[Tensor, "layer token"]
    correct: Float[Tensor, "layer token"]
    top_ids: Int[Tensor, "layer token k"]
    words: Callable[[Sequence[int]], list[str]]

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        return (
            Choice("surprisal", "Surprisal"),
            Choice("mean_surprisal", "Mean surprisal"),
            Choice("accuracy", "Accuracy"),
            Choice("rank", "Rank"),
        )

    def _scored(self, values: Tensor) -> Float[Tensor, "layer scored"]:
        """Of the tokens that have a prediction; NaN in layers that are not read out yet."""
        predicted = (self.rank > 0).any(dim=0)
        return torch.where(self.rank[:, predicted] > 0, values[:, predicted].float(), torch.nan)

    @property
    def accuracy(self) -> Float[Tensor, " layer"]:
        """Share of the predicted tokens that are the first choice after each layer."""
        return self._scored(self.correct).mean(dim=-1)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer: accuracy, mean and median surprisal (nats), median rank."""
        return table(
            {
                "layer": self.layers,
                "accuracy": self.accuracy.numpy(),
                "surprisal": self._scored(self.surprisal).mean(dim=-1).numpy(),
                "surprisal_median": median(self._scored(self.surprisal)).numpy(),
                "rank": median(self._scored(self.rank)).numpy(),
            }
        )

    def tokens_frame(self) -> pd.DataFrame:
        """Return one row per layer and predicted token, with the most probable words."""
        layer, position = (self.rank > 0).nonzero().T
        where = layer.tolist(), position.tolist()
        return table(
            {
                "layer": [self.layers[i] for i in where[0]],
                "position": where[1],
                "token": [self.tokens[i].text for i in where[1]],
                "surprisal": self.surprisal[layer, position].numpy(),
                "rank": self.rank[layer, position].int().numpy(),
                "correct": self.correct[layer, position].bool().numpy(),
                "top": [self._spelled(i, j) for i, j in zip(*where, strict=True)],
            }
        )

    def _spelled(self, layer: int, position: int) -> list[str]:
        return self.words([i for i in self.top_ids[layer, position].tolist() if i >= 0])

    def chart(self, quantity: str = "") -> LayerChart:
        """Return surprisal (bits), accuracy or rank by layer."""
        if quantity == "accuracy":
            return self._chart("accuracy", self.accuracy[None])
        bits = self.surprisal / math.log(2)
        values, unit = (
            (self.rank, "rank, 1 = best") if quantity == "rank" else (bits, "surprisal, bits")
        )
        scored = self._scored(values)[None]
        middle = "mean" if quantity == "mean_surprisal" else "median"
        line = middle_of(scored, middle, f"{scored.shape[-1]} tokens")
        tokens = torch.where(self.rank > 0, values.float(), torch.nan)[None]
        chart = self._chart(unit, line.values)
        return replace(
            chart,
            middle=line.name,
            interval=line.interval,
            tokens=tokens,
            scale="log" if quantity == "rank" else "linear",
        )

    @property
    def _title(self) -> str:
        fitted = self.metric.fitted
        by = "" if fitted is None else f" ({fitted.label})"
        return f"What the model would predict after each layer{by}"

    def _chart(self, unit: str, values: Tensor) -> LayerChart:
        return LayerChart(
            title=self._title,
            unit=unit,
            layers=self.layers,
            series=[Choice("residual", "true next token")],
            mean=values,
            tokens_are_predicted=True,
            help=_HELP,
        )

    def detail(self, layer: int) -> list[Panel]:
        """Return what this layer would predict at every place."""
        if layer not in self.layers:
            return []
        at = self.layers.index(layer)
        positions = (self.rank[at] > 0).nonzero()[:, 0].tolist()
        rows = [
            [
                str(position),
                self.tokens[position].text,
                str(int(self.rank[at, position])),
                *self._spelled(at, position),
            ]
            for position in positions[:_MOST_ROWS]
        ]
        if not rows:
            return []
        left_out = len(positions) - len(rows)
        return [
            Table(
                title=f"Layer {layer}: what it would predict",
                columns=["", "true token", "rank", *(f"{i + 1}." for i in range(self.metric.k))],
                rows=rows,
                words=f"{left_out} more in .tokens_frame()" if left_out else "",
            )
        ]


def logit_lens(
    trace: Trace,
    *,
    k: int = 5,
    fitted: FittedLens | None = None,
    kind: Kind | None = None,
    progress: Progress | bool | None = None,
) -> LogitLensResult:
    """Apply the model's own final norm and unembedding to the residual stream behind each layer.

    Parameters
    ----------
    trace : Trace
    k : int
        How many of the most probable tokens are kept.
    fitted : FittedLens, optional
        What hidden states are translated by first: a lens that :func:`fit_lens` has fitted.
    kind : str, optional
        Only to say that the encoder has none.
    progress : callable or bool, optional
        As for :meth:`glasshead_backend.Lens.trace`.

    Returns
    -------
    LogitLensResult

    Raises
    ------
    ValueError
        When the model predicts no next token, and for a lens of another model.
    """
    return LogitLens(k=k, fitted=fitted).measure(trace, kind, progress=progress)
