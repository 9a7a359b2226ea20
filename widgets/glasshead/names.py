"""Names that a view does not have are refused, with the name that was probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import traitlets

if TYPE_CHECKING:
    from collections.abc import Iterable


def settable_traits(view: type, base: type) -> set[str]:
    """Name the traits of a view that users set: those of `base` and what is derived from it."""
    return {
        name
        for cls in view.__mro__
        if issubclass(cls, base)
        for name, trait in vars(cls).items()
        if isinstance(trait, traitlets.TraitType)
        and not name.startswith("_")  # anywidget's own
        and trait.metadata.get("sync")
        and not getattr(trait, "read_only", False)
    }


def no_such_name(owner: type, name: str, names: Iterable[str]) -> str:
    """Say that there is no such name, and which one was probably meant."""
    return f"{owner.__name__} has no {name!r}.{did_you_mean(name, names)}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return " Did you mean 'layer'?" where a name is near; else nothing."""
    near = get_close_matches(name, sorted(names), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def is_declared(owner: object, name: str) -> bool:
    """Whether an attribute may be set: a private one, or one that the class knows.

    Everything that ipywidgets, anywidget and traitlets set on an instance is one or the other.
    """
    return name.startswith("_") or hasattr(type(owner), name)
