"""Whether a model is still made of the modules that were looked at."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from glasshead_backend.running.body import unembedding_of
from glasshead_backend.running.hooks import version_of
from glasshead_backend.running.modules import modules_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


class ModuleTree:
    """A model's modules and settings at one moment; holds none of them alive.

    Adapters put modules in the place of others, resizing makes new embeddings, ``half()`` another
    dtype: what was found out about the model before is no longer true of it.

    Parameters
    ----------
    model : PreTrainedModel
    """

    def __init__(self, model: Any) -> None:
        self._modules = [weakref.ref(module) for module in modules_of(model)]
        self._settings = _settings(model)

    def is_of(self, model: Any) -> bool:
        """Whether the model still has just these modules and settings."""
        modules = modules_of(model)
        return (
            len(modules) == len(self._modules)
            and all(ref() is module for ref, module in zip(self._modules, modules, strict=True))
            and _settings(model) == self._settings
        )


def _settings(model: Any) -> tuple[object, ...]:
    """What decides how the modules are used, besides the modules themselves."""
    return (
        model.dtype,
        model.device,
        getattr(model.config, "_attn_implementation", None),
        *_written_behind_the_layers(model),
    )


def _written_behind_the_layers(model: Any) -> Iterator[object]:
    """How often tensors of the model around its unembedding were written into.

    Biases and scales of logits begin as 0 and 1 in many fresh models (BART's
    ``final_logits_bias``): they change nothing about the logits until a checkpoint is loaded.
    """
    unembedding = unembedding_of(model)
    around: nn.Module = model
    if unembedding is None:
        return
    for tensor in (*around.parameters(recurse=False), *around.buffers(recurse=False)):
        yield version_of(tensor), tensor.data_ptr()
