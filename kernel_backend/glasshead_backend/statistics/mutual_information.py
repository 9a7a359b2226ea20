"""How much activations at different places of a target tell about each other, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, cast, get_args

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import at_least_one, require, several
from glasshead_backend.data_frames import table
from glasshead_backend.progress import reporting
from glasshead_backend.statistics.chart import Choice
from glasshead_backend.statistics.information import (
    neighbour_information,
    pairs_of,
    pairwise_information,
)
from glasshead_backend.statistics.metric import (
    ALPHA,
    SEED,
    Measured,
    Metric,
    parameter,
    require_level,
    require_seed,
)
from glasshead_backend.statistics.mutual_information_chart import (
    comparison_chart,
    information_chart,
    tau_chart,
)
from glasshead_backend.statistics.mutual_information_panels import pair_panels
from glasshead_backend.statistics.pair_information import PairInformation
from glasshead_backend.statistics.significance import Alternative, benjamini_hochberg
from glasshead_backend.statistics.targets import target_positions
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import ActivationBlock, Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.chart import LayerChart
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.statistics.targets import Target
    from glasshead_backend.trace import Trace

__all__ = ["MutualInformation", "MutualInformationResult", "mutual_information"]

_COMPARISONS = Choice("t", "MLP − attention: t"), Choice("z", "attention − MLP: z of τ")
Estimator = Literal["histogram", "neighbours"]
_BLOCKS = ("attention", "cross", "mlp", "residual")
_KEPT_BYTES = 64 << 20
"""Most of activations that stay with a result."""


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class MutualInformation(Metric):
    """Mutual information between the activations at the places of a target.

    Parameters
    ----------
    target : str or sequence of int
        A word or phrase of the text (``" coffee"``), or token positions: see
        :func:`glasshead_backend.statistics.targets.target_positions`.
    blocks : sequence of str
        "attention", "cross", "mlp", "residual".
    bins : int
        On each axis of the histograms.
    trim : float or None
        Components this many standard deviations from the mean of either activation are dropped.
    estimator : {"histogram", "neighbours"}
        Histograms (bits), or scikit-learn's k nearest neighbours (nats; slow, with random jitter).
    alternative : {"two-sided", "one-sided"}
        Of the z-test between blocks.
    alpha : float
        Level of significance, after Benjamini-Hochberg over the layers.
    seed : int
        Of the jitter.
    """

    name: ClassVar[str] = "mutual_information"
    label: ClassVar[str] = "Mutual information"
    reads: ClassVar[ActivationBlock | None] = "attention"

    target: Target = parameter(
        None, label="Target", kind="text", help="A word of the text, or positions as [3, 8, 11]"
    )
    blocks: Sequence[str] = ("attention", "mlp")
    bins: int = parameter(15, label="Bins", kind="int", min=2, max=200)
    trim: float | None = parameter(
        4.0,
        label="Trim",
        kind="float",
        optional=True,
        min=0.5,
        max=100,
        help="Components this many standard deviations from the mean are dropped; empty = none.",
    )
    estimator: Estimator = parameter(
        "histogram",
        label="Estimator",
        kind="choice",
        choices=(Choice("histogram", "histogram"), Choice("neighbours", "nearest neighbours")),
    )
    alternative: Alternative = "two-sided"
    alpha: float = field(default=0.05, metadata={"parameter": ALPHA})
    seed: int = field(default=0, metadata={"parameter": SEED})

    def __post_init__(self) -> None:
        if self.target is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise ValueError("target is missing: give a word of the text, or token positions.")
        if not isinstance(self.target, str):
            object.__setattr__(self, "target", tuple(several(self.target, "target")))
        blocks = (self.blocks,) if isinstance(self.blocks, str) else tuple(self.blocks)
        object.__setattr__(self, "blocks", tuple(dict.fromkeys(blocks)))
        if not blocks:
            raise ValueError(f"blocks is empty: give some of {', '.join(map(repr, _BLOCKS))}.")
        for block in blocks:
            require(block, _BLOCKS, "block")
        if at_least_one(self.bins, "bins", "bin") < 2:  # noqa: PLR2004
            raise ValueError("bins 1 is too small: with one bin there is no information.")
        if self.trim is not None and not self.trim > 0:
            raise ValueError(f"trim {self.trim} is too small: above 0, or None to keep all.")
        require(self.estimator, get_args(Estimator), "estimator")
        require(self.alternative, get_args(Alternative), "alternative")
        require_level(self.alpha)
        require_seed(self.seed)

    @answered
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> MutualInformationResult:
        """Compute it for one text."""
        sequence = run_of(trace).side("query", kind)
        places = target_positions(sequence, self.target)
        if len(places) < 2:  # noqa: PLR2004
            where = f" ({places[0]})" if places else ""
            raise ValueError(
                f"target {self.target!r} is at {len(places)} "
                f"position{'' if places else 's'}{where}: a pair needs 2. "
                "Take a longer text or another target."
            )
        with reporting(progress):
            trace.store_activations(self.blocks, kind=kind)  # pyright: ignore[reportArgumentType]
            return self._measure(trace, kind, places)

    def _measure(
        self, trace: Trace, kind: Kind | None, places: tuple[int, ...]
    ) -> MutualInformationResult:
        blocks = cast("Sequence[ActivationBlock]", self.blocks)
        rows: list[tuple[ActivationBlock, int]] = [
            (block, layer) for block in blocks for layer in trace.layers_with(block, kind)
        ]
        unclear = trace.unclear_blocks(kind)
        if not rows:
            why = [next(iter(unclear[block].values())) for block in self.blocks if block in unclear]
            nothing = f"No layer has a block of these: {', '.join(self.blocks)}."
            raise ValueError(why[0] if why else nothing)
        layers = sorted({layer for _, layer in rows})
        vectors = [
            trace.activations(layer, block, kind=kind)[list(places)] for block, layer in rows
        ]
        of_block = torch.tensor([blocks.index(block) for block, _ in rows])
        of_layer = torch.tensor([layers.index(layer) for _, layer in rows])
        shape = len(blocks), len(layers), pairs_of(len(places)).shape[1]
        pairs = torch.full(shape, torch.nan, dtype=torch.float64)

        kept = _kept(dict(zip(rows, vectors, strict=True)))

        def result() -> MutualInformationResult:
            return MutualInformationResult(
                metric=self,
                layers=tuple(layers),
                blocks=self.blocks,
                positions=places,
                pairs=pairs.clone(),
                unit="bits" if self.estimator == "histogram" else "nats",
                unclear={name: why for name, why in unclear.items() if name in self.blocks},
                alternative=self.alternative,
                alpha=self.alpha,
                trim=self.trim,
                vectors=kept,
            )

        # Some models' blocks differ in width: those of one width together.
        for width in dict.fromkeys(one.shape[-1] for one in vectors):
            same = [row for row, one in enumerate(vectors) if one.shape[-1] == width]
            chosen = _stacked([vectors[row] for row in same])
            _require_finite(chosen, [rows[row] for row in same])

            def so_far(information: Tensor, same: list[int] = same) -> MutualInformationResult:
                pairs[of_block[same], of_layer[same]] = information.cpu()
                return result()

            so_far(self._estimate(chosen, so_far))
        return result()

    def _estimate(
        self,
        chosen: Float[Tensor, "row position hidden"],
        partial: Callable[[Float[Tensor, "row pair"]], object],
    ) -> Float[Tensor, "row pair"]:
        if self.estimator == "neighbours":
            found = neighbour_information(
                chosen.double(), trim=self.trim, seed=self.seed, partial=partial
            )
        else:
            found = pairwise_information(chosen, bins=self.bins, trim=self.trim, partial=partial)
        if bool(found.isnan().any()):
            few = "no component" if self.estimator == "histogram" else "too few components"
            raise ValueError(
                f"trim {self.trim} leaves {few} of some pairs: raise it (None = keep all)."
            )
        return found


def _kept(
    vectors: Mapping[tuple[ActivationBlock, int], Tensor],
) -> dict[tuple[str, int], Tensor]:
    """What a picture of two places needs; nothing where it is much."""
    if sum(one.nbytes for one in vectors.values()) > _KEPT_BYTES:
        return {}
    return {(block, layer): one.cpu() for (block, layer), one in vectors.items()}


def _stacked(vectors: list[Tensor]) -> Float[Tensor, "row position hidden"]:
    """Activations of several layers on one device; MPS has no float64, which they will be in."""
    device = vectors[0].device
    device = torch.device("cpu") if device.type == "mps" else device
    return torch.stack([one.to(device) for one in vectors])


def _require_finite(
    chosen: Float[Tensor, "row position hidden"], rows: Sequence[tuple[str, int]]
) -> None:
    for row in (~chosen.isfinite().flatten(1).all(dim=1)).nonzero()[:1, 0].tolist():
        block, layer = rows[row]
        raise ValueError(
            f"Activations of the {block} block in layer {layer} are not all finite at "
            "these positions: they have no mutual information."
        )


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MutualInformationResult(PairInformation, Measured):
    """What was found, the metric that was asked for, tables and charts.

    Attributes
    ----------
    metric : MutualInformation
        What was asked for.
    """

    metric: MutualInformation
    follows_tokens: ClassVar[bool] = True

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        return (
            Choice("mi", "Information"),
            Choice("tau", "Kendall’s τ with distance"),
            *(_COMPARISONS if self.attention_and_mlp else ()),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per block and layer; ``mi`` is the mean over pairs, in :attr:`unit`.

        τ and its p are NaN for a single pair.
        """
        block, layer = (~self.mi.isnan()).nonzero().T
        columns = {
            "mi": self.mi,
            "tau": self.tau.statistic,
            "tau_p": self.tau.p,
            "tau_significant": self.tau_significant,
        }
        return table(
            {
                "layer": [self.layers[i] for i in layer.tolist()],
                "block": [self.blocks[i] for i in block.tolist()],
                **{name: values[block, layer].numpy() for name, values in columns.items()},
                "n_pairs": self.n_pairs,
            }
        )

    def pairs_frame(self) -> pd.DataFrame:
        """Return one row per block, layer and pair of positions ``i < j``."""
        first, second = pairs_of(len(self.positions))
        places = torch.tensor(self.positions)
        block, layer, pair = (~self.pairs.isnan()).nonzero().T
        return table(
            {
                "layer": [self.layers[at] for at in layer.tolist()],
                "block": [self.blocks[at] for at in block.tolist()],
                "i": places[first[pair]].numpy(),
                "j": places[second[pair]].numpy(),
                "distance": self.distance[pair].numpy(),
                "mi": self.pairs[block, layer, pair].numpy(),
            }
        )

    def comparison_frame(self) -> pd.DataFrame:
        """Return one row per layer, MLP against attention; significant after Benjamini-Hochberg.

        What cannot be tested is NaN: t with a single pair, z with fewer than 4.
        """
        if self.t_test is None or self.z_test is None:
            raise ValueError('There is nothing to compare: measure blocks=("attention", "mlp").')
        return table(
            {
                "layer": self.layers,
                "t": self.t_test.statistic.numpy(),
                "t_p": self.t_test.p.numpy(),
                "t_significant": (benjamini_hochberg(self.t_test.p) <= self.alpha).numpy(),
                "z": self.z_test.statistic.numpy(),
                "z_p": self.z_test.p.numpy(),
                "z_significant": (benjamini_hochberg(self.z_test.p) <= self.alpha).numpy(),
            }
        )

    def matrix_frame(self, layer: int, block: str) -> pd.DataFrame:
        """Return the information of all pairs as a symmetric matrix, positions on both axes."""
        import pandas as pd  # noqa: PLC0415  loaded when it is needed

        names = pd.Index(self.positions)
        return pd.DataFrame(self.matrix(block, layer).numpy(), index=names, columns=names)

    def activations_frame(self, layer: int, block: str, i: int, j: int) -> pd.DataFrame:
        """Return one row per component of the activations at two places.

        Columns ``component``, ``x`` (at position i), ``y`` (at position j), ``trimmed``.
        """
        (x, y), trimmed = self.two_places(block, layer, (i, j))
        return table(
            {
                "component": range(len(x)),
                "x": x.numpy(),
                "y": y.numpy(),
                "trimmed": trimmed.numpy(),
            }
        )

    def chart(self, quantity: str = "") -> LayerChart:
        """Return information or τ by layer, a series for every block; or how two blocks differ."""
        if quantity in ("t", "z") and self.attention_and_mlp:
            return comparison_chart(self, self.metric.target, quantity)
        chart = tau_chart if quantity == "tau" else information_chart
        return chart(self, self.metric.target)

    def detail(self, layer: int, pair: tuple[int, int] | None = None) -> list[Panel]:
        """Return information against distance, the matrices of all pairs, and a pair's activations.

        Parameters
        ----------
        layer : int
        pair : tuple of int, optional
            Two of :attr:`positions`; default those that tell most about each other in this layer.
        """
        return pair_panels(self, layer, pair)

    def detail_of(self, layer: int, selected: Sequence[int]) -> list[Panel]:
        """Return the same, of the two places that are selected, where they are."""
        first, second, *_ = [*(one for one in selected if one in self.positions), None, None]
        chosen = None if first is None or second is None else (first, second)
        return self.detail(layer, chosen)


