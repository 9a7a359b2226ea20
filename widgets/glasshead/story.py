"""Stories: captions over states of a view, with questions that wait for a guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import traitlets

from glasshead.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable

V = TypeVar("V", bound=View)

_THE_READERS = {"theme", "height"}
"""Traits of a view that no step changes: how the page looks is the reader's."""


@dataclass(frozen=True)
class StoryStep:
    """One step of a story: words, and what the view shows with them.

    Parameters
    ----------
    caption : str
        What the step says; an empty line begins a new paragraph. Plain text.
    state : dict
        Traits of the view, e.g. ``{"layer": 1, "heads": [3]}``. What is not named is as it was
        when the story was made.
    ask : str
        A question that waits for a guess before the story goes on; the reader may also have the
        answer shown.
    answer : str or int, or a list of them
        Words that are right (capitals and spaces do not matter), or token positions: these are
        guessed by clicking a token in the view.
    choices : sequence of str
        Answers to choose from; without them words are typed.
    because : str
        Said when the answer is known.
    reveal : dict
        Traits that change when the answer is known, e.g. ``{"blank": False}``.
    where : {"text", "source"}
        The text that positions are of: "source" of an encoder-decoder model.
    """

    caption: str
    state: Mapping[str, Any] = field(default_factory=dict)
    ask: str = ""
    answer: str | int | Sequence[str | int] | None = None
    choices: Sequence[str] = ()
    because: str = ""
    reveal: Mapping[str, Any] = field(default_factory=dict)
    where: Literal["text", "source"] = "text"


def story(view: V, steps: Iterable[StoryStep | tuple[str, Mapping[str, Any]]]) -> V:
    """Tell a story over a view: captions with back and next, each over a state of the view.

    It stands in the view wherever that is shown, in notebooks and in saved pages, and starts with
    the first step; ``view.step`` says where the reader is, and goes there when it is set.

    Parameters
    ----------
    view : View
        Any view, or what :func:`explore` returns.
    steps : iterable of StoryStep or (str, dict)
        Captions and states: ``[("Look at the crossing.", {"layer": 1, "heads": [1]}), ...]``.
        None at all takes the story away.

    Returns
    -------
    View
        The same view.

    Raises
    ------
    TypeError
        For a step that is none, or a trait that the view does not have.
    ValueError
        For a question without an answer, or whose answer is not among the choices.
    traitlets.TraitError
        For a state that the view cannot show. The message names the step, and the view stays as it
        was.

    Examples
    --------
    >>> import glasshead
    >>> lines = glasshead.AttentionLines(glasshead.Lens.demo("decoder").trace("the cat sat"))
    >>> lines = glasshead.story(lines, [("All heads together.", {}), ("One.", {"heads": [0]})])
    >>> lines.step = 1
    >>> lines.heads
    [0]
    """
    told = [_step(number, step) for number, step in enumerate(steps, start=1)]
    base = {name: value for name, value in view.state().items() if name not in _THE_READERS}
    with view.hold_sync():
        told_in_full: list[dict[str, Any]] = []
        try:
            # Backwards: it ends where the reader begins.
            for number, step in reversed([*enumerate(told, start=1)]):
                told_in_full.append(_in_full(view, base, number, step))
            told_in_full.reverse()
            view.set(**(told_in_full[0]["state"] if told_in_full else {}))
        except Exception:
            view.set(**base)
            raise
        view.set_trait("story", told_in_full)
        view.step = 0
    return view


def _step(number: int, step: Any) -> StoryStep:
    caption, state, reveal = "", {}, {}
    match step:
        case StoryStep(caption=caption, state=state, reveal=reveal):
            pass
        case (caption, state):
            step = StoryStep(caption, state)
        case _:
            caption = None
    is_one = isinstance(caption, str) and all(isinstance(each, Mapping) for each in (state, reveal))
    if not is_one:
        raise TypeError(
            f"Step {number} is no step of a story: give a StoryStep, or a caption and a state, "
            f'("Look at the crossing.", {{"layer": 1}}); got {step!r}.'
        )
    _check_question(number, step)
    return step


def _check_question(number: int, step: StoryStep) -> None:
    answers = _answers(step)
    if bool(step.ask) != bool(answers):
        missing = "an answer" if step.ask else "a question: ask=..."
        raise ValueError(f"Step {number} of the story lacks {missing}.")
    if len({type(answer) for answer in answers}) > 1:
        raise ValueError(f"Step {number}: answers are words, or positions, not both: {answers}.")
    if step.choices and not all(answer in step.choices for answer in answers):
        raise ValueError(
            f"Step {number}: the answer {step.answer!r} is not among the choices "
            f"{list(step.choices)}."
        )
    if step.where not in ("text", "source"):
        raise ValueError(f'Step {number}: where={step.where!r}; it is "text" or "source".')


def _answers(step: StoryStep) -> list[str | int]:
    if step.answer is None:
        return []
    return [step.answer] if isinstance(step.answer, (str, int)) else [*step.answer]


def _in_full(view: View, base: dict[str, Any], number: int, step: StoryStep) -> dict[str, Any]:
    """Return a step as it travels, with its whole states, which the view has tried."""
    answers = _answers(step)
    positions = [answer for answer in answers if isinstance(answer, int)]
    state = _tried(view, number, {**base, **step.state})
    reveal = _tried(view, number, {**state, **step.reveal})
    if positions:
        pins = "selected_source" if step.where == "source" else "selected"
        _tried(view, number, {**state, pins: positions})
    return {
        "caption": step.caption,
        "state": state,
        "ask": step.ask,
        "choices": [*step.choices],
        "words": [answer for answer in answers if isinstance(answer, str)],
        "positions": positions,
        "where": step.where,
        "because": step.because,
        "reveal": reveal,
    }


def _tried(view: View, number: int, state: dict[str, Any]) -> dict[str, Any]:
    """Return a state as the view has taken it."""
    told = f"Step {number} of the story: "
    try:
        view.set(**state)
    except TypeError as error:
        raise TypeError(f"{told}{error}") from None
    except traitlets.TraitError as error:
        raise traitlets.TraitError(f"{told}{error}") from None
    return {name: value for name, value in view.state().items() if name in state}
