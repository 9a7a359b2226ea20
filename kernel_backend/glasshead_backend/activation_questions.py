"""Questions about what blocks add to the residual stream: norms, activations, parts of heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from glasshead_backend.checks import require, several
from glasshead_backend.layer_questions import LayerQuestions
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.readout import read_out
from glasshead_backend.running import activations_of, device_of, layers_reported

if TYPE_CHECKING:
    from collections import abc

    from jaxtyping import Float
    from torch import Tensor, nn

    from glasshead_backend.layers import Kind, Stack
    from glasshead_backend.prediction import NextTokenLogits

_STORE_AT_ONCE = (
    ", or record activations at once, right behind trace = lens.trace(...): "
    "trace.store_activations(...)"
)

ActivationBlock = Literal["attention", "cross", "mlp", "residual", "embedding"]


class ActivationQuestions(LayerQuestions):
    """What a trace can be asked about activations."""

    def __init__(self, **recorded: Any) -> None:
        super().__init__(**recorded)
        self._activations: dict[tuple[Stack, ActivationBlock], dict[int, Tensor]] = {}

    def close(self) -> None:
        """Free what was recorded."""
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
        self,
        layer: int,
        block: ActivationBlock,
        *,
        kind: Kind | None = None,
        heads: int | abc.Sequence[int] | None = None,
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
        heads : int or sequence of int, optional
            Of an attention block, only what these heads write: their sum of values, weighted and
            put through the output projection, without its bias. The parts of all heads and the
            bias make what leaves the projection.

        Returns
        -------
        Tensor
            ``[tokens, hidden]`` in the dtype that they are stored in: the model's, or the one that
            was given to :meth:`store_activations`.

        Raises
        ------
        ValueError
            When the layer has no such block; and with `heads` as :meth:`moved_norms`.
        ModelChangedError
            When they are not stored yet and the model has changed since the text was traced.
        """
        self._require_open()
        require(block, get_args(ActivationBlock), "block")
        stack = self._stack(kind)
        if heads is not None:
            return self._part_of_heads(layer, block, stack, heads)
        if (stack, block) not in self._activations:
            self.store_activations([block], kind=kind)
        by_layer = self._activations[stack, block]
        if block == "embedding":
            return by_layer[0]
        if layer not in by_layer:
            has = ", ".join(map(str, by_layer)) or "no layer"
            raise ValueError(f"Layer {layer} has no {block} block: {has} has one.")
        return by_layer[layer]

    def store_activations(
        self,
        blocks: abc.Sequence[ActivationBlock] = ("attention", "mlp"),
        *,
        kind: Kind | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Keep the activations of several blocks, all layers, from a single forward pass.

        Later questions find them; :meth:`activations` does this by itself, block by block.

        Parameters
        ----------
        blocks : sequence of str
            As for :meth:`activations`. What is stored already, in this dtype, stays.
        kind : str, optional
            Picks the stack.
        dtype : torch.dtype, optional
            What to store them in, ``torch.float16`` for half the memory; default the model's own.

        Raises
        ------
        MemoryBudgetError
            When they would take more memory than they may.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        self._require_open()
        stack = self._stack(kind)
        for block in blocks:
            require(block, get_args(ActivationBlock), "block")
        missing: list[ActivationBlock] = [b for b in blocks if not self._has(stack, b, dtype)]
        modules: dict[ActivationBlock, dict[int, nn.Module]] = {
            block: self._modules_of(stack, block) for block in missing
        }
        if not any(modules.values()):
            self._activations.update({(stack, block): {} for block in missing})
            return
        stacks = self._anatomy.structure.stacks.values()
        with self._model_again(_STORE_AT_ONCE) as model:
            self._require_room_for(model, modules, stack, dtype)
            with layers_reported(stacks):
                found = activations_of(model, modules, self._inputs, dtype=dtype)
        self._activations.update({(stack, block): found[block] for block in missing})

    def layers_with(self, block: ActivationBlock, kind: Kind | None = None) -> list[int]:
        """Return the layers of a stack that have a block; its activations are stored by this."""
        self.store_activations([block], kind=kind)
        return sorted(self._activations[self._stack(kind), block])

    @property
    def predicting_layers(self) -> tuple[nn.Module, ...]:
        """The layers of the stack that predictions come from: the decoder's, where there is one."""
        stacks = self._anatomy.structure.stacks
        return stacks.get("decoder") or next(iter(stacks.values()))

    def read_out(self) -> abc.Iterator[NextTokenLogits]:
        """Yield the logits that the output of each layer would give, layer by layer.

        Raises
        ------
        ModelChangedError
            When the model has changed since the text was traced, or changes meanwhile.
        """
        with self._model_again() as model:
            readouts = read_out(
                model,
                self._anatomy.structure,
                self.predicting_layers,
                self._inputs,
                scored=range(len(self.sequences[-1].tokens)),
                plain_unembedding=self._anatomy.plain_unembedding,
            )
            for logits in readouts:
                self._state.require_same(values=False)
                yield logits

    def _has(self, stack: Stack, block: ActivationBlock, dtype: torch.dtype | None) -> bool:
        stored = self._activations.get((stack, block))
        return stored is not None and (
            dtype is None or all(tensor.dtype == dtype for tensor in stored.values())
        )

    def _modules_of(self, stack: Stack, block: ActivationBlock) -> dict[int, nn.Module]:
        structure = self._anatomy.structure
        if block == "embedding":
            return {0: structure.stacks[stack][0]}
        if block == "residual":
            return dict(enumerate(structure.stacks[stack]))
        return {
            writer.layer: writer.module
            for writer in structure.writers
            if writer.stack == stack and writer.block == block
        }

    def _require_room_for(
        self,
        model: Any,
        modules: dict[ActivationBlock, dict[int, nn.Module]],
        stack: Stack,
        dtype: torch.dtype | None,
    ) -> None:
        sequence = self.sequences[0 if stack in ("self", "encoder") else -1]
        n_tensors = sum(map(len, modules.values()))
        one = len(sequence.tokens) * model.get_input_embeddings().weight.shape[-1]
        item = (dtype or model.dtype).itemsize
        require_room(
            n_tensors * one * item,
            budget_on(device_of(model), self.lens.memory_budget),
            f"Storing the {' and '.join(modules)} activations of all layers",
            ["Store them in half precision: trace.store_activations(blocks, dtype=torch.float16)."]
            if item > torch.float16.itemsize
            else ["Trace a shorter text."],
        )

    @torch.no_grad()
    def _part_of_heads(
        self, layer: int, block: ActivationBlock, stack: Stack, heads: int | abc.Sequence[int]
    ) -> Float[Tensor, "token hidden"]:
        """What some heads write: ``sum_h W_O[h] (A_h V_h)``."""
        if block not in ("attention", "cross"):
            raise ValueError(f"A {block} block has no heads: leave heads out, or ask for another.")
        kind: Kind = "cross" if block == "cross" else stack
        values = self._values_of(layer, kind)
        chosen = several(heads, "head")
        asked = self.attention_map(layer, chosen, kind=kind)
        value = values.value.float()
        # Query heads may share value heads.
        own = value[[head // (values.n_heads // len(value)) for head in chosen]]
        shape = (asked.n_rows, values.n_heads, value.shape[-1])
        gathered = torch.zeros(shape, dtype=torch.float32, device=value.device)
        for place, weights in asked.blocks():
            some = weights.nan_to_num_(0.0) @ own[:, : weights.shape[-1]]
            gathered[place, chosen] = some.transpose(0, 1)
        flat = gathered.flatten(1).to(values.value.dtype)
        with self._model_again():
            return values.projection(flat) - values.projection(torch.zeros_like(flat[:1]))
