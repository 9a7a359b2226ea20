"""What was recorded of one run, and what there is in it: kinds, layers, heads, tokens, words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from glasshead_backend.memory import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable
    from contextlib import AbstractContextManager

    from jaxtyping import Float
    from torch import Tensor
    from typing_extensions import Self

    from glasshead_backend.anatomy.contributions import Norms
    from glasshead_backend.anatomy.examine import Anatomy
    from glasshead_backend.asking import Family, Kind, Side, Stack
    from glasshead_backend.capture.call import AttentionCall, Path
    from glasshead_backend.lens import Lens
    from glasshead_backend.running.logits import NextTokenLogits
    from glasshead_backend.running.same_model import ModelState
    from glasshead_backend.text.sequences import Sequence, Sides
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.text.words import Word

_KIND_ORDER: tuple[Kind, ...] = ("self", "encoder", "decoder", "cross")


class Recorded:
    """The recorded run itself; what can be asked about it is added by the classes above.

    Parameters
    ----------
    lens : Lens
        What was run.
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
    """

    def __init__(
        self,
        *,
        lens: Lens,
        state: ModelState,
        anatomy: Anatomy,
        sides: Sides,
        calls: dict[Kind, dict[int, AttentionCall]],
        logits: NextTokenLogits | None,
        scores: Float[Tensor, "score token"] | None,
        norms: Norms,
        inputs: dict[str, Tensor],
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.lens = lens
        self._anatomy = anatomy
        self._state = state
        self._model_class = type(lens.model).__name__
        self.sides = sides
        self._calls = calls
        self._logits = logits
        self._scores = scores
        self._norms = norms
        self._inputs = inputs
        self._autocast = autocast
        self._remembered = Remembered()
        self._closed = False

    def __repr__(self) -> str:
        if self._closed:
            return f"Trace({self.lens.name}; closed)"
        sizes = ", ".join(f"{s.name}: {len(s.tokens)} tokens" for s in self.sequences)
        kinds = ", ".join(self.kinds)
        return f"Trace({self.lens.name}; {sizes}; {kinds} attention; {self.nbytes / 1e6:.1f} MB)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free what was recorded. Questions asked afterwards raise ``ValueError``."""
        self._calls, self._norms, self._inputs = {}, {}, {}
        self._logits = self._scores = None
        self._remembered = Remembered()
        self._closed = True

    @property
    def nbytes(self) -> int:
        """Bytes of tensors that this trace keeps alive."""
        calls = sum(call.nbytes for by_layer in self._calls.values() for call in by_layer.values())
        norms = sum(norm.nbytes for norm in self._norms.values())
        logits = self._logits.nbytes if self._logits else 0
        scores = 0 if self._scores is None else self._scores.nbytes
        return calls + norms + logits + scores + self._remembered.nbytes

    def remembered(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """Return a small result, computed the first time that it is asked for."""
        return self._remembered.get(key, make)

    @contextmanager
    def _model_again(self, way_out: str = "") -> Generator[Any, None, None]:
        """The model, to compute something once more: it has to be what it was, up to the end.

        Raises
        ------
        ModelChangedError
            When it is another by now.
        """
        self._require_open()
        model = self._state.require_same(way_out)
        with self._autocast():
            yield model
        # A training loop in another thread, say.
        self._state.require_same(way_out)

    # ---- what there is ------------------------------------------------------------------------

    @property
    def family(self) -> Family:
        """What the model is: "decoder", "encoder-decoder" or "encoder"."""
        return self._anatomy.family

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of attention: ``("self",)`` or ``("encoder", "decoder", "cross")``."""
        self._require_open()
        return tuple(kind for kind in _KIND_ORDER if kind in self._calls)

    @property
    def default_kind(self) -> Kind:
        """The kind meant when none is named: "cross" where there is such, else the first."""
        return "cross" if "cross" in self.kinds else self.kinds[0]

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """The text, or source and target (the decoder's inputs)."""
        return self.sides.all

    @property
    def labels(self) -> tuple[Token, ...] | None:
        """What each decoder row predicts (encoder-decoder models), else None."""
        return None if self.sides.predicted is None else self.sides.predicted.tokens

    def sequence(self, name: str) -> Sequence:
        """Return the sequence of a name: "text", or "source" and "target"."""
        return self.sides.named(name)

    def side(self, side: Side, kind: Kind | None = None) -> Sequence:
        """Return the sequence on one side of an attention map."""
        return self.sides.of(side, self._kind(kind))

    def layers(self, kind: Kind | None = None) -> list[int]:
        """Return the model's own numbers of the layers that have attention of a kind."""
        return sorted(self._calls[self._kind(kind)])

    def n_heads(self, layer: int, kind: Kind | None = None) -> int:
        """Return the number of heads of a layer."""
        return self.call(layer, kind).n_heads

    def path(self, layer: int, kind: Kind | None = None) -> Path:
        """Return how the weights of a layer are computed.

        Returns
        -------
        {"capture", "eager", "replay"}
            From the recorded query and key, by our own arithmetic or by the model's own eager
            function; or by running the attention module once more.
        """
        return self.call(layer, kind).path

    def queries(self, kind: Kind | None = None) -> list[Token]:
        """Return the tokens that look: the rows of an attention map."""
        return list(self.side("query", kind).tokens)

    def keys(self, kind: Kind | None = None) -> list[Token]:
        """Return the tokens that are looked at: the columns of an attention map."""
        return list(self.side("key", kind).tokens)

    def words(self, side: Side = "query", kind: Kind | None = None) -> list[Word]:
        """Return the words of one side; every token is in exactly one.

        Rows of cross attention are grouped by the token they *predict*, rows and columns of decoder
        self-attention by the input token (see :attr:`labels`).
        """
        return self.sides.words(side, self._kind(kind))

    def _kind(self, kind: Kind | None) -> Kind:
        if kind is None:
            return self.default_kind
        if kind not in self.kinds:
            names = ", ".join(repr(name) for name in self.kinds)
            unreadable = self._anatomy.structure.unreadable
            reason = next((why for of, why in unreadable.items() if of == kind), None)
            if reason is not None:
                raise ValueError(f"{reason} What can be read: {names}.")
            raise ValueError(f"kind {kind!r} is not there: {self.lens.name} has {names}.")
        return kind

    def _stack(self, kind: Kind | None) -> Stack:
        kind = self._kind(kind)
        return "decoder" if kind == "cross" else kind

    def call(self, layer: int, kind: Kind | None = None) -> AttentionCall:
        """Return the recorded attention call of a layer."""
        by_layer = self._calls[self._kind(kind)]
        # Numbers of numpy and torch are welcome; what is no number at all is named as it is.
        layer = int(layer) if hasattr(layer, "__index__") else layer
        if layer not in by_layer:
            raise ValueError(
                f"layer {layer!r} is out of range: {self.lens.name} has "
                f"{_layer_names(sorted(by_layer))} with {self._kind(kind)} attention."
            )
        return by_layer[layer]

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("This trace is closed. Trace the text again to ask more questions.")


def _layer_names(layers: list[int]) -> str:
    contiguous = layers == list(range(layers[0], layers[-1] + 1))
    if contiguous and len(layers) > 1:
        return f"layers {layers[0]}-{layers[-1]}"
    return "layers " + ", ".join(map(str, layers)) if len(layers) > 1 else f"layer {layers[0]}"
