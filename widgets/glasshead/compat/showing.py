"""What a call does with its view: as other libraries do, show it, or return it as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from IPython.display import HTML, display

from glasshead.saving.document import in_a_frame

if TYPE_CHECKING:
    from glasshead.view import View

HtmlAction = Literal["view", "return"]

_HEIGHT = 600


class Page(HTML):
    """A saved page: ``data`` is the file; as the output of a cell it is shown in a frame."""

    def _repr_html_(self, *args: Any, **options: Any) -> str:  # noqa: ARG002  IPython's own
        return in_a_frame(str(self.data), "Glasshead", _HEIGHT)


def shown(view: View, html_action: HtmlAction) -> HTML | None:
    """Show a view as the output of its cell, or return it as a page that needs no network.

    Raises
    ------
    ValueError
        For another action.
    """
    if html_action not in ("view", "return"):
        raise ValueError(f"html_action is 'view' or 'return', got {html_action!r}.")
    if html_action == "return":
        theme: Any = view.theme
        page = Page(view.to_html(theme=theme))
        view.close()
        return page
    display(view)
    return None
