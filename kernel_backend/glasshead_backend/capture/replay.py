"""Weights of attention modules that compute everything by themselves: run them once more.

Some architectures (GPT-J, BLOOM, DeBERTa, XLNet ...) do not ask transformers for an attention
function. Of their attention modules the inputs are kept, by reference; when somebody asks for
weights, that one module runs again while its softmax is tapped. That costs what one layer of the
model costs, heads x queries x keys once, and the last module's result is kept for the next
question.
"""

from __future__ import annotations

import weakref
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glasshead_backend.capture.call import AttentionCall, answer_dtype
from glasshead_backend.capture.seen_products import Inside, seen_products
from glasshead_backend.capture.softmax import CapturedCall
from glasshead_backend.capture.tap import (
    FusedAttention,
    Layout,
    SoftmaxTap,
    arrange,
    layout_of,
)
from glasshead_backend.capture.unfold import LinearInValues
from glasshead_backend.running.as_found import autocast_now, for_a_trace, lock_of
from glasshead_backend.running.hooks import here, version_of
from glasshead_backend.running.transformers_versions import is_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Iterator, Sequence

    from jaxtyping import Bool, Float
    from typing_extensions import Self

    from glasshead_backend.asking import Precision
    from glasshead_backend.capture.call import Path
    from glasshead_backend.running.same_model import ModelState

_WHOLE = 0.999
"""A row that sums to less has looked at something else than the tokens, too."""

_DIMS = 3
"""Hidden states are ``[batch, tokens, hidden]``, or tokens come first."""

_HIDDEN = -1000.0
"""Scores that a key has which is hidden, and no other with a weight of zero."""


@dataclass(frozen=True, eq=False)
class Reader:
    """How to read the attention of one module when it runs once more.

    Attributes
    ----------
    module : nn.Module
    layout : Layout or None
        Order of the axes of its softmax; None when it calls torch's fused attention, whose query
        and key are then read.
    n_heads : int
    n_streams : int
        Times that the queries stand behind each other in its map; the first are the tokens'
        (ProphetNet's others predict tokens further ahead).
    values : nn.Module or None
        The value projection of attention in bands or blocks, by which its rows are unfolded.
    first_token : int
        Where the text begins in a module of attention in bands or blocks (behind its padding).
    changes_inputs : bool
        Whether the model writes into the module's inputs afterwards: they must be copied.
    """

    module: nn.Module
    layout: Layout | None
    n_heads: int
    n_streams: int = 1
    values: nn.Module | None = None
    first_token: int = 0
    changes_inputs: bool = False


@dataclass(eq=False)
class Replays:
    """What the replays of one recording share: the model, and the last module's result."""

    model: Any
    batch: int
    # What the model was when it was recorded; none while it is being probed.
    state: ModelState | None = None
    # Of the replay only a weak reference: it holds this, and both should go at once.
    last: tuple[weakref.ref[Replay], CapturedCall | tuple[Tensor | None, Tensor]] | None = None
    # The same of the last module whose query and key were looked for.
    last_products: tuple[weakref.ref[Replay], CapturedCall | None] | None = None


