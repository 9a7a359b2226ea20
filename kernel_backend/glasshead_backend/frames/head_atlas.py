"""All heads of a model over many texts: an atlas of them as HeadFinder draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from glasshead_backend.demo import TOY_NOTICE
from glasshead_backend.frames.heads import listed
from glasshead_backend.frames.pack import pack
from glasshead_backend.frames.scene import TITLES, size_words
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from glasshead_backend.asking import Kind
    from glasshead_backend.frames.heads import Shown
    from glasshead_backend.statistics import HeadAtlas
    from glasshead_backend.trace import Trace

_FAMILIES = {"self": "decoder", "encoder": "encoder-decoder"}
"""Of models that have such attention, where an atlas does not say; others are encoder-decoders."""


class NamedModel(NamedTuple):
    """What is known of a model that is not here."""

    name: str
    notice: str


class AtlasHeads:
    """The heads of an atlas, where a view asks a trace for them: there is no text, and no model.

    Attributes
    ----------
    atlas : HeadAtlas
    lens : NamedModel
    kinds : tuple of str
        The one that the atlas is of.
    sequences : tuple
        No text.
    """

    def __init__(self, atlas: HeadAtlas) -> None:
        self.atlas = atlas
        self.kinds: tuple[Kind, ...] = (atlas.kind,)
        self.default_kind = atlas.kind
        self.sequences: tuple[()] = ()
        notice = {f"demo {name}": words for name, words in TOY_NOTICE.items()}
        self.lens = NamedModel(atlas.model, notice.get(atlas.model, ""))

    def layers(self, kind: Kind) -> list[int]:  # noqa: ARG002  there is one
        """Return the model's own numbers of the layers."""
        return list(self.atlas.layers)

    def n_heads(self, layer: int, kind: Kind) -> int:  # noqa: ARG002
        """Return how many heads a layer has."""
        return self.atlas.n_heads[self.place(layer)]

    def place(self, layer: int) -> int:
        """Return the place of a layer among those that there are.

        Raises
        ------
        ValueError
            Where there is no such layer.
        """
        layers = self.atlas.layers
        if layer not in layers:
            there = ", ".join(map(str, layers))
            raise ValueError(
                f"layer {layer} is out of range: the atlas of {self.lens.name} has layers {there}."
            )
        return layers.index(layer)


def require_same_heads(atlas: HeadAtlas, trace: Trace) -> None:
    """Refuse an atlas of another model than a trace's.

    Raises
    ------
    ValueError
        Where the class of the model, layers or heads are others.
    """
    own = run_of(trace).model_class
    if own != atlas.model_class:
        raise ValueError(
            f"The atlas is of {atlas.model}, a {atlas.model_class}; the trace is of "
            f"{trace.lens.name}, a {own}. Make the trace with the same model, or show the atlas "
            "alone: HeadFinder(atlas)."
        )
    if atlas.kind in trace.kinds:
        layers = tuple(trace.layers(atlas.kind))
        if layers == atlas.layers:
            heads = tuple(trace.n_heads(layer, atlas.kind) for layer in layers)
            if heads == atlas.n_heads:
                return
    raise ValueError(
        f"The atlas is of {atlas.model} ({size_words(AtlasHeads(atlas))}, {atlas.kind} attention); "
        f"the trace is of {trace.lens.name}, which has other heads. Make the trace with the same "
        "model, or show the atlas alone: HeadFinder(atlas)."
    )


def atlas_scene(heads: AtlasHeads) -> dict[str, Any]:
    """Describe the model of an atlas, as :func:`glasshead_backend.frames.scene` does a trace's."""
    atlas = heads.atlas
    layers = [
        {"number": layer, "heads": n} for layer, n in zip(atlas.layers, atlas.n_heads, strict=True)
    ]
    return {
        "model": f"{atlas.model} · {size_words(heads)}",
        "family": _FAMILIES.get(atlas.kind, "encoder-decoder"),
        "notice": heads.lens.notice,
        "kinds": [{"name": atlas.kind, "title": TITLES[atlas.kind], "layers": layers}],
    }


def corpus_words(atlas: HeadAtlas) -> str:
    """Say of how many texts an atlas is: "2,000 texts, 95 % bootstrap intervals"."""
    texts = f"{atlas.n_texts:,} text{'' if atlas.n_texts == 1 else 's'}"
    return f"{texts}, {100 * atlas.confidence:g} % bootstrap intervals"


def corpus(atlas: HeadAtlas) -> dict[str, Any]:
    """Say what an atlas is of, and what is not in it."""
    note = ""
    if atlas.n_skipped:
        number, why = atlas.skipped[0]
        one = atlas.n_skipped == 1
        texts = "1 text was left out:" if one else f"{atlas.n_skipped:,} texts were left out, first"
        note = f"{texts} text {number}: {why}"
    return {"words": corpus_words(atlas), "texts": atlas.n_texts, "note": note}


