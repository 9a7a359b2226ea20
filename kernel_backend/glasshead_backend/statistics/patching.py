"""Activation patching: where what tells two texts apart becomes the answer.

Of two texts of one length the model answers the clean one as it should, and the corrupted one
otherwise. In a run of the corrupted text an activation of the clean one takes the place of its own,
at one layer and one token: the more of the answer comes back, the more of what matters is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import positions as checked_positions
from glasshead_backend.checks import require, several
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.progress import reporting, steps
from glasshead_backend.questions.activations import sequence_of
from glasshead_backend.questions.patching import (
    Patching,
    Site,
    What,
    given_at,
    in_words,
    put_of,
    sites_of,
)
from glasshead_backend.questions.patching_target import patching_target, require_alike
from glasshead_backend.trace import Trace, run_of
from glasshead_backend.tracing.run import layer_names
from glasshead_backend.tracing.together import run_together

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.questions.target import Quantity, Target
    from glasshead_backend.text.sequences import Sequence as TokenSequence
    from glasshead_backend.tracing.run import Run

__all__ = ["Patched", "patch"]

_NOISE = {torch.float16: 2e-3, torch.bfloat16: 1e-2}
_FLOAT32 = 1e-4
"""Of the target, relative to its size: what two runs differ in though they mean the same."""


@travels
@dataclass(frozen=True, eq=False, repr=False)
class Patched(ShownAsTable):
    """What putting activations of a clean run into a corrupted one does to a prediction.

    Attributes
    ----------
    clean, corrupted : Trace
    what : {"residual", "attention", "mlp", "head"}
    kind : str
        Kind of attention; it picks the stack of layers.
    layers : tuple of int
        Rows, the model's own numbers.
    positions : tuple of int
        Tokens at which something was put in: the columns, or (heads) all of them at once.
    heads : tuple of int or None
        Columns where heads are put in.
    target : Target
        What is looked at: a log-probability (nats) or a logit, or the difference of two tokens'.
    f_clean, f_corrupted : float
        The target in the two runs.
    values : Tensor
        ``[layers, columns]`` float32: the target in each patched run; NaN where there is none.
    note : str
        What was chosen by itself, or left out; "" = nothing.
    """

    clean: Trace
    corrupted: Trace
    what: What
    kind: Kind
    layers: tuple[int, ...]
    positions: tuple[int, ...]
    heads: tuple[int, ...] | None
    target: Target
    f_clean: float
    f_corrupted: float
    values: Float[Tensor, "layer column"]
    note: str = ""

    @property
    def recovered(self) -> Float[Tensor, "layer column"]:
        """Share of the difference between the two runs that is back: 0 = nothing, 1 = all of it.

        ``(f_patched - f_corrupted) / (f_clean - f_corrupted)``; it may be below 0 or above 1.
        """
        return (self.values - self.f_corrupted) / (self.f_clean - self.f_corrupted)

    @property
    def unit(self) -> str:
        """Of the target: "nats" or "logits"."""
        return self.target.unit

    @property
    def columns(self) -> tuple[int, ...]:
        """Heads, where they are put in, else positions."""
        return self.positions if self.heads is None else self.heads

    @property
    def sequence(self) -> TokenSequence:
        """The tokens that positions are of, in the clean run."""
        return sequence_of(run_of(self.clean), self.kind)

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each patched run.

        Columns ``layer``; ``position``, ``clean`` and ``corrupted`` (the tokens there), or
        ``head``; ``patched`` (the target) and ``recovered``.
        """
        n_layers, n_columns = self.values.shape
        index = torch.arange(n_columns).repeat(n_layers)
        columns = torch.tensor(self.columns, dtype=torch.int64)[index]
        there = ~self.values.flatten().isnan()
        other = sequence_of(run_of(self.corrupted), self.kind)
        named = (
            {
                "position": columns,
                "clean": [self.sequence.tokens[i].text for i in columns],
                "corrupted": [other.tokens[i].text for i in columns],
            }
            if self.heads is None
            else {"head": columns}
        )
        layers = torch.tensor(self.layers).repeat_interleave(n_columns)
        frame = table(
            {
                "layer": layers,
                **named,
                "patched": self.values.flatten().numpy(),
                "recovered": self.recovered.flatten().numpy(),
            }
        )
        return frame[there.numpy()].reset_index(drop=True)

    def _what(self) -> str:
        return (
            f"{self.target_in_words}: {self.f_clean:.3f} {self.unit} in the clean run, "
            f"{self.f_corrupted:.3f} in the corrupted one; {in_words(self.what, self.kind)} put in"
        )

    @property
    def target_in_words(self) -> str:
        """What is looked at, and where."""
        target = self.target
        asked = [target.token] if target.against is None else [target.token, target.against]
        said = [text.strip() or text for text in self.clean.lens.spelled(asked)]
        place = run_of(self.clean).sides.scored.tokens
        behind = target.position >= len(place)
        where = "behind the last token" if behind else f"at position {target.position}"
        if target.against is None:
            of = target.quantity.replace("_", "-")
            return f"{of} of “{said[0]}” {where}"
        return f"logit of “{said[0]}” minus that of “{said[1]}” {where}"

    def trace(self, layer: int, column: int) -> Trace:
        """Run one of the patched texts again, and record it: its attention, its predictions.

        Parameters
        ----------
        layer : int
        column : int
            Position, or head.

        Returns
        -------
        Trace
            Of the corrupted text. Whatever is asked of it is asked of the model with this put in.

        Raises
        ------
        ValueError
            For a place that is not in the grid.
        ModelChangedError
            When the model has changed since the texts were traced.
        """
        if layer not in self.layers or column not in self.columns:
            one = "position" if self.heads is None else "head"
            there = layer_names(list(self.columns)).partition(" ")[2]
            raise ValueError(
                f"Layer {layer}, {one} {column} was not patched: the grid has "
                f"{layer_names(list(self.layers))} and {one}s {there}."
            )
        clean, corrupted = run_of(self.clean), run_of(self.corrupted)
        site = sites_of(corrupted, self.what, self.kind)[layer]
        assert not isinstance(site, str)
        if column >= site.n_heads > 1:
            raise ValueError(f"Layer {layer} has heads 0-{site.n_heads - 1}, no head {column}.")
        positions = [column] if self.heads is None else self.positions
        heads = None if self.heads is None else [column]
        put = put_of(site, given_at(clean, [site]), positions, heads)
        corrupted.state.require_same()
        edits = [*corrupted.edits, *put.edits()]
        return Trace(run_together(corrupted.subject, [corrupted.sides], edits=edits)[0])


