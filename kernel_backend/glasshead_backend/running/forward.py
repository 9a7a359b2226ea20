"""One forward pass: what a model is given, and what can be asked about giving it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glasshead_backend.running.body import accepts, body_of

if TYPE_CHECKING:
    from collections.abc import Sequence

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
