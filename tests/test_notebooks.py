"""Notebooks keep no outputs; the solutions answer the questions that the exercises ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def cells_of(name: str) -> list[dict[str, Any]]:
    return json.loads((EXAMPLES / name).read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.ipynb")))
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    code = [cell for cell in cells_of(name) if cell["cell_type"] == "code"]
    assert code
    for cell in code:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_the_solutions_are_the_exercises_with_answers() -> None:
    exercises, solutions = cells_of("7-exercises.ipynb"), cells_of("7-solutions.ipynb")
    assert [cell["id"] for cell in exercises] == [cell["id"] for cell in solutions]
    for asked, solved in zip(exercises, solutions, strict=True):
        if asked["id"].startswith("answer-"):
            assert asked["source"][-1].endswith(" = ..."), asked["id"]
            assert asked["source"] != solved["source"]
        elif asked["id"] not in ("title", "load", "score"):
            assert asked == solved


def test_what_checks_an_answer_is_folded_away() -> None:
    for cell in cells_of("7-exercises.ipynb"):
        hidden = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
        assert hidden == cell["id"].startswith("check-")