@answered
def patch(
    clean: Trace,
    corrupted: Trace,
    what: What = "residual",
    *,
    position: int | None = None,
    token: int | str | None = None,
    against: int | str | None = None,
    quantity: Quantity = "log_probability",
    kind: Kind | None = None,
    positions: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
    progress: Progress | bool | None = None,
) -> Patched:
    """Put activations of a clean run into a corrupted one, place by place, and see what comes back.

    The model is left as it was found. Many patched runs go through it at once, and the layers in
    front of what is put in are not run again.

    Parameters
    ----------
    clean, corrupted : Trace
        Of one lens, and of as many tokens.
    what : {"residual", "attention", "mlp", "head"}
        What is put in: the residual stream behind a layer (``trace.hidden_states(layer)``), what
        its attention block or its MLP adds to it, all at one token; or what one head gathers,
        before the output projection, at all tokens.
    position : int, optional
        Place of the predicted token, as for :meth:`Trace.top_k`. Default: behind the last token; of
        a target of an encoder-decoder model the first place where the two runs expect different
        tokens, else the last.
    token : int or str, optional
        Id, or text. Default: what the clean run expects there most.
    against : int or str, optional
        A token whose logit is taken off. Default, where no token is given either: what the
        corrupted run expects most, if that is another.
    quantity : {"log_probability", "logit"}
        Of a single token.
    kind : str, optional
        One of the trace's kinds of attention; it picks the stack of layers and, of an
        encoder-decoder model, which attention. Default as for :meth:`Trace.attention`.
    positions : sequence of int, optional
        Tokens wanted; default all.
    layers : sequence of int, optional
        Layers wanted; default all that have it.
    progress : callable or bool, optional
        As for :meth:`Trace.attention`.

    Returns
    -------
    Patched
        ``[layers, positions]`` or ``[layers, heads]``, with ``.recovered``, ``.to_frame()`` and
        ``.trace(layer, position)``.

    Raises
    ------
    TypeError
        For something that is no trace.
    ValueError
        For texts of different length, of different models, or between which the target does not
        differ; where the model makes no prediction, and where it does not let it be put in.
    ModelChangedError
        When the model has changed since the texts were traced.
    MemoryBudgetError
        When one copy of the text takes more memory than it may.

    Examples
    --------
    >>> from glasshead import Lens, patch
    >>> lens = Lens.demo("decoder")
    >>> clean, corrupted = lens.trace("the white whale"), lens.trace("the white ship")
    >>> patch(clean, corrupted, "residual").values.shape
    torch.Size([2, 4])
    """
    require(what, get_args(What), "what")
    for one in (clean, corrupted):
        if not isinstance(one, Trace):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"patch puts one trace into another, got {type(one).__name__}. Trace both texts "
                "with one lens: lens.trace(text)."
            )
    ours, theirs = run_of(clean), run_of(corrupted)
    require_alike(ours, theirs)
    target, note = patching_target(ours, theirs, position, token, against, quantity)
    kind = ours.kind(kind)
    sites, left_out = _sites(theirs, what, kind, layers)
    n_tokens = len(sequence_of(theirs, kind).tokens)
    places = checked_positions(
        None if positions is None else several(positions, "position"), n_tokens
    )
    places = sorted(set(places))
    if not places:
        raise ValueError("There is nothing to put in: positions is empty.")
    with reporting(progress):
        patching = Patching.of(ours, theirs, sites, target)
        most = max(site.n_heads for site in sites.values())
        heads = tuple(range(most)) if what == "head" else None
        begun = Patched(
            clean=clean,
            corrupted=corrupted,
            what=what,
            kind=kind,
            layers=tuple(sites),
            positions=tuple(places),
            heads=heads,
            target=target,
            f_clean=patching.f_clean,
            f_corrupted=patching.f_corrupted,
            values=torch.full((len(sites), len(heads or places)), torch.nan),
            note=" ".join(filter(None, (note, left_out))),
        )
        _require_difference(begun)
        rows = begun.values
        for i, layer in enumerate(
            steps(
                sites,
                lambda done: f"patching layer {begun.layers[min(done, len(sites) - 1)]}",
                len(sites),
                lambda: replace(begun, values=rows.clone()),
            )
        ):
            own = range(sites[layer].n_heads) if heads else None
            found = patching.row(layer, places, own)
            rows[i, : len(found)] = found
    return begun


