"""The Python behind lines: the strongest weights of every row, sinks set aside as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from glasshead.code import asking
from glasshead_backend.frames.sentences import segments

if TYPE_CHECKING:
    from glasshead_backend import Trace
    from glasshead_backend.asking import Selection
    from glasshead_backend.frames.lines import Rule
    from glasshead_backend.frames.sentences import Sentences
    from glasshead_backend.frames.sinks import Mode


def lines_code(
    trace: Trace, asked: Selection, sinks: Mode, rule: Rule, sentences: Sentences = "all"
) -> str:
    """Write the Python that gives the lines drawn: ``torch.topk``, or all weights.

    Weights of zero are no lines.

    Parameters
    ----------
    trace : Trace
        Called ``trace`` in what is written.
    asked : Selection
    sinks : {"aside", "shown", "hidden"}
        What is done with them.
    rule : Rule
    sentences : {"all", "AA", "BB", "AB", "BA"}
    """
    # Sinks are of heads by their numbers: heads are picked when these are gone.
    each = asked.aggregate is None
    every = replace(asked, heads=()) if each else asked
    written = [f"weights = {asking(trace, 'attention', every)}.nan_to_num()"]
    if sinks != "shown":
        written += _without_sinks(
            asking(trace, "sinks", every), each=each, hidden=sinks == "hidden"
        )
    if sentences != "all":
        written += _between(trace, asked, sentences)
    if each and asked.heads:
        written.append(f"weights = weights[{list(asked.heads)}]")
    if rule.threshold is not None:
        written.append(f"weights[weights < {rule.threshold!r}] = 0")
    every_key = rule.top_k is None
    written.append(
        "weights" if every_key else f"weights.topk(min({rule.top_k}, weights.shape[-1]))"
    )
    return "\n".join(written)


def _between(trace: Trace, asked: Selection, sentences: Sentences) -> list[str]:
    """Rows and columns of the other sentence have no weight."""
    first = (segments(trace, "query", asked.kind, asked.unit) or [1]).index(1)
    other = {"A": f"{first}:", "B": f":{first}"}
    return [
        f"weights[..., {other[sentences[0]]}, :] = 0  # sentence B begins at {first}",
        f"weights[..., {other[sentences[1]]}] = 0",
    ]


def _without_sinks(sinks: str, *, each: bool, hidden: bool) -> list[str]:
    place = (
        'sinks["head"].tolist(), :, sinks["position"].tolist()'
        if each
        else (':, sinks["position"].tolist()')
    )
    written = [f"sinks = {sinks}"]
    if hidden:
        written.append("sums = weights.sum(-1, keepdim=True)")
    written.append(f"weights[{place}] = 0")
    if hidden:
        written.append("weights *= sums / weights.sum(-1, keepdim=True).clamp_min(1e-30)")
    return written
