"""Gradients of what a model puts out, with respect to the embeddings of its input tokens.

The model runs as it is: hooks put a tensor of our own in the place of what its embedding layers put
out, and gradients are taken of that alone. No parameter gets a gradient, and none is asked whether
it wants one. What stands before the layers (a scale, positions, a norm) is behind the embeddings,
so it is part of what is differentiated.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.body import unembedding_of
from glasshead_backend.running.forward import device_of, forward
from glasshead_backend.running.hooks import first_tensor, here, with_first_tensor

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from jaxtyping import Float, Int
    from torch import Tensor, nn

    from glasshead_backend.tracing.run import Run

_IDS = ("input_ids", "decoder_input_ids")
"""What the embedded tokens are given as; in the order of a run's sequences."""


@contextmanager
def differentiable(run: Run) -> Generator[FromEmbeddings, None, None]:
    """The model of a run, to be run from the embeddings of its tokens on, with gradients.

    Raises
    ------
    ValueError
        For a text that was scored without its layers, and where gradients cannot be had: the
        message names the model and says why.
    MemoryBudgetError
        When what has to be kept for the gradients takes more memory than it may.
    ModelChangedError
        When the model has changed since the text was traced.
    """
    run.require_model()
    if run.masked:
        raise ValueError(
            f"{run.subject.name} is an encoder: each token was masked to be scored, in a text of "
            "its own, so there is no one text that a prediction could be traced back to."
        )
    if not run.inputs:
        raise ValueError(
            "This text was scored without its layers, so nothing can be traced back through them: "
            "trace a part of it."
        )
    with run.model_again() as model, for_a_trace(model), torch.enable_grad(), _refused_by_name(run):
        yield FromEmbeddings(run, model)


