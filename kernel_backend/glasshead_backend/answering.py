"""Questions that may be answered elsewhere: a decorator, and the list of what a server is asked.

A run (or a subject) whose model lives in another process knows a *server*. A function that carries
:func:`answered` asks it instead of computing: the name of the function and its arguments travel as
data, what it returns comes back as data (:mod:`glasshead_backend.served.values`). Nobody who calls
it has to know. What stands in :data:`QUESTIONS` is what a server may be asked, and nothing else;
what stands in :data:`TRAVELLING` is what may travel beside plain values, tensors and tables.
"""

from __future__ import annotations

from enum import Enum
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from glasshead_backend.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    Given = ParamSpec("Given")
    Answer = TypeVar("Answer")
    Kind = TypeVar("Kind", bound=type)

_PACKAGE = "glasshead_backend."


class NotServedError(ValueError):
    """What was asked takes the model itself, and that is with a server; the message says so."""


class Server(Protocol):
    """Whoever answers questions about a run, or a subject, whose model is elsewhere."""

    def answer(
        self, question: str, of: object, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> Any:
        """Return what a function of :data:`QUESTIONS` would return, called with these arguments."""

    def close(self, run: object) -> None:
        """Forget a run: nobody will ask about it any more."""

    @property
    def nbytes(self) -> int:
        """Bytes of tensors that it keeps for a run."""
        ...


class Travelling(NamedTuple):
    """How values of a type travel.

    Attributes
    ----------
    of : type
    apart : callable or None
        Turns a value into one that travels; None = its fields do.
    together : callable or None
        Makes the value of what came.
    """

    of: type
    apart: Callable[[Any], object] | None = None
    together: Callable[[Any], object] | None = None


QUESTIONS: dict[str, Callable[..., Any]] = {}
"""What a server may be asked: functions by module and name."""

TRAVELLING: dict[str, Travelling] = {}
"""Our own types that may travel, by module and name."""


def name_of(thing: Callable[..., object] | type) -> str:
    """Return a function's or class' name as it travels: its module below the package, its own."""
    return f"{thing.__module__.removeprefix(_PACKAGE)}.{thing.__qualname__}"


def server_of(*values: object) -> Server | None:
    """Return the server of the first value that has one; None = all of it is here."""
    found = (getattr(value, "server", None) for value in values)
    return next((cast("Server", one) for one in found if hasattr(one, "answer")), None)


def require_here(of: object, what: str) -> None:
    """Refuse what takes the model itself, where that is with a server.

    Raises
    ------
    NotServedError
    """
    if server_of(of) is not None:
        raise NotServedError(
            f"{what} takes the model itself, and that is with a server. Load the model in this "
            "notebook for it: Lens.from_pretrained(...)."
        )


def answered(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Let a server answer, where an argument has one, what this function would compute.

    Progress is reported here, whoever works: ``progress=`` does not travel.
    """
    name = name_of(function)

    @wraps(function)
    def asked(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        server = server_of(*args, *kwargs.values())
        if server is None:
            return function(*args, **kwargs)
        of, *others = cast("tuple[object, ...]", args)
        told = dict(kwargs)
        with reporting(cast("Any", told.pop("progress", None))):
            return server.answer(name, of, tuple(others), told)

    QUESTIONS[name] = function
    return asked


def answered_once(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """As :func:`answered`, of a run; what a server answers is kept with it for the next time.

    For what does not change while the run is there, and is asked for again and again.
    """
    far = answered(function)
    name = name_of(function)

    @wraps(function)
    def asked(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        run = cast("Any", args[0])
        if server_of(run) is None:
            return function(*args, **kwargs)
        key = (name, *args[1:], *kwargs.items())
        return run.store.remember(key, lambda: far(*args, **kwargs))

    return asked


def travels(kind: Kind) -> Kind:
    """Let values of a dataclass, a named tuple or an enumeration travel, field by field."""
    assert issubclass(kind, Enum | tuple) or hasattr(kind, "__dataclass_fields__"), kind
    TRAVELLING[name_of(kind)] = Travelling(kind)
    return kind


def travels_as(
    kind: type, apart: Callable[[Any], object], together: Callable[[Any], object]
) -> None:
    """Let values of a class travel as something else that does."""
    TRAVELLING[name_of(kind)] = Travelling(kind, apart, together)
