"""Running a model so that nothing about it changes, and keeping what later questions need."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import Tensor, nn

from glasshead_backend.arena import Arena
from glasshead_backend.as_found import for_a_trace
from glasshead_backend.body import accepts, body_of, short_unembedding, unembedding_of
from glasshead_backend.contributions import embedding_observed, observed
from glasshead_backend.hooks import on_input
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.prediction import NextTokenLogits
from glasshead_backend.progress import is_listened_to, steps

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from jaxtyping import Float

    from glasshead_backend.contributions import Rows, Writer
    from glasshead_backend.layers import Stack
    from glasshead_backend.lens import Lens
    from glasshead_backend.sides import Sides

    Norms = dict[tuple[Stack, int, str], Float[Tensor, "*batch token"]]

# The class of a model decides which methods it has (generate, get_encoder ...), hence Any.


def device_of(model: Any) -> torch.device:
    """Where a model wants its inputs: offloaded weights (accelerate) lie nowhere until they run."""
    if model.device.type != "meta":
        return model.device
    for module in model.modules():
        hook = getattr(module, "_hf_hook", None)
        for one in (hook, *getattr(hook, "hooks", ())):
            device = getattr(one, "execution_device", None)
            if device is not None:
                return torch.device(device)
    raise ValueError(
        f"{type(model).__name__} has no weights: it lies on the meta device. Load it with "
        "from_pretrained, or move it with model.to_empty and load its weights."
    )


@torch.inference_mode(mode=False)
def inputs_of(
    model: Any,
    ids: Sequence[int],
    decoder_ids: Sequence[int] | None = None,
    *,
    token_types: Sequence[int] | None = None,
) -> dict[str, Tensor]:
    """Return the keyword arguments of a forward over one sequence, ``[1, tokens]`` each."""
    device = device_of(model)
    inputs = {"input_ids": torch.tensor([ids], device=device)}
    if token_types is not None:
        inputs["token_type_ids"] = torch.tensor([token_types], device=device)
    if decoder_ids is not None:
        inputs["decoder_input_ids"] = torch.tensor([decoder_ids], device=device)
    return inputs


def require_room_to_record(lens: Lens, many: Sequence[Sides], what: str) -> int:
    """Refuse to record more than there is memory for; return the bytes that it will take.

    Parameters
    ----------
    lens : Lens
    many : sequence of Sides
        What is run.
    what : str
        What is kept, in words; values take no more than the queries and keys that are counted.
    """
    token_bytes = lens.anatomy.structure.token_bytes
    # Token bytes are those of a source token with what the decoder keeps of one beside it.
    n_tokens = sum(max(len(sequence.tokens) for sequence in sides.all) for sides in many)
    allowed = budget_on(device_of(lens.model), lens.memory_budget)
    require_room(
        n_tokens * token_bytes,
        allowed,
        f"Recording {what} of {n_tokens:,} tokens",
        [f"{allowed // max(1, token_bytes):,} tokens would fit."],
    )
    return n_tokens * token_bytes


def forward(model: Any, inputs: dict[str, Tensor]) -> Any:
    """Run one forward pass; without a cache, which would hold a second copy of every key."""
    body = body_of(model)
    return body(**inputs, use_cache=False) if accepts(model, "use_cache") else body(**inputs)


def takes_token_types(model: Any) -> bool:
    """Whether the model is told which tokens belong to which sentence of a pair."""
    return accepts(model, "token_type_ids")


def n_embeddings(model: Any) -> int:
    """Return how many token ids the model knows."""
    embeddings = model.get_input_embeddings()
    return getattr(embeddings, "weight", embeddings).shape[0]


def start_of_decoder(model: Any, labels: Sequence[int]) -> int:
    """Return the id that stands before the labels when they become the decoder's inputs.

    Some models rotate a language code from the labels to the front (mBART): they are asked.
    """
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        ids = torch.tensor([list(labels)], device=device_of(model))
        return int(model.prepare_decoder_input_ids_from_labels(ids)[0, 0])
    # What has no language-model head has no settings for generating.
    for source in (model.config, getattr(model, "generation_config", None)):
        start = getattr(source, "decoder_start_token_id", None)
        if start is not None:
            return int(start)
    raise ValueError(
        f"{type(model).__name__} does not say which token its decoder starts with. Set "
        "model.config.decoder_start_token_id."
    )


def window(model: Any) -> int | None:
    """Return how many tokens the model reads at most; None when its positions have no end."""
    config = model.config.get_text_config()
    if hasattr(config, "relative_attention_num_buckets"):
        return None
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa counts positions from behind its padding index.
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    most = getattr(config, "max_position_embeddings", None)
    # XLNet says -1 for "no end".
    return most if isinstance(most, int) and most > 0 else None


def run_for_logits(
    model: Any,
    inputs: dict[str, Tensor],
    scored: Sequence[range],
    *,
    wanted: bool,
    plain_unembedding: bool,
) -> list[NextTokenLogits | None]:
    """Run the model and keep what predictions are made from: hidden states, not logits.

    Parameters
    ----------
    model : PreTrainedModel
    inputs : dict
        Keyword arguments of the model's forward.
    scored : sequence of range
        Of every sequence of the batch, the positions that predict.
    wanted : bool
        Whether the model predicts next tokens at all.
    plain_unembedding : bool
        Whether logits are the unembedding's output, unchanged; if not, they are kept themselves.

    Returns
    -------
    list
        One for every sequence; None for a model that predicts no next token.
    """
    unembedding = unembedding_of(model)
    if not wanted or unembedding is None:
        forward(model, inputs)
        return [None] * len(scored)
    if not plain_unembedding:
        logits = forward(model, inputs).logits
        return [
            NextTokenLogits(logits=logits[i, at.start : at.stop], n_vocabulary=logits.shape[-1])
            for i, at in enumerate(scored)
        ]
    with short_unembedding(unembedding) as kept:
        vocabulary = forward(model, inputs).logits.shape[-1]
    return [
        NextTokenLogits(
            hidden=kept[0][i, at.start : at.stop], unembedding=unembedding, n_vocabulary=vocabulary
        )
        for i, at in enumerate(scored)
    ]


@contextmanager
def norms_of(writers: Sequence[Writer], batch: int) -> Generator[Norms, None, None]:
    """Note the L2 norm, ``[batch, tokens]``, of what each writer adds while the context is open.

    Of models that pad by themselves more rows than tokens; the text's own come first.
    """
    norms: Norms = {}
    arena = Arena()

    def note(writer: Writer, added: Tensor) -> None:
        norm = added.float().norm(dim=-1)
        norms[writer.stack, writer.layer, writer.block] = arena.keep(norm)

    with observed(writers, batch, note):
        yield norms


@contextmanager
def layers_reported(stacks: Iterable[Sequence[nn.Module]]) -> Generator[None, None, None]:
    """Report progress layer by layer while the model runs, where somebody listens."""
    layers = [layer for stack in stacks for layer in stack]
    if not is_listened_to():
        yield
        return
    run = steps(layers, "running the model", len(layers))

    def step(_: nn.Module, __: Tensor) -> None:
        next(run, None)

    try:
        with on_input(layers, step):
            yield
        next(run, None)  # the last layer is done as well
    finally:
        run.close()


@contextmanager
def each_token_reported(
    options: dict[str, Any], total: int
) -> Generator[dict[str, Any], None, None]:
    """Add to the options of ``generate`` what reports progress after every token."""
    if not is_listened_to():
        yield options
        return
    tokens = steps(range(total), "generating", total)

    class Report(transformers.StoppingCriteria):
        def __call__(self, input_ids: Tensor, *_: object, **__: object) -> Any:
            """Stop nothing."""
            next(tokens, None)
            return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    criteria = transformers.StoppingCriteriaList(
        [*(options.get("stopping_criteria") or ()), Report()]
    )
    try:
        yield {**options, "stopping_criteria": criteria}
    finally:
        tokens.close()


def activations_of(
    model: Any,
    writers: Sequence[Writer],
    embedding: tuple[nn.Module, Rows] | None,
    inputs: dict[str, Tensor],
    *,
    n_tokens: int,
    dtype: torch.dtype | None = None,
) -> dict[str, dict[int, Float[Tensor, "token hidden"]]]:
    """Run the model and keep what blocks add, and what goes into the first layer.

    Parameters
    ----------
    model : PreTrainedModel
    writers : sequence of Writer
        Of one stack.
    embedding : tuple, optional
        The first layer with where its tokens are, if what goes into it is wanted.
    inputs : dict
        As :func:`inputs_of` makes them.
    n_tokens : int
        Of the sequence that the stack works on.
    dtype : torch.dtype, optional
        What to keep them in; default the model's own.

    Returns
    -------
    dict
        ``{block: {layer: [tokens, hidden]}}``.
    """
    kept: dict[str, dict[int, Tensor]] = {}

    def keep(block: str, layer: int, rows: Tensor) -> None:
        # A copy: the model may write into its output later on.
        own = rows[:n_tokens].to(dtype or rows.dtype, copy=True)
        kept.setdefault(block, {})[layer] = own

    with for_a_trace(model), ExitStack() as stack:
        seen = observed(writers, 1, lambda one, rows: keep(one.block, one.layer, rows[0]))
        stack.enter_context(seen)
        if embedding is not None:
            taken_in = embedding_observed(*embedding, lambda rows: keep("embedding", 0, rows))
            stack.enter_context(taken_in)
        forward(model, inputs)
    return kept
