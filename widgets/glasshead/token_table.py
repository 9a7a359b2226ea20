"""How a text splits into tokens, as a picture and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from glasshead.code import call
from glasshead.values import required_flag
from glasshead.view import View, bundle, valid_positions
from glasshead_backend import Lens
from glasshead_backend.frames.tokens import split_as, split_text, tokens_frame, tokens_table
from glasshead_backend.tracing.subject import n_tokens_known

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from transformers import PreTrainedTokenizerBase

    from glasshead_backend.frames.tokens import Split
    from glasshead_backend.tracing.given import TextLike


_FIRST_TOKENS = 80


class TokenTable(View):
    """The text in its tokens, and a row for each: id, the tokenizer's own string, span, kind, word.

    It is :meth:`Lens.tokenize` as a picture, and takes what that takes. The model does not run.

    Parameters
    ----------
    lens : Lens
        Its tokenizer splits the text.
    text : str, list of dict, list of int, tensor, BatchEncoding
        As for :meth:`Lens.trace`.
    pair : str, optional
        The second sentence of a pair.
    add_special_tokens : bool
        Whether the tokenizer puts its special tokens around a string.
    template_options : dict, optional
        For chat messages: keyword arguments of the tokenizer's ``apply_chat_template``.
    other : Lens or PreTrainedTokenizerBase, optional
        Another tokenizer, to see both side by side on the same text, a str.
    **state
        Traits, e.g. ``selected``, ``height``.

    Raises
    ------
    TypeError
        For something that is no lens, no text, or no tokenizer; and for a keyword that is no trait
        of the view.
    ValueError
        As :meth:`Lens.trace` does for a text that cannot be read.

    Examples
    --------
    >>> table = TokenTable(Lens.demo("decoder"), "The white whale")
    >>> table.to_frame()["token"].tolist()
    ['<s>', 'The', ' white', ' whale']
    """

    _esm = bundle("token_table.js")
    _css = bundle("token_table.css")

    hovered = traitlets.Int(
        None, allow_none=True, help="Token position under the pointer, if any."
    ).tag(sync=True, echo_update=False)
    selected = traitlets.List(traitlets.Int(), help="Pinned token positions.").tag(sync=True)

    def __init__(
        self,
        lens: Lens,
        text: TextLike,
        pair: str | None = None,
        *,
        add_special_tokens: bool = True,
        template_options: Mapping[str, Any] | None = None,
        other: Lens | PreTrainedTokenizerBase | None = None,
        **state: Any,
    ) -> None:
        if not isinstance(lens, Lens):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"TokenTable shows how the tokenizer of a lens splits a text, got "
                f"{type(lens).__name__}. Make it so: TokenTable(Lens(model, tokenizer), text)."
            )
        required_flag("add_special_tokens", add_special_tokens)
        self._split = split_text(
            lens,
            text,
            pair,
            add_special_tokens=add_special_tokens,
            template_options=template_options,
        )
        self._other: Split | None = None
        if other is not None:
            one = _require_comparable(text, pair, other)
            self._other = split_as(other, one, lens.words, add_special_tokens=add_special_tokens)
        self._asked = call(
            "lens.tokenize",
            text,
            pair=pair,
            add_special_tokens=None if add_special_tokens else False,
            template_options=template_options,
        )
        try:
            super().__init__(**state)
        except BaseException:
            self.close()
            raise
        model = f"{lens.name} · vocabulary of {n_tokens_known(lens):,}"
        self.set_trait("scene", {"model": model, "notice": lens.notice})
        self.set_trait("frame", tokens_frame(self._split, self._other))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per token, as the table shows them.

        Columns: position, token, id, own (the tokenizer's string), start, end, kind, word (its
        index), word_text; of a pair also sentence. With another tokenizer its rows follow, and a
        column tokenizer tells them apart.
        """
        return tokens_table(self._split, self._other)

    def in_words(self) -> list[str]:
        """Return how many tokens there are, and the first of them."""
        texts: list[str] = self.frame["texts"]
        first = " · ".join(texts[:_FIRST_TOKENS])
        more = " …" if len(texts) > _FIRST_TOKENS else ""
        return [f"{len(texts)} tokens: {first}{more}"]

    def code(self) -> str:
        """Return the Python that gives what the table shows, of a ``lens``."""
        return self._asked

    @traitlets.validate("hovered", "selected")
    def _valid_positions(self, proposal: dict[str, Any]) -> Any:
        n_tokens = len(self._split.own)
        return valid_positions(proposal, n_tokens, f"this text has tokens 0-{n_tokens - 1}")


def _require_comparable(text: object, pair: object, other: object) -> str:
    """Return the text that two tokenizers are compared on; refuse what they cannot be."""
    if not isinstance(text, str) or pair is not None:
        what = "a pair" if pair is not None else type(text).__name__
        raise TypeError(
            f"Two tokenizers are compared on one text, a str; got {what}. Chat templates, ids and "
            "pairs belong to one tokenizer."
        )
    if not isinstance(other, Lens) and not (callable(other) and hasattr(other, "decode")):
        raise TypeError(f"other is a lens or a transformers tokenizer, got {type(other).__name__}.")
    return text
