"""What the gallery shows of a view: its states, and what is recorded of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from glasshead import StoryStep
    from glasshead.view import View

Status = Literal["ready", "no kernel"]
Theme = Literal["light", "dark"]


@dataclass(frozen=True)
class State:
    """One picture of the gallery.

    Parameters
    ----------
    name : str
        Names the picture's file and its place on the page.
    shown : callable
        Makes what the view is of: a trace, or the arguments of a view of something else.
    traits : dict
        Initial traits of the view, or functions that find them in what is shown.
    set : dict
        Traits set afterwards without the view's validation: errors, busy words, a wrong layer.
    told : tuple of StoryStep
        A story that is told over the view; `at` is the step that is shown.
    at : int
        As said.
    width : int
        Pixels.
    pictures : bool
        Whether the other pictures that its controls lead to are recorded too.
    status : str
        What the host says about the kernel.
    note : str
        What to look for.
    watched : tuple of str
        Themes in which its look is compared with how it was: see looks.py.
    """

    name: str
    shown: Callable[[], Any]
    traits: dict[str, Any] = field(default_factory=dict)
    set: dict[str, Any] = field(default_factory=dict)
    told: tuple[StoryStep, ...] = ()
    at: int = 0
    width: int = 900
    pictures: bool = False
    status: Status = "ready"
    note: str = ""
    watched: tuple[Theme, ...] = ()


def nothing(*_: object) -> list[Any]:
    """Return nothing: the view has no controls, or no questions, to record."""
    return []


@dataclass(frozen=True)
class Page:
    """The states of one view.

    Parameters
    ----------
    view : type of View
    states : list of State
    depends : callable
        Given a view, names the traits that need another picture from the kernel when they change.
    questions : callable
        Given a view and its synced traits, lists what may be asked while the first picture shows.
    pictured : tuple of str
        The traits that a picture consists of.
    """

    view: type[View]
    states: list[State]
    depends: Callable[[Any], list[str]] = nothing
    questions: Callable[[Any, dict[str, Any]], Iterable[tuple[str, dict[str, Any]]]] = nothing
    pictured: tuple[str, ...] = ("frame", "axes")
