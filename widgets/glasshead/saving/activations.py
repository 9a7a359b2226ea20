"""The activations that a page carries: as true as its bytes allow, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from glasshead.saving.weights import ELEMENT_BYTES, SQUEEZED, Stored, StoredLayer, squeezed
from glasshead_backend import MemoryBudgetError
from glasshead_backend.frames.activations import ActivationsAsked, activations_stored
from glasshead_backend.progress import steps
from glasshead_backend.questions.activations import layers_by_block
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from glasshead.saving.weights import Place
    from glasshead_backend import Trace

_NAMES = {torch.float32: "float32", torch.float16: "float16"}
_MOST_CLUSTERED = 1024
"""Up to this many dimensions each map of a page can be clustered: that takes 0.1 s."""


@dataclass
class StoredActivations:
    """The activations that a page carries.

    Attributes
    ----------
    dtype : torch.dtype
        float32, or float16 where there is little room.
    layers : list of StoredLayer
    also_left_out : tuple of str
        The maps for which there was no room, in words.
    """

    dtype: torch.dtype
    layers: list[StoredLayer]
    also_left_out: tuple[str, ...] = ()
    left_out: list[Place] = field(default_factory=list["Place"])
    least: float = 0.0

    @property
    def relative_error(self) -> float:
        """Most that a number is off, as a share of itself."""
        return torch.finfo(self.dtype).eps / 2 if self.dtype == torch.float16 else 0.0

    @property
    def error(self) -> str:
        """The same in words."""
        if not self.relative_error:
            return "Activations are those of the model, in single precision."
        share = f"{100 * self.relative_error:.2g} %"
        return f"Activations are true to {share} of themselves (half precision)."

    def contents(self) -> dict[str, Any]:
        """Return what the page must know to read them."""
        return {"activations": [layer.about for layer in self.layers]}


class StoredMap(StoredLayer):
    """A block's activations as the page carries them."""

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes of a page."""
        about = self.about
        beside = [*about["orders"].values(), about["frame"]["rms"], about["frame"]["norms"]]
        packed = sum(len(one["data"]) for one in beside if one)
        return len(self.text) + 2 * ELEMENT_BYTES + int(SQUEEZED * packed)


def stored_activations(trace: Trace, shown: ActivationsAsked, room: int) -> Stored | None:
    """Write the activations of all blocks in single precision, or in half, or of some.

    What is shown comes first, then its block in the layers next to it, then the others.

    Parameters
    ----------
    trace : Trace
    shown : ActivationsAsked
    room : int
        Bytes.

    Returns
    -------
    StoredActivations or None
        None where there is no room at all.
    """
    if room < 0:
        return None
    places = sorted(_places(trace, shown), key=lambda one: _distance(one, shown))
    for dtype in (torch.float32, torch.float16):
        found = _as_many(trace, places, dtype, room)
        if len(found) == len(places):
            break
    layers = [found[place] for place in places if place in found]
    return StoredActivations(dtype, layers, _left_out([one for one in places if one not in found]))


def _places(trace: Trace, shown: ActivationsAsked) -> Iterable[ActivationsAsked]:
    for kind in trace.kinds:
        for block, layers in layers_by_block(run_of(trace), kind).items():
            if block == "embedding":  # the same whatever the layer
                own = shown.layer if shown.kind == kind and shown.layer in layers else layers[0]
                yield replace(shown, kind=kind, block=block, layer=own)
                continue
            for layer in layers:
                yield replace(shown, kind=kind, block=block, layer=layer)


def _distance(one: ActivationsAsked, shown: ActivationsAsked) -> tuple[bool, bool, int]:
    return one.kind != shown.kind, one.block != shown.block, abs(one.layer - shown.layer)


def _as_many(
    trace: Trace, places: Sequence[ActivationsAsked], dtype: torch.dtype, room: int
) -> dict[ActivationsAsked, StoredLayer]:
    """Write maps in their order, as many as there is room for."""
    found: dict[ActivationsAsked, StoredLayer] = {}
    texts: dict[str, str] = {}
    for place in steps(places, "writing activations", len(places)):
        element = _element(trace, place)
        sort = place.sort if place == places[0] else "dimension"
        try:
            asked = replace(place, sort=sort)
            values, about = activations_stored(trace, asked, most_clustered=_MOST_CLUSTERED)
        except (ValueError, MemoryBudgetError):
            continue  # another block of a model that has changed since, say
        own = _in(values, dtype)
        known = texts.get(element)
        text = known or squeezed(own.contiguous().numpy().tobytes())
        described = {
            "kind": place.kind,
            "layer": place.layer,
            "block": place.block,
            "element": element,
            "dtype": _NAMES[own.dtype],
            **about,
        }
        one = StoredMap((place.kind, place.layer), text, described)
        room -= one.n_bytes - (len(text) if known else 0)
        if room < 0:
            break
        texts[element] = text
        found[place] = one
    return found


def _element(trace: Trace, place: ActivationsAsked) -> str:
    """Name the element: kinds of attention of one stack share it."""
    return f"gh-activations-{run_of(trace).stack(place.kind)}-{place.block}-{place.layer}"


def _in(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return numbers in another dtype, unless it cannot hold them."""
    fits = not values.isfinite().all() or values.abs().max() <= torch.finfo(dtype).max
    return values.to(dtype) if fits else values


def _left_out(places: Sequence[ActivationsAsked]) -> tuple[str, ...]:
    by_block: dict[tuple[str, str], list[int]] = {}
    for place in places:
        by_block.setdefault((place.kind, place.block), []).append(place.layer)
    several = len({place.kind for place in places}) > 1
    return tuple(
        f"{kind + ' ' if several else ''}{block} activations"
        + ("" if block == "embedding" else f" of layers {', '.join(map(str, sorted(layers)))}")
        for (kind, block), layers in by_block.items()
    )
