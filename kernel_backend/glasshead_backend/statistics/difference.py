"""What is different in one run of a text from another: of its predictions, and of any statistic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glasshead_backend.answering import travels
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.questions.compared import compare_predictions
from glasshead_backend.statistics.by_name import as_metric
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.trace import Trace

__all__ = ["Difference", "difference"]


@travels
@dataclass(frozen=True, eq=False, repr=False)
class Difference(ShownAsTable):
    """How a run of a text differs from an earlier one of the same tokens.

    Attributes
    ----------
    before, after : Trace
        Say, of the whole model, and with a head switched off.
    """

    before: Trace
    after: Trace

    @property
    def surprisal(self) -> Float[Tensor, " token"]:
        """By how much each token surprises more, nats; NaN where there is no prediction."""
        return compare_predictions(run_of(self.after), run_of(self.before)).surprisal

    def statistic(self, metric: Any, kind: Kind | None = None) -> pd.DataFrame:
        """Measure a statistic of both runs.

        Parameters
        ----------
        metric : Metric, str or callable
            As for :class:`glasshead.LayerStatsChart`: ``"entropy"``, ``Induction()`` ...
        kind : str, optional
            One of ``before.kinds``.

        Returns
        -------
        pandas.DataFrame
            The rows of its table; of each number the value in `before` and `after`, and the
            ``difference``: after minus before.
        """
        wanted = as_metric(metric)
        first, second = (wanted.measure(one, kind).to_frame() for one in (self.before, self.after))
        kinds = {str(name): first[name].dtype.kind for name in first.columns}
        numbers = [name for name, kind_of in kinds.items() if kind_of == "f"]
        # What is found significant, say, names no row.
        keys = [name for name, kind_of in kinds.items() if kind_of in "iuO"]
        first, second = first[[*keys, *numbers]], second[[*keys, *numbers]]
        both = first.merge(second, on=keys, how="outer", suffixes=("_before", "_after"), sort=False)
        for name in numbers:
            both[f"{name}_difference"] = both[f"{name}_after"] - both[f"{name}_before"]
        return both

    def _what(self) -> str:
        off = self.after.ablated
        return f"Difference without {off.in_words()}" if off else "Difference of two runs"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per token that is predicted: surprisal before and after, nats."""
        before, after = self.before.predictions(), self.after.predictions()
        return table(
            {
                "token": [token.text for token in before.tokens],
                "before": before.surprisal.cpu().numpy(),
                "after": after.surprisal.cpu().numpy(),
                "difference": self.surprisal.cpu().numpy(),
            }
        )


def difference(before: Trace, after: Trace) -> Difference:
    """Compare two runs of the same tokens.

    Parameters
    ----------
    before, after : Trace
        Say, ``trace`` and ``trace.ablate([(3, 1)])``, or traces of two models with one tokenizer.

    Returns
    -------
    Difference
        After minus before: of each token's surprisal, and of any statistic.

    Raises
    ------
    ValueError
        When the tokens are not the same. (For different texts:
        :meth:`Trace.compare_predictions`.)

    Examples
    --------
    >>> from glasshead import Lens, difference
    >>> trace = Lens.demo("decoder").trace("The white whale. The white whale")
    >>> changed = difference(trace, trace.ablate([(0, 5)]))
    >>> list(changed.statistic("induction").columns)
    ['layer', 'head', 'induction_before', 'induction_after', 'induction_difference']
    """
    for one, other in zip(before.sequences, after.sequences, strict=False):
        if one.ids != other.ids:
            raise ValueError(
                f"difference() takes two runs of the same tokens; the {one.name}s have "
                f"{len(one.ids)} and {len(other.ids)}, and they are not the same. For different "
                "texts: after.compare_predictions(before)."
            )
    if len(before.sequences) != len(after.sequences):
        raise ValueError("difference() takes two runs of the same tokens: one has no target.")
    return Difference(before, after)
