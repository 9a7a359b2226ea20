"""Values as bytes: a safetensors file, its tensors by number, all else as JSON beside them.

Reading makes nothing but plain values, tensors, arrays, tables, and the types of
:data:`glasshead_backend.answering.TRAVELLING`: nothing is imported, nothing of the sender's is
called, nothing is unpickled. A value that is none of these has a name, ``{"is": name, ...}``:

=============  ====================================================================
``tuple`` ...  ``list``, ``set``, ``frozenset``: ``of``, the values
``dict``       ``of``, pairs of key and value
``float``      ``of``, the number in words where JSON has none (nan, inf)
``bytes``      ``at``, number of the tensor
``tensor``     ``at``
``array``      ``at`` (numpy), or ``of`` and ``shape`` where it holds objects; ``scalar``
``range``      ``of``, start, stop and step; so ``slice``
``table``      ``columns``, ``index``, ``names`` (pandas)
``series``     ``of``, the values, ``type``, ``missing``, ``name``
``own``        ``type``, ``fields``: a value of ours
``rows``       ``type``, ``columns``, ``as``: many values of one type of ours
``handle``     whatever the two ends call a run or a subject
=============  ====================================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from glasshead_backend.answering import TRAVELLING, NotServedError, name_of
from glasshead_backend.served.tables import of_table, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = Any

_DEPTH = 40
"""Most values inside each other. What we send has fewer than ten."""

_RANGES = 1 << 22
"""Most numbers in all ranges of a message: a few bytes must not become lists that fill memory."""

_HEADER = 8
"""Bytes that say how long the head of a safetensors file is."""

_PLAIN = (str, bool, int)

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, SafetensorError, TypeError, ValueError)


class MalformedError(ValueError):
    """What came is no message of Glasshead's."""


class Handles(Protocol):
    """What the two ends call what does not travel: runs, and what they are of."""

    def name(self, value: object) -> Json | None:
        """Return what a value is called, as plain JSON; None = it travels itself."""

    def named(self, handle: Json) -> object:
        """Return what is called so."""


class Nothing:
    """Handles of plain values: there are none."""

    def name(self, value: object) -> None:
        """Nothing is called anything."""

    def named(self, handle: Json) -> object:
        """Refuse it."""
        raise MalformedError(f"Nothing is called {handle!r}.")


NOTHING = Nothing()


def encode(value: object, handles: Handles = NOTHING) -> bytes:
    """Return a value as bytes.

    Raises
    ------
    NotServedError
        For what does not travel: functions, modules, objects that are not ours.
    """
    writer = Writer(handles)
    said = writer.said(value)
    try:
        return save(writer.tensors, {"value": _json(said, ascii_only=False)})
    except UnicodeEncodeError:  # half of a character, which whoever reads it may refuse in words
        return save(writer.tensors, {"value": _json(said, ascii_only=True)})


def _head(data: bytes) -> bytes:
    """Return the head of a safetensors file: JSON."""
    length = int.from_bytes(data[:_HEADER], "little")
    if not 0 < length <= len(data) - _HEADER:
        raise MalformedError("This is no safetensors file.")
    return data[_HEADER : _HEADER + length]


def _json(said: Json, *, ascii_only: bool) -> str:
    return json.dumps(said, ensure_ascii=ascii_only, separators=(",", ":"))


def decode(data: bytes, handles: Handles = NOTHING) -> Any:
    """Return the value that bytes say.

    Raises
    ------
    MalformedError
        For bytes that :func:`encode` does not make.
    """
    try:
        said = json.loads(json.loads(_head(data))["__metadata__"]["value"])
        # safetensors checks sizes and places of the tensors.
        return Reader(load(data), handles).value(said, _DEPTH)
    except (NotServedError, MalformedError):
        raise
    except RecursionError:
        raise MalformedError("The message is nested too deeply.") from None
    except _UNREADABLE as error:
        raise MalformedError(f"The message cannot be read: {error}.") from error


