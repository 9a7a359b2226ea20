"""One recorded run of a model, and every question that can be asked about it: the manual."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from glasshead_backend.answering import travels_as
from glasshead_backend.progress import reporting
from glasshead_backend.questions import activations as ask_activations
from glasshead_backend.questions import attention as ask_attention
from glasshead_backend.questions import attention_gradients as ask_attention_gradients
from glasshead_backend.questions import attribution as ask_attribution
from glasshead_backend.questions import compared as ask_compared
from glasshead_backend.questions import distribution as ask_distribution
from glasshead_backend.questions import head_effects as ask_head_effects
from glasshead_backend.questions import head_outputs as ask_heads
from glasshead_backend.questions import interventions as ask_interventions
from glasshead_backend.questions import layer_readings as ask_readings
from glasshead_backend.questions import logit_attribution as ask_logits
from glasshead_backend.questions import moved as ask_moved
from glasshead_backend.questions import predictions as ask_predictions
from glasshead_backend.questions import query_key as ask_query_key
from glasshead_backend.questions import through_layers as ask_layers
from glasshead_backend.tracing.given_run import run_of_attentions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Literal, SupportsIndex

    import pandas as pd
    import torch
    from jaxtyping import Float
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase
    from typing_extensions import Self

    from glasshead_backend.answering import Server
    from glasshead_backend.asking import (
        Ablated,
        ActivationBlock,
        Aggregate,
        Block,
        Family,
        Kind,
        Off,
        Pool,
        Precision,
        Side,
        Unit,
    )
    from glasshead_backend.capture.call import Path
    from glasshead_backend.maps.attention_map import AttentionMap, Strongest
    from glasshead_backend.maps.pooling import Pooled
    from glasshead_backend.progress import Progress
    from glasshead_backend.questions.attribution import (
        Attribution,
        AttributionMatrix,
        Baseline,
        Method,
    )
    from glasshead_backend.questions.compared import ComparedPredictions
    from glasshead_backend.questions.distribution import Distribution
    from glasshead_backend.questions.fitted_lens import FittedLens
    from glasshead_backend.questions.head_effects import HeadEffects
    from glasshead_backend.questions.layer_readings import LayerReadings
    from glasshead_backend.questions.logit_attribution import LogitContributions
    from glasshead_backend.questions.predictions import Predictions
    from glasshead_backend.questions.query_key import QueryKey
    from glasshead_backend.questions.target import Quantity
    from glasshead_backend.text.sequences import Sequence as TokenSequence
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.text.words import Word
    from glasshead_backend.tracing.given_arrays import Attentions
    from glasshead_backend.tracing.run import Run
    from glasshead_backend.tracing.subject import Subject


class Trace:
    """A recorded run: tokens, queries and keys of every attention call, predictions, block norms.

    Made by :meth:`glasshead_backend.Lens.trace`. Attention weights are not stored: each question
    computes the rows it needs. A trace keeps queries, keys and the last hidden states alive until
    it is closed (``trace.close()``, or use it as a context manager).

    In an encoder-decoder model the rows of "decoder" and "cross" attention belong to the decoder's
    *inputs*; row ``i`` predicts label ``i``. ``trace.labels`` has what each row predicts.
    """

    def __init__(self, run: Run) -> None:
        self._recorded = run
        self._closed = False
        _traces[run] = ref(self)

    @classmethod
    def from_attentions(
        cls,
        attentions: Attentions | None,
        tokens: Sequence[str] | Sequence[int] | Tensor,
        *,
        cross: Attentions | None = None,
        encoder: Attentions | None = None,
        source_tokens: Sequence[str] | Sequence[int] | Tensor | None = None,
        sentence_b_start: int | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        read_marks: bool = True,
        name: str = "Given attention",
    ) -> Trace:
        """Make a trace of attention weights that come from elsewhere, to see and to measure them.

        What only a model could answer (predictions, activations, another text) raises
        ``ModelNeededError``, and says so.

        Parameters
        ----------
        attentions : sequence of array, dict, array or None
            Weights of each layer, ``[heads, queries, keys]`` or ``[1, heads, queries, keys]``, as
            ``model(..., output_attentions=True).attentions`` has them: torch, numpy, jax. None for
            a layer without attention; a dict has layers by their numbers; a single array is
            ``[layers, heads, queries, keys]``, or one layer. Of an encoder-decoder model the
            decoder's own (None = not known). Values are used as they are, and not copied.
        tokens : sequence of str, or ids
            A token for every row (of an encoder-decoder model, for every decoder row): as the
            tokenizer calls them (``convert_ids_to_tokens``), as pieces of the text, as words; or
            their ids, with `tokenizer`.
        cross, encoder : as attentions, optional
            Cross-attention, ``[heads, targets, sources]``, and the encoder's attention.
        source_tokens : sequence of str, or ids, optional
            The tokens that cross-attention looks at.
        sentence_b_start : int, optional
            Of a sentence pair, the first token of the second sentence.
        tokenizer : PreTrainedTokenizerBase, optional
            Reads tokens. Without it their strings are read by the marks that they carry.
        read_marks : bool
            False shows strings as they are (``Ġwhale``), a word each.
        name : str
            What the views call the model.

        Raises
        ------
        ValueError
            When lengths do not fit (the message names both), for several texts at once, for an
            empty tuple (a model that ran without eager attention), and for values that are no
            attention weights.
        TypeError
            For what holds no arrays, and for the steps of ``generate(...)``.

        Examples
        --------
        >>> import numpy as np
        >>> one_layer = np.tril(np.ones((1, 2, 3, 3))) / np.arange(1, 4)[:, None]
        >>> trace = Trace.from_attentions(one_layer, ["The", "Ġwhite", "Ġwhale"])
        >>> [token.text for token in trace.tokens], trace.kinds, trace.n_heads(0)
        (['The', ' white', ' whale'], ('self',), 2)
        """
        return cls(
            run_of_attentions(
                attentions,
                tokens,
                cross=cross,
                encoder=encoder,
                source_tokens=source_tokens,
                sentence_b_start=sentence_b_start,
                tokenizer=tokenizer,
                read_marks=read_marks,
                name=name,
            )
        )

    @classmethod
    def from_cache(
        cls,
        cache: Any,
        tokens: Sequence[str] | Sequence[int] | Tensor,
        *,
        source_tokens: Sequence[str] | Sequence[int] | Tensor | None = None,
        logits: Tensor | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        name: str | None = None,
    ) -> Trace:
        """Make a trace of what TransformerLens recorded: ``model.run_with_cache(tokens)``.

        Attention patterns and scores, the residual stream, what the blocks add to it, and logits
        keep their numbers, layers and heads; nothing is run. What was not recorded raises
        ``ModelNeededError`` when it is asked for. Blocks are what TransformerLens calls
        ``hook_attn_out`` and ``hook_mlp_out``; where the former has stream and norm in it (BERT),
        ``attn.o.hook_out``. Scores that do not make the patterns (what it records for GPT-J or
        BERT are weights) are left out. To run the model itself: ``Lens(bridge)``.

        Parameters
        ----------
        cache : ActivationCache or dict
            Of one text.
        tokens : sequence of str, or ids
            As for :meth:`from_attentions`; of an encoder-decoder model the decoder's.
        source_tokens : sequence of str, or ids, optional
            What the encoder reads.
        logits : Tensor, optional
            ``[positions, vocabulary]`` or ``[1, positions, vocabulary]``, what ``run_with_cache``
            returns first; default: those in the cache, where they are final there.
        tokenizer : PreTrainedTokenizerBase, optional
            Default: the one of the cache's model.
        name : str, optional
            What the views call the model; default its own name.

        Raises
        ------
        TypeError
            For what is no cache.
        ValueError
            For a cache without patterns, of several texts, or of other lengths than `tokens`.
        """
        from glasshead_backend.compat.transformer_lens import run_of_cache  # noqa: PLC0415  lazy

        return cls(
            run_of_cache(
                cache,
                tokens,
                source_tokens=source_tokens,
                logits=logits,
                tokenizer=tokenizer,
                name=name,
            )
        )

    def __repr__(self) -> str:
        name = self._recorded.subject.name
        if self._closed:
            return f"Trace({name}; closed)"
        sizes = ", ".join(f"{s.name}: {len(s.tokens)} tokens" for s in self.sequences)
        kinds = f"{', '.join(self.kinds)} attention" if self.kinds else "scored without attention"
        off = f"; without {self.ablated.in_words()}" if self.ablated else ""
        return f"Trace({name}; {sizes}; {kinds}{off}; {self.nbytes / 1e6:.1f} MB)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _run(self) -> Run:
        """The run, unless it was closed; of a closed one `_recorded` still has the tokens."""
        if self._closed:
            raise ValueError("This trace is closed. Trace the text again to ask more questions.")
        return self._recorded

    # ---- what there is --------------------------------------------------------------------------

    @property
    def lens(self) -> Subject:
        """The lens that the trace was made with: model, tokenizer, name, memory budget."""
        return self._recorded.subject

    @property
    def server(self) -> Server | None:
        """Who answers, where the model is with a server (:meth:`Lens.connect`); else None."""
        return self._recorded.server

    @property
    def family(self) -> Family:
        """What the model is: "decoder", "encoder-decoder" or "encoder"."""
        return self._recorded.anatomy.family

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of attention: ``("self",)`` or ``("encoder", "decoder", "cross")``."""
        return self._run.kinds

    @property
    def default_kind(self) -> Kind:
        """The kind meant when none is named: "cross" where there is such, else the first."""
        return self._run.default_kind

    @property
    def text(self) -> str:
        """The text that was traced; of an encoder-decoder model the target."""
        return self.sequences[-1].text

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the text that was traced; of an encoder-decoder model the decoder's."""
        return self.sequences[-1].tokens

    @property
    def sequences(self) -> tuple[TokenSequence, ...]:
        """The text, or source and target (the decoder's inputs)."""
        return self._recorded.sides.all

    @property
    def labels(self) -> tuple[Token, ...] | None:
        """What each decoder row predicts (encoder-decoder models), else None."""
        predicted = self._recorded.sides.predicted
        return None if predicted is None else predicted.tokens

    def sequence(self, name: str) -> TokenSequence:
        """Return the sequence of a name: "text", or "source" and "target"."""
        return self._recorded.sides.named(name)

    def layers(self, kind: Kind | None = None) -> list[int]:
        """Return the model's own numbers of the layers that have attention of a kind."""
        return self._run.layers(kind)

    def n_heads(self, layer: int, kind: Kind | None = None) -> int:
        """Return the number of heads of a layer."""
        return self._run.call(layer, kind).n_heads

    def path(self, layer: int, kind: Kind | None = None) -> Path:
        """Return how the weights of a layer are computed.

        Returns
        -------
        {"capture", "eager", "replay", "unfold", "given"}
            From the recorded query and key, by our own arithmetic or by the model's own eager
            function; or by running the attention module once more, in the last case with values
            that show where each weight lies (banded attention). Or they were given as they are:
            :meth:`from_attentions`.
        """
        return self._run.call(layer, kind).path

    def queries(self, kind: Kind | None = None) -> list[Token]:
        """Return the tokens that look: the rows of an attention map."""
        return list(self._run.side("query", kind).tokens)

    def keys(self, kind: Kind | None = None) -> list[Token]:
        """Return the tokens that are looked at: the columns of an attention map."""
        return list(self._run.side("key", kind).tokens)

    def words(self, side: Side = "query", kind: Kind | None = None) -> list[Word]:
        """Return the words of one side; every token is in exactly one.

        Rows of cross attention are grouped by the token they *predict*, rows and columns of decoder
        self-attention by the input token (see :attr:`labels`). Of a text without attention
        (:meth:`Lens.score`) they are the words that are predicted.
        """
        run = self._run
        if kind is None and not run.calls:
            return run.sides.scored.words
        return run.sides.words(side, run.kind(kind))

    # ---- attention ------------------------------------------------------------------------------

    def attention(
        self,
        layer: int,
        heads: int | Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        scores: bool = False,
        precision: Precision = "model",
        progress: Progress | None = None,
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
        precision : {"model", "float32"}
            For models in half precision: weights as the model computes them, or recomputed in
            float32 from its queries and keys (in bfloat16 they differ by about 0.004).
        progress : callable, optional
            As for :meth:`Lens.trace`.

        Returns
        -------
        Tensor
            ``[heads, queries, keys]`` (``[queries, keys]`` with `aggregate`), float32; float64 of a
            model in float64. Rows sum to 1, or to less where the layer has attention sinks; a row
            that may look nowhere is NaN.

        Raises
        ------
        ValueError
            For a layer, head, kind, row or unit that is not there; the message says which are.
        MemoryBudgetError
            When the answer takes more memory than it may; the message says what would fit.
        """
        run = self._run
        asked = ask_attention.select(run, layer, heads, kind=kind, unit=unit, aggregate=aggregate)
        with reporting(progress):
            return ask_attention.attention(run, asked, rows, scores=scores, precision=precision)

    def attention_map(
        self,
        layer: int,
        heads: int | Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        ignore_zeros: bool = False,
        scores: bool = False,
        precision: Precision = "model",
    ) -> AttentionMap:
        """Attention of one layer as a map that is not computed yet, to be read in blocks.

        Parameters
        ----------
        layer, heads, kind, unit, aggregate, scores, precision
            As for :meth:`attention`.
        ignore_zeros : bool
            With ``aggregate="mean"``: average over the heads whose weight is not exactly zero.
        """
        run = self._run
        asked = ask_attention.select(run, layer, heads, kind=kind, unit=unit, aggregate=aggregate)
        return ask_attention.attention_map(
            run, asked, ignore_zeros=ignore_zeros, scores=scores, precision=precision
        )

    def pooled_attention(
        self,
        layer: int,
        heads: int | Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        queries: tuple[int, int] | None = None,
        keys: tuple[int, int] | None = None,
        size: int = 512,
        pool: Pool = "max",
        progress: Progress | None = None,
    ) -> Pooled:
        """A picture of a map, or of a part of it, of at most ``size x size`` pixels.

        However long the text is, no more is ever in memory than some rows and the picture.

        Parameters
        ----------
        layer, heads, kind, unit, aggregate, progress
            As for :meth:`attention`.
        queries, keys : tuple of int, optional
            The part wanted, ``(first, end)`` in units; default all.
        size : int
            Most pixels on an axis.
        pool : {"max", "mean"}
            What a pixel says of the cells that it stands for.

        Returns
        -------
        Pooled
            ``values [heads, rows, columns]`` (one map with `aggregate`), and ``per_pixel``: the
            number of rows and columns in a pixel.
        """
        run = self._run
        asked = ask_attention.select(run, layer, heads, kind=kind, unit=unit, aggregate=aggregate)
        with reporting(progress):
            return ask_attention.pooled_attention(
                run, asked, queries=queries, keys=keys, size=size, pool=pool
            )

    def strongest_keys(
        self,
        layer: int,
        k: int = 10,
        heads: int | Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        progress: Progress | None = None,
    ) -> Strongest:
        """What every query looks at most, as ``torch.topk`` gives it.

        Parameters
        ----------
        layer, heads, kind, rows, unit, aggregate, progress
            As for :meth:`attention`.
        k : int
            How many keys of every row.

        Returns
        -------
        Strongest
            ``weights`` and ``keys``, ``[heads, queries, k]`` (one map with `aggregate`), strongest
            first; weights of zero fill up rows that see fewer keys.
        """
        run = self._run
        asked = ask_attention.select(run, layer, heads, kind=kind, unit=unit, aggregate=aggregate)
        with reporting(progress):
            return ask_attention.strongest_keys(run, asked, k, rows)

    def sinks(
        self,
        layer: int,
        heads: int | Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Attention sinks: what takes much of the attention of nearly every row.

        The first token, special tokens or delimiters, usually: a head that has nothing to say parks
        its attention there. The rule is :func:`glasshead_backend.maps.sinks.rule`.

        Parameters
        ----------
        layer, heads, kind, unit, aggregate, progress
            As for :meth:`attention`.

        Returns
        -------
        pandas.DataFrame
            ``head`` (not with `aggregate`), ``position``, ``token`` (or ``word``), and ``weight``,
            the mean of what the rows that see it give to it.
        """
        run = self._run
        asked = ask_attention.select(run, layer, heads, kind=kind, unit=unit, aggregate=aggregate)
        with reporting(progress):
            return ask_attention.sinks_table(run, asked)

    def token_attention(
        self,
        position: int,
        *,
        kind: Kind | None = None,
        direction: Literal["from", "to"] = "from",
        unit: Unit = "token",
        progress: Progress | None = None,
    ) -> Float[Tensor, "layer head other"]:
        """Attention of one token (or word) in all layers and heads.

        Parameters
        ----------
        position : int
            The query (direction "from") or the key (direction "to"), counted in units.
        kind, unit, progress
            As for :meth:`attention`.
        direction : {"from", "to"}
            "from": what this token looks at; "to": which tokens look at it.

        Returns
        -------
        Tensor
            ``[layers, heads, keys or queries]``, layers as :meth:`layers` lists them; dtype as for
            :meth:`attention`. A layer with fewer heads than another is padded with NaN.
        """
        with reporting(progress):
            return ask_attention.token_attention(
                self._run, position, kind=kind, direction=direction, unit=unit
            )

    def notable_pairs(
        self,
        layer: int,
        threshold: float = 0.5,
        *,
        kind: Kind | None = None,
        heads: int | Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate = "mean",
        ignore_zeros: bool = True,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """All pairs whose attention, combined over heads, reaches a threshold.

        Parameters
        ----------
        layer : int
            Layer number.
        threshold : float
            Smallest combined weight, 0 to 1.
        kind, heads, unit, aggregate, progress
            As for :meth:`attention`.
        ignore_zeros : bool
            With ``aggregate="mean"``: average over the heads whose weight is not exactly zero.

        Returns
        -------
        pandas.DataFrame
            Columns ``source`` (who looks), ``target`` (at what), ``score``, ``source_position``,
            ``target_position``; sorted by position. Rows of a decoder of an encoder-decoder model
            are named by their input token; a column ``predicted`` has what they predict.
        """
        run = self._run
        asked = ask_attention.select(run, layer, heads, kind=kind, unit=unit, aggregate=aggregate)
        with reporting(progress):
            return ask_attention.notable_pairs(run, asked, threshold, ignore_zeros=ignore_zeros)

    def mean_attention(
        self,
        layers: Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate = "mean",
        progress: Progress | None = None,
    ) -> Float[Tensor, "query key"]:
        """Attention averaged over layers; every layer counts the same.

        Parameters
        ----------
        layers : sequence of int, optional
            Default all that have attention of this kind.
        kind, rows, unit, progress
            As for :meth:`attention`.
        aggregate : {"mean", "max"}
            How the heads of each layer are combined before.

        Returns
        -------
        Tensor
            ``[queries, keys]`` float32 (float64 of a model in float64).
        """
        with reporting(progress):
            return ask_layers.mean_attention(
                self._run, layers, kind=kind, rows=rows, unit=unit, aggregate=aggregate
            )

    def rollout(
        self,
        *,
        kind: Kind | None = None,
        last_layer: int | None = None,
        rows: Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate = "mean",
        progress: Progress | None = None,
    ) -> Float[Tensor, "query key"]:
        """Attention rollout (Abnar & Zuidema 2020): attention multiplied through the layers.

        With ``Â = (A + I) / 2``, rows normalised, of every layer: ``Â_last ... Â_1 Â_0``. What a
        token of the last layer has gathered from each token of the input, if all that layers do
        were to mix tokens by attention and to keep half of each.

        Parameters
        ----------
        kind : str, optional
            Self-attention of some kind: "self", "encoder" or "decoder".
        last_layer : int, optional
            The layer rolled out from; default the last. Layers without attention pass all on.
        rows : sequence of int, optional
            Tokens of that layer (words with ``unit="word"``); default all.
        unit : {"token", "word"}
            "word": the tokens' rollout, summed over key tokens, averaged over query tokens.
        aggregate : {"mean", "max"}
            How heads are combined.
        progress : callable, optional
            As for :meth:`attention`.

        Returns
        -------
        Tensor
            ``[queries, keys]`` float32 (float64 of a model in float64); each row sums to 1.
        """
        with reporting(progress):
            return ask_layers.rollout(
                self._run,
                kind=kind,
                last_layer=last_layer,
                rows=rows,
                unit=unit,
                aggregate=aggregate,
            )

    def flow(
        self,
        position: int,
        keys: Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        last_layer: int | None = None,
        aggregate: Aggregate = "mean",
        progress: Progress | None = None,
    ) -> Float[Tensor, " key"]:
        """Attention flow (Abnar & Zuidema 2020): the largest flow from a token to the input.

        The layers are a network whose edges are ``Â`` as for :meth:`rollout`; no edge carries more
        than its weight. One maximum-flow problem for every key: on 30 layers a second for all keys
        of 150 tokens, ten for 300, two minutes for 600. Name `keys` to have fewer.

        Parameters
        ----------
        position : int
            Token of the last layer.
        keys : sequence of int, optional
            Tokens of the input; default all.
        kind, last_layer, aggregate, progress
            As for :meth:`rollout`.

        Returns
        -------
        Tensor
            ``[keys]`` float32 on the CPU, each 0 to 1 (they do not sum to 1; the authors' published
            code divides by their sum).
        """
        with reporting(progress):
            return ask_layers.flow(
                self._run, position, keys, kind=kind, last_layer=last_layer, aggregate=aggregate
            )

    def moved_norms(
        self,
        layer: int,
        heads: int | Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Literal["sum"] | None = None,
        progress: Progress | None = None,
    ) -> Float[Tensor, "*head query key"]:
        """How much each head moves, not how much it looks: ``|| a v W_O ||``.

        The norm of the vector that a head adds to the residual stream of a query for one key: the
        weight ``a`` times the norm of the key's value, projected (Kobayashi et al. 2020), in units
        of that layer's residual stream. A token that is looked at only to look nowhere else mostly
        moves less than its weight suggests. What the model multiplies the block's output with
        counts; where a root-mean-square norm stands between block and stream (Gemma 2, OLMo 2), its
        scale is held at what it was for the query's whole vector, so that the shares of all heads
        sum to what is added. The values come from one more forward pass the first time.

        Parameters
        ----------
        layer, heads, kind, rows, progress
            As for :meth:`attention`.
        unit : {"token", "word"}
            "word": the sum over a word's key tokens, the mean over its query tokens.
        aggregate : {"sum"}, optional
            The norm of the sum of what all these heads move, and no axis of heads.

        Returns
        -------
        Tensor
            ``[heads, queries, keys]`` float32 (``[queries, keys]`` with `aggregate`).

        Raises
        ------
        ValueError
            When a layer's values or projection are not known (modules that compute attention by
            themselves, gated outputs), or when the norm behind them does more than to rescale.
        ModelChangedError
            When the values or the projection are needed of a model that has changed since.
        """
        run = self._run
        asked = ask_attention.select(run, layer, heads, kind=kind, unit=unit)
        with reporting(progress):
            return ask_moved.moved_norms(run, asked, rows, aggregate=aggregate)

    def query_key(
        self,
        layer: int,
        query: int,
        heads: int | Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        keys: tuple[int, int] | None = None,
    ) -> QueryKey:
        """What one token's scores are made of: products of query and key, by dimension.

        ``products = scaling * query * key`` sum to the dot product; a soft-cap, a position bias
        and the mask make the score of it, and the softmax over all keys the weight.

        Parameters
        ----------
        layer : int
            The model's own layer number.
        query : int
            Position of the token that looks; negative ones count from the end.
        heads : int or sequence of int, optional
            Heads wanted; default all.
        kind : str, optional
            One of :attr:`kinds`, as for :meth:`attention`.
        keys : (int, int), optional
            A stretch of the tokens that are looked at, ``(first, end)``; default all.

        Returns
        -------
        QueryKey
            On the trace's device, float32 (float64 of a model in float64), with ``.to_frame()``
            and ``.largest(k)``.

        Raises
        ------
        ValueError
            For what is not there, and where the scores are not made of a query and a key that are
            known: modules that compute attention in a way of their own; the message names them.
        MemoryBudgetError
            When the products take more memory than they may; the message says what would fit.
        """
        run = self._run
        asked = ask_attention.select(run, layer, heads, kind=kind)
        return ask_query_key.query_key(run, asked, query, keys)

    # ---- the residual stream --------------------------------------------------------------------

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
        return ask_activations.norms(self._run, kind)

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
        return ask_activations.unclear_blocks(self._run, kind)

    def activations(
        self,
        layer: int,
        block: ActivationBlock,
        *,
        kind: Kind | None = None,
        heads: int | Sequence[int] | None = None,
    ) -> Float[Tensor, "token hidden"]:
        """Activations of one block at every token, from one more forward pass the first time.

        Parameters
        ----------
        layer : int
            Layer number.
        block : {"attention", "cross", "mlp", "mixer", "other", "residual", "embedding"}
            What a block adds to the residual stream, blocks as for :meth:`norms`; the residual
            stream behind the layer; or what goes into the first layer.
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
        return ask_activations.activations(self._run, layer, block, kind=kind, heads=heads)

    def hidden_states(
        self, layer: int, *, kind: Kind | None = None
    ) -> Float[Tensor, "token hidden"]:
        """The residual stream behind a layer: ``trace.activations(layer, "residual")``.

        Layer 0's is what transformers calls ``hidden_states[1]``; ``hidden_states[0]`` is
        ``trace.activations(0, "embedding")``.
        """
        return self.activations(layer, "residual", kind=kind)

    def store_activations(
        self,
        blocks: Sequence[ActivationBlock] = ("attention", "mlp"),
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
        ask_activations.store_activations(self._run, blocks, kind=kind, dtype=dtype)

    def layers_with(self, block: ActivationBlock, kind: Kind | None = None) -> list[int]:
        """Return the layers of a stack that have a block.

        Runs the model once more the first time, and stores the block's activations.
        """
        return ask_activations.layers_with(self._run, block, kind)

    # ---- why ------------------------------------------------------------------------------------

    @property
    def ablated(self) -> Ablated | None:
        """What of the model was switched off in this run (:meth:`ablate`); None = nothing."""
        return self._recorded.ablated

    def ablate(
        self,
        heads: Mapping[int, int | Iterable[int]]
        | Iterable[tuple[int, int] | tuple[Kind, int, int]] = (),
        *,
        blocks: Iterable[tuple[int, Block]] = (),
        layers: int | Iterable[int] = (),
        how: Off = "zero",
        kind: Kind | None = None,
        over: Iterable[Any] | None = None,
        progress: Progress | None = None,
    ) -> Trace:
        """Run the same text with heads, blocks or layers switched off, and trace that.

        The model itself stays as it is. Of a trace that has something switched off already, that
        stays off.

        Parameters
        ----------
        heads : sequence of (layer, head), or dict of layer to heads
            Of attention of the kind `kind`; ``("cross", layer, head)`` names another.
        blocks : sequence of (layer, block)
            "attention", "cross", "mlp", "mixer" or "other" blocks of the stack that `kind` is of:
            they add nothing to the residual stream.
        layers : int or sequence of int
            All blocks of these layers.
        how : {"zero", "mean"}
            What stands in the place of what is off: zeros, or its mean over positions.
        kind : str, optional
            One of :attr:`kinds`; default :attr:`default_kind`.
        over : sequence of str, or of (source, target), optional
            Texts that the mean is over; default the positions of this one.
        progress : callable, optional
            As for :meth:`glasshead_backend.Lens.trace`.

        Returns
        -------
        Trace
            Like any other, with :attr:`ablated`.

        Raises
        ------
        ValueError
            For no such layer, head or block; for heads that the model mixes before it projects
            them, and blocks whose output is not known. The message says which and why.
        ModelChangedError
            When the model has changed since the text was traced.

        Examples
        --------
        >>> trace = Lens.demo("decoder").trace("The white whale. The white whale")
        >>> without = trace.ablate([(1, 0)])
        >>> without.ablated.in_words()
        'head 0 of layer 1'
        """
        with reporting(progress):
            return Trace(
                ask_interventions.ablated(
                    self._run, heads, blocks, layers, how=how, kind=kind, over=over
                )
            )

    def head_effects(
        self,
        *,
        position: int | None = None,
        token: int | str | None = None,
        against: int | str | None = None,
        quantity: Quantity = "log_probability",
        kind: Kind | None = None,
        how: Off = "zero",
        progress: Progress | None = None,
    ) -> HeadEffects:
        """Switch every head off, each alone, and return how that changes one number of the output.

        Parameters
        ----------
        position : int, optional
            Place of the predicted token, as for :meth:`top_k`. Default: behind the last token; of
            an encoder-decoder model the target's last token.
        token : int or str, optional
            Which token's log-probability, by id or by its text as :meth:`top_k` writes it.
            Default: the one that came; behind the last token the most probable.
        against : int or str, optional
            Another token: the number is then the difference of the two logits.
        quantity : {"log_probability", "logit"}
            Of a single token: nats, or the logit itself.
        kind : str, optional
            One of :attr:`kinds`; default :attr:`default_kind`.
        how : {"zero", "mean"}
            What stands in the place of a head: zeros, or its mean over the text's positions.
        progress : callable, optional
            As for :meth:`glasshead_backend.Lens.trace`; ``step.partial()`` has the layers done.

        Returns
        -------
        HeadEffects
            ``values`` ``[layers, heads]``: below zero where the target is lower without the head.

        Raises
        ------
        ValueError
            Where the model makes no prediction, and when no head can be switched off alone.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        with reporting(progress):
            return ask_head_effects.head_effects(
                self._run,
                position=position,
                token=token,
                against=against,
                quantity=quantity,
                kind=kind,
                how=how,
            )

    def head_outputs(
        self,
        layer: int,
        heads: int | Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> Float[Tensor, "head token hidden"]:
        """Return what each head adds to the residual stream: ``sum_k a[q, k] v[k] W_O``.

        Behind the projection comes what the model does with it before it adds it (factors, a
        root-mean-square norm whose scale is held at what it was). The heads and the projection's
        bias make the block: ``trace.activations(layer, "attention")``.

        Parameters
        ----------
        layer, heads, kind
            As for :meth:`attention`.
        rows : sequence of int, optional
            Query positions wanted; default all.
        progress : callable, optional
            As for :meth:`Lens.trace`.

        Returns
        -------
        Tensor
            ``[heads, tokens, hidden]`` in the model's dtype; lengths by ``.norm(dim=-1)``.

        Raises
        ------
        ValueError
            For a layer, head, kind or row that is not there, and when a head's share cannot be
            told (a gate behind it); the message says why.
        MemoryBudgetError
            When the answer takes more memory than it may.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        run = self._run
        asked = ask_attention.select(run, layer, heads, kind=kind)
        with reporting(progress):
            return ask_heads.head_outputs(run, asked, rows)

    def logit_contributions(
        self,
        *,
        position: int | None = None,
        token: int | str | None = None,
        against: int | str | None = None,
        progress: Progress | bool | None = None,
    ) -> LogitContributions:
        """Split a logit into what the embedding, every block and every head add to it.

        Direct logit attribution: what each adds to the residual stream, taken through the norms
        (their scale held at what it was) and the unembedding. What it did for later layers to use
        is not in it. The parts sum to the logit. Of logits that are capped in the end (Gemma 2) it
        is the logit before.

        Parameters
        ----------
        position : int, optional
            Place of the predicted token, as for :meth:`top_k`. Default: behind the last token; of a
            target of an encoder-decoder model its last token.
        token : int or str, optional
            Default: the token that came; behind the last one the most probable.
        against : int or str, optional
            A token whose logit is taken off: why this one rather than that?
        progress : callable or bool, optional
            As for :meth:`attention`.

        Returns
        -------
        LogitContributions
            With ``.to_frame()`` and ``.heads_frame()``.

        Raises
        ------
        ValueError
            Where the model makes no prediction, where it is not known what a block adds, and where
            the model makes its logits by more than norms and linear maps.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        with reporting(progress):
            return ask_logits.logit_contributions(
                self._run, position=position, token=token, against=against
            )

    def attribution(
        self,
        method: Method = "gradient_x_input",
        *,
        position: int | None = None,
        token: int | str | None = None,
        against: int | str | None = None,
        quantity: Quantity = "log_probability",
        baseline: Baseline = "pad",
        steps: int = 50,
        progress: Progress | bool | None = None,
    ) -> Attribution:
        """How much each input token moved the model to say a token, or one rather than another.

        Gradients of a number that the model puts out, with respect to its input embeddings, times
        these, summed over dimensions. Signed: tokens below zero spoke against it.

        Parameters
        ----------
        method : {"gradient_x_input", "integrated_gradients"}
            The gradient at the text itself; or its mean along the straight way from a baseline
            (Sundararajan et al. 2017), by Captum (``pip install "glasshead[attribution]"``).
        position : int, optional
            Place of the predicted token, as for :meth:`top_k`; the number of tokens is the place
            behind the last, which is the default. Of an encoder-decoder model the place in the
            target; default its last token.
        token : int or str, optional
            Id, or text as :meth:`top_k` writes it. Default: the token that came; behind the last
            one the most probable.
        against : int or str, optional
            Another token: the number is the difference of the two logits.
        quantity : {"log_probability", "logit"}
            The token's log-probability in nats, or its logit.
        baseline : {"pad", "zero"}
            Where integrated gradients start: embeddings of the padding token (where there is none,
            of the token that ends texts), or of zeros. From zeros on, a model with root-mean-square
            norms (Llama, T5) leaps: there sums are often far off.
        steps : int
            Places on their way. Where the sum is more than 1 % off, the way is cut where the
            error is, and up to 16 times as many gradients are taken.
        progress : callable or bool, optional
            As for :meth:`attention`.

        Returns
        -------
        Attribution
            Per token and per word, of source and target in an encoder-decoder model; with
            ``.completeness_error``, ``.in_words()`` and ``.to_frame()``.

        Raises
        ------
        ValueError
            Where the model makes no prediction (encoders), for no such token, and for models that
            cannot be differentiated; the message says which and why.
        ImportError
            For integrated gradients without Captum.
        MemoryBudgetError
            When gradients need more memory than they may.
        ModelChangedError
            When the model has changed since the text was traced.

        Examples
        --------
        >>> trace = Lens.demo("decoder").trace("The white whale. The white whale")
        >>> found = trace.attribution(position=6)
        >>> found.words, found.values["text"].shape
        ('log-probability of “white”', torch.Size([8]))
        """
        with reporting(progress):
            return ask_attribution.attribution(
                self._run,
                method,
                position=position,
                token=token,
                against=against,
                quantity=quantity,
                baseline=baseline,
                steps=steps,
            )

    def attributions(
        self,
        positions: SupportsIndex | Iterable[SupportsIndex] | None = None,
        *,
        method: Method = "gradient_x_input",
        quantity: Quantity = "log_probability",
        baseline: Baseline = "pad",
        steps: int = 50,
        progress: Progress | bool | None = None,
    ) -> AttributionMatrix:
        """How much each input token moved the model to say each of several tokens that came.

        Parameters
        ----------
        positions : int or sequence of int, optional
            Places of predicted tokens, as for :meth:`attribution`; default all that were predicted.
        method, quantity, baseline, steps, progress
            As for :meth:`attribution`, each place by itself: integrated gradients of a whole text
            take long.

        Returns
        -------
        AttributionMatrix
            ``[outputs, inputs]``, with ``.by_word()`` and ``.to_frame()``.

        Raises
        ------
        ValueError, ImportError, MemoryBudgetError, ModelChangedError
            As :meth:`attribution`.
        """
        with reporting(progress):
            return ask_attribution.attributions(
                self._run,
                positions,
                method=method,
                quantity=quantity,
                baseline=baseline,
                steps=steps,
            )

    def attention_gradient(
        self,
        layer: int,
        heads: int | Sequence[int] | None = None,
        *,
        rows: Sequence[int] | None = None,
        kind: Kind | None = None,
        position: int | None = None,
        token: int | str | None = None,
        against: int | str | None = None,
        quantity: Quantity = "log_probability",
        progress: Progress | bool | None = None,
    ) -> Float[Tensor, "head query key"]:
        """Attention weights times their gradients: what looking there did to a prediction.

        ``A * df/dA``, how much the number would lose, to first order, if a weight went to 0 and
        the others stayed. A head may look hard at what matters to nothing that follows. Gradients
        and values come from one more forward and backward pass the first time.

        Parameters
        ----------
        layer, heads, rows, kind
            As for :meth:`attention`.
        position, token, against, quantity, progress
            As for :meth:`attribution`.

        Returns
        -------
        Tensor
            ``[heads, queries, keys]`` in nats, or in logits; float32.

        Raises
        ------
        ValueError
            As :meth:`attribution`, and for modules that compute attention by themselves.
        """
        asked = ask_attention.select(self._run, layer, heads, kind=kind)
        with reporting(progress):
            return ask_attention_gradients.attention_gradient(
                self._run,
                asked,
                rows,
                position=position,
                token=token,
                against=against,
                quantity=quantity,
            )

    # ---- predictions ----------------------------------------------------------------------------

    def predictions(self) -> Predictions:
        """Return surprisal, probability, rank and entropy of every token of the text or target.

        They were computed when the text was traced.
        """
        return ask_predictions.predictions(self._run)

    @property
    def perplexity(self) -> float:
        """Perplexity of the whole sequence: ``exp(mean surprisal)``.

        Raises
        ------
        ValueError
            When no token has a prediction (encoders, a text of one token); the message says why.
        """
        return self.predictions().mean_perplexity

    def top_k(self, position: int, k: int = 10) -> pd.DataFrame:
        """Return the k most probable tokens at the place of one token, before it was seen.

        Parameters
        ----------
        position : int
            Position of the predicted token. Negative ones count from the end, so that -1 is what
            the model expected where the last token stands. For the place *after* the last token see
            :meth:`next_token`; its position, the number of tokens, will do here, too.
        k : int
            How many.

        Returns
        -------
        pandas.DataFrame
            Columns ``token``, ``id``, ``probability``; best first.

        Raises
        ------
        ValueError
            Where the model makes no prediction; the message says why.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        return ask_predictions.top_k(self._run, position, k)

    def continue_with(
        self,
        position: int,
        token: int | str,
        *,
        max_new_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Trace:
        """Put another token at one place, let the model go on from there, and trace that.

        Runs the model as it is now; what is :attr:`ablated` stays off while it writes. What it
        writes are the most probable tokens; they are ``generated``, the text before and the chosen
        token are not.

        Parameters
        ----------
        position : int
            Where the token is put: the text (or target) before it stays, the rest is left out.
            Negative ones count from the end; the number of tokens is the place behind the last.
        token : int or str
            Its id, or its text as :meth:`top_k` writes it, space included. Behind a token that
            ends texts nothing is written.
        max_new_tokens : int, optional
            Most tokens to generate. Default: 50, or what there is room for.
        progress : callable, optional
            As for :meth:`glasshead_backend.Lens.trace`.

        Returns
        -------
        Trace

        Raises
        ------
        ValueError
            When there is no such position or token, no room in the model's window, and when the
            model cannot generate.
        """
        with reporting(progress):
            return Trace(ask_interventions.continued(self._run, position, token, max_new_tokens))

    def next_token(self, k: int = 10) -> pd.DataFrame:
        """Return the k most probable tokens after the last one: how the model would go on.

        Parameters
        ----------
        k : int
            How many.

        Returns
        -------
        pandas.DataFrame
            Columns ``token``, ``id``, ``probability``; best first.

        Raises
        ------
        ValueError
            When the model predicts no next token, or was not run on the last one (the target of an
            encoder-decoder model).
        ModelChangedError
            When the model has changed since the text was traced.
        """
        return ask_predictions.next_token(self._run, k)

    def distribution(
        self,
        position: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
    ) -> Distribution:
        """Return the whole distribution at the place of one token, and what sampling would keep.

        Temperature, then `top_k`, then `top_p`, as ``model.generate(do_sample=True)`` has them.

        Parameters
        ----------
        position : int
            Position of the predicted token, as for :meth:`top_k`; the number of tokens is the place
            after the last one.
        temperature : float
            What the logits are divided by, above 0: 1 is the model's own distribution.
        top_k : int, optional
            Keep so many of the most probable tokens; default all.
        top_p : float
            Keep the fewest tokens that together have so much of the probability, 0 to 1.

        Returns
        -------
        Distribution
            On the CPU, with ``.to_frame()``.

        Raises
        ------
        ValueError
            Where the model makes no prediction, or for a number that is out of range.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        return ask_distribution.distribution(
            self._run, position, temperature=temperature, top_k=top_k, top_p=top_p
        )

    def layer_readings(
        self,
        position: int,
        *,
        k: int = 5,
        followed: Sequence[int] | None = None,
        fitted: FittedLens | None = None,
        progress: Progress | bool | None = None,
    ) -> LayerReadings:
        """Return what the model would predict at one place if it stopped after each layer.

        The logit lens (:func:`glasshead.logit_lens`) of one token, with the way of chosen tokens
        through the layers.

        Parameters
        ----------
        position : int
            Position of the predicted token; negative ones count from the end.
        k : int
            How many of the most probable tokens are kept per layer.
        followed : sequence of int, optional
            Ids of tokens whose probability and rank are wanted behind every layer; default the
            token that came and the model's three first choices.
        fitted : FittedLens, optional
            A lens that was fitted to the model (:func:`glasshead.fit_lens`), in place of the logit
            lens.
        progress : callable or bool, optional
            As for :meth:`attention`.

        Returns
        -------
        LayerReadings
            On the CPU, with ``.to_frame()`` and ``.followed_frame()``.

        Raises
        ------
        ValueError
            Where the model makes no prediction, or predicts from more than its last layer; and for
            a lens that was fitted to another model.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        with reporting(progress):
            return ask_readings.layer_readings(
                self._run, position, k=k, followed=followed, fitted=fitted
            )

    def compare_predictions(self, other: Trace) -> ComparedPredictions:
        """Compare what was predicted here with what was predicted in another trace.

        Another model with the same tokenizer, the model before it was changed, or the same words
        in another context: tokens are partners where both texts have the same stretch of tokens.

        Parameters
        ----------
        other : Trace

        Returns
        -------
        ComparedPredictions
            This trace's values minus the other's, with ``.to_frame()``.

        Raises
        ------
        ValueError
            When one of the models predicts no next token, the tokenizers differ, or the texts have
            no token in common.
        """
        return ask_compared.compare_predictions(self._run, run_of(other))

    def logits(
        self, positions: SupportsIndex | Iterable[SupportsIndex] | None = None
    ) -> Float[Tensor, "position vocabulary"]:
        """Return what the model puts out at some positions, before any softmax.

        Parameters
        ----------
        positions : int or sequence of int, optional
            Positions of the text, of an encoder-decoder model of the decoder's inputs; negative
            ones count from the end. Default all. Those of position ``i`` are about token ``i + 1``
            of a text (the last about the token that would follow), and about label ``i`` of an
            encoder-decoder model.

        Returns
        -------
        Tensor
            ``[positions, vocabulary]`` float32, as ``model(...).logits`` has them.

        Raises
        ------
        ValueError
            When the model predicts no next token, or for positions that are not there.
        MemoryBudgetError
            When they take more memory than they may; the message says how many would fit.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        return ask_predictions.logits(self._run, positions)

    # ---- elsewhere ------------------------------------------------------------------------------

    def to_bertviz(
        self, view: Literal["head", "model"] = "head", *, kind: Kind | None = None, **options: Any
    ) -> Any:
        """Draw attention with BertViz (``pip install "glasshead[bertviz]"``).

        Weights are those of :meth:`attention`, whichever attention function the model runs; layers
        have the model's own numbers, tokens are text. An encoder and a decoder of different depth
        are drawn one below the other. BertViz fetches its scripts from the network.

        Parameters
        ----------
        view : {"head", "model"}
            Its head view or its model view.
        kind : str, optional
            One of :attr:`kinds`; default all of them.
        **options
            BertViz' own: ``layer``, ``heads``, ``include_layers``, ``include_heads``,
            ``display_mode``, ``html_action="return"`` ...

        Returns
        -------
        IPython.display.HTML or None
            What BertViz returns.

        Raises
        ------
        ImportError
            Where BertViz is not installed.
        ValueError
            When the page would take more than 200 MB, or layers have different numbers of heads;
            the message says what would do.
        """
        from glasshead_backend.compat.bertviz import draw  # noqa: PLC0415  lazy

        run = self._run
        return draw(run, view, run.kinds if kind is None else [run.kind(kind)], options)

    # ---- what it holds --------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes of tensors that this trace keeps alive."""
        return self._recorded.nbytes

    def close(self) -> None:
        """Free what was recorded. Asked for more than its text, it raises ``ValueError`` then."""
        self._recorded, self._closed = self._recorded.emptied(), True


def run_of(trace: Trace) -> Run:
    """Return the run behind a trace, for what is built on it: statistics, frames, views.

    Raises
    ------
    ValueError
        When the trace is closed.
    """
    return trace._run  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


_traces: WeakKeyDictionary[Run, ref[Trace]] = WeakKeyDictionary()
"""The trace of every run, as long as somebody has both."""


def trace_of(run: Run) -> Trace:
    """Return the trace of a run: the one that somebody has, where there is one."""
    known = _traces.get(run)
    return (known and known()) or Trace(run)


travels_as(Trace, run_of, trace_of)
