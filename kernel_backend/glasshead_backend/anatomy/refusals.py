"""What Glasshead does not look into, said before anything is run."""

from __future__ import annotations

import inspect
from typing import Any

from glasshead_backend.anatomy.structure import UnsupportedModelError

_MEDIA = {
    "pixel_values": "images",
    "flattened_patches": "images",
    "images": "images",
    "visual_feats": "images",
    "bbox": "the layout of pages",
    "pixel_values_videos": "videos",
    "input_features": "audio",
    "input_values": "audio",
    "audio_values": "audio",
    "speech_values": "audio",
    "decoder_input_values": "audio",
}
"""What models read, by the argument that they are given it in."""


def _require_whole_weights(model: Any, name: str) -> None:
    """Refuse a model each of whose weights is cut up among processes (DTensor)."""
    meshes = [getattr(one, "device_mesh", None) for one in model.parameters()]
    # Some plans keep plain tensors, and put together behind a layer what each has.
    meshes.append(getattr(model, "_device_mesh", None))
    mesh: Any = next((one for one in meshes if one is not None), None)
    if mesh is not None:
        n = mesh.size()
        raise UnsupportedModelError(
            f"The weights of {name} are cut up among {n} process{'' if n == 1 else 'es'} "
            "(tp_plan=, FSDP): each has some of the heads and columns only, and Glasshead would "
            "show those for all. Spread whole layers over the devices of one process instead: "
            'from_pretrained(..., device_map="auto").'
        )


def require_text_model(model: Any) -> None:
    """Refuse a model that reads no text, or that reads it behind tokens of its own.

    Raises
    ------
    UnsupportedModelError
        Naming what the model reads.
    """
    name = type(model).__name__
    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        kind = getattr(model.active_peft_config.peft_type, "value", "prompt learning")
        raise UnsupportedModelError(
            f"{name} puts learned virtual tokens before every text ({kind}), which Glasshead "
            "cannot show: rows and columns would not be those of the text. Look at the model "
            "without them, Lens(model.get_base_model(), tokenizer), or use an adapter that "
            "changes weights (LoRA)."
        )
    _require_whole_weights(model, name)
    if _takes_tokens(model):
        return
    if "input_ids" not in inspect.signature(model.forward).parameters:
        main = getattr(model, "main_input_name", "")
        reads = _MEDIA.get(main) or f"`{main}`"
        raise UnsupportedModelError(
            f"{name} reads {reads}, not text: Glasshead shows how language models read tokens."
        )
    others = _other_media(model)
    if others:
        raise UnsupportedModelError(
            f"{name} reads {' and '.join(others)} besides text. Load the part of it that reads "
            "text."
        )
    raise UnsupportedModelError(
        f"{name} keeps no table of token embeddings (get_input_embeddings): Glasshead shows how "
        "language models read tokens that they look up in one."
    )


def _other_media(model: Any) -> list[str]:
    """What a model reads besides text."""
    takes = inspect.signature(model.forward).parameters
    return sorted({words for argument, words in _MEDIA.items() if argument in takes})


def refused_text(model: Any, error: Exception) -> UnsupportedModelError | None:
    """Say why a model did not run on text alone; None when nothing about the model says so."""
    others = _other_media(model)
    if not others:
        return None
    return UnsupportedModelError(
        f"{type(model).__name__} reads {' and '.join(others)} besides text, and does not run on "
        f"text alone ({error}). Load the part of it that reads text."
    )


def _takes_tokens(model: Any) -> bool:
    if "input_ids" in inspect.signature(model.forward).parameters:
        main = getattr(model, "main_input_name", "input_ids")
        if main == "input_ids" or main not in _MEDIA:
            return _has_embeddings(model)
    # Adapters pass everything on; Perceiver has another name for its tokens.
    return getattr(model, "main_input_name", "input_ids") in ("input_ids", "inputs") and (
        _has_embeddings(model)
    )


def _has_embeddings(model: Any) -> bool:
    """Whether ids are looked up: weights of two axes, a row for each."""
    try:
        embeddings = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return False
    return getattr(getattr(embeddings, "weight", embeddings), "dim", lambda: 0)() == 2  # noqa: PLR2004
