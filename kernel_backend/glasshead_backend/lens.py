"""A loaded model with its tokenizer, ready to be looked into."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from glasshead_backend.compat.objects import inside
from glasshead_backend.demo import TOY_NOTICE, demo_path
from glasshead_backend.progress import reporting
from glasshead_backend.questions.continuations import score_continuations
from glasshead_backend.running.loading import load, load_shipped
from glasshead_backend.served.subject import ServedSubject
from glasshead_backend.trace import Trace
from glasshead_backend.tracing.given import Reading
from glasshead_backend.tracing.many_texts import paired
from glasshead_backend.tracing.runs import scored, tokenized, traced, traced_by_length, written
from glasshead_backend.tracing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from os import PathLike

    import torch
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

    from glasshead_backend.progress import Progress
    from glasshead_backend.questions.continuations import Continuations
    from glasshead_backend.served.connection import Connection
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.text.words import Cut
    from glasshead_backend.tracing.given import TextLike


class Lens(Subject):
    """A loaded transformers model and its tokenizer.

    The model is used as it is: no copy, no reload, no change of its attention implementation. It is
    in evaluation mode while it runs for a trace and left exactly as found afterwards.

    Parameters
    ----------
    model : PreTrainedModel, TransformerBridge, LanguageModel or PeftModel
        A decoder-only, encoder-decoder or encoder model; also wrapped by TransformerLens (4),
        nnsight or peft: the transformers model inside is used, with what hooks and adapters make of
        it.
    tokenizer : PreTrainedTokenizerBase, optional
        Its tokenizer. May be left out where the wrapper has it (TransformerLens, nnsight).
    words : callable, optional
        Cuts a text into words, for ``unit="word"``: returns them in order, as pieces of the text or
        as ``(start, end)`` spans (``jieba.cut`` for Chinese, say). Default: Unicode's boundaries.

    Raises
    ------
    TypeError
        When the two are not a transformers model and tokenizer.
    ValueError
        When the tokenizer has more tokens than the model has embeddings.
    UnsupportedModelError
        For a wrapper whose model says something else without it (learnt prompts).

    Examples
    --------
    >>> lens = Lens.demo("decoder")
    >>> trace = lens.trace("The whale, the whale!")
    >>> trace.attention(0).shape[0] == trace.n_heads(0)
    True
    """

    def __init__(
        self,
        model: PreTrainedModel | Any,
        tokenizer: PreTrainedTokenizerBase | None = None,
        *,
        words: Cut | None = None,
    ) -> None:
        found = inside(model)
        its: Any = found.tokenizer if tokenizer is None else tokenizer
        super().__init__(found.model, its, words=words)
        self.source: Callable[[], Lens] | None = None

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
        """Load a model and its tokenizer with transformers' classes.

        The model is of the class that the checkpoint names (a classifier stays one); a checkpoint
        of the layers alone becomes a language model where its unembedding is its embedding.

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
            Passed on to the model's ``from_pretrained``. What says where files lie (``revision``,
            ``subfolder``, ``token`` ...) and ``trust_remote_code`` hold for its tokenizer as well.
        """
        model, tokenizer = load(name_or_path, dtype, **kwargs)
        lens = cls(model if device is None else model.to(device), tokenizer, words=words)
        lens.source = partial(
            cls.from_pretrained, name_or_path, device=device, dtype=dtype, words=words, **kwargs
        )
        return lens

    @classmethod
    def demo(cls, name: Literal["decoder", "encoder-decoder"] = "decoder") -> Lens:
        """Load one of the two small models that ship with the package; needs no network.

        They are toys, trained in minutes to show clear attention patterns: a decoder with a
        previous-token and an induction head, and an English-French translator of a tiny grammar.
        Their cards stand beside the weights.
        """
        lens = cls(*load_shipped(demo_path(name)))
        lens.notice = TOY_NOTICE[name]
        lens.name = f"demo {name}"
        lens.source = partial(cls.demo, name)
        return lens

    @classmethod
    def connect(cls, url: str, *, token: str | None = None) -> Lens:
        """Use a model that is with a server: ``glasshead serve MODEL`` on another machine, say.

        Traces, views and statistics are what they are with a model in this notebook. Texts and
        questions go to the server, and what was found comes back; the model stays there, and no
        code of this notebook's is run there. What takes the model itself raises
        ``NotServedError``: head atlases, fitted lenses, probing, functions of your own that are
        handed over.

        Parameters
        ----------
        url : str
            Where the server is, as it prints it when it starts: ``"http://127.0.0.1:8765"``.
        token : str, optional
            What lets you in, where it wants one.

        Returns
        -------
        Lens
            Its questions raise ``ServerError`` where the server cannot be asked, or has dropped a
            trace that was not used for long.

        Raises
        ------
        ValueError
            For what is no address.
        ServerError
            When no server answers there, it wants another token, or it has another version of
            Glasshead.
        """
        from glasshead_backend.served.connection import Connection  # noqa: PLC0415  httpx is slow

        return ServedLens(Connection(url, token))

    def __repr__(self) -> str:
        note = f"\n{self.notice}" if self.notice else ""
        return f"Lens({self.name}, {type(self.model).__name__} on {self.model.device}){note}"

    def tokenize(
        self,
        text: TextLike,
        pair: str | None = None,
        *,
        add_special_tokens: bool = True,
        template_options: Mapping[str, Any] | None = None,
    ) -> list[Token]:
        """Tokens of a text as the model would get them, special tokens included.

        Takes what :meth:`trace` takes; spans count in the text that the trace would have.
        """
        reading = Reading(add_special_tokens, template_options or {})
        return tokenized(self, text, pair, reading)

    def trace(
        self,
        text: TextLike,
        target: TextLike | None = None,
        *,
        add_special_tokens: bool = True,
        template_options: Mapping[str, Any] | None = None,
        max_new_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Trace:
        """Run the model once and record what is needed to answer every later question.

        Parameters
        ----------
        text : str, list of dict, list of int, tensor, BatchEncoding
            The text; for an encoder-decoder model the source. A string is tokenized. Chat messages
            (``[{"role": "user", "content": ...}]``) are written out by the tokenizer's chat
            template, and what it writes is the trace's text. Token ids (one sequence, not padded)
            and what a tokenizer returns for one text are taken as they are; their text is what the
            ids spell.
        target : str, list of int, tensor, BatchEncoding, optional
            Encoder-decoder: what the decoder is made to write (teacher forcing). When it is left
            out, the model generates it. Encoder: the second sentence of a pair, a str. The trace's
            text is then both sentences with a line break between, and ``trace.sequences[0]`` knows
            the sentence of every token (``segments``).
        add_special_tokens : bool
            Whether the tokenizer puts its special tokens (``[CLS]``, ``<s>``) around a string.
            Turn it off for a string that holds them already.
        template_options : dict, optional
            For messages: keyword arguments of the tokenizer's ``apply_chat_template``, such as
            ``{"add_generation_prompt": True, "tools": [...]}``.
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
            model does not know; for several or padded sequences; for messages that the tokenizer
            has no template for; and when a target is given to a model that takes none.
        MemoryBudgetError
            When queries and keys of the text would take more memory than they may.
        UnsupportedModelError
            When the model's attention cannot be recorded.
        """
        reading = Reading(add_special_tokens, template_options or {})
        with reporting(progress):
            return Trace(traced(self, text, target, max_new_tokens, reading))

    def trace_many(
        self,
        texts: Iterable[TextLike],
        targets: Iterable[TextLike] | None = None,
        *,
        batch_size: int = 8,
        add_special_tokens: bool = True,
        template_options: Mapping[str, Any] | None = None,
        max_new_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Generator[Trace, None, None]:
        """Trace many texts, several in one forward pass, and yield the traces in their order.

        Texts of similar length are padded together, on the side that the tokenizer pads; a trace
        holds nothing of the padding. Batches are checked against some of their texts run alone:
        models whose outputs padding changes (ConvBERT, Nystromformer, Doge ...) read one text at a
        time. At most ``4 * batch_size`` traces are held back at once, so
        a stream without end can be traced; close each when you are done with it.

        Parameters
        ----------
        texts : iterable
            The texts, each as for :meth:`trace`; for an encoder-decoder model the sources.
        targets : iterable, optional
            As many as there are texts. Encoder-decoder: the targets; left out, the model generates
            them. Encoder: the second sentence of every pair.
        batch_size : int
            Most texts in one forward pass.
        add_special_tokens, template_options, max_new_tokens, progress
            As for :meth:`trace`.

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
        if isinstance(texts, Mapping):
            raise TypeError(
                "trace_many takes a list of texts and pads them by itself: give it the texts, or a "
                "list of ids for each, not the encoding of all."
            )
        if isinstance(targets, str):
            raise TypeError("trace_many takes a list of targets, as many as there are texts.")
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size} is too small: at least 1 text at a time.")
        reading = Reading(add_special_tokens, template_options or {})
        pairs = ((text, None) for text in texts) if targets is None else paired(texts, targets)
        numbered = enumerate(pairs)
        while window := list(islice(numbered, 4 * batch_size)):
            (first, _), together = window[0], [pair for _, pair in window]
            with reporting(progress):
                runs = traced_by_length(
                    self, together, max_new_tokens, reading, batch_size=batch_size, first=first
                )
            yield from (Trace(runs.pop(i)) for i in range(len(together)))

    def score(
        self,
        text: TextLike,
        target: TextLike | None = None,
        *,
        window: int | None = None,
        stride: int | None = None,
        add_special_tokens: bool = True,
        template_options: Mapping[str, Any] | None = None,
        max_new_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Trace:
        """Score every token of a text without recording attention; the text may be of any length.

        What is longer than the model's window is read in windows that overlap, each token scored
        once, by the first window that reads it. An encoder made to fill masks scores each token by
        masking it (pseudo-perplexity, Salazar et al. 2020): one copy of the text for each token.

        Parameters
        ----------
        text, target, add_special_tokens, template_options, max_new_tokens, progress
            As for :meth:`trace`.
        window : int, optional
            Decoder-only models: most tokens read at once. Default: what the model reads.
        stride : int, optional
            Decoder-only models: how many tokens further each window begins. A token behind the
            first window has at least ``window - stride`` tokens before it. A small stride is exact
            and slow. Default: half a window. Start tokens of the tokenizer's (``<s>``) stand at the
            front of every window.

        Returns
        -------
        Trace
            With predictions, alternatives and logits as those of :meth:`trace`; questions about
            attention and layers say that there is none.

        Raises
        ------
        ValueError
            As :meth:`trace`; for a model that predicts nothing, an encoder whose tokenizer has no
            mask token, and a window or stride that cannot be.

        Examples
        --------
        >>> lens = Lens.demo("decoder")
        >>> scored = lens.score("The whale, the whale! " * 100, stride=64)
        >>> scored.predictions().n_scored == len(scored.tokens) - 1
        True
        """
        reading = Reading(add_special_tokens, template_options or {})
        with reporting(progress):
            return Trace(
                scored(self, text, target, max_new_tokens, reading, window=window, stride=stride)
            )

    def score_continuation(
        self,
        prompt: str,
        continuations: str | Iterable[str],
        *,
        add_special_tokens: bool = True,
        progress: Progress | None = None,
    ) -> Continuations:
        """Return how probable continuations of a prompt are (cloze probability).

        The probability of a continuation is the product over its tokens, as the tokenizer cuts
        prompt and continuation together; what it puts behind a text does not count.

        Parameters
        ----------
        prompt : str
            What stands before; for an encoder-decoder model the source.
        continuations : str or iterable of str
            One or several, each with the space it begins with: ``" word"``. For an encoder-decoder
            model how the target begins.
        add_special_tokens, progress
            As for :meth:`trace`.

        Returns
        -------
        Continuations

        Raises
        ------
        ValueError
            When a token would lie in both prompt and continuation, when there are no continuations
            or empty ones, for encoders, and as :meth:`trace`.
        """
        texts = [continuations] if isinstance(continuations, str) else list(continuations)
        if not texts:
            raise ValueError("There are no continuations: give one, or a list of them.")
        reading = Reading(add_special_tokens)
        with reporting(progress):
            return score_continuations(self, prompt, texts, reading)

    def generate(
        self,
        prompt: TextLike,
        *,
        max_new_tokens: int | None = None,
        do_sample: bool | None = None,
        generation_config: GenerationConfig | None = None,
        add_special_tokens: bool = True,
        template_options: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> Trace:
        """Let the model continue a prompt, and trace prompt and continuation together.

        The text is generated as always; attention comes from one recorded pass over the result,
        whose rows equal the step-wise ones. The prompt stays as it is written; only special tokens
        that the tokenizer itself put behind it (``</s>``) are left out.

        Parameters
        ----------
        prompt : str, list of dict, list of int, tensor, BatchEncoding
            The beginning, or the source of an encoder-decoder model, as for :meth:`trace`. Behind
            chat messages the template writes the beginning of the model's answer
            (``add_generation_prompt``), unless `template_options` say otherwise.
        max_new_tokens : int, optional
            Most tokens to generate. Left out: what ``max_length`` or `generation_config` say (or
            what, beside the latter, the model's own configuration says), else 50.
        do_sample : bool, optional
            Sample instead of taking the most probable token. Left out: what `generation_config`
            says, else False, whatever the model's own configuration says.
        generation_config : GenerationConfig, optional
            Counts as it is, but for what the other keywords say.
        add_special_tokens, template_options, progress
            As for :meth:`trace`.
        **kwargs
            Passed on to the model's ``generate`` (``num_beams``, ``temperature`` ...).

        Raises
        ------
        ValueError
            When the model cannot generate, when it is asked for several sequences, and as
            :meth:`trace`.
        """
        told = {"max_new_tokens": max_new_tokens, "do_sample": do_sample, **kwargs}
        if generation_config is not None:
            told["generation_config"] = generation_config
        reading = Reading(add_special_tokens, template_options or {})
        with reporting(progress):
            return Trace(written(self, prompt, reading, **told))


class ServedLens(ServedSubject, Lens):
    """A lens whose model is with a server; made by :meth:`Lens.connect`."""

    def __init__(self, server: Connection) -> None:
        super().__init__(server)
        server.subject = self

    def __repr__(self) -> str:
        note = f"\n{self.notice}" if self.notice else ""
        return f"Lens({self.name}, at {self.where}){note}"
