"""An attention call whose query and key are with a server: blocks of its weights are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.answering import answered
from glasshead_backend.capture.call import AttentionCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor
    from typing_extensions import Self

    from glasshead_backend.asking import Kind, Precision
    from glasshead_backend.capture.call import Path
    from glasshead_backend.tracing.run import Run


@answered
def visible_weights(
    run: Run,
    kind: Kind,
    layer: int,
    heads: Sequence[int],
    rows: Sequence[int],
    *,
    scores: bool,
    precision: Precision,
) -> Float[Tensor, "head query visible"]:
    """Return a block of weights of a run; see :meth:`AttentionCall.visible_weights`."""
    call = run.call(layer, kind)
    return call.visible_weights(heads, rows, scores=scores, precision=precision)


@dataclass(eq=False)
class ServedCall(AttentionCall):
    """One attention call of a run that is with a server.

    Parameters
    ----------
    at : RunAtServer
        The run, as its server knows it.
    kind, layer
        Which call it is.
    facts : dict
        What is known of it, see :func:`glasshead_backend.served.facts.facts_of`.
    """

    at: Any
    kind: Kind
    layer: int
    facts: dict[str, Any]

    @property
    def path(self) -> Path:
        """How the server computes them."""
        return self.facts["path"]

    @property
    def n_heads(self) -> int:
        """Number of query heads."""
        return self.facts["n_heads"]

    @property
    def n_queries(self) -> int:
        """Number of tokens that look."""
        return self.facts["n_queries"]

    @property
    def n_keys(self) -> int:
        """Number of tokens that are looked at."""
        return self.facts["n_keys"]

    @property
    def device(self) -> torch.device:
        """Where answers come to."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are answered in."""
        return torch.float64 if self.facts["dtype"] == "float64" else torch.float32

    @property
    def nbytes(self) -> int:
        """Nothing is kept here."""
        return 0

    @property
    def remainder(self) -> str:
        """What takes the share of attention that a row lacks to 1."""
        return self.facts["remainder"]

    def visible_weights(
        self,
        heads: Sequence[int],
        rows: Sequence[int],
        *,
        scores: bool = False,
        precision: Precision = "model",
    ) -> Float[Tensor, "head query visible"]:
        """Weights of some heads and rows, by the server; see the base class."""
        return visible_weights(
            self.at, self.kind, self.layer, heads, rows, scores=scores, precision=precision
        )

    def of_sequence(self, index: int, queries: range, keys: range) -> Self:  # noqa: ARG002
        """Return it: it is of one text."""
        return self
