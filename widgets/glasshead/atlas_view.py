"""A view of heads that may be of many texts: an atlas, alone or beside a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import traitlets

from glasshead.trace_view import TraceView
from glasshead_backend.frames.head_atlas import AtlasHeads, atlas_scene, require_same_heads
from glasshead_backend.statistics import HeadAtlas

if TYPE_CHECKING:
    from glasshead_backend import Trace
    from glasshead_backend.statistics.atlas_metrics import AtlasMetric


class AtlasView(TraceView):
    """A view of the heads of a trace, of an atlas, or of both.

    Parameters
    ----------
    trace : Trace or HeadAtlas
    atlas : HeadAtlas, optional
        Beside a trace.
    **state
        Traits.

    Raises
    ------
    TypeError
        For what is neither a trace nor an atlas, and for two atlases.
    ValueError
        For an atlas and a trace of different models.
    """

    by = traitlets.Enum(
        ["mean", "low", "high"],
        default_value="mean",
        help="Which number of an atlas sorts and filters: the mean, or an end of its interval.",
    ).tag(sync=True)
    typical = traitlets.Dict(
        help="Rows of one head in an atlas' texts, by bucket of the metric.", read_only=True
    ).tag(sync=True)

    def __init__(
        self, trace: Trace | HeadAtlas, *, atlas: HeadAtlas | None = None, **state: Any
    ) -> None:
        if isinstance(trace, HeadAtlas):
            if atlas is not None:
                raise TypeError(
                    "An atlas is shown alone, or beside a trace: "
                    f"{type(self).__name__}(trace, atlas=atlas)."
                )
            # A view asks it for the heads as it asks a trace.
            atlas, trace = trace, cast("Trace", AtlasHeads(trace))
        self._atlas = _required_atlas(atlas)
        super().__init__(trace, **state)

    @property
    def atlas(self) -> HeadAtlas | None:
        """Many texts that the metrics are of; None = they are of the trace."""
        return self._atlas

    @property
    def _alone(self) -> AtlasHeads | None:
        """The atlas, where there is no text."""
        trace: object = self.shown_trace
        return trace if isinstance(trace, AtlasHeads) else None

    @property
    def _atlas_here(self) -> HeadAtlas | None:
        """The atlas, where it is of the kind of attention that is shown."""
        self.shown_trace  # noqa: B018  a closed view says so
        atlas = self._atlas
        return atlas if atlas is not None and atlas.kind == self.kind else None

    @property
    def _of_many(self) -> tuple[AtlasMetric, ...]:
        """The metrics that are means over many texts."""
        return () if self._atlas_here is None else self._atlas_here.metrics

    def _require_shown(self, trace: object) -> None:
        if isinstance(trace, AtlasHeads):
            return
        super()._require_shown(trace)
        if self._atlas is not None:
            require_same_heads(self._atlas, cast("Trace", trace))

    # ---- of a trace, or of an atlas alone --------------------------------------------------------

    def _scene(self, trace: Trace) -> dict[str, Any]:
        heads: object = trace
        return atlas_scene(heads) if isinstance(heads, AtlasHeads) else super()._scene(trace)

    def _make_axes(self) -> dict[str, Any]:
        return {} if self._alone else super()._make_axes()

    def _require_layer(self, layer: int) -> None:
        if self._alone:
            self._alone.place(layer)
        else:
            super()._require_layer(layer)

    @traitlets.validate("by")
    def _valid_by(self, proposal: dict[str, Any]) -> str:
        if proposal["value"] != "mean" and self._atlas is None:
            raise traitlets.TraitError(
                f"by={proposal['value']!r} is an end of an interval over many texts: "
                "HeadFinder(trace, atlas=atlas)."
            )
        return proposal["value"]


def _required_atlas(atlas: object) -> HeadAtlas | None:
    """Refuse what is no atlas."""
    if atlas is None or isinstance(atlas, HeadAtlas):
        return atlas
    raise TypeError(
        f"atlas is a HeadAtlas, got {type(atlas).__name__}. Make one with head_atlas(lens, texts), "
        "or read one with HeadAtlas.load(path)."
    )
