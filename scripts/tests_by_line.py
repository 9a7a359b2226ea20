"""Which tests run which line, told by one run of all under coverage.py; and runs of a few of them.

Used by mutate.py. Runs are in processes of their own, forked from one that has imported what the
tests need of other packages, which is most of what a short test takes.
"""

from __future__ import annotations

import ast
import itertools
import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path("kernel_backend/glasshead_backend")
N_QUICK, N_TESTS, SECONDS = 6, 40, 10.0  # for one line, at most


class Watched(NamedTuple):
    """What one run of all tests told."""

    seconds: dict[str, float]  # of each test that passed
    n_lines: dict[str, int]  # of the package, that each runs
    names: list[str]  # tests, and files whose fixtures ran a line
    lines: dict[str, dict[str, list[int]]]  # module -> line -> places in names
    imported: list[str]  # modules of other packages, which need not be imported for each change
    trusted: set[str]  # tests that passed in a run of few, too


def tests_of(module: str, source: str, line: int, watched: Watched) -> list[str]:
    """Choose the tests to try: those that run a line, then its function, its class, its module."""
    spans = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and node.lineno <= line <= (node.end_lineno or 0)
    ]
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in watched.seconds:
        by_file[file_of(test)].append(test)
    chosen: dict[str, float] = {}
    lines = watched.lines.get(module, {})
    n_here = Counter(watched.names[i] for some in lines.values() for i in some)
    for first, last in ((line, line), *reversed(spans), (1, sys.maxsize)):
        of_span = (some for n, some in lines.items() if first <= int(n) <= last)
        ran = [watched.names[i] for i in set(itertools.chain(*of_span))]
        tests = {t for one in ran for t in ([one] if "::" in one else by_file[one])}
        tests &= watched.seconds.keys()
        quick = by_turns(tests, watched.seconds)[: max(0, N_QUICK - len(chosen))]
        devoted = sorted(tests, key=lambda t: -n_here[t] / max(1, watched.n_lines.get(t, 0)))
        for test in (*quick, *devoted):
            seconds = sum(chosen.values()) + watched.seconds[test]
            if len(chosen) < N_TESTS and seconds < SECONDS:
                chosen.setdefault(test, watched.seconds[test])
    return list(chosen)


def by_turns(tests: set[str], seconds: dict[str, float]) -> list[str]:
    """Each file's quickest test, the quickest of all first; then each file's second; and so on."""
    files = itertools.groupby(sorted(tests), file_of)
    timed = [sorted((seconds[test], test) for test in of_file) for _, of_file in files]
    turns = ((turn, *one) for of_file in timed for turn, one in enumerate(of_file))
    return [test for _, _, test in sorted(turns)]


def file_of(test: str) -> str:
    """Name the file of a test."""
    return test.partition("::")[0]


class Watch:
    """A pytest plugin: names the running test to coverage, and times the tests that pass."""

    def __init__(self, context: Callable[[str], None]) -> None:
        self.context = context
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()

    def pytest_runtest_setup(self, item: Any) -> None:
        """A fixture may be shared by the tests of a file."""
        self.context(file_of(item.nodeid))

    def pytest_runtest_call(self, item: Any) -> None:
        """What runs from here on is the test's own."""
        self.context(item.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add up what a test took."""
        self.seconds[report.nodeid] += report.duration
        if not report.passed:
            self.failed.add(report.nodeid)


class Only:
    """A pytest plugin: runs some tests only, in the order given, and writes down which fails."""

    def __init__(self, tests: list[str], failed: Path) -> None:
        self.tests = tests
        self.failed = failed

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave out all others."""
        place = {test: i for i, test in enumerate(self.tests)}
        items[:] = sorted(
            (item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Tell the parent process."""
        if report.failed:
            self.failed.write_text(report.nodeid)


def watch(copy: Path, found: Path) -> int:
    """Run all tests under coverage, and write down which ran what."""
    try:
        import coverage  # noqa: PLC0415  needed here only
    except ImportError:
        print("coverage.py is needed to tell which tests run what: pip install coverage")
        return 1
    package = copy / PACKAGE
    measured = coverage.Coverage(data_file=None, config_file=False, include=[f"{package}/*"])
    measured.start()
    tracer = sys.gettrace()

    def context(name: str) -> None:
        if sys.gettrace() is not tracer:
            sys.settrace(tracer)  # a test took it away
        measured.switch_context(name)

    seen = Watch(context)
    pytest_in(
        copy, ["-q", "-m", "not e2e and not real_model", "tests/backend", "tests/widgets"], seen
    )
    measured.stop()
    lines: dict[str, dict[str, list[int]]] = {}
    data = measured.get_data()
    names = sorted(data.measured_contexts())
    place = {name: i for i, name in enumerate(names)}
    for file in data.measured_files():
        module = Path(file).relative_to(package).with_suffix("").as_posix()
        by_line = data.contexts_by_lineno(file).items()
        lines[module] = {str(line): [place[c] for c in some if c] for line, some in by_line}
    everywhere = itertools.chain(
        *(some for of_module in lines.values() for some in of_module.values())
    )
    n_lines = Counter(names[i] for i in everywhere)
    seconds = {test: took for test, took in seen.seconds.items() if test not in seen.failed}
    imported = [
        name
        for name in sys.modules
        if name.startswith(("torch", "transformers.", "scipy.", "sklearn.", "pandas", "hypothesis"))
    ]
    print(f"# {len(seconds)} tests passed, and not: {sorted(seen.failed)}", flush=True)
    found.write_text(json.dumps((seconds, n_lines, names, lines, imported)))
    return 0


def failure(copy: Path, tests: list[str], watched: Watched) -> str:
    """Run some tests until one fails; name it, or else what went wrong, or nothing."""
    told = copy / "failed"
    told.unlink(missing_ok=True)
    files = list(dict.fromkeys(map(file_of, tests)))
    limit = 30 + 4 * sum(watched.seconds[test] + 0.3 for test in tests)

    def run() -> int:
        sys.dont_write_bytecode = True
        code = pytest_in(copy, ["-x", "-q", "-p", "no:cacheprovider", *files], Only(tests, told))
        nothing_to_run = 5
        return 0 if code == nothing_to_run else code

    code = in_a_child(run, limit) if tests else 0
    if code == 0:
        return ""
    return told.read_text() if told.exists() else "tests that cannot start, or do not end"


def pytest_in(copy: Path, arguments: list[str], plugin: object) -> int:
    """Run pytest in the copy, silently."""
    import pytest  # noqa: PLC0415  the parent need not

    os.chdir(copy)
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (copy / "widgets", copy / PACKAGE.parent)))
    with Path(os.devnull).open("w") as nowhere:
        kept = os.dup(1)
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        code = int(pytest.main(arguments, [plugin]))
        os.dup2(kept, 1)
    return code


def in_a_child(work: Callable[[], int], limit: float) -> int:
    """Do something in a process of its own; return its status, not 0 if it takes too long."""
    pid = os.fork()
    if pid == 0:
        os._exit(work())
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -1
