"""A loaded model with its tokenizer, ready to be looked into."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import cached_property
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)
from transformers.utils import logging

from glasshead_backend.anatomy import Anatomy, Family, examine
from glasshead_backend.as_found import for_a_trace
from glasshead_backend.attention import undisturbed
from glasshead_backend.batching import trace_together
from glasshead_backend.checks import at_least_one
from glasshead_backend.demo import TOY_NOTICE, demo_path
from glasshead_backend.given_texts import read, write
from glasshead_backend.progress import reporting, steps
from glasshead_backend.running import device_of, n_embeddings, window
from glasshead_backend.tokens import Token, tokenize
from glasshead_backend.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from os import PathLike

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glasshead_backend.progress import Progress
    from glasshead_backend.sides import Sides
    from glasshead_backend.trace import Trace
    from glasshead_backend.words import Cut


_ONE_THREAD_WEIGHTS = 500_000_000


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
    words : callable, optional
        Cuts a text into words, for ``unit="word"``: returns them in order, as pieces of the text or
        as ``(start, end)`` spans (``jieba.cut`` for Chinese, say). Default: Unicode's boundaries.

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

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        words: Cut | None = None,
    ) -> None:
        # A compiled model is recorded through the module it was compiled from: same weights.
        # Any: the class of a model decides which methods it has (generate, get_encoder ...).
        self.model: Any = getattr(model, "_orig_mod", model)
        self.tokenizer = tokenizer
        self.words = words
        if words is not None and not callable(words):
            raise TypeError(
                f"words is a function that cuts a text into words, got {type(words).__name__}. "
                "For a list of words give a function that returns it: words=lambda text: [...]."
            )
        self._memory_budget: int | None = None
        self.notice = ""
        self.name = _display_name(self.model)
        self._anatomy: Anatomy | None = None
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
        known = n_embeddings(self.model)
        if len(tokenizer) > known:
            raise ValueError(
                f"The tokenizer knows {len(tokenizer):,} tokens, the model only {known:,}: "
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
        words: Cut | None = None,
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
        words : callable, optional
            As for :class:`Lens`.
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
        return cls(model if device is None else model.to(device), tokenizer, words=words)

    @classmethod
    def demo(cls, name: Literal["decoder", "encoder-decoder"] = "decoder") -> Lens:
        """Load one of the two small models that ship with the package; needs no network.

        They are toys, trained in minutes to show clear attention patterns: a decoder with a
        previous-token and an induction head, and an English-French translator of a tiny grammar.
        Their cards stand beside the weights.
        """
        # A progress bar for a megabyte of weights would be noise in a notebook.
        with _no_progress_bar():
            lens = cls.from_pretrained(demo_path(name), dtype=torch.float32)
        lens.notice = TOY_NOTICE[name]
        lens.name = f"demo {name}"
        return lens

    def __repr__(self) -> str:
        note = f"\n{self.notice}" if self.notice else ""
        return f"Lens({self.name}, {type(self.model).__name__} on {self.model.device}){note}"

    @property
    def memory_budget(self) -> int | None:
        """Bytes that one answer of a trace may take; None = half of what is free on its device."""
        return self._memory_budget

    @memory_budget.setter
    def memory_budget(self, n_bytes: int | None) -> None:
        self._memory_budget = (
            None if n_bytes is None else at_least_one(n_bytes, "memory_budget", "byte")
        )

    @property
    def family(self) -> Family:
        """What the model is: "decoder", "encoder-decoder" or "encoder"; found by a short probe."""
        return self.anatomy.family

    @property
    def anatomy(self) -> Anatomy:
        """What a probe of 16 tokens finds out about the model; run once."""
        if self._anatomy is None:
            # Its forwards are over 13 tokens: for a small model they are faster on one thread, on a
            # busy machine many times.
            small = sum(p.numel() for p in self.model.parameters()) < _ONE_THREAD_WEIGHTS
            threads = undisturbed(device_of(self.model)) if small else nullcontext()
            with for_a_trace(self.model), threads:
                self._anatomy = examine(self.model)
        return self._anatomy

    @property
    def window(self) -> int | None:
        """Most tokens that the model reads at once; None when its positions have no end."""
        return window(self.model)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer's vocabulary: what each id stands for."""
        return Vocabulary(self.tokenizer)

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
            Called with a :class:`Step` that says what is being done and how far it has come;
            ``print`` will do. An exception that it raises (:class:`Cancelled`) ends the work.

        Returns
        -------
        Trace

        Raises
        ------
        TypeError
            For something that is no text.
        ValueError
            When the text is empty, is longer than the model's window, or holds tokens that the
            model does not know; and when a target is given to a model that takes none.
        MemoryBudgetError
            When queries and keys of the text would take more memory than they may.
        UnsupportedModelError
            When the model's attention cannot be recorded.
        """
        with reporting(progress):
            return trace_together(self, [read(self, text, target, max_new_tokens)])[0]

    def trace_many(
        self,
        texts: Iterable[str],
        targets: Iterable[str] | None = None,
        *,
        batch_size: int = 8,
        max_new_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Generator[Trace, None, None]:
        """Trace many texts, several in one forward pass, and yield the traces in their order.

        Texts of similar length are padded together, on the side that the tokenizer pads; a trace
        holds nothing of the padding. At most ``4 * batch_size`` traces are held back at once, so
        a stream without end can be traced; close each when you are done with it.

        Parameters
        ----------
        texts : iterable of str
            The texts; for an encoder-decoder model the sources.
        targets : iterable of str, optional
            Encoder-decoder only: as many as there are texts. Left out, the model generates them.
        batch_size : int
            Most texts in one forward pass.
        max_new_tokens : int, optional
            Most tokens of a generated target.
        progress : callable, optional
            Called with a :class:`Step` that says what is being done and how far it has come;
            ``print`` will do. An exception that it raises (:class:`Cancelled`) ends the work.

        Yields
        ------
        Trace
            One for each text.

        Raises
        ------
        ValueError
            As :meth:`trace`, naming the text by its number; and when `texts` and `targets` differ
            in number.
        """
        if isinstance(texts, str):
            raise TypeError("trace_many takes a list of texts. For a single one use trace(text).")
        if isinstance(targets, str):
            raise TypeError("trace_many takes a list of targets, as many as there are texts.")
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size} is too small: at least 1 text at a time.")
        pairs = ((text, None) for text in texts) if targets is None else _pairs(texts, targets)
        numbered = enumerate(pairs)
        while window := list(islice(numbered, 4 * batch_size)):
            with reporting(progress):
                sides = [self._numbered_sides(n, *pair, max_new_tokens) for n, pair in window]
                traces = self._trace_by_length(sides, batch_size, first=window[0][0])
            yield from (traces.pop(i) for i in range(len(sides)))

    def _trace_by_length(
        self, sides: list[Sides], batch_size: int, *, first: int
    ) -> dict[int, Trace]:
        """Trace texts in batches of similar length; by their place in the list."""
        by_length = sorted(range(len(sides)), key=lambda i: _size(sides[i]))
        starts = range(0, len(sides), batch_size)
        what = f"running the model on texts {first}-{first + len(sides) - 1}"
        traces: dict[int, Trace] = {}
        for start in steps(starts, what, len(starts)):
            chosen = by_length[start : start + batch_size]
            together = trace_together(self, [sides[i] for i in chosen])
            traces.update(zip(chosen, together, strict=True))
        return traces

    def _numbered_sides(
        self, number: int, text: str, target: str | None, max_new_tokens: int | None
    ) -> Sides:
        try:
            return read(self, text, target, max_new_tokens)
        except (TypeError, ValueError) as error:
            raise type(error)(f"Text {number}: {error}") from error

    def generate(
        self,
        prompt: str,
        *,
        max_new_tokens: int = 50,
        do_sample: bool = False,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> Trace:
        """Let the model continue a prompt, and trace prompt and continuation together.

        The text is generated as always; attention comes from one recorded pass over the result,
        whose rows equal the step-wise ones. For an encoder-decoder model this is ``trace(prompt)``.

        Parameters
        ----------
        prompt : str
            The beginning, or the source of an encoder-decoder model.
        max_new_tokens : int
            Most tokens to generate; left out of account where ``max_length`` is given.
        do_sample : bool
            Sample instead of taking the most probable token.
        progress : callable, optional
            As for :meth:`trace`.
        **kwargs
            Passed on to the model's ``generate`` (``num_beams``, ``temperature`` ...).

        Raises
        ------
        ValueError
            When the model cannot generate, when it is asked for several sequences, and as
            :meth:`trace`.
        """
        options: dict[str, Any] = {"do_sample": do_sample, **kwargs}
        if "max_length" not in kwargs:
            options["max_new_tokens"] = at_least_one(max_new_tokens, "max_new_tokens", "token")
        with reporting(progress):
            return trace_together(self, [write(self, prompt, options)])[0]


@contextmanager
def _no_progress_bar() -> Generator[None, None, None]:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _pairs(texts: Iterable[str], targets: Iterable[str]) -> Generator[tuple[str, str], None, None]:
    """Pair texts and targets; say which is missing where one ends before the other."""
    nothing = object()
    for number, (text, target) in enumerate(zip_longest(texts, targets, fillvalue=nothing)):
        if text is nothing or target is nothing:
            lacks = "text" if text is nothing else "target"
            raise ValueError(f"There is no {lacks} number {number}: give as many targets as texts.")
        yield cast("tuple[str, str]", (text, target))


def _size(sides: Sides) -> tuple[int, ...]:
    return tuple(len(sequence.tokens) for sequence in sides.all)


def _display_name(model: Any) -> str:
    """Name of a model as people know it: its path's last part, or its type."""
    config = getattr(model, "config", None)
    path = str(getattr(config, "name_or_path", "") or "").rstrip("/")
    return path.rsplit("/", maxsplit=1)[-1] or str(
        getattr(config, "model_type", type(model).__name__)
    )
