"""What a linear probe reads in the activations of every layer, tested on other texts."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast, get_args

import numpy as np
import torch

from glasshead_backend.answering import require_here
from glasshead_backend.asking import ActivationBlock
from glasshead_backend.checks import at_least_one, require, several, whole
from glasshead_backend.data_frames import table
from glasshead_backend.progress import reporting, steps
from glasshead_backend.statistics.chart import Choice
from glasshead_backend.statistics.metric import Measured, Metric, require_seed
from glasshead_backend.statistics.probe_answers import ProbeAnswers
from glasshead_backend.statistics.probe_chart import (
    above_control_chart,
    accuracy_chart,
    layer_panels,
)
from glasshead_backend.statistics.probe_fits import (
    classes_of,
    folds_of,
    groups_of,
    predict_held_out,
)
from glasshead_backend.statistics.probe_reading import ProbedTexts
from glasshead_backend.statistics.probe_units import ProbedUnit, Take, read_labels
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd
    from jaxtyping import Int
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.lens import Lens
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.chart import LayerChart
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.statistics.probe_reading import LabelledUnits
    from glasshead_backend.trace import Trace
    from glasshead_backend.tracing.given import TextLike

__all__ = ["Probed", "Probing", "probe"]

_FEWEST_FOLDS = 2
_STAGES = ("reading texts", "looking at the model", "running the model", "fitting probes")


def _stage(done: int) -> str:
    return _STAGES[min(done, len(_STAGES) - 1)]


@dataclass(frozen=True, kw_only=True, repr=False)
class Probing(Metric):
    """Accuracy of linear probes for labels of tokens, words or texts, layer by layer.

    A probe is logistic regression on activations whose components are brought to mean 0 and
    variance 1. It is tested on texts that it was not fitted to: the texts are cut into folds with
    about the same labels, and each fold is predicted by a probe that was fitted to the others.
    Texts that say the same are in one fold.

    Parameters
    ----------
    texts : sequence of str
    labels : sequence
        For each text its label (``unit="text"``); or a list of labels, one for each token or word
        as :meth:`Trace.words` and ``trace.tokens`` have them, special tokens with or without.
        Words, numbers or booleans; None where there is no label.
    unit : {"token", "word", "text"}
    block : str
        Whose activations: "residual" (the stream behind a layer), "attention", "mlp", "embedding"
        (what goes into the first layer) ...
    layers : sequence of int, optional
        Default all.
    take : {"mean", "last"}
        Of a word or text of several tokens: the mean of their activations (of a text without
        special tokens), or the last one's.
    folds : int
        Parts of the texts.
    C : float
        scikit-learn's: the smaller, the more the weights of a probe are held near 0.
    control : bool
        Also fit the same probes to shuffled labels.
    groups : sequence, optional
        One for each text: texts of a group are in one fold, too. For sentences made of a few words:
        what a probe says of a word it cannot have learnt from other sentences with it then.
    targets : sequence of str, optional
        Encoder-decoder models: as many as there are texts. Labels are those of the texts where
        `kind` is "encoder" (the default), else of the targets.
    seed : int
        Of folds and shuffling.
    confidence : float
        Of the intervals.
    batch_size : int
        Most texts in one forward pass.
    """

    name: ClassVar[str] = "probing"
    label: ClassVar[str] = "Linear probe"

    texts: Sequence[TextLike]
    labels: Sequence[Any]
    unit: ProbedUnit = "token"
    block: ActivationBlock = "residual"
    layers: Sequence[int] | None = None
    take: Take = "mean"
    folds: int = 5
    C: float = 1.0
    control: bool = True
    groups: Sequence[Hashable] | None = None
    targets: Sequence[TextLike] | None = None
    seed: int = 0
    confidence: float = 0.95
    batch_size: int = 8

    def __post_init__(self) -> None:
        require(self.unit, get_args(ProbedUnit), "unit")
        require(self.block, get_args(ActivationBlock), "block")
        require(self.take, get_args(Take), "take")
        if isinstance(self.texts, str):
            raise TypeError("texts is a list of texts, got a single one.")
        self._set("texts", tuple(self.texts))
        self._set("labels", read_labels(self.labels, self.unit))
        self._require_as_many("labels", "label" if self.unit == "text" else "list of labels")
        for name, of in (("groups", "group"), ("targets", "target")):
            if getattr(self, name) is not None:
                self._set(name, tuple(getattr(self, name)))
                self._require_as_many(name, of)
        if self.layers is not None:
            self._set("layers", tuple(sorted(set(several(self.layers, "layer")))))
        if whole(self.folds, "folds") < _FEWEST_FOLDS:
            raise ValueError(f"folds {self.folds} is too small: at least {_FEWEST_FOLDS} parts.")
        if not self.C > 0:
            raise ValueError(f"C {self.C} must be above 0: the smaller, the smaller the weights.")
        require_seed(self.seed)
        at_least_one(self.batch_size, "batch_size", "text at a time")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence {self.confidence} must lie between 0 and 1, e.g. 0.95.")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _require_as_many(self, name: str, of: str) -> None:
        n, wanted = len(getattr(self, name)), len(self.texts)
        if n != wanted:
            raise ValueError(f"There are {wanted} texts and {n} {name}: give a {of} for each text.")

    def _written(self, name: str) -> str:
        if name not in ("texts", "labels", "groups", "targets"):
            return super()._written(name)
        return f"<{len(getattr(self, name))} {name}>"

    @classmethod
    def lacks(cls, trace: Trace) -> str:
        """Of given arrays there is no model that could read the texts."""
        run = run_of(trace)
        return f"{run.subject.name}: a model is needed to read the texts." if run.given else ""

    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> Probed:
        """Probe the model of a trace."""
        return self.measure_with(cast("Lens", trace.lens), kind, progress=progress)

    def measure_with(
        self, lens: Lens, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> Probed:
        """Probe a model."""
        require_here(lens, "Probing")
        if kind is None and lens.family == "encoder-decoder":
            kind = "encoder"
        texts = ProbedTexts(
            texts=self.texts,
            targets=self.targets,
            labels=tuple(self.labels),
            unit=self.unit,
            block=self.block,
            layers=self.layers,
            take=self.take,
            batch_size=self.batch_size,
        )
        with reporting(progress), closing(steps(_STAGES, _stage, len(_STAGES))) as stages:
            next(stages)
            many, found = texts.read(lens, kind)
            next(stages)
            room = texts.room(lens, found, kind)
            next(stages)
            units = texts.gather(lens, many, found, room)
            next(stages)
            probed = self._probe(units)
            next(stages, None)  # all is done
        return probed

    def _probe(self, units: LabelledUnits) -> Probed:
        names, classes = classes_of(units.labels)
        groups = self._groups(units)
        folds = folds_of(classes, groups, names, folds=self.folds, seed=self.seed)
        order = np.random.default_rng(self.seed).permutation(len(classes))
        rounds = [classes, classes[order]] if self.control else [classes]
        predicted = torch.full((len(rounds), len(units.layers), len(classes)), -1)
        unsettled: list[int] = []

        def result() -> Probed:
            own, *control = predicted.clone()
            return Probed(
                metric=self,
                layers=units.layers,
                block=self.block,
                classes=names,
                labels=classes,
                predicted=own,
                control_labels=rounds[1] if control else None,
                control_predicted=control[0] if control else None,
                unit=self.unit,
                units=units.units,
                positions=units.positions,
                text_of=units.text_of,
                groups=groups,
                grouped=self.groups is not None,
                unsettled=tuple(unsettled),
                confidence=self.confidence,
            )

        todo = steps(units.activations, "fitting probes", len(units.layers), result)
        for i, values in enumerate(todo):
            held = [predict_held_out(values, own, folds, strength=self.C) for own in rounds]
            predicted[:, i] = torch.stack([one.predicted for one in held])
            unsettled += [] if all(one.settled for one in held) else [units.layers[i]]
        return result()

    def _groups(self, units: LabelledUnits) -> Int[Tensor, " unit"]:
        """Number of the group of every unit; texts that say the same are in one group."""
        numbers = list(units.texts)
        says = list(units.texts.values())
        alike = [says] if self.groups is None else [says, [self.groups[i] for i in numbers]]
        group_of = dict(zip(numbers, groups_of(*alike), strict=True))
        return torch.tensor([group_of[number] for number in units.text_of.tolist()])


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Probed(ProbeAnswers, Measured):
    """What was found.

    Attributes
    ----------
    metric : Probing
        What was asked for.
    """

    metric: Probing

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer: accuracy and control with their intervals, majority share."""
        columns: dict[str, Any] = {"layer": self.layers}
        for name, found in (("accuracy", self.accuracy), ("control", self.control)):
            if found is not None:
                columns |= {
                    name: found.mean.numpy(),
                    f"{name}_low": found.low.numpy(),
                    f"{name}_high": found.high.numpy(),
                }
        return table(
            {
                **columns,
                "majority": self.majority[1],
                "n_units": len(self.labels),
                "n_texts": self.n_texts,
            }
        )

    def units_frame(self, layer: int) -> pd.DataFrame:
        """Return one row per labelled unit: where it is, its label, and what a probe said."""
        said = self.predicted[self._at(layer)]
        return table(
            {
                "text": self.text_of.numpy(),
                "position": self.positions.numpy(),
                self.unit if self.unit != "text" else "says": self.units,
                "label": [self.classes[i] for i in self.labels.tolist()],
                "predicted": [self.classes[i] for i in said.tolist()],
                "correct": (said == self.labels).numpy(),
            }
        )

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        accuracy = Choice("accuracy", "Accuracy")
        above = (Choice("above_control", "Above the control"),) if self.control else ()
        return (accuracy, *above)

    def chart(self, quantity: str = "") -> LayerChart:
        """Return the accuracy with control and majority share; or what is above the control."""
        return above_control_chart(self) if quantity == "above_control" else accuracy_chart(self)

    def detail(self, layer: int) -> list[Panel]:
        """Return how often each class was said rightly, and what it was taken for."""
        return layer_panels(self, layer) if layer in self.layers else []