@dataclass(eq=False)
class Replay:
    """The inputs of one call of an attention module, by reference."""

    reader: Reader
    shared: Replays
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    versions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.versions = self._versions()
        self._autocast = autocast_now(self.device)

    @property
    def module(self) -> nn.Module:
        """The module that was called."""
        return self.reader.module

    @property
    def device(self) -> torch.device:
        """Where the module runs."""
        given = (*self.args, *self.kwargs.values())
        return next(value.device for value in given if isinstance(value, Tensor))

    @property
    def dtype(self) -> torch.dtype:
        """What the module computes in: that of its hidden states."""
        given = (*self.args, *self.kwargs.values())
        floating = (v.dtype for v in given if isinstance(v, Tensor) and v.is_floating_point())
        return next(floating, torch.float32)

    @property
    def changed(self) -> bool:
        """Whether something was written into the inputs since they were kept."""
        return self._versions() != self.versions

    def belongs_to(self, model: ModelState, storages: Container[int]) -> None:
        """Note the model that was recorded: it must be the same when the module runs again."""
        del storages  # that model's parameters may be among the inputs
        self.shared.state = model

    def _versions(self) -> tuple[int, ...]:
        return tuple(map(version_of, _tensors_in((self.args, self.kwargs))))

    @property
    def nbytes(self) -> int:
        """Bytes of the inputs, and of the last result; what layers share counts each time."""
        last = self.shared.last
        result = last[1] if last is not None and last[0]() is self else ()
        made = result.nbytes if isinstance(result, CapturedCall) else _bytes_in(result)
        seen = self.shared.last_products
        if seen is not None and seen[0]() is self and seen[1] is not None:
            made += seen[1].nbytes + _bytes_in((seen[1].mask, seen[1].options))
        return _bytes_in((self.args, self.kwargs)) + made

    def result(self, n_queries: int, n_keys: int) -> CapturedCall | tuple[Tensor | None, Tensor]:
        """Run the module, unless it was the last one that ran.

        Returns
        -------
        CapturedCall or (Tensor or None, Tensor)
            Query and key of torch's fused attention, or scores (None where there are none) and
            weights, ``[batch, heads, queries, keys]``.
        """
        with lock_of(self.shared.model):
            last = self.shared.last
            if last is None or last[0]() is not self:
                self.shared.last = None  # free it before the next one is made
                this: weakref.ref[Replay] = weakref.ref(self)
                if self.shared.state is not None:
                    self.shared.state.require_same()
                self.shared.last = last = (this, self._run(n_queries, n_keys))
            return last[1]

    def query_and_key(self, n_queries: int, n_keys: int) -> CapturedCall | None:
        """Return the query and key that make the scores of the module; None where none do.

        Runs it a few times more, unless it was the last one that was looked into.
        """
        result = self.result(n_queries, n_keys)
        if isinstance(result, CapturedCall):
            return result
        if result[0] is None:
            return None
        with lock_of(self.shared.model):
            last = self.shared.last_products
            if last is None or last[0]() is not self:
                self.shared.last_products = None
                this: weakref.ref[Replay] = weakref.ref(self)
                if self.shared.state is not None:
                    self.shared.state.require_same()
                size = self.shared.batch, n_queries * self.reader.n_streams, n_keys
                hidden = hidden_of(result[0], result[1])
                with for_a_trace(self.shared.model):
                    inside = Inside(self.module, self.again, *size)
                    found = seen_products(inside, result[0], hidden)
                self.shared.last_products = last = (this, found)
            return last[1]

    def again(self) -> Any:
        """Run the module on its kept inputs."""
        if self.changed:
            raise RuntimeError(
                f"What {type(self.module).__name__} was given has been overwritten since the "
                "trace was made: its attention cannot be recomputed. Trace the text again."
            )
        with self._autocast():
            return self.module(*self.args, **self.kwargs)

    def _run(self, n_queries: int, n_keys: int) -> CapturedCall | tuple[Tensor | None, Tensor]:
        reader, batch = self.reader, self.shared.batch
        if reader.values is not None:
            with for_a_trace(self.shared.model):
                unfolded = LinearInValues(reader.module, self.again, batch).weights(
                    reader.values, reader.n_heads
                )
            first = reader.first_token
            return None, unfolded[..., first : first + n_queries, first : first + n_keys]
        maps: list[tuple[Tensor, Tensor]] = []
        fused: list[CapturedCall] = []

        def on_softmax(scores: Tensor, weights: Tensor) -> None:
            # Some modules have a second softmax (prediction streams, gates): the first map counts.
            if maps or reader.layout is None:
                return
            if layout_of(weights.shape, batch, n_queries * reader.n_streams, n_keys) is not None:
                maps.append((scores, weights))

        def on_fused(call: FusedAttention) -> None:
            fused.append(call.of(reader.module))

        with for_a_trace(self.shared.model), SoftmaxTap(on_softmax, on_fused):
            self.again()
        if reader.layout is None and fused:
            return fused[0]
        if reader.layout is None or not maps:
            raise RuntimeError(
                f"{type(reader.module).__name__} computed no attention map of {n_queries} x "
                f"{n_keys} when it ran once more. Please report this architecture."
            )
        scores, weights = (arrange(tensor, reader.layout, batch) for tensor in maps[0])
        return scores, weights


