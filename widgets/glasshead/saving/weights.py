"""The attention that a page carries: as true as its bytes allow, and what had to be left out."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from glasshead_backend.frames.codes import COARSER, FINEST, coded_layer, entropies
from glasshead_backend.progress import steps
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glasshead_backend import Trace
    from glasshead_backend.asking import Kind
    from glasshead_backend.frames import Packed
    from glasshead_backend.frames.codes import Coding

Place = tuple["Kind", int]
"""A kind of attention and a layer."""

_SAMPLE = 8
"""Layers by which the bytes of all are estimated."""
SQUEEZED = 1.4
"""Bytes of a page for one of an array among its contents, at most."""
ELEMENT_BYTES = 300
"""Of the element around a layer's codes, and of what the contents say of it."""


def squeezed(data: bytes) -> str:
    """Return bytes as a page carries them: base64 of gzip, the same for the same bytes."""
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode("ascii")


@dataclass(frozen=True)
class StoredLayer:
    """A layer as the page carries it.

    Attributes
    ----------
    place : tuple
    text : str
        Its codes, :func:`squeezed`.
    about : dict
        What the page must know to read them.
    """

    place: Place
    text: str
    about: dict[str, Any]

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes of a page."""
        beside = [self.about["row_sums"], *self.about["entropy"].values()]
        packed = sum(len(one["data"]) for one in beside if one)
        return len(self.text) + ELEMENT_BYTES + int(SQUEEZED * packed)


class Stored(Protocol):
    """What a page carries of layers, and what it cost.

    Attributes
    ----------
    layers : list of StoredLayer
    left_out : list of tuple
        The layers for which there was no room.
    """

    layers: list[StoredLayer]
    left_out: list[Place]

    @property
    def relative_error(self) -> float:
        """Most that a number is off, as a share of itself."""
        ...

    @property
    def least(self) -> float:
        """Smaller numbers are read as 0."""
        ...

    @property
    def error(self) -> str:
        """The same in words."""
        ...

    @property
    def also_left_out(self) -> tuple[str, ...]:
        """What else there was no room for, in words."""
        ...

    def contents(self) -> dict[str, Any]:
        """Return what the page must know to read it."""
        ...


@dataclass
class StoredWeights:
    """The attention that a page carries.

    Attributes
    ----------
    coding : Coding
    layers : list of StoredLayer
    left_out : list of tuple
        The layers for which there was no room.
    """

    coding: Coding
    layers: list[StoredLayer]
    left_out: list[Place] = field(default_factory=list[Place])
    also_left_out: tuple[str, ...] = ()

    @property
    def relative_error(self) -> float:
        """Most that a weight is off, as a share of itself."""
        return self.coding.relative_error

    @property
    def least(self) -> float:
        """Smaller weights are read as 0."""
        return self.coding.least

    @property
    def error(self) -> str:
        """The same in words."""
        share = f"{100 * self.coding.relative_error:.2g} %"
        if not self.coding.is_coarse:
            return f"Attention weights are true to {share} of themselves."
        return (
            f"Attention weights are true to {share} of themselves, ± {self.coding.least:g}: "
            "smaller ones are read as 0."
        )

    def contents(self) -> dict[str, Any]:
        """Return what the page must know to read them."""
        coding = self.coding
        return {
            "coding": {
                "bits": coding.bits,
                "least": coding.least,
                "relative_error": coding.relative_error,
                "coarse": coding.is_coarse,
            },
            "layers": [layer.about for layer in self.layers],
        }


def stored_weights(
    trace: Trace, kinds: Sequence[Kind], room: int, current: Place
) -> StoredWeights | int:
    """Write the attention of all layers by the truest coding that fits.

    Where not even the coarsest does, the layers next to the current one are kept.

    Parameters
    ----------
    trace : Trace
    kinds : sequence of str
    room : int
        Bytes.
    current : tuple
        Kind and layer that are kept in any case.

    Returns
    -------
    StoredWeights or int
        The bytes of the current layer alone, where not even that fits.
    """
    places: list[Place] = [(kind, layer) for kind in kinds for layer in trace.layers(kind)]
    written: dict[Coding, dict[Place, StoredLayer]] = {}

    @cache
    def spread(place: Place) -> dict[str, Packed]:
        return _spread(trace, place)

    def write(coding: Coding, some: Sequence[Place]) -> dict[Place, StoredLayer]:
        known = written.setdefault(coding, {})
        missing = [place for place in some if place not in known]
        for place in steps(missing, "writing the attention", len(missing)):
            known[place] = _stored(trace, place, coding, spread)
        return known

    step = max(1, len(places) // _SAMPLE)
    sample = places[step // 2 :: step]
    cells = {place: _cells(trace, place) for place in places}
    n_cells = sum(cells.values())

    def too_large(coding: Coding) -> bool:
        """Guess it from a sample: a little too large is no reason not to try."""
        if coding is FINEST and n_cells > room:
            return True  # two bytes each, of which hardly one is saved
        tried = write(coding, sample)
        of_sample = sum(tried[place].n_bytes for place in sample)
        return 0.95 * of_sample * n_cells > room * sum(cells[place] for place in sample)

    codings = (FINEST, *COARSER)
    for coding in codings[_first_that_fits(codings, too_large) :]:
        known = write(coding, places)
        if sum(known[place].n_bytes for place in places) <= room:
            return StoredWeights(coding, [known[place] for place in places])
        if coding is not codings[-1]:
            written.pop(coding)
    return _nearest(write(COARSER[-1], places), places, room, current)


def same_weights(trace: Trace, other: StoredWeights, name: str) -> list[StoredLayer]:
    """Write the attention of another run of the same text as that of the first is written.

    A layer that is the same in both is there once.

    Parameters
    ----------
    trace : Trace
    other : StoredWeights
        Of the first run: its coding, and its layers.
    name : str
        Begins the names of the elements.
    """

    @cache
    def spread(place: Place) -> dict[str, Packed]:
        return _spread(trace, place)

    found: list[StoredLayer] = []
    for first in other.layers:
        layer = _stored(trace, first.place, other.coding, spread)
        kind, number = layer.place
        is_same = layer.text == first.text
        element = first.about["element"] if is_same else f"{name}-{kind}-{number}"
        found.append(replace(layer, about={**layer.about, "element": element}))
    return found


def _spread(trace: Trace, place: Place) -> dict[str, Packed]:
    kind, layer = place
    return {unit: entropies(trace, kind, layer, unit) for unit in ("token", "word")}


def _first_that_fits(codings: Sequence[Coding], too_large: Callable[[Coding], bool]) -> int:
    """Return the place of the first that is not too large, or of the last; they get smaller."""
    low, high = 0, len(codings) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if too_large(codings[middle]) else (low, middle)
    return low


def _nearest(
    known: dict[Place, StoredLayer], places: Sequence[Place], room: int, current: Place
) -> StoredWeights | int:
    """Keep the layers next to the current one, its kind first, as many as there is room for."""
    kind, layer = current
    by_nearness = sorted(places, key=lambda place: (place[0] != kind, abs(place[1] - layer)))
    kept: list[Place] = []
    for place in by_nearness:
        if known[place].n_bytes > room:
            break
        room -= known[place].n_bytes
        kept.append(place)
    if current not in kept:
        return known[current].n_bytes
    return StoredWeights(
        COARSER[-1],
        [known[place] for place in places if place in kept],
        [place for place in places if place not in kept],
    )


def _cells(trace: Trace, place: Place) -> int:
    kind, layer = place
    call = run_of(trace).call(layer, kind)
    seen = 0.5 if run_of(trace).is_causal(kind) else 1.0
    return int(seen * call.n_heads * call.n_queries * call.n_keys)


def _stored(
    trace: Trace, place: Place, coding: Coding, spread: Callable[[Place], dict[str, Packed]]
) -> StoredLayer:
    kind, layer = place
    call = run_of(trace).call(layer, kind)
    coded = coded_layer(trace, kind, layer, coding)
    rest = call.remainder
    about = {
        "kind": kind,
        "layer": layer,
        "element": f"gh-{kind}-{layer}",
        "heads": call.n_heads,
        "rows": call.n_queries,
        "columns": call.n_keys,
        "triangular": coded.triangular,
        "undefined": coded.undefined,
        "row_sums": coded.row_sums,
        "entropy": spread(place) if coding.is_coarse else {},
        "note": f"Rows sum to less than 1: {rest} take the rest." if rest else "",
    }
    return StoredLayer(place, squeezed(coded.data), about)
