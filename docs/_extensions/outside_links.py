"""Links of a page to files that are no page of the site.

The pages are also read in the repository, where links lead to folders and files of code. On the
site a link to a page of the repository's root leads to that page of the site; of other links
outwards only the words stay.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sphinx.application import Sphinx

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
}
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^(```.*?^```)", re.DOTALL | re.MULTILINE)


def on_the_site(text: str, folder: str) -> str:
    """Return a page's text with links as they hold on the site.

    Parameters
    ----------
    text : str
        Markdown.
    folder : str
        Where it lies, seen from the repository's root: "docs", "docs/how-to", or "".
    """

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        path = posixpath.normpath(posixpath.join(folder, target))
        if path in PAGES:
            path = f"docs/{PAGES[path]}"
        if not path.startswith("docs/"):
            return words
        page = posixpath.relpath(path, folder if folder.startswith("docs") else "docs")
        return f"[{words}]({page}{anchor})"

    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)


def _read(app: Sphinx, page: str, content: list[str]) -> None:
    if app.env.doc2path(page).suffix == ".md":
        folder = posixpath.dirname(f"docs/{page}")
        content[0] = on_the_site(content[0], folder)


def _include(_: Sphinx, path: Path, __: str, content: list[str]) -> None:
    if path.suffix == ".md":
        folder = posixpath.dirname(posixpath.normpath(f"docs/{path.as_posix()}"))
        content[0] = on_the_site(content[0], folder)


def setup(app: Sphinx) -> dict[str, bool]:
    """Rewrite links of pages as they are read."""
    app.connect("source-read", _read)
    app.connect("include-read", _include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
