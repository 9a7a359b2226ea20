"""What the documents say of the code is so: names, files, commands, versions, the picture."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from glasshead_backend import statistics
from support import pages

ROOT = Path(__file__).parents[1]
PUBLIC = ROOT / "widgets" / "glasshead" / "__init__.py"
FOR_USERS = [ROOT / "README.md", *pages.PAGES]
PAGES = [*FOR_USERS, ROOT / "CONTRIBUTING.md"]

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def public(name: str) -> ast.expr:
    """What a module-level name of the public package is, read without running it."""
    for node in ast.parse(text_of(PUBLIC)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value
    raise KeyError(name)


def public_names() -> list[str]:
    """All names of the public package but those that it takes from the statistics' registry."""
    names = public("__all__")
    assert isinstance(names, ast.List)
    return [one.value for one in names.elts if isinstance(one, ast.Constant)]


def is_there(name: str) -> bool:
    """Whether there is such a file or folder; a page may name it by the end of its path."""
    folders = (ROOT / folder for folder in ("kernel_backend", "widgets", "js", "tests"))
    return (ROOT / name).exists() or any(any(folder.rglob(name)) for folder in folders)


def commands_of(target: str) -> list[str]:
    """Commands of a target of the Makefile."""
    (found,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", text_of(ROOT / "Makefile"), re.MULTILINE)
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in found.splitlines()]


def test_every_public_name_stands_in_some_document() -> None:
    words = set(re.findall(r"\w+", "\n".join(map(text_of, FOR_USERS))))
    missing = [name for name in [*public_names(), *statistics.__all__] if name not in words]
    assert not missing, "public, and in no document: " + ", ".join(missing)


@each_page
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    built = tuple(line for line in text_of(ROOT / ".gitignore").splitlines() if line.endswith("/"))
    named = re.findall(r"`([\w./-]+(?:/|\.(?:py|ts|mjs|md|toml|txt|sh|css|cff)))`", text_of(page))
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", text_of(page))
    missing = [name for name in named if not name.startswith(built) and not is_there(name)]
    missing += [link for link in linked if not linked_file(page, link).exists()]
    assert not missing


def linked_file(page: Path, link: str) -> Path:
    """Return what a link leads to; lessons are written from notebooks while the site is built."""
    to = page.parent / link
    is_lesson = page.parent.name == "lessons" and to.parent == page.parent
    return ROOT / "examples" / f"{to.stem}.ipynb" if is_lesson else to


@each_page
def test_what_a_page_says_to_make_can_be_made(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    said = re.findall(r"(?:`|^)make ([a-z-]+)", text_of(page), re.MULTILINE)
    assert not set(said) - targets


def test_the_picture_of_the_layers_is_what_the_code_is() -> None:
    command = [sys.executable, "scripts/house.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_citation_names_this_version_and_licence() -> None:
    citation = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert citation["version"] == ast.literal_eval(public("__version__"))
    assert text_of(ROOT / "LICENSE").startswith(f"{citation['license']} License")


def test_the_version_is_written_nowhere_else() -> None:
    assert "version" not in json.loads(text_of(ROOT / "package.json"))
    assert 'dynamic = ["version"]' in text_of(ROOT / "pyproject.toml")


def test_before_a_commit_the_checks_of_the_makefile_run() -> None:
    configured = yaml.safe_load(text_of(ROOT / ".pre-commit-config.yaml"))
    hooks = [hook["entry"] for repo in configured["repos"] for hook in repo["hooks"]]
    assert hooks == [*commands_of("check-python"), *commands_of("check-js")]


def test_what_docstrings_refer_to_is_there() -> None:
    references = re.compile(r":(?:mod|func|class|meth|attr|data):`~?(glasshead[\w.]+)`")
    sources = [
        path for root in ("kernel_backend", "widgets") for path in (ROOT / root).rglob("*.py")
    ]
    named = {(path, name) for path in sources for name in references.findall(text_of(path))}
    assert named
    missing = [f"{path.name}: {name}" for path, name in named if not _is_there(name)]
    assert not missing, missing


def _is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, _, rest = name.partition(".")
    found: object = importlib.import_module(module)
    for part in filter(None, rest.split(".")):
        module = f"{module}.{part}"
        found = getattr(found, part, None)
        if found is None and importlib.util.find_spec(module) is None:
            return False
        found = found or importlib.import_module(module)
    return True
