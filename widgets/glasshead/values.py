"""Values that a trait does not take are refused in plain words: which it takes, and what came."""

from __future__ import annotations

import math
import reprlib
from pathlib import Path
from typing import Any

import traitlets

from glasshead.names import did_you_mean

_DESCRIBED = (
    traitlets.Enum,
    traitlets.Bool,
    traitlets.Int,
    traitlets.Float,
    traitlets.Unicode,
    traitlets.List,
    traitlets.Dict,
)
"""Kinds of trait that can be described; others have messages of their own."""

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 60


def required(owner: traitlets.HasTraits, trait: Any, name: str, value: Any) -> Any:
    """Return a value that a trait takes, as it takes it: a list of what is an array, say.

    Parameters
    ----------
    owner : HasTraits
    trait : TraitType
    name : str
        What the trait is called in the message.
    value : object

    Raises
    ------
    traitlets.TraitError
        For another value; the message names it and says which the trait takes.
    """
    if not isinstance(trait, _DESCRIBED):
        return value
    if isinstance(trait, traitlets.List):
        value = _as_list(value)
    if not _takes(owner, trait, value):
        raise traitlets.TraitError(_refusal(owner, trait, name, value))
    return value


def _takes(owner: traitlets.HasTraits, trait: Any, value: Any) -> bool:
    if value is None and trait.allow_none:
        return True
    if isinstance(value, float) and math.isnan(value):
        return False
    try:
        trait.validate(owner, value)
    except traitlets.TraitError:
        return False
    return True


def _as_list(value: Any) -> Any:
    """Return what is a list in all but name: an array, a tensor, a tuple, a range."""
    if isinstance(value, (tuple, range)):
        return list(value)
    listed = getattr(value, "tolist", None)
    return listed() if callable(listed) else value


def _refusal(owner: traitlets.HasTraits, trait: Any, name: str, value: Any) -> str:
    said = f"{name} is {_described(trait)}; got {_shortened.repr(value)}."
    if isinstance(trait, traitlets.Enum):
        names = [one for one in _choices(trait) if isinstance(one, str)]
        return said + did_you_mean(value, names) if isinstance(value, str) else said
    if not isinstance(trait, traitlets.List):
        return f"{said} {trait.help}" if trait.help else said
    each = _each(trait)
    if each is None:
        return said
    if not isinstance(value, list):
        return f"{said} Did you mean [{value!r}]?" if _takes(owner, each, value) else said
    wrong = [one for one in value if not _takes(owner, each, one)]
    return f"{said} {_shortened.repr(wrong[0])} is none of them." if wrong else said


def _each(trait: Any) -> Any:
    """Return the trait of the values of a list, if it has one; it has no public name."""
    return vars(trait).get("_trait")


def _choices(trait: Any) -> list[Any]:
    return list(trait.values or ())


def _described(trait: Any) -> str:
    """Describe what a trait takes: ``a number from 0 to 1, or None``."""
    described = _kind(trait)
    return f"{described}, or None" if trait.allow_none else described


def _kind(trait: Any) -> str:
    if isinstance(trait, traitlets.Enum):
        return _one_of(_choices(trait))
    if isinstance(trait, traitlets.Bool):
        return "True or False"
    if isinstance(trait, traitlets.Int):
        return f"a whole number{_within(trait)}"
    if isinstance(trait, traitlets.Float):
        return f"a number{_within(trait)}"
    if isinstance(trait, traitlets.List):
        return f"a list{_of_what(_each(trait))}"
    return "a dict" if isinstance(trait, traitlets.Dict) else "a str"


def _of_what(trait: Any) -> str:
    if isinstance(trait, traitlets.Int):
        return " of whole numbers"
    return f" of {_one_of(_choices(trait))}" if isinstance(trait, traitlets.Enum) else ""


def _one_of(choices: list[Any]) -> str:
    words = [f'"{one}"' if isinstance(one, str) else repr(one) for one in choices]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _within(trait: Any) -> str:
    least, most = (_bound(trait.min), _bound(trait.max))
    if least and most:
        return f" from {least} to {most}"
    return f" of at least {least}" if least else f" of at most {most}" if most else ""


def _bound(value: float | None) -> str:
    return "" if value is None or math.isinf(value) else f"{value:g}"


def required_flag(name: str, value: object) -> bool:
    """Return an argument that is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, got {_shortened.repr(value)}.")
    return value


def required_number(name: str, value: object) -> float:
    """Return an argument that is a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number, got {_shortened.repr(value)}.")
    return value


def required_path(value: object) -> Path:
    """Return an argument that is the path of a file."""
    if not isinstance(value, (str, Path)):
        raise TypeError(f"path is a str or Path, got {_shortened.repr(value)}.")
    return Path(value)


def file_to_write(path: object, *suffixes: str) -> Path:
    """Return where a file goes, before anything is made for it.

    Parameters
    ----------
    path : str or Path
    *suffixes : str
        What its name may end in, the usual one first.

    Raises
    ------
    ValueError
        For another ending.
    FileNotFoundError
        For a folder that is not there.
    """
    target = required_path(path)
    if target.suffix.lower() not in suffixes:
        raise ValueError(f"The file's name ends in {suffixes[0]}, got {str(path)!r}.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(target.parent)!r} to save {target.name} in."
        )
    return target
