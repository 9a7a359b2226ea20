"""One recorded run of a model, and every question that can be asked about it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import pandas as pd
import torch
from torch import Tensor

from glasshead_backend import attention as on_demand
from glasshead_backend.prediction import no_predictions, score, top_alternatives
from glasshead_backend.running import activations_of
from glasshead_backend.sides import Unit

if TYPE_CHECKING:
    from collections import abc

    from jaxtyping import Float, Int
    from typing_extensions import Self

    from glasshead_backend.anatomy import Family
    from glasshead_backend.attention import AttentionCall
    from glasshead_backend.lens import Lens
    from glasshead_backend.prediction import NextTokenLogits, Predictions
    from glasshead_backend.running import Norms
    from glasshead_backend.sides import Sequence, Side, Sides
    from glasshead_backend.structure import Kind, Stack
    from glasshead_backend.tokens import Token
    from glasshead_backend.words import Word

Aggregate = Literal["mean", "max"]
ActivationBlock = Literal["attention", "cross", "mlp", "residual", "embedding"]

_KIND_ORDER: tuple[Kind, ...] = ("self", "encoder", "decoder", "cross")
_FIRST_TOKEN = (
    "The first token has no value: nothing stands before it that the model could predict it from."
)


class Trace:
    """A recorded run: tokens, queries and keys of every attention call, predictions, block norms.

    Made by :meth:`glasshead_backend.Lens.trace`. Attention weights are not stored: each question
    computes the rows it needs. A trace keeps queries, keys and the last hidden states alive until
    it is closed (``trace.close()``, or use it as a context manager).

    In an encoder-decoder model the rows of "decoder" and "cross" attention belong to the decoder's
    *inputs*; row ``i`` predicts label ``i``. ``trace.labels`` has what each row predicts.
    """

    def __init__(
        self,
        *,
        lens: Lens,
        sides: Sides,
        calls: dict[Kind, dict[int, AttentionCall]],
        logits: NextTokenLogits | None,
        norms: Norms,
        inputs: dict[str, Tensor],
    ) -> None:
        self.lens = lens
        self.sides = sides
        self._calls = calls
        self._logits = logits
        self._norms = norms
        self._inputs = inputs
        self._activations: dict[tuple[Stack, ActivationBlock], dict[int, Tensor]] = {}
        self._alternatives: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._closed = False

    def __repr__(self) -> str:
        sizes = ", ".join(f"{s.name}: {len(s.tokens)} tokens" for s in self.sequences)
        kinds = ", ".join(self.kinds)
        return f"Trace({self.lens.name}; {sizes}; {kinds} attention; {self.nbytes / 1e6:.1f} MB)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free what was recorded. Questions asked afterwards raise ``ValueError``."""
        self._calls, self._norms, self._activations, self._inputs = {}, {}, {}, {}
        self._logits = None
        self._alternatives = {}
        self._closed = True

    @property
    def nbytes(self) -> int:
        """Bytes of tensors that this trace keeps alive."""
        calls = sum(call.nbytes for by_layer in self._calls.values() for call in by_layer.values())
        norms = sum(norm.nbytes for norm in self._norms.values())
        stored = sum(t.nbytes for by_layer in self._activations.values() for t in by_layer.values())
        return calls + norms + stored + (self._logits.nbytes if self._logits else 0)

    # ---- what there is ------------------------------------------------------------------------

    @property
    def family(self) -> Family:
        """What the model is: "decoder", "encoder-decoder" or "encoder"."""
        return self.lens.family

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of attention: ``("self",)`` or ``("encoder", "decoder", "cross")``."""
        self._require_open()
        return tuple(kind for kind in _KIND_ORDER if kind in self._calls)

    @property
    def default_kind(self) -> Kind:
        """The kind meant when none is named: "cross" where there is such, else the first."""
        return "cross" if "cross" in self.kinds else self.kinds[0]

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """The text, or source and target (the decoder's inputs)."""
        return self.sides.all

    @property
    def labels(self) -> tuple[Token, ...] | None:
        """What each decoder row predicts (encoder-decoder models), else None."""
        return None if self.sides.predicted is None else self.sides.predicted.tokens

    def sequence(self, name: str) -> Sequence:
        """Return the sequence of a name: "text", or "source" and "target"."""
        return self.sides.named(name)

    def side(self, side: Side, kind: Kind | None = None) -> Sequence:
        """Return the sequence on one side of an attention map."""
        return self.sides.of(side, self._kind(kind))

    def layers(self, kind: Kind | None = None) -> list[int]:
        """Return the model's own numbers of the layers that have attention of a kind."""
        return sorted(self._calls[self._kind(kind)])

    def n_heads(self, layer: int, kind: Kind | None = None) -> int:
        """Return the number of heads of a layer."""
        return self.call(layer, kind).n_heads

    def queries(self, kind: Kind | None = None) -> list[Token]:
        """Return the tokens that look: the rows of an attention map."""
        return list(self.side("query", kind).tokens)

    def keys(self, kind: Kind | None = None) -> list[Token]:
        """Return the tokens that are looked at: the columns of an attention map."""
        return list(self.side("key", kind).tokens)

    def words(self, side: Side = "query", kind: Kind | None = None) -> list[Word]:
        """Return the words of one side; every token is in exactly one.

        Rows of cross attention are grouped by the token they *predict*, rows and columns of decoder
        self-attention by the input token (see :attr:`labels`).
        """
        return self.sides.words(side, self._kind(kind))

    # ---- attention ----------------------------------------------------------------------------

    def attention(
        self,
        layer: int,
        heads: int | abc.Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: abc.Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        scores: bool = False,
    ) -> Float[Tensor, "*head query key"]:
        """Exact attention weights of one layer, as the model's eager implementation has them.

        Parameters
        ----------
        layer : int
            The model's own layer number; see :meth:`layers`.
        heads : int or sequence of int, optional
            Heads wanted; default all.
        kind : str, optional
            One of :attr:`kinds`; may be left out where there is only one. Encoder-decoder models
            default to "cross".
        rows : sequence of int, optional
            Query positions wanted (tokens, or words with ``unit="word"``); default all.
        unit : {"token", "word"}
            "word" fuses: sum over a word's key tokens, mean over its query tokens.
        aggregate : {"mean", "max"}, optional
            Combine the heads and drop their axis.
        scores : bool
            What enters the softmax instead of what leaves it (tokens only).

        Returns
        -------
        Tensor
            ``[heads, queries, keys]`` float32 (``[queries, keys]`` with `aggregate`). Rows sum to
            1, or to less where the layer has attention sinks; a row that may look nowhere is NaN.
        """
        call = self.call(layer, kind)
        chosen = self._heads(call, heads, layer)
        _require(aggregate, (None, "mean", "max"), "aggregate")
        _require(unit, get_args(Unit), "unit")
        if scores and unit == "word":
            raise ValueError(
                "Scores before the softmax have no meaning summed over words. "
                "Use unit='token' with scores=True."
            )
        with on_demand.single_threaded():
            if unit == "word":
                fused = self._fused(call, chosen, kind)
                result = fused if rows is None else fused[:, _rows(rows, fused.shape[1])]
            else:
                n_queries = call.n_queries
                wanted = range(n_queries) if rows is None else _rows(rows, n_queries)
                result = self._in_blocks(call, chosen, wanted, scores=scores)
        if aggregate == "mean":
            return result.mean(dim=0)
        return result.amax(dim=0) if aggregate == "max" else result

    def token_attention(
        self, position: int, *, kind: Kind | None = None, direction: Literal["from", "to"] = "from"
    ) -> Float[Tensor, "layer head other"]:
        """Attention of one token in all layers and heads.

        Parameters
        ----------
        position : int
            The query token (direction "from") or the key token (direction "to").
        kind : str, optional
            One of :attr:`kinds`.
        direction : {"from", "to"}
            "from": what this token looks at; "to": which tokens look at it.

        Returns
        -------
        Tensor
            ``[layers, heads, keys or queries]`` float32, layers as :meth:`layers` lists them. A
            layer with fewer heads than another is padded with NaN.
        """
        _require(direction, ("from", "to"), "direction")
        other: list[Tensor] = []
        for layer in self.layers(kind):
            call = self.call(layer, kind)
            heads = range(call.n_heads)
            with on_demand.single_threaded():
                if direction == "from":
                    row = _rows([position], call.n_queries)
                    other.append(call.weights(heads, row)[:, 0])
                else:
                    column = _rows([position], call.n_keys)
                    other.append(on_demand.columns(call, heads, column))
        most = max(weights.shape[0] for weights in other)
        padded = [
            torch.nn.functional.pad(w, (0, 0, 0, most - w.shape[0]), value=torch.nan) for w in other
        ]
        return torch.stack([weights.to(padded[0].device) for weights in padded])

    def notable_pairs(
        self,
        layer: int,
        threshold: float = 0.5,
        *,
        kind: Kind | None = None,
        heads: int | abc.Sequence[int] | None = None,
        unit: Unit = "token",
        ignore_zeros: bool = True,
    ) -> pd.DataFrame:
        """All pairs whose attention, averaged over heads, reaches a threshold.

        Parameters
        ----------
        layer : int
            Layer number.
        threshold : float
            Smallest averaged weight, 0 to 1.
        kind, heads, unit
            As for :meth:`attention`.
        ignore_zeros : bool
            Average over the heads whose weight is not exactly zero.

        Returns
        -------
        pandas.DataFrame
            Columns ``source`` (who looks), ``target`` (at what), ``score``, ``source_position``,
            ``target_position``; sorted by position. Rows of a decoder of an encoder-decoder model
            are named by their input token; a column ``predicted`` has what they predict.
        """
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold {threshold} is out of range: weights lie between 0 and 1.")
        weights = self.attention(layer, heads, kind=kind, unit=unit)
        if ignore_zeros:
            mean = weights.sum(dim=0) / (weights != 0).sum(dim=0).clamp_min(1)
        else:
            mean = weights.mean(dim=0)
        query, key = torch.nonzero(mean >= threshold, as_tuple=True)
        kind = self._kind(kind)
        sources = self.sides.labels("query", kind, unit)
        targets = self.sides.labels("key", kind, unit)
        pairs = pd.DataFrame(
            {
                "source": [sources[i] for i in query.tolist()],
                "target": [targets[i] for i in key.tolist()],
                "score": mean[query, key].cpu().numpy(),
                "source_position": query.cpu().numpy(),
                "target_position": key.cpu().numpy(),
            }
        )
        predicted = self.sides.predictions(kind, unit)
        if predicted is not None:
            pairs.insert(1, "predicted", [predicted[i] for i in query.tolist()])
        return pairs

    # ---- predictions --------------------------------------------------------------------------

    def predictions(self) -> Predictions:
        """Return surprisal, probability, rank and entropy of every token of the text or target."""
        self._require_open()
        return self._predictions

    @cached_property
    def _predictions(self) -> Predictions:
        tokens = self.sides.scored.tokens
        if self._logits is None:
            reason = (
                f"{self.lens.name} is an encoder: it reads the whole text at once and predicts no "
                "next token, so there is no surprisal or perplexity."
                if self.family == "encoder"
                else f"{type(self.lens.model).__name__} has no language-model head. Load the model "
                "with AutoModelForCausalLM or AutoModelForSeq2SeqLM to see its predictions."
            )
            return no_predictions(tokens, reason)
        return score(self._logits, tokens, self._shift, _FIRST_TOKEN)

    @property
    def perplexity(self) -> float:
        """Perplexity of the whole sequence: ``exp(mean surprisal)``; NaN when nothing is scored."""
        return self.predictions().mean_perplexity

    def top_k(self, position: int, k: int = 10) -> pd.DataFrame:
        """Return the k most probable tokens at the place of one token, before it was seen.

        Parameters
        ----------
        position : int
            Position of the predicted token.
        k : int
            How many.

        Returns
        -------
        pandas.DataFrame
            Columns ``token``, ``id``, ``probability``; best first.
        """
        predictions = self.predictions()
        position = _rows([position], len(predictions.tokens))[0]
        if self._logits is None or position < self._shift:
            raise ValueError(f"There is no prediction at position {position}. {predictions.reason}")
        row = position - self._shift
        top = self._logits.rows(row, row + 1)[0].softmax(dim=-1).topk(max(1, k))
        ids = top.indices.tolist()
        return pd.DataFrame(
            {"token": self.decode(ids), "id": ids, "probability": top.values.cpu().numpy()}
        )

    def top_alternatives(
        self, n_positions: int, k: int
    ) -> tuple[Int[Tensor, "position k"], Float[Tensor, "position k"]] | None:
        """Ids and probabilities of the k most probable tokens, for the first scored positions.

        The first row belongs to the first token that has a prediction. None when there is none.
        """
        n_scored = len(self.predictions().tokens) - self._shift
        if self._logits is None or n_scored <= 0:
            return None
        wanted = min(n_positions, n_scored), k
        # They cost an unembedding of every position, and views ask for the same ones again.
        if wanted not in self._alternatives:
            self._alternatives[wanted] = top_alternatives(self._logits, *wanted)
        return self._alternatives[wanted]

    @property
    def _shift(self) -> int:
        """The token that position 0 predicts: the next one, or label 0 in an encoder-decoder."""
        return 1 if self.sides.decoder is None else 0

    def decode(self, ids: abc.Sequence[int]) -> list[str]:
        """Return the text of single tokens, spelled as :attr:`Token.text` is."""
        return [self.lens.vocabulary.piece(id_).text for id_ in ids]

    # ---- activations --------------------------------------------------------------------------

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
        _require(block, get_args(ActivationBlock), "block")
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
        return activations_of(
            self.lens.model, modules, self._inputs, inputs_wanted=block == "embedding"
        )

    # ---- helpers ------------------------------------------------------------------------------

    def _kind(self, kind: Kind | None) -> Kind:
        if kind is None:
            return self.default_kind
        if kind not in self.kinds:
            names = ", ".join(repr(name) for name in self.kinds)
            raise ValueError(f"kind {kind!r} is not there: {self.lens.name} has {names}.")
        return kind

    def _stack(self, kind: Kind | None) -> Stack:
        kind = self._kind(kind)
        return "decoder" if kind == "cross" else kind

    def call(self, layer: int, kind: Kind | None = None) -> AttentionCall:
        """Return the recorded attention call of a layer."""
        by_layer = self._calls[self._kind(kind)]
        if layer not in by_layer:
            raise ValueError(
                f"layer {layer} is out of range: {self.lens.name} has "
                f"{_layer_names(sorted(by_layer))} with {self._kind(kind)} attention."
            )
        return by_layer[layer]

    def _heads(
        self, call: AttentionCall, heads: int | abc.Sequence[int] | None, layer: int
    ) -> abc.Sequence[int]:
        if heads is None:
            return range(call.n_heads)
        chosen = [heads] if isinstance(heads, int) else list(heads)
        for head in chosen:
            if not 0 <= head < call.n_heads:
                raise ValueError(
                    f"head {head} is out of range: layer {layer} of {self.lens.name} has heads "
                    f"0-{call.n_heads - 1}."
                )
        return chosen

    def _in_blocks(
        self,
        call: AttentionCall,
        heads: abc.Sequence[int],
        rows: abc.Sequence[int],
        *,
        scores: bool,
    ) -> Float[Tensor, "head query key"]:
        size = on_demand.ROW_BLOCK
        blocks = [
            call.weights(heads, rows[start : start + size], scores=scores)
            for start in range(0, len(rows), size)
        ]
        return torch.cat(blocks, dim=1)

    def _fused(
        self, call: AttentionCall, heads: abc.Sequence[int], kind: Kind | None
    ) -> Float[Tensor, "head query_word key_word"]:
        kind, device = self._kind(kind), call.device
        return on_demand.fuse(
            on_demand.row_blocks(call, heads),
            len(heads),
            self.sides.unit_of_token("query", kind, "word").to(device),
            self.sides.unit_of_token("key", kind, "word").to(device),
        )

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("This trace is closed. Trace the text again to ask more questions.")


def _layer_names(layers: list[int]) -> str:
    contiguous = layers == list(range(layers[0], layers[-1] + 1))
    if contiguous and len(layers) > 1:
        return f"layers {layers[0]}-{layers[-1]}"
    return "layers " + ", ".join(map(str, layers)) if len(layers) > 1 else f"layer {layers[0]}"


def _rows(rows: abc.Sequence[int], n_rows: int) -> abc.Sequence[int]:
    """Check row positions; negative ones count from the end."""
    wanted = [row + n_rows if row < 0 else row for row in rows]
    for asked, row in zip(rows, wanted, strict=True):
        if not 0 <= row < n_rows:
            raise ValueError(
                f"position {asked} is out of range: there are {n_rows} (0-{n_rows - 1})."
            )
    return wanted


def _require(value: object, allowed: abc.Sequence[object], name: str) -> None:
    if value not in allowed:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(map(repr, allowed))}.")
