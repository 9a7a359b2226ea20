"""The house stands: one direction, no circles, and a sentence at every door."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.imports import imports

if TYPE_CHECKING:
    from support.imports import Import

BACKEND = Path(__file__).parents[1] / "kernel_backend" / "glasshead_backend"

LAYERS = (
    "__init__",
    "serving",
    "frames",
    "statistics",
    "corpora",
    "lens",
    "trace",
    "compat",
    "questions",
    "served",
    "tracing",
    "anatomy",
    "maps",
    "capture",
    "running",
    "text",
    "asking",
    "answering",
    "progress",
    "memory",
    "checks",
    "data_frames",
    "files",
    "demo",
)
"""Top floor first: a module imports from its own layer and from those below it, nothing else."""

AT_HOME = {
    "transformers": ("running", "demo"),  # demo: the scripts that trained the models
    **dict.fromkeys(("glasshead", "anywidget", "ipywidgets", "traitlets", "IPython"), ()),
}
"""Which layers import a library while they run. For types all may name it."""


def layer_of(module: str) -> str:
    return f"{module}.__init__".split(".")[1]


def of_its_own(found: list[Import]) -> list[Import]:
    return [one for one in found if one.imported.split(".")[0] == one.importer.split(".")[0]]


def upwards(found: list[Import]) -> list[str]:
    """Which imports go up."""
    floors = [(one, layer_of(one.importer), layer_of(one.imported)) for one in of_its_own(found)]
    return [
        f"{one.place}: {upper}/ may not import {one.imported}: {lower} stands above it in LAYERS"
        for one, upper, lower in floors
        if LAYERS.index(lower) < LAYERS.index(upper)
    ]


def a_circle(places: dict[str, dict[str, str]]) -> list[str]:
    """Modules that need each other, from one to the next and back to the first."""
    try:
        TopologicalSorter(places).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def circles(found: list[Import]) -> list[str]:
    """Which modules need each other: each circle is cut at one import to find the next."""
    places: dict[str, dict[str, str]] = {}
    for one in of_its_own(found):
        if one.importer != one.imported:
            places.setdefault(one.importer, {}).setdefault(one.imported, one.place)
    said: list[str] = []
    while circle := a_circle(places):
        arrows = [f"{places[a][b]} imports {b}" for a, b in pairwise(circle)]
        said.append("no circles, for types neither: " + "; ".join(arrows))
        del places[circle[0]][circle[1]]
    return said


@pytest.fixture(scope="module")
def found() -> list[Import]:
    return imports(BACKEND)


def none(said: list[str]) -> None:
    assert not said, "\n".join(["", *said])


def test_every_module_and_folder_has_its_layer() -> None:
    there = {path.stem for path in BACKEND.iterdir() if path.suffix == ".py" or path.is_dir()}
    none([f"{name} stands in no layer" for name in there - {"__pycache__"} - set(LAYERS)])


def test_a_module_imports_only_from_its_own_layer_and_those_below(found: list[Import]) -> None:
    none(upwards(found))


def test_no_modules_need_each_other_in_a_circle(found: list[Import]) -> None:
    none(circles(found))


def test_other_libraries_are_met_where_they_are_at_home(found: list[Import]) -> None:
    none(
        [
            f"{one.place}: {library} is at home in {', '.join(AT_HOME[library]) or 'widgets'} only"
            for one in found
            if (library := one.imported.split(".")[0]) in AT_HOME
            if layer_of(one.importer) not in AT_HOME[library] and not one.is_for_types
        ]
    )


def test_every_folder_says_in_a_sentence_what_is_in_it() -> None:
    folders = {path.parent for path in BACKEND.rglob("*.py")}
    for init in sorted(folder / "__init__.py" for folder in folders):
        said = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        assert said.partition("\n")[0].endswith("."), f"{init}: one line, what is in it"


def test_an_upward_import_and_a_circle_are_seen_though_they_are_for_types_only(
    tmp_path: Path,
) -> None:
    for name, source in {
        "lens": "from house.running.forward import run",
        "running.forward": "if TYPE_CHECKING:\n    from house.lens import Lens\nrun = 1",
        "running.logits": "from . import rows\nfrom house.running.forward import run",
        "running.rows": "def f():\n    import house.running.logits, transformers",
    }.items():
        path = tmp_path.joinpath("house", *name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    seen = imports(tmp_path / "house")
    assert [(one.imported.removeprefix("house."), one.is_for_types) for one in seen] == [
        ("running.forward", False),
        ("lens", True),
        ("running.rows", False),
        ("running.forward", False),
        ("running.logits", False),
        ("transformers", False),
    ]
    (upward,) = upwards(seen)
    assert "forward.py:2: running/ may not import house.lens" in upward
    assert len(circles(seen)) == 2
