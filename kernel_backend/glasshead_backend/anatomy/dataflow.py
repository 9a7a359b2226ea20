"""How the output of a layer comes about from its input: the sums on the way, seen as they are made.

While a model runs, a dispatch mode sees every operation of torch. What it keeps of a tensor is a
node: a sum, a multiple or another arrangement of other nodes, or something else made of them. That
is enough to follow the residual stream through a layer, whatever the model file looks like: it is
what comes from the layer's input without a matrix on the way.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from glasshead_backend.asking import Block

    Factor = float | Tensor
    _Geometry = tuple[object, tuple[int, ...], tuple[int, ...]]

_SUMS = {"add": 1.0, "add_": 1.0, "sub": -1.0, "sub_": -1.0}
_PRODUCTS = {"mul", "mul_"}
_QUOTIENTS = {"div", "div_"}
_ARRANGEMENTS = {
    "view", "_unsafe_view", "reshape", "_reshape_alias", "view_as", "flatten", "unflatten",
    "transpose", "t", "permute", "movedim", "squeeze", "unsqueeze", "expand", "contiguous",
    "clone", "_to_copy", "to", "type_as", "detach", "alias", "lift_fresh", "dropout",
    "native_dropout", "slice", "narrow",
}  # fmt: skip
"""What changes no value; where it leaves some out, the result is no longer of the same size."""
_SELECTIONS = {
    "select", "index", "split", "split_with_sizes", "chunk", "unbind", "cat", "stack", "pad",
    "constant_pad_nd", "where", "masked_fill", "masked_fill_", "clamp", "clamp_", "clamp_min",
    "nan_to_num", "copy_", "roll",
}  # fmt: skip
_NORMS = {
    "layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm", "native_group_norm", "pow",
    "mean", "sum", "rsqrt", "sqrt", "var", "var_mean", "std", "square", "neg", "reciprocal", "abs",
    "linalg_vector_norm", "norm", "amax", "max", "maximum", "rsub", "addcmul",
}  # fmt: skip
_ON_THE_STREAM = {*_SUMS, *_PRODUCTS, *_QUOTIENTS, *_ARRANGEMENTS, *_SELECTIONS, *_NORMS}
_SOFTMAXES = ("softmax", "scaled_dot_product", "flash", "flex_attention", "efficient_attention")
_ACTIVATIONS = {
    "relu", "relu_", "gelu", "gelu_", "silu", "silu_", "sigmoid", "tanh", "hardswish", "mish",
    "softplus", "elu", "leaky_relu", "hardtanh", "erf", "exp", "glu",
}  # fmt: skip


@dataclass(eq=False, slots=True)
class Node:
    """One tensor at one moment: what is written into becomes another node.

    Attributes
    ----------
    size : int
        Number of elements.
    terms : tuple
        What it is the sum of, ``(factor, node)`` each: one for a multiple or another arrangement,
        none for what is no sum. A factor is a number, or a tensor that the model multiplies with.
    sources : tuple of Node
        What it is made of.
    in_stream : bool
        Whether it comes from the layer's input without a matrix on the way.
    given : bool
        Whether it is made only of what else the layer is given (masks, embeddings).
    kinds : frozenset
        The kinds of attention that went into it since it left the stream.
    bent : bool
        Whether an activation function was applied to what attention had put out.
    mixed : bool
        Whether attention and something else were added up outside the stream.
    uses_given : bool
        Whether anything else that the layer is given went into it.
    constant : Tensor or None
        The tensor itself, where it comes from nothing that the layer is given.
    modules : list
        The modules that put it out, with the number of their run; innermost first.
    value, added : Tensor or None
        Copies: of its values, once a module has put it out; of what a sum adds to the stream.
    """

    size: int
    terms: tuple[tuple[Factor, Node], ...] = ()
    sources: tuple[Node, ...] = ()
    in_stream: bool = False
    given: bool = False
    kinds: frozenset[Block] = frozenset()
    bent: bool = False
    mixed: bool = False
    uses_given: bool = False
    constant: Tensor | None = None
    modules: list[tuple[nn.Module, int]] = field(default_factory=list["tuple[nn.Module, int]"])
    value: Tensor | None = None
    added: Tensor | None = None


class Dataflow(TorchDispatchMode):
    """Notes how tensors come about from what a layer is given.

    Parameters
    ----------
    inside : callable
        Says which attention is being computed at this moment, None for none; and whether all that
        is computed belongs to it, or only what follows a softmax.
    """

    def __init__(self, inside: Callable[[], tuple[Block, bool] | None]) -> None:
        super().__init__()
        self._inside = inside
        self.active = False
        # By memory, the tensors that look at it: a view often comes back as another object.
        self._known: dict[int, dict[_Geometry, tuple[Tensor, Node]]] = {}
        self._memories: list[object] = []

    def begin(self, stream: Tensor, others: Iterable[Tensor]) -> Node:
        """Forget everything, and begin with what a layer is given."""
        self._forget()
        self.active = True
        for other in others:
            self._put(other, Node(other.numel(), given=True, uses_given=True))
        node = Node(stream.numel(), in_stream=True)
        self._put(stream, node)
        return node

    @contextmanager
    def paused(self) -> Generator[None]:
        """Note nothing of what is done in this context."""
        active, self.active = self.active, False
        try:
            yield
        finally:
            self.active = active

    def end(self) -> None:
        """Forget everything."""
        self._forget()
        self.active = False

    def _forget(self) -> None:
        self._known = {}
        self._memories = []

    def node_of(self, tensor: object) -> Node | None:
        """Node of a tensor; None when it does not come from what the layer is given."""
        if not isinstance(tensor, Tensor):
            return None
        here = self._known.get(memory_of(tensor))
        if here is None:
            return None
        own = _geometry(tensor)
        found = here.get(own)
        if found is None:
            # Somebody wrote into a part of it.
            node = _derived(tensor.numel(), tuple(node for _, node in here.values()))
            found = here[own] = tensor, node
        return found[1]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the operation as it is, and note what it made of what."""
        del types
        kwargs = kwargs or {}
        if not self.active:
            return func(*args, **kwargs)
        given = tensors_in((*args, *kwargs.values()) if kwargs else args)
        sources = tuple(node for one in given if (node := self.node_of(one)) is not None)
        inside = self._inside()
        if not sources and inside is None:  # weights, positions
            return func(*args, **kwargs)
        name = func.overloadpacket.__name__
        # Before it is written into.
        added = self._copy_of_added(args) if name in _SUMS and sources else None
        terms = self._terms(name, args, kwargs) if sources else ()
        result = func(*args, **kwargs)
        marks = _marks(name, inside)
        if not sources and not marks:
            return result
        for out in tensors_in((result,)):
            whole = all(one.size == out.numel() or one.constant is not None for _, one in terms)
            fitting = terms if whole else ()
            node = _derived(out.numel(), sources, fitting)
            if _stays(name, sources):
                node.in_stream, node.added = True, added
            elif not node.given:
                node.kinds |= marks
                _note_outside_attention(node, name, inside)
            self._put(out, node, written=name.endswith("_"))
        return result

    def _put(self, tensor: Tensor, node: Node, *, written: bool = False) -> None:
        memory = memory_of(tensor)
        if memory not in self._known:
            # It is held, so that nothing else can come to lie at its place. The tensor alone does
            # not do so: weights that are read from a file are given their memory afterwards.
            self._memories.append(_held(tensor))
        here = self._known.setdefault(memory, {})
        own = _geometry(tensor)
        if written:
            # All other tensors of the same memory hold something else now, too.
            for geometry, (held, old) in here.items():
                if old.size == node.size:
                    changed = _derived(old.size, (node,), ((1.0, node),))
                    changed.in_stream = node.in_stream
                else:
                    changed = _derived(old.size, (old, node))
                here[geometry] = held, changed
        elif own in here:  # the same tensor under another name
            return
        here[own] = tensor, node

    def _terms(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Factor, Node], ...]:
        """What a result is the sum of, if it is one."""
        if name in _SUMS:
            if not all(isinstance(one, Tensor) for one in args[:2]):
                return ()
            sign = _SUMS[name] * float(kwargs.get("alpha", 1.0))
            return (1.0, self._or_constant(args[0])), (sign, self._or_constant(args[1]))
        if name in _PRODUCTS:
            one, other = args if self.node_of(args[0]) is not None else args[::-1]
            node = None if self.node_of(other) is not None else self.node_of(one)
            factor = other if isinstance(other, Tensor) else float(other)
        elif name in _QUOTIENTS:
            plain = not isinstance(args[1], Tensor) and not kwargs
            node = self.node_of(args[0]) if plain else None
            factor = 1.0 / float(args[1]) if plain else 1.0
        else:
            node, factor = self.node_of(args[0]) if name in _ARRANGEMENTS else None, 1.0
        return () if node is None else ((factor, node),)

    def _or_constant(self, tensor: Tensor) -> Node:
        return self.node_of(tensor) or Node(tensor.numel(), constant=tensor)

    def _copy_of_added(self, args: Sequence[Any]) -> Tensor | None:
        """Of a sum of the stream and something else, a copy of what is added."""
        nodes = [self.node_of(one) for one in args[:2]]
        first, second = (node is not None and node.in_stream for node in nodes)
        other = args[1] if first else args[0]
        return other.detach().clone() if first != second and isinstance(other, Tensor) else None


