"""What a trace knows, drawn by BertViz: as its functions take it, right where they go astray."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import torch

from glasshead_backend.asking import Selection
from glasshead_backend.checks import require, several
from glasshead_backend.questions.attention import attention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from glasshead_backend.asking import Kind, Side
    from glasshead_backend.tracing.run import Run

_MOST_BYTES = 200_000_000
"""Of a page that a browser may still open."""
_BYTES_PER_WEIGHT = 27
"""BertViz writes every weight twice, as decimal numbers."""

_ARGUMENTS: dict[Kind, str] = {
    "self": "attention",
    "encoder": "encoder_attention",
    "decoder": "decoder_attention",
    "cross": "cross_attention",
}


def draw(
    run: Run, view: Literal["head", "model"], kinds: Sequence[Kind], options: dict[str, Any]
) -> Any:
    """Draw a run with BertViz; see :meth:`Trace.to_bertviz`."""
    require(view, ("head", "model"), "view")
    try:
        function: Any = getattr(import_module("bertviz"), f"{view}_view")
    except ImportError:
        raise ImportError(
            'to_bertviz needs BertViz: pip install "glasshead[bertviz]". Glasshead\'s own views of '
            "the same weights: AttentionLines(trace), HeadFinder(trace)."
        ) from None
    chosen = options.pop("include_layers", None)
    wanted = None if chosen is None else several(chosen, "layer")
    layers: dict[Kind, list[int]] = {kind: _layers(run, kind, wanted) for kind in kinds}
    _require_small(run, layers)
    # BertViz numbers the layers of all kinds alike: kinds that differ are drawn one by one.
    together = len({tuple(of) for of in layers.values()}) == 1
    parts: list[list[Kind]] = [list(kinds)] if together else [[kind] for kind in kinds]
    drawn = [
        function(
            **_arguments(run, part, layers[part[0]]),
            include_layers=layers[part[0]],
            prettify_tokens=False,  # they are text already
            **options,
        )
        for part in parts
    ]
    pages = [page for page in drawn if page is not None]
    return type(pages[0])("\n".join(page.data for page in pages)) if pages else None


def _layers(run: Run, kind: Kind, wanted: list[int] | None) -> list[int]:
    there = run.layers(kind)
    if wanted is None:
        return there
    found = [layer for layer in wanted if layer in there]
    if not found:
        run.call(wanted[0] if wanted else -1, kind)  # says which layers there are
    return found


def _require_small(run: Run, layers: dict[Kind, list[int]]) -> None:
    calls = [run.call(layer, kind) for kind, of in layers.items() for layer in of]
    n_bytes = _BYTES_PER_WEIGHT * sum(one.n_heads * one.n_queries * one.n_keys for one in calls)
    if n_bytes > _MOST_BYTES:
        raise ValueError(
            f"BertViz would write {n_bytes / 1e6:,.0f} MB into the page, more than a browser "
            "opens. Ask for some layers, include_layers=[...], or use AttentionLines and "
            "HeadFinder, which compute what is on screen."
        )


def _arguments(run: Run, kinds: Sequence[Kind], layers: list[int]) -> dict[str, Any]:
    """Return the arguments of BertViz' functions that have weights and tokens."""
    found: dict[str, Any] = {_ARGUMENTS[kind]: _weights(run, kind, layers) for kind in kinds}
    if "self" in kinds:
        return {**found, "tokens": _names(run, "query", "self")}
    for kind in kinds:
        sides: tuple[Side, Side] = ("query", "key")
        for side in sides:
            of_source = run.side(side, kind).name == "source"
            name = "encoder_tokens" if of_source else "decoder_tokens"
            found[name] = _names(run, side, kind)
    return found


def _weights(run: Run, kind: Kind, layers: list[int]) -> list[Tensor]:
    """Return weights by the model's own numbers of layers: ``[1, heads, queries, keys]`` each."""
    by_layer = {
        layer: attention(run, Selection(kind, layer)).nan_to_num(0.0).float().cpu()[None]
        for layer in layers
    }
    heads = {layer: weights.shape[1] for layer, weights in by_layer.items()}
    if len(set(heads.values())) > 1:
        raise ValueError(
            f"BertViz draws layers with the same number of heads; here they have "
            f"{', '.join(f'{n} (layer {layer})' for layer, n in heads.items())}. Ask for some: "
            "include_layers=[...]."
        )
    # Layers that are not asked for are never looked at; BertViz reads the list by number.
    nothing = torch.zeros_like(by_layer[layers[0]])
    return [by_layer.get(layer, nothing) for layer in range(layers[-1] + 1)]


def _names(run: Run, side: Side, kind: Kind) -> list[str]:
    """Return the texts of tokens; none of them ends the script that BertViz writes them into."""
    return [
        token.text.replace("</", "<\u200b/").replace("<!--", "<\u200b!--")
        for token in run.side(side, kind).tokens
    ]
