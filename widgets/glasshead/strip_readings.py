"""What the strip reads of the token that is pinned: its layers, and its distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import traitlets

from glasshead.continuing import Continuing
from glasshead.messages import question
from glasshead_backend.frames.readings import distribution_reading, layers_reading

if TYPE_CHECKING:
    from glasshead.messages import Answer


class StripReadings(Continuing):
    """The panel under the text, and the questions that it asks of the pinned token.

    Parameters
    ----------
    trace : Trace
    **state
        Traits, e.g. ``reading="layers"``.
    """

    reading = traitlets.Enum(
        ["", "layers", "distribution"],
        default_value="",
        help="What is shown of the pinned token under the text; empty = nothing.",
    ).tag(sync=True)
    followed = traitlets.List(
        traitlets.Int(),
        help="Ids of tokens followed through the layers; empty = the token that came and the "
        "model's first choices.",
    ).tag(sync=True)
    trajectory = traitlets.Enum(
        ["probability", "rank"],
        default_value="probability",
        help="What of the followed tokens is drawn by layer.",
    ).tag(sync=True)
    temperature = traitlets.Float(
        1.0, min=0.05, max=5.0, help="What logits are divided by in the distribution."
    ).tag(sync=True)
    sample_k = traitlets.Int(
        0, min=0, help="Sampling keeps so many first choices; 0 = all tokens."
    ).tag(sync=True)
    sample_p = traitlets.Float(
        1.0, min=0.01, max=1.0, help="Sampling keeps the fewest tokens with so much probability."
    ).tag(sync=True)
    by_id = traitlets.Bool(
        False, help="Whether the distribution is drawn by token id instead of by rank."
    ).tag(sync=True)

    def _reading_code(self) -> str:
        """Return the Python behind the panel; "" where it shows nothing."""
        if not self.reading or not self.selected:
            return ""
        position = self.selected[-1]
        if self.reading == "layers":
            followed = f", followed={self.followed}" if self.followed else ""
            return f"trace.layer_readings({position}{followed}).followed_frame()"
        wanted = {"temperature": (self.temperature, 1.0), "top_k": (self.sample_k, 0)}
        wanted["top_p"] = (self.sample_p, 1.0)
        told = "".join(
            f", {name}={value}" for name, (value, usual) in wanted.items() if value != usual
        )
        return f"trace.distribution({position}{told}).to_frame()"

    @question
    def distribution(
        self, position: int, temperature: float, sample_k: int, sample_p: float
    ) -> Answer:
        """Return what could have stood at one position, and what sampling would keep of it."""
        found = self.trace.distribution(
            position, temperature=temperature, top_k=sample_k or None, top_p=sample_p
        )
        return distribution_reading(found, self.trace.distribution(position))

    @question
    def layer_readings(self, position: int, followed: str) -> Answer:
        """Return what each layer would predict at one position; `followed` has ids, "3,17"."""
        ids = [int(id_) for id_ in followed.split(",") if id_]
        return layers_reading(self.trace.layer_readings(position, followed=ids or None))
