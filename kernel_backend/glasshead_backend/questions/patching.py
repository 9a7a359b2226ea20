"""What of one run makes a difference in another: activations of the one, put into the other.

The corrupted text runs in many copies, and in each something else of the clean run takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch

from glasshead_backend.answering import answered_once
from glasshead_backend.progress import steps
from glasshead_backend.questions.edited_copies import Copies
from glasshead_backend.questions.interventions import head_slices
from glasshead_backend.questions.predictions import logits_row
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.edits import Edit, edited
from glasshead_backend.running.forward import forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jaxtyping import Float, Int
    from torch import Tensor, nn

    from glasshead_backend.anatomy.contributions import Rows
    from glasshead_backend.asking import Kind, Stack
    from glasshead_backend.questions.target import Target
    from glasshead_backend.tracing.run import Run

What = Literal["residual", "attention", "mlp", "head"]


def in_words(what: What, kind: Kind) -> str:
    """Say what is put in."""
    if what == "attention" and kind == "cross":
        return "what cross-attention adds"
    return {
        "residual": "the residual stream behind the layer",
        "attention": "what the attention block adds",
        "mlp": "what the MLP adds",
        "head": "what one head gathers",
    }[what]


@dataclass(frozen=True, eq=False)
class Tap:
    """A tensor that a module is given or puts out."""

    module: nn.Module
    run: int
    side: Literal["input", "output"] = "output"


@dataclass(frozen=True, eq=False)
class Site:
    """What can be put into another run at one layer.

    Attributes
    ----------
    stack, layer
        Where it is.
    taps : tuple of Tap
        What is replaced; all of it at once.
    rows : Rows
        Where the tokens are in it.
    n_heads : int
        How many heads lie side by side in it; 1 where it is no matter of heads.
    """

    stack: Stack
    layer: int
    taps: tuple[Tap, ...]
    rows: Rows
    n_heads: int = 1


def sites_of(run: Run, what: What, kind: Kind) -> dict[int, Site | str]:
    """Return where something can be put in, by layer, or the reason why it cannot.

    Layers that do not have it are left out.
    """
    if what == "head":
        return _sites_of_heads(run, kind)
    known = run.anatomy.structure.contributions
    stack = run.stack(kind)
    block = "cross" if what == "attention" and kind == "cross" else what
    found: dict[int, Site | str] = {
        layer: why
        for (of, layer, named), why in known.unclear.items()
        if (of, named) == (stack, block)
    }
    for writer in known.streams if what == "residual" else known.writers:
        if (writer.stack, writer.block) == (stack, block):
            taps = [Tap(one.module, one.run) for one in writer.parts if one.module is not None]
            found[writer.layer] = Site(stack, writer.layer, tuple(taps), writer.rows)
    return dict(sorted(found.items()))


@answered_once
def heads_by_site(run: Run, what: What, kind: Kind) -> dict[int, int | str]:
    """Return by layer how many heads lie side by side in a site, or why nothing can be put in."""
    found = sites_of(run, what, kind)
    return {layer: one if isinstance(one, str) else one.n_heads for layer, one in found.items()}


def _sites_of_heads(run: Run, kind: Kind) -> dict[int, Site | str]:
    return {
        layer: one
        if isinstance(one, str)
        else Site(
            run.stack(kind), layer, (Tap(one.module, one.run, "input"),), one.rows, one.n_heads
        )
        for layer, one in head_slices(run)[kind].items()
    }


@dataclass(frozen=True, eq=False)
class Put:
    """What is put into a run: of one site some heads at some tokens, in each copy others.

    Attributes
    ----------
    site : Site
    given : dict
        What there was at each tap in the run that it comes from, ``[rows, width]``.
    positions : Tensor
        ``[copies, tokens]`` int64; a single copy stands for all.
    heads : Tensor
        ``[copies]`` int64: a head of each; 0 where it is no matter of heads.
    """

    site: Site
    given: dict[Tap, Float[Tensor, "row width"]]
    positions: Int[Tensor, "copy token"]
    heads: Int[Tensor, " copy"]

    def edits(self) -> list[Edit]:
        """Write it as edits of a model."""
        return [Edit(tap.module, self._into(tap), tap.side, tap.run) for tap in self.site.taps]

    def of(self, copies: slice) -> Put:
        """Return the part of some copies."""
        return replace(self, positions=self.positions[copies], heads=self.heads[copies])

    def _into(self, tap: Tap) -> Callable[[Tensor], Tensor]:
        rows, n_heads, own = self.site.rows, self.site.n_heads, self.given[tap]
        there, head = self.positions[:, :, None], self.heads[:, None, None]
        values = own.unflatten(-1, (n_heads, -1))[there, head]

        def put(tensor: Tensor) -> Tensor:
            new = tensor.clone(memory_format=torch.contiguous_format)
            n_copies = new.numel() // ((len(own) + rows.first) * new.shape[-1])
            copies = torch.arange(n_copies, device=new.device)[:, None, None]
            seen = rows.of(new, n_copies).unflatten(-1, (n_heads, -1))
            seen[copies, there.to(new.device), head.to(new.device)] = values.to(new)
            return new

        return put


@dataclass(frozen=True, eq=False)
class Patching:
    """Two runs, ready to put what is in the one into the other.

    Attributes
    ----------
    copies : Copies
        Of the corrupted text.
    sites : dict
        By layer.
    given : dict
        What the clean run had at each tap.
    f_clean, f_corrupted : float
        The target in the two runs.
    """

    copies: Copies
    sites: dict[int, Site]
    given: dict[Tap, Float[Tensor, "row width"]]
    f_clean: float
    f_corrupted: float

    @classmethod
    def of(cls, clean: Run, corrupted: Run, sites: dict[int, Site], target: Target) -> Patching:
        """Run both texts once more, and keep what is needed of them."""
        copies = Copies.of(corrupted, target)
        copies.at_once  # noqa: B018  says so where there is no room
        f_clean, f_corrupted = (
            float(target.of(logits_row(run, target.row))) for run in (clean, corrupted)
        )
        return cls(copies, sites, given_at(clean, sites.values()), f_clean, f_corrupted)

    def row(
        self, layer: int, positions: Sequence[int], heads: Sequence[int] | None = None
    ) -> Float[Tensor, " column"]:
        """Put one layer's activations in: each position by itself, or each head at all of them.

        Returns
        -------
        Tensor
            float32 on the CPU: the target, for every position (or head).
        """
        put = put_of(self.sites[layer], self.given, positions, heads)
        size, n_columns = self.copies.at_once, len(put.heads)
        parts = [slice(start, start + size) for start in range(0, n_columns, size)]
        start, tokens_first = self._start(put.site), put.site.rows.tokens_first
        found: list[Tensor] = []
        for part in steps(parts, f"patching layer {layer}", len(parts)):
            own = put.of(part)
            edits, n_copies = own.edits(), len(own.heads)
            found.append(self.copies.targets(n_copies, edits, start, tokens_first=tokens_first))
        return torch.cat(found).float().cpu()

    def _start(self, site: Site) -> int:
        """Return how many calls of layers stand in front of what is put in."""
        layer = self.copies.run.anatomy.structure.stacks[site.stack][site.layer]
        place = self.copies.place_of(site.stack, site.layer)
        if all(tap.module is layer for tap in site.taps):
            return place + 1
        # Which run of a module it is, is counted from the first layer on.
        return 0 if any(tap.run for tap in site.taps) else place


def put_of(
    site: Site,
    given: dict[Tap, Float[Tensor, "row width"]],
    positions: Sequence[int],
    heads: Sequence[int] | None = None,
) -> Put:
    """Put in each position in a copy of its own, or each head, at all positions."""
    device = given[site.taps[0]].device
    places = torch.tensor(positions, device=device)
    if heads is None:
        return Put(site, given, places[:, None], torch.zeros_like(places))
    many = torch.tensor(heads, device=device)
    return Put(site, given, places.expand(len(many), -1), many)


def given_at(run: Run, sites: Iterable[Site]) -> dict[Tap, Float[Tensor, "row width"]]:
    """Run a text once more, and return what there is at some sites."""
    kept: dict[Tap, Tensor] = {}

    def noting(tap: Tap, rows: Rows) -> Edit:
        def note(tensor: Tensor) -> Tensor:
            kept[tap] = rows.of(tensor.detach(), 1)[0].clone()
            return tensor

        return Edit(tap.module, note, tap.side, tap.run)

    notes = [noting(tap, site.rows) for site in sites for tap in site.taps]
    with run.model_again() as model, for_a_trace(model), edited(model, [*run.edits, *notes]):
        forward(model, run.inputs)
    return kept