def mutual_information(
    trace: Trace,
    target: Target,
    *,
    blocks: Sequence[str] = ("attention", "mlp"),
    bins: int = 15,
    trim: float | None = 4.0,
    estimator: Estimator = "histogram",
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    seed: int = 0,
    kind: Kind | None = None,
    progress: Progress | bool | None = None,
) -> MutualInformationResult:
    """Mutual information between the activations at the places of a target, in every layer.

    Parameters
    ----------
    trace : Trace
    target : str or sequence of int
        A word or phrase of the text (``" coffee"``), or token positions.
    blocks, bins, trim, estimator, alternative, alpha, seed
        As for :class:`MutualInformation`.
    kind : str, optional
        Picks the stack of an encoder-decoder model, and with it the text: "encoder" the source's.
    progress : callable or bool, optional
        As for :meth:`glasshead_backend.Lens.trace`.

    Returns
    -------
    MutualInformationResult

    Raises
    ------
    ValueError
        When the target is at one position only, and for parameters that make no sense.

    Notes
    -----
    Components that lie more than `trim` standard deviations (``ddof=1``) from the mean of either
    activation are dropped; the values that are left are counted in `bins` x `bins` equal bins from
    the smallest to the largest, exactly as ``numpy.histogram2d`` counts;
    ``MI = H(x) + H(y) - H(x, y)`` in bits.

    Two places make one pair: its information, and no test. τ and t need 3 places, z needs 4. Pairs
    share places, so that they are no independent samples, as these tests take them to be: their
    p-values can be too small.
    """
    asked = MutualInformation(
        target=target,
        blocks=blocks,
        bins=bins,
        trim=trim,
        estimator=estimator,
        alternative=alternative,
        alpha=alpha,
        seed=seed,
    )
    return asked.measure(trace, kind, progress=progress)
