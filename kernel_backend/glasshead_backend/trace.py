"""One recorded run of a model, and every question that can be asked about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from glasshead_backend.checks import require
from glasshead_backend.layer_questions import LayerQuestions
from glasshead_backend.prediction_questions import PredictionQuestions
from glasshead_backend.running import activations_of

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.layers import Kind, Stack

ActivationBlock = Literal["attention", "cross", "mlp", "residual", "embedding"]


class Trace(LayerQuestions, PredictionQuestions):
    """A recorded run: tokens, queries and keys of every attention call, predictions, block norms.

    Made by :meth:`glasshead_backend.Lens.trace`. Attention weights are not stored: each question
    computes the rows it needs. A trace keeps queries, keys and the last hidden states alive until
    it is closed (``trace.close()``, or use it as a context manager).

    In an encoder-decoder model the rows of "decoder" and "cross" attention belong to the decoder's
    *inputs*; row ``i`` predicts label ``i``. ``trace.labels`` has what each row predicts.
    """

    def __init__(self, **recorded: Any) -> None:
        super().__init__(**recorded)
        self._activations: dict[tuple[Stack, ActivationBlock], dict[int, Tensor]] = {}

    def close(self) -> None:
        """Free what was recorded. Questions asked afterwards raise ``ValueError``."""
        super().close()
        self._activations = {}

    @property
    def nbytes(self) -> int:
        """Bytes of tensors that this trace keeps alive."""
        stored = sum(t.nbytes for by_layer in self._activations.values() for t in by_layer.values())
        return super().nbytes + stored

    def norms(self, kind: Kind | None = None) -> dict[str, dict[int, Float[Tensor, " token"]]]:
        """L2 norms of what each block adds to the residual stream, at every token.

        Parameters
        ----------
        kind : str, optional
            Picks the stack: "encoder" the encoder's, "decoder" and "cross" the decoder's.

        Returns
        -------
        dict
            ``{block: {layer: [tokens] float32}}``, blocks "attention", "cross" (decoders of
            encoder-decoder models), "mlp". A layer without a block has no entry.
        """
        stack = self._stack(kind)
        found: dict[str, dict[int, Tensor]] = {}
        for (of_stack, layer, block), norm in self._norms.items():
            if of_stack == stack:
                found.setdefault(block, {})[layer] = norm
        return {block: dict(sorted(by_layer.items())) for block, by_layer in found.items()}

    def activations(
        self, layer: int, block: ActivationBlock, *, kind: Kind | None = None
    ) -> Float[Tensor, "token hidden"]:
        """Activations of one block at every token, from one more forward pass the first time.

        Parameters
        ----------
        layer : int
            Layer number.
        block : {"attention", "cross", "mlp", "residual", "embedding"}
            What the attention, cross-attention or MLP block adds to the residual stream; the
            residual stream behind the layer; or what goes into the first layer.
        kind : str, optional
            Picks the stack, as for :meth:`norms`.

        Returns
        -------
        Tensor
            ``[tokens, hidden]`` in the model's dtype.
        """
        self._require_open()
        require(block, get_args(ActivationBlock), "block")
        stack = self._stack(kind)
        if (stack, block) not in self._activations:
            self._activations[stack, block] = self._run_for_activations(stack, block)
        by_layer = self._activations[stack, block]
        if block == "embedding":
            return by_layer[0]
        if layer not in by_layer:
            has = ", ".join(map(str, by_layer)) or "no layer"
            raise ValueError(f"Layer {layer} has no {block} block: {has} has one.")
        return by_layer[layer]

    def _run_for_activations(self, stack: Stack, block: ActivationBlock) -> dict[int, Tensor]:
        structure = self.lens.anatomy.structure
        if block in ("residual", "embedding"):
            modules = dict(enumerate(structure.stacks[stack]))
        else:
            modules = {
                writer.layer: writer.module
                for writer in structure.writers
                if writer.stack == stack and writer.block == block
            }
        with self._autocast():
            return activations_of(
                self.lens.model, modules, self._inputs, inputs_wanted=block == "embedding"
            )