class Writer:
    """Turns values into JSON, and collects their tensors."""

    def __init__(self, handles: Handles) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._handles = handles

    def said(self, value: object) -> Json:
        """Return a value as JSON."""
        if value is None or type(value) in _PLAIN:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"is": "float", "of": repr(value)}
        handle = self._handles.name(value)
        if handle is not None:
            return {"is": "handle", **handle}
        own = TRAVELLING.get(name_of(type(value)))
        if own is not None and own.of is type(value):
            return self._own(value, own.apart)
        return self._of_libraries(value)

    def _own(self, value: Any, apart: Callable[[Any], object] | None) -> Json:
        name = name_of(type(value))
        if apart is not None:
            return {"is": "own", "type": name, "as": self.said(apart(value))}
        if isinstance(value, Enum):
            return {"is": "own", "type": name, "as": value.name}
        return {"is": "own", "type": name, "fields": [self.said(one) for one in _fields(value)]}

    def _of_libraries(self, value: object) -> Json:
        say = next((say for kinds, say in _SAYS if isinstance(value, kinds)), None)
        if say is not None:
            return say(self, value)
        if type(value).__module__.partition(".")[0] == "pandas":
            return of_table(value, self.said)
        if hasattr(value, "__index__"):
            return cast("Any", value).__index__()
        raise NotServedError(
            f"A {type(value).__name__} does not travel to a server: numbers, strings, tensors, "
            "tables and what Glasshead makes of them do, functions and models never. Load the "
            "model in this notebook for it."
        )

    def tensor(self, value: Tensor) -> Json:
        """Say a tensor."""
        return {"is": "tensor", "at": self._kept(value.detach())}

    def ends(self, value: range | slice) -> Json:
        """Say a range or a slice."""
        ends = (value.start, value.stop, value.step)
        return {"is": type(value).__name__, "of": [self.said(end) for end in ends]}

    def bytes_(self, value: bytes | bytearray | memoryview) -> Json:
        """Say bytes."""
        # A copy: torch wants to write into what it is given, and takes nothing that is empty.
        flat = torch.frombuffer(bytearray(value) or bytearray(1), dtype=torch.uint8)
        return {"is": "bytes", "at": self._kept(flat[: len(value)])}

    def pairs(self, value: Mapping[object, object]) -> Json:
        """Say a dict, or what is used like one."""
        return {"is": "dict", "of": [[self.said(k), self.said(v)] for k, v in value.items()]}

    def several(self, value: Any) -> Json:
        """Say a list, tuple, set, or what is walked through like one."""
        known = (tuple, set, frozenset)
        name = next((one.__name__ for one in known if isinstance(value, one)), "list")
        items = list(value)
        kinds = {type(one) for one in items}
        if len(items) > 1 and len(kinds) == 1 and name in ("list", "tuple"):
            kind = kinds.pop()
            own = TRAVELLING.get(name_of(kind))
            if own is not None and own.of is kind and not own.apart and not issubclass(kind, Enum):
                columns = zip(*map(_fields, items), strict=True)
                of = [[self.said(one) for one in column] for column in columns]
                return {"is": "rows", "type": name_of(kind), "as": name, "columns": of}
        said = [self.said(one) for one in items]
        return said if name == "list" else {"is": name, "of": said}

    def array(self, value: np.ndarray[Any, Any] | np.generic) -> Json:
        """Say an array of numpy, or one of its numbers."""
        scalar = {"scalar": True} if isinstance(value, np.generic) else {}
        array = np.asarray(value)
        if array.dtype.kind in "OUT":
            of = [self.said(one) for one in array.ravel().tolist()]
            return {"is": "array", "of": of, "shape": list(array.shape), **scalar}
        # A copy in the machine's own order: torch takes nothing else, and no negative strides.
        native = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
        return {"is": "array", "at": self._kept(torch.from_numpy(native)), **scalar}

    def _kept(self, tensor: Tensor) -> str:
        name = str(len(self.tensors))
        # Clones: two names may not share memory.
        self.tensors[name] = tensor.cpu().clone(memory_format=torch.contiguous_format)
        return name


_VIEWS = (type({}.keys()), type({}.values()), type({}.items()))

_SAYS: tuple[tuple[type | tuple[type, ...], Callable[[Writer, Any], Json]], ...] = (
    (Tensor, Writer.tensor),
    ((np.ndarray, np.generic), Writer.array),
    ((range, slice), Writer.ends),
    ((bytes, bytearray, memoryview), Writer.bytes_),
    (Mapping, Writer.pairs),
    ((list, tuple, set, frozenset, Iterator, *_VIEWS), Writer.several),
)


def _fields(value: Any) -> tuple[object, ...]:
    """The fields of a value of ours, in the order in which its class takes them."""
    if not is_dataclass(value):
        return tuple(value)
    return tuple(getattr(value, one.name) for one in fields(value) if one.init)


