"""Every block of code in the documents runs, and what it is said to show is what it shows.

The rules, for who writes a page:

- ``python`` blocks of one page run in order and share their names, like the cells of a notebook.
- A ``text`` block right behind a ``python`` block is what the block says and its last line shows.
- A model on a hub is stood in for by a demo model (`STAND_INS`; another name is an error here), and
  a picture that a page would draw by a check of its arguments, and so is a server that a page
  connects to. Nothing else is left out.
- Of ``sh`` blocks `python -m glasshead...` runs; of other commands targets and files must be there.
- There are no blocks of other languages, and none without a language.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import transformers

from glasshead import Lens
from glasshead.view import View
from glasshead_backend.demo import DemoName, demo_path
from support import pages

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *pages.PAGES]
STAND_INS: dict[str, DemoName] = {
    "gpt2": "decoder",
    "HuggingFaceTB/SmolLM2-135M-Instruct": "decoder",
    "Qwen/Qwen3-8B": "decoder",
    "Helsinki-NLP/opus-mt-en-fr": "encoder-decoder",
}
CHAT = "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
LANGUAGES = {"python", "sh", "text"}
PROGRAMS = {"git", "glasshead", "jupyter", "make", "npm", "pip", "pre-commit", "python"}

_FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>[^\n`]*)\n(?P<code>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    code: str
    line: int
    follows: bool
    """Whether nothing but white space stands between it and the block before."""


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        follows = bool(found) and not text[end : match.start()].strip()
        found.append(Block(match["language"].strip(), match["code"], line, follows))
        end = match.end()
    return found


def label(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


with_code = pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(one.language == "python" for one in blocks_of(page))],
    ids=label,
)


def run(code: str, name: str, line: int, names: dict[str, Any]) -> str:
    """Run a block as a notebook runs a cell; return what it says and its last line shows."""
    tree = ast.parse(code, name)
    ast.increment_lineno(tree, line - 1)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(tree, name, "exec"), names)  # noqa: S102  our own words
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), names)  # noqa: S307
            said.write("" if value is None else repr(value))
    return said.getvalue().strip("\n")


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put demo models in the place of a hub's, and a check of arguments in that of a page."""

    def standing_in(owner: Any) -> None:
        load = owner.from_pretrained

        def from_pretrained(name: Any, *args: Any, **options: Any) -> Any:
            is_folder = Path(name).is_dir()
            loaded = load(name if is_folder else demo_path(STAND_INS[name]), *args, **options)
            if not is_folder and "Instruct" in name and hasattr(loaded, "chat_template"):
                loaded.chat_template = CHAT
            return loaded

        monkeypatch.setattr(owner, "from_pretrained", from_pretrained)

    for name in ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoTokenizer", "AutoConfig"):
        standing_in(getattr(transformers, name))
    for name in ("save_svg", "save_png"):
        takes = inspect.signature(getattr(View, name))
        monkeypatch.setattr(View, name, lambda *a, takes=takes, **b: takes.bind(*a, **b) and None)
    # Of a page's server only what a student types is tried: its model is in this process.
    takes_address = inspect.signature(Lens.connect)

    def connect(*args: Any, **kwargs: Any) -> Lens:
        takes_address.bind(*args, **kwargs)
        return Lens.demo("decoder")

    monkeypatch.setattr(Lens, "connect", connect)
    monkeypatch.setenv("GLASSHEAD_URL", "http://hub:8765")
    monkeypatch.setenv("GLASSHEAD_TOKEN", "a long secret")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("stand_ins")
@with_code
def test_the_code_of_a_page_runs_and_shows_what_it_says(page: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = ""
    for block in blocks_of(page):
        if block.language == "python":
            shown = run(block.code, str(page), block.line, names)
        elif block.language == "text" and block.follows:
            assert shown == block.code.rstrip("\n"), f"{label(page)}, line {block.line}"


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_blocks_are_of_a_language_that_is_run(page: Path) -> None:
    languages = {one.language for one in blocks_of(page) if not one.language.startswith("{")}
    assert not languages - LANGUAGES


def commands() -> list[tuple[Path, str]]:
    found = [
        (page, re.split(r"\s#\s", line)[0].strip())
        for page in PAGES
        for block in blocks_of(page)
        if block.language == "sh"
        for line in block.code.splitlines()
    ]
    return [(page, command) for page, command in found if command]


@pytest.mark.parametrize(("page", "command"), commands())
def test_what_a_page_says_to_type_can_be_typed(page: Path, command: str, tmp_path: Path) -> None:
    words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
    program = words[0].removeprefix(".venv/bin/")
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert words[1] in targets
    elif words[0:2] == ["npm", "run"]:
        assert words[2] in json.loads((ROOT / "package.json").read_text("utf-8"))["scripts"]
    elif words[0:2] == ["python", "-m"] and words[2].startswith("glasshead"):
        done = subprocess.run(
            [sys.executable, *words[1:3], "--help"], cwd=tmp_path, check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr
    else:
        assert program in PROGRAMS or (ROOT / program).exists(), program
    files = [word for word in words[1:] if re.search(r"/\w[\w.]*$|\.(py|ts|ipynb)$", word)]
    built = re.compile(r"^(/|\.|dist/|gallery/dist/)")  # or somebody's own
    missing = [file for file in files if not built.match(file) and not (ROOT / file).exists()]
    assert not missing, f"{label(page)}: {command}"


def test_a_page_that_shows_something_else_is_noticed() -> None:
    names: dict[str, Any] = {}
    assert run("a = 1\na + 1\n", "page", 1, names) == "2"
    assert run("a = 2\n", "page", 1, names) == ""
    assert run("print(a)\na", "page", 1, names) == "2\n2"
    with pytest.raises(ZeroDivisionError):
        run("a / 0\n", "page", 1, names)
