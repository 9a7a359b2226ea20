"""peft's models: adapters in the modules of a transformers model, or prompts before its text."""

from __future__ import annotations

from typing import Any

from glasshead_backend.anatomy.structure import UnsupportedModelError
from glasshead_backend.compat.objects import Inside


def inside(model: Any) -> Inside:
    """Return the model that a ``PeftModel`` has put its adapters into: they stay, and are active.

    Raises
    ------
    UnsupportedModelError
        For learnt prompts, which only the wrapper puts before a text.
    """
    prompts = [
        str(getattr(config, "peft_type", type(config).__name__))
        for config in getattr(model, "peft_config", {}).values()
        if getattr(config, "is_prompt_learning", False)
    ]
    if prompts:
        kind = prompts[0].rpartition(".")[-1]
        raise UnsupportedModelError(
            f"{type(model).__name__} puts learnt prompts ({kind}) before every text, which are no "
            "tokens: Glasshead has no rows for them. To see the model without them: "
            "Lens(model.get_base_model(), tokenizer)."
        )
    tuner = model.base_model
    return Inside(tuner.model if _is_tuner(tuner) else tuner)


def _is_tuner(module: Any) -> bool:
    """Whether it is one of peft's own around the model."""
    return type(module).__module__.partition(".")[0] == "peft"
