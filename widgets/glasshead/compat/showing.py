"""What a call does with its view: as other libraries do, show it, or return it as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from IPython.display import HTML, display

if TYPE_CHECKING:
    from glasshead.view import View

HtmlAction = Literal["view", "return"]


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
        page = HTML(view.to_html(theme=view.theme))
        view.close()
        return page
    display(view)
    return None
