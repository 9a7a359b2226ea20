"""Change the backend in small ways, one at a time, and see whether the tests notice.

Run ``python scripts/mutate.py`` for all modules of the backend (not the training of its demo
models), or with names (``units frames/pack``) for some. First the tests of backend and widgets run
once under coverage.py (``pip install coverage``), which tells the tests that run each line. Then
`--sample` changes are drawn at random of all there are, the same for the same `--seed`, and more
until each module has two: comparisons, arithmetic, ``and`` and ``or``, ``not``, numbers, ``True``
and ``False``, and arguments left out. Each is made in a copy of the repository, where the quickest
tests that run its line are run until the first those of different files first. What
survives is printed: a test is missing there, or the change makes no difference. The score is that
of the sample alone, with its 95 % interval. `--work` keeps the copy and what coverage told for the
next run, and `--repository` takes the sources and tests of another checkout.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tests_by_line import PACKAGE, Watched, failure, in_a_child, tests_of, watch

if TYPE_CHECKING:
    from collections.abc import Callable

_SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Add, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


class Change(NamedTuple):
    """One change: which way of which node of a module, as `ast.walk` numbers them."""

    module: str
    number: int
    way: int


def main() -> None:
    """Try a sample of changes, and say which survived."""
    parser = argparse.ArgumentParser(description=cast("str", __doc__).splitlines()[0])
    parser.add_argument("modules", nargs="*", help="default: all")
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="a folder to keep (default: a passing one)")
    parser.add_argument("--repository", type=Path, default=Path(__file__).parents[1])
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with contextlib.ExitStack() as stack:
        work = asked.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        copy, found = work / "repository", work / "watched.json"
        if not found.exists():
            copy_of(asked.repository, copy)
            if in_a_child(lambda: watch(copy, found), 3600) != 0:
                sys.exit("the tests could not be watched")
        watched = Watched(*json.loads(found.read_text()), trusted=set())
        for name in watched.imported:
            with contextlib.suppress(Exception):
                __import__(name)
        names = asked.modules or modules(copy)
        every = [Change(m, *p) for m in names for p in places(ast.parse(source_of(copy, m)))]
        random.Random(asked.seed).shuffle(every)  # noqa: S311  nothing is kept secret
        report(every, asked.sample, lambda change: noticed(change, copy, asked.repository, watched))


def report(every: list[Change], n_sample: int, is_noticed: Callable[[Change], bool]) -> None:
    """Try a sample, then what is missing of each module, and print the score."""
    sample, rest = every[:n_sample], every[n_sample:]
    n_of = Counter(change.module for change in sample)
    further: list[Change] = []
    for change in rest:
        if n_of[change.module] < 2:  # noqa: PLR2004  as the first lines say
            n_of[change.module] += 1
            further.append(change)
    killed = 0
    for i, change in enumerate(sample):
        killed += is_noticed(change)
        if (i + 1) % 10 == 0:
            print(f"# {i + 1} tried, {killed} killed", flush=True)
    low, high = interval(killed, len(sample))
    print(f"{killed} of {len(sample)} killed, of {len(every)} there are: ", end="")
    print(f"{killed / len(sample):.1%} (95 % interval {low:.1%} to {high:.1%})", flush=True)
    print(f"and {sum(map(is_noticed, further))} of {len(further)} of modules seldom drawn")


def interval(n: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    share, z2 = n / of, 1.96**2
    middle, half = share + z2 / 2 / of, (z2 * (share * (1 - share) / of + z2 / 4 / of**2)) ** 0.5
    return (middle - half) / (1 + z2 / of), (middle + half) / (1 + z2 / of)


def copy_of(repository: Path, copy: Path) -> None:
    """Copy a repository, each statement of the package on a line of its own."""
    ignored = shutil.ignore_patterns(".*", "node_modules", "dist", "recorded", "__pycache__")
    shutil.copytree(repository, copy, ignore=ignored, symlinks=True)
    (copy / "node_modules").symlink_to((repository / "node_modules").resolve())
    for path in (copy / PACKAGE).rglob("*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text())))


def modules(copy: Path) -> list[str]:
    """Every module of the package but those that train its demo models."""
    paths = (path.relative_to(copy / PACKAGE) for path in sorted((copy / PACKAGE).rglob("*.py")))
    names = [path.with_suffix("").as_posix() for path in paths]
    return [name for name in names if not name.startswith(("demo/train", "demo/toy"))]


def source_of(repository: Path, module: str) -> str:
    """Read a module's source."""
    return (repository / PACKAGE / f"{module}.py").read_text()


