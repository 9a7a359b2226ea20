"""A task in words: what it is, down to the weights that it holds and the code that it runs."""

from __future__ import annotations

import dis
import hashlib
import pickle
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAYS_ALL = (str, bytes, int, float, complex, type(None), type(...), range)
"""What `repr` says wholly."""


def written_out(thing: Any) -> str:
    """Write a dataclass with all of its parameters; tensors by their contents.

    Two that do different things are written differently, whatever process writes them. Functions
    are written by their code, defaults, enclosed values, and what they use of their module (of
    another module's functions the code only); other objects by what pickle keeps of them.

    Raises
    ------
    TypeError
        For what cannot be written so: an open file, a lock, a generator, and what holds one.
    """
    return _Writer().of(thing)


class _Writer:
    """Writes things that may hold themselves, as a recursive function does."""

    def __init__(self) -> None:
        self._within: set[int] = set()

    def of(self, thing: Any) -> str:
        if isinstance(thing, torch.Tensor):
            numbers = thing.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            digest = _digest(numbers.tobytes())
            return f"<{thing.dtype} {tuple(thing.shape)} {digest}>"
        if type(thing) in (*_SAYS_ALL, bool):
            return repr(thing)
        if isinstance(thing, (type, ModuleType)):
            return f"<{_name(thing)}>"
        if id(thing) in self._within:
            return "<itself>"
        self._within.add(id(thing))
        try:
            return self._whole(thing)
        finally:
            self._within.remove(id(thing))

    def _whole(self, thing: Any) -> str:
        return self._callable(thing) if callable(thing) else self._value(thing)

    def _value(self, thing: Any) -> str:
        if is_dataclass(thing):
            own = ", ".join(
                f"{one.name}={self.of(getattr(thing, one.name))}" for one in fields(thing)
            )
            return f"{type(thing).__name__}({own})"
        if type(thing) is dict:
            return f"{{{', '.join(f'{self.of(k)}: {self.of(one)}' for k, one in thing.items())}}}"
        if type(thing) in (list, tuple):
            return f"[{', '.join(map(self.of, thing))}]"
        if type(thing) in (set, frozenset):
            return f"{{{', '.join(sorted(map(self.of, thing)))}}}"
        if isinstance(thing, CodeType):
            return self._code(thing)
        return self._object(thing)

    def _callable(self, thing: Any) -> str:
        if isinstance(thing, FunctionType):
            return f"<function {thing.__qualname__} {_digest(self._function(thing))}>"
        if isinstance(thing, MethodType):
            return f"<method {self.of(thing.__func__)} of {self.of(thing.__self__)}>"
        # What a cache is kept of.
        inner = getattr(thing, "__wrapped__", None)
        if inner is not None:
            return f"<{type(thing).__qualname__} of {self.of(inner)}>"
        return self._object(thing)

    def _code(self, code: CodeType) -> str:
        # Not where its lines stand: a function that is moved stays the same.
        handlers = getattr(code, "co_exceptiontable", b"")
        facts = [code.co_code, handlers, code.co_consts, code.co_names, code.co_flags]
        return self.of([*facts, code.co_argcount, code.co_kwonlyargcount, code.co_freevars])

    def _function(self, function: FunctionType) -> str:
        enclosed = [_content(cell) for cell in function.__closure__ or ()]
        defaults = [function.__defaults__, function.__kwdefaults__]
        used = {name: self._of_module(function, name) for name in _globals_of(function.__code__)}
        return self.of([function.__code__, defaults, enclosed, used, function.__dict__])

    def _of_module(self, function: FunctionType, name: str) -> str:
        """Write what a function finds in its module under a name."""
        if name not in function.__globals__:
            return ""
        value = function.__globals__[name]
        if isinstance(value, FunctionType) and value.__globals__ is not function.__globals__:
            return f"<function {_name(value)} {_digest(self._code(value.__code__))}>"
        try:
            return self.of(value)
        except TypeError as error:
            raise TypeError(f"{function.__qualname__} uses {name}. {error}") from None

    def _object(self, thing: Any) -> str:
        return f"<{_name(type(thing))} {_digest(self._reduced(thing))}>"

    def _reduced(self, thing: Any) -> str:
        try:
            kept = thing.__reduce_ex__(4)
        except (TypeError, ValueError, AttributeError, RuntimeError, pickle.PicklingError) as error:
            raise TypeError(
                f"A checkpoint cannot tell what a {_name(type(thing))} holds ({error}), so that "
                "other work might be taken for this one's. Use plain values in the metric "
                "(numbers, texts, tensors, functions of them), or go without checkpoint=."
            ) from None
        if isinstance(kept, str):
            return f"{getattr(thing, '__module__', '')}.{kept}"
        make, values, *state = kept
        parts = [self.of(values), *(self.of(_listed(one)) for one in state)]
        return f"{_name(make)} {parts} {self._methods(thing) if callable(thing) else ''}"

    def _methods(self, thing: Any) -> str:
        """Write the code of an object that is called as a function."""
        found: dict[str, Any] = {}
        for name, one in vars(type(thing)).items():
            function = getattr(one, "__func__", getattr(one, "fget", one))
            if isinstance(function, FunctionType):
                found[name] = function
        return self.of(found)


def _digest(written: str | bytes) -> str:
    data = written.encode("utf-8", "surrogatepass") if isinstance(written, str) else written
    return hashlib.sha256(data).hexdigest()[:16]


def _name(thing: Any) -> str:
    name = getattr(thing, "__qualname__", getattr(thing, "__name__", type(thing).__qualname__))
    module = getattr(thing, "__module__", None)
    return f"{module}.{name}" if module else name


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _globals_of(code: CodeType) -> list[str]:
    """Names that a function and those within it look up in their module."""
    return sorted(set(_looked_up(code)))


def _looked_up(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield step.argval
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _looked_up(one)


def _listed(state: Any) -> Any:
    """Items that pickle would read one by one."""
    return list(state) if hasattr(state, "__next__") else state
