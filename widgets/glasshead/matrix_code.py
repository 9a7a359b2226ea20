"""The Python behind a matrix, with whatever has been made of its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glasshead.code import asking, call
from glasshead_backend.frames.scene import plain_units
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from glasshead_backend import Trace
    from glasshead_backend.asking import Selection, Side
    from glasshead_backend.frames.drawn import MatrixAsked


def matrix_code(trace: Trace, asked: MatrixAsked, other: Trace | None) -> str:
    """Write the Python that gives the numbers drawn.

    Parameters
    ----------
    trace : Trace
        Called ``trace`` in what is written.
    asked : MatrixAsked
    other : Trace or None
        Called ``other`` there.
    """
    first = asking(trace, "attention", asked.selection, scores=asked.scores or None)
    second = None
    if asked.other is not None:
        second = asking(trace, "attention", asked.other)
        second = second if other is None else second.replace("trace", "other", 1)
    made = [*_hidden_sinks(trace, asked, other), *_without_special(trace, asked)]
    if asked.normalise:
        made.append("weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-30)")
    if not made:
        return first if second is None else f"{first} - {second}"
    body = "".join(f"    {line}\n" for line in made)
    last = f"shown({first})" + ("" if second is None else f" - shown({second})")
    return f"def shown(weights):\n{body}    return weights\n\n{last}"


def _hidden_sinks(trace: Trace, asked: MatrixAsked, other: Trace | None) -> list[str]:
    if asked.sinks != "hidden":
        return []
    maps: list[tuple[str, Selection]] = [("trace", asked.selection)]
    if asked.other is not None:
        maps.append(("trace" if other is None else "other", asked.other))
    found = [asking(trace, "sinks", of).replace("trace", name, 1) for name, of in maps]
    positions = ", ".join(f'*{sinks}["position"]' for sinks in found)
    return [
        f"sinks = list({{{positions}}})",
        "sums = weights.sum(-1, keepdim=True)",
        "weights[:, sinks] = 0",
        "weights = weights * (sums / weights.sum(-1, keepdim=True).clamp_min(1e-30))",
    ]


def _without_special(trace: Trace, asked: MatrixAsked) -> list[str]:
    if not asked.hide_special:
        return []
    selection = asked.selection
    kind = selection.kind if selection.kind != trace.default_kind else None

    def plain(side: Side) -> str:
        tokens = call("trace.queries" if side == "query" else "trace.keys", kind=kind)
        if selection.unit == "token":
            return f"[i for i, token in enumerate({tokens}) if not token.special]"
        words = call("trace.words", side, kind=kind)
        return f"[i for i, word in enumerate({words}) if not {tokens}[word.tokens[0]].special]"

    def is_narrowed(side: Side) -> bool:
        """Where all are special none is left out."""
        n_units = len(run_of(trace).sides.first_tokens(side, selection.kind, selection.unit))
        return len(plain_units(trace, side, selection.kind, selection.unit)) < n_units

    lines: list[str] = []
    if is_narrowed("query"):
        lines += [f"rows = {plain('query')}", "weights = weights[rows]"]
    if is_narrowed("key"):
        lines += [f"columns = {plain('key')}", "weights = weights[:, columns]"]
    return [line.replace("'", '"') for line in lines]
