"""What the blocks of a model add to its residual stream, and reading it while the model runs."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glasshead_backend.running.arena import Arena
from glasshead_backend.running.hooks import on_input, on_output

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from jaxtyping import Float
    from torch import Tensor, nn

    from glasshead_backend.asking import ActivationBlock, Stack

    Norms = dict[tuple[Stack, int, str], Float[Tensor, "*batch token"]]


@dataclass(frozen=True)
class Rows:
    """Where the tokens of a text are in what a stack's modules put out.

    Attributes
    ----------
    tokens_first : bool
        Whether tensors are ``[tokens, batch, hidden]``.
    first : int
        The row of the first token: some models put prompts before a text.
    """

    tokens_first: bool = False
    first: int = 0

    def of(self, tensor: Tensor, batch: int) -> Float[Tensor, "batch row hidden"]:
        """Arrange an output by sequence, from the first token on; rows behind a text may follow."""
        hidden = tensor.shape[-1]
        if self.tokens_first:
            rows = tensor.reshape(-1, batch, hidden).transpose(0, 1)
        else:
            # Some flatten the batch (mixtures of experts).
            rows = tensor.reshape(batch, -1, hidden)
        return rows[:, self.first :]


@dataclass(frozen=True, eq=False)
class Part:
    """A summand of what a block adds: a module's output times what the model multiplies it with.

    Attributes
    ----------
    module : nn.Module or None
        None for a constant: the product of the factors alone.
    run : int
        Which run of the module it is: modules that stand at several places run several times.
    factor : float
    factors : tuple of Tensor
        Parameters or buffers that the model multiplies with, ``[hidden]`` or a single number.
    """

    module: nn.Module | None
    run: int = 0
    factor: float = 1.0
    factors: tuple[Tensor, ...] = ()

    def scaled(self, rows: Tensor | None) -> Tensor:
        """Return what the model makes of the module's output."""
        factors = self.factors
        if rows is None:
            rows, factors = factors[0], factors[1:]
        for factor in factors:
            rows = rows * factor
        return rows if self.factor == 1.0 else rows * self.factor


@dataclass(frozen=True, eq=False)
class Writer:
    """What one block adds to the residual stream, or (block "residual") the stream itself.

    Attributes
    ----------
    stack, layer, block
        Whose block it is.
    parts : tuple of Part
        What sums to it.
    rows : Rows
        Where the tokens are in what the modules put out.
    """

    stack: Stack
    layer: int
    block: ActivationBlock
    parts: tuple[Part, ...]
    rows: Rows


@dataclass(frozen=True, eq=False)
class Contributions:
    """What is known of a model's residual stream.

    Attributes
    ----------
    writers : list of Writer
        The blocks that add to the stream, by stack and layer.
    streams : list of Writer
        The stream behind every layer.
    embeddings : dict
        By stack, the first layer's module with where its tokens are.
    unclear : dict
        ``{(stack, layer, block): reason}``: blocks that a layer has and whose contribution is not
        known.
    """

    writers: list[Writer]
    streams: list[Writer]
    embeddings: dict[Stack, tuple[nn.Module, Rows]]
    unclear: dict[tuple[Stack, int, str], str]


@contextmanager
def observed(
    writers: Sequence[Writer],
    batch: int,
    note: Callable[[Writer, Float[Tensor, "batch row hidden"]], None],
) -> Generator[None, None, None]:
    """Hand over what each writer adds, while the context is open, as soon as it is complete."""
    by_run: dict[tuple[int, int], list[tuple[Writer, Part]]] = {}
    for writer in writers:
        for part in writer.parts:
            if part.module is not None:
                by_run.setdefault((id(part.module), part.run), []).append((writer, part))
    runs: Counter[int] = Counter()
    begun: dict[int, tuple[int, Tensor]] = {}

    def see(module: nn.Module, output: Tensor) -> None:
        run = runs[id(module)]
        runs[id(module)] += 1
        for writer, part in by_run.get((id(module), run), ()):
            own = part.scaled(writer.rows.of(output.detach(), batch))
            n_seen, total = begun.pop(id(writer), (0, None))
            total = own if total is None else total + own.to(total.device)
            constants = [one.scaled(None).detach() for one in writer.parts if one.module is None]
            if n_seen + 1 + len(constants) < len(writer.parts):
                # The model may write into its output later on.
                begun[id(writer)] = n_seen + 1, total.clone()
                continue
            for constant in constants:
                total = total + constant.to(total)
            note(writer, total)

    modules = [part.module for writer in writers for part in writer.parts]
    with on_output([module for module in modules if module is not None], see):
        yield


@contextmanager
def embedding_observed(
    layer: nn.Module, rows: Rows, note: Callable[[Float[Tensor, "row hidden"]], None]
) -> Generator[None, None, None]:
    """Hand over what goes into the first layer, of one sequence, while the context is open."""
    runs: list[nn.Module] = []

    def see(module: nn.Module, tensor: Tensor) -> None:
        if not runs:
            note(rows.of(tensor.detach(), 1)[0])
        runs.append(module)

    with on_input([layer], see):
        yield


@contextmanager
def norms_of(writers: Sequence[Writer], batch: int) -> Generator[Norms, None, None]:
    """Note the L2 norm, ``[batch, tokens]``, of what each writer adds while the context is open.

    Of models that pad by themselves more rows than tokens; the text's own come first.
    """
    norms: Norms = {}
    arena = Arena()

    def note(writer: Writer, added: Tensor) -> None:
        norm = added.float().norm(dim=-1)
        norms[writer.stack, writer.layer, writer.block] = arena.keep(norm)

    with observed(writers, batch, note):
        yield norms
