"""Two notebooks look into one model that a server has: clicks in both, and words when it ends."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.serving import ROOT
from e2e.views import EXPLORER, LINES, view, wait_until_drawn
from glasshead import Lens
from support.served import Server, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

CLASS = ROOT / "examples" / "one-model-for-a-class.ipynb"
URL = "http://127.0.0.1:8765"


@dataclass
class Classroom:
    """A server and the notebooks of two students."""

    server: Server
    notebooks: list[Notebook]
    end: Callable[[], None]

    @property
    def views(self) -> list[Locator]:
        return [view(one.output(1), EXPLORER) for one in self.notebooks]


def cells() -> list[str]:
    """Code of the example, but for the last cell, which closes the trace."""
    notebook = json.loads(CLASS.read_text(encoding="utf-8"))
    code = ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == "code"]
    assert URL in code[0]
    assert code[-1] == "trace.close()"
    return code


@pytest.fixture(scope="module")
def room(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Iterator[Classroom]:
    with ExitStack() as stack:
        server = stack.enter_context(served(Lens.demo("decoder")))
        code = [one.replace(URL, server.url) for one in cells()[:-1]]
        names = [lab.add_notebook(f"student-{number}.ipynb", code) for number in (1, 2)]
        notebooks = [open_notebook(name) for name in names]
        for notebook in notebooks:
            notebook.run_all()
            assert notebook.errors() == []
            wait_until_drawn(notebook.output(1))
        yield Classroom(server, notebooks, stack.close)


def test_both_see_the_model_and_neither_has_it(room: Classroom) -> None:
    for notebook in room.notebooks:
        assert "at http://127.0.0.1" in notebook.kernel_eval("repr(lens)")
        expect(notebook.output(2).locator("table tbody tr")).to_have_count(3)
    assert len(room.server.desk.traces) == 2
    local = Lens.demo("decoder").trace(room.notebooks[0].kernel_eval("trace.text"))
    own = room.notebooks[0].kernel_eval("trace.attention(1)[0, 5].tolist()")
    assert own == pytest.approx(local.attention(1)[0, 5].tolist(), abs=1e-6)


def test_a_click_in_each_is_answered_by_the_server(room: Classroom) -> None:
    # One of them looks at another layer, the other at tokens instead of words.
    first, second = room.notebooks
    first.page.bring_to_front()
    room.views[0].locator('[data-action="layer-previous"]').click()
    first.wait_for_kernel("view.layer", 0)
    expect(view(room.views[0], LINES)).to_have_attribute("data-frame", "0::word:self")
    second.page.bring_to_front()
    room.views[1].locator('[data-action="unit"]').click()
    second.wait_for_kernel("view.unit", "token")
    expect(view(room.views[1], LINES)).to_have_attribute("data-frame", "1::token:self")
    assert [one.kernel_eval("view.error") for one in room.notebooks] == ["", ""]


def test_when_the_server_ends_each_view_keeps_its_picture_and_says_so(room: Classroom) -> None:
    room.end()
    for notebook, root in zip(room.notebooks, room.views, strict=True):
        notebook.page.bring_to_front()
        shown = view(root, LINES).get_attribute("data-frame")
        other = "layer-next" if notebook is room.notebooks[0] else "layer-previous"
        root.locator(f'[data-action="{other}"]').click()
        expect(root.locator(".gh-banner.is-error").first).to_contain_text("No server answers at")
        assert view(root, LINES).get_attribute("data-frame") == shown
        assert notebook.foreign_requests == []
        assert notebook.page_errors == []
