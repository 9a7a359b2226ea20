"""A loaded model with its tokenizer, ready to be looked into."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)

from glasshead_backend.attention import verify
from glasshead_backend.capture import record
from glasshead_backend.demo import TOY_NOTICE, demo_path
from glasshead_backend.prediction import NextTokenLogits
from glasshead_backend.sides import Sequence, Sides
from glasshead_backend.structure import (
    Structure,
    UnsupportedModelError,
    first_tensor,
    locate_calls,
    on_input,
    on_output,
    probe,
)
from glasshead_backend.tokens import Token, tokenize, tokens_of_ids
from glasshead_backend.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from os import PathLike

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glasshead_backend.structure import Stack

    Progress = Callable[[str], None]

Family = Literal["decoder", "encoder-decoder", "encoder"]

_PROBE_TOKENS = 16
_LOGITS_TOLERANCE = 1e-3
"""Largest relative difference of logits with and without recording that a probe accepts."""

_CAUSAL_TOLERANCE = 1e-4


@dataclass(frozen=True)
class _Anatomy:
    """What a probe found out about a model, once."""

    structure: Structure
    family: Family
    plain_unembedding: bool
    """Whether logits are the output of the unembedding, unchanged."""


class Lens:
    """A loaded transformers model and its tokenizer.

    The model is used as it is: no copy, no reload, no change of its attention implementation. It is
    in evaluation mode while it runs for a trace and left exactly as found afterwards.

    Parameters
    ----------
    model : PreTrainedModel
        A decoder-only, encoder-decoder or encoder model.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.

    Raises
    ------
    TypeError
        When the two are not a transformers model and tokenizer.
    ValueError
        When the tokenizer has more tokens than the model has embeddings.

    Examples
    --------
    >>> lens = Lens.demo("decoder")
    >>> trace = lens.trace("The whale, the whale!")
    >>> trace.attention(0).shape[0] == trace.n_heads(0)
    True
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        # A compiled model is recorded through the module it was compiled from: same weights.
        # Any: the class of a model decides which methods it has (generate, get_encoder ...).
        self.model: Any = getattr(model, "_orig_mod", model)
        self.tokenizer = tokenizer
        self.notice = ""
        self.name = _display_name(self.model)
        self._anatomy: _Anatomy | None = None
        if not isinstance(self.model, nn.Module) or not hasattr(self.model, "config"):
            raise TypeError(
                f"Lens needs a transformers model first, got {type(model).__name__}: "
                "Lens(model, tokenizer)."
            )
        if not callable(tokenizer) or not hasattr(tokenizer, "decode"):
            raise TypeError(
                f"Lens needs a transformers tokenizer second, got {type(tokenizer).__name__}: "
                "Lens(model, tokenizer)."
            )
        n_embeddings = self._n_embeddings()
        if len(tokenizer) > n_embeddings:
            raise ValueError(
                f"The tokenizer knows {len(tokenizer):,} tokens, the model only {n_embeddings:,}: "
                "they do not belong together. Load both from the same name, or call "
                "model.resize_token_embeddings(len(tokenizer)) if you added tokens."
            )

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | PathLike[str],
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "auto",
        **kwargs: Any,
    ) -> Lens:
        """Load a model and its tokenizer with transformers' Auto classes.

        Parameters
        ----------
        name_or_path : str or path
            Name on the model hub, or a folder.
        device : str or torch.device, optional
            Where to put the model; default: where transformers puts it.
        dtype : str or torch.dtype
            Passed on; "auto" = as the weights were saved.
        **kwargs
            Passed on to the model's ``from_pretrained``.
        """
        config = AutoConfig.from_pretrained(name_or_path)
        architecture = next(iter(config.architectures or []), "")
        if config.is_encoder_decoder:
            auto: Any = AutoModelForSeq2SeqLM
        elif "MaskedLM" in architecture or "PreTraining" in architecture:
            auto = AutoModelForMaskedLM
        else:
            auto = AutoModelForCausalLM
        model = auto.from_pretrained(name_or_path, dtype=dtype, **kwargs)
        tokenizer = AutoTokenizer.from_pretrained(name_or_path)
        return cls(model if device is None else model.to(device), tokenizer)

    @classmethod
    def demo(cls, name: Literal["decoder", "encoder-decoder"] = "decoder") -> Lens:
        """Load one of the two small models that ship with the package; needs no network.

        They are toys, trained in minutes to show clear attention patterns: a decoder with a
        previous-token and an induction head, and an English-French translator of a tiny grammar.
        Their cards stand beside the weights.
        """
        lens = cls.from_pretrained(demo_path(name), dtype=torch.float32)
        lens.notice = TOY_NOTICE[name]
        lens.name = f"demo {name}"
        return lens

    def __repr__(self) -> str:
        note = f"\n{self.notice}" if self.notice else ""
        return f"Lens({self.name}, {type(self.model).__name__} on {self.model.device}){note}"

    @property
    def family(self) -> Family:
        """What the model is: "decoder", "encoder-decoder" or "encoder"; found by a short probe."""
        return self.anatomy.family

    @property
    def anatomy(self) -> _Anatomy:
        """What a probe of 16 tokens finds out about the model; run once."""
        if self._anatomy is None:
            with self._as_for_a_trace():
                self._anatomy = self._probe()
        return self._anatomy

    @property
    def window(self) -> int | None:
        """Most tokens that the model reads at once; None when its positions have no end."""
        config = self.model.config.get_text_config()
        if hasattr(config, "relative_attention_num_buckets"):
            return None
        window = getattr(config, "max_position_embeddings", None)
        for name, module in self.model.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                # RoBERTa counts positions from behind its padding index.
                offset = 0 if module.padding_idx is None else module.padding_idx + 1
                return module.num_embeddings - offset
        return window

    def tokenize(self, text: str) -> list[Token]:
        """Tokens of a text as the model would get them, special tokens included."""
        return tokenize(self.tokenizer, text)

    def trace(
        self,
        text: str,
        target: str | None = None,
        *,
        max_new_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Trace:
        """Run the model once and record what is needed to answer every later question.

        Parameters
        ----------
        text : str
            The text; for an encoder-decoder model the source.
        target : str, optional
            Encoder-decoder only: the text that the decoder is made to write (teacher forcing). When
            it is left out, the model generates it.
        max_new_tokens : int, optional
            Most tokens of a generated target.
        progress : callable, optional
            Called with words that say what is being done.

        Returns
        -------
        Trace

        Raises
        ------
        ValueError
            When the text is empty, is longer than the model's window, or holds tokens that the
            model does not know; and when a target is given to a model that takes none.
        UnsupportedModelError
            When the model's attention cannot be recorded.
        """
        say = progress or _silent
        tokens = self.tokenize(text)
        self._check(tokens, text, "text")
        if self.family != "encoder-decoder":
            if target is not None:
                raise ValueError(
                    f"{self.name} is not an encoder-decoder model: it takes one text. "
                    "Use trace(text)."
                )
            return self._record(Sides(Sequence("text", text, tuple(tokens))), say)
        source = Sequence("source", text, tuple(tokens))
        if target is None:
            say("generating the target")
            labels, written = self._generated_labels(source, max_new_tokens)
        else:
            labels, written = tokenize(self.tokenizer, target, target=True), target
            self._check(labels, target, "target")
        return self._record(self._with_decoder(source, labels, written), say)

    def generate(
        self, prompt: str, *, max_new_tokens: int = 50, do_sample: bool = False, **kwargs: Any
    ) -> Trace:
        """Let the model continue a prompt, and trace prompt and continuation together.

        The text is generated as always; attention comes from one recorded pass over the result,
        whose rows equal the step-wise ones. For an encoder-decoder model this is ``trace(prompt)``.

        Parameters
        ----------
        prompt : str
            The beginning, or the source of an encoder-decoder model.
        max_new_tokens : int
            Most tokens to generate.
        do_sample : bool
            Sample instead of taking the most probable token.
        **kwargs
            Passed on to the model's ``generate``.
        """
        tokens = self.tokenize(prompt)
        self._check(tokens, prompt, "prompt")
        options = {"max_new_tokens": max_new_tokens, "do_sample": do_sample, **kwargs}
        if self.family == "encoder":
            raise ValueError(f"{self.name} is an encoder: it cannot generate. Use trace(text).")
        if self.family == "encoder-decoder":
            source = Sequence("source", prompt, tuple(tokens))
            labels, written = self._generated_labels(source, **options)
            return self._record(self._with_decoder(source, labels, written), _silent)
        # A tokenizer that closes every text with an end token would stop the model right there.
        while len(tokens) > 1 and tokens[-1].special:
            tokens.pop()
        ids = [token.id for token in tokens]
        with self._as_for_a_trace():
            written_ids = self.model.generate(**self._inputs(ids), **options)[0].tolist()
        whole, text = tokens_of_ids(self.tokenizer, written_ids, generated_from=len(ids))
        self._check(whole, text, "text")
        return self._record(Sides(Sequence("text", text, tuple(whole))), _silent)

    def activations_of(
        self, modules: dict[int, nn.Module], inputs: dict[str, Tensor], *, inputs_wanted: bool
    ) -> dict[int, Tensor]:
        """Run the model again and keep what some modules put out (or take in), by layer.

        Parameters
        ----------
        modules : dict
            The module of every layer.
        inputs : dict
            Keyword arguments of the model's forward.
        inputs_wanted : bool
            Keep what goes into the modules instead of what comes out.

        Returns
        -------
        dict
            ``{layer: [tokens, hidden]}``. A module shared by all layers (ALBERT) counts on.
        """
        layers = {id(module): layer for layer, module in modules.items()}
        kept: dict[int, Tensor] = {}

        def keep(module: nn.Module, tensor: Tensor) -> None:
            layer = layers[id(module)]
            layers[id(module)] += 1
            kept[layer] = tensor.detach().reshape(-1, tensor.shape[-1])

        observed = on_input if inputs_wanted else on_output
        with self._as_for_a_trace(), observed(list(modules.values()), keep):
            self.model(**inputs)
        return kept

    def _with_decoder(self, source: Sequence, labels: list[Token], text: str) -> Sides:
        """Add the decoder: its inputs are the labels shifted right behind the start token."""
        ids = torch.tensor([[token.id for token in labels]], device=self.model.device)
        shifted = self.model.prepare_decoder_input_ids_from_labels(ids)[0].tolist()
        start_text = str(self.tokenizer.convert_ids_to_tokens(shifted[0]))
        start = Token(shifted[0], start_text, 0, 0, special=True)
        inputs = Sequence("target", text, (start, *labels[:-1]))
        return Sides(source, inputs, Sequence("target", text, tuple(labels)))

    def _generated_labels(
        self, source: Sequence, max_new_tokens: int | None = None, **kwargs: Any
    ) -> tuple[list[Token], str]:
        options = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
        with self._as_for_a_trace():
            written = self.model.generate(**self._inputs(source.ids), **options, **kwargs)
        labels, text = tokens_of_ids(self.tokenizer, written[0, 1:].tolist(), generated_from=0)
        if not labels:
            raise ValueError(f"{self.name} generated nothing for this source. Give a target.")
        return labels, text

    def _record(self, sides: Sides, say: Progress) -> Trace:
        anatomy = self.anatomy
        say("running the model")
        inputs = self._inputs(*(sequence.ids for sequence in sides.all))
        norms: dict[tuple[Stack, int, str], Tensor] = {}
        writers = {id(w.module): w for w in anatomy.structure.writers}
        runs: dict[int, int] = {}

        def note_norm(module: nn.Module, output: Tensor) -> None:
            writer = writers[id(module)]
            # A module shared by all layers (ALBERT) writes once per layer, in order.
            layer = writer.layer + runs.get(id(module), 0)
            runs[id(module)] = runs.get(id(module), 0) + 1
            flat = output.detach().reshape(-1, output.shape[-1])
            norms[writer.stack, layer, writer.block] = flat.float().norm(dim=-1)

        with ExitStack() as stack:
            stack.enter_context(self._as_for_a_trace())
            stack.enter_context(on_output([w.module for w in anatomy.structure.writers], note_norm))
            recording = stack.enter_context(record())
            logits = self._run_for_logits(inputs, anatomy)
            calls = locate_calls(self.model, recording.calls, anatomy.structure.cross_modules)
            for call in recording.calls:
                verify(call)
        return Trace(
            lens=self,
            sides=sides,
            calls=calls,
            logits=logits,
            norms=norms,
            inputs=inputs,
        )

    def _run_for_logits(
        self, inputs: dict[str, Tensor], anatomy: _Anatomy
    ) -> NextTokenLogits | None:
        """Run the model and keep what predictions are made from: hidden states, not logits."""
        unembedding = self.model.get_output_embeddings()
        if anatomy.family == "encoder" or unembedding is None:
            self.model(**inputs)
            return None
        if not anatomy.plain_unembedding:
            logits = self.model(**inputs).logits[0]
            return NextTokenLogits(logits=logits, n_vocabulary=logits.shape[-1])
        with _short_unembedding(unembedding) as kept:
            vocabulary = self.model(**inputs).logits.shape[-1]
        return NextTokenLogits(hidden=kept[0][0], unembedding=unembedding, n_vocabulary=vocabulary)

    def _probe(self) -> _Anatomy:
        """Find the model's structure with 16 arbitrary tokens; check that recording is safe."""
        n_tokens = min(_PROBE_TOKENS, self.window or _PROBE_TOKENS)
        vocabulary = self._n_embeddings()
        ids = [(7 * i + 5) % vocabulary for i in range(n_tokens)]
        decoder_ids = ids if self.model.config.is_encoder_decoder else None
        structure = probe(self.model, self._inputs(ids, decoder_ids))
        self._require_unchanged_logits(ids)
        return _Anatomy(structure, self._find_family(ids), self._has_plain_unembedding(ids))

    def _require_unchanged_logits(self, ids: list[int]) -> None:
        """Compare outputs of a padded batch with and without recording."""
        decoder_ids = ids if self.model.config.is_encoder_decoder else None
        batch = {
            name: tensor.repeat(2, 1) for name, tensor in self._inputs(ids, decoder_ids).items()
        }
        mask = torch.ones_like(batch["input_ids"])
        mask[1, : len(ids) // 4] = 0
        plain = first_tensor(self.model(**batch, attention_mask=mask))
        with record():
            recorded = first_tensor(self.model(**batch, attention_mask=mask))
        assert plain is not None
        assert recorded is not None
        scale = plain.abs().amax().clamp_min(1e-6)
        difference = float((plain - recorded).abs().amax() / scale)
        if not difference <= _LOGITS_TOLERANCE:
            raise UnsupportedModelError(
                f"{type(self.model).__name__} computes something else while it is recorded "
                f"(relative difference {difference:.1e}). Glasshead refuses to show numbers of a "
                "changed model; please report this architecture."
            )

    def _find_family(self, ids: list[int]) -> Family:
        """A decoder is a model whose first outputs do not depend on its last input."""
        if self.model.config.is_encoder_decoder:
            return "encoder-decoder"
        other = [*ids[:-1], (ids[-1] + 1) % self._n_embeddings()]
        first = first_tensor(self.model(**self._inputs(ids)))
        second = first_tensor(self.model(**self._inputs(other)))
        assert first is not None
        assert second is not None
        scale = float(first.abs().amax().clamp_min(1e-6))
        change = float((first[:, 0] - second[:, 0]).abs().amax())
        return "decoder" if change <= _CAUSAL_TOLERANCE * scale else "encoder"

    def _has_plain_unembedding(self, ids: list[int]) -> bool:
        unembedding = self.model.get_output_embeddings()
        if unembedding is None:
            return False
        decoder_ids = ids if self.model.config.is_encoder_decoder else None
        with _short_unembedding(unembedding) as kept:
            output = self.model(**self._inputs(ids, decoder_ids))
        logits = getattr(output, "logits", None)
        if len(kept) != 1 or logits is None or logits.shape[1] != 1:
            return False
        return torch.allclose(unembedding(kept[0][:, -1:]), logits, rtol=1e-5, atol=1e-6)

    def _inputs(self, ids: list[int], decoder_ids: list[int] | None = None) -> dict[str, Tensor]:
        inputs = {"input_ids": torch.tensor([ids], device=self.model.device)}
        if decoder_ids is not None:
            inputs["decoder_input_ids"] = torch.tensor([decoder_ids], device=self.model.device)
        return inputs

    def _n_embeddings(self) -> int:
        return self.model.get_input_embeddings().weight.shape[0]

    def _check(self, tokens: list[Token], text: str, what: str) -> None:
        """Refuse what the model cannot run on, and say what to do."""
        if not any(not token.special for token in tokens):
            raise ValueError(
                f"The {what} is empty: {text!r} has no tokens to look at. Give at least one word."
            )
        n_embeddings = self._n_embeddings()
        unknown = next((token for token in tokens if token.id >= n_embeddings), None)
        if unknown is not None:
            raise ValueError(
                f"Token {unknown.text!r} has id {unknown.id:,}, but the model has only "
                f"{n_embeddings:,} embeddings: tokenizer and model do not belong together."
            )
        window = self.window
        if window is not None and len(tokens) > window:
            raise ValueError(
                f"The {what} has {len(tokens):,} tokens, but {self.name} reads at most {window:,} "
                "(its window). Cut the text, or trace it in pieces."
            )

    @contextmanager
    def _as_for_a_trace(self) -> Generator[None, None, None]:
        """No gradients, evaluation mode, an implementation that can be recorded; restored after."""
        training = [module for module in self.model.modules() if module.training]
        implementation = self.model.config._attn_implementation  # noqa: SLF001  no public reader
        switch = implementation not in ("sdpa", "eager", None)
        with torch.no_grad():
            try:
                self.model.eval()
                if switch:
                    self.model.set_attn_implementation("sdpa")
                yield
            finally:
                if switch:
                    self.model.set_attn_implementation(implementation)
                for module in training:
                    module.training = True


@contextmanager
def _short_unembedding(unembedding: nn.Module) -> Generator[list[Tensor], None, None]:
    """Keep what the unembedding is given, and let it compute the last position only."""
    kept: list[Tensor] = []

    def shorten(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        kept.append(args[0].detach())
        return (args[0][:, -1:], *args[1:])

    handle = unembedding.register_forward_pre_hook(shorten)
    try:
        yield kept
    finally:
        handle.remove()


def _silent(_: str) -> None:
    """Nobody asked for progress."""


def _display_name(model: Any) -> str:
    """Name of a model as people know it: its path's last part, or its type."""
    config = getattr(model, "config", None)
    path = str(getattr(config, "name_or_path", "") or "").rstrip("/")
    return path.rsplit("/", maxsplit=1)[-1] or str(
        getattr(config, "model_type", type(model).__name__)
    )
