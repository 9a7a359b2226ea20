"""The text itself, coloured by how well the model predicted it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import traitlets

from glasshead.messages import question
from glasshead.strip_readings import StripReadings
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend.asking import Selection
from glasshead_backend.frames import pack
from glasshead_backend.frames.strip import (
    place_of_true,
    source_attention,
    strip_frame,
    strip_key,
)

if TYPE_CHECKING:
    import pandas as pd

    from glasshead.messages import Answer


class PerplexityStrip(StripReadings):
    """Every token on a background for its surprisal, perplexity, probability, rank or entropy.

    For an encoder-decoder model the target is coloured, and a target token under the pointer lights
    the source by the cross-attention of the current layer and heads.

    Parameters
    ----------
    trace : Trace
    **state
        Traits, e.g. ``measure``, ``k``.
    """

    _esm = bundle("perplexity_strip.js")
    _css = bundle("perplexity_strip.css")

    measure = traitlets.Enum(
        ["surprisal", "perplexity", "probability", "rank", "entropy"],
        default_value="surprisal",
        help="What the colour stands for.",
    ).tag(sync=True)
    k = traitlets.Int(5, min=1, max=10, help="Alternatives shown for a token.").tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "layer", "heads")

    _needs_attention: ClassVar[bool] = False

    page_parts: ClassVar[frozenset[str]] = frozenset({"strip"})

    def to_frame(self) -> pd.DataFrame:
        """Return one row per token with all measures; nats, and bits as the view shows them."""
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
                f"“{predictions.tokens[i].text.strip()}” surprises by {bits[i]:.1f} bits"
                for i in first
            ),
        ]

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``."""
        return "\n".join(filter(None, ["trace.predictions().to_frame()", self._reading_code()]))

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
        return {} if cross is None else {"layer": cross.layer, "heads": list(cross.heads)}

    def _is_long(self) -> bool:
        return False

    def _make_frame(self) -> dict[str, Any]:
        return strip_frame(self.trace, self._cross())

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
    def source_attention(self, position: int) -> Answer:
        """How much one target token's row looks at every source token."""
        cross = self._cross()
        if cross is None:
            raise ValueError(f"{self.trace.lens.name} has no cross-attention.")
        weights = source_attention(self.trace, cross, position)
        about = {"position": position, "about": strip_key(cross)}
        return about, {"weights": pack(weights, torch.float32)}
