"""TokenTable in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traces as of
from state import Page, State

from glasshead import TokenTable
from glasshead_backend.demo import DECODER_LONG_TEXT, DECODER_TEXT, SOURCE_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead import Lens


def _split(text: str, lens: Callable[[], Lens] = of.decoder) -> Callable[[], tuple[Lens, str]]:
    return lambda: (lens(), text)


def _pair() -> tuple[Any, ...]:
    return of.untrained_encoder(), "The whale swam away.", "Captain Ahab saw the whale again."


def _beside(*_: object) -> Lens:
    """Return the tokenizer to compare with."""
    return of.translator()


STATES = [
    State(name="tokens", shown=_split(DECODER_TEXT)),
    State(
        name="hovered",
        shown=_split(DECODER_TEXT),
        traits={"hovered": 5, "selected": [9]},
        watched=("light",),
    ),
    State(name="many-tokens", shown=_split(DECODER_LONG_TEXT), width=1200),
    State(name="lines", shown=_split(of.LINES_TEXT), width=700),
    State(name="cjk", shown=_split(of.CJK_TEXT), traits={"hovered": 12}),
    State(name="right-to-left", shown=_split(of.RTL_TEXT), width=700),
    State(name="untrusted-text", shown=_split(of.HOSTILE_TEXT), traits={"hovered": 5}, width=700),
    State(name="source", shown=_split(SOURCE_TEXT, of.translator), width=700),
    State(name="sentence-pair", shown=_pair, width=700),
    State(
        name="compared", shown=_split(DECODER_TEXT), traits={"other": _beside}, watched=("dark",)
    ),
    State(name="compared-narrow", shown=_split(of.CJK_TEXT), traits={"other": _beside}, width=420),
    State(name="one-token", shown=_split("whale"), width=600),
    State(
        name="narrow",
        shown=_split(DECODER_TEXT),
        traits={"hovered": 5},
        width=420,
        watched=("light",),
    ),
    State(name="fixed-height", shown=_split(DECODER_LONG_TEXT), traits={"height": 380}),
    State(
        name="error",
        shown=_split(DECODER_TEXT),
        set={"error": "hovered 99 is out of range: this text has tokens 0-55."},
        width=600,
    ),
    State(name="no-kernel", shown=_split(DECODER_TEXT), status="no kernel", width=700),
]

PAGE = Page(TokenTable, STATES)
