"""A trace in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glasshead.explorer import Explorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead_backend import Trace


def explore(trace: Trace, *, panes: Sequence[str] | None = None, **state: Any) -> Explorer:
    """Show a trace in several views that are one instrument.

    Parameters
    ----------
    trace : Trace
    panes : sequence of str, optional
        The panes that are shown, of "lines", "matrix", "strip" and "chart"; all unless some are
        named.
    **state
        What to begin with: ``layer``, ``heads``, ``kind``, ``unit`` (default "word"), ``selected``,
        ``theme``, heads that are switched off (``off=[(3, 1)]``: head 1 of layer 3) ..., and what
        is a pane's own under its name: ``lines_threshold``, ``chart_metric``. What
        :meth:`Explorer.state` returns restores a picture.

    Returns
    -------
    Explorer
        With the panes as ``.lines``, ``.matrix``, ``.strip`` and ``.chart``.
    """
    if panes is not None:
        state["panes"] = panes
    return Explorer(trace, **state)
