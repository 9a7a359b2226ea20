"""The messages between a view and its kernel: ask and answer, hello, stop.

``{kind: "ask", id, question, args}`` is always answered with ``{kind: "answer", id, ok, ...}``: a
``result`` (small JSON) and a ``layout`` that names, in order, the binary buffers sent along; or an
``error`` in plain words. ``{kind: "hello", id}`` is answered in kind, so that a page knows that it
has a kernel; with ``frame``, the key of the picture that the page has, the view also sends the
picture that it has missed. ``{kind: "stop"}`` ends long work; the view itself sees to it.
``{kind: "cancel", id}`` says that an answer is no longer wanted, which is known too late here.
Must be kept in step with ``js/shared/host/wire.ts`` and ``js/shared/host/anywidget.ts``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead_backend.frames import Packed

    Answer = tuple[dict[str, Any], dict[str, Packed]]
    """What a question returns: small JSON, and named arrays."""

    Question = TypeVar("Question", bound=Callable[..., Answer])


def question(method: Question) -> Question:
    """Mark a method of a view as a question that the browser may ask by the method's name."""
    method.__glasshead_question__ = True  # type: ignore[attr-defined]
    return method


def reply(view: object, content: object) -> tuple[dict[str, Any], list[bytes]] | None:
    """Work out the reply to one message from the browser.

    Parameters
    ----------
    view : object
        Its methods marked with :func:`question` can be asked.
    content : object
        The message.

    Returns
    -------
    (dict, list of bytes) or None
        The message to send back with its buffers; None where no reply is due. Answers are computed
        in the order of the questions, so a "cancel" always comes too late to save work here: the
        browser drops the answer.
    """
    if not isinstance(content, dict):
        return None
    if content.get("kind") == "hello":
        return {name: content[name] for name in ("kind", "id") if name in content}, []
    if content.get("kind") != "ask":
        return None
    answer: dict[str, Any] = {"kind": "answer", "id": content.get("id")}
    name, args = content.get("question"), content.get("args") or {}
    method: Any = getattr(view, name, None) if isinstance(name, str) else None
    if not getattr(method, "__glasshead_question__", False):
        return {**answer, "ok": False, "error": f"This view cannot be asked {name!r}."}, []
    # Whatever goes wrong is the view's to show: no answer would look like a dead kernel.
    try:
        result, arrays = method(**args)
    except Exception as error:  # noqa: BLE001
        return {**answer, "ok": False, "error": str(error) or type(error).__name__}, []
    layout = [
        {"name": key, "dtype": array["dtype"], "shape": array["shape"]}
        for key, array in arrays.items()
    ]
    buffers = [array["data"] for array in arrays.values()]
    return {**answer, "ok": True, "result": result, "layout": layout}, buffers