def probe(
    lens: Lens,
    texts: Sequence[TextLike],
    labels: Sequence[Any],
    *,
    unit: ProbedUnit = "token",
    block: ActivationBlock = "residual",
    layers: Sequence[int] | None = None,
    take: Take = "mean",
    folds: int = 5,
    C: float = 1.0,  # noqa: N803  scikit-learn's name
    control: bool = True,
    groups: Sequence[Hashable] | None = None,
    targets: Sequence[TextLike] | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    batch_size: int = 8,
    kind: Kind | None = None,
    progress: Progress | bool | None = None,
) -> Probed:
    """Ask a linear probe of every layer which label a token, a word or a text has.

    Parameters
    ----------
    lens : Lens
    texts, labels, unit, block, layers, take, folds, C, control, groups, targets, seed
        As for :class:`Probing`.
    confidence, batch_size
        As for :class:`Probing`.
    kind : str, optional
        Encoder-decoder models: "encoder" (the default: the labels are those of `texts`), or
        "decoder" (those of `targets`).
    progress : callable or bool, optional
        As for :meth:`Lens.trace`; ``True`` shows a bar. ``step.partial()`` has the layers that are
        done.

    Returns
    -------
    Probed
        With ``.to_frame()``, ``.units_frame(layer)``; ``LayerStatsChart(trace, found)`` shows it.

    Raises
    ------
    ValueError
        When labels are not as many as units, for a single class, for a label that is in fewer texts
        than there are folds, and for a block that the model does not have.
    TypeError
        For labels that are none.
    MemoryBudgetError
        When the activations of all labelled units take more memory than they may.

    Notes
    -----
    A high accuracy says that the label *can be read*, not that the model reads it: a probe also
    learns what the model makes no use of, and finds a word's label by knowing the word. The control
    and the majority share say what is reached without reading anything.

    Examples
    --------
    >>> lens = Lens.demo("decoder")
    >>> texts = [f"The {noun} swam in the sea." for noun in ("whale", "whales", "ship", "ships")]
    >>> found = probe(lens, texts, ["one", "many"] * 2, unit="text", folds=2)
    >>> found.layers, found.classes, found.majority[1]
    ((0, 1), ('many', 'one'), 0.5)
    """
    if not hasattr(lens, "trace_many"):
        raise TypeError(
            "probe traces the texts itself: it takes a lens first, got "
            f"{type(lens).__name__}. Say probe(lens, texts, labels)."
        )
    asked = Probing(
        texts=texts,
        labels=labels,
        unit=unit,
        block=block,
        layers=layers,
        take=take,
        folds=folds,
        C=C,
        control=control,
        groups=groups,
        targets=targets,
        seed=seed,
        confidence=confidence,
        batch_size=batch_size,
    )
    return asked.measure_with(lens, kind, progress=progress)
