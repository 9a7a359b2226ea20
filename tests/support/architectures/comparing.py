"""The numbers of a trace against those of the eager reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import torch

from support.architectures.reference import layers_with_attention, run_eager
from support.parity import Errors, Float64Throughout, apart, rounded_differently

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from transformers import PreTrainedModel

    from glasshead_backend import Trace
    from support.architectures.reference import Reference

One = TypeVar("One")
Other = TypeVar("Other")


class References(NamedTuple):
    """Runs of a model's eager code: in float32, as it is and rounded differently; in float64."""

    float32: list[Reference]
    float64: Reference


def references(models: Both[PreTrainedModel], inputs: dict[str, Tensor]) -> References:
    """Run eager code on the same inputs."""
    several = rounded_differently(models.float32)
    return References(
        [run_eager(model, inputs) for model in several], run_eager(models.float64, inputs)
    )


class Both(NamedTuple, Generic[One]):
    """The same in float32 and in float64."""

    float32: One
    float64: One

    def each(self, do: Callable[[One], Other]) -> Both[Other]:
        """Do something with both, in float64 without casts to float32."""
        single = do(self.float32)
        with Float64Throughout():
            return Both(single, do(self.float64))


@dataclass
class Kind:
    """How one kind of attention compares.

    Attributes
    ----------
    layers : list of int
        The model's layer numbers.
    paths : list of str
        How the weights came about; sorted, each once.
    alone : Errors
        Largest differences, one text without padding.
    padded : Errors or None
        The same for the real tokens of a padded batch.
    against : str
        What eager says it by: "output_attentions" or "softmax".
    n_maps : int
        Maps of this kind that eager has, those that are not tokens by tokens included.
    problem : str
        What is wrong besides numbers; empty = nothing.
    """

    layers: list[int]
    paths: list[str]
    alone: Errors
    padded: Errors | None = None
    against: str = "output_attentions"
    n_maps: int = 0
    problem: str = ""


def compare(
    traces: Both[Trace],
    kind: str,
    references: References,
    model: PreTrainedModel,
    *,
    index: int = 0,
    left: bool = False,
) -> Kind:
    """Compare all layers of a kind with one sequence of the reference.

    Parameters
    ----------
    traces : Both of Trace
    kind : str
    references : References
    model : PreTrainedModel
        Its configuration says which layers have attention.
    index : int
        The sequence in the reference's batch.
    left : bool
        Whether that batch is padded on the left.
    """
    trace = traces.float64
    layers = trace.layers(kind)
    ours = traces.each(lambda one: [one.attention(layer, kind=kind) for layer in layers])
    paths = sorted({one.path(layer, kind) for layer in layers for one in traces})
    known = layers_with_attention(model, kind)
    problem = f"layers {layers}, but the configuration has {known}"
    problem = problem if known and known != layers else ""
    whole, against = _maps(references.float64, kind, known, len(layers))
    reported = references.float64.reported.get(kind, [])
    if against == "softmax" and reported and len(whole) != len(layers):
        problem = f"{len(layers)} maps, but eager takes {len(whole)} softmaxes"
    theirs = [own_part(one, trace, kind, index, left=left) for one in whole]
    places = _places(ours.float64, theirs)
    exact = [theirs[place] for place in places]

    def off(reference: Reference) -> float:
        rounded, _ = _maps(reference, kind, known, len(layers))
        meant = (rounded[place] for place in places)
        return apart([own_part(one, trace, kind, index, left=left) for one in meant], exact)

    errors = Errors(
        float64=apart(ours.float64, exact),
        float32=apart(ours.float32, exact),
        eager=max(map(off, references.float32)),
    )
    n_maps = len(_with_attention(reported, known)) or len(theirs)
    return Kind(layers, paths, errors, against=against, n_maps=n_maps, problem=problem)


def own_part(batched: Tensor, trace: Trace, kind: str, index: int, *, left: bool) -> Tensor:
    """Cut the map of one text out of that of a padded batch."""
    n_queries, n_keys = len(trace.queries(kind)), len(trace.keys(kind))
    own = batched[index]
    return own[:, -n_queries:, -n_keys:] if left else own[:, :n_queries, :n_keys]


def _maps(
    reference: Reference, kind: str, known: list[int] | None, n_layers: int
) -> tuple[list[Tensor], str]:
    """Maps of a kind, and where they come from: softmaxes if too few are reported."""
    lengths = reference.lengths[kind]
    reported = _with_attention(reference.maps(kind, *lengths), known)
    if len(reported) == n_layers:
        return reported, "output_attentions"
    return reference.softmaxes(*lengths), "softmax"


def row_maxima(reference: Reference) -> tuple[float, float]:
    """Mean largest weight of a row, and what it would be were the row flat; NaN without maps."""
    largest: list[Tensor] = []
    flat: list[Tensor] = []
    for kind, (n_queries, n_keys) in reference.lengths.items():
        reported = [m for m in reference.maps(kind, n_queries, n_keys) if m is not None]
        for one in reported or reference.softmaxes(n_queries, n_keys):
            seen = (one > 0).sum(-1)
            several = seen > 1
            largest.append(one.amax(-1)[several])
            flat.append(1 / seen[several])
    if not largest:
        return float("nan"), float("nan")
    return float(torch.cat(largest).mean()), float(torch.cat(flat).mean())


def _with_attention(reported: list[Tensor | None], known: list[int] | None) -> list[Tensor]:
    """Leave out what is reported of layers without attention."""
    if known and len(reported) > max(known) and len(reported) != len(known):
        reported = [reported[number] for number in known]
    return [one for one in reported if one is not None]


def _places(ours: list[Tensor], theirs: list[Tensor]) -> list[int]:
    """Find each map among those of the reference, behind the one before."""
    if len(ours) == len(theirs):
        return list(range(len(ours)))
    places: list[int] = []
    for one in ours:
        first = places[-1] + 1 if places else 0
        differences = [apart([one], [other]) for other in theirs[first:]]
        if not differences:
            return places
        places.append(first + differences.index(min(differences)))
    return places
