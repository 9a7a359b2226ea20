"""One model class under the lens: all of its attention compared with the eager reference."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend import Lens
from glasshead_backend.anatomy.structure import UnsupportedModelError
from support.architectures.building import GAINS, build
from support.architectures.comparing import Both, compare, references, row_maxima
from support.architectures.contributions import check_contributions, summary
from support.architectures.exceptions import NO_TEXT
from support.architectures.reference import call, run_eager
from support.parity import EXACT, Float64Throughout, in_float64
from support.tiny_models import TEXT, tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

    from support.architectures.building import Case
    from support.architectures.comparing import Kind
    from support.architectures.reference import Reference

TEXTS = (TEXT, "a lazy dog runs from the whale at sea", "the old fox and a quick whale jumps away")
TARGETS = ("a lazy fox runs over the sea", "the dog", "a brown whale jumps at the old dog")
_ONE_HOT = 0.8
_FAR_FROM_FLAT, _WANTED = 1.5, 0.6
"""Mean row maxima wanted: flat rows would hide mistakes, and so would one-hot ones."""


@dataclass
class Result:
    """What a case showed.

    Attributes
    ----------
    name, model_type, autos
        The case.
    status : str
        "exact", "differs", "none" (no attention, and the lens says so), "refused", "not built",
        "no text" or "failed".
    reason : str
        Why it is not exact.
    kinds : dict
        Per kind of attention how it compares.
    missing : dict
        Per kind that eager reports and the lens does not, what the lens says.
    row_maximum, uniform : float
        Mean over rows of the reference of the largest weight; what it would be in flat rows.
    logits : float
        Largest difference of what the traced run put out from a run that nobody watches, relative
        to the largest logit; in float64.
    padding : str
        The side on which the batch was padded.
    contributions : str
        How what the blocks add to the residual stream adds up, see
        :mod:`support.architectures.contributions`.
    """

    name: str
    model_type: str
    autos: list[str]
    status: str = "failed"
    reason: str = ""
    kinds: dict[str, Kind] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    row_maximum: float = float("nan")
    uniform: float = float("nan")
    logits: float = float("nan")
    padding: str = ""
    contributions: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def check(case: Case) -> Result:
    """Build the tiny model of a case and compare all of its attention with eager."""
    result = Result(case.name, case.model_type, list(case.autos))
    if case.model_type in NO_TEXT:
        result.status, result.reason = "no text", NO_TEXT[case.model_type]
        return result
    try:
        model = build(case)
    except Exception as error:  # noqa: BLE001  whatever stops it is the answer
        result.status, result.reason = "not built", said(error)
        return result
    try:
        with torch.no_grad():
            call(model, _first_inputs(model))
    except Exception as error:  # noqa: BLE001  see above
        result.status, result.reason = "no text", said(error)
        return result
    model, reference = _peaked(case, result)
    _look(model, reference, result)
    return result


def said(error: BaseException) -> str:
    """Return an error in one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:400]


def _peaked(case: Case, result: Result) -> tuple[PreTrainedModel, Reference]:
    """Find the scale of the weights at which attention is neither flat nor one-hot."""
    tried: list[tuple[float, float, float, PreTrainedModel, Reference]] = []
    for gain in GAINS:
        model = build(case, gain=gain)
        reference = run_eager(model, _first_inputs(model))
        largest, flat = row_maxima(reference)
        tried.append((abs(largest - _WANTED), largest, flat, model, reference))
        if math.isnan(largest) or _FAR_FROM_FLAT * flat <= largest <= _ONE_HOT:
            break
    # None fits: the nearest.
    best = tried[-1] if len(tried) < len(GAINS) else min(tried, key=lambda one: one[0])
    _, result.row_maximum, result.uniform, model, reference = best
    return model, reference


def _look(model: PreTrainedModel, reference: Reference, result: Result) -> None:
    """Trace the model, and fill in how its attention compares."""
    lens = Lens(model, tokenizer())
    try:
        _ = lens.anatomy
    except UnsupportedModelError as error:
        # Maps have four axes; softmaxes of fewer are gates and routers.
        there = not math.isnan(result.row_maximum) or any(o.dim() > 3 for o in reference.tapped)
        result.status = "refused" if there else "none"
        result.reason = str(error)
        return
    lenses = Both(lens, Lens(in_float64(model), tokenizer()))
    _look_at_a_text(lenses, result)
    _look_at_a_batch(lenses, result)
    _judge(result)


