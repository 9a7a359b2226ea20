"""The text itself, coloured by how well the model predicted it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import traitlets

from glasshead.messages import question
from glasshead.saying import quoted
from glasshead.strip_readings import StripReadings
from glasshead.trace_view import require_trace
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend.asking import Selection
from glasshead_backend.frames import pack
from glasshead_backend.frames.compared import compared_frame
from glasshead_backend.frames.strip import (
    place_of_true,
    source_attention,
    strip_frame,
    strip_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend import FittedLens, Trace

_LEAST_BITS = 0.05
"""What surprises less is not worth a sentence: it would read 0.0 bits."""


class PerplexityStrip(StripReadings):
    """Every token on a background for its surprisal, perplexity, probability, rank or entropy.

    For an encoder-decoder model the target is coloured, and a target token under the pointer lights
    the source by the cross-attention of the current layer and heads.

    Parameters
    ----------
    trace : Trace
    compare : Trace, optional
        Show how differently this trace predicted the same words; see :meth:`compare_to`.
    fitted : FittedLens or list of them, optional
        Read the layers of a pinned token by lenses of :func:`fit_lens`; see :meth:`read_by`.
    **state
        Traits, e.g. ``measure``, ``k``, ``reading``.
    """

    _esm = bundle("perplexity_strip.js")
    _css = bundle("perplexity_strip.css")

    measure = traitlets.Enum(
        ["surprisal", "perplexity", "probability", "rank", "entropy"],
        default_value="surprisal",
        help="What the colour stands for.",
    ).tag(sync=True)
    k = traitlets.Int(5, min=1, max=10, help="Alternatives shown for a token.").tag(sync=True)

    compared = traitlets.Unicode(
        "", help="What the trace is called that is compared with; empty = none: compare_to()."
    ).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "layer", "heads", "compared")

    _needs_attention: ClassVar[bool] = False

    page_parts: ClassVar[frozenset[str]] = frozenset({"strip"})

    def __init__(
        self,
        trace: Trace,
        *,
        compare: Trace | None = None,
        fitted: FittedLens | Iterable[FittedLens] | None = None,
        **state: Any,
    ) -> None:
        self._other: Trace | None = None
        self._names = ("", "")
        super().__init__(trace, fitted=fitted, **state)
        if compare is not None:
            try:
                self.compare_to(compare)
            except BaseException:
                self.close()
                raise

    def compare_to(self, trace: Trace, *, names: tuple[str, str] | None = None) -> None:
        """Show this trace's values minus those of another trace, on a scale with two arms.

        Of two models with one tokenizer, of one model before and after a change, or of the same
        words in two contexts: tokens are compared where both texts have the same stretch of tokens.
        ``view.compared = ""`` goes back.

        Parameters
        ----------
        trace : Trace
        names : tuple of str, optional
            What this trace and the other are called; default the models' names, where they differ.

        Raises
        ------
        TypeError
            For something that is no trace.
        ValueError
            When the tokenizers differ, or there is nothing to compare; the message says what.
        """
        require_trace(type(self), trace, attention=False)
        self.trace.compare_predictions(trace)
        self._names = names or _names(self.trace, trace)
        if self.compared == self._names[1]:
            self.compared = ""  # another trace of the same name
        self._other = trace
        self.compared = self._names[1]

    @traitlets.validate("compared")
    def _valid_compared(self, proposal: dict[str, Any]) -> str:
        name = proposal["value"]
        if name and (self._other is None or name != self._names[1]):
            raise traitlets.TraitError(
                f"compared names {name!r}, which is not there: call compare_to(trace)."
            )
        return name

    def _on_trace(self) -> None:
        super()._on_trace()
        if self._other is None:
            return
        try:
            self.trace.compare_predictions(self._other)
        except ValueError:
            self.compared, self._other = "", None

    def close(self) -> None:
        """Close the view and let go of its traces."""
        super().close()
        self._other = None

    def _partner_of(self, trace: Trace) -> tuple[Trace, tuple[str, str]] | None:
        """The trace that one of this text is compared with, and what the two are called."""
        baseline = self._baseline_of(trace)  # heads are switched off: what that changed
        if baseline is None and self.compared and self._other is not None:
            return self._other, self._names
        return baseline

    def compared_part(self, trace: Trace) -> dict[str, Any]:
        """Return what a frame of this text has beside it where it is compared; else nothing."""
        partner = self._partner_of(trace)
        return {} if partner is None else {"compared": compared_frame(trace, *partner)}

    def to_frame(self) -> pd.DataFrame:
        """Return one row per token with all measures; nats, and bits as the view shows them.

        While another trace is compared, the differences.
        """
        if (partner := self._partner_of(self.trace)) is not None:
            return self.trace.compare_predictions(partner[0]).to_frame()
        frame = self.trace.predictions().to_frame()
        bits = {f"{name}_bits": frame[name] / math.log(2) for name in ("surprisal", "entropy")}
        return frame.assign(**bits)

    def in_words(self) -> list[str]:
        """Return the perplexity of the text, and what surprised the model most."""
        predictions = self.trace.predictions()
        if not predictions.n_scored:
            return [predictions.reason]
        bits = predictions.surprisal.nan_to_num(-1.0) / math.log(2)
        first = bits.topk(min(N_SENTENCES - 1, predictions.n_scored)).indices.tolist()
        return [
            f"Perplexity {predictions.mean_perplexity:.3g} over {predictions.n_scored} tokens",
            *(
                f"{quoted(predictions.tokens[i].text)} surprises by {bits[i]:.1f} bits"
                for i in first
                if bits[i] >= _LEAST_BITS
            ),
        ]

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``.

        Where another trace is compared, of that, too, as ``other``; where heads are switched off,
        of the whole model's, as ``whole``.
        """
        is_without = self._baseline_of(self.trace) is not None
        other = "whole" if is_without else "other" if self.compared else ""
        asked = f"compare_predictions({other})" if other else "predictions()"
        return "\n".join(filter(None, [f"trace.{asked}.to_frame()", self._reading_code()]))

    def _cross(self) -> Selection | None:
        """Layer and heads of the cross-attention that lights the source."""
        if "cross" not in self.trace.kinds:
            return None
        if self.kind == "cross":
            return Selection("cross", self.layer, tuple(self.heads))
        layers = self.trace.layers("cross")
        return Selection("cross", min(layers, key=lambda layer: abs(layer - self.layer)))

    def _state_key(self) -> dict[str, Any]:
        cross = self._cross()
        lit = {} if cross is None else {"layer": cross.layer, "heads": list(cross.heads)}
        return {**lit, "compared": self.compared}

    def _is_long(self) -> bool:
        return False

    def _make_frame(self) -> dict[str, Any]:
        frame = strip_frame(self.trace, self._cross())
        return {**frame, **self.compared_part(self.trace)}

    @question
    def top_k(self, position: int, k: int) -> Answer:
        """Return the k most probable tokens at one position, and which of them is the true one."""
        top = self.trace.top_k(position, k)
        true = torch.tensor([self.trace.predictions().tokens[position].id])
        place = place_of_true(torch.tensor(top["id"].to_numpy())[None], true)
        result = {"position": position, "tokens": top["token"].tolist()}
        probability = torch.tensor(top["probability"].to_numpy())
        return result, {
            "probability": pack(probability, torch.float32),
            "true": pack(place, torch.uint8),
        }

    @question
    def span(self, start: int, stop: int) -> Answer:
        """How a part of the text was predicted."""
        part = self.trace.predictions().part(start, stop)
        known = part.n_scored > 0
        return {
            "span": [start, stop],
            "n_scored": part.n_scored,
            "perplexity": part.mean_perplexity if known else None,
            "n_correct": int(part.correct.nansum()),
        }, {}

    @question
    def source_attention(self, position: int) -> Answer:
        """How much one target token's row looks at every source token."""
        cross = self._cross()
        if cross is None:
            raise ValueError(f"{self.trace.lens.name} has no cross-attention.")
        weights = source_attention(self.trace, cross, position)
        about = {"position": position, "about": strip_key(cross)}
        return about, {"weights": pack(weights, torch.float32)}


def _names(trace: Trace, other: Trace) -> tuple[str, str]:
    """What two traces are called: by what they differ in."""
    if trace.lens.name != other.lens.name:
        return trace.lens.name, other.lens.name
    what = "trace" if trace.text == other.text else "text"
    return f"this {what}", f"the other {what}"
