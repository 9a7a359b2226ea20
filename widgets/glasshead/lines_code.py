"""The Python behind lines: the strongest weights of every row, sinks set aside as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from glasshead.code import asking

if TYPE_CHECKING:
    from glasshead_backend import Trace
    from glasshead_backend.asking import Selection
    from glasshead_backend.frames.lines import Rule
    from glasshead_backend.frames.sinks import Mode


def lines_code(trace: Trace, asked: Selection, sinks: Mode, rule: Rule) -> str:
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
    """
    # Sinks are of heads by their numbers: heads are picked when these are gone.
    each = asked.aggregate is None
    every = replace(asked, heads=()) if each else asked
    written = [f"weights = {asking(trace, 'attention', every)}.nan_to_num()"]
    if sinks != "shown":
        written += _without_sinks(
            asking(trace, "sinks", every), each=each, hidden=sinks == "hidden"
        )
    if each and asked.heads:
        written.append(f"weights = weights[{list(asked.heads)}]")
    if rule.threshold is not None:
        written.append(f"weights[weights < {rule.threshold!r}] = 0")
    every_key = rule.top_k is None
    written.append(
        "weights" if every_key else f"weights.topk(min({rule.top_k}, weights.shape[-1]))"
    )
    return "\n".join(written)


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
