"""What every view has: it can be saved as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast, get_args

from glasshead.saving.document import in_a_frame
from glasshead.saving.fallback import StaticView, fallback_html
from glasshead.saving.options import Fallback, options
from glasshead.saving.saved_page import check_page, page_of
from glasshead.values import file_to_write

if TYPE_CHECKING:
    from pathlib import Path

    from glasshead.export import Drawings
    from glasshead.saving.document import PageTheme
    from glasshead.saving.saved_page import Page, SavedPage
    from glasshead.view import View


class AsPage:
    """The part of a view that makes pages of it."""

    page_parts: ClassVar[frozenset[str]] = frozenset()
    """What a saved page of it needs of its trace: "weights", "heads", "strip", "chart",
    "query_key", "activations", "attribution", "patches"."""

    _lock: ClassVar[Any]
    _drawings: Drawings

    def in_words(self) -> list[str]:
        """Return what the picture says, in a few sentences: strongest things first."""
        return []

    def save_html(
        self,
        path: str | Path,
        *,
        max_bytes: int | None = None,
        title: str | None = None,
        theme: PageTheme = "auto",
    ) -> SavedPage:
        """Save the view as a page: one file that needs no network, no kernel and no Python.

        All layers, heads, kinds and units stay interactive, as far as they fit. Attention weights
        are written with an error that the page states; where there is little room, with fewer
        digits first, then for fewer layers.

        Parameters
        ----------
        path : str or Path
            Ends in ``.html``.
        max_bytes : int, optional
            Most that the page may take; default: 10 MB.
        title : str, optional
            Of the page; default: view and model.
        theme : {"auto", "light", "dark"}
            "auto" follows the reader's.

        Returns
        -------
        SavedPage
            The file, its bytes, what is in it, what was left out, and the error of its numbers.

        Raises
        ------
        ValueError
            When `max_bytes` is too small; the message says the least possible.
        FileNotFoundError
            For a folder that is not there.
        """
        target = file_to_write(path, ".html", ".htm")
        return self._page(max_bytes=max_bytes, title=title, theme=theme).saved(target)

    def to_html(
        self, *, max_bytes: int | None = None, title: str | None = None, theme: PageTheme = "auto"
    ) -> str:
        """Return what :meth:`save_html` saves, as text."""
        return self._page(max_bytes=max_bytes, title=title, theme=theme).html

    def iframe(
        self,
        *,
        height: int = 640,
        max_bytes: int | None = None,
        title: str | None = None,
        theme: PageTheme = "auto",
    ) -> str:
        """Return an ``<iframe>`` that holds the page of :meth:`save_html`, for any other page.

        It is sandboxed: it may run its own scripts and save pictures, and reaches nothing else.

        Parameters
        ----------
        height : int
            Pixels.
        max_bytes, title, theme
            As for :meth:`save_html`.
        """
        html = self.to_html(max_bytes=max_bytes, title=title, theme=theme)
        return in_a_frame(html, title or repr(self).partition(":")[0], height)

    def static(self, kind: Fallback | None = None) -> StaticView:
        """Return something that shows the view without a kernel, and nothing else.

        As a cell's last value it is what converters, course books and code hosts show, whatever
        widgets they know.

        Parameters
        ----------
        kind : {"page", "poster"}, optional
            "page" is interactive where scripts run: the page of :meth:`save_html` in a frame, of
            at most 1.5 MB. "poster" is a still picture with words, of at most 60 kB. Default:
            ``glasshead.options.fallback``, or "page" where that is None.
        """
        chosen = kind or options.fallback or "page"
        if chosen not in get_args(Fallback):
            raise ValueError(f'kind is "page" or "poster", got {kind!r}.')
        self._finish()
        with self._lock:
            return StaticView(fallback_html(cast("View", self), chosen), repr(self))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Show the live view, and beside it what hosts without widgets show."""
        shown: Any = super()._repr_mimebundle_(**kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        if options.fallback is None or shown is None:
            return shown
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        try:
            with self._lock:
                html = fallback_html(cast("View", self), options.fallback)
        except Exception:  # noqa: BLE001  a view that has no poster is live all the same
            return shown
        return {**data, "text/html": html}, metadata

    def _page(self, **how: Any) -> Page:
        check_page(**how)
        self._finish()
        poster = self._drawings.poster()
        with self._lock:
            return page_of(cast("View", self), poster=poster, **how)

    def _finish(self) -> None:
        """Wait for what is being computed: a page has the whole picture."""
