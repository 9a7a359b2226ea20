"""Views in a page that are live: what `docs/gallery.py` has saved, in a frame of its own."""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Callable

    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))
from gallery import FOLDER

_FRAME = """\
<figure class="live">
<iframe src="{page}" title="{title}" loading="lazy" sandbox="allow-scripts allow-downloads"
 style="height: min({height}px, 85vh)"></iframe>
<figcaption>{title} <a href="{page}">By itself, on a page of its own</a> ({size}).</figcaption>
</figure>
"""


class Live(SphinxDirective):
    """``{live} NAME``: the view that `docs/gallery.py` makes by this name, with a title."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {"height": directives.nonnegative_int}

    def run(self) -> list[nodes.Node]:
        """Return the frame."""
        page = FOLDER / f"{self.arguments[0]}.html"
        if not page.exists():
            raise self.error(f"{page.name} was not made: python docs/gallery.py")
        self.env.note_dependency(str(page))
        frame = _FRAME.format(
            page="../" * self.env.docname.count("/") + f"{FOLDER.name}/{page.name}",
            title=escape(" ".join(self.content)),
            height=self.options.get("height", 640),
            size=f"{page.stat().st_size / 1e6:.2f} MB",
        )
        return [nodes.raw("", frame, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("live", Live)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
