"""Notebooks keep no outputs; the solutions answer the questions that the exercises ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import kl_div

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
            assert asked == solved, asked["id"]


def test_what_checks_an_answer_is_folded_away() -> None:
    for cell in cells_of("7-exercises.ipynb"):
        hidden = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
        assert hidden == cell["id"].startswith("check")
        if hidden:  # the first line of a folded cell is seen
            assert cell["source"][0].startswith("# ")


def test_no_usual_mistake_passes_for_an_answer() -> None:
    names: dict[str, Any] = {}
    for cell in cells_of("7-solutions.ipynb"):
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102  our own words
    trace, p, q = names["trace"], names["p"], names["q"]
    (sailors, sunrise), surprisal = (names["sailors"], names["sunrise"]), names["surprisal"]
    pieces = trace.attention(1, heads=[0])[0][list(sailors.tokens)][:, list(sunrise.tokens)]
    entropies = [torch.special.entr(trace.attention(1, aggregate=how)) for how in ("mean", None)]
    mistakes = {
        1: names["right_1"][::-1],
        2: trace.attention(0, heads=[0]).mean(),  # of the whole table, masked cells and all
        3: surprisal.argmax(),  # of the row that predicts it
        4: sum(surprisal[k - 1] for k in sunrise.tokens),  # nats
        5: pieces.mean(),  # over both sides
        6: entropies[0].sum(-1).mean() - entropies[1].sum(-1).mean(),  # nats
        7: names["ships"][0],  # the same word, not the one behind it
        8: 3 / 200,
        9: kl_div(p.log(), q, reduction="sum"),  # KL(q‖p)
        10: 5,
    }
    rights = {number: names.get(f"right_{number}") for number in range(1, 11)}
    rights |= {8: (1 + 3) / (1 + 200), 10: 4}
    for number, mistake in mistakes.items():
        said = names["check"](number, mistake, rights[number], hint="Think again.")
        assert said == f"{number}: not yet. Think again."
        assert names["check"](number, "a guess", rights[number], hint="").endswith("not yet. ")
        assert names["check"](number, rights[number], rights[number], hint="").endswith("right.")


OURS = "from glasshead.compat.bertviz import head_view, model_view\n"
THEIRS = "from bertviz import head_view, model_view\n"


@pytest.mark.parametrize("line", [OURS, THEIRS])
def test_a_notebook_of_bertviz_runs_with_one_line_changed(line: str) -> None:
    code = ["".join(c["source"]) for c in cells_of("from-bertviz.ipynb") if "outputs" in c]
    assert sum(source.count(OURS) for source in code) == 1
    names: dict[str, Any] = {}
    for source in code:
        exec(source.replace(OURS, line), names)  # noqa: S102  our own words
    assert ("cdnjs" in names["page"].data) == (line == THEIRS)
    assert names["outputs"].cross_attentions[2].shape[1] == names["config"].num_heads


def test_the_model_of_that_notebook_is_built_as_flan_t5_is() -> None:
    """google/flan-t5-small's config.json: a gated GELU, heads wider than d_model."""
    names: dict[str, Any] = {}
    for cell in cells_of("from-bertviz.ipynb")[1:3]:
        exec("".join(cell["source"]), names)  # noqa: S102  our own words
    config = names["config"]
    assert config.is_gated_act
    assert config.dense_act_fn == "gelu_new"
    assert config.num_heads * config.d_kv > config.d_model