def _look_at_a_text(lenses: Both[Lens], result: Result) -> None:
    """Compare the traces of one text."""
    model = lenses.float32.model
    given = (TEXTS[0], TARGETS[0]) if model.config.is_encoder_decoder else (TEXTS[0],)
    outputs = _Outputs(lenses.float64.model)
    traces = lenses.each(lambda lens: lens.trace(*given))
    inputs = batch_inputs([[one.ids] for one in traces.float64.sequences], left=False)
    with Float64Throughout():
        result.logits = outputs.difference(inputs)
    eager = references(Both(*(lens.model for lens in lenses)), inputs)
    for kind in traces.float32.kinds:
        result.kinds[kind] = compare(traces, kind, eager, model)
    unreadable = lenses.float32.anatomy.structure.unreadable
    for kind, reported in eager.float64.reported.items():
        if kind not in result.kinds and reported:
            result.missing[kind] = unreadable.get(kind, "not found")
    result.contributions = summary(check_contributions(traces.float32, inputs))


def _look_at_a_batch(lenses: Both[Lens], result: Result) -> None:
    """Compare the traces of several texts: with a padded batch, where that is how they are run."""
    model = lenses.float32.model
    pair = model.config.is_encoder_decoder
    given = (TEXTS, TARGETS) if pair else (TEXTS,)
    for lens in lenses:
        lens.tokenizer.padding_side = "left"
    traced = lenses.each(lambda lens: list(lens.trace_many(*given)))
    batches = [Both(*both) for both in zip(*traced, strict=True)]
    # What padding changed has been found out by now.
    side, other = lenses.each(lambda lens: lens.anatomy.padding.side("left"))
    result.padding = side or "one by one"
    sides = [[both.float64.sequences[i].ids for both in batches] for i in range(1 + pair)]
    models = Both(*(lens.model for lens in lenses))
    left = side == "left"
    if side is None:
        alone = [[[ids[index]] for ids in sides] for index in range(len(batches))]
        eager = [(references(models, batch_inputs(one, left=False)), 0) for one in alone]
    else:
        together = references(models, batch_inputs(sides, left=left))
        eager = [(together, index) for index in range(len(batches))]
    for traces, (reference, index) in zip(batches, eager, strict=True):
        for kind, known in result.kinds.items():
            there = compare(traces, kind, reference, model, index=index, left=left)
            known.padded = there.alone if known.padded is None else there.alone.worse(known.padded)
            known.problem = known.problem or there.problem
            if side != other:
                known.problem = f"padded on the {side} in float32, on the {other} in float64"


def _judge(result: Result) -> None:
    problems = [f"{kind}: {reason}" for kind, reason in result.missing.items()]
    for kind, compared in result.kinds.items():
        if compared.problem:
            problems.append(f"{kind}: {compared.problem}")
        if problem := compared.alone.problem:
            problems.append(f"{kind} {problem}")
        if compared.padded and (problem := compared.padded.problem):
            problems.append(f"{kind}, padded, {problem}")
    if not result.logits <= EXACT:
        problems.append(f"logits differ by {result.logits:.1e}")
    if "wrong" in result.contributions:
        problems.append(result.contributions)
    if not result.row_maximum >= _FAR_FROM_FLAT * result.uniform:
        problems.append("attention of the tiny model is too flat to tell")
    result.status = "differs" if problems else "exact"
    result.reason = "; ".join(problems)


class _Outputs:
    """Keeps the last logits that a model puts out, from now on: a hook taken away is a change."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.last: Tensor | None = None
        model.register_forward_hook(self._keep)

    def _keep(self, _: object, __: object, output: Any) -> None:
        self.last = output.logits

    def difference(self, inputs: dict[str, Tensor]) -> float:
        """Relative difference from an unwatched run; a trace may ask for the last rows only."""
        traced = self.last
        assert traced is not None
        with torch.no_grad():
            plain = call(self.model, inputs).logits
        there = plain[:, -traced.shape[1] :]
        return float((there - traced).abs().max() / plain.abs().max().clamp_min(1e-6))


def _first_inputs(model: Any) -> dict[str, Tensor]:
    """Arguments of a forward over the first text, by transformers alone."""
    spell = tokenizer()
    sides = [[spell(TEXTS[0]).input_ids]]
    if model.config.is_encoder_decoder:
        start = model.config.decoder_start_token_id
        sides.append([[start, *spell(TARGETS[0]).input_ids[:-1]]])
    return batch_inputs(sides, left=False)


def batch_inputs(sides: Sequence[list[list[int]]], *, left: bool) -> dict[str, Tensor]:
    """Arguments of a forward over texts (and targets), padded where their lengths differ."""
    inputs: dict[str, Tensor] = {}
    for prefix, sequences in zip(("", "decoder_"), sides, strict=False):
        longest = max(map(len, sequences))
        ids = torch.zeros(len(sequences), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, sequence in enumerate(sequences):
            here = slice(longest - len(sequence), None) if left else slice(len(sequence))
            ids[i, here], mask[i, here] = torch.tensor(sequence), 1
        inputs[f"{prefix}input_ids"] = ids
        if not mask.all():
            inputs[f"{prefix}attention_mask"] = mask
    if left and "attention_mask" in inputs:
        inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp_min(0)
    return inputs
