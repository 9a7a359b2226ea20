"""Lines from every token to the tokens it looks at."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from glasshead.code import asking
from glasshead.lines_code import lines_code
from glasshead.map_view import MAP_TRAITS, MapView
from glasshead.messages import question
from glasshead.saying import look_sentences
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend.frames.fans import fans
from glasshead_backend.frames.lines import (
    Rule,
    frame_key,
    lines_chunk,
    lines_frame,
    strongest_lines,
)
from glasshead_backend.frames.lines_table import lines_table, lit_lines_table
from glasshead_backend.frames.sentences import SENTENCES, is_pair, not_a_pair
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend.asking import Side

_MOST_FANS = 4


class AttentionLines(MapView):
    """Two columns of tokens (or words), and lines between them: the stronger, the clearer.

    Several heads are drawn as their mean in one ink (``aggregate="mean"`` or ``"max"``), or each in
    its own colour (``"separate"``). Of every token its ``top_k`` strongest lines are drawn, two
    unless set otherwise, whatever else is shown.

    Parameters
    ----------
    trace : Trace
    **state
        Traits, e.g. ``layer``, ``heads``, ``kind``, ``unit``, ``aggregate``, ``sinks``, ``top_k``,
        ``threshold``, ``sentences``.

    Examples
    --------
    >>> from glasshead import AttentionLines, Lens
    >>> view = AttentionLines(Lens.demo("decoder").trace("The whale, the whale!"), layer=1)
    >>> view.layer
    1
    """

    _esm = bundle("attention_lines.js")
    _css = bundle("attention_lines.css")

    top_k = traitlets.Int(
        2,
        min=1,
        allow_none=True,
        help="Lines drawn of every token (and head, where each is drawn by itself), the strongest; "
        "None = however many.",
    ).tag(sync=True)
    threshold = traitlets.Float(
        None,
        min=0.0,
        max=1.0,
        allow_none=True,
        help="Only lines of at least this weight are drawn; None = however weak.",
    ).tag(sync=True)
    sentences = traitlets.Enum(
        SENTENCES,
        default_value="all",
        help='Of a sentence pair, only lines from one sentence to one: "AB" = rows of sentence A, '
        'columns of sentence B, weights as they are; "all" = all lines.',
    ).tag(sync=True)
    blank = traitlets.Bool(
        False, help="Draw no lines but those of tokens that are pointed at or pinned."
    ).tag(sync=True)

    orientation = traitlets.Enum(
        ["vertical", "horizontal"],
        default_value="vertical",
        help='Tokens in two columns; "horizontal" = in two rows, for short texts.',
    ).tag(sync=True)

    page_parts: ClassVar[frozenset[str]] = frozenset({"weights"})
    _frame_traits: ClassVar[tuple[str, ...]] = (*MAP_TRAITS, "sentences")

    _asked_side: Side = "query"
    """The side of one text that the page last asked for: what is pointed at is on it."""

    def to_frame(self) -> pd.DataFrame:
        """Return the lines drawn, strongest first: who looks at what, with which exact weight.

        Returns
        -------
        DataFrame
            ``source``, ``target``, ``head`` (-1 = several, combined), ``weight``,
            ``source_position``, ``target_position``, and where rows predict ``predicted``. With
            ``blank`` the lines of the tokens that are pointed at or pinned.
        """
        if self.blank:
            rows, columns = self._lit("query"), self._lit("key")
            return lit_lines_table(
                self.trace, self._selection, self._sinks, rows, columns, self._sentences
            )
        return lines_table(self.trace, self._selection, self._sinks, self._rule, self._sentences)

    def in_words(self) -> list[str]:
        """Return the strongest lines in words."""
        drawn = self.to_frame()
        several, lines = len(set(drawn["head"])) > 1, drawn.head(N_SENTENCES)
        of = [f" in head {head}" if several else "" for head in lines["head"]]
        columns = (lines[name] for name in ("source_position", "target_position", "weight"))
        return look_sentences(self._make_axes(), zip(*columns, strict=True), of) + self._elsewhere()

    def code(self) -> str:
        """Return the Python that gives the lines drawn, of a ``trace``.

        With ``blank`` it gives all weights.
        """
        if self.blank:
            return asking(self.trace, "attention", self._selection)
        drawn = self.frame or self._make_frame()  # a pane may not be drawn yet
        return lines_code(
            self.trace, self._selection, drawn["sinks"]["mode"], self._rule, self._sentences
        )

    def _make_frame(self) -> dict[str, Any]:
        frame = lines_frame(self.trace, self._selection, self._sinks, self._rule, self._sentences)
        return {**frame, "fans": self._lit_fans()}

    def _lit_fans(self) -> list[dict[str, Any]]:
        """Return the fans of what is pointed at or pinned: the page need not ask for them.

        A frame does not wait for many of them, nor for a column of a map that takes long.
        """
        rows, columns = self._lit("query"), self._lit("key")
        if self._asked_side == "key":
            columns = columns or rows
        lit: dict[Side, list[int]] = {"query": rows, "key": [] if self._is_long() else columns}
        places: Iterator[tuple[int, Side]] = (
            (unit, side) for side, units in lit.items() for unit in units
        )
        asked, sinks = self._selection, self._sinks
        found = (
            fans(self.trace, asked, sinks, unit, side, self._sentences, most=1)
            for unit, side in islice(places, _MOST_FANS)
        )
        return [{**result, **arrays} for result, arrays in found]

    def _elsewhere(self) -> list[str]:
        """Say how much attention is not between the sentences that are drawn."""
        if self.sentences == "all":
            return []
        drawn = self.frame or self._make_frame()  # a pane may not be drawn yet
        of, to = self.sentences
        return [
            f"{drawn['elsewhere']:.1%} of the attention is not from sentence {of} to sentence {to}"
        ]

    def _fit(self) -> None:
        super()._fit()
        if self.sentences != "all" and not is_pair(self.trace, self._kind):
            self.sentences = "all"

    @property
    def _sentences(self) -> Any:
        """Whose attention is drawn as the frame's type; the trait holds a plain string."""
        return self.sentences

    @traitlets.validate("sentences")
    def _valid_sentences(self, proposal: dict[str, Any]) -> str:
        if proposal["value"] != "all" and not is_pair(self.trace, self._kind):
            raise traitlets.TraitError(not_a_pair(self.trace, self._kind, proposal["value"]))
        return proposal["value"]

    @property
    def _rule(self) -> Rule:
        """Which lines are drawn."""
        return Rule(self.top_k, self.threshold)

    def _lit(self, side: Side) -> list[int]:
        """Units of a side whose own lines are drawn; of one text these are its rows."""
        sides = run_of(self.trace).sides
        names = {of: sides.of(of, self._kind).name for of in ("query", "key")}
        if side == "key" and names["key"] == names["query"]:
            return []
        source = names[side] == "source"
        lit = self.selected_source if source else self.selected
        hovered = self.hovered_source if source else self.hovered
        unit_of = sides.unit_of_token(side, self._kind, self._unit)
        tokens = [*lit, *([] if hovered is None else [hovered])]
        return sorted({int(unit_of[token]) for token in tokens if token < len(unit_of)})

    @question
    def fan(self, position: int, side: Side) -> Answer:
        """Exact weights of all that a unit looks at (or that looks at it), and its neighbours."""
        self._asked_side = side
        asked, sinks = self._selection, self._sinks
        result, arrays = fans(self.trace, asked, sinks, position, side, self._sentences)
        return {"key": frame_key(asked, sinks, self._sentences), **result}, arrays

    @question
    def lines(self, chunk: int) -> Answer:
        """Answer with the lines of the rows of one part of a long text, and those to its units."""
        asked, sinks = self._selection, self._sinks
        part, arrays = lines_chunk(self.trace, asked, sinks, self._sentences, chunk)
        return {"key": frame_key(asked, sinks, self._sentences), **part}, arrays

    @question
    def shown(self, top_k: int, threshold: float) -> Answer:
        """Answer how many lines of the whole text a rule draws, and their share; 0 = no limit."""
        asked, sinks = self._selection, self._sinks
        lines = strongest_lines(self.trace, asked, sinks, self._sentences)
        shown = lines.shown(Rule(top_k or None, threshold or None))
        return {"key": frame_key(asked, sinks, self._sentences), **shown}, {}
