"""Reads arrays back from frames, as a view does."""

from __future__ import annotations

from typing import Any

import numpy as np


def unpack(packed: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(packed["data"], packed["dtype"]).reshape(packed["shape"])


def ask(view: Any, question: str, **args: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Ask as a browser does, and read the answer as it does."""
    sent: list[tuple[dict[str, Any], list[bytes]]] = []
    view.send = lambda content, buffers=None: sent.append((content, buffers or []))
    message = {"kind": "ask", "id": 7, "question": question, "args": args}
    view._handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": []})
    ((answer, buffers),) = sent
    assert (answer["kind"], answer["id"]) == ("answer", 7)
    layout = answer.get("layout", [])
    return answer, {
        part["name"]: unpack({**part, "data": data})
        for part, data in zip(layout, buffers, strict=True)
    }
