"""A run that is with a server: its tokens are here, what was recorded is there."""

from __future__ import annotations

import weakref
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from glasshead_backend.served.calls import ServedCall
from glasshead_backend.served.facts import ablated_of, sides_of, unreadable_of
from glasshead_backend.served.subject import elsewhere
from glasshead_backend.tracing.run import Run

if TYPE_CHECKING:
    from glasshead_backend.anatomy.examine import Anatomy
    from glasshead_backend.running.same_model import ModelState
    from glasshead_backend.served.facts import Facts
    from glasshead_backend.served.subject import Line
    from glasshead_backend.tracing.subject import Subject


class RunAtServer:
    """A run as its server knows it. When nobody here has it any more, the server is told.

    Parameters
    ----------
    connection : Line
    id_ : str
        What the server calls it.
    nbytes : int
        Bytes that the server keeps for it.
    """

    def __init__(self, connection: Line, id_: str, nbytes: int) -> None:
        self.connection, self.id, self.nbytes = connection, id_, nbytes
        self._told = weakref.finalize(self, connection.dropper(), id_)
        self._told.atexit = False  # then the server finds out by itself

    @property
    def server(self) -> RunAtServer:
        """It answers for itself."""
        return self

    def answer(
        self, question: str, of: object, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> Any:
        """Ask the server."""
        return self.connection.answer(question, of, args, kwargs)

    def close(self, run: object) -> None:
        """Let the server forget it."""
        del run
        self._told()


def run_at(connection: Line, subject: Subject, id_: str, facts: Facts) -> Run:
    """Make the run that a server told of."""
    at = RunAtServer(connection, id_, facts["nbytes"])
    return Run(
        subject=subject,
        model_class=facts["model_class"],
        state=cast("ModelState", elsewhere(subject.name, connection.url)),
        anatomy=_with_unreadable(subject.anatomy, facts),
        sides=sides_of(facts),
        calls={
            kind: {
                int(layer): ServedCall(at, kind, int(layer), known)
                for layer, known in by_layer.items()
            }
            for kind, by_layer in facts["calls"].items()
        },
        logits=None,
        scores=None,
        norms={},
        inputs={},
        autocast=nullcontext,
        masked=facts["masked"],
        ablated=ablated_of(facts),
        server=at,
    )


def _with_unreadable(anatomy: Anatomy, facts: Facts) -> Anatomy:
    structure = replace(anatomy.structure, unreadable=unreadable_of(facts))
    return replace(anatomy, structure=structure)
