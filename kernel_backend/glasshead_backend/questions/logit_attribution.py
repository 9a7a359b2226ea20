"""Which block, and which head, a logit comes from: direct logit attribution.

The logit of a token is the sum of what the embedding and every block have added to the residual
stream, taken through the norms (their scale held at what it was) and the unembedding. What a head
did for later layers to use is not in it: that is what ablation shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from glasshead_backend.anatomy.projections import HeadSlice
from glasshead_backend.answering import answered, travels
from glasshead_backend.data_frames import ShownAsTable, nullable, table
from glasshead_backend.questions.interventions import head_slices
from glasshead_backend.questions.residual_path import predicting_stack, residual_path
from glasshead_backend.questions.target import target_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.questions.residual_path import ResidualPath
    from glasshead_backend.questions.target import Target
    from glasshead_backend.tracing.run import Run

_ORDER = ("attention", "cross", "mlp", "mixer", "other")


@travels
@dataclass(frozen=True, eq=False, repr=False)
class LogitContributions(ShownAsTable):
    """What the parts of a model add to a logit, or to the difference of two; float64, in logits.

    ``embedding + all blocks + constant + remainder = logit``. Of an attention block its heads and
    ``biases`` are the sum.

    Attributes
    ----------
    target : Target
        The number that is split.
    token, against : str
        Text of the token, and of the one that is taken off ("" = none).
    logit : float
        The number; where the model bends its logits in the end (a soft-cap), as it was before.
    final : float
        What the model puts out: `logit`, but for a soft-cap.
    embedding : float
        What goes into the first layer: of the token in whose place the model predicts, and of its
        position.
    layers : tuple of int
        The model's own numbers.
    blocks : dict of str to Tensor
        By block ("attention", "cross", "mlp", "mixer", "other") ``[layers]``; NaN where a layer has
        none.
    heads : dict of str to Tensor
        By kind of attention ``[layers, heads]``; NaN where there is none, or it is not known.
    biases : dict of str to Tensor
        By kind of attention ``[layers]``: what its block adds whatever its heads do.
    constant : float
        What there is without any block: biases of norms and of the unembedding.
    unclear : dict
        ``{kind: {layer: reason}}``: layers whose heads cannot be told apart.
    """

    target: Target
    token: str
    against: str
    logit: float
    final: float
    embedding: float
    layers: tuple[int, ...]
    blocks: Mapping[str, Float[Tensor, " layer"]]
    heads: Mapping[Kind, Float[Tensor, "layer head"]]
    biases: Mapping[Kind, Float[Tensor, " layer"]]
    constant: float
    unclear: Mapping[Kind, Mapping[int, str]]

    @property
    def remainder(self) -> float:
        """What the parts do not explain: rounding."""
        parts = sum(float(of_block.nansum()) for of_block in self.blocks.values())
        return self.logit - self.constant - self.embedding - parts

    def in_words(self) -> str:
        """Say what is split: "logit of “Paris” minus that of “Rome” at position 7"."""
        minus = f" minus that of {_quoted(self.against)}" if self.against else ""
        capped = "" if self.logit == self.final else ", before it is capped"
        return f"logit of {_quoted(self.token)}{minus} at position {self.target.position}{capped}"

    def _what(self) -> str:
        return f"LogitContributions: {self.in_words()}, {self.logit:.4g}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per part: together they are the logit. Columns part, layer, logit."""
        of_blocks = [
            (block, layer, float(self.blocks[block][i]))
            for i, layer in enumerate(self.layers)
            for block in self.blocks
            if not self.blocks[block][i].isnan()
        ]
        rows = [
            ("embedding", None, self.embedding),
            *of_blocks,
            ("constant", None, self.constant),
            ("remainder", None, self.remainder),
        ]
        part, layer, logit = zip(*rows, strict=True)
        return table({"part": part, "layer": _whole(layer), "logit": logit})

    def heads_frame(self) -> pd.DataFrame:
        """Return one row per head, and one without a head for the bias of each block."""
        rows: list[tuple[str, int, int | None, float]] = []
        for kind, of_kind in self.heads.items():
            for i, layer in enumerate(self.layers):
                known = (~of_kind[i].isnan()).nonzero()[:, 0].tolist()
                rows += [(kind, layer, head, float(of_kind[i, head])) for head in known]
                if known:
                    rows.append((kind, layer, None, float(self.biases[kind][i])))
        kinds, layers, heads, logits = zip(*rows, strict=True) if rows else ((), (), (), ())
        return table({"kind": kinds, "layer": layers, "head": _whole(heads), "logit": logits})


