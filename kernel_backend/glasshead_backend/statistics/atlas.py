"""An atlas of a model's heads over a corpus: what each does, how sure that is, and where to see it.

It needs no model: it can be saved, sent to others, and looked at where no model would fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import torch

from glasshead_backend.checks import whole
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.statistics.atlas_examples import Example, ExampleRows
from glasshead_backend.statistics.atlas_file import read_atlas, write_atlas
from glasshead_backend.statistics.atlas_metrics import AtlasMetric
from glasshead_backend.tracing.run import layer_names

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from jaxtyping import Float, Int
    from torch import Tensor
    from typing_extensions import Self

    from glasshead_backend.asking import Kind

__all__ = ["AtlasMetric", "Example", "HeadAtlas"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class HeadAtlas(ShownAsTable):
    """What every head of a model does in a corpus; made by :func:`glasshead.head_atlas`, or loaded.

    Attributes
    ----------
    model, model_class : str
        Name of the model, and of its class.
    kind : str
        Kind of attention.
    layers : tuple of int
        The model's own layer numbers.
    n_heads : tuple of int
        How many heads each of them has.
    metrics : tuple of AtlasMetric
        What was measured.
    n_texts, n_tokens : int
        Texts that were measured, and their tokens: those that look.
    confidence : float
        How sure the intervals are.
    seed : int
        What intervals and examples were drawn with.
    skipped : tuple
        ``(number of the text, why)`` of texts that could not be measured: the first hundred.
    n_skipped : int
        How many there are.
    mean : Tensor
        ``[metrics, layers, heads]`` float64: mean over the texts of a text's mean over its rows.
        NaN where there is no such head, or no such number.
    low, high : Tensor
        ``[metrics, layers, heads]`` float64: the bootstrap interval of it, with the text as unit.
        NaN for fewer than two texts.
    n : Tensor
        ``[metrics, layers, heads]`` int64: texts that have the number.
    rows : Tensor
        ``[metrics, layers, heads, buckets]`` int64: rows by the bucket of their own value.
    """

    model: str
    model_class: str
    kind: Kind
    layers: tuple[int, ...]
    n_heads: tuple[int, ...]
    metrics: tuple[AtlasMetric, ...]
    n_texts: int
    n_tokens: int
    confidence: float
    seed: int
    skipped: tuple[tuple[int, str], ...]
    n_skipped: int
    mean: Float[Tensor, "metric layer head"]
    low: Float[Tensor, "metric layer head"]
    high: Float[Tensor, "metric layer head"]
    n: Int[Tensor, "metric layer head"]
    rows: Int[Tensor, "metric layer head bucket"]
    kept: ExampleRows = field(repr=False)

    def _what(self) -> str:
        texts = f"{self.n_texts:,} text{'' if self.n_texts == 1 else 's'}"
        share = f"{100 * self.confidence:g} % bootstrap intervals"
        return f"HeadAtlas of {self.model}, {self.kind} attention: {texts}, {share}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer and head; of every metric the mean, ``_low`` and ``_high``.

        ``n_texts`` counts the texts that have the head's rows at all; :attr:`n` those that have
        each metric.
        """
        head = torch.arange(self.mean.shape[2])
        layer, head = torch.nonzero(head < torch.tensor(self.n_heads)[:, None], as_tuple=True)
        columns = {"layer": [self.layers[i] for i in layer.tolist()], "head": head.numpy()}
        for i, metric in enumerate(self.metrics):
            of_metric = {"": self.mean[i], "_low": self.low[i], "_high": self.high[i]}
            columns |= {
                f"{metric.name}{end}": values[layer, head].numpy()
                for end, values in of_metric.items()
            }
        return table({**columns, "n_texts": self.n.amax(dim=0)[layer, head].numpy()})

    def examples(
        self, layer: int, head: int, metric: str, bucket: int | None = None
    ) -> tuple[Example, ...]:
        """Return typical rows of a head, those with the highest values first.

        Three rows of every bucket, drawn at random from all that fall in it (fewer where fewer do),
        and the three highest of all.

        Parameters
        ----------
        layer, head : int
        metric : str
            Name of one of :attr:`metrics`.
        bucket : int, optional
            Those of one bucket only.

        Raises
        ------
        ValueError
            For a layer, a head, a metric or a bucket that there is not.
        """
        found = self.kept.examples(self._cell(layer, head, metric))
        if bucket is None:
            return tuple(found)
        asked, n_buckets = whole(bucket, "bucket"), self.rows.shape[-1]
        if not 0 <= asked < n_buckets:
            raise ValueError(f"bucket {bucket} is out of range: there are 0-{n_buckets - 1}.")
        return tuple(one for one in found if one.bucket == asked)

    def examples_frame(self, layer: int, head: int, metric: str) -> pd.DataFrame:
        """Return one row per example: bucket with its ends, value, where it is, what it looks at.

        ``token`` is the row's own token, ``looks_at`` the one of the window that gets most and
        ``weight`` what that gets; ``window`` is the text around.
        """
        found = self.examples(layer, head, metric)
        edges = next(one.edges for one in self.metrics if one.name == metric)
        most = [int(one.weights.argmax()) for one in found]
        return table(
            {
                "bucket": [one.bucket for one in found],
                "from": [edges[one.bucket] for one in found],
                "to": [edges[one.bucket + 1] for one in found],
                "value": [one.value for one in found],
                "text": [one.text for one in found],
                "query": [one.query for one in found],
                "token": [one.token for one in found],
                "looks_at": [one.tokens[i] for one, i in zip(found, most, strict=True)],
                "weight": [float(one.weights[i]) for one, i in zip(found, most, strict=True)],
                "outside": [one.outside for one in found],
                "window": ["".join(one.tokens) for one in found],
            }
        )

    def _cell(self, layer: int, head: int, metric: str) -> int:
        names = [one.name for one in self.metrics]
        if metric not in names:
            raise ValueError(f"There is no metric {metric!r} here: there are {', '.join(names)}.")
        asked = whole(layer, "layer")
        if asked not in self.layers:
            raise ValueError(
                f"layer {layer} is out of range: {self.model} has {layer_names(list(self.layers))} "
                f"with {self.kind} attention."
            )
        at, of_head = self.layers.index(asked), whole(head, "head")
        if not 0 <= of_head < self.n_heads[at]:
            raise ValueError(
                f"head {head} is out of range: layer {layer} has heads 0-{self.n_heads[at] - 1}."
            )
        return (names.index(metric) * len(self.layers) + at) * self.mean.shape[2] + of_head

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to a file of safetensors.

        Parameters
        ----------
        path : str or path
        """
        write_atlas(path, {one.name: getattr(self, one.name) for one in fields(self)})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read an atlas from a file that :meth:`save` has written; no model is needed.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        FileNotFoundError
        ValueError
            When the file holds something else.
        """
        return cls(**read_atlas(path))