@dataclass(eq=False)
class ReplayedCall(AttentionCall):
    """One call of an attention module whose weights come from running it once more.

    Parameters
    ----------
    module : nn.Module
    replay : Replay
        Its kept inputs.
    index : int
        Which sequence of the batch.
    queries, keys : range
        Which part of the recorded map belongs to the sequence.
    n_recorded : tuple of int
        Queries and keys of the recorded map.
    """

    module: nn.Module
    replay: Replay
    index: int
    queries: range
    keys: range
    n_recorded: tuple[int, int]

    @property
    def path(self) -> Path:
        """How the weights are computed."""
        return "replay" if self.replay.reader.values is None else "unfold"

    @property
    def remainder(self) -> str:
        """What takes the share that a row's weights lack to 1; empty = nothing."""
        result = self.replay.result(*self.n_recorded) if self.path == "unfold" else None
        if not isinstance(result, tuple) or float(result[1].sum(dim=-1).min()) > _WHOLE:
            return ""
        return "tokens that the model adds by itself (prompts, summaries of blocks)"

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        return self.replay.reader.n_heads

    @property
    def n_queries(self) -> int:
        """Number of tokens that look."""
        return len(self.queries)

    @property
    def n_keys(self) -> int:
        """Number of tokens that are looked at."""
        return len(self.keys)

    @property
    def device(self) -> torch.device:
        """Where the module runs."""
        return self.replay.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are given in."""
        return answer_dtype(self.replay.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the module's kept inputs."""
        return self.replay.nbytes

    @property
    def working_bytes(self) -> int:
        """Scores and weights of all heads; nothing where query and key can be read."""
        reader = self.replay.reader
        if reader.layout is None and reader.values is None:
            return 0
        n_queries, n_keys = self.n_recorded
        rows = self.replay.shared.batch * n_queries * reader.n_streams
        return 2 * self.dtype.itemsize * self.n_heads * rows * n_keys

    def visible_weights(
        self,
        heads: Sequence[int],
        rows: Sequence[int],
        *,
        scores: bool = False,
        precision: Precision = "model",
    ) -> Float[Tensor, "head query key"]:
        """Weights or scores of some heads and rows; see the base class."""
        result = self.replay.result(*self.n_recorded)
        if isinstance(result, CapturedCall):
            part = result.of_sequence(self.index, self.queries, self.keys)
            return part.visible_weights(heads, rows, scores=scores, precision=precision)
        if precision == "float32" and result[1].dtype.itemsize < torch.float32.itemsize:
            raise ValueError(
                f"{type(self.module).__name__} computes its attention by itself, in "
                f"{result[1].dtype}: there is nothing to recompute in float32. Load the model with "
                "dtype=torch.float32, or ask with precision='model'."
            )
        tensor = result[0] if scores else result[1]
        if tensor is None:
            raise ValueError(
                f"{type(self.module).__name__} attends in bands or blocks: its weights can be "
                "unfolded, its scores before the softmax cannot. Ask with scores=False."
            )
        picked = tensor[self.index, list(heads), self.queries.start : self.queries.stop]
        picked = picked[:, list(rows), self.keys.start : self.keys.stop].to(self.dtype)
        if not scores:
            return picked
        weights = result[1][self.index, list(heads), self.queries.start : self.queries.stop]
        weights = weights[:, list(rows), self.keys.start : self.keys.stop]
        return picked.masked_fill(hidden_of(picked, weights), -torch.inf)

    def of_sequence(self, index: int, queries: range, keys: range) -> Self:
        """Return the part of a batched call that belongs to one sequence, without its padding."""
        return replace(self, index=index, queries=queries, keys=keys)


@contextmanager
def keep_inputs(
    readers: Sequence[Reader], model: Any, batch: int, note: Callable[[Replay], None]
) -> Generator[None, None, None]:
    """Keep what goes into some attention modules while the model runs.

    Parameters
    ----------
    readers : sequence of Reader
    model : PreTrainedModel
    batch : int
        Sequences in the forward pass.
    note : callable
        Gets each module's inputs, in the order of the calls.
    """
    shared = Replays(model, batch)
    by_module = {id(reader.module): reader for reader in readers}

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        reader = by_module[id(module)]
        keep = _copied if reader.changes_inputs else _kept
        kept = {
            name: None if is_cache(name, value) else keep(value) for name, value in kwargs.items()
        }
        if "use_cache" in kept:
            kept["use_cache"] = False
        note(Replay(reader, shared, tuple(keep(value) for value in args), kept))

    with ExitStack() as stack:
        for reader in readers:
            handle = reader.module.register_forward_pre_hook(here(hook), with_kwargs=True)
            stack.callback(handle.remove)
        yield


def hidden_of(scores: Tensor, weights: Tensor) -> Bool[Tensor, "*map"]:
    """Which keys are hidden: by scores of -10,000 and below, some of which are scaled later."""
    return (weights == 0) & (scores <= _HIDDEN)


def _tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of arguments, those in tuples (rotary embeddings) and the like, too."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors_in(item)


def _bytes_in(value: Any) -> int:
    return sum(tensor.nbytes for tensor in _tensors_in(value))


def _kept(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    return None if is_cache("", value) else value


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else _kept(value)
