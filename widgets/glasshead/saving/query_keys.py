"""The queries and keys that a page carries: as true as its bytes allow, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from glasshead.saving.weights import ELEMENT_BYTES, SQUEEZED, Stored, StoredLayer, squeezed
from glasshead_backend.asking import Selection
from glasshead_backend.frames.query_key_layer import query_key_layer
from glasshead_backend.progress import steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead.saving.weights import Place
    from glasshead_backend import Trace
    from glasshead_backend.frames.query_key_layer import Layer

_PRECISION = {torch.float32: "single", torch.float16: "half"}
_NAMES = {torch.float32: "float32", torch.float16: "float16"}


@dataclass
class StoredQueryKeys:
    """The queries and keys that a page carries.

    Attributes
    ----------
    dtype : torch.dtype
        float32; or float16 where the model's own are, and where there is little room.
    is_exact : bool
        Whether the numbers are the model's own.
    layers : list of StoredLayer
    left_out : list of tuple
        The layers for which there was no room, or which have no query and key that are known.
    also_left_out : tuple of str
        What else there was no room for.
    """

    dtype: torch.dtype
    is_exact: bool
    layers: list[StoredLayer]
    left_out: list[Place] = field(default_factory=list["Place"])
    also_left_out: tuple[str, ...] = ()
    least: float = 0.0

    @property
    def relative_error(self) -> float:
        """Most that an element of a query or key is off, as a share of itself."""
        return 0.0 if self.is_exact else torch.finfo(self.dtype).eps / 2

    @property
    def error(self) -> str:
        """The same in words."""
        if not self.relative_error:
            return (
                f"Queries and keys are those of the model, in {_PRECISION[self.dtype]} precision."
            )
        share = f"{100 * self.relative_error:.2g} %"
        return f"Queries and keys are true to {share} of themselves (half precision)."

    def contents(self) -> dict[str, Any]:
        """Return what the page must know to read them."""
        return {"query_key": [layer.about for layer in self.layers]}


def stored_query_keys(trace: Trace, shown: Selection, room: int) -> Stored | int:
    """Write queries and keys of all layers in single precision, or in half, or of some.

    Parameters
    ----------
    trace : Trace
    shown : Selection
        The layer and heads that are kept in any case; the layers next to it come first.
    room : int
        Bytes.

    Returns
    -------
    StoredQueryKeys or int
        The bytes of what is shown alone, where not even that fits.
    """
    places: list[Place] = [(kind, layer) for kind in trace.kinds for layer in trace.layers(kind)]
    current: Place = (shown.kind, shown.layer)
    nearest = sorted(places, key=lambda p: (p[0] != current[0], abs(p[1] - current[1])))
    whole = Selection(shown.kind, shown.layer)
    first = query_key_layer(trace, whole)  # what cannot be shown has no page
    is_half = first.is_exact(torch.float16)
    dtypes = [torch.float32] * (not is_half) + [torch.float16] * first.fits(torch.float16)
    for dtype in dtypes:
        found = _as_many(trace, nearest, dtype, room)
        is_last = dtype == dtypes[-1]
        if len(found) == len(places) or (is_last and current in found):
            return _stored(dtype, found, places, is_exact=is_half or dtype == torch.float32)
    dtype = dtypes[-1]
    part = replace(whole, heads=shown.heads)
    least = _written(query_key_layer(trace, part), current, dtype)
    if least.n_bytes > room:
        return least.n_bytes
    heads = ", ".join(map(str, least.about["heads"]))
    n_heads = trace.n_heads(*reversed(current))  # type: ignore[arg-type]
    less = () if len(shown.heads) in (0, n_heads) else (f"heads other than {heads}",)
    is_exact = is_half or dtype == torch.float32
    one = _stored(dtype, {current: least}, places, is_exact=is_exact)
    return replace(one, also_left_out=less)


def _as_many(
    trace: Trace, nearest: Sequence[Place], dtype: torch.dtype, room: int
) -> dict[Place, StoredLayer]:
    """Write layers in their order, as many as there is room for."""
    found: dict[Place, StoredLayer] = {}
    for kind, layer in steps(nearest, "writing queries and keys", len(nearest)):
        try:
            read = query_key_layer(trace, Selection(kind, layer))
        except ValueError:
            continue  # attention that is not made of a query and a key
        if not read.fits(dtype):
            continue
        one = _written(read, (kind, layer), dtype)
        room -= one.n_bytes
        if room < 0:
            break
        found[kind, layer] = one
    return found


def _written(layer: Layer, place: Place, dtype: torch.dtype) -> StoredQueryKey:
    kind, number = place
    about = {**layer.about, "element": f"gh-qk-{kind}-{number}", "dtype": _NAMES[dtype]}
    return StoredQueryKey(place, squeezed(layer.data(dtype)), about)


class StoredQueryKey(StoredLayer):
    """A layer's queries and keys as the page carries them."""

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes of a page."""
        about = self.about
        bias = about["bias"] and about["bias"]["values"]
        beside = [about["sinks"], about["rest"], about["hidden"], bias]
        packed = sum(len(one["data"]) for one in beside if one)
        return len(self.text) + 2 * ELEMENT_BYTES + int(SQUEEZED * packed)


def _stored(
    dtype: torch.dtype,
    found: dict[Place, StoredLayer],
    places: Sequence[Place],
    *,
    is_exact: bool,
) -> StoredQueryKeys:
    return StoredQueryKeys(
        dtype,
        is_exact,
        [found[place] for place in places if place in found],
        [place for place in places if place not in found],
    )
