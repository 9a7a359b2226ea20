"""The signatures of everything public, as a person writes them."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

import glasshead

CLASSES = ("Lens", "Trace")
"""Classes whose methods are listed, too: they are the manual."""

ONLY_MET = (
    "Continuations",
    "Measured",
    "Patched",
    "Predictions",
    "Step",
    "Token",
    "Trace",
    "Word",
)
"""Classes that users are handed: how they are made is no affair of theirs."""


def signatures() -> str:
    """Return one line for every public function, class, method and property."""
    names = sorted(set(glasshead.__all__) - {"__version__"})
    lines = [line for name in names for line in _lines(name, getattr(glasshead, name))]
    return "\n".join(lines) + "\n"


def _lines(name: str, thing: Any) -> list[str]:
    is_class = inspect.isclass(thing)
    if not callable(thing):
        return [name]
    met = is_class and (
        name in ONLY_MET or name.endswith(("Result", "Statistics")) or issubclass(thing, Exception)
    )
    first = name if met else f"{name}{_signature(thing)}"
    return [first, *(_methods(name, thing) if name in CLASSES else ())]


def _methods(name: str, owner: type) -> list[str]:
    found: list[str] = []
    # Not what every object has: nnsight gives it one name more, where it is imported.
    for own in sorted(set(dir(owner)) - set(dir(object))):
        member: Any = inspect.getattr_static(owner, own)
        if own.startswith("_"):
            continue
        if isinstance(member, (classmethod, staticmethod)) or inspect.isfunction(member):
            found.append(f"{name}.{own}{_signature(getattr(owner, own))}")
        else:
            found.append(f"{name}.{own}")
    return found


def _signature(thing: Any) -> str:
    """Write a signature without ``self`` and without the quotes of annotations."""
    signature = inspect.signature(thing)
    own = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    text = str(signature.replace(parameters=own))
    # Annotations are strings here; defaults keep their quotes.
    text = re.sub(r": '((?:[^'\\]|\\.)*)'", r": \1", text)
    text = re.sub(r': "([^"]*)"', r": \1", text)
    return re.sub(r"-> [\"'](.*)[\"']$", r"-> \1", text).replace(" -> None", "")


if __name__ == "__main__":
    sys.stdout.write(signatures())
