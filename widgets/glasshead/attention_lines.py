"""Lines from every token to the tokens it looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
import traitlets

from glasshead.code import asking
from glasshead.messages import question
from glasshead.trace_view import TraceView
from glasshead.view import bundle
from glasshead_backend.frames import pack
from glasshead_backend.frames.lines import fan, lines_frame, lines_table

if TYPE_CHECKING:
    import pandas as pd

    from glasshead.messages import Answer


class AttentionLines(TraceView):
    """Two columns of tokens (or words), lines between them: colour = head, opacity = weight.

    Parameters
    ----------
    trace : Trace
    **state
        Traits, e.g. ``layer``, ``heads``, ``kind``, ``unit``, ``threshold``.

    Examples
    --------
    >>> from glasshead import AttentionLines, Lens
    >>> view = AttentionLines(Lens.demo("decoder").trace("The whale, the whale!"), layer=1)
    >>> view.layer
    1
    """

    _esm = bundle("attention_lines.js")
    _css = bundle("attention_lines.css")

    threshold = traitlets.Float(
        None,
        min=0.0,
        max=1.0,
        allow_none=True,
        help="Only lines of at least this weight are drawn; None = as many as can be read.",
    ).tag(sync=True)

    def to_frame(self) -> pd.DataFrame:
        """Return the lines drawn: who looks at what, with which head and exact weight."""
        return lines_table(self.trace, self._selection, self.threshold)

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``."""
        return asking(self.trace, "attention", self._selection)

    def _make_frame(self) -> dict[str, Any]:
        return lines_frame(self.trace, self._selection)

    @question
    def fan(self, position: int, side: Literal["query", "key"]) -> Answer:
        """Exact weights of everything that a unit looks at (or that looks at it)."""
        weights = fan(self.trace, self._selection, position, side)
        heads = torch.tensor(self.heads or list(range(weights.shape[0])))
        state = {"layer": self.layer, "kind": self.kind, "unit": self.unit}
        return {**state, "position": position, "side": side}, {
            "weights": pack(weights, torch.float32),
            "heads": pack(heads, torch.uint16),
        }