class FromEmbeddings:
    """A model that starts from embeddings instead of tokens.

    Attributes
    ----------
    model : PreTrainedModel
    n_bytes : int
        What the last forward kept for its gradients, without the model's own weights.
    """

    def __init__(self, run: Run, model: Any) -> None:
        self._run, self.model = run, model
        self._ids = [run.inputs[name] for name in _IDS if name in run.inputs]
        self._modules = _embedding_modules(model)
        self._given: Sequence[Tensor] | None = None
        self._placed: dict[int, nn.Module] = {}
        self._own: list[Tensor] = []
        self.n_bytes = 0

    @property
    def embeddings(self) -> list[Float[Tensor, "1 token hidden"]]:
        """Embeddings of each sequence as the model has them; there after the first forward.

        In float32, or float64 for a model in that. Gradients of what :meth:`logits` returned
        without embeddings of one's own are with respect to these.
        """
        return self._own

    def baseline(self, id_: int | None) -> list[Float[Tensor, "1 token hidden"]]:
        """The embeddings of the same lengths that one token has everywhere; None = all zeros."""
        if id_ is None:
            return [torch.zeros_like(own) for own in self._own]
        found: list[Tensor] = []
        for place, own in enumerate(self._own):
            ids = torch.full((1, 1), id_, device=self._ids[place].device)
            with torch.no_grad():
                one = first_tensor(self._placed[place](ids))
            assert one is not None
            found.append(one.to(own.dtype).expand_as(own).clone())
        return found

    def logits(
        self, rows: Sequence[int], embeddings: Sequence[Float[Tensor, "batch token hidden"]] = ()
    ) -> Float[Tensor, "batch row vocabulary"]:
        """Run the model, and return its logits at some rows; gradients flow back to embeddings.

        Parameters
        ----------
        rows : sequence of int
        embeddings : sequence of Tensor
            Of each sequence; left out, the model's own.
        """
        batch = embeddings[0].shape[0] if embeddings else 1
        inputs = {
            name: one.repeat(batch, *[1] * (one.dim() - 1))
            for name, one in self._run.inputs.items()
        }
        self._given, self._placed = embeddings or None, {}
        plain = self._run.anatomy.plain_unembedding
        kept = _Kept(self.model, self._run, batch)
        with ExitStack() as stack:
            for module in self._modules:
                stack.callback(module.register_forward_hook(here(self._put)).remove)
            unembedding = unembedding_of(self.model) if plain else None
            if unembedding is not None:
                hook = here(_only(list(rows)))
                stack.callback(unembedding.register_forward_pre_hook(hook).remove)
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(kept.pack, _as_it_is))
            logits: Tensor = forward(self.model, inputs).logits
        self._require_embedded()
        self.n_bytes = kept.n_bytes
        return logits if unembedding is not None else logits[:, list(rows)]

    def _put(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Put our embeddings in the place of a sequence's; of what is padded behind it the rest."""
        ids, made = first_tensor(args), first_tensor(output)
        place = None if ids is None or made is None else self._place_of(ids)
        if place is None or made is None:
            return None
        n_tokens = self._ids[place].shape[1]
        if self._given is None:
            own = made[:1, :n_tokens].detach()
            own = own if own.dtype == torch.float64 else own.float()
            self._own[place:] = [own.clone().requires_grad_()]
        self._placed[place] = module
        ours = (self._own if self._given is None else self._given)[place].to(made.dtype)
        # A copy: what a model writes into may not be a leaf of the graph.
        whole = torch.cat([ours, made.detach()[:, n_tokens:]], dim=1)
        return with_first_tensor(output, whole)

    def _place_of(self, ids: Int[Tensor, "batch token"]) -> int | None:
        """Which sequence's ids these are; None for positions, say. The source is read first."""
        for place, own in enumerate(self._ids):
            n_tokens = own.shape[1]
            fits = ids.dim() == own.dim() and ids.shape[1] >= n_tokens
            if place not in self._placed and fits and torch.equal(ids[:1, :n_tokens], own):
                return place
        return None

    def _require_embedded(self) -> None:
        if len(self._placed) < len(self._ids):
            raise ValueError(
                f"{self._run.model_class} does not embed its tokens by get_input_embeddings(): "
                "what moves its predictions cannot be traced back to them."
            )


def gradients(
    number: Float[Tensor, ""], of: Sequence[Tensor], *, keep: bool = False
) -> list[Tensor]:
    """Return the gradients of one number; zeros of what it does not depend on.

    Parameters
    ----------
    number : Tensor
    of : sequence of Tensor
    keep : bool
        Keep the graph, for another number of the same forward.
    """
    found: Any = torch.autograd.grad(number, list(of), retain_graph=keep, allow_unused=True)
    return [
        torch.zeros_like(one) if gradient is None else gradient
        for one, gradient in zip(of, found, strict=True)
    ]


def _embedding_modules(model: Any) -> list[nn.Module]:
    """The modules that embed tokens: of the model, its encoder and its decoder."""
    found: dict[int, nn.Module] = {}
    for part in (None, "get_encoder", "get_decoder"):
        try:
            owner = model if part is None else getattr(model, part)()
            module = owner.get_input_embeddings()
        except (AttributeError, NotImplementedError, TypeError):
            continue  # a model that has no such part
        if module is not None:
            found[id(module)] = module
    return list(found.values())


def _only(rows: list[int]) -> Any:
    """A hook that lets the unembedding compute some rows only."""

    def narrow(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (args[0][:, rows], *args[1:])

    return narrow


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


class _Kept:
    """Counts what a forward keeps for its gradients, and ends it when that is more than may be."""

    def __init__(self, model: Any, run: Run, batch: int) -> None:
        weights = [*model.parameters(), *model.buffers()]
        self._known = {one.untyped_storage().data_ptr() for one in weights}
        self._allowed = budget_on(device_of(model), run.subject.memory_budget)
        n_tokens = sum(len(sequence.tokens) for sequence in run.sides.all)
        texts = "this text" if batch == 1 else f"{batch} copies of this text"
        self._what = f"What gradients need of {texts} ({n_tokens:,} tokens)"
        self.n_bytes = 0

    def pack(self, tensor: Tensor) -> Tensor:
        """Count a tensor, unless it is a weight or was counted."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._known.add(storage.data_ptr())
            self.n_bytes += storage.nbytes()
            require_room(self.n_bytes, self._allowed, self._what, ["Trace a shorter text."])
        return tensor


@contextmanager
def _refused_by_name(run: Run) -> Generator[None, None, None]:
    """Say of which model no gradients can be had, and why."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{run.model_class} cannot be differentiated with respect to its input embeddings: "
            f"{reason}"
        ) from error
