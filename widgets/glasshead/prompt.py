"""The text that an explorer shows, as something to be edited and traced again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from glasshead_backend import Lens, Token, Trace


def prompt_of(trace: Trace) -> dict[str, Any]:
    """Return what was traced: ``{"text": str, "target": str or None}``.

    The target is that of an encoder-decoder model, None where the model wrote it itself; or the
    second sentence of a pair.
    """
    first, *others = trace.sequences
    if first.segments is not None:
        second = [
            token.start
            for token, segment in zip(first.tokens, first.segments, strict=True)
            if segment == 1 and not token.special
        ]
        # A line break that no token covers stands between the two.
        return {"text": first.text[: second[0] - 1], "target": first.text[second[0] :]}
    written = others and any(token.generated for token in trace.labels or ())
    return {"text": first.text, "target": others[0].text if others and not written else None}


def trace_again(trace: Trace, text: str, target: str | None) -> Trace:
    """Trace another text the way a trace was made: same model, special tokens as there."""
    run_of(trace).require_model()
    lens = cast("Lens", trace.lens)
    return lens.trace(text, target, add_special_tokens=_adds_special_tokens(lens, trace))


def _adds_special_tokens(lens: Lens, trace: Trace) -> bool:
    """Whether the tokenizer put special tokens around the text; a chat template wrote its own."""
    first = trace.sequences[0]
    if first.segments is not None:
        return True
    ids = [token.id for token in first.tokens]

    def are_these(tokens: list[Token]) -> bool:
        return [token.id for token in tokens] == ids

    return are_these(lens.tokenize(first.text)) or not are_these(
        lens.tokenize(first.text, add_special_tokens=False)
    )
