"""What kind of head is this? A few numbers per head that name the well-known patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glasshead_backend.answering import answered, travels
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.maps.entropy import row_entropy
from glasshead_backend.progress import reporting, steps
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from jaxtyping import Float, Int

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.trace import Trace

__all__ = ["HeadStatistics", "head_statistics"]


@travels
@dataclass(frozen=True, repr=False, eq=False)
class HeadStatistics(ShownAsTable):
    """Averages over the rows (query tokens) of every head; ``[layers, heads]`` float32.

    Rows that may look nowhere are left out. A layer with fewer heads than another is padded with
    NaN.

    Attributes
    ----------
    layers : tuple of int
        The model's own layer numbers.
    kind : str
        Kind of attention.
    entropy : Tensor
        Entropy of a row as a distribution over its keys, bits: 0 = one key only. What an attention
        sink takes is left out (see :func:`glasshead_backend.maps.entropy.row_entropy`).
    distance : Tensor
        Distance looked, tokens: ``sum_k A[q, k] |q - k|``. NaN for cross-attention.
    sink : Tensor
        Weight on the first token, without the first token's own row. (Cross-attention: all rows.)
    previous_token : Tensor
        Weight on the token right before. NaN for cross-attention.
    induction : Tensor
        Weight on the token behind the previous occurrence of the same token, over the rows that
        have one; NaN where no token repeats, and for cross-attention.
    """

    layers: tuple[int, ...]
    kind: Kind
    entropy: Float[Tensor, "layer head"]
    distance: Float[Tensor, "layer head"]
    sink: Float[Tensor, "layer head"]
    previous_token: Float[Tensor, "layer head"]
    induction: Float[Tensor, "layer head"]

    def _what(self) -> str:
        return f"HeadStatistics of {self.kind} attention"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer and head; entropy in bits, distance in tokens."""
        layer, head = torch.nonzero(~self.entropy.isnan(), as_tuple=True)
        names = ("entropy", "distance", "sink", "previous_token", "induction")
        columns = {name: getattr(self, name)[layer, head].numpy() for name in names}
        return table(
            {"layer": [self.layers[i] for i in layer.tolist()], "head": head.numpy(), **columns}
        )


@answered
def head_statistics(
    trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
) -> HeadStatistics:
    """Describe every head of a trace by its entropy, distance, and well-known patterns.

    Parameters
    ----------
    trace : Trace
    kind : str, optional
        One of ``trace.kinds``.
    progress : callable or bool, optional
        As for :meth:`glasshead_backend.Lens.trace`.

    Returns
    -------
    HeadStatistics
        On the CPU. The induction score follows Olsson et al. (2022): attention to the token behind
        the previous occurrence of the present one.
    """
    with reporting(progress):
        return measure_heads(trace, kind or trace.default_kind)


def measure_heads(
    trace: Trace, kind: Kind, partial: Callable[[HeadStatistics], object] = lambda found: found
) -> HeadStatistics:
    """Describe every head; `partial` makes of the layers done what progress callbacks look at."""
    layers = trace.layers(kind)
    run = run_of(trace)
    same_text = run.side("query", kind) is run.side("key", kind)
    ids = torch.tensor(run.side("query", kind).ids)
    behind = _behind_previous_occurrence(ids) if same_text else torch.full_like(ids, -1)
    most = max(trace.n_heads(layer, kind) for layer in layers)

    def result(table: Float[Tensor, "statistic layer head"]) -> HeadStatistics:
        return HeadStatistics(tuple(layers), kind, *table)

    def measure() -> Float[Tensor, "statistic layer head"]:
        table = torch.full((5, len(layers), most), torch.nan, dtype=torch.float32)
        numbered = list(enumerate(layers))
        what = "describing heads"
        for i, layer in steps(numbered, what, len(layers), lambda: partial(result(table.clone()))):
            found = _layer_statistics(trace, layer, kind, behind, same_text=same_text)
            table[:, i, : found.shape[1]] = found
        return table

    return result(run.store.remember(("head statistics", kind), measure))


def _layer_statistics(
    trace: Trace, layer: int, kind: Kind, behind: Int[Tensor, " query"], *, same_text: bool
) -> Float[Tensor, "statistic head"]:
    """Sum every statistic over row blocks, and divide by the rows that have it."""
    heads = trace.attention_map(layer, kind=kind)
    device = heads.device
    sums = torch.zeros(5, heads.n_maps, dtype=torch.float32, device=device)
    counts = torch.zeros(5, heads.n_maps, dtype=torch.float32, device=device)
    behind = behind.to(device)
    with undisturbed(device):
        for place, block in heads.blocks():
            defined = ~block.isnan().any(dim=-1)
            weights = block.nan_to_num(0.0)
            query = torch.arange(place.start, place.stop, device=device)
            key = torch.arange(block.shape[-1], device=device)
            apart = (query[:, None] - key).abs().float()
            entropy = row_entropy(block)
            not_first = (query > 0) if same_text else torch.ones_like(query, dtype=torch.bool)
            before, repeats = query - 1, behind[place] >= 0
            values = (
                (entropy, ~entropy.isnan()),
                ((weights * apart).sum(dim=-1), defined & same_text),
                (weights[..., 0], defined & not_first),
                (_at(weights, before), defined & not_first & same_text),
                (_at(weights, behind[place]), defined & repeats),
            )
            for i, (value, counted) in enumerate(values):
                sums[i] += torch.where(counted, value, 0.0).sum(dim=-1)
                counts[i] += counted.sum(dim=-1)
    return torch.where(counts > 0, sums / counts, torch.nan).cpu()


def _at(
    weights: Float[Tensor, "head query key"], key: Int[Tensor, " query"]
) -> Float[Tensor, "head query"]:
    """Weight of each row on one key; rows whose key is out of range are the caller's to drop."""
    index = key.clamp(0, weights.shape[-1] - 1)[None, :, None].expand(weights.shape[0], -1, 1)
    return weights.gather(2, index)[..., 0]


def _behind_previous_occurrence(ids: Int[Tensor, " token"]) -> Int[Tensor, " token"]:
    """Position behind the last earlier occurrence of each token, -1 where there is none."""
    # Sorted stably by id, equal tokens stand side by side in the order of the text.
    order = ids.argsort(stable=True)
    same = ids[order][1:] == ids[order][:-1]
    behind = torch.full_like(ids, -1)
    behind[order[1:][same]] = order[:-1][same] + 1
    return behind
