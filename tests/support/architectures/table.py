"""The table of architectures in the docs, from the results of all cases."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from textwrap import fill
from typing import TYPE_CHECKING, Any

import torch
import transformers

from support.parity import EXACT, NOISE

if TYPE_CHECKING:
    from collections.abc import Sequence

_ERRORS = {"float64": "float64", "float32": "float32", "eager float32": "eager"}
"""Columns, and the field of :class:`support.parity.Errors` that each shows."""

_NOT_MEANT = ("not built", "no text")
_PATHS = {
    "capture": "recomputed from the recorded query and key",
    "eager": "the model's own eager function on the recorded query and key",
    "replay": "the attention module run once more on its recorded inputs",
    "unfold": "the same with values of our choice, for attention in bands and blocks",
}

_TOP = """# Architectures

Every model type of transformers' `AutoModelForCausalLM`, `AutoModelForSeq2SeqLM` and
`AutoModelForMaskedLM`, and how exact the attention is that Glasshead shows of it.

**Of {n_with_attention} model types that can be built small, read text and have attention, {n_exact}
({share:.1f} %) show every weight of every kind of attention as transformers' own eager mode
computes it**, alone and in a padded batch: largest difference ≤ {exact} in float64; in float32 no
further from eager's float64 than twice as far as eager's own float32, plus {noise}. Logits equal
those of a run that nobody watches. {n_none} more have no attention weights, and the lens
says so. Measured with transformers {transformers}, torch {torch}, on a CPU.

How it is measured: each model is made tiny from its configuration class and gets random weights,
large enough that attention is far from uniform (the largest weight of a row is {peak:.1f} times
that of a flat row in the median, {least:.1f} times at least). A copy in float64, with the very same
numbers, runs in eager mode with `output_attentions=True`; where that is missing or holds something
else than attention weights, the softmaxes of the same run are taken, and bands and blocks are laid
out with numpy. What model files cast to float32 (softmax, norms) stays in float64 there, since
peaked random heads magnify a rounding a thousandfold from layer to layer, and no two processors
round alike. The lens traces
the model as it is, in its default implementation, through `lens.trace` and `lens.trace_many` (three
texts of different length in one batch, padded on the left in decoders in which that changes nothing
about a text, on the right elsewhere). Windows, chunks and top-k selections are shorter than the
texts. This table is made by `make architectures`; CI repeats a part of it.

How the weights come about:

{paths}

The numbers are largest absolute differences of any weight of any layer and head from eager's
float64, alone and in the batch (`padded` says on which side): of ours in `float64` and in
`float32`, and of `eager float32`. The last is the largest of a few runs, of the model and of copies
whose weights are off by one in their last bit: a single run may be lucky on one processor.

`blocks add up` says whether a layer's input and what its blocks add to the residual stream
(`trace.activations`) make its output, by hooks of the script's own: "closes" to float32 rounding;
"closes behind the norm" where norms of the stream stand between the sums (post-norm: what goes into
each norm is input + contribution); "closes, stream scaled" where the stream is multiplied by
numbers on its way; "refused" with the reason that the lens gives, where a contribution is not
known.
"""


def document(results: Sequence[dict[str, Any]]) -> str:
    """Write the whole page.

    Parameters
    ----------
    results : sequence of dict
        As :class:`support.architectures.checking.Result` gives them, sorted by type.
    """
    by_type: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_type.setdefault(result["model_type"], []).append(result)
    states = Counter(map(_state, by_type.values()))
    with_attention = states["exact"] + states["short"]
    peaks = [r["row_maximum"] / r["uniform"] for r in results if r["status"] == "exact"]
    top = _TOP.format(
        n_exact=states["exact"],
        n_with_attention=with_attention,
        n_none=states["none"],
        share=100 * states["exact"] / with_attention,
        exact=_short(EXACT),
        noise=_short(NOISE),
        peak=statistics.median(peaks),
        least=min(peaks),
        transformers=transformers.__version__,
        torch=torch.__version__.split("+")[0],
        paths="\n".join(f"- **{name}**: {meaning}" for name, meaning in _PATHS.items()),
    )
    kinds = {state: [r for r in results if _state([r]) == state] for state in _HEADINGS}
    parts = [_part(heading, kinds[state]) for state, heading in _HEADINGS.items() if kinds[state]]
    return "\n".join([_wrapped(top), *parts])


_HEADINGS = {
    "short": "Not exact, or not shown",
    "exact": "Exact",
    "none": "Without attention weights",
    "absent": "Not tried",
}


def _wrapped(text: str) -> str:
    """Fill the paragraphs again, after numbers came in."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(one if one.startswith("- ") else fill(one, 100) for one in paragraphs) + "\n"


def types_listed(page: str) -> set[str]:
    """Return the model types that a page lists."""
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    return {row.split("`")[1] for row in rows}


def version_of(page: str) -> str:
    """Return the transformers version that a page was made with."""
    found = re.search(r"Measured\s+with\s+transformers\s+([\w.]+)", page)
    return found[1] if found else "unknown"


def _state(results: Sequence[dict[str, Any]]) -> str:
    """Sum a type up: it is exact when all its classes that can be tried are."""
    found = {result["status"] for result in results} - set(_NOT_MEANT)
    if not found:
        return "absent"
    if found == {"none"}:
        return "none"
    return "exact" if found <= {"exact", "none"} else "short"


def _part(heading: str, results: Sequence[dict[str, Any]]) -> str:
    with_numbers = any(result.get("kinds") for result in results)
    names = ["model type", "class", "auto class"]
    numbers = [*_ERRORS, "padded", "blocks add up"]
    names += ["attention", "path", *numbers] if with_numbers else []
    names += ["why"] if any(result["reason"] for result in results) else []
    lines = [
        f"## {heading}\n",
        "| " + " | ".join(names) + " |",
        "|" + " --- |" * len(names),
        *(_row(result, names) for result in results),
        "",
    ]
    return "\n".join(lines)


def _row(result: dict[str, Any], names: Sequence[str]) -> str:
    kinds: dict[str, dict[str, Any]] = result.get("kinds", {})
    cells = {
        "model type": f"`{result['model_type']}`",
        "class": result["name"].split("/")[1],
        "auto class": ", ".join(result["autos"]),
        "attention": ", ".join(_named(kind, one) for kind, one in kinds.items()),
        "path": ", ".join(dict.fromkeys("+".join(kind["paths"]) for kind in kinds.values())),
        **{column: _worst(kinds, which) for column, which in _ERRORS.items()},
        "padded": result.get("padding", ""),
        "blocks add up": result.get("contributions", ""),
        "why": result["reason"].partition(". ")[0].replace("|", "/"),
    }
    return "| " + " | ".join(cells[name] for name in names) + " |"


def _named(kind: str, compared: dict[str, Any]) -> str:
    """Name a kind, and say so where some of its maps are not of tokens by tokens."""
    shown, there = len(compared["layers"]), compared["n_maps"]
    return kind if shown >= there else f"{kind} ({shown} of {there} layers; the rest is pooled)"


def _worst(kinds: dict[str, dict[str, Any]], which: str) -> str:
    errors = [kind[where] for kind in kinds.values() for where in ("alone", "padded")]
    found = [one[which] for one in errors if one is not None]
    return _short(max(found)) if found else "–"


def _short(number: float) -> str:
    return "0" if number == 0 else f"{number:.0e}".replace("e-0", "e-")
