"""What the strip reads of the token that is pinned: its layers, and its distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from glasshead.continuing import Continuing
from glasshead.messages import question
from glasshead_backend import FittedLens
from glasshead_backend.frames.readings import distribution_at, layers_reading
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from glasshead.messages import Answer
    from glasshead_backend import Trace


class StripReadings(Continuing):
    """The panel under the text, and the questions that it asks of the pinned token.

    Parameters
    ----------
    trace : Trace
    fitted : FittedLens or list of them, optional
        Lenses that layers are read by, see :meth:`read_by`.
    **state
        Traits, e.g. ``reading="layers"``.
    """

    reading = traitlets.Enum(
        ["", "layers", "distribution"],
        default_value="",
        help="What is shown of the pinned token under the text; empty = nothing.",
    ).tag(sync=True)
    followed = traitlets.List(
        traitlets.Int(),
        help="Ids of tokens followed through the layers; empty = the token that came and the "
        "model's first choices.",
    ).tag(sync=True)
    trajectory = traitlets.Enum(
        ["probability", "rank"],
        default_value="probability",
        help="What of the followed tokens is drawn by layer.",
    ).tag(sync=True)
    lenses = traitlets.List(
        traitlets.Dict(),
        help="The fitted lenses that layers can be read by: name, and label in words.",
        read_only=True,
    ).tag(sync=True)
    reading_lens = traitlets.Unicode(
        "",
        help="Name of the fitted lens that layers are read by; empty = the logit lens: read_by().",
    ).tag(sync=True)
    temperature = traitlets.Float(
        1.0, min=0.05, max=5.0, help="What logits are divided by in the distribution."
    ).tag(sync=True)
    sample_k = traitlets.Int(
        0, min=0, help="Sampling keeps so many first choices; 0 = all tokens."
    ).tag(sync=True)
    sample_p = traitlets.Float(
        1.0, min=0.01, max=1.0, help="Sampling keeps the fewest tokens with so much probability."
    ).tag(sync=True)
    by_id = traitlets.Bool(
        False, help="Whether the distribution is drawn by token id instead of by rank."
    ).tag(sync=True)

    def __init__(
        self, trace: Trace, *, fitted: FittedLens | Iterable[FittedLens] | None = None, **state: Any
    ) -> None:
        given = _several(fitted)
        self._fitted = _by_name(given)
        super().__init__(trace, **state)
        try:
            self._offer(given, state.get("reading_lens"))
        except BaseException:
            self.close()
            raise

    def read_by(self, *fitted: FittedLens) -> None:
        """Read layers by lenses that were fitted to the model; the page has the choice of them.

        The first is shown. ``view.reading_lens = ""`` goes back to the logit lens, and so does
        ``view.read_by()``, for good.

        Parameters
        ----------
        *fitted : FittedLens

        Raises
        ------
        TypeError
            For something that is no fitted lens.
        ValueError
            For a lens of another model.
        """
        self._offer(_several(fitted))

    def _offer(self, fitted: list[FittedLens], shown: str | None = None) -> None:
        """Offer lenses, and read by one of them: by the first, where none is named."""
        for one in fitted:
            one.require_model(run_of(self.trace))
        named = _by_name(fitted)
        with self._lock, self.hold_sync():
            self._fitted = {**self._fitted, **named}  # the one that is shown is still there
            self.reading_lens = next(iter(named), "") if shown is None else shown
            self._fitted = named
            labels = [{"name": name, "label": one.label} for name, one in named.items()]
            self.set_trait("lenses", labels)

    @traitlets.validate("reading_lens")
    def _valid_reading_lens(self, proposal: dict[str, Any]) -> str:
        name = proposal["value"]
        if name and name not in self._fitted:
            raise traitlets.TraitError(
                f"reading_lens names {name!r}, which is not there: call read_by(fitted)."
            )
        return name

    def _on_trace(self) -> None:
        super()._on_trace()
        try:
            for one in self._fitted.values():
                one.require_model(run_of(self.trace))
        except ValueError:
            self._offer([])

    def close(self) -> None:
        """Close the view and let go of its lenses."""
        super().close()
        self._fitted = {}

    def _reading_code(self) -> str:
        """Return the Python behind the panel; "" where it shows nothing."""
        if not self.reading or not self.selected:
            return ""
        position = self.selected[-1]
        if self.reading == "layers":
            followed = f", followed={self.followed}" if self.followed else ""
            if not self.reading_lens:
                return f"trace.layer_readings({position}{followed}).followed_frame()"
            read = f"trace.layer_readings({position}{followed}, fitted=fitted).followed_frame()"
            return f"# fitted: {self._fitted[self.reading_lens].label}\n{read}"
        wanted = {"temperature": (self.temperature, 1.0), "top_k": (self.sample_k, 0)}
        wanted["top_p"] = (self.sample_p, 1.0)
        told = "".join(
            f", {name}={value}" for name, (value, usual) in wanted.items() if value != usual
        )
        return f"trace.distribution({position}{told}).to_frame()"

    @question
    def distribution(
        self, position: int, temperature: float, sample_k: int, sample_p: float
    ) -> Answer:
        """Return what could have stood at one position, and what sampling would keep of it."""
        return distribution_at(
            self.trace,
            position,
            temperature=temperature,
            top_k=sample_k or None,
            top_p=sample_p,
        )

    @question
    def layer_readings(self, position: int, followed: str, lens: str = "") -> Answer:
        """Return what each layer would predict at one position.

        `followed` has ids, "3,17"; `lens` is the name of a fitted one.
        """
        ids = [int(id_) for id_ in followed.split(",") if id_]
        fitted = self._fitted[lens] if lens else None
        return layers_reading(
            self.trace.layer_readings(position, followed=ids or None, fitted=fitted)
        )


def _several(fitted: Any) -> list[FittedLens]:
    """Return one lens or several as a list; refuse what is none."""
    given = [] if fitted is None else [fitted] if isinstance(fitted, FittedLens) else [*fitted]
    for one in given:
        if not isinstance(one, FittedLens):
            raise TypeError(
                f"Layers are read by what fit_lens(lens, texts) returns; got {one!r:.80}."
            )
    return given


def _by_name(fitted: list[FittedLens]) -> dict[str, FittedLens]:
    """Name lenses by their kinds: "tuned", "tuned 2"."""
    named: dict[str, FittedLens] = {}
    for one in fitted:
        n_before = sum(other.kind == one.kind for other in named.values())
        named[f"{one.kind} {n_before + 1}" if n_before else one.kind] = one
    return named