def _quoted(token: str) -> str:
    return f"“{token.strip() or token}”"


def _whole(numbers: tuple[int | None, ...]) -> pd.Series[int]:
    """A column of whole numbers in which None is a missing value."""
    as_floats = torch.tensor([torch.nan if one is None else one for one in numbers])
    return nullable(as_floats.double().numpy(), "Int64")


@answered
def logit_contributions(
    run: Run,
    *,
    position: int | None = None,
    token: int | str | None = None,
    against: int | str | None = None,
) -> LogitContributions:
    """Split a logit into what blocks and heads add; see :meth:`Trace.logit_contributions`."""
    target = target_of(run, position, token, against, "logit")
    key = ("logit contributions", target)
    return run.store.remember(key, lambda: _split(run, target, residual_path(run, target)))


def _split(run: Run, target: Target, path: ResidualPath) -> LogitContributions:
    layers = tuple(sorted({one.layer for one, _ in path.parts if one.block != "embedding"}))
    at = {layer: i for i, layer in enumerate(layers)}
    embedding = 0.0
    blocks: dict[str, Tensor] = {}
    for place, number in path.parts:
        if place.block == "embedding":
            embedding += number
            continue
        empty = torch.full((len(layers),), torch.nan, dtype=torch.float64)
        of_block = blocks.setdefault(place.block, empty)
        of_block[at[place.layer]] = of_block[at[place.layer]].nan_to_num(0.0) + number
    heads, biases = _of_heads(path, at)
    other = None if target.against is None else target.against
    words = run.subject.spelled([target.token] if other is None else [target.token, other])
    return LogitContributions(
        target=target,
        token=words[0],
        against="" if other is None else words[1],
        logit=path.value,
        final=path.value if path.final is None else path.final,
        embedding=embedding,
        layers=layers,
        blocks={block: blocks[block] for block in _ORDER if block in blocks},
        heads=heads,
        biases=biases,
        constant=path.constant,
        unclear=_unclear(run, path),
    )


def _of_heads(
    path: ResidualPath, at: dict[int, int]
) -> tuple[dict[Kind, Tensor], dict[Kind, Tensor]]:
    """What heads add, and the biases, by kind."""
    most: dict[Kind, int] = {}
    for one in path.heads:
        most[one.kind] = max(most.get(one.kind, 0), len(one.parts))
    heads: dict[Kind, Tensor] = {}
    biases: dict[Kind, Tensor] = {}
    for kind, n in most.items():
        heads[kind] = torch.full((len(at), n), torch.nan, dtype=torch.float64)
        biases[kind] = torch.full((len(at),), torch.nan, dtype=torch.float64)
    for one in path.heads:
        heads[one.kind][at[one.layer], : len(one.parts)] = one.parts
        biases[one.kind][at[one.layer]] = one.rest
    return heads, biases


def _unclear(run: Run, path: ResidualPath) -> dict[Kind, dict[int, str]]:
    """Say of which layers the heads are not told apart, and why."""
    known = {(one.kind, one.layer) for one in path.heads}
    blocks = run.anatomy.structure.contributions.unclear
    of_stack = predicting_stack(run)
    found: dict[Kind, dict[int, str]] = {}
    for kind, by_layer in head_slices(run).items():
        if ("decoder" if kind == "cross" else kind) != of_stack:
            continue
        block = "cross" if kind == "cross" else "attention"
        for layer in sorted(set(by_layer) - {layer for of, layer in known if of == kind}):
            one = by_layer[layer]
            bent = "what its heads gather is more than projected before it is added"
            why = bent if isinstance(one, HeadSlice) else one
            found.setdefault(kind, {})[layer] = blocks.get((of_stack, layer, block), why)
    return found
