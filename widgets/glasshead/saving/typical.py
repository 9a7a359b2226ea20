"""Rows of heads in many texts, as a saved page of an atlas carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from glasshead.saving import contents as parts
from glasshead.saving.weights import squeezed
from glasshead_backend.frames.head_atlas import typical_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead_backend.statistics import HeadAtlas


class StoredRows(NamedTuple):
    """Rows that a page has, and in words those for which there was no room."""

    rows: list[dict[str, Any]]
    left_out: tuple[str, ...]


def stored_rows(
    atlas: HeadAtlas, metrics: Sequence[str], shown: dict[str, Any], room: int
) -> StoredRows:
    """Return the rows of as many metrics and heads as there is room for.

    Parameters
    ----------
    atlas : HeadAtlas
    metrics : sequence of str
        Those that are drawn: their rows come first. Of a metric that has not room for all, heads
        that have most of it.
    shown : dict
        The rows that the page opens with: it has them in any case.
    room : int
        Bytes.
    """
    names = [metric.name for metric in atlas.metrics]
    order = [name for name in dict.fromkeys((*metrics, *names)) if name in names]
    rows: list[dict[str, Any]] = [shown] if shown else []
    left_out: list[str] = []
    for name in order:
        heads = _heads_by(atlas, name)
        found = [typical_rows(atlas, layer, head, name) for layer, head in heads]
        size = len(squeezed(parts.as_json({"rows": found})))
        n_kept = len(found) if size <= room else int(len(found) * room / size)
        room -= min(room, size)
        rows += [one for one in found[:n_kept] if one["key"] != shown.get("key")]
        if n_kept < len(found):
            left_out.append(f"rows by {name} of {len(found) - n_kept} of {len(found)} heads")
    return StoredRows(rows, tuple(left_out))


def _heads_by(atlas: HeadAtlas, metric: str) -> list[tuple[int, int]]:
    """Return layer and head of all heads, those with most of a metric first."""
    table = atlas.to_frame()
    order = np.argsort(-table[metric].fillna(-np.inf).to_numpy(), kind="stable")
    layers, heads = table["layer"].to_numpy()[order], table["head"].to_numpy()[order]
    return [(int(layer), int(head)) for layer, head in zip(layers, heads, strict=True)]
