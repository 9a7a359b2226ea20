"""What moved the model to say a token: the text, coloured by how much each of its tokens did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import traitlets

from glasshead.messages import question
from glasshead.saving.svg import inert
from glasshead.saying import seen
from glasshead.trace_view import TraceView
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend.frames import pack
from glasshead_backend.frames.attribution import (
    AttributionAsked,
    attribution_cells,
    attribution_frame,
    attribution_tile,
)
from glasshead_backend.questions.predictions import predicting_row
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.reading import token_id
from glasshead_backend.tracing.subject import n_weights

if TYPE_CHECKING:
    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend.questions.attribution import Attribution, AttributionMatrix

_PATIENCE = 1.0
_BUSY_OPERATIONS = 4e9
"""Multiplications that take long enough to be done beside the kernel's own thread."""


class AttributionStrip(TraceView):
    """Every input token on a colour for how much it moved the model to say one token.

    Gradients of the token's log-probability with respect to the input embeddings, by one of two
    methods (:meth:`Trace.attribution`). A click on a token asks why *that* was predicted; several
    targets may be pinned, and the matrix has all of them. Integrated gradients take long: they are
    computed beside the notebook, and the view has a Cancel button (:meth:`cancel` in Python).

    Parameters
    ----------
    trace : Trace
    **state
        Traits, e.g. ``position``, ``token``, ``against``, ``method``, ``show``.

    Raises
    ------
    ValueError
        For a model that predicts no next token, or cannot be differentiated.

    Examples
    --------
    >>> from glasshead import AttributionStrip, Lens
    >>> trace = Lens.demo("decoder").trace("The white whale. The white whale")
    >>> view = AttributionStrip(trace, position=6)
    >>> list(view.to_frame().columns)
    ['sequence', 'position', 'token', 'attribution', 'share']
    """

    _esm = bundle("attribution_strip.js")
    _css = bundle("attribution_strip.css")

    method = traitlets.Enum(
        ["gradient_x_input", "integrated_gradients"],
        default_value="gradient_x_input",
        help="How attribution is computed; integrated gradients take long.",
    ).tag(sync=True)
    position = traitlets.Int(
        None,
        allow_none=True,
        help="Place of the predicted token that is explained; None = the place behind the last "
        "token, or the last one of an encoder-decoder model's target.",
    ).tag(sync=True)
    token = traitlets.Any(
        None, help="The token that is explained, by id or text; None = the one that came."
    ).tag(sync=True)
    against = traitlets.Any(
        None, help="Another token, by id or text, whose logit is taken off; None = none."
    ).tag(sync=True)
    quantity = traitlets.Enum(
        ["log_probability", "logit"],
        default_value="log_probability",
        help="What of the token is explained.",
    ).tag(sync=True)
    baseline = traitlets.Enum(
        ["pad", "zero"],
        default_value="pad",
        help="Embeddings that integrated gradients start from: the padding token's, or zeros.",
    ).tag(sync=True)
    steps = traitlets.Int(
        50, min=1, max=1000, help="Places on the way at which gradients are integrated."
    ).tag(sync=True)
    targets = traitlets.List(
        traitlets.Int(), help="Positions that are explained beside, a strip each."
    ).tag(sync=True)
    show = traitlets.Enum(
        ["strip", "matrix"],
        default_value="strip",
        help="The text for each target, or all predicted tokens by all inputs.",
    ).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = (
        *("method", "position", "token", "against", "quantity", "baseline", "steps"),
        *("targets", "show", "unit"),
    )
    _needs_attention: ClassVar[bool] = False
    _patience: ClassVar[float | None] = _PATIENCE

    page_parts: ClassVar[frozenset[str]] = frozenset({"attribution"})

    @property
    def asked(self) -> AttributionAsked:
        """What is shown, as the functions that make frames take it."""
        state: dict[str, Any] = self._state_key()
        state["targets"] = tuple(self.targets)
        return AttributionAsked(**state)

    @property
    def result(self) -> Attribution | AttributionMatrix:
        """What is drawn, with all its numbers; waits for it where it is being computed."""
        self._long_work.join()
        if self.show == "matrix":
            return self.trace.attributions(**self._how())
        return self._current

    @property
    def _current(self) -> Attribution:
        return self.trace.attribution(**self._about, **self._how())

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the picture; waits for them where they are being computed.

        One row per input token (or word): its attribution to the current target, in its unit, and
        the share that its size has of all. As a matrix: predicted tokens by input tokens.
        """
        result: Any = self.result
        return result.to_frame() if self.show == "matrix" else result.to_frame(self.unit)

    def in_words(self) -> list[str]:
        """Return what is explained, and the tokens that moved it most."""
        found, unit = self._current, self.unit
        table = found.to_frame("word" if unit == "word" else "token")
        first = table.reindex(table["attribution"].abs().sort_values(ascending=False).index)
        said = [f"The {inert(found.words)} is {found.value:.3g} {found.unit}"]
        rows = first.head(N_SENTENCES - 1)
        said += [
            f"“{seen(text)}” moved it by {value:+.3g} {found.unit}"
            for text, value in zip(rows[unit], rows["attribution"], strict=True)
        ]
        return [*said, *filter(None, [inert(found.in_words())])]

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``."""
        if self.show == "matrix":
            return f"{_written('trace.attributions', self._how())}.to_frame()"
        unit = "" if self.unit == "token" else '"word"'
        return f"{_written('trace.attribution', self._about | self._how())}.to_frame({unit})"

    @property
    def _about(self) -> dict[str, Any]:
        """What of the model's output is explained, as a trace is asked."""
        named = {"position": self.position, "token": self.token, "against": self.against}
        return {name: one for name, one in named.items() if one is not None}

    def _how(self) -> dict[str, Any]:
        """How it is explained, as a trace is asked: what is not as usual."""
        names = ["method", "quantity"]
        if self.method == "integrated_gradients":
            names += ["baseline", "steps"]
        usual = AttributionAsked()
        return {
            name: getattr(self, name)
            for name in names
            if getattr(self, name) != getattr(usual, name)
        }

    # ---- computing ----------------------------------------------------------------------------

    @property
    def _work(self) -> str:
        """What drawing takes, in words."""
        return "tracing predictions back to the text"

    def _is_long(self) -> bool:
        run = run_of(self.trace)
        run.require_model()
        n_tokens = sum(len(sequence.tokens) for sequence in run.sides.all)
        n_rows = 1 + len(self.targets) + (n_tokens if self.show == "matrix" else 0)
        passes = n_rows * (self.steps if self.method == "integrated_gradients" else 1)
        return 3 * n_weights(run.subject) * n_tokens * passes > _BUSY_OPERATIONS

    def _make_frame(self) -> dict[str, Any]:
        return attribution_frame(self.trace, self.asked)

    def _on_trace(self) -> None:
        """Keep of what is explained what the other trace has."""
        super()._on_trace()
        self.targets = [one for one in self.targets if self._has("targets", one)]
        for name in ("position", "token", "against"):
            if not self._has(name, getattr(self, name)):
                setattr(self, name, None)

    def _has(self, name: str, value: Any) -> bool:
        try:
            self._place(value) if name in ("position", "targets") else self._token(value)
        except ValueError:
            return False
        return True

    # ---- validation ---------------------------------------------------------------------------

    def _place(self, position: int | None) -> int | None:
        """Return a place that is predicted; negative ones count from the end."""
        if position is None:
            return None
        run = run_of(self.trace)
        return predicting_row(run, position, after_last=True) + run.shift

    def _token(self, token: Any) -> int | str | None:
        """Return a token that there is, by id or text as it was given."""
        if token is None:
            return None
        known = token_id(run_of(self.trace).subject, token)
        return token if isinstance(token, str) else known

    @traitlets.validate("position", "targets")
    def _valid_places(self, proposal: dict[str, Any]) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        try:
            if isinstance(value, list):
                return list(dict.fromkeys(self._place(one) for one in value))
            return self._place(value)
        except ValueError as error:
            raise traitlets.TraitError(f"{name}: {error}") from None

    @traitlets.validate("token", "against")
    def _valid_token(self, proposal: dict[str, Any]) -> int | str | None:
        name, value = proposal["trait"].name, proposal["value"]
        if not (value is None or isinstance(value, str) or hasattr(value, "__index__")):
            raise traitlets.TraitError(
                f"{name} is the id of a token, its text, or None; got {value!r}."
            )
        try:
            return self._token(value)
        except ValueError as error:
            raise traitlets.TraitError(f"{name}: {error}") from None

    # ---- questions ----------------------------------------------------------------------------

    @question
    def top_k(self, position: int, k: int) -> Answer:
        """Return the k most probable tokens at one position, and which of them came."""
        top = self.trace.top_k(position, k)
        ids: list[int] = top["id"].tolist()
        tokens = self.trace.predictions().tokens
        came = tokens[position].id if 0 <= position < len(tokens) else None
        result = {
            "position": position,
            "tokens": top["token"].tolist(),
            "ids": ids,
            "came": ids.index(came) if came in ids else None,
        }
        return result, {
            "probability": pack(torch.tensor(top["probability"].to_numpy()), torch.float32)
        }

    @question
    def cells(self, sequence: str, row0: int, row1: int, column0: int, column1: int) -> Answer:
        """Return some cells of a matrix exactly."""
        place = (row0, row1), (column0, column1)
        values = attribution_cells(self.trace, self.asked, sequence, *place)
        return _about_place(sequence, *place), {"values": pack(values, torch.float32)}

    @question
    def tile(self, sequence: str, row0: int, row1: int, column0: int, column1: int) -> Answer:
        """Return a part of a matrix as a picture."""
        place = (row0, row1), (column0, column1)
        picture = attribution_tile(self.trace, self.asked, sequence, *place)
        arrays = {name: picture.pop(name) for name in ("values", "row_scale")}
        return {**_about_place(sequence, *place), **picture}, arrays


def _about_place(sequence: str, rows: tuple[int, int], columns: tuple[int, int]) -> dict[str, Any]:
    (row0, row1), (column0, column1) = rows, columns
    place = {"row0": row0, "row1": row1, "column0": column0, "column1": column1}
    return {"sequence": sequence, **place}


def _written(function: str, named: dict[str, Any]) -> str:
    """Write a call; texts in double quotes, as they are written elsewhere."""
    told = ", ".join(f"{name}={_quoted(value)}" for name, value in named.items())
    return f"{function}({told})"


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
