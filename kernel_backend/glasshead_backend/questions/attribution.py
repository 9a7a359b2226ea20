"""How much each input token moved the model to say what it says.

*Gradient × input* is the first-order answer: the embedding of a token times the gradient of the
target with respect to it, summed over the dimensions. *Integrated gradients* (Sundararajan et al.
2017) take the gradient's mean along the straight way from a baseline to the embeddings; the sum
over all tokens is then the difference ``f(x) - f(baseline)``, and how far it is from that is the
completeness error. Both are signed: a token below zero spoke against the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import at_least_one, require, several
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.progress import steps as reported
from glasshead_backend.questions.gradients import differentiable, gradients
from glasshead_backend.questions.integrated_gradients import LARGEST_ERROR, integrated
from glasshead_backend.questions.predictions import predictions
from glasshead_backend.questions.target import target_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import SupportsIndex

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.questions.target import Quantity, Target
    from glasshead_backend.text.sequences import Sequence as TokenSequence
    from glasshead_backend.tracing.run import Run

Method = Literal["gradient_x_input", "integrated_gradients"]
METHODS: tuple[Method, ...] = ("gradient_x_input", "integrated_gradients")
Baseline = Literal["zero", "pad"]
BASELINES: tuple[Baseline, ...] = ("zero", "pad")

_ROWS_TOGETHER = 32
"""Targets whose gradients are taken in one graph."""


@travels
@dataclass(frozen=True, eq=False, repr=False)
class Attribution(ShownAsTable):
    """What moved the model to one number, token by token.

    Attributes
    ----------
    target : Target
        The number that is explained.
    words : str
        The same in words: "log-probability of “whale”".
    method : {"gradient_x_input", "integrated_gradients"}
    sequences : tuple of Sequence
        The input tokens: the text, or source and target (the decoder's inputs).
    values : dict
        ``{sequence name: [tokens]}`` float32 on the CPU, in the target's unit; signed.
    value : float
        The number itself, ``f``.
    baseline : str
        Where integrated gradients start: "zero" or "pad"; "" for gradient × input.
    baseline_value : float or None
        ``f(baseline)``.
    steps : int
        Places on the way at which gradients were taken.
    """

    target: Target
    words: str
    method: Method
    sequences: tuple[TokenSequence, ...]
    values: dict[str, Float[Tensor, " token"]]
    value: float
    baseline: str = ""
    baseline_value: float | None = None
    steps: int = 1

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return sum(one.nbytes for one in self.values.values())

    @property
    def unit(self) -> str:
        """What values are counted in: "nats" or "logits"."""
        return self.target.unit

    @property
    def total(self) -> float:
        """Sum of all values."""
        return sum(float(one.double().sum()) for one in self.values.values())

    @property
    def completeness_error(self) -> float | None:
        """``|total - (f(x) - f(baseline))|``; None for gradient × input, which need not add up."""
        if self.baseline_value is None:
            return None
        return abs(self.total - (self.value - self.baseline_value))

    @property
    def relative_error(self) -> float | None:
        """The completeness error as a share of the difference ``|f(x) - f(baseline)|``."""
        if self.baseline_value is None or self.completeness_error is None:
            return None
        difference = abs(self.value - self.baseline_value)
        return self.completeness_error / difference if difference else float("inf")

    @property
    def is_complete(self) -> bool:
        """Whether the completeness error is at most 1 % of the difference."""
        return self.relative_error is None or self.relative_error <= LARGEST_ERROR

    def by_word(self) -> dict[str, Float[Tensor, " word"]]:
        """Return the values of words, ``{sequence name: [words]}``: sums over their tokens."""
        return {one.name: over_words(self.values[one.name], one, dim=0) for one in self.sequences}

    def in_words(self) -> str:
        """Say how well it adds up; "" for gradient × input, which promises nothing of the kind."""
        if self.baseline_value is None or self.relative_error is None:
            return ""
        difference = self.value - self.baseline_value
        said = (
            f"Attributions add up to {_number(self.total)} {self.unit}; from the baseline to the "
            f"text the {self.words} changes by {_number(difference)}"
        )
        if self.is_complete:
            return f"{said}: {_percent(self.relative_error)} off."
        return (
            f"{said}. That is {_percent(self.relative_error)} off, more than 1 %: do not trust "
            f"these numbers. Ask for more steps ({self.steps:,} were taken), or another baseline."
        )

    def to_frame(self, unit: Literal["token", "word"] = "token") -> pd.DataFrame:
        """Return one row per input token, or per word.

        Columns: sequence, position, the token (or word), attribution, and share: the size of the
        attribution as a share of the sizes of all.
        """
        require(unit, ("token", "word"), "unit")
        values = self.values if unit == "token" else self.by_word()
        sizes = sum(float(one.abs().sum()) for one in values.values())
        columns: dict[str, list[object]] = {}
        for sequence in self.sequences:
            said = sequence.tokens if unit == "token" else sequence.words
            numbers = values[sequence.name].tolist()
            rows = {
                "sequence": [sequence.name] * len(said),
                "position": list(range(len(said))),
                unit: [one.text for one in said],
                "attribution": numbers,
                "share": [abs(one) / sizes if sizes else float("nan") for one in numbers],
            }
            for name, column in rows.items():
                columns.setdefault(name, []).extend(column)
        return table(columns)

    def _what(self) -> str:
        how = self.method.replace("_x_", " × ").replace("_", " ")
        return f"Attribution of {self.value:.4g} {self.unit}, the {self.words}, by {how}"


@travels
@dataclass(frozen=True, eq=False, repr=False)
class AttributionMatrix(ShownAsTable):
    """What moved the model to each of several numbers: outputs by inputs.

    Attributes
    ----------
    targets : tuple of Target
        The rows.
    predicted : TokenSequence
        The tokens that rows are about: ``predicted.tokens[target.position]``.
    method : {"gradient_x_input", "integrated_gradients"}
    sequences : tuple of Sequence
        The input tokens, as of :class:`Attribution`.
    values : dict
        ``{sequence name: [targets, tokens]}`` float32 on the CPU, in the targets' unit.
    value : Tensor
        ``[targets]``: the numbers themselves.
    """

    targets: tuple[Target, ...]
    predicted: TokenSequence
    method: Method
    sequences: tuple[TokenSequence, ...]
    values: dict[str, Float[Tensor, "target token"]]
    value: Float[Tensor, " target"]

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return self.value.nbytes + sum(one.nbytes for one in self.values.values())

    @property
    def unit(self) -> str:
        """What values are counted in: "nats" or "logits"."""
        return self.targets[0].unit

    def by_word(self) -> tuple[list[int], dict[str, Float[Tensor, "word input_word"]]]:
        """Return rows and columns of words: sums over the tokens on both sides.

        A word's log-probability is the sum of its tokens', so its attribution is theirs.

        Returns
        -------
        words : list of int
            Index of the word of each row: those of which a token was explained.
        values : dict
            ``{sequence name: [words, input words]}``
        """
        of_row = self.predicted.word_of_token[[one.position for one in self.targets]]
        words, row_of = of_row.unique(return_inverse=True)
        return words.tolist(), {
            one.name: _summed(over_words(self.values[one.name], one, dim=1), row_of, len(words), 0)
            for one in self.sequences
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each explained token, a column for each input token."""
        import pandas as pd  # noqa: PLC0415  loaded when it is needed

        names = [self.predicted.tokens[one.position].text for one in self.targets]
        columns = pd.MultiIndex.from_tuples(
            [
                (sequence.name, position, token.text)
                for sequence in self.sequences
                for position, token in enumerate(sequence.tokens)
            ],
            names=["sequence", "position", "token"],
        )
        numbers = torch.cat([self.values[one.name] for one in self.sequences], dim=1).numpy()
        index = pd.MultiIndex.from_arrays(
            [[one.position for one in self.targets], names], names=["position", "predicted"]
        )
        return pd.DataFrame(numbers, index=index, columns=columns)


def _percent(share: float) -> str:
    """A share in words: "0.12 %", "1600 %"."""
    if share < 1e-4:  # noqa: PLR2004  what rounding leaves
        return "less than 0.01 %"
    return "infinitely far" if share == float("inf") else f"{_number(100 * share, 2)} %"


def _number(value: float, digits: int = 3) -> str:
    """A number of a few digits as people write it, without exponents."""
    written = np.format_float_positional(value, digits, fractional=False, trim="-")
    return written.replace("-", "−")


def over_words(values: Tensor, sequence: TokenSequence, *, dim: int) -> Float[Tensor, ...]:
    """Return sums over the tokens of each word of a sequence."""
    return _summed(values, sequence.word_of_token, len(sequence.words), dim)


def _summed(values: Tensor, of: Tensor, n: int, dim: int) -> Tensor:
    shape = list(values.shape)
    shape[dim] = n
    return values.new_zeros(shape).index_add_(dim, of, values)


def words_of(run: Run, target: Target) -> str:
    """Say what number is explained: "log-probability of “whale”"."""
    ids = [target.token] if target.against is None else [target.token, target.against]
    token, *others = [text.strip() or text for text in run.subject.spelled(ids)]
    if others:
        return f"logit of “{token}” minus that of “{others[0]}”"
    name = "log-probability" if target.quantity == "log_probability" else "logit"
    return f"{name} of “{token}”"


@answered
def attribution(
    run: Run,
    method: Method = "gradient_x_input",
    *,
    position: int | None = None,
    token: int | str | None = None,
    against: int | str | None = None,
    quantity: Quantity = "log_probability",
    baseline: Baseline = "pad",
    steps: int = 50,
) -> Attribution:
    """Return what moved the model to one number; see :meth:`Trace.attribution`."""
    require(method, METHODS, "method")
    require(baseline, BASELINES, "baseline")
    steps = at_least_one(steps, "steps", "step")
    target = target_of(run, position, token, against, quantity)
    return attribution_of(run, target, method, baseline=baseline, steps=steps)


@answered
def attributions(
    run: Run,
    positions: SupportsIndex | Iterable[SupportsIndex] | None = None,
    *,
    method: Method = "gradient_x_input",
    quantity: Quantity = "log_probability",
    baseline: Baseline = "pad",
    steps: int = 50,
) -> AttributionMatrix:
    """Return what moved the model to each of several tokens; see :meth:`Trace.attributions`."""
    require(method, METHODS, "method")
    require(baseline, BASELINES, "baseline")
    steps = at_least_one(steps, "steps", "step")
    run.require_model()
    if positions is None:
        wanted: Sequence[int] = range(run.shift, len(predictions(run).tokens))
    else:
        wanted = several(positions, "positions")
    targets = tuple(target_of(run, one, quantity=quantity) for one in wanted)
    if not targets:
        raise ValueError("There is no position to explain: positions is empty.")
    sequences = run.sides.all
    n_tokens = sum(len(one.tokens) for one in sequences)
    require_room(
        4 * len(targets) * n_tokens,
        budget_on(torch.device("cpu"), run.subject.memory_budget),
        f"A matrix of {len(targets):,} x {n_tokens:,} attributions",
        ["Ask for fewer positions."],
    )
    key = ("attributions", targets, method, *_path(method, baseline, steps))
    return run.store.remember(key, lambda: _matrix(run, targets, method, baseline, steps))


def _path(method: Method, baseline: Baseline, steps: int) -> tuple[object, ...]:
    """What else the numbers depend on."""
    return () if method == "gradient_x_input" else (baseline, steps)


def attribution_of(
    run: Run, target: Target, method: Method, *, baseline: Baseline = "pad", steps: int = 50
) -> Attribution:
    """Return what moved the model to a number that was checked already."""

    def make() -> Attribution:
        about = target, words_of(run, target), method, run.sides.all
        if method == "gradient_x_input":
            (found,) = _gradients_x_inputs(run, [target])
            return Attribution(*about, *found)
        made = integrated(run, target, baseline, steps)
        values = dict(zip(_names(run), made.values, strict=True))
        return Attribution(*about, values, made.value, baseline, made.baseline_value, made.steps)

    key = ("attribution", target, method, *_path(method, baseline, steps))
    return run.store.remember(key, make)


def _matrix(
    run: Run, targets: tuple[Target, ...], method: Method, baseline: Baseline, steps: int
) -> AttributionMatrix:
    if method == "gradient_x_input":
        rows = list(_gradients_x_inputs(run, targets))
    else:
        told = reported(targets, _words_of_work(len(targets)), len(targets))
        found = [attribution_of(run, one, method, baseline=baseline, steps=steps) for one in told]
        rows = [(one.values, one.value) for one in found]
    values = {name: torch.stack([row[name] for row, _ in rows]) for name in _names(run)}
    value = torch.tensor([number for _, number in rows])
    return AttributionMatrix(targets, run.sides.scored, method, run.sides.all, values, value)


def _gradients_x_inputs(
    run: Run, targets: Sequence[Target]
) -> Iterator[tuple[dict[str, Float[Tensor, " token"]], float]]:
    """Yield gradient × input of each target, and the target itself; a graph serves several."""
    with differentiable(run) as model:
        logits = torch.empty(0)
        for i, target in enumerate(reported(targets, _words_of_work(len(targets)), len(targets))):
            place = i % _ROWS_TOGETHER
            together = targets[i - place : i - place + _ROWS_TOGETHER]
            if not place:
                logits = model.logits([one.row for one in together])[0]
            number = target.of(logits[place])
            keep = place < len(together) - 1
            found = gradients(number, model.embeddings, keep=keep)
            sums = [
                (gradient * own).sum(dim=-1)[0]
                for gradient, own in zip(found, model.embeddings, strict=True)
            ]
            values = [one.detach().float().cpu() for one in sums]
            yield dict(zip(_names(run), values, strict=True)), float(number.detach())


def _names(run: Run) -> list[str]:
    return [one.name for one in run.sides.all]


def _words_of_work(n: int) -> str:
    return "tracing a prediction back" if n == 1 else f"tracing {n:,} predictions back"
