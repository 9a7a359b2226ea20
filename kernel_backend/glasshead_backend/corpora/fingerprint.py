"""Whether two lenses hold the same model: what it is made of, and some of every weight."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from glasshead_backend.running.hooks import is_own_hook
from glasshead_backend.running.same_model import stored_weight

if TYPE_CHECKING:
    from torch import Tensor

    from glasshead_backend.tracing.subject import Subject

_SAMPLES = 64
"""Numbers of each weight that are looked at: training moves all of them."""


def fingerprint(subject: Subject) -> str:
    """Return 64 characters that differ when the model does.

    Names, shapes, types and 64 numbers of every weight count, and the hooks that users have put on
    modules (which no worker could make for itself); not the device, nor whether weights are
    offloaded from it.
    """
    model = subject.model
    found = hashlib.sha256(f"{type(model).__name__} {len(subject.tokenizer)}".encode())
    # Under all of its names: a tied weight that is offloaded is a tensor of its own at each place.
    state = dict(model.named_parameters(remove_duplicate=False))
    state |= dict(model.named_buffers(remove_duplicate=False))
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(_sample(stored_weight(model, name) if tensor.is_meta else tensor))
    for name, module in model.named_modules():
        hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())  # noqa: SLF001
        n_foreign = sum(not is_own_hook(hook) for hook in hooks)
        if n_foreign:
            found.update(f"{name}: {n_foreign} hooks".encode())
    return found.hexdigest()


def _sample(tensor: Tensor | None) -> bytes:
    if tensor is None or tensor.is_meta or tensor.numel() == 0:
        return b""
    try:
        flat = tensor.detach().flatten()
        n = min(_SAMPLES, len(flat))
        # Whole numbers: float32 cannot tell the places of a large weight from each other.
        places = torch.arange(n) * (len(flat) - 1) // max(1, n - 1)
        return flat[places.to(flat.device)].cpu().double().numpy().tobytes()
    except (RuntimeError, TypeError):
        return b""  # a quantised or sharded weight of a library's own class
