"""The numbers in a model at a glance: tokens by dimensions of a block or the residual stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, get_args

import traitlets

from glasshead.code import call
from glasshead.messages import question
from glasshead.trace_view import TraceView, require_trace
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend.asking import ActivationBlock
from glasshead_backend.frames import axes
from glasshead_backend.frames.activations import (
    ActivationsAsked,
    activations_frame,
    activations_table,
    activations_tile,
    largest_dimensions,
    n_dimensions,
)
from glasshead_backend.questions.activations import layers_by_block, sequence_of, stored_activations
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.run import layer_names

if TYPE_CHECKING:
    import pandas as pd

    from glasshead.messages import Answer
    from glasshead_backend import Trace

_BUSY_NUMBERS = 4_000_000
"""From this many numbers on, a map is computed beside the kernel's own thread."""
_BUSY_TOKENS = 20_000
"""From this many tokens, in all layers, on so is the model's run."""
_BUSY_CLUSTERED = 1500
"""From this many dimensions on clustering takes as long."""


class ActivationMap(TraceView):
    """What stands in the residual stream, or what a block adds to it: tokens by dimensions.

    Every number of the residual stream behind a layer, of the embedding's output, or of what an
    attention block, an MLP or another block adds. Dimensions stand by their numbers, by their size,
    or so that those that rise and fall together are near; those far larger than the others are
    marked. Large maps are pooled: a pixel shows the number that is largest in size.

    Parameters
    ----------
    trace : Trace
    **state
        Traits, e.g. ``block``, ``layer``, ``sort``, ``dimensions``, ``kind``.

    Examples
    --------
    >>> from glasshead import ActivationMap, Lens
    >>> trace = Lens.demo("decoder").trace("The whale, the whale!")
    >>> ActivationMap(trace, block="mlp", layer=1).to_frame().shape == (len(trace.tokens), 192)
    True
    """

    _esm = bundle("activation_map.js")
    _css = bundle("activation_map.css")

    block = traitlets.Enum(
        list(get_args(ActivationBlock)),
        default_value="residual",
        help="What is shown: the residual stream behind the layer, what a block adds to it, or "
        'what goes into the first layer ("embedding").',
    ).tag(sync=True)
    sort = traitlets.Enum(
        ["dimension", "largest", "cluster"],
        default_value="dimension",
        help="Order of the dimensions: by their numbers, by their root mean square over tokens, "
        "largest first, or clustered by correlation.",
    ).tag(sync=True)
    dimensions = traitlets.List(
        traitlets.Int(), help="Pinned dimensions, whose numbers are drawn along the text."
    ).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "layer", "block", "sort")
    _label_traits: ClassVar[tuple[str, ...]] = ("kind",)
    _patience: ClassVar[float | None] = 1.0

    page_parts: ClassVar[frozenset[str]] = frozenset({"activations"})

    def __init__(self, trace: Trace, **state: Any) -> None:
        require_trace(type(self), trace)
        kind = state.get("kind", trace.default_kind)
        if kind in trace.kinds:  # an unknown one is refused where it is validated
            there = layers_by_block(run_of(trace), kind)
            if not there:
                run_of(trace).require_model()
            if "residual" not in there and there:
                state.setdefault("block", next(iter(there)))
            if layers := there.get(state.get("block", "residual")):
                state.setdefault("layer", layers[0])
        super().__init__(trace, **state)

    def to_frame(self) -> pd.DataFrame:
        """Return all numbers: a row for every token, a column for every dimension, as ordered."""
        return activations_table(self.trace, self.shown)

    def in_words(self) -> list[str]:
        """Return the largest dimensions."""
        found = largest_dimensions(self.trace, self.shown, N_SENTENCES)
        return [
            f"Dimension {dimension}: root mean square {size:.3g} over tokens"
            for dimension, size in found
        ]

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``.

        Its columns are the dimensions by their numbers, whatever their order in the picture.
        """
        kind = None if self.kind == self.trace.default_kind else self.kind
        layer = 0 if self.block == "embedding" else self.layer
        return call("trace.activations", layer, self.block, kind=kind).replace("'", '"')

    @property
    def shown(self) -> ActivationsAsked:
        """What is shown."""
        return ActivationsAsked(self._kind, self.layer, self._block, self._sort)

    @property
    def _block(self) -> Any:
        return self.block

    @property
    def _sort(self) -> Any:
        return self.sort

    def _make_frame(self) -> dict[str, Any]:
        return activations_frame(self.trace, self.shown)

    def _make_axes(self) -> dict[str, Any]:
        return axes(self.trace, self._kind, "token")

    def _is_long(self) -> bool:
        run = run_of(self.trace)
        known = stored_activations(run, self._block, self._kind)
        if not known:  # the model has to run once more
            n_tokens = len(sequence_of(run, self._kind).tokens)
            return n_tokens * len(self._layers()) > _BUSY_TOKENS
        n_tokens, n_dims = next(iter(known.values())).shape
        clusters = self.sort == "cluster" and n_dims > _BUSY_CLUSTERED
        return clusters or n_tokens * n_dims > _BUSY_NUMBERS

    @property
    def _work(self) -> str:
        if self.sort == "cluster":
            return f"clustering dimensions of layer {self.layer}"
        return f"reading activations of layer {self.layer}"

    def _on_picture(self) -> None:
        # Another model may have fewer dimensions.
        there = self.frame["dimensions"]
        self.dimensions = [one for one in self.dimensions if one < there]

    # ---- layers and blocks -----------------------------------------------------------------------

    def _there(self) -> dict[ActivationBlock, list[int]]:
        """Return the blocks of the stack, with their layers."""
        return layers_by_block(run_of(self.trace), self._kind)

    def _layers(self) -> list[int]:
        return self._there().get(self._block, [])

    def _require_layer(self, layer: int) -> None:
        layers = self._layers()
        if layer in layers or not layers:  # a block that is not there is refused itself
            return
        raise ValueError(
            f"layer {layer!r} is out of range: {self.trace.lens.name} has "
            f"{layer_names(layers)} with {self.block} block."
        )

    def _n_heads(self) -> int:
        # Heads are the linked views' business: a layer without attention leaves them as they are.
        layers = self.trace.layers(self._kind)
        of_layers = [self.layer] if self.layer in layers else layers
        return max(self.trace.n_heads(layer, self._kind) for layer in of_layers)

    def _fit(self) -> None:
        """Keep the block within those of the stack, and layer and heads as every view does."""
        there = self._there()
        with self.hold_trait_notifications():
            if there and self._block not in there:
                self.block = "residual" if "residual" in there else next(iter(there))
            if self._layers():
                super()._fit()

    @traitlets.observe("block")
    def _on_block(self, _: dict[str, Any]) -> None:
        with self._lock:
            self._fit()

    # ---- validation ------------------------------------------------------------------------------

    @traitlets.validate("block")
    def _valid_block(self, proposal: dict[str, Any]) -> str:
        try:
            there = self._there()
        except ValueError as error:  # the kind may be as wrong, and is validated as well
            raise traitlets.TraitError(str(error)) from None
        if proposal["value"] in there or not there:
            return proposal["value"]
        unclear = self.trace.unclear_blocks(self._kind).get(proposal["value"], {})
        why = f" {next(iter(unclear.values()))}" if unclear else ""
        names = ", ".join(map(repr, there))
        raise traitlets.TraitError(
            f"block {proposal['value']!r} is not there: {self.trace.lens.name} has {names}.{why}"
        )

    @traitlets.validate("dimensions")
    def _valid_dimensions(self, proposal: dict[str, Any]) -> list[int]:
        dimensions = sorted(set(proposal["value"]))
        if not dimensions:
            return []
        try:
            there = n_dimensions(self.trace, self.shown)
        except ValueError as error:  # layer or block may be as wrong
            raise traitlets.TraitError(str(error)) from None
        wrong = [one for one in dimensions if not 0 <= one < there]
        if wrong:
            raise traitlets.TraitError(
                f"dimension {wrong[0]} is out of range: the {self.block} of "
                f"{self.trace.lens.name} has dimensions 0-{there - 1}."
            )
        return dimensions

    # ---- questions -------------------------------------------------------------------------------

    @question
    def tile(self, row0: int, row1: int, column0: int, column1: int) -> Answer:
        """Return a viewport of the map, of at most 512 x 1024 pixels."""
        return activations_tile(self.trace, self.shown, (row0, row1), (column0, column1))
