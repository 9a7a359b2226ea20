"""A recorded run: the tokens, what entered every softmax, how well each token was predicted."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from glasshead_backend.running.edits import edited
from glasshead_backend.tracing.scores import prediction_shift
from glasshead_backend.tracing.store import Store, bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.anatomy.contributions import Norms
    from glasshead_backend.anatomy.examine import Anatomy
    from glasshead_backend.answering import Server
    from glasshead_backend.asking import Ablated, Kind, Side, Stack
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.running.edits import Edit
    from glasshead_backend.running.logits import NextTokenLogits
    from glasshead_backend.running.same_model import ModelState
    from glasshead_backend.text.sequences import Sequence, Sides
    from glasshead_backend.tracing.subject import Subject

KIND_ORDER: tuple[Kind, ...] = ("self", "encoder", "decoder", "cross")


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What was recorded of one text, and the answers that were kept.

    Attributes
    ----------
    subject : Subject
        What was run.
    model_class : str
        Name of its model's class.
    state : ModelState
        What the model was while it ran.
    anatomy : Anatomy
        What had been found out about it.
    sides : Sides
        The sequences, by the role they play in each kind of attention.
    calls : dict
        ``{kind: {layer: call}}``.
    logits : NextTokenLogits or None
        What alternatives are made from; None for models that predict no next token.
    scores : Tensor or None
        How well each token was predicted, see :func:`glasshead_backend.tracing.scores.scores_of`.
    norms : dict
        L2 norms of what each block adds to the residual stream.
    inputs : dict
        Keyword arguments of the model's forward over this sequence alone.
    autocast : callable
        Makes the state of autocast that the model ran in, for what is computed once more.
    masked : bool
        Whether each token was masked to be scored (an encoder's pseudo-perplexity).
    given : bool
        Whether it is of arrays that somebody gave: there is no model.
    edits : tuple of Edit
        What was replaced while the model ran, and is whenever it runs again.
    ablated : Ablated or None
        What of the model was switched off by that.
    store : Store
        What was made of all this, and is kept.
    server : Server or None
        Who answers questions about it, where its model is elsewhere.
    """

    subject: Subject
    model_class: str
    state: ModelState
    anatomy: Anatomy
    sides: Sides
    calls: dict[Kind, dict[int, AttentionCall]]
    logits: NextTokenLogits | None
    scores: Float[Tensor, "score token"] | None
    norms: Norms
    inputs: dict[str, Tensor]
    autocast: Callable[[], AbstractContextManager[object]]
    masked: bool = False
    given: bool = False
    edits: tuple[Edit, ...] = ()
    ablated: Ablated | None = None
    store: Store = field(default_factory=Store)
    server: Server | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of tensors that it keeps alive."""
        recorded = self.calls, self.norms, self.logits, self.scores, self.store, self.server
        return sum(map(bytes_of, recorded))

    def emptied(self) -> Run:
        """Let go of what is kept, and return what is left to be said: the tokens."""
        self.store.close()
        if self.server is not None:
            self.server.close(self)
        return replace(self, calls={}, norms={}, inputs={}, logits=None, scores=None, server=None)

    @contextmanager
    def model_again(self, way_out: str = "") -> Generator[Any, None, None]:
        """The model, to compute something once more: it has to be what it was, up to the end.

        Raises
        ------
        ModelChangedError
            When it is another by now.
        ModelNeededError
            When there is none.
        """
        model = self.state.require_same(way_out)
        with self.autocast(), edited(model, self.edits):
            yield model
        # A training loop in another thread, say.
        self.state.require_same(way_out)

    def require_model(self) -> None:
        """Refuse what takes a model, where there is none."""
        if self.given:
            self.state.require_same()

    # ---- what there is ------------------------------------------------------------------------

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of attention."""
        return tuple(kind for kind in KIND_ORDER if kind in self.calls)

    @property
    def default_kind(self) -> Kind:
        """The kind meant when none is named: "cross" where there is such, else the first."""
        if not self.calls:
            raise ValueError(self._without_attention)
        return "cross" if "cross" in self.calls else self.kinds[0]

    @property
    def _without_attention(self) -> str:
        most = self.subject.window
        fits = "" if most is None else f", which has room for {most:,} tokens"
        return (
            "This text was scored without its attention (lens.score): there are predictions, and "
            f"nothing else. To see attention use lens.trace(text){fits}."
        )

    @property
    def shift(self) -> int:
        """The token that row 0 predicts: the next one; label 0, or the masked token itself."""
        return 0 if self.masked else prediction_shift(self.sides)

    def kind(self, kind: Kind | None) -> Kind:
        """Return a kind that there is; the one that is meant where none is named.

        Raises
        ------
        ValueError
            When there is no such attention, or it cannot be read; the message says why.
        """
        if kind is None:
            return self.default_kind
        if not self.calls:
            raise ValueError(self._without_attention)
        if kind not in self.kinds:
            names = ", ".join(repr(name) for name in self.kinds)
            unreadable = self.anatomy.structure.unreadable
            reason = next((why for of, why in unreadable.items() if of == kind), None)
            if reason is not None:
                raise ValueError(f"{reason} What can be read: {names}.")
            raise ValueError(f"kind {kind!r} is not there: {self.subject.name} has {names}.")
        return kind

    def stack(self, kind: Kind | None) -> Stack:
        """Return the stack of layers that a kind of attention belongs to."""
        kind = self.kind(kind)
        return "decoder" if kind == "cross" else kind

    def layers(self, kind: Kind | None = None) -> list[int]:
        """Return the model's own numbers of the layers that have attention of a kind."""
        return sorted(self.calls[self.kind(kind)])

    def call(self, layer: int, kind: Kind | None = None) -> AttentionCall:
        """Return the recorded attention call of a layer.

        Raises
        ------
        ValueError
            When there is no such layer; the message says which there are.
        """
        by_layer = self.calls[self.kind(kind)]
        # Numbers of numpy and torch are welcome; what is no number at all is named as it is.
        layer = int(layer) if hasattr(layer, "__index__") else layer
        if layer not in by_layer:
            raise ValueError(
                f"layer {layer!r} is out of range: {self.subject.name} has "
                f"{layer_names(sorted(by_layer))} with {self.kind(kind)} attention."
            )
        return by_layer[layer]

    def side(self, side: Side, kind: Kind | None = None) -> Sequence:
        """Return the sequence on one side of an attention map."""
        return self.sides.of(side, self.kind(kind))

    def is_causal(self, kind: Kind) -> bool:
        """Whether a token can look only at itself and at what comes before it."""
        return kind == "decoder" or (kind == "self" and self.subject.family == "decoder")

    def sequence_of(self, stack: Stack) -> Sequence:
        """Return the sequence that a stack of layers works on."""
        return self.sides.all[0 if stack in ("self", "encoder") else -1]


def layer_names(layers: list[int]) -> str:
    """Write which layers there are: "layers 0-5", "layers 1, 3", "layer 2"."""
    contiguous = layers == list(range(layers[0], layers[-1] + 1))
    if contiguous and len(layers) > 1:
        return f"layers {layers[0]}-{layers[-1]}"
    return "layers " + ", ".join(map(str, layers)) if len(layers) > 1 else f"layer {layers[0]}"
