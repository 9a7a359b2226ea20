"""Answers of a lens to those who ask over a wire; nothing of HTTP is known here."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import index
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, cast

from glasshead_backend.answering import QUESTIONS, NotServedError, name_of
from glasshead_backend.progress import reporting
from glasshead_backend.served.facts import facts_of
from glasshead_backend.served.values import MalformedError, decode, encode
from glasshead_backend.tracing.run import Run
from glasshead_backend.tracing.runs import written
from glasshead_backend.tracing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead_backend.lens import Lens
    from glasshead_backend.progress import Step


class Traces(Protocol):
    """Who keeps the runs of clients."""

    def get(self, id_: str, client: str) -> Run:
        """Return a client's run.

        Raises
        ------
        TraceDroppedError
            When it is not there (any more).
        """
        ...

    def add(self, run: Run, client: str) -> str:
        """Keep a run, and return what it is called: something that nobody could guess."""
        ...

    def drop(self, ids: list[str], client: str) -> None:
        """Let go of runs that are a client's."""


@dataclass(frozen=True)
class Question:
    """A question that was read.

    Attributes
    ----------
    name : str
        Of a function in :data:`glasshead_backend.answering.QUESTIONS`.
    args, kwargs
        What it is called with.
    handles : AtServer
        What the client calls the runs in it.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    handles: AtServer

    def run(self) -> Any:
        """Answer it."""
        return QUESTIONS[self.name](*self.args, **self.kwargs)


_WRITING = frozenset(
    {
        *("max_new_tokens", "max_length", "min_new_tokens", "min_length", "use_cache"),
        *("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p"),
        *("epsilon_cutoff", "eta_cutoff", "num_beams", "early_stopping", "length_penalty"),
        *("repetition_penalty", "no_repeat_ngram_size", "renormalize_logits"),
        *("suppress_tokens", "begin_suppress_tokens", "eos_token_id"),
        *("forced_bos_token_id", "forced_eos_token_id"),
    }
)
"""What of ``generate`` may be told by a client: numbers, none of which loads or runs anything."""

_MOST_BEAMS = 16


def require_harmless(question: Question) -> None:
    """Refuse what would let a client run code here, or write with more beams than there is room.

    Raises
    ------
    NotServedError
        The message names it.
    """
    told = question.kwargs if question.name == name_of(written) else {}
    unknown = sorted(map(str, set(told) - _WRITING - {"reading"}))
    if unknown:
        raise NotServedError(f"At a server generate() takes no {', '.join(unknown)}.")
    beams = told.get("num_beams", 1)
    if isinstance(beams, SupportsIndex) and index(beams) > _MOST_BEAMS:  # numpy's numbers, too
        raise NotServedError(f"At a server num_beams is {_MOST_BEAMS} at most, not {beams}.")


class Answers:
    """Answers the questions of clients.

    Parameters
    ----------
    lens : Lens
        Whose model answers.
    traces : Traces
        Who keeps their runs.
    """

    def __init__(self, lens: Lens, traces: Traces) -> None:
        self.lens, self.traces = lens, traces
        lens.lent = True  # where templates are applied, those of clients are refused

    def hello(self) -> dict[str, Any]:
        """Return what a client has to know of the lens, as plain JSON."""
        anatomy = self.lens.anatomy
        return {
            "model": self.lens.name,
            "family": anatomy.family,
            "window": anatomy.window,
            "target_window": anatomy.target_window,
            "notice": self.lens.notice,
            "unreadable": anatomy.structure.unreadable,
        }

    def answer(self, body: bytes, client: str, tell: Callable[[Step], object]) -> bytes:
        """Read a question, answer it, and return the answer as it travels.

        Parameters
        ----------
        body : bytes
        client : str
            Who asks: runs are known to the client that had them recorded.
        tell : callable
            Gets the steps of the work; an exception that it raises ends the work.

        Raises
        ------
        Exception
            What the question raises; :func:`glasshead_backend.served.errors.told` says it.
        """
        question = self.read(body, client)
        with reporting(tell):
            found = question.run()
        return self.said(question, found)

    def read(self, body: bytes, client: str) -> Question:
        """Read a question.

        Raises
        ------
        MalformedError
            For what is none.
        NotServedError
            For one that no server answers.
        TraceDroppedError
            When it is about a run that is not there any more.
        """
        handles = AtServer(self.lens, self.traces, client)
        said = decode(body, handles)
        if not isinstance(said, dict) or set(cast("Any", said)) != {
            "question",
            "of",
            "args",
            "kwargs",
        }:
            raise MalformedError("This is no question.")
        asked = cast("dict[str, Any]", said)
        name, args, kwargs = asked["question"], asked["args"], asked["kwargs"]
        if not isinstance(args, tuple) or not isinstance(kwargs, dict):
            raise MalformedError("This is no question.")
        if not isinstance(name, str) or name not in QUESTIONS:
            raise NotServedError(f"{name!r} is not answered by a server.")
        question = Question(name, (asked["of"], *cast("Any", args)), cast("Any", kwargs), handles)
        require_harmless(question)
        return question

    def said(self, question: Question, found: object) -> bytes:
        """Return an answer as it travels: runs that are new to the client are kept, and called."""
        return encode(found, question.handles)


@dataclass
class AtServer:
    """What a client calls runs and their model, while one question of it is answered.

    Parameters
    ----------
    lens : Lens
    traces : Traces
    client : str
    """

    lens: Lens
    traces: Traces
    client: str
    _known: dict[int, tuple[Run, str]] = field(default_factory=dict[int, "tuple[Run, str]"])

    def name(self, value: object) -> dict[str, Any] | None:
        """Return what the client calls a run or the model; None = the value itself travels."""
        if isinstance(value, Run):
            known = self._known.get(id(value))
            if known is not None:
                return {"run": known[1]}
            called = self.traces.add(value, self.client)
            self._known[id(value)] = value, called
            return {"run": called, "facts": facts_of(value)}
        if isinstance(value, Subject):
            return {"subject": True}
        if isinstance(value, MethodType) and value.__self__ is self.lens:
            return {"spelled": True}
        return None

    def named(self, handle: dict[str, Any]) -> object:
        """Return what the client calls so."""
        if "run" not in handle:
            return self.lens.spelled if "spelled" in handle else self.lens
        called = handle["run"]
        if not isinstance(called, str):
            raise MalformedError(f"{called!r} is no name of a trace.")
        run = self.traces.get(called, self.client)
        self._known[id(run)] = run, called
        return run
