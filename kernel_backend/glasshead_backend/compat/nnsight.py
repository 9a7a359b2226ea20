"""nnsight's models (0.8): an envoy around every module of a transformers model."""

from __future__ import annotations

from typing import Any

from glasshead_backend.anatomy.structure import UnsupportedModelError
from glasshead_backend.compat.objects import Inside


def inside(model: Any) -> Inside:
    """Return the model of a ``LanguageModel``; its weights are loaded, as its first trace does."""
    if getattr(model, "dispatched", True) is False:
        model.dispatch()
    for name in ("_module", "_model"):  # before 0.8 it was called otherwise
        if (found := vars(model).get(name)) is not None:
            return Inside(found, vars(model).get("tokenizer"))
    raise UnsupportedModelError(
        f"No transformers model was found in nnsight's {type(model).__name__}. Give the model "
        "itself: Lens(model, tokenizer)."
    )
