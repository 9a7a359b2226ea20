"""What every head is needed for: one number of the output, with each head switched off alone.

The text runs in copies side by side, a head off in each; the layers below the switch put out what
they did in the whole run, so they are not computed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.asking import Off
from glasshead_backend.checks import require
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.progress import steps
from glasshead_backend.questions.edited_copies import Copies
from glasshead_backend.questions.interventions import Means, head_slices, require_whole_text
from glasshead_backend.questions.predictions import logits_row
from glasshead_backend.questions.target import target_of
from glasshead_backend.running.edits import Edit

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from jaxtyping import Bool, Float
    from torch import Tensor

    from glasshead_backend.anatomy.projections import HeadSlice
    from glasshead_backend.asking import Kind
    from glasshead_backend.questions.target import Quantity, Target
    from glasshead_backend.tracing.run import Run


@travels
@dataclass(frozen=True, eq=False, repr=False)
class HeadEffects(ShownAsTable):
    """How one number of the output changes when a head is switched off.

    Attributes
    ----------
    kind : str
        Kind of attention.
    layers : tuple of int
        The model's own layer numbers.
    values : Tensor
        ``[layers, heads]`` float32 on the CPU: the target without the head minus the target with
        it, in :attr:`unit`; below zero = the head speaks for it. NaN where a layer has no such
        head, and in a layer whose heads cannot be switched one by one.
    target : Target
        The number that is looked at.
    token, against : str
        Text of the target's tokens; "" = there is none to compare with.
    whole : float
        The target with all heads.
    how : {"zero", "mean"}
        What stood in the place of a head.
    unclear : dict
        By layer, why its heads could not be switched one by one.
    """

    kind: Kind
    layers: tuple[int, ...]
    values: Float[Tensor, "layer head"]
    target: Target
    token: str
    against: str
    whole: float
    how: Off
    unclear: dict[int, str]

    @property
    def unit(self) -> str:
        """What :attr:`values` are counted in."""
        return self.target.unit

    @property
    def what(self) -> str:
        """The number that is looked at: "log-probability", "logit" or "logit difference"."""
        if self.against:
            return "logit difference"
        return "logit" if self.target.quantity == "logit" else "log-probability"

    def in_words(self) -> str:
        """Say what is looked at: "the log-probability of “whale” at position 7"."""
        named = f"“{self.token.strip() or self.token}”"
        other = f" minus “{self.against.strip() or self.against}”" if self.against else ""
        return f"the {self.what} of {named}{other} at position {self.target.position}"

    def _what(self) -> str:
        return f"HeadEffects of {self.kind} attention on {self.in_words()}, {self.unit}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per head, those without which the target is lowest first."""
        layer, head = torch.nonzero(~self.values.isnan(), as_tuple=True)
        found = table(
            {
                "layer": [self.layers[i] for i in layer.tolist()],
                "head": head.numpy(),
                "effect": self.values[layer, head].numpy(),
            }
        )
        return found.sort_values("effect", kind="stable").reset_index(drop=True)


@answered
def head_effects(
    run: Run,
    *,
    position: int | None = None,
    token: int | str | None = None,
    against: int | str | None = None,
    quantity: Quantity = "log_probability",
    kind: Kind | None = None,
    how: Off = "zero",
    partial: Callable[[HeadEffects], object] = lambda found: found,
) -> HeadEffects:
    """Switch each head off alone; see :meth:`Trace.head_effects`.

    `partial` makes of the layers done what progress callbacks look at.
    """
    require_whole_text(run)
    require(how, get_args(Off), "how")
    kind, stack = run.kind(kind), run.stack(kind)  # noqa: PD013  not pandas'
    target = target_of(run, position, token, against, quantity)
    layers = run.layers(kind)
    places = head_slices(run)[kind]
    can = {layer: one for layer, one in places.items() if not isinstance(one, str)}
    unclear = {layer: one for layer, one in places.items() if isinstance(one, str)}
    if not can:
        raise ValueError(
            f"Heads of {run.model_class} cannot be switched one by one: "
            f"{next(iter(unclear.values()))}."
        )
    copies = Copies.of(run, target)
    fills = _fills(run, can, how)
    most = max(run.call(layer, kind).n_heads for layer in layers)
    values = torch.full((len(layers), most), torch.nan)
    token_text, *rest = run.subject.spelled(
        [t for t in (target.token, target.against) if t is not None]
    )
    whole = float(target.of(logits_row(run, target.row)))

    def found() -> HeadEffects:
        against_text = rest[0] if rest else ""
        return HeadEffects(
            kind,
            tuple(layers),
            values.clone(),
            target,
            token_text,
            against_text,
            whole,
            how,
            unclear,
        )

    size = copies.at_once
    parts = [
        (layer, place, heads)
        for layer, place in can.items()
        for heads in torch.arange(place.n_heads).split(size)
    ]
    for layer, place, heads in steps(
        parts, "switching heads off", len(parts), lambda: partial(found())
    ):
        off = torch.zeros(len(heads), place.n_heads, dtype=torch.bool)
        off[torch.arange(len(heads)), heads] = True
        # Which run of a module it is, is counted from the first layer on.
        start = 0 if place.run else copies.place_of(stack, layer)
        edit = _one_off_in_each(place, off, fills.get(layer))
        with_one_off = copies.targets(
            len(heads), [edit], start, tokens_first=place.rows.tokens_first
        )
        values[layers.index(layer), heads] = with_one_off.float().cpu() - whole
    return found()


def _fills(run: Run, places: dict[int, HeadSlice], how: Off) -> dict[int, Tensor]:
    means = Means(run, how == "mean")
    for place in places.values():
        means.watch(place, place.module, place.run, "input", place.rows)
    with run.model_again() as model:
        means.take(model, None)
    of_layer = {layer: means.of(place) for layer, place in places.items()}
    return {layer: mean for layer, mean in of_layer.items() if mean is not None}


def _one_off_in_each(place: HeadSlice, off: Bool[Tensor, "copy head"], fill: Tensor | None) -> Edit:
    """Return the edit that switches other heads off in each copy."""
    n_copies = len(off)

    def edit(given: Tensor) -> Tensor:
        apart = place.split(given)
        mask = off.to(given.device)[..., None]
        if given.dim() == 2:  # noqa: PLR2004  some flatten the batch
            mask = mask.repeat_interleave(len(given) // n_copies, dim=0)
        else:
            mask = mask[None] if place.rows.tokens_first else mask[:, None]
        filled = 0.0 if fill is None else place.split(fill.to(given))
        return torch.where(mask, filled, apart).flatten(-2)

    return Edit(place.module, edit, "input", place.run)
