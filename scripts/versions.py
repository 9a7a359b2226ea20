"""Run the tests of backend and widgets on other versions of what Glasshead stands on.

    python scripts/versions.py                    # every set, every test; writes docs/versions.md
    python scripts/versions.py --core oldest      # the tests that versions matter most to, one set
    python scripts/versions.py --few 5.1 colab    # fewer still
    python scripts/versions.py --check            # what `make test` runs: oldest and newest, few

A set is a folder of packages laid before those of the environment that runs this: a few seconds and
some 100 MB for another transformers. The set "torch" is gigabytes and runs only when it is named.
The page is made of all results that lie in .artifacts/versions, the last of each set.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".artifacts" / "versions"
PAGE = ROOT / "docs" / "versions.md"

TOKENIZERS = "tokenizers==0.22.2"
HUB = "huggingface-hub==1.33.0"
NEW = ("tokenizers==0.23.3", "huggingface-hub==2.4.0")
COLAB = (
    "transformers==5.15.0",
    TOKENIZERS,
    HUB,
    "ipywidgets==7.7.1",
    "traitlets==5.7.1",
    "anywidget==0.9.21",
    "ipykernel==6.17.1",
    "ipython==7.34.0",
    "backcall==0.2.0",
    "pickleshare==0.7.5",
    "decorator==5.2.1",
    "ipython-genutils==0.2.0",
    "numpy==2.0.2",
    "pandas==2.2.2",
    "pytz==2025.2",
    "scipy==1.16.3",
    "scikit-learn==1.6.1",
    "tqdm==4.67.1",
    "psutil==5.9.5",
    "regex==2025.11.3",
)


@dataclass(frozen=True)
class Set:
    """Packages in place of those of the environment.

    Attributes
    ----------
    requirements : tuple of str
        Exact; nothing else is installed with them.
    python : tuple of int
        The oldest Python that they can be had for.
    large : bool
        Whether it is gigabytes: then it must be named, and comes with what it asks for.
    """

    requirements: tuple[str, ...]
    python: tuple[int, int] = (3, 10)
    large: bool = False


SETS: dict[str, Set] = {
    "oldest": Set(
        (
            "transformers==4.57.6",
            TOKENIZERS,
            "huggingface-hub==0.36.2",
            "anywidget==0.9.18",
            "regex==2024.11.6",
        )
    ),
    "5.0": Set(("transformers==5.0.0", TOKENIZERS, HUB)),
    "5.1": Set(("transformers==5.1.0", TOKENIZERS, HUB)),
    "5.10": Set(("transformers==5.10.4", TOKENIZERS, HUB)),
    "colab": Set(COLAB),
    "5.17": Set(("transformers==5.17.0", "tokenizers==0.23.3", HUB)),
    "5.20": Set(("transformers==5.20.2", *NEW)),
    "newest": Set(("transformers==5.24.0", *NEW), python=(3, 11)),
    "torch": Set(("torch==2.6.0", "transformers==5.1.0", TOKENIZERS, HUB), large=True),
}
CHECKED = ("oldest", "newest")


def _path(name: str) -> str:
    """Return where a test of the backend is: folders mirror the packages."""
    (found,) = (ROOT / "tests" / "backend").glob(f"**/test_{name}.py")
    return str(found.relative_to(ROOT))


ALL = ("tests/backend", "tests/widgets")
# What versions matter to: how attention is recorded, tokenizers, generation, loading, the wire.
CORE = (
    *(
        _path(name)
        for name in (
            *(
                "transformers_versions",
                "attention_parity",
                "attention_shapes",
                "architectures",
                "activations",
            ),
            *("batches", "demo_models", "generation", "long_texts", "model_left_as_found"),
            *("predictions", "structure", "tokens", "words", "users_settings", "bad_input"),
        )
    ),
    "tests/widgets",
)
FEW = (
    *(
        _path(name)
        for name in (
            "transformers_versions",
            "attention_parity",
            "model_left_as_found",
            "predictions",
        )
    ),
    _path("tokens"),
    "tests/widgets/test_state.py",
    "tests/widgets/test_wire_bytes.py",
)

LISTED = (
    *("torch", "transformers", "tokenizers", "ipywidgets", "anywidget", "traitlets"),
    *("numpy", "pandas", "scipy", "scikit-learn"),
)
"""Packages whose versions the page shows."""


@dataclass
class Outcome:
    """What the tests of one set said."""

    name: str
    tests: str
    python: str
    versions: dict[str, str]
    counts: dict[str, int]
    failed: list[str] = field(default_factory=list[str])
    skipped: dict[str, int] = field(default_factory=dict[str, int])
    seconds: float = 0.0


def install(name: str) -> Path:
    """Put a set's packages into a folder, unless they lie there."""
    folder = FOLDER / name
    stamp = folder / ".complete"
    wanted = "\n".join(SETS[name].requirements)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return folder
    print(f"{name}: installing {', '.join(SETS[name].requirements)}", flush=True)
    # What an older list of the set left there would still be found.
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--target", str(folder)]
    if not SETS[name].large:
        command.append("--no-deps")
    subprocess.run([*command, *SETS[name].requirements], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Environment in which a folder's packages come first."""
    before = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(before), "PYTHONDONTWRITEBYTECODE": "1"}