_NUMBERS = frozenset({int, float, bool, str})


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif value is None or type(value) in _NUMBERS:
            continue
        elif isinstance(value, (tuple, list)):
            yield from tensors_in(value)
        elif isinstance(value, dict):
            yield from tensors_in(value.values())


def memory_of(tensor: Tensor) -> int:
    """What tells the memory apart that a tensor lies in, as long as the tensor lives."""
    try:
        return tensor.untyped_storage()._cdata  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    except (NotImplementedError, RuntimeError):  # sparse and opaque tensors have none
        return -id(tensor)


def _held(tensor: Tensor) -> object:
    """What keeps the memory of a tensor in its place as long as it is held itself."""
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return tensor


def _geometry(tensor: Tensor) -> _Geometry:
    return tensor.storage_offset(), tensor.shape, tensor.stride()


def _derived(
    size: int, sources: tuple[Node, ...], terms: tuple[tuple[Factor, Node], ...] = ()
) -> Node:
    """Return a node outside the stream that inherits from its sources outside the stream."""
    node = Node(size, terms, sources)
    node.given = bool(sources) and all(source.given for source in sources)
    for source in sources:
        if not source.in_stream:
            node.kinds |= source.kinds
            node.bent |= source.bent
            node.mixed |= source.mixed
            node.uses_given |= source.uses_given
    return node


def _stays(name: str, sources: tuple[Node, ...]) -> bool:
    """Whether a result is the stream: no matrix, and no factor that a block has made."""
    if name not in _ON_THE_STREAM or not any(source.in_stream for source in sources):
        return False
    return name in _SUMS or all(source.in_stream or source.given for source in sources)


def _marks(name: str, inside: tuple[Block, bool] | None) -> frozenset[Block]:
    if inside is None:
        return frozenset()
    kind, wholly = inside
    return frozenset({kind}) if wholly or any(part in name for part in _SOFTMAXES) else frozenset()


def _note_outside_attention(node: Node, name: str, inside: tuple[Block, bool] | None) -> None:
    """Note what is done with the output of attention once it is there."""
    if inside is not None:
        return
    node.bent |= bool(node.kinds) and name in _ACTIVATIONS
    apart = {source.kinds for source in node.sources if not source.in_stream}
    node.mixed |= name in _SUMS and len(apart) > 1
