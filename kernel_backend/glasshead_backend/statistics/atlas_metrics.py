"""The numbers that an atlas of heads collects of every row, and the buckets that they fall in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead_backend.asking import Kind


class AtlasMetric(NamedTuple):
    """A number of every row of a head.

    Attributes
    ----------
    name : str
        As it is asked for: "induction".
    label : str
        As it is shown: "Induction".
    unit : str
        What its values are.
    max : float or None
        Its largest value; None = there is none.
    edges : tuple of float
        Where its buckets begin and end, ascending, one more than there are buckets: a value ``v``
        with ``edges[i] <= v < edges[i + 1]`` falls in bucket ``i``; the last one holds its end,
        too. Infinite where it has none.
    """

    name: str
    label: str
    unit: str
    max: float | None
    edges: tuple[float, ...]

    @property
    def n_buckets(self) -> int:
        """How many buckets there are: ten of every metric."""
        return len(self.edges) - 1


_SHARES = tuple(i / 10 for i in range(11))
_BITS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, math.inf)
_TOKENS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, math.inf)
N_BUCKETS = 10

_ALL = (
    AtlasMetric("entropy", "Head entropy", "bits", None, _BITS),
    AtlasMetric("distance", "Head distance", "tokens", None, _TOKENS),
    AtlasMetric("sink", "To first token", "weight on the first token", 1.0, _SHARES),
    AtlasMetric("previous_token", "Previous token", "weight on the token before", 1.0, _SHARES),
    AtlasMetric("same_token", "Same token", "weight on the same token before", 1.0, _SHARES),
    AtlasMetric("induction", "Induction", "weight on what followed last time", 1.0, _SHARES),
    AtlasMetric("punctuation", "Punctuation", "weight on punctuation", 1.0, _SHARES),
)

METRICS = {metric.name: metric for metric in _ALL}
"""All there are, by name, in the order in which they are shown."""

NAMES = tuple(METRICS)

_ACROSS = ("entropy", "sink", "punctuation")
"""What makes sense where a text looks at another one."""


def metrics_of(names: Sequence[str], kind: Kind) -> tuple[AtlasMetric, ...]:
    """Return the metrics of these names; of all, those that make sense for a kind of attention.

    Raises
    ------
    TypeError
        For a single name.
    ValueError
        For a name that there is not, and for a metric that the kind of attention cannot have.
    """
    if isinstance(names, str):
        raise TypeError(f"metrics is a list of names: metrics=[{names!r}].")
    asked = tuple(dict.fromkeys(names))
    if not asked:
        raise ValueError(f"There are no metrics: name one or more of {', '.join(NAMES)}.")
    for name in asked:
        if name not in METRICS:
            raise ValueError(f"There is no metric {name!r}: there are {', '.join(NAMES)}.")
    if kind == "cross":
        lost = [name for name in asked if name not in _ACROSS]
        if lost and asked != NAMES:
            raise ValueError(
                f"{lost[0]}: cross attention leads from one text to another. There it has "
                f"{', '.join(_ACROSS)}; or ask for kind='encoder' or kind='decoder'."
            )
        asked = tuple(name for name in asked if name in _ACROSS)
    return tuple(METRICS[name] for name in asked)
