"""The attention matrix over words: rows look, columns are looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import traitlets

from glasshead.code import asking
from glasshead.messages import question
from glasshead.trace_view import TraceView
from glasshead.view import bundle
from glasshead_backend.frames import pack
from glasshead_backend.frames.lines import fan
from glasshead_backend.frames.matrix import matrix_frame, matrix_table, matrix_tile

if TYPE_CHECKING:
    from typing import ClassVar

    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend.asking import Selection


class FusedAttentionMatrix(TraceView):
    """A heat map of one head, or of the mean or maximum of several.

    With ``unit="word"`` (the default) token attention is fused: summed over the tokens of the word
    looked at, averaged over the tokens of the word that looks, so that every row keeps its sum.

    Parameters
    ----------
    trace : Trace
    **state
        Traits, e.g. ``layer``, ``heads``, ``kind``, ``unit``, ``aggregate``, ``scale``.
    """

    _esm = bundle("fused_attention_matrix.js")
    _css = bundle("fused_attention_matrix.css")

    unit = traitlets.Enum(
        ["token", "word"], default_value="word", help="What rows and columns stand for."
    ).tag(sync=True)
    aggregate = traitlets.Enum(
        ["mean", "max"], default_value="mean", help="How several heads are combined."
    ).tag(sync=True)
    scale = traitlets.Enum(
        ["linear", "log"], default_value="linear", help="How weights map to colours."
    ).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "layer", "heads", "unit", "aggregate")

    def to_frame(self) -> pd.DataFrame:
        """Return the matrix with its words (or tokens) as index and columns."""
        return matrix_table(self.trace, self._selection)

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``."""
        return asking(self.trace, "attention", self._selection)

    @property
    def _selection(self) -> Selection:
        """What is shown, with its heads combined."""
        return replace(super()._selection, aggregate=self._aggregate)

    @property
    def _aggregate(self) -> Any:
        """The aggregate as a selection's type; the trait holds a plain string."""
        return self.aggregate

    def _make_frame(self) -> dict[str, Any]:
        return matrix_frame(self.trace, self._selection)

    @question
    def cell(self, query: int, key: int) -> Answer:
        """Exact weight of one cell, its row's sum, and the weight in every head."""
        rows = fan(self.trace, self._selection, query, "query")
        row = rows.mean(dim=0) if self.aggregate == "mean" else rows.amax(dim=0)
        heads = torch.tensor(self.heads or list(range(rows.shape[0])))
        result = {
            "query": query,
            "key": key,
            "weight": float(row[key]),
            "row_sum": float(row.sum()),
        }
        return result, {
            "weights": pack(rows[:, key], torch.float32),
            "heads": pack(heads, torch.uint16),
        }

    @question
    def tile(self, query0: int, query1: int, key0: int, key1: int) -> Answer:
        """Return a part of the matrix at the best resolution that fits 512 x 512 cells."""
        values, scale, pooled, per_pixel = matrix_tile(
            self.trace, self._selection, (query0, query1), (key0, key1)
        )
        result = {"query0": query0, "query1": query1, "key0": key0, "key1": key1}
        return {**result, "pooled": pooled, "cells_per_pixel": per_pixel}, {
            "values": pack(values, torch.uint8),
            "row_scale": pack(scale, torch.float32),
        }
