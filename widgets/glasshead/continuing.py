"""Another word at one place: the model goes on from there, and there is a way back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import traitlets

from glasshead.messages import question
from glasshead.trace_view import TraceView

if TYPE_CHECKING:
    from glasshead.messages import Answer
    from glasshead_backend import Trace


@dataclass(frozen=True)
class Origin:
    """Where a continued trace comes from.

    Attributes
    ----------
    trace : Trace
        The one before.
    position : int
        Where the other token was put.
    token : str
    """

    trace: Trace
    position: int
    token: str


class Continuing(TraceView):
    """A view in which the model goes on from another word, and from another one in that.

    The trace of what it writes is shown in place of the last one, in an explorer by all panes.

    Parameters
    ----------
    trace : Trace
    **state
        Traits.
    """

    continued = traitlets.List(
        traitlets.Dict(),
        help="What was put in place of other tokens to let the model go on, oldest first.",
        read_only=True,
    ).tag(sync=True)

    def __init__(self, trace: Trace, **state: Any) -> None:
        # An origin lives as long as what was made of it.
        self._origins: WeakKeyDictionary[Trace, Origin] = WeakKeyDictionary()
        super().__init__(trace, **state)

    def close(self) -> None:
        """Close the view and let go of its traces."""
        super().close()
        self._origins = WeakKeyDictionary()

    def _on_trace(self) -> None:
        super()._on_trace()
        steps: list[dict[str, Any]] = []
        origin = self._origins.get(self._whole)
        while origin is not None:
            steps.append({"position": origin.position, "token": origin.token})
            origin = self._origins.get(origin.trace)
        self.set_trait("continued", steps[::-1])

    def _continue(self, trace: Trace, position: int, token: int) -> Trace:
        other = trace.continue_with(position, token)
        chosen = other.predictions().tokens[position]
        self._origins[other] = Origin(trace, position, chosen.text)
        return other

    @question
    def continue_with(self, position: int, token: int) -> Answer:
        """Put another token, by its id, at one position, and let the model go on from there."""
        make = partial(self._continue, self._whole, position, token)
        self._trace_anew("the model writes on", make, [position])
        return {}, {}

    @question
    def step_back(self) -> Answer:
        """Show again what was shown before the model went on."""
        origin = self._origins.get(self._whole)
        if origin is not None:
            # Of one text only: what stood behind the place is there again.
            self._trace_anew("going back", lambda: origin.trace, [origin.position])
        return {}, {}
