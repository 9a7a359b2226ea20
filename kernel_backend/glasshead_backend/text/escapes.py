"""Moses' way to write characters that mean something to it: ``&apos;`` for ``'``.

Tokenizers that cut words by Moses' rules (BioGPT, FSMT) spell such characters out before their
vocabulary cuts them up, so that a token may hold a part of one: ``&ap``, ``os;``.
"""

from __future__ import annotations

import re

_MEANING = {
    "&apos;": "'",
    "&quot;": '"',
    "&amp;": "&",
    "&lt;": "<",
    "&gt;": ">",
    "&#91;": "[",
    "&#93;": "]",
    "&#124;": "|",
    "@-@": "-",
}
# A hyphen inside a word is made a word of its own; the other signs that look so are text.
_ESCAPE = re.compile(r"&(?:apos|quot|amp|lt|gt|#91|#93|#124);|(?<!\S)@-@(?!\S)")


def unescape(text: str) -> tuple[str, list[int]]:
    """Return `text` with each escape as the character that it stands for.

    Returns
    -------
    plain : str
    place : list of int
        For every character of `text` the place of its character in `plain`; one more for the end.
    """
    plain: list[str] = []
    place: list[int] = []
    at = 0
    for escape in _ESCAPE.finditer(text):
        before = text[at : escape.start()]
        place.extend(range(len(plain), len(plain) + len(before)))
        plain.extend(before)
        place.extend([len(plain)] * len(escape[0]))
        plain.append(_MEANING[escape[0]])
        at = escape.end()
    place.extend(range(len(plain), len(plain) + len(text) - at + 1))
    plain.extend(text[at:])
    return "".join(plain), place
