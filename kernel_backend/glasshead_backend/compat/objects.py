"""Models as other libraries hand them about: the transformers model inside, and its tokenizer.

A library is known by the name of the package that an object's class comes from; its file here is
imported when such an object shows up, and the library itself never.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

_LIBRARIES = ("nnsight", "peft", "transformer_lens")


class Inside(NamedTuple):
    """What is in somebody's model.

    Attributes
    ----------
    model
        The transformers model.
    tokenizer
        The one that came with it; None where none did.
    """

    model: Any
    tokenizer: Any = None


def inside(model: Any) -> Inside:
    """Return the transformers model that an object is or wraps, and the tokenizer it came with.

    Raises
    ------
    UnsupportedModelError
        For a wrapper whose model says something else without it; the message says why.
    """
    tokenizer = None
    while (library := _library_of(model)) is not None:
        found: Inside = import_module(f"{__package__}.{library}").inside(model)
        model, tokenizer = found.model, found.tokenizer if tokenizer is None else tokenizer
    return Inside(model, tokenizer)


def _library_of(model: Any) -> str | None:
    packages = {parent.__module__.partition(".")[0] for parent in type(model).__mro__}
    return next((library for library in _LIBRARIES if library in packages), None)
