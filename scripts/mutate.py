"""Change the backend in small ways, one at a time, and see whether its tests notice.

Run ``python scripts/mutate.py units pooling`` for single modules (as below ``glasshead_backend``:
``frames/pack``), or without names for all that are mapped to tests here. Of each module `--sample`
changes are drawn at random, the same for the same `--seed`: comparisons, arithmetic, ``and`` and
``or``, ``not``, numbers, ``True`` and ``False``, and arguments left out. Every change is made in a
copy of the repository; the module's own test files run until the first failure. What survives is
printed with its line: a test is missing there, or the change makes no difference.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = Path("kernel_backend/glasshead_backend")
SECONDS = 120

# The quickest tests of a module first: the first failure ends a run.
TESTS: dict[str, tuple[str, ...]] = {
    "attention_map": ("attention_parity", "fused_attention", "long_texts", "head_statistics"),
    "captured": ("attention_parity", "batches", "attention_shapes"),
    "frames/pack": ("../widgets/test_frames", "../widgets/test_wire_bytes"),
    "memory": ("what_a_trace_holds", "long_texts"),
    "pooling": ("attention_parity", "long_texts", "../widgets/test_frames"),
    "relative_bias": ("attention_parity", "batches", "long_texts"),
    "rollout": ("through_layers",),
    "statistics/heads": ("head_statistics", "known_truths"),
    "statistics/histogram": ("histograms",),
    "statistics/information": ("mutual_information",),
    "units": ("attention_parity", "fused_attention", "through_layers"),
}

_SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Add, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def main() -> None:
    """Try a sample of changes, and say which survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=list(TESTS), help="default: all")
    parser.add_argument("--sample", type=int, default=25, help="changes of each module")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    preload()
    n_killed = n_tried = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "repository"
        ignored = shutil.ignore_patterns(".*", "node_modules", "gallery", "dist", "js")
        shutil.copytree(ROOT, copy, ignore=ignored, symlinks=True)
        for module in asked.modules:
            path = copy / PACKAGE / f"{module}.py"
            source = path.read_text()
            found = places(ast.parse(source))
            chance = random.Random(asked.seed)  # noqa: S311  nothing is kept secret
            drawn = chance.sample(found, min(asked.sample, len(found)))
            killed = 0
            for number, way in drawn:
                what, text = changed(source, number, way)
                path.write_text(text)
                noticed = fails(copy, TESTS[module])
                killed += noticed
                if not noticed:
                    print(f"  survived: {module}.py:{what}", flush=True)
            path.write_text(source)
            print(
                f"{module}: {killed} of {len(drawn)} killed, of {len(found)} there are", flush=True
            )
            n_killed, n_tried = n_killed + killed, n_tried + len(drawn)
    print(f"all: {n_killed} of {n_tried} killed ({n_killed / max(1, n_tried):.0%})")


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


def changed(source: str, number: int, way: int) -> tuple[str, str]:
    """Make one change; return it in words, and the changed source."""
    tree = ast.parse(source)
    node = next(one for i, one in enumerate(ast.walk(tree)) if i == number)
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
        node.value = (not node.value) if isinstance(node.value, bool) else node.value + 1
    ast.fix_missing_locations(tree)
    return f"{getattr(node, 'lineno', 0)}: {before} -> {ast.unparse(node)}", ast.unparse(tree)


def preload() -> None:
    """Import what takes long, and is the same for all changes."""
    for name in (
        "torch",
        "transformers",
        "scipy.stats",
        "sklearn",
        "pandas",
        "pytest",
        "hypothesis",
    ):
        with contextlib.suppress(ImportError):
            __import__(name)


def fails(copy: Path, tests: tuple[str, ...]) -> bool:
    """Whether any of some test files fails, or takes very long, in a copy of the repository."""
    pid = os.fork()
    if pid == 0:
        os.chdir(copy)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        sys.dont_write_bytecode = True
        import pytest  # noqa: PLC0415  in the parent already

        files = [
            f"tests/backend/test_{t}.py" if "/" not in t else f"tests/backend/{t}.py" for t in tests
        ]
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files])))
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


if __name__ == "__main__":
    main()
