"""Where what tells two texts apart becomes the answer: patched runs as a grid."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from glasshead.code import call
from glasshead.messages import question
from glasshead.patched_cell import PatchedCell
from glasshead.saying import seen
from glasshead.trace_view import require_trace
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend import Patched, Trace, patch
from glasshead_backend.frames.patching import expected_tokens, patches_frame
from glasshead_backend.questions.patching import heads_by_site
from glasshead_backend.questions.patching_target import require_alike
from glasshead_backend.questions.predictions import predicting_row, predictions
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.reading import token_id

if TYPE_CHECKING:
    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend import Step

_SECONDS_BETWEEN = 0.5
"""Between two pictures of results that stream in."""

_TARGET = ("position", "token", "against", "quantity")


class PatchGrid(PatchedCell):
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
        elif corrupted is None and isinstance(clean, Trace):
            raise TypeError(
                "PatchGrid shows two traces, of texts that differ in what is asked: "
                "PatchGrid(clean, corrupted)."
            )
        require_trace(type(self), clean)
        require_trace(type(self), corrupted)
        assert isinstance(clean, Trace)
        assert corrupted is not None
        require_alike(run_of(clean), run_of(corrupted))
        self._known: dict[tuple[Trace, str], Patched] = {}
        self._streamed_at = 0.0
        if given is not None:
            self._known[clean, _written(_asked(given))] = given
        super().__init__(clean, corrupted, **state)

    @property
    def result(self) -> Patched:
        """What is drawn, with all its numbers; waits for it where it is being computed."""
        self._long_work.join()
        return self._patch()

    def frames(self) -> list[dict[str, Any]]:
        """Return the complete frames that are known, the current one among them."""
        self.result  # noqa: B018  waits for it
        known = [(key, one) for (trace, key), one in self._known.items() if trace is self.trace]
        return [patches_frame(one, json.loads(key)) for key, one in known]

    def close(self) -> None:
        """Close the view and let go of its traces."""
        super().close()
        self._known = {}

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

    @property
    def _quantity(self) -> Any:
        return self.quantity

    # ---- validation ------------------------------------------------------------------------------

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
    found = heads_by_site(run, patched.what, patched.kind)
    whole = [layer for layer, site in found.items() if isinstance(site, int)]
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
