"""Sinks in a picture: shown, set aside, or hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from glasshead_backend.frames.pack import pack
from glasshead_backend.maps.sinks import rule, without_sinks
from glasshead_backend.questions.attention import attention_map, sinks
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Selection
    from glasshead_backend.frames.sentences import Between
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.maps.sinks import Sinks
    from glasshead_backend.trace import Trace

Wanted = Literal["auto", "aside", "shown", "hidden"]
"""What is to be done with sinks."""

Mode = Literal["aside", "shown", "hidden"]
"""What is done with them. "aside": they stand beside the picture, the rest keeps its true weights;
"hidden": dropped, and the rest of each row sums to what the row did."""

MUCH_MASS = 0.1
"""Share of the attention from which on sinks are set aside where nobody has said otherwise: with
less they do not cover anything else."""


def mode_of(found: Sinks, wanted: Wanted) -> Mode:
    """Return what is done with the sinks of a picture."""
    if wanted != "auto":
        return wanted
    return "aside" if found.share.mean() >= MUCH_MASS else "shown"


class SinksPart:
    """The sinks of a picture, taken from the blocks of its map as they come.

    Parameters
    ----------
    trace : Trace
    asked : Selection
        What is drawn.
    wanted : {"auto", "aside", "shown", "hidden"}
    pair : Between, optional
        The sentences that are drawn: what is said of sinks is of attention between these.

    Attributes
    ----------
    mode : {"aside", "shown", "hidden"}
    """

    def __init__(
        self, trace: Trace, asked: Selection, wanted: Wanted, pair: Between | None = None
    ) -> None:
        self._map = attention_map(run_of(trace), asked)
        self._sinks = sinks(run_of(trace), asked)
        self._words = rule(causal=run_of(trace).is_causal(asked.kind))
        self._largest, self._pair = asked.aggregate == "max", pair
        self.mode = mode_of(self._sinks, wanted)
        shape = (self._map.n_maps, self._map.n_rows)
        self._given = torch.zeros(shape, dtype=torch.float32, device=self._map.device)
        self._to_sinks = torch.zeros((), dtype=torch.float32, device=self._map.device)
        self._mass = torch.zeros_like(self._to_sinks)

    def take(
        self, place: slice, block: Float[Tensor, "map row visible"]
    ) -> Float[Tensor, "map row visible"]:
        """Take in a block of the map as the model computed it, and return it as it is drawn."""
        said = block if self._pair is None else self._pair.of(block, place)
        self._given[:, place] = self._sinks.weights(said, largest=self._largest).float()
        self._to_sinks += self._sinks.weights(said).nansum()
        self._mass += block.nansum()
        if self.mode == "shown":
            return block
        return self._sinks.without(block, renormalised=self.mode == "hidden")

    def as_drawn(self) -> AttentionMap:
        """Return the map as it is drawn, for parts of the picture that come later."""
        if self.mode == "shown":
            return self._map
        return without_sinks(self._map, self._sinks, renormalised=self.mode == "hidden")

    def part(self) -> dict[str, Any]:
        """Return what a frame says of its sinks, once all blocks were taken in.

        Returns
        -------
        dict
            ``mode``; ``words``, the rule; ``share`` of all attention that goes to sinks; ``units``,
            the columns that are a sink of any map, and ``of_map`` ``[maps, units]``, of which;
            ``to`` ``[maps, rows]``, what each row gives to the sinks of its map (of a maximum over
            heads the largest of it), NaN where it looks nowhere.
        """
        units = self._sinks.units
        if self._pair is not None:
            units = units[self._pair.columns[units]]
        return {
            "mode": self.mode,
            "words": self._words,
            "share": float(self._to_sinks / self._mass.clamp_min(1e-30)),
            "units": pack(units, torch.uint32),
            "of_map": pack(self._sinks.columns[:, units], torch.uint8),
            "to": pack(self._given, torch.float32),
        }
