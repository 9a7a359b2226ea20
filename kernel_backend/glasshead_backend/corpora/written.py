"""A task in words: what it is, down to the weights that it holds."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from typing import Any

import torch


def written_out(thing: Any) -> str:
    """Write a dataclass with all of its parameters; tensors by their contents.

    Two that do different things are written differently, whatever process writes them. Functions
    are written by name.
    """
    if isinstance(thing, torch.Tensor):
        numbers = thing.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        digest = hashlib.sha256(numbers.tobytes()).hexdigest()[:16]
        return f"<{thing.dtype} {tuple(thing.shape)} {digest}>"
    if is_dataclass(thing) and not isinstance(thing, type):
        own = ", ".join(
            f"{one.name}={written_out(getattr(thing, one.name))}" for one in fields(thing)
        )
        return f"{type(thing).__name__}({own})"
    if isinstance(thing, dict):
        return f"{{{', '.join(f'{k!r}: {written_out(one)}' for k, one in thing.items())}}}"
    if isinstance(thing, (list, tuple)):
        return f"[{', '.join(map(written_out, thing))}]"
    if callable(thing):
        return f"<function {getattr(thing, '__qualname__', type(thing).__qualname__)}>"
    return repr(thing)
