"""Which heads are off: as they are written, in words, and as the run without them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from glasshead.code import call
from glasshead.saying import quoted
from glasshead_backend.questions.interventions import heads_not_apart, require_whole_text
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from glasshead_backend import Trace
    from glasshead_backend.asking import Kind, Off

Head = tuple["Kind", int, int]
"""A head: the kind of its attention, its layer, its number."""

_LEAST_BITS = 0.05
"""A smaller change would read 0.0 bits."""
_KIND_WORDS = {
    "self": "",
    "encoder": "encoder ",
    "decoder": "decoder ",
    "cross": "cross-attention ",
}
_MOST_NAMED = 6
"""Heads that are named; of more, how many there are."""


@dataclass(frozen=True)
class Without:
    """What a run without some heads was made of.

    Attributes
    ----------
    whole : Trace
        The run of the whole model.
    off : list
        ``[kind, layer, head]`` each.
    how : str
    words : str
        What is off.
    change : str
        Which token's surprisal changed most; "" where no token has one.
    """

    whole: Trace
    off: list[list[Any]]
    how: str
    words: str
    change: str

    @property
    def is_scored(self) -> bool:
        """Whether there are predictions to compare."""
        return bool(self.change)

    @property
    def sentence(self) -> str:
        """What is off, and what that changed most."""
        return f"{self.words}: {self.change}" if self.change else self.words

    def as_json(self) -> dict[str, Any]:
        """Return what the page says of it."""
        return {"off": self.off, "how": self.how, "words": self.words, "change": self.change}


def valid_heads(trace: Trace, given: Iterable[Any]) -> list[list[Any]]:
    """Return heads as they travel: each once, in order, and all of them there.

    Parameters
    ----------
    trace : Trace
    given : iterable
        ``(layer, head)`` or ``(kind, layer, head)`` each.

    Raises
    ------
    ValueError
        For a head that there is not, or that cannot be switched off; the message says why.
    """
    heads = {_head(trace, one) for one in given}
    order = [*trace.kinds]
    return [[*head] for head in sorted(heads, key=lambda one: (order.index(one[0]), *one[1:]))]


def fitting_heads(trace: Trace, off: Iterable[Any]) -> list[list[Any]]:
    """Return those heads that another trace has, and can do without."""
    return [head for one in off for head in _fitting(trace, one)]


def _fitting(trace: Trace, one: Any) -> list[list[Any]]:
    try:
        return valid_heads(trace, [one])
    except ValueError:
        return []


def _head(trace: Trace, given: Any) -> Head:
    n_pair = 2
    if not isinstance(given, (list, tuple)) or len(given) not in (n_pair, n_pair + 1):
        raise ValueError(
            f"off is a list of heads, (layer, head) or (kind, layer, head) each; got {given!r} "
            "among them."
        )
    name, layer, head = given if len(given) > n_pair else (trace.default_kind, *given)
    if name not in trace.kinds:
        names = ", ".join(repr(kind) for kind in trace.kinds)
        raise ValueError(f"off has kind {name!r}: {trace.lens.name} has {names}.")
    kind = name
    n_heads = run_of(trace).call(layer, kind).n_heads
    if not (hasattr(head, "__index__") and 0 <= int(head) < n_heads):
        raise ValueError(
            f"off has head {head!r} of layer {layer}: {trace.lens.name} has heads 0-{n_heads - 1} "
            "there."
        )
    return kind, int(layer), int(head)


def fixed_heads(trace: Trace) -> dict[str, dict[str, str]]:
    """Say why heads cannot be switched off, by kind and layer; of the others it says nothing.

    Which layers keep their heads apart is known once any was switched off; nothing is run here.
    """
    run = run_of(trace)
    try:
        require_whole_text(run)
    except ValueError as error:
        reason = str(error)
        return {kind: {str(n): reason for n in trace.layers(kind)} for kind in trace.kinds}
    return {
        kind: {str(layer): why for layer, why in by_layer.items()}
        for kind, by_layer in heads_not_apart(run).items()
    }


def run_without(whole: Trace, off: list[list[Any]], how: Off) -> tuple[Trace, Without]:
    """Run a model again without some heads, and say what that changed.

    Parameters
    ----------
    whole : Trace
    off : list
        ``[kind, layer, head]`` each; at least one.
    how : {"zero", "mean"}

    Raises
    ------
    ValueError
        For heads that the model does not keep apart; the message says why.
    """
    heads = [(kind, layer, head) for kind, layer, head in off]
    trace = whole.ablate(heads, how=how)
    state = "off" if how == "zero" else "at its mean" if len(off) == 1 else "at their means"
    words = f"{_capital(which_heads(whole, off))} {state}"
    return trace, Without(whole, off, how, words, _change(trace, whole))


def which_heads(trace: Trace, off: Sequence[Any]) -> str:
    """Name heads: "head 1 of layer 3, heads 0 and 4 of layer 5"."""
    if len(off) > _MOST_NAMED:
        return f"{len(off)} heads"
    several = len(trace.kinds) > 1
    named: list[str] = []
    for (kind, layer), some in groupby(off, key=lambda one: (one[0], one[1])):
        heads = [str(head) for *_, head in some]
        written = f"head {heads[0]}" if len(heads) == 1 else f"heads {_listed(heads)}"
        named.append(f"{written} of {_KIND_WORDS[kind] if several else ''}layer {layer}")
    return ", ".join(named)


def switching_code(trace: Trace, off: Sequence[Any], how: str) -> str:
    """Write the Python that switches heads off: ``trace.ablate([(3, 1)])``."""
    usual = trace.default_kind
    heads = [tuple(one[1:] if one[0] == usual else one) for one in off]
    written = call("trace.ablate", heads, how=None if how == "zero" else how)
    return written.replace("'", '"')


def _change(trace: Trace, whole: Trace) -> str:
    """Say which token's surprisal changed most, and how much all did; "" where none has any."""
    if not (whole.predictions().n_scored and trace.predictions().n_scored):
        return ""
    compared = trace.compare_predictions(whole)
    bits = compared.surprisal.double() / math.log(2)
    most = int(bits.abs().nan_to_num(-1.0).argmax())
    if not abs(bits[most]) >= _LEAST_BITS:
        return f"no token changed by {_LEAST_BITS} bits"
    mean = float(bits.nanmean())
    change, average = _signed(float(bits[most])), _signed(mean, 2)
    return f"{_named_token(trace, most)} {change} bits, {average} on average"


def _named_token(trace: Trace, position: int) -> str:
    """Name a token of the text that is predicted, and the word that it is a piece of."""
    scored = run_of(trace).sides.scored
    token = quoted(scored.tokens[position].text)
    word = quoted(scored.words[int(scored.word_of_token[position])].text)
    return token if word == token else f"{token} in {word}"


def _signed(value: float, digits: int = 1) -> str:
    rounded = round(value, digits) or 0.0  # not −0.00
    return f"{rounded:+.{digits}f}".replace("-", "−")


def _listed(words: Sequence[str]) -> str:
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