def noticed(change: Change, copy: Path, repository: Path, watched: Watched) -> bool:
    """Whether the tests notice a change; print it if not."""
    source, path = source_of(copy, change.module), copy / PACKAGE / f"{change.module}.py"
    line, _, text = changed(source, change)
    times = path.stat()
    while True:
        tests = tests_of(change.module, source, line, watched)
        path.write_text(text)
        failed = failure(copy, tests, watched)
        path.write_text(source)
        os.utime(path, (times.st_atime, times.st_mtime))  # the bytecode beside it holds
        if failed not in watched.seconds or failed in watched.trusted:
            break
        # A test may need those that ran before it in the run of all.
        if failure(copy, tests[: tests.index(failed) + 1], watched):
            print(f"# fails without the change, too: {failed}", flush=True)
            del watched.seconds[failed]
        else:
            watched.trusted.add(failed)
            break
    # As the repository spells it: the same nodes, on other lines.
    line, what, _ = changed(source_of(repository, change.module), change)
    place = f"{change.module}.py:{line}: {what}"
    if failed:
        print(f"killed: {place}  ({failed})", flush=True)
    else:
        print(f"survived: {place}  ({len(tests)} tests) {tuple(change)}", flush=True)
    return bool(failed)


def places(tree: ast.AST) -> list[tuple[int, int]]:
    """List every change of a module: the number of the node, and which of its ways."""
    no_code = {
        id(part)
        for one in ast.walk(tree)
        for said in (getattr(one, "annotation", None), getattr(one, "returns", None))
        if said is not None
        for part in ast.walk(said)
    }
    return [
        (number, way)
        for number, node in enumerate(ast.walk(tree))
        if id(node) not in no_code
        for way in range(n_ways(node))
    ]


def n_ways(node: ast.AST) -> int:
    """In how many ways a node can be changed."""
    if isinstance(node, ast.Compare):
        return len(node.ops)
    if isinstance(node, ast.Call):
        return len(node.keywords)
    if isinstance(node, (ast.BinOp, ast.BoolOp)):
        return int(type(node.op) in _SWAPS)
    if isinstance(node, ast.UnaryOp):
        return int(isinstance(node.op, (ast.Not, ast.USub)))
    return int(isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)))


def changed(source: str, change: Change) -> tuple[int, str, str]:
    """Make one change; return its line, the change in words, and the changed source."""
    tree = ast.parse(source)
    node: Any = next(one for i, one in enumerate(ast.walk(tree)) if i == change.number)
    way = change.way
    before = ast.unparse(node)
    if isinstance(node, ast.Compare):
        node.ops[way] = _SWAPS[type(node.ops[way])]()
    elif isinstance(node, ast.Call):
        del node.keywords[way]
    elif isinstance(node, (ast.BinOp, ast.BoolOp)):
        node.op = _SWAPS[type(node.op)]()
    elif isinstance(node, ast.UnaryOp):
        # Without its sign, or the other truth.
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Constant):
        value: Any = node.value
        node.value = (not value) if isinstance(value, bool) else value + 1
    ast.fix_missing_locations(tree)
    return node.lineno, f"{before} -> {ast.unparse(node)}", ast.unparse(tree)


if __name__ == "__main__":
    main()