def versions_in(folder: Path) -> dict[str, str]:
    """Versions of the listed packages, seen from a set."""
    ask = "import importlib.metadata as m, json, sys; "
    ask += "print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    out = subprocess.run(
        [sys.executable, "-c", ask, *LISTED],
        env=environment(folder),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {name: version.partition("+")[0] for name, version in json.loads(out).items()}


def run(name: str, tests: str, paths: tuple[str, ...]) -> Outcome:
    """Run the tests on a set."""
    folder = install(name)
    report = FOLDER / f"{name}.xml"
    report.unlink(missing_ok=True)
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--junitxml={report}", *paths], env=environment(folder), cwd=ROOT, check=False
    )
    if not report.exists():
        raise SystemExit(f"{name}: pytest did not come to its end (exit code {done.returncode}).")
    outcome = Outcome(
        name,
        tests,
        sys.version.split()[0],
        versions_in(folder),
        {},
        seconds=time.monotonic() - start,
    )
    _read(report, outcome)
    return outcome


def _read(report: Path, outcome: Outcome) -> None:
    counts, skipped = Counter[str](), Counter[str]()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314  pytest's own, just made
        called = f"{case.get('classname', '').rpartition('.')[2]}: {case.get('name')}"
        left_out = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
            outcome.failed.append(called)
        elif left_out is not None:
            counts["skipped"] += 1
            skipped[left_out.get("message", "")] += 1
        else:
            counts["passed"] += 1
    outcome.counts, outcome.skipped = dict(counts), dict(skipped)


def page(outcomes: list[Outcome]) -> str:
    """Write the page."""
    lines = [
        "# Versions that were tried",
        "",
        "Tests of backend and widgets on other versions of what Glasshead stands on. Made by",
        "`make versions` (`python scripts/versions.py`), which lays a set of packages before those",
        "of the development environment: *all* tests, the *core* that versions matter most to, a",
        "*few* of those. What cannot run on a version is skipped, and the reasons stand below.",
        "",
        "| set | tests | passed | failed | skipped | " + " | ".join(LISTED) + " | Python |",
        "| --- " * (len(LISTED) + 6) + "|",
    ]
    for one in outcomes:
        numbers = (one.counts.get(what, 0) for what in ("passed", "failed", "skipped"))
        cells = [one.name, one.tests, *map(str, numbers)]
        cells += [one.versions[name] for name in LISTED]
        lines.append("| " + " | ".join([*cells, one.python]) + " |")
    for one in outcomes:
        if not one.failed and not _worth_telling(one):
            continue
        lines += ["", f"## {one.name}: transformers {one.versions['transformers']}", ""]
        lines += [f"- failed: `{test}`" for test in one.failed]
        lines += [f"- skipped ({n}): {reason}" for reason, n in _worth_telling(one)]
    return "\n".join([*lines, ""])


def _worth_telling(outcome: Outcome) -> list[tuple[str, int]]:
    """Reasons to skip that lie in the versions: devices and models on disk do not."""
    return [
        (reason, n)
        for reason, n in sorted(outcome.skipped.items())
        if "transformers" in reason or "torch" in reason
    ]


def kept() -> list[Outcome]:
    """Read the last outcome of every set, in the order of the sets."""
    files = (FOLDER / f"{name}.json" for name in SETS)
    return [Outcome(**json.loads(f.read_text(encoding="utf-8"))) for f in files if f.exists()]


def keep(outcome: Outcome) -> None:
    """Keep an outcome for the page."""
    values: dict[str, Any] = vars(outcome)
    (FOLDER / f"{outcome.name}.json").write_text(json.dumps(values, indent=1), encoding="utf-8")


def main() -> None:
    """Run the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--core", action="store_true", help="only what versions matter most to")
    parser.add_argument("--few", action="store_true", help="only some of those")
    parser.add_argument("--check", action="store_true", help="few, oldest and newest, no page")
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    asked = parser.parse_args()
    unknown = [name for name in asked.sets if name not in SETS]
    if unknown:
        parser.error(f"no set is called {unknown[0]!r}; there are {', '.join(SETS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    usual = CHECKED if asked.check else [name for name, one in SETS.items() if not one.large]
    few = asked.few or asked.check
    tests, paths = ("few", FEW) if few else ("core", CORE) if asked.core else ("all", ALL)
    failed: list[str] = []
    for name in () if asked.page else asked.sets or usual:
        if sys.version_info < SETS[name].python:
            least = ".".join(map(str, SETS[name].python))
            print(f"{name}: left out, it needs Python {least}.")
            continue
        outcome = run(name, tests, paths)
        print(f"{name}: {outcome.counts}, {outcome.seconds:.0f} s", flush=True)
        failed += [f"{name}: {test}" for test in outcome.failed]
        if not asked.check:
            keep(outcome)
    if not asked.check:
        PAGE.write_text(page(kept()), encoding="utf-8")
    if failed:
        raise SystemExit("\n".join(["Failed:", *failed]))


if __name__ == "__main__":
    main()
