"""How much activations at different places of a target tell about each other, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast, get_args

import torch

from glasshead_backend.checks import at_least_one, require
from glasshead_backend.progress import reporting
from glasshead_backend.statistics.chart import Choice, LayerChart, Panel
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
    information_chart,
    scatter,
    tau_chart,
)
from glasshead_backend.statistics.significance import (
    Alternative,
    Tested,
    benjamini_hochberg,
    compare_means,
    compare_taus,
    kendall,
)
from glasshead_backend.statistics.targets import target_positions
from glasshead_backend.table import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.asking import ActivationBlock, Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.targets import Target
    from glasshead_backend.trace import Trace

Estimator = Literal["histogram", "neighbours"]
_BLOCKS = ("attention", "cross", "mlp", "residual")


@dataclass(frozen=True, kw_only=True)
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
            object.__setattr__(self, "target", tuple(self.target))
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

    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> MutualInformationResult:
        """Compute it for one text."""
        sequence = trace.side("query", kind)
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
        having = [trace.layers_with(block, kind) for block in blocks]
        layers = sorted({layer for some in having for layer in some})
        rows = [(i, layer) for i, some in enumerate(having) for layer in some]
        if not rows:
            unclear = trace.unclear_blocks(kind)
            why = [next(iter(unclear[block].values())) for block in self.blocks if block in unclear]
            nothing = f"No layer has a block of these: {', '.join(self.blocks)}."
            raise ValueError(why[0] if why else nothing)
        vectors = [
            trace.activations(layer, blocks[i], kind=kind)[list(places)] for i, layer in rows
        ]
        of_block = torch.tensor([i for i, _ in rows])
        of_layer = torch.tensor([layers.index(layer) for _, layer in rows])
        unclear = trace.unclear_blocks(kind)
        found = torch.full(
            (len(rows), pairs_of(len(places)).shape[1]), torch.nan, dtype=torch.float64
        )

        def result() -> MutualInformationResult:
            shape = (len(blocks), len(layers), found.shape[1])
            pairs = torch.full(shape, torch.nan, dtype=torch.float64)
            pairs[of_block, of_layer] = found
            return MutualInformationResult(
                **self.values(),
                layers=tuple(layers),
                positions=places,
                pairs=pairs,
                unclear={name: why for name, why in unclear.items() if name in self.blocks},
            )

        # Some models' blocks differ in width: those of one width together.
        for width in dict.fromkeys(one.shape[-1] for one in vectors):
            same = [row for row, one in enumerate(vectors) if one.shape[-1] == width]
            chosen = _stacked([vectors[row] for row in same])
            for row in (~chosen.isfinite().flatten(1).all(dim=1)).nonzero()[:1, 0].tolist():
                i, layer = rows[same[row]]
                raise ValueError(
                    f"Activations of the {blocks[i]} block in layer {layer} are not all finite at "
                    "these positions: they have no mutual information."
                )

            def so_far(information: Tensor, same: list[int] = same) -> MutualInformationResult:
                found[same] = information.cpu()
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


def _stacked(vectors: list[Tensor]) -> Float[Tensor, "row position hidden"]:
    """Activations of several layers on one device; MPS has no float64, which they will be in."""
    device = vectors[0].device
    device = torch.device("cpu") if device.type == "mps" else device
    return torch.stack([one.to(device) for one in vectors])


@dataclass(frozen=True, kw_only=True, eq=False)
class MutualInformationResult(MutualInformation, Measured):
    """What was found; the parameters stand beside it.

    Attributes
    ----------
    layers : tuple of int
    positions : tuple of int
        Of the target, ascending.
    pairs : Tensor
        ``[blocks, layers, pairs]`` float64: mutual information of all pairs of positions ``i < j``
        (as ``itertools.combinations`` orders them), in :attr:`unit`; NaN where a layer has no such
        block.
    unclear : mapping
        As :meth:`Trace.unclear_blocks` returns it: blocks that are left out, and why.
    """

    layers: tuple[int, ...]
    positions: tuple[int, ...]
    pairs: Float[Tensor, "block layer pair"]
    unclear: Mapping[str, Mapping[int, str]]

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        return (
            Choice("mi", "Information"),
            Choice("tau", "Kendall’s τ with distance"),
        )

    @property
    def unit(self) -> str:
        """Of mutual information: bits, or nats for nearest neighbours."""
        return "bits" if self.estimator == "histogram" else "nats"

    @property
    def n_pairs(self) -> int:
        """Number of pairs of positions."""
        return self.pairs.shape[-1]

    @property
    def mi(self) -> Float[Tensor, "block layer"]:
        """Mean over the pairs."""
        return self.pairs.mean(dim=-1)

    @cached_property
    def distance(self) -> Int[Tensor, " pair"]:
        """Tokens between the two positions of a pair."""
        places = torch.tensor(self.positions)
        first, second = pairs_of(len(places))
        return places[second] - places[first]

    @cached_property
    def tau(self) -> Tested:
        """Kendall's τ-b between mutual information and distance, with p: ``[blocks, layers]``.

        NaN for a single pair.
        """
        found = kendall(self.pairs.flatten(0, 1), self.distance)
        return Tested(*(one.view(self.pairs.shape[:2]) for one in found))

    @cached_property
    def tau_significant(self) -> Tensor:
        """Whether τ differs from 0, after correction over the layers; ``[blocks, layers]`` bool."""
        return torch.stack([benjamini_hochberg(p) <= self.alpha for p in self.tau.p])

    @cached_property
    def t_test(self) -> Tested | None:
        """MLP against attention, per layer; None when one of them was not measured.

        NaN for a single pair.
        """
        rows = self.attention_and_mlp
        return None if rows is None else compare_means(self.pairs[rows[1]], self.pairs[rows[0]])

    @cached_property
    def z_test(self) -> Tested | None:
        """Attention's τ against the MLP's, per layer; None when one of them was not measured.

        NaN for fewer than 4 pairs.
        """
        rows = self.attention_and_mlp
        if rows is None:
            return None
        tau = self.tau.statistic
        return compare_taus(tau[rows[0]], tau[rows[1]], self.n_pairs, self.alternative)

    @property
    def attention_and_mlp(self) -> tuple[int, int] | None:
        """Their places among the blocks; None when one of them was not measured."""
        names = list(self.blocks)
        both = "attention" in names and "mlp" in names
        return (names.index("attention"), names.index("mlp")) if both else None

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

    def chart(self, quantity: str = "") -> LayerChart:
        """Return information or τ by layer, one series for every block."""
        return tau_chart(self) if quantity == "tau" else information_chart(self)

    def detail(self, layer: int) -> list[Panel]:
        """Return information against distance, pair by pair."""
        return scatter(self, layer)


def mutual_information(
    trace: Trace,
    target: Target,
    *,
    kind: Kind | None = None,
    progress: Progress | bool | None = None,
    **parameters: Any,
) -> MutualInformationResult:
    """Mutual information between the activations at the places of a target, in every layer.

    Parameters
    ----------
    trace : Trace
    target : str or sequence of int
        A word or phrase of the text (``" coffee"``), or token positions.
    kind : str, optional
        Picks the stack of an encoder-decoder model, and with it the text: "encoder" the source's.
    progress : callable or bool, optional
        As for :meth:`glasshead_backend.Lens.trace`.
    **parameters
        As for :class:`MutualInformation`: ``blocks``, ``bins``, ``trim``, ``estimator``,
        ``alternative``, ``alpha``, ``seed``.

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
    return MutualInformation(target=target, **parameters).measure(trace, kind, progress=progress)
