"""``python -m glasshead.offline``: an executed notebook that shows its views everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glasshead import AttentionLines, Lens
from glasshead.offline import main, offline

if TYPE_CHECKING:
    from glasshead import Trace

ROOT = Path(__file__).parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Lens.demo("decoder").trace("The whale, the whale!")


def shown(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": "a-cell",
        "execution_count": 1,
        "metadata": {"tags": ["mine"]},
        "source": "view",
        "outputs": [
            {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": data}
        ],
    }


def notebook(*cells: dict[str, Any], **states: Any) -> dict[str, Any]:
    widgets = {"widgets": {STATE: {"version_major": 2, "version_minor": 0, "state": states}}}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "mine": 1}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {**kernel, **(widgets if states else {})},
        "cells": list(cells),
    }


@pytest.fixture
def lesson(tmp_path: Path, trace: Trace) -> Path:
    data, _ = AttentionLines(trace)._repr_mimebundle_()
    model = data[WIDGET]["model_id"]
    states = {
        model: {"state": {"layout": "IPY_MODEL_a-layout"}},
        "a-layout": {"state": {}},
        "another": {"state": {}},
    }
    path = tmp_path / "lesson.ipynb"
    path.write_text(json.dumps(notebook(shown(data), **states)), "utf-8")
    return path


def test_the_live_view_gives_way_to_what_stands_beside_it_and_all_else_stays(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lesson.read_text("utf-8")
    other = lesson.with_name("other.ipynb")
    assert main([str(lesson), "-o", str(other)]) == 0
    assert "0 interactive, 1 still" in capsys.readouterr().out
    assert lesson.read_text("utf-8") == before
    was, made = json.loads(before), json.loads(other.read_text("utf-8"))
    (data,) = [output["data"] for output in made["cells"][0]["outputs"]]
    assert set(data) == {"text/plain", "text/html"}
    assert made["metadata"]["widgets"][STATE]["state"] == {"another": {"state": {}}}
    del was["cells"][0]["outputs"][0]["data"][WIDGET]
    was["metadata"]["widgets"] = made["metadata"]["widgets"]
    assert made == was


def test_a_notebook_is_overwritten_only_where_that_is_said(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lesson.read_text("utf-8")
    assert main([str(lesson)]) == 1
    assert "--in-place" in capsys.readouterr().err
    assert main([str(lesson), "-o", str(lesson)]) == 1
    assert "use --in-place" in capsys.readouterr().err
    assert main([str(lesson), "--html", str(lesson)]) == 1
    assert lesson.read_text("utf-8") == before
    assert main([str(lesson), "--in-place"]) == 0
    assert WIDGET not in lesson.read_text("utf-8")
    assert main([str(lesson), "--in-place"]) == 0  # it stays as it is


def test_what_cannot_be_made_is_said_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, to = tmp_path / "lesson.ipynb", ["-o", str(tmp_path / "other.ipynb")]

    def refused(content: str) -> str:
        path.write_text(content, "utf-8")
        assert main([str(path), *to]) == 1
        assert not Path(to[1]).exists()
        return capsys.readouterr().err

    assert main([str(path), *to]) == 1
    assert "There is no notebook" in capsys.readouterr().err
    assert "is no notebook" in refused("hello")
    assert "its format is 3" in refused('{"nbformat": 3}')
    assert "No output" in refused(json.dumps(notebook()))
    bare = {"text/plain": "a view", WIDGET: {"model_id": "a"}}
    assert "--execute" in refused(json.dumps(notebook(shown(bare))))
    assert main([str(path), "-o", str(tmp_path / "nowhere" / "a.ipynb")]) == 1
    assert "There is no folder" in capsys.readouterr().err


def test_other_widgets_stay_and_are_counted(trace: Trace) -> None:
    data, _ = AttentionLines(trace)._repr_mimebundle_()
    other = {"text/plain": "a slider", WIDGET: {"model_id": "another"}}
    made = offline(notebook(shown(data), shown(other)))
    assert (made.pages, made.posters, made.bare) == (0, 1, 1)
    assert WIDGET in made.notebook["cells"][1]["outputs"][0]["data"]


@pytest.mark.slow
def test_a_notebook_is_run_with_its_views_as_pages_and_becomes_a_page(tmp_path: Path) -> None:
    source = (
        "from glasshead import AttentionLines, Lens\n"
        'AttentionLines(Lens.demo("decoder").trace("The whale"))'
    )
    path, other = tmp_path / "lesson.ipynb", tmp_path / "other.ipynb"
    page = tmp_path / "page.html"
    path.write_text(json.dumps(notebook({**shown({}), "source": source, "outputs": []})), "utf-8")
    roots = os.pathsep.join(str(ROOT / folder) for folder in ("widgets", "kernel_backend"))
    done = subprocess.run(
        [sys.executable, "-m", "glasshead.offline", path, "--execute", "-o", other, "--html", page],
        env={**os.environ, "PYTHONPATH": roots, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 interactive, 0 still" in done.stdout
    for written in (other, page):
        text = written.read_text("utf-8")
        assert "srcdoc" in text
        assert WIDGET not in text
    assert json.loads(path.read_text("utf-8"))["cells"][0]["outputs"] == []
