"""Errors that travel: by their type's name and their words, raised again as what they were."""

from __future__ import annotations

from glasshead_backend.anatomy.structure import UnsupportedModelError
from glasshead_backend.answering import NotServedError
from glasshead_backend.memory import MemoryBudgetError
from glasshead_backend.progress import Cancelled
from glasshead_backend.running.same_model import ModelChangedError
from glasshead_backend.served.values import MalformedError
from glasshead_backend.tracing.given_run import ModelNeededError


class ServerError(RuntimeError):
    """A server could not answer, for a reason that is not in the question; the message says why."""


class UnreachableError(ServerError):
    """Nobody answers at the server's address, or the connection broke off."""


class TokenRefusedError(ServerError):
    """The server wants a token, or another one."""


class VersionError(ServerError):
    """The server has another version of Glasshead."""


class TraceDroppedError(ServerError):
    """The server has the trace no longer: trace the text again."""


class BusyError(ServerError):
    """The server has too much to do, or was asked too often: try again in a while."""


ERRORS: dict[str, type[Exception]] = {
    one.__name__: one
    for one in (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
        ImportError,
        NotImplementedError,
        MemoryBudgetError,
        ModelChangedError,
        ModelNeededError,
        UnsupportedModelError,
        NotServedError,
        MalformedError,
        Cancelled,
        ServerError,
        UnreachableError,
        TokenRefusedError,
        VersionError,
        TraceDroppedError,
        BusyError,
    )
}
"""What is raised again as itself; an error of another type is a :class:`ServerError`."""


def told(error: BaseException) -> dict[str, str]:
    """Return an error as it travels: ``{"type", "words"}``.

    What is no error of a question's says its type alone: its words may be about the server.
    """
    kind = next((one for one in type(error).__mro__ if ERRORS.get(one.__name__) is one), None)
    if kind is None:
        words = (
            f"The server failed to answer ({type(error).__name__}). Whoever runs it finds more in "
            "its log."
        )
        return {"type": ServerError.__name__, "words": words}
    words = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return {"type": kind.__name__, "words": words}


def as_raised(said: dict[str, str]) -> Exception:
    """Return the error that :func:`told` told of."""
    kind = ERRORS.get(str(said.get("type")), ServerError)
    return kind(str(said.get("words", "The server did not say why.")))
