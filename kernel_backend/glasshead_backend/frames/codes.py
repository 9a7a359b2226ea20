"""Attention weights for pages without a kernel: one or two bytes each, with an error that is known.

A code counts equal ratios: 0 = under ``least``, the highest = 1. So what is written of a weight has
the same number of true digits, be it large or small, and masked and tiny weights are runs of zeros,
which cost next to nothing when they are packed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.asking import Selection
from glasshead_backend.frames.pack import pack
from glasshead_backend.maps.entropy import row_entropy
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.asking import Kind, Unit
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.trace import Trace


@travels
@dataclass(frozen=True)
class Coding:
    """How weights are written as codes.

    Attributes
    ----------
    bits : int
        Of a code, 8 or 16.
    least : float
        The smallest weight that has a code of its own; what is smaller is read as 0 where codes
        are coarse, else as this.
    """

    bits: int
    least: float

    @property
    def levels(self) -> int:
        """Codes of weights that are not 0."""
        return (1 << self.bits) - 1

    @property
    def is_coarse(self) -> bool:
        """Whether what is read as 0 adds up to something."""
        return self.least > FINEST.least

    @property
    def relative_error(self) -> float:
        """Most that a weight of `least` or more is off, as a share of itself."""
        half_a_step = -math.log(self.least) / (self.levels - 1) / 2
        return _FLOATS * (math.exp(half_a_step) - 1)

    def codes(self, weights: Float[Tensor, "*any"]) -> Int[Tensor, "*any"]:
        """Return the codes of weights, int32; NaN is 0."""
        weights = weights.float().nan_to_num(0.0)
        steps = (self.levels - 1) * (1 - weights.clamp_min(1e-30).log() / math.log(self.least))
        # What rounds up to the least weight is written as it.
        coded = (1 + steps.round()).clamp(1, self.levels)
        # Of fine codes only what is nothing is 0: how many weights there are stays true.
        return coded.masked_fill_(weights < self.least if self.is_coarse else weights <= 0, 0).int()


_FLOATS = 1.02
"""Logarithms are of single precision."""

_ROUNDING = 1e-4
"""Rows that sum to 1 but for this do so."""

FINEST = Coding(16, 1e-20)
"""Three digits of every weight, be it ever so small."""

_LEAST = (2e-4, 5e-4, 1e-3, 1.5e-3, 2e-3, 2.5e-3, 3e-3, 4e-3, 5e-3, 7e-3, 1e-2)
COARSER = tuple(Coding(8, least) for least in _LEAST)
"""Two digits, and less and less of the small weights."""


@travels
class CodedLayer(NamedTuple):
    """The weights of all heads of a layer.

    Attributes
    ----------
    data : bytes
        Little-endian codes, by rows, then heads, then keys.
    triangular : bool
        Row i has its first i + 1 keys only: no row looks ahead.
    undefined : list of int
        Rows that may look nowhere; their codes are 0.
    row_sums : Packed or None
        ``[heads, rows]`` float16; None where all sum to 1.
    """

    data: bytes
    triangular: bool
    undefined: list[int]
    row_sums: Packed | None


@answered
def coded_layer(trace: Trace, kind: Kind, layer: int, coding: Coding) -> CodedLayer:
    """Write the attention of a layer, computed in blocks of rows for all its heads at once."""
    of = attention_map(run_of(trace), Selection(kind, layer))
    square = run_of(trace).is_causal(kind) and of.n_rows == of.n_columns
    blocks: list[Tensor] = []
    undefined = torch.zeros(of.n_rows, dtype=torch.bool, device=of.device)
    ahead = torch.zeros((), dtype=torch.bool, device=of.device)
    sums = torch.ones(of.n_maps, of.n_rows, dtype=torch.float32, device=of.device)
    small = coding.bits == 8  # noqa: PLR2004
    with undisturbed(of.device):
        for place, block in of.blocks():
            undefined[place] = block.isnan().any(dim=-1).all(dim=0)
            sums[:, place] = block.sum(dim=-1).nan_to_num(1.0).float()
            codes = coding.codes(block)
            missing = of.n_columns - codes.shape[-1]
            codes = torch.nn.functional.pad(codes, (0, missing)).transpose(0, 1)
            ahead |= (codes.transpose(0, 1).triu(place.start + 1) > 0).any()
            # torch has few operations for uint16: it becomes that at the end.
            blocks.append(codes.contiguous().cpu().to(torch.uint8 if small else torch.int32))
    triangular = square and not bool(ahead)
    if triangular:
        blocks = [rows[_seen(rows, start)] for rows, start in _with_starts(blocks)]
    flat = torch.cat([rows.flatten() for rows in blocks]) if blocks else torch.zeros(0)
    data = flat.to(torch.uint8 if small else torch.uint16).numpy().tobytes()
    row_sums = None if bool(((sums - 1).abs() < _ROUNDING).all()) else pack(sums, torch.float16)
    return CodedLayer(data, triangular, undefined.nonzero()[:, 0].tolist(), row_sums)


@answered
def entropies(trace: Trace, kind: Kind, layer: int, unit: Unit) -> Packed:
    """Return how spread out the rows of a layer are, where its codes are too coarse to say so.

    Returns
    -------
    Packed
        ``[heads + 1, rows]`` float16, bits: of every head, and of the mean of all.
    """
    of = attention_map(run_of(trace), Selection(kind, layer, unit=unit))
    found = torch.full((of.n_maps + 1, of.n_rows), torch.nan, device=of.device)
    with undisturbed(of.device):
        for place, block in of.blocks():
            found[:-1, place] = row_entropy(block).float()
            found[-1, place] = row_entropy(block.mean(dim=0)).float()
    return pack(found, torch.float16)


def _with_starts(blocks: list[Tensor]) -> list[tuple[Tensor, int]]:
    """Return blocks of rows with the number of their first row."""
    starts = [0]
    for rows in blocks:
        starts.append(starts[-1] + len(rows))
    return list(zip(blocks, starts, strict=False))


def _seen(rows: Tensor, start: int) -> Tensor:
    """Tell which cells of some rows, ``[row, head, key]``, are not ahead of their row."""
    keys = torch.arange(rows.shape[-1])
    at = torch.arange(start, start + len(rows))[:, None, None]
    return (keys <= at).expand_as(rows)
