"""What views say: built front end and real frames, read out without a browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glasshead.messages import reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead.trace_view import TraceView

ROOT = Path(__file__).parents[2]


@dataclass
class Page:
    """A view, what is done with it, and what is read after each thing done.

    Parameters
    ----------
    view : TraceView
    read : dict
        Selectors by name; ``selector@attribute`` reads an attribute.
    acts : list of dict
        ``{"set": traits}``, ``{"on": selector, "event": name}`` or ``{"press": keys}``.
    asks : list
        Questions that the page will ask, with their arguments.
    """

    view: TraceView
    read: dict[str, str]
    acts: list[dict[str, Any]]
    asks: list[tuple[str, dict[str, Any]]] = field(default_factory=list[Any])

    def described(self) -> dict[str, Any]:
        """Return the page as JSON, with the kernel's answers."""
        name = type(self.view).__name__
        return {
            "view": re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(),
            "traits": {k: v for k, v in self.view.get_state().items() if not k.startswith("_")},
            "acts": self.acts,
            "read": self.read,
            "answers": [self._answer(question, args) for question, args in self.asks],
        }

    def _answer(self, question: str, args: dict[str, Any]) -> dict[str, Any]:
        answered = reply(self.view, {"kind": "ask", "id": "", "question": question, "args": args})
        assert answered is not None
        message, buffers = answered
        assert message["ok"], message
        return {"question": question, "args": args, "message": message, "buffers": buffers}


def said_by(pages: Sequence[Page]) -> list[list[dict[str, list[str]]]]:
    """Read all pages: for each page, for each thing done, texts by name."""
    sent = {
        "static": str(ROOT / "widgets" / "glasshead" / "static"),
        "pages": [page.described() for page in pages],
    }
    run = subprocess.run(
        [shutil.which("node") or "node", str(ROOT / "tests" / "js" / "read_aloud.mjs")],
        input=json.dumps(sent, default=_packed),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def _packed(value: object) -> dict[str, str] | str:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return str(value)  # the layout: of no account here


def holds(text: str, true: float, *, share: bool = True) -> bool:
    """Whether a number as it is written is true, to its last digit.

    Parameters
    ----------
    text : str
        "0.41", "98.7 %", "< 0.001", "≤ 4.4", "1,507".
    true : float
        A share is meant as 0.987, whether it is written with % or not.
    share : bool
        Whether 0 and 1 mean nothing and all, and may be written only for these.
    """
    number = float(re.sub(r"[^\d.eE+-]", "", text.replace("−", "-").replace(",", "")))
    scale = 100 if text.rstrip().endswith("%") else 1
    true *= scale
    if re.search("[<≤]", text):
        return 0 < true <= number * (1 + 1e-6)
    if ">" in text:
        return number <= true < scale or number == scale < true
    if share and number in (0, scale):
        return abs(true - number) < 1e-6 * scale
    places = len(text.partition(".")[2].split("e")[0].split()[0]) if "." in text else 0
    if number >= 1000:  # of thousands the last zeros are not said
        places = len(str(int(number)).rstrip("0")) - len(str(int(number)))
    return abs(true - number) <= 0.5 * 10**-places + 2e-6 * abs(true)