def _sites(
    run: Run, what: What, kind: Kind, layers: Sequence[int] | None
) -> tuple[dict[int, Site], str]:
    """Return where something can be put in, and say of which layers it cannot."""
    found = sites_of(run, what, kind)
    name, words = run.subject.name, in_words(what, kind)
    there = [layer for layer, site in found.items() if isinstance(site, Site)]
    reasons = {layer: why for layer, why in found.items() if isinstance(why, str)}
    if not there:
        why = next(iter(reasons.values()), "no layer has it")
        raise ValueError(f"{words[0].upper()}{words[1:]} cannot be put into {name}: {why}.")
    wanted = there if layers is None else sorted(set(several(layers, "layer")))
    if not wanted:
        raise ValueError("There is nothing to put in: layers is empty.")
    for layer in wanted:
        if layer in reasons:
            raise ValueError(
                f"{words[0].upper()}{words[1:]} cannot be put into layer {layer} of {name}: "
                f"{reasons[layer]}."
            )
        if layer not in there:
            raise ValueError(
                f"layer {layer} is out of range: {name} has {layer_names(there)} where {words} "
                "can be put in."
            )
    sites = {layer: site for layer in wanted if isinstance(site := found[layer], Site)}
    left = {} if layers is not None else reasons
    said = f"Left out: {layer_names(sorted(left))} ({next(iter(left.values()))})." if left else ""
    return sites, said


def _require_difference(patched: Patched) -> None:
    """Refuse a target that the two runs do not differ in: nothing could come back."""
    one, other = patched.f_clean, patched.f_corrupted
    dtype = patched.clean.lens.model.dtype
    noise = _NOISE.get(dtype, _FLOAT32) * max(1.0, abs(one), abs(other))
    if abs(one - other) > noise:
        return
    ids = [
        [token.id for of in trace.sequences for token in of.tokens]
        for trace in (patched.clean, patched.corrupted)
    ]
    same = "The two texts are the same. " if ids[0] == ids[1] else ""
    raise ValueError(
        f"{same}The {patched.target_in_words} is {one:.4g} in the clean run and {other:.4g} in the "
        "corrupted one: there is nothing that could come back. Choose a token (token=), or two "
        "(against=), that the two runs expect differently."
    )
