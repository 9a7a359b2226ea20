"""Parity that holds on every machine: against a float64 run of the model's own eager code.

In float32 two ways to compute the same attention differ by rounding, which peaked heads of random
models magnify a thousandfold from layer to layer, and which no two processors do alike. So the
numbers that are compared with are those of the model's eager code in float64, where that noise is
gone: ours must be the same in float64; in float32 they may miss it by no more than eager itself.
"""

from __future__ import annotations

import copy
import math
import sys
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import PreTrainedModel
    from typing_extensions import Self

EXACT = 1e-9
"""Largest difference from the reference in float64."""

NOISE = 1e-6
"""What float32 may miss the reference by where eager's own float32 hits it."""


class Float64Throughout(TorchFunctionMode):
    """Lets a model in float64 compute in float64 where its file casts to float32.

    Many files cast their softmax, norms, routers and rotations to float32, whatever the model's
    dtype. SDPA does not, so a single rounding would set the two apart, and be magnified like those
    of float32. Only what transformers' own code asks for is changed, nothing in Glasshead; tensors
    made without a dtype are float64, too.
    """

    def __enter__(self) -> Self:
        self._default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        return super().__enter__()

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        torch.set_default_dtype(self._default)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        casts = func is Tensor.float or torch.float32 in [
            one for one in (*args, *kwargs.values()) if isinstance(one, torch.dtype)
        ]
        if not casts or not _asked_by_transformers():
            return func(*args, **kwargs)
        func = Tensor.double if func is Tensor.float else func
        return func(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()})


def _wide(argument: Any) -> Any:
    return torch.float64 if argument is torch.float32 else argument


def _asked_by_transformers() -> bool:
    frame: Any = sys._getframe(2)
    while (
        frame.f_globals["__name__"].startswith("torch") or "torch_function" in frame.f_code.co_name
    ):
        frame = frame.f_back
    return frame.f_globals["__name__"].startswith("transformers")


def nudged(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Return a copy whose weights are off by one in their last bit, up or down at random."""
    copied = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in copied.parameters():
            sign = torch.randint(2, parameter.shape, generator=generator) * 2 - 1
            parameter.copy_(parameter.nextafter(sign * torch.inf))
    return copied


def in_float64(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy in float64, with the very same numbers."""
    double = copy.deepcopy(model).double()
    if hasattr(double, "set_experts_implementation"):  # that of float32 knows no float64
        double.set_experts_implementation("eager")
    return double


def rounded_differently(model: PreTrainedModel) -> list[PreTrainedModel]:
    """Return the model and a few that differ from it by rounding only."""
    return [model, *(nudged(model, seed) for seed in range(3))]


@dataclass(frozen=True)
class Errors:
    """Largest differences from the float64 run of the model's eager code.

    Attributes
    ----------
    float64 : float
        Of ours, of the model in float64.
    float32 : float
        Of ours, of the model in float32.
    eager : float
        Of eager's own, in float32: the largest of a few runs that are rounded differently, of the
        model and of :func:`nudged` ones. A single run may be lucky on one processor.
    """

    float64: float
    float32: float
    eager: float

    @property
    def problem(self) -> str:
        """What is wrong; empty = nothing."""
        if not self.float64 <= EXACT:
            return f"differs by {self.float64:.1e} in float64"
        if not self.float32 <= 2 * self.eager + NOISE or math.isinf(self.eager):
            return f"errs by {self.float32:.1e} in float32, eager itself by {self.eager:.1e}"
        return ""

    def worse(self, other: Errors) -> Errors:
        """The larger one of each."""
        return Errors(*map(max, astuple(self), astuple(other)))


def errors(
    model: PreTrainedModel,
    ours: Callable[[PreTrainedModel], Sequence[Tensor]],
    eager: Callable[[PreTrainedModel], Sequence[Tensor]],
) -> Errors:
    """Have the same numbers from Glasshead and from eager code, in float32 and in float64.

    Parameters
    ----------
    model : PreTrainedModel
        In float32.
    ours, eager : callable
        Given a model, return the numbers.
    """
    double = in_float64(model)
    with Float64Throughout():
        reference = eager(double)
        found = ours(double)
    return Errors(
        float64=apart(found, reference),
        float32=apart(ours(model), reference),
        eager=max(apart(eager(one), reference) for one in rounded_differently(model)),
    )


def apart(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """Largest difference; infinite where shapes or undefined numbers do."""
    if len(some) != len(others):
        return float("inf")
    return max(map(_difference, some, others))


def _difference(one: Tensor, other: Tensor) -> float:
    if one.shape != other.shape or not torch.equal(one.isnan(), other.isnan()):
        return float("inf")
    return float((one.double() - other.double()).nan_to_num(0.0).abs().max())