class Reader:
    """Makes values of JSON and tensors, each tensor once and no endless range: nothing grows.

    Parameters
    ----------
    tensors : dict
    handles : Handles
    """

    def __init__(self, tensors: dict[str, Tensor], handles: Handles) -> None:
        self._tensors = tensors
        self._handles = handles
        self._left = _RANGES

    def value(self, said: Json, depth: int) -> Any:
        """Return the value that JSON says."""
        if depth < 0:
            raise MalformedError("The message is nested too deeply.")
        if isinstance(said, list):
            return [self.value(one, depth - 1) for one in cast("list[Json]", said)]
        if not isinstance(said, dict):
            return said
        told = cast("dict[str, Json]", said)
        make = self._makers.get(told["is"])
        if make is None:
            raise MalformedError(f"{told['is']!r} is nothing that travels.")
        return make(self, told, depth - 1)

    def _all(self, said: Json, depth: int) -> list[Any]:
        if not isinstance(said, list):
            raise MalformedError("A list was expected.")
        return self.value(said, depth)

    def _dict(self, told: dict[str, Json], depth: int) -> dict[Any, Any]:
        return {self.value(k, depth): self.value(v, depth) for k, v in told["of"]}

    def _float(self, told: dict[str, Json], _: int) -> float:
        if told["of"] not in ("nan", "inf", "-inf"):
            raise MalformedError(f"{told['of']!r} is no number.")
        return float(told["of"])

    def _tensor(self, told: dict[str, Json], _: int) -> Tensor:
        return self._tensors.pop(told["at"])

    def _bytes(self, told: dict[str, Json], depth: int) -> bytes:
        return self._tensor(told, depth).numpy().tobytes()

    def _array(self, told: dict[str, Json], depth: int) -> Any:
        if "at" in told:
            array = self._tensor(told, depth).numpy()
        else:
            items = self._all(told["of"], depth)
            array = np.empty(len(items), dtype=object)
            array[:] = items
            array = array.reshape(told["shape"])
        return array[()] if told.get("scalar") else array

    def _range(self, told: dict[str, Json], _: int) -> range:
        made = range(*told["of"])
        self._left -= len(made)
        if self._left < 0:
            raise MalformedError(f"{made} is too long: ranges have {_RANGES:,} numbers in all.")
        return made

    def _slice(self, told: dict[str, Json], depth: int) -> slice:
        return slice(*self._all(told["of"], depth))

    def _own(self, told: dict[str, Json], depth: int) -> Any:
        own = TRAVELLING.get(told["type"])
        if own is None:
            raise MalformedError(f"{told['type']!r} is no type that travels.")
        if "fields" in told:
            return _made(own.of, self._all(told["fields"], depth))
        of = self.value(told["as"], depth)
        if own.together is not None:
            return own.together(of)
        return cast("type[Enum]", own.of)[of]

    def _rows(self, told: dict[str, Json], depth: int) -> Any:
        own = TRAVELLING.get(told["type"])
        if own is None or own.apart is not None:
            raise MalformedError(f"{told['type']!r} is no type that travels in rows.")
        columns = [self._all(column, depth) for column in told["columns"]]
        rows = [_made(own.of, row) for row in zip(*columns, strict=True)]
        return tuple(rows) if told["as"] == "tuple" else rows

    def _handle(self, told: dict[str, Json], _: int) -> object:
        return self._handles.named({name: of for name, of in told.items() if name != "is"})

    def _table(self, told: dict[str, Json], depth: int) -> Any:
        return table_of(told, lambda said: self.value(said, depth))

    _makers: dict[str, Callable[[Reader, dict[str, Json], int], Any]] = {  # noqa: RUF012
        "tuple": lambda self, told, depth: tuple(self._all(told["of"], depth)),
        "set": lambda self, told, depth: set(self._all(told["of"], depth)),
        "frozenset": lambda self, told, depth: frozenset(self._all(told["of"], depth)),
        "dict": _dict,
        "float": _float,
        "bytes": _bytes,
        "tensor": _tensor,
        "array": _array,
        "range": _range,
        "slice": _slice,
        "table": _table,
        "series": _table,
        "own": _own,
        "rows": _rows,
        "handle": _handle,
    }


def _made(kind: type, values: Any) -> Any:
    """A value of ours; its class checks its fields as ever."""
    if not is_dataclass(kind):
        return kind(*values)
    names = [one.name for one in fields(kind) if one.init]
    return kind(**dict(zip(names, values, strict=True)))
