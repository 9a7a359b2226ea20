"""The attention matrix over words: rows look, columns are looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import traitlets

from glasshead.map_view import MAP_TRAITS, MapView
from glasshead.matrix_code import matrix_code
from glasshead.messages import question
from glasshead.saying import look_sentences
from glasshead.values import required
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend import Trace
from glasshead_backend.frames import axes, pack
from glasshead_backend.frames.cells import matrix_cell
from glasshead_backend.frames.drawn import MatrixAsked, first_difference
from glasshead_backend.frames.matrix import (
    matrix_cells,
    matrix_frame,
    matrix_table,
    matrix_tile,
)
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import ClassVar

    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend.asking import Selection, Side

_SIDES: tuple[Side, Side] = ("query", "key")

_ALONE = (
    "scores=True and {name} do not go together: a softmax sees no more of a row's scores than how "
    "far they are apart. Set scores=False or leave {name} out."
)


class FusedAttentionMatrix(MapView):
    """A heat map of one head, of the mean or maximum of several, or of a difference.

    Heads cannot be drawn apart in it: ``aggregate="separate"`` shows their mean.

    With ``unit="word"`` (the default) token attention is fused: summed over the tokens of the word
    looked at, averaged over the tokens of the word that looks, so that every row keeps its sum.

    Parameters
    ----------
    trace : Trace
    **state
        Traits, e.g. ``layer``, ``heads``, ``kind``, ``unit``, ``aggregate``, ``scale``,
        ``compare``.

    Examples
    --------
    >>> from glasshead import FusedAttentionMatrix, Lens
    >>> trace = Lens.demo("decoder").trace("The whale, the whale!")
    >>> view = FusedAttentionMatrix(trace, layer=1, heads=[0], compare={"heads": [1]})
    >>> view.to_frame().shape
    (6, 6)
    """

    _esm = bundle("fused_attention_matrix.js")
    _css = bundle("fused_attention_matrix.css")

    unit = traitlets.Enum(
        ["token", "word"], default_value="word", help="What rows and columns stand for."
    ).tag(sync=True)
    scale = traitlets.Enum(
        ["sqrt", "linear", "log"],
        default_value="sqrt",
        help="How weights map to colours; differences have their sign.",
    ).tag(sync=True)
    value_range = traitlets.Enum(
        ["data", "fixed"],
        default_value="data",
        help='Colours end at what is in view ("data"), or always at 1 ("fixed").',
    ).tag(sync=True)
    normalise = traitlets.Bool(
        False, help="Divide every row by its sum over the columns shown."
    ).tag(sync=True)
    hide_special = traitlets.Bool(
        False, help="Leave out the rows and columns of special tokens; nothing is renormalised."
    ).tag(sync=True)
    scores = traitlets.Bool(
        False,
        help="Show scores, what enters the softmax, instead of the weights that they become; only "
        "of tokens, not with `normalise` or `compare`.",
    ).tag(sync=True)
    compare = traitlets.Dict(
        default_value=None,
        allow_none=True,
        help=(
            "What is taken away: {'layer': int, 'heads': [int, ...]}; what it does not name is the "
            "view's own. None = nothing. Another trace: compare_to()."
        ),
    ).tag(sync=True)
    pinned = traitlets.List(
        traitlets.Int(),
        help=(
            "The pinned cell: token positions of its row and of its column; empty = none. Both "
            "are in `selected` (or `selected_source`), too."
        ),
    ).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = (
        *MAP_TRAITS,
        *("normalise", "hide_special", "scores", "compare"),
    )
    _label_traits: ClassVar[tuple[str, ...]] = ("kind", "unit", "hide_special")

    page_parts: ClassVar[frozenset[str]] = frozenset({"weights"})

    def __init__(self, trace: Trace, **state: Any) -> None:
        self._other: Trace | None = None
        if state.get("scores"):
            state.setdefault("unit", "token")
        super().__init__(trace, **state)

    def compare_to(
        self, trace: Trace, *, layer: int | None = None, heads: Sequence[int] | None = None
    ) -> None:
        """Show how far this trace's attention is from that of another trace of the same tokens.

        ``view.compare = None`` goes back.

        Parameters
        ----------
        trace : Trace
            Of the same tokens: of another model with the same tokenizer, say.
        layer : int, optional
            Layer of the other trace; default: always the one that the view shows.
        heads : sequence of int, optional
            Heads of the other trace; default: always those that the view shows.

        Raises
        ------
        TypeError
            For something that is no trace.
        ValueError
            For a trace of other tokens; the message names the first that differs.
        """
        if not isinstance(trace, Trace):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"compare_to() takes a trace, got {type(trace).__name__}. Another layer or other "
                "heads of the same trace: view.compare = {'layer': 2, 'heads': [0]}."
            )
        different = first_difference(self.trace, trace)
        if different:
            raise ValueError(
                f"These traces cannot be compared: {different}. Compare traces of the same tokens: "
                "one text, read by the same tokenizer."
            )
        value: dict[str, Any] = {"trace": trace.lens.name}
        if layer is not None:
            value["layer"] = layer
        if heads is not None:
            value["heads"] = heads
        value = self._checked(value, trace) or value
        if self.compare == value:
            self.compare = None  # another trace of the same name
        self._other = trace
        self.compare = value

    def close(self) -> None:
        """Close the view and let go of its traces."""
        super().close()
        self._other = None

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers drawn, with their words (or tokens) as index and columns.

        They are what is on screen: normalised, without special tokens, scores (of what is masked
        -inf), or the difference.
        """
        return matrix_table(*self._shown)

    def in_words(self) -> list[str]:
        """Return the largest numbers in words."""
        import numpy as np  # noqa: PLC0415  loaded when it is needed

        drawn = self.frame or self._make_frame()  # a pane may not be drawn yet
        query, key, weight = (
            np.frombuffer(part["data"], part["dtype"]) for part in drawn["largest"].values()
        )
        largest = zip(query, key, weight, strict=True)
        what = "a score of " if drawn["scores"] else ""
        return look_sentences(self._make_axes(), largest, what=what)[:N_SENTENCES]

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture.

        Of a ``trace``, and where another one is compared of that, as ``other``.
        """
        return matrix_code(*self._shown)

    @property
    def _selection(self) -> Selection:
        """What is shown, with its heads combined."""
        selection = super()._selection
        return replace(selection, aggregate=selection.aggregate or "mean")

    @property
    def _shown(self) -> tuple[Trace, MatrixAsked, Trace | None]:
        """What is drawn, as the functions that compute it take it."""
        asked = MatrixAsked(
            self._selection,
            # They are found by their weights; a picture of scores has nothing to set aside for.
            sinks="shown" if self.scores else self._sinks,
            normalise=self.normalise,
            hide_special=self.hide_special,
            other=self._taken_away,
            scores=self.scores,
        )
        named = self.compare is not None and "trace" in self.compare
        return self.trace, asked, self._other if named else None

    @property
    def _taken_away(self) -> Selection | None:
        """The map that is taken away; what `compare` does not name is the view's own."""
        if self.compare is None:
            return None
        own = self._selection
        heads = self.compare.get("heads")
        return replace(
            own,
            layer=self.compare.get("layer", own.layer),
            heads=own.heads if heads is None else tuple(heads),
        )

    def _make_frame(self) -> dict[str, Any]:
        trace, asked, other = self._shown
        return {**matrix_frame(trace, asked, other), "key": self._state_key()}

    def _make_axes(self) -> dict[str, Any]:
        return axes(self.trace, self._kind, self._unit, special=not self.hide_special)

    @traitlets.validate("compare")
    def _valid_compare(self, proposal: dict[str, Any]) -> dict[str, Any] | None:
        value = self._checked(proposal["value"], self._other)
        if value is not None and self.scores:
            raise traitlets.TraitError(_ALONE.format(name="compare"))
        return value

    @traitlets.validate("normalise")
    def _valid_normalise(self, proposal: dict[str, Any]) -> bool:
        if proposal["value"] and self.scores:
            raise traitlets.TraitError(_ALONE.format(name="normalise"))
        return proposal["value"]

    @traitlets.validate("scores")
    def _valid_scores(self, proposal: dict[str, Any]) -> bool:
        if not proposal["value"]:
            return False
        if self.unit == "word":
            raise traitlets.TraitError(
                "scores=True is for tokens: scores before the softmax have no meaning summed over "
                'words. Set unit="token" first.'
            )
        if self.normalise or self.compare is not None:
            name = "normalise" if self.normalise else "compare"
            raise traitlets.TraitError(_ALONE.format(name=name))
        return True

    @traitlets.observe("unit")
    def _on_unit(self, _: dict[str, Any]) -> None:
        """Words have weights only."""
        if self.unit == "word" and self.scores:
            self.scores = False

    def _checked(self, value: dict[str, Any] | None, other: Trace | None) -> dict[str, Any] | None:
        """Return what is to be compared, if it is there."""
        if value is None:
            return None
        unknown = sorted(set(value) - {"layer", "heads", "trace"})
        if unknown:
            raise traitlets.TraitError(
                f"compare has no {unknown[0]!r}. It takes: layer, heads; another trace: "
                "compare_to(trace)."
            )
        trace = self.trace
        if "trace" in value:
            if other is None or other.lens.name != value["trace"]:
                raise traitlets.TraitError(
                    f"compare names the trace {value['trace']!r}, which is not there: call "
                    "compare_to(trace)."
                )
            trace = other
        layer = value.get("layer", self.layer)
        try:
            n_heads = run_of(trace).call(layer, self._kind).n_heads
        except ValueError as error:
            raise traitlets.TraitError(f"compare: {error}") from None
        named = value.get("heads")
        if named is not None:
            named = required(self, type(self).heads, "compare: heads", named)
        heads = sorted(set(named or []))
        wrong = [head for head in heads if not 0 <= head < n_heads]
        if wrong:
            raise traitlets.TraitError(
                f"compare: head {wrong[0]} is out of range: layer {layer} has heads "
                f"0-{n_heads - 1}."
            )
        return value if named is None else {**value, "heads": heads}

    def _fit(self) -> None:
        super()._fit()
        try:
            self._checked(self.compare, self._other)
        except traitlets.TraitError:
            self.compare = None
        self._let_pin_go()

    def _on_trace(self) -> None:
        if self._other is not None and first_difference(self.trace, self._other):
            self.compare = self._other = None

    # ---- the pinned cell -------------------------------------------------------------------------

    @traitlets.validate("pinned")
    def _valid_pinned(self, proposal: dict[str, Any]) -> list[int]:
        pair: list[int] = proposal["value"]
        if len(pair) not in (0, 2):
            raise traitlets.TraitError(
                f"pinned {pair} is no cell: give the token positions of its row and its column, "
                "or [] for none."
            )
        for side, position in zip(_SIDES, pair, strict=False):
            n_tokens = len(run_of(self.trace).side(side, self._kind).tokens)
            if not 0 <= position < n_tokens:
                raise traitlets.TraitError(
                    f"pinned {position} is out of range: the {side} side of {self.kind} attention "
                    f"has positions 0-{n_tokens - 1}."
                )
        return pair

    @traitlets.observe("pinned")
    def _on_pinned(self, change: dict[str, Any]) -> None:
        """Select what is pinned, for linked views."""
        if change["new"]:
            with self.hold_trait_notifications():
                for name, tokens in self._tokens_pinned().items():
                    setattr(self, name, tokens)

    @traitlets.observe("selected", "selected_source")
    def _on_selected(self, _: dict[str, Any]) -> None:
        self._let_pin_go()

    def _let_pin_go(self) -> None:
        """Let the pinned cell go where something else was selected since."""
        if self.pinned and any(getattr(self, n) != t for n, t in self._tokens_pinned().items()):
            self.pinned = []

    def _tokens_pinned(self) -> dict[str, list[int]]:
        """Return what has to be selected for the pinned cell, by trait."""
        tokens: dict[str, set[int]] = {}
        for side, position in zip(_SIDES, self.pinned, strict=False):
            of_source = run_of(self.trace).side(side, self._kind).name == "source"
            tokens.setdefault("selected_source" if of_source else "selected", set()).add(position)
        return {name: sorted(positions) for name, positions in tokens.items()}

    @question
    def cell(self, query: int, key: int) -> Answer:
        """Exact numbers of a cell and its neighbours: rank and sum of the row, weight by heads."""
        trace, asked, other = self._shown
        result, arrays = matrix_cell(trace, asked, query, key, other)
        return self._about(result), arrays

    @question
    def cells(self, query0: int, query1: int, key0: int, key1: int) -> Answer:
        """Return the exact numbers of a part of the matrix."""
        trace, asked, other = self._shown
        values = matrix_cells(trace, asked, (query0, query1), (key0, key1), other)
        result = {"query0": query0, "query1": query1, "key0": key0, "key1": key1}
        return self._about(result), {"values": pack(values, torch.float32)}

    @question
    def tile(self, query0: int, query1: int, key0: int, key1: int) -> Answer:
        """Return a part of the matrix at the best resolution that fits 512 x 512 cells."""
        trace, asked, other = self._shown
        tile = matrix_tile(trace, asked, (query0, query1), (key0, key1), other)
        arrays = {name: tile.pop(name) for name in ("values", "row_scale")}
        result = {"query0": query0, "query1": query1, "key0": key0, "key1": key1}
        return self._about({**result, **tile}), arrays

    def _about(self, result: dict[str, Any]) -> dict[str, Any]:
        """Say which picture an answer belongs to: the page may still show the last one."""
        return {"about": self._state_key(), **result}
