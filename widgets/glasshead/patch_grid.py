"""Where what tells two texts apart becomes the answer: patched runs as a grid."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from glasshead.code import call
from glasshead.messages import question
from glasshead.saying import seen
from glasshead.trace_view import TraceView, require_trace
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend import Cancelled, Patched, Trace, patch
from glasshead_backend.frames.patching import expected_tokens, patches_frame
from glasshead_backend.questions.patching import Site, sites_of
from glasshead_backend.questions.patching_target import require_alike
from glasshead_backend.questions.predictions import predicting_row, predictions
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.reading import token_id
from glasshead_backend.tracing.run import layer_names

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend import Step

_SECONDS_BETWEEN = 0.5
"""Between two pictures of results that stream in."""

_TARGET = ("position", "token", "against", "quantity")


class PatchGrid(TraceView):
    """What of a clean run, put into the run of a corrupted text, brings the clean answer back.

    Rows are layers, columns tokens or heads; each cell is a run of the corrupted text with one
    activation of the clean one in it. A click chooses a cell: its run is :attr:`patched`, and the
    views of :meth:`show_in` show it. What takes longer than a second goes on beside the notebook:
    rows stream in, and the view has a Cancel button (:meth:`cancel` in Python).

    Parameters
    ----------
    clean : Trace or Patched
        The clean run; or a result of :func:`glasshead.patch`, with all that was asked.
    corrupted : Trace, optional
        Of as many tokens; none beside a result.
    **state
        Traits, e.g. ``what``, ``token``, ``against``, ``cell``.

    Raises
    ------
    TypeError
        For something that is no trace.
    ValueError
        As :func:`glasshead.patch`.

    Examples
    --------
    >>> from glasshead import Lens, PatchGrid
    >>> lens = Lens.demo("decoder")
    >>> grid = PatchGrid(lens.trace("the white whale"), lens.trace("the white ship"))
    >>> list(grid.to_frame().columns)
    ['layer', 'position', 'clean', 'corrupted', 'patched', 'recovered']
    """

    _esm = bundle("patch_grid.js")
    _css = bundle("patch_grid.css")

    what = traitlets.Enum(
        ["residual", "attention", "mlp", "head"],
        default_value="residual",
        help="What is put in: the residual stream behind a layer, what its attention block or its "
        "MLP adds, at one token; or what one head gathers, at all of them.",
    ).tag(sync=True)
    position = traitlets.Int(
        None, allow_none=True, help="Place of the predicted token; None = see glasshead.patch."
    ).tag(sync=True)
    token = traitlets.Any(
        None, help="Id or text of the token; None = what the clean run expects there."
    ).tag(sync=True)
    against = traitlets.Any(
        None,
        help="Id or text of a token whose logit is taken off; None = without a token what the "
        "corrupted run expects, if that is another.",
    ).tag(sync=True)
    quantity = traitlets.Enum(
        ["log_probability", "logit"],
        default_value="log_probability",
        help="What is looked at of a single token.",
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

    _frame_traits: ClassVar[tuple[str, ...]] = (
        *("kind", "what", "positions", "only_layers"),
        *_TARGET,
    )
    _label_traits: ClassVar[tuple[str, ...]] = ("kind",)
    _patience: ClassVar[float | None] = 1.0

    page_parts: ClassVar[frozenset[str]] = frozenset({"patches"})

    def __init__(
        self, clean: Trace | Patched, corrupted: Trace | None = None, **state: Any
    ) -> None:
        given = clean if isinstance(clean, Patched) else None
        if given is not None:
            if corrupted is not None:
                raise TypeError("A result of patch() has its corrupted text: give it alone.")
            state = {**_asked(given), **state}
            clean, corrupted = given.clean, given.corrupted
        require_trace(type(self), clean)
        require_trace(type(self), corrupted)
        assert isinstance(clean, Trace)
        assert corrupted is not None
        require_alike(run_of(clean), run_of(corrupted))
        self._corrupted: Trace | None = corrupted
        self._known: dict[tuple[Trace, str], Patched] = {}
        self._runs: dict[tuple[Trace, str, tuple[int, int]], Trace] = {}
        self._shown_in: list[TraceView] = []
        self._streamed_at = 0.0
        self._cell_is_of = ""
        if given is not None:
            self._known[clean, _written(_asked(given))] = given
        super().__init__(clean, **state)
        self.observe(self._on_cell, names="cell")
        self._note_cell()

    @property
    def corrupted(self) -> Trace:
        """The run that something is put into."""
        self.trace  # noqa: B018  a closed view says so
        assert self._corrupted is not None
        return self._corrupted

    @property
    def result(self) -> Patched:
        """What is drawn, with all its numbers; waits for it where it is being computed."""
        self._long_work.join()
        return self._patch()

    @property
    def patched(self) -> Trace | None:
        """The run of the chosen cell: of the corrupted text, with what was put in; None = no cell.

        Runs the model, the first time.
        """
        if not self.cell:
            return None
        layer, column = self.cell
        key = (self.trace, self._asked_key, (layer, column))
        if key not in self._runs:
            trace = self.result.trace(layer, column)
            # One run is kept: that of the cell that is looked at.
            self._runs = {key: trace}
            return trace
        return self._runs[key]

    def show_in(self, *views: TraceView) -> None:
        """Show the run of the chosen cell in other views, now and whenever another is chosen.

        While there is no cell they show the corrupted run.

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
            if not isinstance(view, TraceView) or isinstance(view, PatchGrid):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"show_in takes views of a trace, got {type(view).__name__}.")
        self._shown_in += [view for view in views if view not in self._shown_in]
        self._show_patched()

    def frames(self) -> list[dict[str, Any]]:
        """Return the complete frames that are known, the current one among them."""
        self.result  # noqa: B018  waits for it
        known = [(key, one) for (trace, key), one in self._known.items() if trace is self.trace]
        return [patches_frame(one, json.loads(key)) for key, one in known]

    def close(self) -> None:
        """Close the view and let go of its traces."""
        super().close()
        self._corrupted, self._known, self._runs, self._shown_in = None, {}, {}, []

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the picture; waits for them where they are being computed.

        Columns as :meth:`glasshead.Patched.to_frame`.
        """
        return self.result.to_frame()

    def in_words(self) -> list[str]:
        """Return what is looked at, and which places bring most of it back."""
        found = self.result
        texts = (
            f"{found.f_clean:.2f} in the clean run, {found.f_corrupted:.2f} in the corrupted one"
        )
        said = [f"{found.target_in_words[:1].upper()}{found.target_in_words[1:]}: {texts}"]
        best = self.to_frame().sort_values("recovered", ascending=False, kind="stable")
        for row in best.head(N_SENTENCES - 1).to_dict("records"):
            where = f"head {row['head']}" if "head" in row else f"“{seen(row['clean'])}”"
            said.append(f"Layer {row['layer']}, {where}: {row['recovered']:.0%} comes back")
        return said

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``.

        And of another, the corrupted one, as ``other``.
        """
        kind = self.kind if self.kind != self.trace.default_kind else None
        quantity = self.quantity if self.quantity != "log_probability" else None
        asked = call(
            "patch",
            self.what,
            position=self.position,
            token=self.token,
            against=self.against,
            quantity=quantity,
            kind=kind,
            positions=list(self.positions) or None,
            layers=list(self.only_layers) or None,
        )
        made = asked.replace("patch(", "patch(trace, other, ", 1).replace("'", '"')
        return f"from glasshead import patch\n\n{made}.to_frame()"

    # ---- computing -------------------------------------------------------------------------------

    @property
    def _asked_key(self) -> str:
        return _written(self._state_key())

    def _is_long(self) -> bool:
        return (self.trace, self._asked_key) not in self._known

    @property
    def _work(self) -> str:
        return "running the patched texts"

    def _patch(self) -> Patched:
        trace, key = self.trace, self._asked_key
        if (known := self._known.get((trace, key))) is not None:
            return known
        found = patch(
            trace,
            self.corrupted,
            self._what,
            position=self.position,
            token=self.token,
            against=self.against,
            quantity=self._quantity,
            kind=self._kind,
            positions=self.positions or None,
            layers=self.only_layers or None,
        )
        with self._lock:
            if trace is self._trace:
                self._known[trace, key] = found
        return found

    def _make_frame(self) -> dict[str, Any]:
        key = self._state_key()
        return patches_frame(self._patch(), key)

    def _tell(self, step: Step) -> None:
        """Show how far it is, and now and then the rows that are there."""
        super()._tell(step)
        if time.monotonic() - self._streamed_at < _SECONDS_BETWEEN:
            return
        partial = step.partial()
        if not isinstance(partial, Patched):
            return
        self._streamed_at = time.monotonic()
        frame = patches_frame(partial, self._state_key(), partial=str(step))
        with self._lock:
            if self._long_work.is_running:
                self.set_trait("frame", frame)

    def _show(self, trace: Trace) -> None:
        require_alike(run_of(trace), run_of(self.corrupted))
        super()._show(trace)

    def _on_picture(self) -> None:
        self._known = {key: one for key, one in self._known.items() if key[0] is self._trace}

    # ---- the chosen cell -------------------------------------------------------------------------

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
            self.set(layer=layer, **{self._selected_there: [column]})

    @property
    def _columns(self) -> str:
        return "head" if self.what == "head" else "position"

    @property
    def _selected_there(self) -> str:
        """Name the trait that has the pinned tokens of the columns."""
        return "selected_source" if self._kind == "encoder" and self._has_target else "selected"

    @property
    def _has_target(self) -> bool:
        return len(self.trace.sequences) > 1

    def _show_patched(self) -> None:
        """Show the run of the cell in the views that were named, as soon as it is there."""
        if not self._shown_in:
            return

        def work(is_wanted: Callable[[], bool]) -> None:
            try:
                trace = self.patched or self.corrupted
            except Cancelled:
                raise
            except Exception as error:  # noqa: BLE001  whatever it was, the view says so
                self._say("", is_wanted)
                with self._lock:
                    if is_wanted():
                        self.error = str(error) or type(error).__name__
                return
            with self._lock:
                self._say("", is_wanted)
                if not is_wanted():
                    return
                self._shown_in = [view for view in self._shown_in if _is_open(view)]
                for view in self._shown_in:
                    view.trace = trace

        self._tracing.end()
        if self.cell:
            self._say("running the patched text", lambda: True)
        self._tracing.start(work)

    # ---- what there is ---------------------------------------------------------------------------

    @property
    def _what(self) -> Any:
        return self.what

    @property
    def _quantity(self) -> Any:
        return self.quantity

    def _sites(self) -> dict[int, Site]:
        found = sites_of(run_of(self.corrupted), self._what, self._kind)
        return {layer: site for layer, site in found.items() if isinstance(site, Site)}

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
        return len(run.sequence_of(run.stack(self._kind)).tokens)  # noqa: PD013

    def _fit(self) -> None:
        """Keep rows, columns and the cell within what the stack has."""
        layers, n_tokens = self._layers(), self._n_tokens()
        with self.hold_trait_notifications():
            self.positions = [one for one in self.positions if one < n_tokens]
            self.only_layers = [one for one in self.only_layers if one in layers]
            if self.cell and self._why_not(self.cell):
                self.cell = []
            if layers:
                super()._fit()

    def _on_state(self, change: dict[str, Any]) -> None:
        with self._lock:
            if change["name"] in ("what", "positions", "only_layers"):
                # A head's number is no position.
                if self._cell_is_of != self._columns and self.cell:
                    self.cell = []
                self._cell_is_of = self._columns
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
            n_heads = sites[layer].n_heads
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
        n_numbers = 2
        if len(cell) != n_numbers:
            raise traitlets.TraitError(f"cell is [layer, {self._columns}], or empty; got {cell!r}.")
        if why := self._why_not(cell):
            raise traitlets.TraitError(f"cell {cell}: {why}.")
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

    @traitlets.validate("position")
    def _valid_place(self, proposal: dict[str, Any]) -> int | None:
        position = proposal["value"]
        if position is None:
            return None
        run = run_of(self.trace)
        try:
            predicting_row(run, position, after_last=True)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return position + len(predictions(run).tokens) if position < 0 else position

    @traitlets.validate("token", "against")
    def _valid_token(self, proposal: dict[str, Any]) -> int | str | None:
        token = proposal["value"]
        if token is None:
            return None
        try:
            id_ = token_id(self.trace.lens, token)
        except (TypeError, ValueError) as error:
            raise traitlets.TraitError(f"{proposal['trait'].name}: {error}") from None
        return token if isinstance(token, str) else id_

    # ---- questions -------------------------------------------------------------------------------

    @question
    def expected(self, position: int | None, k: int) -> Answer:
        """Return the tokens that the two runs expect most at one place."""
        return expected_tokens(self.trace, self.corrupted, position, k)


def _written(asked: dict[str, Any]) -> str:
    return json.dumps(asked, sort_keys=True)


def _asked(patched: Patched) -> dict[str, Any]:
    """Return the traits that ask for a result."""
    run = run_of(patched.clean)
    n_tokens = len(run.sequence_of(run.stack(patched.kind)).tokens)  # noqa: PD013
    every = range(n_tokens)
    found = sites_of(run, patched.what, patched.kind)
    whole = [layer for layer, site in found.items() if isinstance(site, Site)]
    return {
        "kind": patched.kind,
        "what": patched.what,
        "positions": [] if list(patched.positions) == list(every) else list(patched.positions),
        "only_layers": [] if list(patched.layers) == whole else list(patched.layers),
        "position": patched.target.position,
        "token": patched.target.token,
        "against": patched.target.against,
        "quantity": patched.target.quantity,
    }


def _is_open(view: TraceView) -> bool:
    try:
        view.trace  # noqa: B018
    except ValueError:
        return False
    return True
