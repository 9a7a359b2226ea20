"""Questions about what blocks add to the residual stream: norms, activations, parts of heads."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, get_args

import torch

from glasshead_backend.anatomy.contributions import (
    Rows,
    Writer,
    embedding_observed,
    observed,
)
from glasshead_backend.asking import ActivationBlock
from glasshead_backend.checks import require, several
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.questions.readout import read_out
from glasshead_backend.questions.through_layers import LayerQuestions
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.forward import device_of, forward
from glasshead_backend.running.reporting import layers_reported
from glasshead_backend.running.threads import undisturbed

if TYPE_CHECKING:
    from collections import abc

    from jaxtyping import Float
    from torch import Tensor, nn

    from glasshead_backend.asking import Kind, Stack
    from glasshead_backend.running.logits import NextTokenLogits
    from glasshead_backend.text.sequences import Sequence

_STORE_AT_ONCE = (
    ", or record activations at once, right behind trace = lens.trace(...): "
    "trace.store_activations(...)"
)


def activations_of(
    model: Any,
    writers: abc.Sequence[Writer],
    embedding: tuple[nn.Module, Rows] | None,
    inputs: dict[str, Tensor],
    *,
    n_tokens: int,
    dtype: torch.dtype | None = None,
) -> dict[str, dict[int, Float[Tensor, "token hidden"]]]:
    """Run the model and keep what blocks add, and what goes into the first layer.

    Parameters
    ----------
    model : PreTrainedModel
    writers : sequence of Writer
        Of one stack.
    embedding : tuple, optional
        The first layer with where its tokens are, if what goes into it is wanted.
    inputs : dict
        As :func:`inputs_of` makes them.
    n_tokens : int
        Of the sequence that the stack works on.
    dtype : torch.dtype, optional
        What to keep them in; default the model's own.

    Returns
    -------
    dict
        ``{block: {layer: [tokens, hidden]}}``.
    """
    kept: dict[str, dict[int, Tensor]] = {}

    def keep(block: str, layer: int, rows: Tensor) -> None:
        # A copy: the model may write into its output later on.
        own = rows[:n_tokens].to(dtype or rows.dtype, copy=True)
        kept.setdefault(block, {})[layer] = own

    with for_a_trace(model), ExitStack() as stack:
        seen = observed(writers, 1, lambda one, rows: keep(one.block, one.layer, rows[0]))
        stack.enter_context(seen)
        if embedding is not None:
            taken_in = embedding_observed(*embedding, lambda rows: keep("embedding", 0, rows))
            stack.enter_context(taken_in)
        forward(model, inputs)
    return kept


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
            encoder-decoder models), "mlp"; in some models "mixer" (what mixes tokens without
            attention: a state space, a convolution) and "other" (adapters, per-layer inputs). A
            layer without a block has no entry, nor has one whose contribution is not known:
            :meth:`unclear_blocks` says why.
        """
        stack = self._stack(kind)
        found: dict[str, dict[int, Tensor]] = {}
        for (of_stack, layer, block), norm in self._norms.items():
            if of_stack == stack:
                found.setdefault(block, {})[layer] = norm
        return {block: dict(sorted(by_layer.items())) for block, by_layer in found.items()}

    def unclear_blocks(self, kind: Kind | None = None) -> dict[str, dict[int, str]]:
        """Say which blocks' contributions to the residual stream are not known, and why.

        Parameters
        ----------
        kind : str, optional
            Picks the stack, as for :meth:`norms`.

        Returns
        -------
        dict
            ``{block: {layer: reason}}``; empty for most models.
        """
        stack = self._stack(kind)
        found: dict[str, dict[int, str]] = {}
        for (
            of_stack,
            layer,
            block,
        ), why in self._anatomy.structure.contributions.unclear.items():
            if of_stack == stack:
                found.setdefault(block, {})[layer] = why
        return found

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
            put through the output projection, without its bias, and through what the model does
            with it before it adds it (as :meth:`moved_norms` does). The parts of all heads and the
            bias make what the block adds.

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
        place = 0 if block == "embedding" else layer
        if place not in by_layer:
            unclear = self._anatomy.structure.contributions.unclear
            has = ", ".join(map(str, sorted(by_layer))) or "no layer"
            nothing = f"Layer {layer} has no {block} block: {has} has one."
            raise ValueError(unclear.get((stack, place, block), nothing))
        return by_layer[place]

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
        known = self._anatomy.structure.contributions
        wanted = [
            writer
            for writer in (*known.writers, *known.streams)
            if writer.stack == stack and writer.block in missing
        ]
        embedding = known.embeddings.get(stack) if "embedding" in missing else None
        found: dict[str, dict[int, Tensor]] = {}
        if wanted or embedding:
            n_tensors = len(wanted) + (embedding is not None)
            with self._model_again(_STORE_AT_ONCE) as model:
                self._require_room_for(model, missing, n_tensors, stack, dtype)
                with layers_reported(self._anatomy.structure.stacks.values()):
                    found = activations_of(
                        model,
                        wanted,
                        embedding,
                        self._inputs,
                        n_tokens=len(self._sequence_of(stack).tokens),
                        dtype=dtype,
                    )
        self._activations.update({(stack, block): found.get(block, {}) for block in missing})

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

    def _sequence_of(self, stack: Stack) -> Sequence:
        return self.sequences[0 if stack in ("self", "encoder") else -1]

    def _require_room_for(
        self,
        model: Any,
        blocks: abc.Sequence[ActivationBlock],
        n_tensors: int,
        stack: Stack,
        dtype: torch.dtype | None,
    ) -> None:
        n_tokens = len(self._sequence_of(stack).tokens)
        one = n_tokens * model.get_input_embeddings().weight.shape[-1]
        item = (dtype or model.dtype).itemsize
        require_room(
            n_tensors * one * item,
            budget_on(device_of(model), self.lens.memory_budget),
            f"Storing the {' and '.join(blocks)} activations of all layers",
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
        value = values.value.to(asked.dtype)
        # Query heads may share value heads.
        own = value[[head // (values.n_heads // len(value)) for head in chosen]]
        shape = (asked.n_rows, values.n_heads, value.shape[-1])
        gathered = torch.zeros(shape, dtype=value.dtype, device=value.device)
        with undisturbed(value.device):
            for place, weights in asked.blocks():
                some = weights.nan_to_num_(0.0) @ own[:, : weights.shape[-1]]
                gathered[place, chosen] = some.transpose(0, 1)
        flat = gathered.flatten(1).to(values.value.dtype)
        with self._model_again():
            moved = values.moved(flat)
        scale = values.behind.scale
        return moved if scale is None else (moved * scale[:, None]).to(flat.dtype)
