"""What is looked into: a model with its tokenizer, and what is known of the two."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import nn

from glasshead_backend.anatomy.examine import Anatomy, examine
from glasshead_backend.anatomy.module_tree import ModuleTree
from glasshead_backend.anatomy.refusals import require_text_model
from glasshead_backend.answering import answered
from glasshead_backend.checks import at_least_one
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.forward import device_of, n_embeddings
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glasshead_backend.answering import Server
    from glasshead_backend.asking import Family
    from glasshead_backend.text.words import Cut

_ONE_THREAD_WEIGHTS = 500_000_000


class Subject:
    """A loaded transformers model and its tokenizer, used as they are.

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerBase
    words : callable, optional
        Cuts a text into words.

    Attributes
    ----------
    name : str
        The model's, as people know it.
    notice : str
        What has to be said of it wherever it is shown; empty for most.
    """

    server: Server | None = None
    """Who answers questions about it, where the model is elsewhere."""
    most_tokens: int | None = None
    """Most tokens of a text, of a source with its target, or of a prompt with what is written
    behind it, whatever the model could read: a server's limit. None = no such limit."""
    lent: bool = False
    """Whether strangers ask: their chat templates, which are programs, are then not run."""

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
        self._anatomy: tuple[ModuleTree, Anatomy] | None = None
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
        require_text_model(self.model)
        known = n_embeddings(self.model)
        if len(tokenizer) > known:
            raise ValueError(
                f"The tokenizer knows {len(tokenizer):,} tokens, the model only {known:,}: "
                "they do not belong together. Load both from the same name, or call "
                "model.resize_token_embeddings(len(tokenizer)) if you added tokens."
            )

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
        """What a probe of 13 tokens finds out about the model; anew when its modules change."""
        if self._anatomy is None or not self._anatomy[0].is_of(self.model):
            # Its forwards are over 13 tokens: for a small model they are faster on one thread, on a
            # busy machine many times.
            small = sum(p.numel() for p in self.model.parameters()) < _ONE_THREAD_WEIGHTS
            threads = undisturbed(device_of(self.model)) if small else nullcontext()
            tree = ModuleTree(self.model)
            with for_a_trace(self.model), threads:
                self._anatomy = tree, examine(self.model)
        return self._anatomy[1]

    @property
    def window(self) -> int | None:
        """Most tokens that the model reads at once; None when its positions have no end.

        Of an encoder-decoder model, most tokens of a source: see :attr:`target_window`.
        """
        return self.anatomy.window

    @property
    def target_window(self) -> int | None:
        """Most tokens of a target that an encoder-decoder model reads; of others their window."""
        return self.anatomy.target_window

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer's vocabulary: what each id stands for."""
        return Vocabulary(self.tokenizer)

    @answered
    def spelled(self, ids: Sequence[int]) -> list[str]:
        """Return the text of single tokens, spelled as :attr:`Token.text` is."""
        return [self.vocabulary.piece(id_).text for id_ in ids]


@answered
def n_weights(subject: Subject) -> int:
    """Return how many numbers a model has."""
    return sum(one.numel() for one in subject.model.parameters())


@answered
def n_tokens_known(subject: Subject) -> int:
    """Return how many tokens a tokenizer knows."""
    return len(subject.tokenizer)


def _display_name(model: Any) -> str:
    """Name of a model as people know it: its path's last part, or its type."""
    config = getattr(model, "config", None)
    path = str(getattr(config, "name_or_path", "") or "").rstrip("/")
    return path.rsplit("/", maxsplit=1)[-1] or str(
        getattr(config, "model_type", type(model).__name__)
    )
