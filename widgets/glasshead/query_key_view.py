"""What a score is made of: the products of one query with every key, dimension by dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from glasshead.code import asking
from glasshead.messages import question
from glasshead.saying import names
from glasshead.trace_view import TraceView
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend.asking import Selection
from glasshead_backend.frames import axes
from glasshead_backend.frames.query_key import products_of, query_key_frame
from glasshead_backend.questions.query_key import scores_table
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend import Trace
    from glasshead_backend.asking import Side


_DIMENSIONS = 3
"""Dimensions that a sentence names."""


class QueryKeyView(TraceView):
    """Why a token looks where it looks: the products that its scores are summed from.

    Of one query token and one or several heads, for every key token: ``scaling * query * key`` in
    each dimension, their sum, what a soft-cap makes of it, what a position bias adds, the score,
    and the weight that the softmax makes of it. A token that is pinned in a linked view becomes
    the query.

    Parameters
    ----------
    trace : Trace
    **state
        Traits, e.g. ``query``, ``layer``, ``heads``, ``kind``, ``sort``.

    Examples
    --------
    >>> from glasshead import Lens, QueryKeyView
    >>> trace = Lens.demo("decoder").trace("The whale, the whale!")
    >>> view = QueryKeyView(trace, layer=1, heads=[0])
    >>> list(view.to_frame().columns)
    ['head', 'position', 'token', 'dot', 'score', 'weight']
    """

    _esm = bundle("query_key_view.js")
    _css = bundle("query_key_view.css")

    query = traitlets.Int(help="Position of the token that looks; default the last row.").tag(
        sync=True
    )
    key = traitlets.Int(
        None, allow_none=True, help="Position of the key token that is looked at closely, if any."
    ).tag(sync=True)
    sort = traitlets.Enum(
        ["dimension", "largest"],
        default_value="dimension",
        help="Order of the dimensions: by their numbers, or by the mean size of their products in "
        "the first head shown, largest first.",
    ).tag(sync=True)
    rows = traitlets.Enum(
        ["text", "strongest"],
        default_value="text",
        help="Order of the keys: as in the text, or by their scores in the first head shown, "
        "largest first.",
    ).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "layer", "heads", "query")
    _label_traits: ClassVar[tuple[str, ...]] = ("kind",)

    page_parts: ClassVar[frozenset[str]] = frozenset({"query_key"})

    def __init__(self, trace: Trace, **state: Any) -> None:
        self._pinned_before: dict[str, set[int]] = {}
        super().__init__(trace, **state)
        self._note_pins()

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers of every key.

        Columns ``head``, ``position`` and ``token`` of the key, ``dot`` (the products' sum),
        ``capped`` and ``bias`` where the model has such, ``score`` (minus infinity: hidden) and
        ``weight``. The products themselves: ``trace.query_key(...).products``.
        """
        return scores_table(run_of(self.trace), self.shown, self.query)

    def in_words(self) -> list[str]:
        """Return the keys with the largest weights, and the dimensions that count most there."""
        found = self.to_frame().sort_values("weight", ascending=False, kind="stable")
        both = self._make_axes()
        looking, keys = names(both["query"])[self.query], names(both["key"])
        said: list[str] = []
        for row in found[found["weight"] > 0].head(N_SENTENCES).itertuples():
            named: Any = row
            key = int(named.position)
            one = self.trace.query_key(
                self.layer, self.query, int(named.head), kind=self._kind, keys=(key, key + 1)
            )
            top = one.largest(_DIMENSIONS)
            largest = ", ".join(
                f"{dimension} ({product:+.2f})"
                for dimension, product in zip(top["dimension"], top["product"], strict=True)
            )
            said.append(
                f"“{looking}” looks at “{keys[key]}” in head {named.head} with {named.weight:.2f}: "
                f"score {named.score:.2f}, most in dimensions {largest}"
            )
        return said

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``."""
        return asking(self.trace, "query_key", self.shown, self.query)

    @property
    def shown(self) -> Selection:
        """What is shown; its rows and columns are always tokens."""
        return Selection(self._kind, self.layer, tuple(self.heads))

    def _make_frame(self) -> dict[str, Any]:
        return query_key_frame(self.trace, self.shown, self.query)

    def _make_axes(self) -> dict[str, Any]:
        return axes(self.trace, self._kind, "token")

    def _is_long(self) -> bool:
        # A single row is quick, unless the whole module has to run again for it.
        again = run_of(self.trace).call(self.layer, self._kind).path == "replay"
        return again and super()._is_long()

    def _tokens(self, side: Side) -> Any:
        return run_of(self.trace).side(side, self._kind).tokens

    def _fit(self) -> None:
        """Keep query and key within what the kind of attention has."""
        super()._fit()
        last = len(self._tokens("query")) - 1
        with self.hold_trait_notifications():
            self.query = min(self.query, last)
            if self.key is not None and self.key >= len(self._tokens("key")):
                self.key = None

    # ---- what is linked --------------------------------------------------------------------------

    @traitlets.observe("selected", "selected_source")
    def _on_selected(self, _: dict[str, Any]) -> None:
        """Let the query, or in cross-attention the key, be a token that is pinned anew."""
        if not hasattr(self, "_pinned_before") or getattr(self, "_trace", None) is None:
            return
        gained = {
            name: set(getattr(self, name)) - self._pinned_before.get(name, set())
            for name in ("selected", "selected_source")
        }
        self._note_pins()
        query, key = self._pins_of("query"), self._pins_of("key")
        if gained[query]:
            self.query = max(gained[query])
        if key != query and gained[key]:
            self.key = max(gained[key])

    def _note_pins(self) -> None:
        self._pinned_before = {
            name: set(getattr(self, name)) for name in ("selected", "selected_source")
        }

    def _pins_of(self, side: Side) -> str:
        """Name the trait that has the pins of a side."""
        of_source = run_of(self.trace).side(side, self._kind).name == "source"
        return "selected_source" if of_source else "selected"

    @traitlets.default("heads")
    def _first_head(self) -> list[int]:
        return [0]

    @traitlets.default("query")
    def _last_row(self) -> int:
        return len(self._tokens("query")) - 1

    # ---- validation ------------------------------------------------------------------------------

    @traitlets.validate("query", "key")
    def _valid_token(self, proposal: dict[str, Any]) -> int | None:
        name, position = proposal["trait"].name, proposal["value"]
        if position is None:
            return None
        n_tokens = len(self._tokens(name))
        if not -n_tokens <= position < n_tokens:
            raise traitlets.TraitError(
                f"{name} {position} is out of range: the {name} side of {self.kind} attention has "
                f"positions 0-{n_tokens - 1}."
            )
        return position % n_tokens

    # ---- questions -------------------------------------------------------------------------------

    @question
    def products(self, start: int, stop: int) -> Answer:
        """Return the products with a stretch of keys, at most 256 of them, and their vectors."""
        n_keys = len(self._tokens("key"))
        if not 0 <= start < stop <= n_keys:
            raise ValueError(f"keys {start} to {stop} are no part of 0 to {n_keys}.")
        result, arrays = products_of(self.trace, self.shown, self.query, range(start, stop))
        return {**result, "start": start, "stop": stop}, arrays

    @question
    def chosen_products(self, keys: list[int]) -> Answer:
        """Return the products with some keys, at most 256 of them, and their vectors."""
        result, arrays = products_of(self.trace, self.shown, self.query, keys)
        return {**result, "keys": keys}, arrays
