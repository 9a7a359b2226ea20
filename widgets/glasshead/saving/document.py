"""A saved page as HTML: one file, a strict policy, and text that no browser runs."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from html import escape
from typing import Literal

PageTheme = Literal["auto", "light", "dark"]


@dataclass(frozen=True)
class Document:
    """What stands on a page.

    Attributes
    ----------
    title : str
    theme : {"auto", "light", "dark"}
    style, loader, code : str
        The sheet, the script that runs, and the code that it runs.
    data : dict of str to str
        Base64 texts by the ids of their elements: the code and the contents among them.
    text : str
        HTML for readers without scripts.
    foot : str
        HTML under the view: what it is, and what it is not.
    """

    title: str
    theme: PageTheme
    style: str
    loader: str
    code: str
    data: dict[str, str] = field(default_factory=dict[str, str])
    text: str = ""
    foot: str = ""

    def html(self) -> str:
        """Return the page."""
        named = "" if self.theme == "auto" else f' data-theme="{self.theme}"'
        loader = _inline(self.loader)
        style = self.style.replace("</", "<\\/")
        data = "\n".join(
            f'<script type="application/octet-stream" id="{name}">{text}</script>'
            for name, text in self.data.items()
        )
        return f"""<!doctype html>
<html lang="en"{named}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(style, loader, self.code)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(self.title)}</title>
<style>{style}</style>
</head>
<body>
<main>
<div id="gh-view" class="gh-place"></div>
<div id="gh-text">
{self.text}
<noscript><p>The interactive view needs JavaScript, which is switched off here.</p></noscript>
<p id="gh-failed" hidden>The interactive view could not be opened in this browser.</p>
</div>
</main>
<footer class="page-foot">
{self.foot}
</footer>
{data}
<script>{loader}</script>
</body>
</html>
"""


def in_a_frame(html: str, title: str, height: int) -> str:
    """Return an element that shows a page within another one, and lets it reach nothing else."""
    return (
        f'<iframe title="{escape(title)}" height="{height}" sandbox="allow-scripts allow-downloads"'
        ' style="width:100%;border:0;color-scheme:normal" loading="lazy" '
        f'srcdoc="{escape(html)}"></iframe>'
    )


def _policy(style: str, *scripts: str) -> str:
    """Allow these scripts and this sheet, pictures that the page itself makes, and nothing else."""
    hashes = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src {_hash(style)}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _inline(script: str) -> str:
    """Return a script that an inline element can hold."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
