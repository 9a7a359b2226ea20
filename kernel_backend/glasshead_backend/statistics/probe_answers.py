"""What linear probes said of other texts than they were fitted to, and how often it was right."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.significance import Mean, share_and_interval

if TYPE_CHECKING:
    from collections.abc import Hashable

    from jaxtyping import Int
    from torch import Tensor

    from glasshead_backend.statistics.probe_units import ProbedUnit


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ProbeAnswers:
    """Labels of units, and what probes of every layer said, which were fitted to other texts.

    Tensors are on the CPU.

    Attributes
    ----------
    layers : tuple of int
    block : str
        Whose activations were probed.
    classes : tuple
        The labels that there are.
    labels : Tensor
        ``[units]`` int64: the class of every labelled unit.
    predicted : Tensor
        ``[layers, units]`` int64: the class that a probe said; -1 while a layer is to be probed.
    control_labels, control_predicted : Tensor or None
        The same of shuffled labels.
    unit : {"token", "word", "text"}
    units : tuple of str
        What the units say.
    positions, text_of, groups : Tensor
        ``[units]`` int64: (last) token, number of the text, and of the group of texts.
    grouped : bool
        Whether groups were given; else texts that say the same are one.
    unsettled : tuple of int
        Layers with a fit that stopped before it had come to its end.
    confidence : float
        Of the intervals.
    """

    layers: tuple[int, ...]
    block: str
    classes: tuple[Hashable, ...]
    labels: Int[Tensor, " unit"]
    predicted: Int[Tensor, "layer unit"]
    control_labels: Int[Tensor, " unit"] | None
    control_predicted: Int[Tensor, "layer unit"] | None
    unit: ProbedUnit
    units: tuple[str, ...]
    positions: Int[Tensor, " unit"]
    text_of: Int[Tensor, " unit"]
    groups: Int[Tensor, " unit"]
    grouped: bool
    unsettled: tuple[int, ...]
    confidence: float

    @property
    def n_texts(self) -> int:
        """How many texts have labels."""
        return len(self.text_of.unique())

    @property
    def n_groups(self) -> int:
        """How many of them are different, or how many groups of texts there are."""
        return len(self.groups.unique())

    @cached_property
    def accuracy(self) -> Mean:
        """Share of units whose class was said rightly, by layer, with its interval."""
        return self._share(self.predicted, self.labels)

    @cached_property
    def control(self) -> Mean | None:
        """The same of shuffled labels: what a probe reaches that has nothing to read."""
        if self.control_predicted is None or self.control_labels is None:
            return None
        return self._share(self.control_predicted, self.control_labels)

    def _share(self, predicted: Int[Tensor, "layer unit"], labels: Int[Tensor, " unit"]) -> Mean:
        """NaN in layers that are still to be probed."""
        done = predicted[:, 0] >= 0
        right = predicted[done] == labels
        found = share_and_interval(right, self.groups, self.confidence)
        all_of_them = torch.full((3, len(predicted)), torch.nan, dtype=torch.float64)
        all_of_them[:, done] = torch.stack(found)
        return Mean(*all_of_them)

    @property
    def majority(self) -> tuple[Hashable, float]:
        """The most frequent class, and its share: who always says it is right so often."""
        counts = torch.bincount(self.labels)
        most = int(counts.argmax())
        return self.classes[most], int(counts[most]) / len(self.labels)

    def confusion(self, layer: int) -> Int[Tensor, "label predicted"]:
        """Return how often units of each class (rows) were taken for each class in a layer."""
        n = len(self.classes)
        pairs = self.labels * n + self.predicted[self._at(layer)]
        return torch.bincount(pairs, minlength=n * n).reshape(n, n)

    def _at(self, layer: int) -> int:
        if layer not in self.layers:
            raise ValueError(f"layer {layer} was not probed: {', '.join(map(str, self.layers))}.")
        return self.layers.index(layer)
