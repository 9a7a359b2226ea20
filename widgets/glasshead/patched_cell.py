"""The part of a grid of patched runs that is about one of them: the chosen cell, and its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from glasshead.trace_view import TraceView
from glasshead_backend import Cancelled, Patched, Trace
from glasshead_backend.questions.patching import heads_by_site
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.run import layer_names

if TYPE_CHECKING:
    from collections.abc import Callable

_CELL = 2


class PatchedCell(TraceView):
    """A view whose cells are runs, one of which can be chosen and shown elsewhere."""

    what = traitlets.Enum(
        ["residual", "attention", "mlp", "head"],
        default_value="residual",
        help="What is put in: the residual stream behind a layer, what its attention block or its "
        "MLP adds, at one token; or what one head gathers, at all of them.",
    ).tag(sync=True)
    positions = traitlets.List(
        traitlets.Int(), help="Only these tokens, ascending; empty = all."
    ).tag(sync=True)
    only_layers = traitlets.List(
        traitlets.Int(), help="Only these layers, ascending; empty = all."
    ).tag(sync=True)
    cell = traitlets.List(
        traitlets.Int(),
        help="The chosen cell: [layer, position], or [layer, head]; empty = none.",
    ).tag(sync=True)

    def __init__(self, clean: Trace, corrupted: Trace, **state: Any) -> None:
        self._corrupted: Trace | None = corrupted
        self._runs: dict[tuple[Trace, str, tuple[int, int]], Trace] = {}
        self._shown_in: dict[TraceView, Trace] = {}
        self._cell_is_of = ""
        super().__init__(clean, **state)
        self.observe(self._on_cell, names="cell")
        self._note_cell()

    @property
    def result(self) -> Patched:
        """What is drawn, with all its numbers."""
        raise NotImplementedError

    @property
    def _asked_key(self) -> str:
        """Everything that is asked, as a name."""
        raise NotImplementedError

    @property
    def corrupted(self) -> Trace:
        """The run that something is put into."""
        self.trace  # noqa: B018  a closed view says so
        assert self._corrupted is not None
        return self._corrupted

    @property
    def patched(self) -> Trace | None:
        """The run of the chosen cell: of the corrupted text, with what was put in; None = no cell.

        Runs the model, the first time.
        """
        if not self.cell:
            return None
        layer, column = self.cell
        key = (self.trace, self._asked_key, (layer, column))
        known = self._runs.get(key)
        if known is None:
            known = self.result.trace(layer, column)
            self._runs = {key: known}  # of the cell that is looked at; others go
        return known

    def show_in(self, *views: TraceView) -> None:
        """Show the run of the chosen cell in other views, now and whenever another is chosen.

        While there is no cell they show what they showed before.

        Parameters
        ----------
        *views : view of a trace
            ``AttentionLines``, ``PerplexityStrip`` ...

        Raises
        ------
        TypeError
            For something that shows no trace.
        """
        for view in views:
            if not isinstance(view, TraceView) or isinstance(view, PatchedCell):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"show_in takes views of a trace, got {type(view).__name__}.")
        self._shown_in = {**{view: view.trace for view in views}, **self._shown_in}
        self._show_patched()

    def close(self) -> None:
        """Close the view and let go of its traces."""
        super().close()
        self._corrupted, self._runs, self._shown_in = None, {}, {}

    # ---- showing it ------------------------------------------------------------------------------

    def _on_cell(self, _: dict[str, Any]) -> None:
        """Go to the cell, here and in linked views, and show its run."""
        with self._lock:
            self._note_cell()
            self._show_patched()

    def _note_cell(self) -> None:
        self._cell_is_of = self._columns
        if not self.cell:
            return
        layer, column = self.cell
        if self.what == "head":
            self.set(layer=layer, heads=[column])
        else:
            of_source = self.kind == "encoder" and len(self.trace.sequences) > 1
            self.set(layer=layer, **{"selected_source" if of_source else "selected": [column]})

    def _show_patched(self) -> None:
        """Show the run of the cell in the views that were named, as soon as it is there."""
        if not self._shown_in:
            return

        def work(is_wanted: Callable[[], bool]) -> None:
            error = ""
            try:
                patched = self.patched
                with self._lock:
                    if is_wanted():
                        self._show_everywhere(patched)
            except Cancelled:
                raise
            except Exception as raised:  # noqa: BLE001  whatever it was, the view says so
                error = str(raised) or type(raised).__name__
            with self._lock:
                if is_wanted():
                    self.busy, self.error = "", error

        self._tracing.end()
        if self.cell:
            self._say("running the patched text", lambda: True)
        self._tracing.start(work)

    def _show_everywhere(self, patched: Trace | None) -> None:
        """Show a run in the views that were named, or what they showed before."""
        self._shown_in = {view: own for view, own in self._shown_in.items() if _is_open(view)}
        for view, own in self._shown_in.items():
            wanted = patched or own
            if view.trace is not wanted:
                view.trace = wanted

    # ---- what there is ---------------------------------------------------------------------------

    @property
    def _columns(self) -> str:
        return "head" if self.what == "head" else "position"

    @property
    def _what(self) -> Any:
        """What is put in, as a function takes it; the trait holds a plain string."""
        return self.what

    def _sites(self) -> dict[int, int]:
        found = heads_by_site(run_of(self.corrupted), self._what, self._kind)
        return {layer: site for layer, site in found.items() if isinstance(site, int)}

    def _layers(self) -> list[int]:
        return list(self._sites())

    def _require_layer(self, layer: int) -> None:
        layers = self._layers()
        if layers and layer not in layers:
            raise ValueError(
                f"layer {layer} is out of range: {self.trace.lens.name} has {layer_names(layers)}."
            )

    def _n_heads(self) -> int:
        # Heads are the linked views' business: a layer without attention leaves them as they are.
        layers = self.trace.layers(self._kind)
        of_layers = [self.layer] if self.layer in layers else layers
        return max(self.trace.n_heads(layer, self._kind) for layer in of_layers)

    def _n_tokens(self) -> int:
        run = run_of(self.trace)
        return len(run.sequence_of(run.stack(self._kind)).tokens)

    def _fit(self) -> None:
        """Keep rows, columns and the cell within what the stack has."""
        layers, n_tokens = self._layers(), self._n_tokens()
        with self.hold_trait_notifications():
            self.positions = [one for one in self.positions if one < n_tokens]
            self.only_layers = [one for one in self.only_layers if one in layers]
            # A head's number is no position.
            if self.cell and (self._cell_is_of != self._columns or self._why_not(self.cell)):
                self.cell = []
            self._cell_is_of = self._columns
            if layers:
                super()._fit()

    def _on_state(self, change: dict[str, Any]) -> None:
        with self._lock:
            if change["name"] in ("what", "positions", "only_layers"):
                self._fit()
        super()._on_state(change)

    def _why_not(self, cell: list[int]) -> str:
        """Say why a cell is not in the grid; "" = it is."""
        layer, column = cell
        sites = self._sites()
        layers = list(self.only_layers) or list(sites)
        if layer not in layers or layer not in sites:
            return f"layer {layer} is not in the grid, which has {layer_names(layers)}"
        if self.what == "head":
            n_heads = sites[layer]
            within = 0 <= column < n_heads
            return "" if within else f"layer {layer} has heads 0-{n_heads - 1}, not {column}"
        there = list(self.positions) or range(self._n_tokens())
        return "" if column in there else f"position {column} is not in the grid"

    # ---- validation ------------------------------------------------------------------------------

    @traitlets.validate("cell")
    def _valid_cell(self, proposal: dict[str, Any]) -> list[int]:
        cell = proposal["value"]
        if not cell:
            return []
        if len(cell) != _CELL:
            raise traitlets.TraitError(f"cell is [layer, {self._columns}], or empty; got {cell!r}.")
        if why := self._why_not(cell):
            raise traitlets.TraitError(f"cell {cell}: {why}.")
        # Set together with what it is a cell of.
        self._cell_is_of = self._columns
        return cell

    @traitlets.validate("positions")
    def _valid_columns(self, proposal: dict[str, Any]) -> list[int]:
        n_tokens = self._n_tokens()
        for position in proposal["value"]:
            if not 0 <= position < n_tokens:
                raise traitlets.TraitError(
                    f"positions has {position}, which is out of range: there are 0-{n_tokens - 1}."
                )
        return sorted(set(proposal["value"]))

    @traitlets.validate("only_layers")
    def _valid_rows(self, proposal: dict[str, Any]) -> list[int]:
        try:
            for layer in proposal["value"]:
                self._require_layer(layer)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return sorted(set(proposal["value"]))


def _is_open(view: TraceView) -> bool:
    try:
        view.trace  # noqa: B018
    except ValueError:
        return False
    return True
