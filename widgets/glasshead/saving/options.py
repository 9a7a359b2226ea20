"""Settings that hold for all views of a program: ``glasshead.options``."""

from __future__ import annotations

import os
from typing import Literal, get_args

Fallback = Literal["poster", "page"]


class Options:
    """Settings that hold for all views.

    ``fallback`` decides what an output has beside the live view, for hosts that show no widgets: a
    code host, a converter, a notebook that is opened again.

    - ``"poster"``: a still picture and what the view says, at most 60 kB.
    - ``"page"``: the interactive page of ``save_html`` in a frame, at most 1.5 MB; where it does
      not fit, the poster, which says so.
    - ``None``: nothing.

    The environment variable ``GLASSHEAD_FALLBACK`` ("poster", "page" or "none") says what a program
    begins with: so a notebook is converted without a change in it.
    """

    __slots__ = ("_fallback",)

    def __init__(self) -> None:
        self._fallback: Fallback | None = "poster"
        begun = os.environ.get("GLASSHEAD_FALLBACK", "poster")
        self.fallback = None if begun == "none" else begun  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def fallback(self) -> Fallback | None:
        """What an output has beside the live view: "poster", "page" or None."""
        return self._fallback

    @fallback.setter
    def fallback(self, value: Fallback | None) -> None:
        if value is not None and value not in get_args(Fallback):
            raise ValueError(f'options.fallback is "poster", "page" or None, got {value!r}.')
        self._fallback = value

    def __repr__(self) -> str:
        return f"options.fallback = {self._fallback!r}"


options = Options()