def atlas_frame(atlas: HeadAtlas) -> dict[str, Any]:
    """Make the frame of HeadFinder for an atlas without a text: there are no patterns.

    Returns
    -------
    dict
        As :func:`glasshead_backend.frames.heads.heads_frame`; of every metric also the
        ``interval``: ``low`` and ``high``, and ``n`` texts, ``[layers, heads]``.
    """
    n_layers, most = len(atlas.layers), max(atlas.n_heads)
    unknown = torch.full((n_layers, most), torch.nan)
    return {
        "key": {"kind": atlas.kind, "unit": "token"},
        "kind": "heads",
        "rows": 0,
        "columns": 0,
        "per_pixel": 1,
        "patterns": pack(torch.zeros(n_layers, most, 0, 0), torch.uint8),
        "sinks": pack(torch.zeros(n_layers, most, 0), torch.uint8),
        "scale": pack(unknown, torch.float32),
        "to_sinks": pack(unknown, torch.float32),
        "layers": pack(torch.tensor(atlas.layers), torch.int32),
        "n_heads": pack(torch.tensor(atlas.n_heads), torch.uint16),
        "metrics": _metrics(atlas),
        "scale_words": "",
        "sinks_words": "",
        "note": "",
        "corpus": corpus(atlas),
    }


def with_atlas(
    measured: dict[str, Any], atlas: HeadAtlas, kind: Kind, more: Sequence[str] = ()
) -> dict[str, Any]:
    """Put the numbers of many texts in the place of those of one.

    Parameters
    ----------
    measured : dict
        As :func:`glasshead_backend.frames.heads.measured_heads` returns it, or a whole frame.
    atlas : HeadAtlas
    kind : str
        Kind of attention of `measured`. Of another than its own the atlas says nothing.
    more : sequence of str
        Metrics that are of the text alone: the model runs for them.

    Returns
    -------
    dict
        What the numbers were on that text is ``here`` in each metric.
    """
    if kind != atlas.kind:
        words = f"The atlas is of {atlas.kind} attention: these numbers are of this text."
        return {**measured, "note": " ".join(filter(None, (measured["note"], words)))}
    of_text = {one["name"]: one for one in measured["metrics"]}
    of_many = [
        {**one, "here": of_text[one["name"]]["values"]} if one["name"] in of_text else one
        for one in _metrics(atlas)
    ]
    beside = [of_text[name] for name in more]
    return {**measured, "metrics": [*of_many, *beside], "corpus": corpus(atlas)}


def _metrics(atlas: HeadAtlas) -> list[dict[str, Any]]:
    """Return the metrics of an atlas as a frame has them."""
    return [
        {
            "name": metric.name,
            "label": metric.label,
            "unit": metric.unit,
            "max": metric.max,
            "values": pack(atlas.mean[i], torch.float32),
            "note": f"No text has this number: {metric.unit}." if _is_nowhere(atlas, i) else "",
            "interval": {
                "low": pack(atlas.low[i], torch.float32),
                "high": pack(atlas.high[i], torch.float32),
                "n": pack(atlas.n[i], torch.uint32),
            },
        }
        for i, metric in enumerate(atlas.metrics)
    ]


def _is_nowhere(atlas: HeadAtlas, metric: int) -> bool:
    return bool(atlas.mean[metric].isnan().all())


def atlas_table(atlas: HeadAtlas, shown: Shown, beside: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the rows of an atlas' table that are shown, in their order.

    Parameters
    ----------
    atlas : HeadAtlas
    shown : Shown
    beside : DataFrame, optional
        ``layer``, ``head`` and further numbers of the heads.
    """
    heads = atlas.to_frame()
    if beside is not None:
        heads = heads.merge(beside, on=["layer", "head"], how="left")
    return listed(heads, shown)


def typical_rows(atlas: HeadAtlas, layer: int, head: int, metric: str) -> dict[str, Any]:
    """Return the rows of a head by bucket of a metric, and some of every bucket.

    Parameters
    ----------
    atlas : HeadAtlas
    layer, head : int
    metric : str

    Returns
    -------
    dict
        ``edges`` ``[buckets + 1]`` and ``rows`` ``[buckets]``: how many there are; of examples
        ``places`` (text, query, start of the window, its tokens, bucket), ``numbers`` (the row's
        value, its weight outside the window), ``queries``: their own tokens; ``tokens`` and
        ``weights`` of all windows, one after the other. The highest value is first.
    """
    examples = atlas.examples(layer, head, metric)
    number = next(i for i, one in enumerate(atlas.metrics) if one.name == metric)
    rows = atlas.rows[number, atlas.layers.index(layer), head]
    places = [[one.text, one.query, one.start, len(one.tokens), one.bucket] for one in examples]
    numbers = [[one.value, one.outside] for one in examples]
    weights = [one.weights for one in examples]
    edges = atlas.metrics[number].edges
    return {
        "key": {"kind": atlas.kind, "layer": layer, "head": head, "metric": metric},
        "edges": pack(torch.tensor(edges), torch.float32),
        "rows": pack(rows[: len(edges) - 1].clamp(max=2**32 - 1), torch.uint32),
        "places": pack(torch.tensor(places).reshape(-1, 5), torch.int32),
        "numbers": pack(torch.tensor(numbers).reshape(-1, 2), torch.float32),
        "queries": [one.token for one in examples],
        "tokens": [token for one in examples for token in one.tokens],
        "weights": pack(torch.cat(weights) if weights else torch.zeros(0), torch.float32),
    }
