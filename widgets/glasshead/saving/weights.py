"""The attention that a page carries: as true as its bytes allow, and what had to be left out."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glasshead_backend.frames.codes import COARSER, FINEST, coded_layer
from glasshead_backend.progress import steps
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead_backend import Trace
    from glasshead_backend.asking import Kind
    from glasshead_backend.frames.codes import Coding

Place = tuple["Kind", int]
"""A kind of attention and a layer."""

_SAMPLE = 3
"""Layers by which the bytes of all are estimated."""
_ELEMENT_BYTES = 100
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
        return len(self.text) + _ELEMENT_BYTES


@dataclass(frozen=True)
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

    def write(coding: Coding, some: Sequence[Place]) -> dict[Place, StoredLayer]:
        known = written.setdefault(coding, {})
        missing = [place for place in some if place not in known]
        for place in steps(missing, "writing the attention", len(missing)):
            known[place] = _stored(trace, place, coding)
        return known

    sample = [place for place in places[:: max(1, len(places) // _SAMPLE)] if place in places]
    cells = {place: _cells(trace, place) for place in places}
    for coding in (FINEST, *COARSER):
        tried = write(coding, sample)
        per_cell = sum(tried[p].n_bytes for p in sample) / max(1, sum(cells[p] for p in sample))
        # An estimate that is a little too large is no reason not to try.
        if 0.9 * per_cell * sum(cells.values()) > room:
            written.pop(coding)
            continue
        known = write(coding, places)
        if sum(known[place].n_bytes for place in places) <= room:
            return StoredWeights(coding, [known[place] for place in places])
        written.pop(coding)
    return _nearest(write(COARSER[-1], places), places, room, current)


def _nearest(
    known: dict[Place, StoredLayer], places: Sequence[Place], room: int, current: Place
) -> StoredWeights | int:
    """Keep the layers next to the current one, those of its kind first, as many as there is room."""
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
    return call.n_heads * call.n_queries * call.n_keys


def _stored(trace: Trace, place: Place, coding: Coding) -> StoredLayer:
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
        "note": f"Rows sum to less than 1: {rest} take the rest." if rest else "",
    }
    return StoredLayer(place, squeezed(coded.data), about)
