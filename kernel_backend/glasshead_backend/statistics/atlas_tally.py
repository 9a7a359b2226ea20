"""What some texts add to an atlas of heads: sums that merge, and the examples kept so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glasshead_backend.corpora.skipped import Skipped
from glasshead_backend.statistics.atlas_examples import COLUMNS, ExampleRows
from glasshead_backend.statistics.poisson_weights import poisson_weights
from glasshead_backend.statistics.significance import Mean

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy.typing import NDArray
    from torch import Tensor
    from typing_extensions import Self

    from glasshead_backend.statistics.atlas_part import PartRows

N_REPLICATES = 1000
"""Replicates of the bootstrap: how many percentiles there are to read an interval from."""

_FACTS = ("layers", "n_heads", "n_texts", "n_tokens")
_SUMS = ("total", "n", "weighted", "drawn", "rows")


@dataclass(frozen=True, eq=False)
class HeadAtlasTally:
    """Sums over texts, by metric, layer and head.

    Attributes
    ----------
    layers, n_heads : tuple of int
        The model's own numbers, and how many heads each has; none before a text was measured.
    n_texts, n_tokens : int
    skipped : Skipped
        Texts that could not be measured.
    total : Tensor
        ``[metrics, layers, heads]`` float64: sum of the texts' means.
    n : Tensor
        The same, int64: texts that have one.
    weighted : Tensor
        ``[replicates, metrics, layers, heads]`` float64: the sum with each text as often as it is
        in a replicate ...
    drawn : Tensor
        ... and of how many means.
    rows : Tensor
        ``[metrics, layers, heads, buckets]`` int64.
    kept : ExampleRows
    """

    layers: tuple[int, ...] = ()
    n_heads: tuple[int, ...] = ()
    n_texts: int = 0
    n_tokens: int = 0
    skipped: Skipped = field(default_factory=Skipped)
    total: Float[Tensor, "metric layer head"] = field(default_factory=lambda: torch.zeros(0))
    n: Int[Tensor, "metric layer head"] = field(default_factory=lambda: torch.zeros(0))
    weighted: Float[Tensor, "replicate metric layer head"] = field(
        default_factory=lambda: torch.zeros(0)
    )
    drawn: Float[Tensor, "replicate metric layer head"] = field(
        default_factory=lambda: torch.zeros(0)
    )
    rows: Int[Tensor, "metric layer head bucket"] = field(default_factory=lambda: torch.zeros(0))
    kept: ExampleRows = field(default_factory=ExampleRows.none)

    @classmethod
    def of_rows(
        cls,
        rows: PartRows,
        numbers: NDArray[np.int64],
        *,
        layers: tuple[int, ...],
        n_heads: tuple[int, ...],
        n_tokens: int,
        skipped: Skipped,
    ) -> Self:
        """Sum what was collected of a part's texts, `numbers` in the corpus."""
        sums, counts = rows.sums[: len(numbers)], rows.counts[: len(numbers)]
        there = counts > 0
        means = torch.where(there, sums / counts, 0.0)
        weights = torch.from_numpy(poisson_weights(rows.seed, numbers, N_REPLICATES))
        shape = (N_REPLICATES, *rows.shape)
        return cls(
            layers=layers,
            n_heads=n_heads,
            n_texts=len(numbers),
            n_tokens=n_tokens,
            skipped=skipped,
            total=means.sum(dim=0),
            n=there.sum(dim=0),
            weighted=(weights @ means.flatten(1)).view(shape),
            drawn=(weights @ there.double().flatten(1)).view(shape),
            rows=rows.rows,
            kept=rows.examples(),
        )

    def merged(self, other: Self) -> Self:
        """Return the sums over the texts of both.

        Raises
        ------
        ValueError
            When the two are of models with other layers or heads.
        """
        skipped = self.skipped.merged(other.skipped)
        if not self.n_texts or not other.n_texts:
            return replace(self if self.n_texts else other, skipped=skipped)
        if (self.layers, self.n_heads) != (other.layers, other.n_heads):
            raise ValueError(
                "These parts were measured with models that have other layers or heads: "
                "give every worker the same model."
            )
        return replace(
            self,
            n_texts=self.n_texts + other.n_texts,
            n_tokens=self.n_tokens + other.n_tokens,
            skipped=skipped,
            **{name: getattr(self, name) + getattr(other, name) for name in _SUMS},
            kept=self.kept.merged(other.kept),
        )

    def interval(self, confidence: float) -> Mean:
        """Mean over the texts, and the percentiles of the replicates' means around it."""
        mean = torch.where(self.n > 0, self.total / self.n, torch.nan)
        of_replicates = (self.weighted / self.drawn).flatten(1).numpy()
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        # Of few texts a replicate may hold none: it says nothing.
        some = np.isnan(of_replicates).any(axis=0) & ~np.isnan(of_replicates).all(axis=0)
        found = np.quantile(of_replicates, ends, axis=0)
        if some.any():
            found[:, some] = np.nanquantile(of_replicates[:, some], ends, axis=0)
        interval = torch.from_numpy(found).view(2, *mean.shape)
        # One text says nothing of others.
        low, high = torch.where(self.n > 1, interval, torch.nan)
        return Mean(mean, low, high)

    def to_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and what else there is, for a checkpoint."""
        tensors = {name: getattr(self, name) for name in _SUMS}
        tensors |= {f"examples.{name}": one for name, one in self.kept.columns().items()}
        state = {name: getattr(self, name) for name in _FACTS}
        others = {"skipped": self.skipped.to_state(), "spellings": self.kept.spellings}
        return tensors, state | others

    @classmethod
    def from_state(cls, tensors: dict[str, Tensor], state: dict[str, Any]) -> Self:
        """Return what :meth:`to_state` has told."""
        columns = {name: tensors[f"examples.{name}"] for name in COLUMNS}
        return cls(
            layers=tuple(state["layers"]),
            n_heads=tuple(state["n_heads"]),
            n_texts=state["n_texts"],
            n_tokens=state["n_tokens"],
            skipped=Skipped.from_state(state["skipped"]),
            **{name: tensors[name] for name in _SUMS},
            kept=ExampleRows(**columns, spellings=tuple(state["spellings"])),
        )
