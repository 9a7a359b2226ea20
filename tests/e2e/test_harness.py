"""The harness itself, on a widget of ten lines: what it says about a notebook is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.lab import KernelError, LabServer, Notebook
from support.messages import number_lists

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNTER = '''
import anywidget, traitlets

class Counter(anywidget.AnyWidget):
    _esm = """export default () => ({ render({ model, el }) {
      const button = document.createElement("button");
      const show = () => { button.textContent = `count ${model.get("count")}`; };
      button.id = "counter";
      button.onclick = () => { model.set("count", model.get("count") + 1); model.save_changes(); };
      model.on("change:count", show);
      show();
      el.append(button);
    } })"""
    count = traitlets.Int(0).tag(sync=True)
    numbers = traitlets.List().tag(sync=True)
    blob = traitlets.Bytes(b"").tag(sync=True)

counter = Counter(numbers=[1.5, 2.5, 3.5], blob=bytes(10_000))
counter
'''


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("harness.ipynb", [_COUNTER, "print('second')"]))
    notebook.run_all()
    return notebook


def test_run_all_waits_for_every_cell(notebook: Notebook) -> None:
    assert notebook.errors() == []
    assert notebook.output(1).inner_text().strip() == "second"


def test_a_click_reaches_python_and_python_reaches_the_page(notebook: Notebook) -> None:
    notebook.kernel_run("counter.count = 0")
    notebook.page.locator("#counter", has_text="count 0").click()
    notebook.wait_for_kernel("counter.count", 1)
    notebook.kernel_run("counter.count = 7")
    notebook.wait_for("() => document.querySelector('#counter').textContent === 'count 7'")


def test_errors_in_the_kernel_are_errors_in_the_test(notebook: Notebook) -> None:
    with pytest.raises(KernelError, match="ZeroDivisionError"):
        notebook.kernel_run("1 / 0")
    with pytest.raises(KernelError, match="NameError"):
        notebook.kernel_eval("nothing_of_this_name")


def test_the_theme_changes(notebook: Notebook) -> None:
    def background() -> str:
        return notebook.page.evaluate(
            "() => getComputedStyle(document.body).getPropertyValue('--jp-layout-color0')"
        )

    light = background()
    notebook.set_theme("dark")
    assert background() != light
    notebook.set_theme("light")
    assert background() == light


def test_comm_messages_are_read_with_their_size(notebook: Notebook) -> None:
    opened = [
        message
        for message in notebook.messages()
        if message.kind == "comm_open" and "count" in message.content["data"]["state"]
    ]
    assert len(opened) == 1
    assert opened[0].n_buffers == 1
    assert opened[0].n_bytes > 10_000
    assert ("/data/state/numbers", 3) in list(number_lists(opened[0].content))


def test_the_page_stays_on_this_machine(notebook: Notebook) -> None:
    assert notebook.foreign_requests == []
    assert notebook.dialogs == []
